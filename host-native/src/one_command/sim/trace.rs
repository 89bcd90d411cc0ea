//! A run, written down step by step.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context, Result};
use sansq_core::sim::Simulation;
use sansq_core::time::Instant;

/// Writes a line for each step up to `until`: its number, the time in nanoseconds, the hash after it, and its marks.
pub(super) fn write(simulation: &mut Simulation, until: Option<Instant>, file: &str) -> Result<()> {
    let about = || file.to_owned();
    let mut out = BufWriter::new(File::create(file).with_context(about)?);
    let until = until.unwrap_or(Instant::from_nanos(u64::MAX));
    while simulation.violation().is_none() && simulation.next_event_at().is_some_and(|at| at <= until) {
        simulation.step();
        let step = simulation.steps();
        write!(out, "{step} {} {:016x}", simulation.now().as_nanos(), simulation.trace_hash()).with_context(about)?;
        for mark in simulation.marks_since(step - 1) {
            let kind = format!("{:?}", mark.kind).to_lowercase();
            write!(out, " | {kind} {} {}", mark.who, mark.text).with_context(about)?;
        }
        writeln!(out).with_context(about)?;
    }
    out.flush().with_context(about)
}
