//! Deliveries a second through whole simulations: publish, fan-out, delivery, FIN, with all bytes parsed on both ends.

// Criterion's macro makes a public function without a comment.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sansq_core::sim::{Checks, Script, Simulation, ViewLimits};
use sansq_core::time::Instant;

/// Messages in batches to three channels, answered as they come.
const BATCHES: &str = "seed 1
node n1 max-rdy-count=2500
producer p topic=t rate=2000000/s batch=200 size=32 ack=pipeline
consumer a topic=t channel=x max-in-flight=2500
consumer b topic=t channel=y max-in-flight=2500
consumer c topic=t channel=z max-in-flight=2500
";

fn delivered(simulation: &mut Simulation) -> u64 {
    let view = simulation.view(ViewLimits::default());
    view.consumers.iter().map(|consumer| consumer.finished).sum()
}

fn batches(criterion: &mut Criterion) {
    let script: Script = BATCHES.parse().expect("a script");
    let mut group = criterion.benchmark_group("simulation");
    group.sample_size(20);
    for (name, checks) in [("batches", Checks::Light), ("batches, watched", Checks::Full)] {
        let mut warm = Simulation::new(&script).with_checks(checks);
        warm.run_until(Instant::from_millis(10), u64::MAX);
        let before = delivered(&mut warm);
        let mut after = warm.clone();
        after.run_until(Instant::from_millis(110), u64::MAX);
        group.throughput(Throughput::Elements(delivered(&mut after) - before));
        group.bench_function(name, |bencher| {
            let run = |mut simulation: Simulation| simulation.run_until(Instant::from_millis(110), u64::MAX);
            bencher.iter_batched(|| warm.clone(), run, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, batches);
criterion_main!(benches);
