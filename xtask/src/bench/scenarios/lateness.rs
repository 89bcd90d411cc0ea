//! How late a message comes that had to wait for a time: deferred ones, and ones whose consumer said nothing. The channel's age
//! matters because a daemon that scans channels periodically learns of a new one late. Output buffering is off, so that only
//! the timers are measured.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Bench;
use crate::bench::connection::Connection;
use crate::bench::load::{self, Reaction};
use crate::bench::metric::{Outcome, Sample};
use crate::bench::wire::{self, Message};

const UNBUFFERED: &str = r#""output_buffer_size":-1"#;
const PER_SECOND: u32 = 500;
const COUNT: usize = 500;

/// DPUB with delays between 100 and 300 ms. Counted from the sending, since the daemon knows no earlier time.
pub(super) fn deferred(bench: &Bench<'_>, channel_age: Duration) -> Outcome {
    let consumer = bench.consumer(UNBUFFERED)?;
    let publish = |out: &mut Vec<u8>, index: usize, _| {
        // Steps of a prime, so that neighbours are not due in the order they were sent.
        let delay = Duration::from_millis(100 + (index as u64 * 67) % 200);
        let due = load::nanos() + delay.as_nanos() as u64;
        wire::publish_deferred(out, &bench.topic, delay, &load::stamped(due));
    };
    measure(bench, consumer, channel_age, publish, |message, now| {
        Ok(Reaction::Finish(now.saturating_sub(load::stamp(message)?)))
    })
}

/// Messages left in flight for 1 s, the shortest message timeout. Counted from the first arrival at the consumer.
pub(super) fn timed_out(bench: &Bench<'_>, channel_age: Duration) -> Outcome {
    let consumer = bench.consumer(&format!(r#"{UNBUFFERED},"msg_timeout":1000"#))?;
    let publish = |out: &mut Vec<u8>, _, due| wire::publish(out, &bench.topic, &load::stamped(due));
    let mut due_at = HashMap::with_capacity(COUNT);
    measure(bench, consumer, channel_age, publish, |message, now| {
        if message.attempts == 1 {
            due_at.insert(message.id.to_vec(), now + 1_000_000_000);
            return Ok(Reaction::Keep);
        }
        let due = due_at.remove(message.id).context("a message came again that never came")?;
        Ok(Reaction::Finish(now.saturating_sub(due)))
    })
}

fn measure(
    bench: &Bench<'_>,
    mut consumer: Connection,
    channel_age: Duration,
    publish: impl FnMut(&mut Vec<u8>, usize, u64) + Send,
    on_message: impl FnMut(&Message<'_>, u64) -> Result<Reaction>,
) -> Outcome {
    let mut publisher = bench.publishers(1)?.pop().context("one publisher")?;
    wire::ready(consumer.queue(), 2500);
    consumer.flush()?;
    thread::sleep(channel_age);
    let effort = load::deliver(
        || load::paced(&mut publisher, PER_SECOND, COUNT, publish),
        || load::receive(&mut [consumer], COUNT, 1, on_message),
    )?;
    Ok(Sample::default().with_latencies(effort.latencies))
}
