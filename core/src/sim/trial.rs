//! A trial: a run with the [`Model`] beside it, to its end, and what came of it. Fails if the model finds something wrong on
//! the way, or in the end, when channels must have drained.

use crate::time::Instant;

use super::model::{Model, Totals};
use super::saboteur::Saboteur;
use super::script::Script;
use super::swarm::Swarm;
use super::world::Violation;
use super::{Checks, Simulation};

/// What came of a trial.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Steps done.
    pub steps: u64,
    /// The hash of the run, which does not depend on being watched.
    pub hash: u64,
    /// Virtual time passed.
    pub now: Instant,
    /// What went through.
    pub totals: Totals,
    /// What is wrong, if anything is.
    pub violation: Option<Violation>,
    /// The run up to there.
    pub link: String,
}

/// Runs a script to its end, or to the first thing that is wrong. If it `drains`, nothing may be left in the end.
pub fn try_script(script: &Script, drains: bool, saboteur: Option<Box<dyn Saboteur>>) -> Trial {
    let mut simulation = Simulation::new(script).with_checks(Checks::Full).with_observer(Box::new(Model::default()));
    if let Some(saboteur) = saboteur {
        simulation = simulation.with_saboteur(saboteur);
    }
    try_run(simulation, drains)
}

/// What `seed` alone draws, tried.
pub fn try_seed(seed: u64) -> Trial {
    try_script(&Swarm::new(seed).script(), true, None)
}

/// The shortest beginning of a seed's disturbances that still fails when it is healed right after: the script, and what came
/// of it. `None` if the whole does not fail.
pub fn shorten(swarm: &Swarm) -> Option<(Script, Trial)> {
    let fails = |script: Script| {
        let trial = try_script(&script, true, None);
        trial.violation.is_some().then_some((script, trial))
    };
    let mut shortest = fails(swarm.script())?;
    let cuts = swarm.cuts();
    let (mut from, mut to) = (0, cuts.len());
    // Failing is not monotonous in the time of healing; what is found fails in any case.
    while from < to {
        let middle = from + (to - from) / 2;
        match fails(swarm.cut(cuts[middle])) {
            Some(failed) => (shortest, to) = (failed, middle),
            None => from = middle + 1,
        }
    }
    Some(shortest)
}

fn try_run(mut simulation: Simulation, drains: bool) -> Trial {
    let until = simulation.script().until.unwrap_or(Instant::from_nanos(u64::MAX));
    while simulation.violation().is_none() && simulation.next_event_at().is_some_and(|at| at <= until) {
        simulation.step();
    }
    let model = simulation.observer().and_then(|observer| observer.as_any().downcast_ref::<Model>());
    let totals = model.map(Model::totals).unwrap_or_default();
    let mut violation = simulation.violation().cloned();
    if let (None, true, Some(model)) = (&violation, drains, model) {
        let (step, at) = (simulation.steps(), simulation.now());
        violation = model.at_end(&simulation.facts()).err().map(|text| Violation { step, at, text });
    }
    Trial {
        steps: simulation.steps(),
        hash: simulation.trace_hash(),
        now: simulation.now(),
        totals,
        violation,
        link: simulation.link(),
    }
}
