//! Publishing with an answer that means the message is on disk, next to what the disk itself can do: one writer that appends
//! records of the same size to a file in the same directory and syncs each.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use crate::bench::load::{self, BODY_BYTES};
use crate::bench::metric::{Metric, Outcome, Sample};
use crate::bench::wire;

/// A message in a queue file: length, timestamp, attempts and id come before the body.
const RECORD_BYTES: usize = 4 + 8 + 2 + 16 + BODY_BYTES;

/// PUB one at a time on each of many connections.
pub(super) fn publish_synced(bench: &Bench<'_>, connections: usize, total: usize) -> Outcome {
    let total = bench.scaled(total);
    let writer = synced_records_per_second(bench)?;
    let mut command = Vec::new();
    wire::publish(&mut command, &bench.topic, &load::stamped(0));
    let _channel = bench.consumer("")?;
    let publishers = vec![bench.publishers(connections)?];
    let meter = bench.cpu_meter()?;
    let effort = load::in_parallel(publishers, |publishers| load::one_at_a_time(publishers, &command, total))?;
    bench.settle()?;
    let throughput = total as f64 / effort.elapsed.as_secs_f64();
    Ok(Sample::default()
        .with_effort(&effort, total)
        .with_some(Metric::CpuPerMessage, meter.micros_per(total)?)
        .with(Metric::OfSyncedWriter, 100.0 * throughput / writer)
        .with_latencies(effort.latencies))
}

fn synced_records_per_second(bench: &Bench<'_>) -> Result<f64> {
    let window = Duration::from_secs(if bench.quick { 1 } else { 3 });
    let mut file = tempfile::NamedTempFile::new_in(bench.dir)?;
    let record = [b'x'; RECORD_BYTES];
    let mut records = 0;
    let begin = Instant::now();
    while begin.elapsed() < window {
        file.write_all(&record)?;
        file.as_file().sync_data()?;
        records += 1;
    }
    Ok(f64::from(records) / begin.elapsed().as_secs_f64())
}
