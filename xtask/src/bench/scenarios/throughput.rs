//! How much a daemon can take and give, and what a message costs it. Each publishes to a topic with one channel, as in
//! production: a topic without one would skip half the path.

use std::sync::atomic::AtomicUsize;

use super::Bench;
use crate::bench::load::{self, BODY_BYTES};
use crate::bench::metric::{Metric, Outcome, Sample};
use crate::bench::wire;

const BATCH: usize = 200;
const BODY: [u8; BODY_BYTES] = [b'x'; BODY_BYTES];

/// MPUB, pipelined.
pub(super) fn publish_many(bench: &Bench<'_>, total: usize) -> Outcome {
    let mut command = Vec::new();
    wire::publish_many(&mut command, &bench.topic, &BODY, BATCH);
    publish(bench, &command, BATCH, 8, bench.scaled(total))
}

/// PUB, pipelined.
pub(super) fn publish_pipelined(bench: &Bench<'_>, total: usize) -> Outcome {
    let mut command = Vec::new();
    wire::publish(&mut command, &bench.topic, &BODY);
    publish(bench, &command, 1, 256, bench.scaled(total))
}

fn publish(bench: &Bench<'_>, command: &[u8], messages_per_command: usize, window: usize, total: usize) -> Outcome {
    let _channel = bench.consumer("")?;
    let publishers = bench.publishers(2)?;
    let commands = total / messages_per_command / publishers.len();
    let meter = bench.cpu_meter()?;
    let effort = load::in_parallel(publishers, |publisher| load::pipeline(publisher, command, window, commands))?;
    bench.settle()?;
    Ok(Sample::default().with_effort(&effort, total).with_some(Metric::CpuPerMessage, meter.micros_per(total)?))
}

/// PUB, each connection waiting for its answer.
pub(super) fn publish_one_at_a_time(bench: &Bench<'_>, connections: usize, total: usize) -> Outcome {
    let total = bench.scaled(total);
    let mut command = Vec::new();
    wire::publish(&mut command, &bench.topic, &BODY);
    let _channel = bench.consumer("")?;
    // Two threads, since one alone is slower than a good daemon.
    let halves = vec![bench.publishers(connections / 2)?, bench.publishers(connections / 2)?];
    let meter = bench.cpu_meter()?;
    let effort = load::in_parallel(halves, |publishers| load::one_at_a_time(publishers, &command, total / 2))?;
    bench.settle()?;
    Ok(Sample::default()
        .with_effort(&effort, total)
        .with_some(Metric::CpuPerMessage, meter.micros_per(total)?)
        .with_latencies(effort.latencies))
}

/// Fills the channel, looks at the memory, then takes everything with two consumers.
pub(super) fn consume(bench: &Bench<'_>, total: usize) -> Outcome {
    let total = bench.scaled(total);
    let mut command = Vec::new();
    wire::publish_many(&mut command, &bench.topic, &BODY, BATCH);
    let consumers = vec![bench.consumer("")?, bench.consumer("")?];
    load::in_parallel(bench.publishers(1)?, |publisher| load::pipeline(publisher, &command, 8, total / BATCH))?;
    bench.settle()?;
    let memory = bench.node.process().map(|process| process.resident_bytes()).transpose()?;
    let taken = AtomicUsize::new(0);
    let meter = bench.cpu_meter()?;
    let effort = load::in_parallel(consumers, |consumer| load::drain(consumer, &taken, total))?;
    bench.settle()?;
    Ok(Sample::default()
        .with_effort(&effort, total)
        .with_some(Metric::CpuPerMessage, meter.micros_per(total)?)
        .with_some(Metric::Memory, memory.map(|bytes| bytes as f64 / 1e6)))
}
