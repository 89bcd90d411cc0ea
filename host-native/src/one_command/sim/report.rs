//! What is said of runs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use sansq_core::sim::{MarkKind, Script, Simulation, Swarm, Trial, shorten};
use sansq_core::time::Instant;

/// Where `cargo xtask demo` serves the page.
const PAGE: &str = "http://127.0.0.1:4180/";

/// Sums over many runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) seeds: u64,
    pub(super) steps: u64,
    pub(super) virtual_time: Duration,
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) finished: u64,
    pub(super) requeued: u64,
    pub(super) timed_out: u64,
    /// By verb.
    pub(super) faults: BTreeMap<String, u64>,
}

impl Totals {
    pub(super) fn add(&mut self, seed: u64, trial: &Trial) {
        self.seeds += 1;
        self.steps += trial.steps;
        self.virtual_time += trial.now.since(Instant::ZERO);
        self.published += trial.totals.published;
        self.delivered += trial.totals.delivered;
        self.finished += trial.totals.finished;
        self.requeued += trial.totals.requeued;
        self.timed_out += trial.totals.timed_out;
        for fault in Swarm::new(seed).faults() {
            *self.faults.entry(fault.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn show(&self, elapsed: Duration) -> String {
        let rate = self.steps as f64 / elapsed.as_secs_f64().max(1e-9);
        let mut page = format!(
            "{} seeds, {} steps, {:.1} h of virtual time in {:.1} s ({rate:.0} steps/s)\n",
            self.seeds,
            self.steps,
            self.virtual_time.as_secs_f64() / 3600.0,
            elapsed.as_secs_f64(),
        );
        // Writing to a string cannot fail.
        _ = writeln!(
            page,
            "messages: {} published, {} delivered, {} finished, {} requeued, {} timed out",
            self.published, self.delivered, self.finished, self.requeued, self.timed_out
        );
        let faults: Vec<String> = self.faults.iter().map(|(verb, count)| format!("{verb} {count}")).collect();
        if !faults.is_empty() {
            _ = writeln!(page, "drawn: {}", faults.join(", "));
        }
        page
    }
}

fn time(at: Instant) -> String {
    format!("{:.6} s", at.since(Instant::ZERO).as_secs_f64())
}

/// A run that is over.
pub(super) fn one(trial: &Trial, elapsed: Duration) -> String {
    let Trial { steps, hash, now, totals, .. } = trial;
    format!(
        "{}: {steps} steps, {} of virtual time in {:.2} s, hash {hash:016x}\n{} published, {} delivered, {} finished\n",
        if trial.violation.is_none() { "all is well" } else { "something is wrong" },
        time(*now),
        elapsed.as_secs_f64(),
        totals.published,
        totals.delivered,
        totals.finished,
    )
}

/// What is wrong with a run, and how to see it.
pub(super) fn failure(script: &Script, trial: &Trial, is_swarm: bool) -> String {
    let mut page = String::new();
    tell(&mut page, trial);
    _ = writeln!(page, "with {}", build());
    if is_swarm {
        _ = writeln!(page, "again: sansq sim --seed {}", script.seed);
        if let Some((_, shortest)) = shorten(&Swarm::new(script.seed)) {
            _ = writeln!(page, "\nthe shortest beginning that still fails:");
            tell(&mut page, &shortest);
            _ = writeln!(page, "again: sansq sim --run '{}'\nto be seen: {PAGE}#{}", shortest.link, shortest.link);
            return page;
        }
    }
    _ = writeln!(page, "again: sansq sim --run '{}'\nto be seen: {PAGE}#{}", trial.link, trial.link);
    page
}

/// Which code this is: a seed says something of that only.
fn build() -> String {
    let version = concat!("sansq ", env!("CARGO_PKG_VERSION"));
    match env!("SANSQ_COMMIT") {
        "" => version.to_owned(),
        commit => format!("{version}, commit {commit}"),
    }
}

fn tell(page: &mut String, trial: &Trial) {
    if let Some(violation) = &trial.violation {
        _ = writeln!(page, "step {}, {}: {}", violation.step, time(violation.at), violation.text);
    }
}

/// Where a link has led.
pub(super) fn position(simulation: &mut Simulation) -> String {
    let mut page =
        format!("step {}, {}, hash {:016x}\n", simulation.steps(), time(simulation.now()), simulation.trace_hash());
    if let Some(violation) = simulation.violation() {
        _ = writeln!(page, "step {}, {}: {}", violation.step, time(violation.at), violation.text);
    }
    if let Some(notice) = simulation.link_notice() {
        _ = writeln!(page, "{notice}");
    }
    if differs(simulation) {
        _ = writeln!(page, "this run differs from the one the link was made of: by another version, say");
    }
    page
}

/// Whether the run is another one than the link says.
pub(super) fn differs(simulation: &Simulation) -> bool {
    simulation.marks_since(0).any(|mark| mark.kind == MarkKind::Error && &*mark.who == "link")
}
