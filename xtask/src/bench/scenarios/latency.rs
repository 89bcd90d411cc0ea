//! How long a message takes from the publisher to a consumer, at a load far below the limit. Counted from the moment the
//! message was due on a fixed schedule: a daemon that makes the publisher wait cannot hide it.

use anyhow::{Context, Result};

use super::Bench;
use crate::bench::connection::Connection;
use crate::bench::load::{self, Reaction};
use crate::bench::metric::{Metric, Outcome, Sample};
use crate::bench::wire;

/// One publisher, and one consumer on each of `channels`. Everything is as IDENTIFY has it by default, output buffering too.
pub(super) fn end_to_end(bench: &Bench<'_>, per_second: u32, seconds: usize, channels: usize) -> Outcome {
    let count = bench.scaled(per_second as usize * seconds);
    let mut consumers = (0..channels)
        .map(|channel| Connection::subscribed(bench.node.address, "", &bench.topic, &format!("c{channel}")))
        .collect::<Result<Vec<_>>>()?;
    for consumer in &mut consumers {
        wire::ready(consumer.queue(), 2500);
        consumer.flush()?;
    }
    let mut publisher = bench.publishers(1)?.pop().context("one publisher")?;
    let meter = bench.cpu_meter()?;
    // A real consumer of many channels is many processes; ours is one, and spares itself a write for each FIN.
    let finish_batch = if channels == 1 { 1 } else { 16 };
    let effort = load::deliver(
        || {
            let command = |out: &mut Vec<u8>, _, due| wire::publish(out, &bench.topic, &load::stamped(due));
            load::paced(&mut publisher, per_second, count, command)
        },
        || {
            load::receive(&mut consumers, count * channels, finish_batch, |message, now| {
                Ok(Reaction::Finish(now.saturating_sub(load::stamp(message)?)))
            })
        },
    )?;
    bench.settle()?;
    Ok(Sample::default()
        .with_some(Metric::CpuPerMessage, meter.micros_per(count * channels)?)
        .with_generator(&effort, count * channels)
        .with_latencies(effort.latencies))
}
