//! What a daemon costs that has nothing to do.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Bench;
use crate::bench::connection::Connection;
use crate::bench::metric::{Metric, Outcome, Sample};
use crate::bench::proc::Process;
use crate::bench::wire::{self, Frame};

/// Time after the last change before the measurement, for what is left to do.
const CALM: Duration = Duration::from_secs(3);

/// Many consumers that are ready for messages that don't come. Heartbeats are as rare as allowed, every 60 s, and the
/// measurement is over before the first.
pub(super) fn connections(bench: &Bench<'_>, count: usize) -> Outcome {
    let count = bench.scaled(count);
    let process = bench.node.process().context("a process")?;
    let _first = ready_consumers(bench, 1)?;
    bench.settle()?;
    let before = process.resident_bytes()?;
    let _all = ready_consumers(bench, count)?;
    bench.settle()?;
    let bytes = process.resident_bytes()?.saturating_sub(before);
    Ok(at_rest(bench, process)?.with(Metric::MemoryPerConnection, bytes as f64 / 1e3 / count as f64))
}

/// Channels without consumers. They are made before the start of the daemon.
pub(super) fn channels(bench: &Bench<'_>) -> Outcome {
    at_rest(bench, bench.node.process().context("a process")?)
}

/// Connects and subscribes `count` consumers; waits for the answers only when all have asked.
fn ready_consumers(bench: &Bench<'_>, count: usize) -> Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = Connection::open(bench.node.address)?;
        let out = connection.queue();
        wire::identify(out, r#"{"client_id":"bench","heartbeat_interval":60000}"#);
        wire::subscribe(out, &bench.topic, "c");
        wire::ready(out, 1);
        connection.flush()?;
        connections.push(connection);
    }
    for connection in &mut connections {
        let mut answers = 0;
        while answers < 2 {
            connection.read_frames(|frame, _| {
                answers += usize::from(matches!(frame, Frame::Response(_)));
                Ok(())
            })?;
        }
    }
    Ok(connections)
}

fn at_rest(bench: &Bench<'_>, process: Process) -> Outcome {
    let window = Duration::from_secs(if bench.quick { 3 } else { 10 });
    thread::sleep(CALM);
    let (cpu_before, switches_before) = (process.cpu()?, process.context_switches()?);
    thread::sleep(window);
    let (cpu, switches) = (process.cpu()? - cpu_before, process.context_switches()?);
    let wake_ups: u64 = switches.iter().map(|(thread, count)| count - switches_before.get(thread).unwrap_or(&0)).sum();
    Ok(Sample::default()
        .with(Metric::WakeUps, wake_ups as f64 / window.as_secs_f64())
        .with(Metric::CpuShare, 100.0 * cpu.as_secs_f64() / window.as_secs_f64()))
}
