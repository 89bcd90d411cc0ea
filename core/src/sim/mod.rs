//! A deterministic simulation of whole NSQ systems: the real [`Broker`](crate::broker::Broker)s and stores, client
//! programs, and between them a network and disks that fail as they are told. Time is virtual; all chance comes from a
//! seed; the same script, seed and edits give the same run, with the same [hash](Simulation::trace_hash), on every machine.
//!
//! A run is driven by [`step`](Simulation::step), [`run_until`](Simulation::run_until) and
//! [`run_steps`](Simulation::run_steps), changed by [`apply`](Simulation::apply), and looked at by the rest. It goes
//! back with [`seek`](Simulation::seek), from snapshots and by doing everything again; a clone of it is a fork. It is
//! written as a [`link`](Simulation::link) and read from one.
//!
//! ```
//! use sansq_core::sim::{Simulation, scenario};
//!
//! let mut simulation = Simulation::new(&scenario("first-message", None)?);
//! simulation.run_to_end();
//! assert_eq!(simulation.violation(), None);
//! let mut again = Simulation::from_link(&simulation.link())?;
//! assert_eq!(again.trace_hash(), simulation.trace_hash());
//! # Ok::<(), sansq_core::sim::ActionError>(())
//! ```
//!
//! The fault models are told where they are: [`network`], [`disk`] and
//! [`MemoryFiles`](crate::storage::MemoryFiles).

mod actions;
mod client;
mod consumer;
mod decode;
mod disk;
mod events;
mod handler;
mod hash;
mod history;
mod inspect;
mod link;
mod lives;
mod metrics;
mod model;
mod motions;
mod network;
mod node;
mod observe;
mod options;
mod places;
mod producer;
mod saboteur;
mod scenario;
mod script;
mod swarm;
#[cfg(test)]
mod tests;
mod traffic;
mod trial;
mod values;
mod view;
mod workload;
mod world;

use crate::time::Instant;

use history::History;
use link::{Edit, Link, Position};
use world::World;

pub use history::{Mark, MarkKind};
pub use link::BEHAVIOUR;
pub use lives::LifeKind;
pub use model::{LATE_MAX, Model, Totals};
pub use observe::{Checks, Facts, NodeFacts, Observation, Observer, PlaceCounts};
pub use saboteur::Saboteur;
pub use scenario::{SCENARIOS, SWARM, Scenario, scenario};
pub use script::{Action, ActionError, Script};
pub use swarm::Swarm;
pub use trial::{Trial, shorten, try_script, try_seed};
pub use view::{
    BackoffView, ChannelView, ConsumerView, DeadlineView, DiskView, FrameView, LifeStepView, MessageLife, NodeView,
    ProducerView, Table, TopicView, View, ViewLimits, WireView,
};
pub use world::Violation;

/// Snapshots kept; when there are more, every other one goes and they are taken half as often.
const SNAPSHOTS_MAX: usize = 32;
/// Whom marks about the link concern that a run was opened from.
const LINK: &str = "link";
/// Steps between the first snapshots.
const SNAPSHOT_STEPS: u64 = 512;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Simulation {
    script: Script,
    world: World,
    /// In order.
    edits: Vec<Edit>,
    /// How many of them the world has had.
    applied: usize,
    history: History,
    /// In order; the first is the beginning.
    snapshots: Vec<(World, usize)>,
    snapshot_steps: u64,
}

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// After so many steps.
    Step(u64),
    /// When all of that time and before is done.
    Time(Instant),
}

impl Simulation {
    /// The beginning of a run.
    pub fn new(script: &Script) -> Self {
        let world = World::new(script);
        Self {
            script: script.clone(),
            snapshots: vec![(world.clone(), 0)],
            world,
            edits: Vec::new(),
            applied: 0,
            history: History::default(),
            snapshot_steps: SNAPSHOT_STEPS,
        }
    }

    /// The same, watched so closely. Before the first step.
    pub fn with_checks(mut self, checks: Checks) -> Self {
        self.world.checks = checks;
        self.begin_anew()
    }

    /// The same, with somebody who watches. Before the first step.
    pub fn with_observer(mut self, observer: Box<dyn Observer>) -> Self {
        self.world.observer = Some(observer);
        self.begin_anew()
    }

    /// The same, with nodes that are broken. Before the first step.
    pub fn with_saboteur(mut self, saboteur: Box<dyn Saboteur>) -> Self {
        self.world.saboteur = Some(saboteur);
        self.begin_anew()
    }

    /// Who watches, if anybody does.
    pub fn observer(&self) -> Option<&dyn Observer> {
        self.world.observer.as_deref()
    }

    fn begin_anew(mut self) -> Self {
        self.snapshots = vec![(self.world.clone(), 0)];
        self
    }

    /// The run that a [`link`](Self::link) is about, where the link says. If its hash is not that of the link, there is a mark that
    /// says so. If the link was made with another [behaviour](BEHAVIOUR), hashes are not compared, and there is a
    /// [notice](Self::link_notice).
    pub fn from_link(text: &str) -> Result<Self, ActionError> {
        let link = Link::parse(text)?;
        let other_behaviour = link.other_behaviour();
        let mut simulation = Self::new(&link.script);
        simulation.edits = link.edits;
        let last = simulation.edits.last().map(|edit| Position { step: edit.position.step + 1, ..edit.position });
        if let Some(at) = link.at.or(last) {
            simulation.seek(Target::Step(at.step));
            simulation.world.now = simulation.world.now.max(at.at);
        }
        if let Some(made_with) = other_behaviour {
            let text = format!(
                "This link was made by another version of the simulator (behaviour {made_with}; this is {BEHAVIOUR}). The run \
                 begins as it did there, and may take another course."
            );
            simulation.note(MarkKind::Say, text);
        } else if link.hash.is_some_and(|hash| hash != simulation.trace_hash()) {
            simulation.note(MarkKind::Error, "this run differs from the one the link was made of".to_owned());
        }
        Ok(simulation)
    }

    /// A mark about the link that led here.
    fn note(&mut self, kind: MarkKind, text: String) {
        self.world.mark(kind, LINK, text, 1);
        self.history.add(&mut self.world.marks);
    }

    /// What there is to say of the link that this run was opened from, if that was made with another [behaviour](BEHAVIOUR):
    /// the text of a mark of the kind [`MarkKind::Say`].
    pub fn link_notice(&self) -> Option<&str> {
        let notice = |mark: &&Mark| mark.kind == MarkKind::Say && &*mark.who == LINK;
        self.history.since(0).find(notice).map(|mark| mark.text.as_str())
    }

    /// The run so far, to be read by [`from_link`](Self::from_link).
    pub fn link(&self) -> String {
        let at = Some(Position { step: self.steps(), at: self.now() });
        // Also those ahead, after a seek back: they are done again when it goes on.
        let edits = self.edits.clone();
        let (script, hash, behaviour) = (self.script.clone(), Some(self.trace_hash()), Some(BEHAVIOUR));
        Link { script, edits, at, hash, behaviour }.put()
    }

    /// The script it began with.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.world.now
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.world.steps
    }

    /// Of everything that has happened.
    pub fn trace_hash(&self) -> u64 {
        self.world.hash.value()
    }

    /// The first thing found that must not be.
    pub fn violation(&self) -> Option<&Violation> {
        self.world.violation.as_ref()
    }

    /// When the next step is.
    pub fn next_event_at(&mut self) -> Option<Instant> {
        let edit = self.edits.get(self.applied).map(|edit| edit.position);
        match edit.filter(|position| position.step <= self.world.steps) {
            Some(position) => Some(position.at),
            None => self.world.next_event().map(|(at, _)| at),
        }
    }

    /// Applies an action now, as a step. Edits that were ahead, after a [`seek`](Self::seek) back, are forgotten.
    pub fn apply(&mut self, action: Action) -> Result<(), ActionError> {
        let position = Position { step: self.steps(), at: self.now() };
        self.world.apply(&action)?;
        self.world.mark(MarkKind::Edit, "", action.to_string(), 1);
        self.end_step();
        self.edits.truncate(self.applied);
        self.snapshots.retain(|(world, _)| world.steps <= position.step);
        self.edits.push(Edit { position, action });
        self.applied += 1;
        Ok(())
    }

    /// Does the next step; `false` if there is none.
    pub fn step(&mut self) -> bool {
        self.take_snapshot();
        let stepped = self.redo_edit() || self.world.step();
        self.end_step();
        stepped
    }

    fn end_step(&mut self) {
        let Self { world, history, .. } = self;
        if !world.observations.is_empty() || world.observer.is_some() {
            world.consult_observer();
            for seen in &world.observations {
                history.lives.observe(world.steps, world.now, seen, &*world);
            }
            world.observations.clear();
            world.births.drain(..).for_each(|birth| history.lives.on_birth(birth));
        }
        history.add(&mut world.marks);
    }

    /// Does all steps up to and including `until`, at most `steps_max`; then it is `until`, unless there is more to do.
    /// How many steps that was.
    pub fn run_until(&mut self, until: Instant, steps_max: u64) -> u64 {
        let mut steps = 0;
        while self.next_event_at().is_some_and(|at| at <= until) {
            if steps == steps_max {
                return steps;
            }
            self.step();
            steps += 1;
        }
        self.world.now = self.world.now.max(until);
        steps
    }

    /// Does `count` steps, or as many as there are.
    pub fn run_steps(&mut self, count: u64) -> u64 {
        (0..count).take_while(|_| self.step()).count() as u64
    }

    /// Runs to the script's end; if it names none, to a minute after its last action. (Connected clients have heartbeats:
    /// something always happens.)
    pub fn run_to_end(&mut self) {
        let last = self.script.actions().last().map_or(Instant::ZERO, |(at, _)| at);
        let until = self.script.until.unwrap_or(last + std::time::Duration::from_secs(60));
        self.run_until(until, u64::MAX);
    }

    /// Goes to a step or time, back or ahead; with it, edits that lie ahead are done again.
    pub fn seek(&mut self, target: Target) {
        let behind = match target {
            Target::Step(step) => step < self.steps(),
            Target::Time(at) => at < self.now(),
        };
        if behind {
            self.rewind(target);
        }
        match target {
            Target::Step(step) => _ = self.run_steps(step.saturating_sub(self.steps())),
            Target::Time(at) => _ = self.run_until(at, u64::MAX),
        }
    }

    /// Goes back to a snapshot before `target`.
    fn rewind(&mut self, target: Target) {
        let before = |(world, _): &(World, usize)| match target {
            Target::Step(step) => world.steps <= step,
            Target::Time(at) => world.now <= at,
        };
        let count = self.snapshots.partition_point(before).max(1);
        if let Some((world, applied)) = self.snapshots.get(count - 1) {
            (self.world, self.applied) = (world.clone(), *applied);
            self.history.rewind(self.world.steps, self.world.next_number);
        }
    }

    fn redo_edit(&mut self) -> bool {
        let Some(edit) = self.edits.get(self.applied).filter(|edit| edit.position.step <= self.world.steps) else {
            return false;
        };
        self.applied += 1;
        self.world.now = self.world.now.max(edit.position.at);
        match self.world.apply(&edit.action) {
            Ok(()) => self.world.mark(MarkKind::Edit, "", edit.action.to_string(), 1),
            Err(error) => self.world.mark(MarkKind::Error, "edit", error.to_string(), 1),
        }
        true
    }

    fn take_snapshot(&mut self) {
        let last = self.snapshots.last().map_or(0, |(world, _)| world.steps);
        if self.steps() < last + self.snapshot_steps {
            return;
        }
        self.snapshots.push((self.world.clone(), self.applied));
        if self.snapshots.len() > SNAPSHOTS_MAX {
            let mut index = 0;
            self.snapshots.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.snapshot_steps *= 2;
        }
    }

    /// Everything but the messages.
    pub fn view(&mut self, limits: ViewLimits) -> View {
        self.world.view(&self.script.title, self.script.until, limits)
    }

    /// What is under way on the wires, appended as rows of eight: wire, direction (0 to the node, 1 to the client), kind,
    /// count, sent and arriving in milliseconds, number of the first message or -1, 1 if it waits behind a partition.
    /// Kinds: 0 publish, 1 message, 2 FIN, 3 REQ, 4 TOUCH, 5 RDY, 6 response, 7 other.
    pub fn motions(&self, out: &mut Vec<f64>) {
        self.world.motions(out);
    }

    /// Messages in the memory of nodes, at most 20,000, appended as rows of six: index of the topic or channel, message
    /// number, state (0 queued, 1 in flight, 2 deferred, 3 queued again after REQ, 4 after its time was up), index of the consumer or -1, attempts, due time
    /// or deadline in milliseconds.
    pub fn dots(&self, out: &mut Vec<f64>) {
        let lives = &self.history.lives;
        self.world.dots(|number, place| lives.has_timed_out(number, place), out);
    }

    /// The life of a message so far, as far as the last million steps of all lives tell; `None` if there is no such
    /// message, or with [light checks](Checks::Light).
    pub fn message(&self, number: u64) -> Option<MessageLife> {
        self.world.view_life(number, &self.history.lives)
    }

    /// The world, to be asked for names and counts.
    pub fn facts(&self) -> Facts<'_> {
        Facts(&self.world)
    }

    /// What is worth a mark on a timeline, of steps later than `step`.
    pub fn marks_since(&self, step: u64) -> impl Iterator<Item = &Mark> {
        self.history.since(step)
    }
}
