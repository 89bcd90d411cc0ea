//! What is measured, in which unit, and what has to be reached.

use anyhow::Result;

use super::load::{self, Effort};

/// A kind of figure. The order is that of the rows in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// Messages a second.
    Throughput,
    /// The daemon's CPU time in µs per message.
    CpuPerMessage,
    /// Milliseconds.
    P50,
    /// Milliseconds.
    P99,
    /// The longest of all, in milliseconds.
    Worst,
    /// Resident memory in MB (1,000,000 bytes).
    Memory,
    /// Resident memory in KB (1,000 bytes) for each connection.
    MemoryPerConnection,
    /// Resident memory in bytes for each registration of an nsqlookupd, without the bytes of its names.
    MemoryPerRegistration,
    /// Times a second that some thread of the daemon was switched out, having been woken before.
    WakeUps,
    /// The daemon's CPU time in percent of one core.
    CpuShare,
    /// Throughput in percent of one writer that syncs each record by itself.
    OfSyncedWriter,
    /// The load generator's own CPU time in µs per message.
    GeneratorCpu,
}

impl Metric {
    /// Name and unit, as the table shows it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Throughput => "messages/s",
            Self::CpuPerMessage => "CPU µs/message",
            Self::P50 => "p50 ms",
            Self::P99 => "p99 ms",
            Self::Worst => "worst ms",
            Self::Memory => "memory MB",
            Self::MemoryPerConnection => "memory KB/connection",
            Self::MemoryPerRegistration => "memory B/registration",
            Self::WakeUps => "wake-ups/s",
            Self::CpuShare => "CPU %",
            Self::OfSyncedWriter => "% of synced writer",
            Self::GeneratorCpu => "generator µs/message",
        }
    }

    /// Name for machines.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Throughput => "messages_per_second",
            Self::CpuPerMessage => "cpu_us_per_message",
            Self::P50 => "p50_ms",
            Self::P99 => "p99_ms",
            Self::Worst => "worst_ms",
            Self::Memory => "memory_mb",
            Self::MemoryPerConnection => "memory_kb_per_connection",
            Self::MemoryPerRegistration => "memory_bytes_per_registration",
            Self::WakeUps => "wake_ups_per_second",
            Self::CpuShare => "cpu_percent",
            Self::OfSyncedWriter => "percent_of_synced_writer",
            Self::GeneratorCpu => "generator_us_per_message",
        }
    }
}

/// What our figure has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// At least this many times the other daemon's figure.
    TimesOther(f64),
    /// At most this many times the other daemon's figure.
    AtMostTimesOther(f64),
    /// At least this, in the metric's unit.
    AtLeast(f64),
    /// At most this, in the metric's unit.
    AtMost(f64),
}

impl Target {
    /// Whether it is met; `None` when there is no other daemon to compare with.
    pub(crate) fn is_met(self, ours: f64, other: Option<f64>) -> Option<bool> {
        match self {
            Self::TimesOther(factor) => other.map(|other| ours >= factor * other),
            Self::AtMostTimesOther(factor) => other.map(|other| ours <= factor * other),
            Self::AtLeast(least) => Some(ours >= least),
            Self::AtMost(most) => Some(ours <= most),
        }
    }
}

/// The figures of one run.
#[derive(Default)]
pub(crate) struct Sample(Vec<(Metric, f64)>);

impl Sample {
    /// Adds a figure.
    pub(crate) fn with(mut self, metric: Metric, value: f64) -> Self {
        self.0.push((metric, value));
        self
    }

    /// Adds a figure that only a daemon within reach has.
    pub(crate) fn with_some(self, metric: Metric, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.with(metric, value),
            None => self,
        }
    }

    /// Adds throughput and what the generator spent on it.
    pub(crate) fn with_effort(self, effort: &Effort, messages: usize) -> Self {
        self.with(Metric::Throughput, messages as f64 / effort.elapsed.as_secs_f64()).with_generator(effort, messages)
    }

    /// Adds what the generator spent.
    pub(crate) fn with_generator(self, effort: &Effort, messages: usize) -> Self {
        self.with(Metric::GeneratorCpu, effort.generator_cpu.as_secs_f64() * 1e6 / messages as f64)
    }

    /// Adds the median and the 99th percentile of nanoseconds.
    pub(crate) fn with_latencies(self, mut latencies: Vec<u64>) -> Self {
        self.with(Metric::P50, load::percentile_ms(&mut latencies, 50))
            .with(Metric::P99, load::percentile_ms(&mut latencies, 99))
    }

    /// All figures.
    pub(crate) fn figures(&self) -> &[(Metric, f64)] {
        &self.0
    }
}

/// What a scenario returns.
pub(crate) type Outcome = Result<Sample>;
