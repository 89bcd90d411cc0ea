//! The simulated world: nodes, clients and the wires between them in one value, and what happens next in it. A clone of it
//! goes its own way. Knows nothing of scripts beyond carrying out their actions, and nothing of rewinding.
//!
//! A *step* is one event handled or one action applied. All chance is drawn from generators in here, one for each concern.

use std::sync::Arc;

use crate::broker::Output;
use crate::name::TopicName;
use crate::protocol::ConnId;
use crate::rng::Rng;
use crate::time::Instant;
use crate::topic::{Event, Moved, Topic};

use super::client::{Client, Outbox, Report};
use super::decode::number_of;
use super::events::{Events, Happening};
use super::hash::TraceHash;
use super::history::{Mark, MarkKind};
use super::lives::{Birth, Names};
use super::network::{Network, Wire};
use super::node::{Life, Node, clock};
use super::observe::{Checks, Facts, Observation, Observer};
use super::places::Places;
use super::saboteur::Saboteur;
use super::script::{Action, Script};

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The step it was found in.
    pub step: u64,
    /// The time of that.
    pub at: Instant,
    /// What is wrong.
    pub text: String,
}

/// Salts of the generators.
#[derive(Clone, Copy)]
pub(super) enum Salt {
    Network = 1,
    Node = 2,
    Client = 3,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct World {
    seed: u64,
    pub(super) now: Instant,
    pub(super) steps: u64,
    pub(super) hash: TraceHash,
    pub(super) events: Events,
    script: Arc<[(Instant, Action)]>,
    next_action: usize,
    script_armed: Option<Instant>,
    pub(super) nodes: Vec<Node>,
    pub(super) clients: Vec<Client>,
    pub(super) wires: Vec<Wire>,
    pub(super) network: Network,
    pub(super) places: Places,
    /// The number the next message gets.
    pub(super) next_number: u64,
    pub(super) caption: Option<Arc<str>>,
    pub(super) violation: Option<Violation>,
    /// Of the steps since they were taken.
    pub(super) marks: Vec<Mark>,
    pub(super) checks: Checks,
    /// Of the step under way, if there are full checks.
    pub(super) observations: Vec<Observation>,
    /// What producers sent in it, if there are.
    pub(super) births: Vec<Birth>,
    pub(super) observer: Option<Box<dyn Observer>>,
    pub(super) saboteur: Option<Box<dyn Saboteur>>,
    /// Empty between two steps; kept for its memory.
    pub(super) client_outbox: Outbox,
    /// By connection: the client.
    pub(super) conn_clients: Vec<u32>,
    /// Connections with something to be sent; only kept for its memory.
    touched: Vec<(u32, ConnId)>,
}

impl World {
    pub(super) fn new(script: &Script) -> Self {
        let seed = script.seed;
        let mut world = Self {
            seed,
            now: Instant::ZERO,
            steps: 0,
            hash: TraceHash::new(seed),
            events: Events::default(),
            script: script.entries.clone().into(),
            next_action: 0,
            script_armed: None,
            nodes: Vec::new(),
            clients: Vec::new(),
            wires: Vec::new(),
            network: Network::new(generator(seed, Salt::Network, 0)),
            places: Places::default(),
            next_number: 0,
            caption: None,
            violation: None,
            marks: Vec::new(),
            checks: script.checks,
            observations: Vec::new(),
            births: Vec::new(),
            observer: None,
            saboteur: None,
            client_outbox: Outbox::default(),
            conn_clients: Vec::new(),
            touched: Vec::new(),
        };
        world.arm_script();
        world
    }

    /// A generator of its own for the `index`-th of a concern.
    pub(super) fn generator(&self, salt: Salt, index: usize) -> Rng {
        generator(self.seed, salt, index)
    }

    fn arm_script(&mut self) {
        let at = self.script.get(self.next_action).map(|(at, _)| *at);
        self.script_armed = None;
        self.events.arm(&mut self.script_armed, at, Happening::Script);
    }

    /// When the next event is. Does away with those that no longer count, which changes nothing.
    pub(super) fn next_event(&mut self) -> Option<(Instant, Happening)> {
        loop {
            let (at, happening) = self.events.next()?;
            let deadline = match happening {
                Happening::Script => Some(at),
                Happening::Arrival { wire, to_node, .. } => {
                    self.wires[wire as usize].has(at, usize::from(to_node)).then_some(at)
                }
                Happening::Broker(index) => {
                    let node = &mut self.nodes[index as usize];
                    let deadline = node.broker.as_ref().and_then(|broker| broker.poll_timeout());
                    due(at, &mut node.broker_armed, deadline)
                }
                Happening::Disk(index) => {
                    let node = &mut self.nodes[index as usize];
                    let deadline = node.disk_deadline();
                    due(at, &mut node.disk_armed, deadline)
                }
                Happening::Client(index) => {
                    let client = &mut self.clients[index as usize];
                    let deadline = client.next_deadline();
                    due(at, &mut client.armed, deadline)
                }
            };
            if deadline.is_some_and(|deadline| deadline <= at) {
                return Some((at, happening));
            }
            self.events.pop();
            match happening {
                Happening::Broker(index) | Happening::Disk(index) => self.arm_node(index),
                Happening::Client(index) => self.arm_client(index),
                Happening::Script | Happening::Arrival { .. } => {}
            }
        }
    }

    /// Handles the next event; `false` if there is none.
    pub(super) fn step(&mut self) -> bool {
        let Some((at, happening)) = self.next_event() else { return false };
        self.events.pop();
        self.now = self.now.max(at);
        self.steps += 1;
        self.hash.add(self.now.as_nanos());
        match happening {
            Happening::Script => self.on_script(),
            Happening::Broker(index) => self.on_broker(index),
            Happening::Disk(index) => self.on_disk(index),
            Happening::Client(index) => self.on_client(index),
            Happening::Arrival { wire, to_node: true, .. } => self.on_arrival_at_node(wire),
            Happening::Arrival { wire, to_node: false, .. } => self.on_arrival_at_client(wire),
        }
        true
    }

    fn on_script(&mut self) {
        let script = self.script.clone();
        let Some((_, action)) = script.get(self.next_action) else { return };
        self.next_action += 1;
        self.hash.add_bytes(action.to_string().as_bytes());
        if let Err(error) = self.carry_out(action) {
            self.mark(MarkKind::Error, "script", error.to_string(), 1);
        }
        self.arm_script();
    }

    /// Applies an action from outside, as a step of its own. One that cannot be done changes nothing.
    pub(super) fn apply(&mut self, action: &Action) -> Result<(), super::ActionError> {
        self.carry_out(action)?;
        self.steps += 1;
        self.hash.add(self.now.as_nanos());
        self.hash.add_bytes(action.to_string().as_bytes());
        Ok(())
    }

    fn on_broker(&mut self, index: u32) {
        let now = clock(self.now);
        let node = &mut self.nodes[index as usize];
        node.broker_armed = None;
        self.hash.add(1 << 32 | u64::from(index));
        if self.saboteur.as_mut().is_some_and(|saboteur| !saboteur.lets_time_pass()) {
            return;
        }
        if let Some(broker) = &mut node.broker {
            broker.handle_timeout(now);
        }
        self.settle_node(index);
    }

    fn on_disk(&mut self, index: u32) {
        let now = clock(self.now);
        let node = &mut self.nodes[index as usize];
        node.disk_armed = None;
        let completions = node.take_completions(now);
        self.hash.add(2 << 32 | u64::from(index));
        self.hash.add(completions as u64);
        self.settle_node(index);
    }

    fn on_client(&mut self, index: u32) {
        self.hash.add(3 << 32 | u64::from(index));
        self.clients[index as usize].armed = None;
        self.with_client(index, |_, _| ());
    }

    /// Takes note of something, if anybody wants to know.
    pub(super) fn observe(&mut self, seen: impl FnOnce() -> Observation) {
        if self.checks == Checks::Full {
            self.observations.push(seen());
        }
    }

    pub(super) fn on_report(&mut self, client: u32, report: Report) {
        self.clients[client as usize].counts.count(&report);
        let node_of = |wire: u32| self.wires[wire as usize].node;
        let seen = match report {
            Report::Published { first, count } => Observation::Sent { client, first, count },
            Report::Acked { first, count } => Observation::Acked { client, first, count },
            Report::Failed { first, count } => Observation::Unacked { client, first, count },
            Report::Received { wire, number, attempts } => {
                Observation::Received { client, node: node_of(wire), number, attempts }
            }
            Report::Finished { wire, number } => Observation::Finished { client, node: node_of(wire), number },
            Report::Requeued { wire, number } => Observation::Requeued { client, node: node_of(wire), number },
        };
        self.observe(|| seen);
        if let Report::Requeued { .. } = report {
            let name = self.clients[client as usize].name.clone();
            self.mark(MarkKind::Requeue, &name, String::new(), 1);
        }
        if let Report::Received { wire, number, .. } = report
            && let Some(place) = self.wires[wire as usize].place
        {
            self.places.on_received(place, number);
        }
    }

    /// Shows the observer what happened in the step that is over.
    pub(super) fn consult_observer(&mut self) {
        let Some(mut observer) = self.observer.take() else { return };
        observer.meet(&Facts(self));
        for seen in &self.observations {
            observer.observe(self.now, seen);
        }
        let wrong = observer.after_step(&Facts(self)).err();
        self.observer = Some(observer);
        wrong.into_iter().for_each(|text| self.violate(text));
    }

    /// Routes what a node's broker emits, and sees to its timers.
    pub(super) fn settle_node(&mut self, index: u32) {
        let now = clock(self.now);
        let mut metadata_changed = false;
        let mut touched = std::mem::take(&mut self.touched);
        while let Some(output) = self.nodes[index as usize].poll_output() {
            match output {
                Output::Send { conn, bytes } => self.say(index, conn, bytes, &mut touched),
                Output::Close { conn } => self.hang_up(index, conn),
                Output::Store(mut op) => {
                    if let Some(saboteur) = &mut self.saboteur {
                        saboteur.on_operation(&mut op);
                    }
                    self.nodes[index as usize].submit(now, op);
                }
                Output::TopicCreated(topic) => {
                    let place = self.places.topic(index, &topic);
                    self.observe(|| Observation::Created { place });
                    metadata_changed |= !topic.is_ephemeral();
                }
                Output::TopicDeleted(topic) => {
                    let place = self.places.topic(index, &topic);
                    self.observe(|| Observation::Deleted { place });
                    metadata_changed |= !topic.is_ephemeral();
                }
                Output::Event { topic, event } => metadata_changed |= self.on_event(index, &topic, event),
            }
        }
        for (wire, conn) in touched.drain(..) {
            self.flush(wire, conn);
        }
        self.touched = touched;
        let node = &mut self.nodes[index as usize];
        if metadata_changed && node.life == Life::Up {
            node.put_metadata(now);
        }
        self.settle_life(index);
        self.arm_node(index);
    }

    /// Takes note of what a topic tells; whether `nsqd.dat` is behind now.
    fn on_event(&mut self, index: u32, topic: &TopicName, event: Event) -> bool {
        match event {
            Event::ChannelCreated(channel) => {
                let place = self.places.channel(index, topic, &channel);
                self.observe(|| Observation::Created { place });
                !topic.is_ephemeral() && !channel.is_ephemeral()
            }
            Event::ChannelDeleted(channel) => {
                let place = self.places.channel(index, topic, &channel);
                self.observe(|| Observation::Deleted { place });
                !topic.is_ephemeral() && !channel.is_ephemeral()
            }
            Event::Unused => false,
            Event::Moved { channel, how, run } => {
                if self.checks == Checks::Full {
                    let place = self.places.place(index, topic.clone(), channel.clone());
                    let moved = run.messages().filter_map(|message| {
                        Some(Observation::Moved { place, how, number: number_of(message.body)?, id: message.id })
                    });
                    self.observations.extend(moved);
                }
                let place = channel.map_or(topic.to_string(), |channel| format!("{topic}/{channel}"));
                match how {
                    Moved::TimedOut => self.mark(MarkKind::Timeout, &place, String::new(), run.len()),
                    Moved::Dropped | Moved::SampledOut => self.mark(MarkKind::Drop, &place, String::new(), run.len()),
                    Moved::Due | Moved::Refused | Moved::Repeated => {}
                }
                false
            }
            Event::StorageFailed { log, action, error } => {
                self.observe(|| Observation::StorageFailed { node: index });
                self.mark(MarkKind::Error, &log.to_string(), format!("cannot {action}: {error}"), 1);
                false
            }
        }
    }

    fn settle_life(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        let complaints = node.disk.take_complaints();
        let name = node.name.clone();
        match node.settle() {
            Ok(Some(Life::Up)) => {
                node.put_metadata(clock(self.now));
                self.observe(|| Observation::NodeUp { node: index });
                self.mark(MarkKind::Start, &name, String::new(), 1);
            }
            Ok(Some(Life::Down)) => {
                self.observe(|| Observation::NodeStopped { node: index });
                self.mark(MarkKind::Stop, &name, String::new(), 1);
            }
            Ok(_) => {}
            Err(error) => self.mark(MarkKind::Error, &name, error.to_string(), 1),
        }
        for complaint in complaints {
            self.mark(MarkKind::Error, &name, complaint, 1);
        }
    }

    pub(super) fn arm_node(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        let deadline = node.broker.as_ref().and_then(|broker| broker.poll_timeout());
        let disk_deadline = node.disk_deadline();
        self.events.arm(&mut node.broker_armed, deadline, Happening::Broker(index));
        self.events.arm(&mut node.disk_armed, disk_deadline, Happening::Disk(index));
    }

    pub(super) fn arm_client(&mut self, index: u32) {
        let client = &mut self.clients[index as usize];
        let deadline = client.next_deadline();
        self.events.arm(&mut client.armed, deadline, Happening::Client(index));
    }

    pub(super) fn mark(&mut self, kind: MarkKind, who: &str, text: String, count: u32) {
        if let Some(last) = self.marks.last_mut()
            && (last.step, last.kind) == (self.steps, kind)
            && *last.who == *who
            && last.text == text
        {
            last.count += count;
            return;
        }
        self.marks.push(Mark { step: self.steps, at: self.now, kind, who: who.into(), text, count });
    }

    /// Something is wrong; only the first thing counts.
    pub(super) fn violate(&mut self, text: String) {
        self.mark(MarkKind::Violation, "", text.clone(), 1);
        self.violation.get_or_insert(Violation { step: self.steps, at: self.now, text });
    }
}

impl Names for World {
    /// Who is, or was, at the other end of a connection.
    fn client_of(&self, conn: ConnId) -> Option<u32> {
        self.conn_clients.get(usize::try_from(conn.0).ok()?.checked_sub(1)?).copied()
    }

    fn channels_of(&self, topic: u32) -> Vec<u32> {
        let Some(place) = self.places.get(topic) else { return Vec::new() };
        let broker = self.nodes[place.node as usize].broker.as_ref();
        let channels = broker.and_then(|broker| broker.topic(&place.topic)).into_iter().flat_map(Topic::channels);
        channels.filter_map(|(channel, _)| self.places.find(place.node, &place.topic, Some(channel))).collect()
    }
}

fn generator(seed: u64, salt: Salt, index: usize) -> Rng {
    let mut mixed = TraceHash::new(seed);
    mixed.add(salt as u64);
    mixed.add(index as u64);
    Rng::new(mixed.value())
}

/// The deadline of an owner whose alarm rings at `at`, if it is the one that counts. It is then unset.
fn due(at: Instant, armed: &mut Option<Instant>, deadline: Option<Instant>) -> Option<Instant> {
    if *armed != Some(at) {
        return None;
    }
    if deadline.is_none_or(|deadline| deadline > at) {
        *armed = None;
    }
    deadline
}
