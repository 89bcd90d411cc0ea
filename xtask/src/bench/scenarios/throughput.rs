//! How much a daemon can take and give, and what a message costs it.

use std::sync::atomic::AtomicUsize;

use anyhow::Result;

use super::Bench;
use crate::bench::connection::Connection;
use crate::bench::load::{self, BODY_BYTES};
use crate::bench::metric::{Metric, Outcome, Sample};
use crate::bench::wire;

const BATCH: usize = 200;
const BODY: [u8; BODY_BYTES] = [b'x'; BODY_BYTES];

/// Who holds the messages that are published.
#[derive(Clone, Copy)]
pub(super) enum Holder {
    /// The topic, which has no channel yet. The first consumer makes one, and the messages move to it.
    Topic,
    /// A channel that was there before.
    Channel,
}

/// MPUB, pipelined.
pub(super) fn publish_many(bench: &Bench<'_>, holder: Holder, total: usize) -> Outcome {
    publish(bench, holder, &batch(bench), BATCH, 8, bench.scaled(total))
}

/// PUB, pipelined.
pub(super) fn publish_pipelined(bench: &Bench<'_>, total: usize) -> Outcome {
    publish(bench, Holder::Topic, &single(bench), 1, 256, bench.scaled(total))
}

fn publish(
    bench: &Bench<'_>,
    holder: Holder,
    command: &[u8],
    messages_per_command: usize,
    window: usize,
    total: usize,
) -> Outcome {
    let _channel = match holder {
        Holder::Topic => None,
        Holder::Channel => Some(bench.consumer("")?),
    };
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
    let command = single(bench);
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

/// Publishes a backlog, looks at the memory, then takes everything with two consumers.
pub(super) fn consume(bench: &Bench<'_>, holder: Holder, total: usize) -> Outcome {
    let total = bench.scaled(total);
    let command = batch(bench);
    let subscribe = || -> Result<Vec<Connection>> { Ok(vec![bench.consumer("")?, bench.consumer("")?]) };
    let subscribed = match holder {
        Holder::Topic => None,
        Holder::Channel => Some(subscribe()?),
    };
    load::in_parallel(bench.publishers(1)?, |publisher| load::pipeline(publisher, &command, 8, total / BATCH))?;
    bench.settle()?;
    let memory = bench.node.process().map(|process| process.resident_bytes()).transpose()?;
    let taken = AtomicUsize::new(0);
    let meter = bench.cpu_meter()?;
    let consumers = subscribed.map_or_else(subscribe, Ok)?;
    let effort = load::in_parallel(consumers, |consumer| load::drain(consumer, &taken, total))?;
    bench.settle()?;
    Ok(Sample::default()
        .with_effort(&effort, total)
        .with_some(Metric::CpuPerMessage, meter.micros_per(total)?)
        .with_some(Metric::Memory, memory.map(|bytes| bytes as f64 / 1e6)))
}

fn single(bench: &Bench<'_>) -> Vec<u8> {
    let mut command = Vec::new();
    wire::publish(&mut command, &bench.topic, &BODY);
    command
}

fn batch(bench: &Bench<'_>) -> Vec<u8> {
    let mut command = Vec::new();
    wire::publish_many(&mut command, &bench.topic, &BODY, BATCH);
    command
}
