//! The simulated world: nodes, clients and the wires between them in one value, and what happens next in it. A clone of it
//! goes its own way. Knows nothing of scripts beyond carrying out their actions, and nothing of rewinding.
//!
//! A *step* is one event handled or one action applied. All chance is drawn from generators in here, one for each concern.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::Output;
use crate::name::TopicName;
use crate::protocol::ConnId;
use crate::rng::Rng;
use crate::time::Instant;
use crate::topic::{Event, Moved};

use super::client::{Client, Doing, Outbox, Report};
use super::events::{Events, Happening};
use super::hash::TraceHash;
use super::history::{Mark, MarkKind};
use super::network::{ClientEnd, Network, Parcel, TO_CLIENT, TO_NODE, Wire};
use super::node::{Life, Node, clock};
use super::places::Places;
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
    events: Events,
    script: Arc<[(Instant, Action)]>,
    next_action: usize,
    script_armed: Option<Instant>,
    pub(super) nodes: Vec<Node>,
    pub(super) clients: Vec<Client>,
    pub(super) wires: Vec<Wire>,
    /// By client and node.
    pub(super) wire_index: BTreeMap<(u32, u32), u32>,
    pub(super) network: Network,
    pub(super) places: Places,
    /// The number the next message gets.
    pub(super) next_number: u64,
    next_conn: u64,
    pub(super) caption: Option<Arc<str>>,
    pub(super) violation: Option<Violation>,
    /// Of the steps since they were taken.
    pub(super) marks: Vec<Mark>,
    outbox_wires: Vec<u32>,
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
            wire_index: BTreeMap::new(),
            network: Network::new(generator(seed, Salt::Network, 0)),
            places: Places::default(),
            next_number: 0,
            next_conn: 0,
            caption: None,
            violation: None,
            marks: Vec::new(),
            outbox_wires: Vec::new(),
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
        let now = self.now;
        self.clients[index as usize].armed = None;
        self.with_client(index, |client, out| client.advance(now, out));
    }

    fn on_arrival_at_node(&mut self, index: u32) {
        let now = clock(self.now);
        let wire = &mut self.wires[index as usize];
        let Some(chunk) = wire.take(now.mono, TO_NODE) else { return };
        self.hash.add(4 << 32 | u64::from(index));
        if chunk.epoch != wire.epoch {
            return;
        }
        let node_index = wire.node;
        let node = &mut self.nodes[node_index as usize];
        match (chunk.parcel, wire.conn, &mut node.broker) {
            (Parcel::Open, _, Some(broker)) if node.life == Life::Up => {
                self.next_conn += 1;
                let conn = ConnId(self.next_conn);
                wire.conn = Some(conn);
                node.conns.insert(conn, index);
                broker.handle_connect(now, conn);
                self.send(index, TO_CLIENT, Parcel::Accepted);
            }
            (Parcel::Bytes(bytes), Some(conn), Some(broker)) => {
                self.hash.add_bytes(&bytes);
                broker.handle_bytes(now, conn, &bytes);
            }
            (Parcel::End, Some(conn), Some(broker)) => broker.handle_eof(now, conn),
            (Parcel::Reset, Some(conn), broker) => {
                wire.conn = None;
                node.conns.remove(&conn);
                if let Some(broker) = broker {
                    broker.handle_disconnect(now, conn);
                }
            }
            (Parcel::Open | Parcel::Bytes(_), ..) => self.send(index, TO_CLIENT, Parcel::Reset),
            (Parcel::End | Parcel::Accepted | Parcel::Reset, ..) => {}
        }
        self.settle_node(node_index);
    }

    fn on_arrival_at_client(&mut self, index: u32) {
        let now = self.now;
        let wire = &mut self.wires[index as usize];
        let Some(chunk) = wire.take(now, TO_CLIENT) else { return };
        self.hash.add(5 << 32 | u64::from(index));
        if chunk.epoch != wire.epoch {
            return;
        }
        let client = wire.client;
        match (chunk.parcel, wire.client_end) {
            (Parcel::Accepted, ClientEnd::Dialing) => {
                wire.client_end = ClientEnd::Open;
                wire.place = self.clients[client as usize]
                    .subscription()
                    .map(|(topic, channel)| self.places.channel(wire.node, &topic, &channel));
                self.with_client(client, |client, out| client.on_open(now, index, out));
            }
            (Parcel::Bytes(bytes), ClientEnd::Open) => {
                self.hash.add_bytes(&bytes);
                self.with_client(client, |client, out| client.on_bytes(now, index, &bytes, out));
            }
            (Parcel::Reset | Parcel::End, ClientEnd::Dialing | ClientEnd::Open) => {
                wire.client_end = ClientEnd::Closed;
                self.with_client(client, |client, out| client.on_closed(now, index, out));
            }
            _ => {}
        }
    }

    /// Sends over a wire.
    pub(super) fn send(&mut self, wire: u32, direction: usize, parcel: Parcel) {
        let Self { wires, network, events, now, .. } = self;
        wires[wire as usize].send(wire, *now, direction, parcel, network, events);
    }

    /// Resets the connection of a wire at both ends, at once.
    pub(super) fn reset(&mut self, index: u32) {
        let now = clock(self.now);
        let wire = &mut self.wires[index as usize];
        wire.clear();
        let (node, client) = (wire.node, wire.client);
        let conn = wire.conn.take();
        let was_open = std::mem::replace(&mut wire.client_end, ClientEnd::Closed) != ClientEnd::Closed;
        if let Some(conn) = conn {
            let node_state = &mut self.nodes[node as usize];
            node_state.conns.remove(&conn);
            if let Some(broker) = &mut node_state.broker {
                broker.handle_disconnect(now, conn);
            }
            self.settle_node(node);
        }
        if was_open {
            self.with_client(client, |client, out| client.on_closed(now.mono, index, out));
        }
    }

    /// A wire works again.
    pub(super) fn heal(&mut self, index: u32) {
        let Self { wires, network, events, now, .. } = self;
        if wires[index as usize].heal(index, *now, network, events) {
            self.reset(index);
        }
    }

    /// Lets a client do something and carries out what it wants.
    pub(super) fn with_client(&mut self, index: u32, act: impl FnOnce(&mut Client, &mut Outbox)) {
        let mut out = Outbox::default();
        act(&mut self.clients[index as usize], &mut out);
        self.publish(index, &mut out);
        for report in out.reports.drain(..) {
            self.on_report(report);
        }
        // What a program says at once on one wire travels together.
        let mut doings = out.doings.drain(..).peekable();
        while let Some((wire, doing)) = doings.next() {
            match doing {
                Doing::Dial => {
                    self.wires[wire as usize].dial();
                    self.send(wire, TO_NODE, Parcel::Open);
                }
                Doing::Send(mut bytes) => {
                    while let Some((_, Doing::Send(more))) =
                        doings.next_if(|(next, doing)| *next == wire && matches!(doing, Doing::Send(_)))
                    {
                        bytes.extend_from_slice(&more);
                    }
                    if self.wires[wire as usize].client_end == ClientEnd::Open {
                        self.send(wire, TO_NODE, Parcel::Bytes(Arc::new(bytes)));
                    }
                }
            }
        }
        drop(doings);
        self.arm_client(index);
    }

    /// Has a producer send what it may send.
    fn publish(&mut self, index: u32, out: &mut Outbox) {
        while let Some((wire, batch)) = self.clients[index as usize].next_publish() {
            let super::client::Program::Producer { options, .. } = &self.clients[index as usize].program else {
                return;
            };
            let first = self.next_number;
            self.next_number += u64::from(batch.count);
            let mut bytes = Vec::new();
            super::publish::put(&mut bytes, &options.topic, first, &batch);
            let client = &mut self.clients[index as usize];
            if batch.defer.is_zero() || batch.count == 1 {
                client.on_published(wire, first, batch.count, out);
            } else {
                (first..first + u64::from(batch.count)).for_each(|number| client.on_published(wire, number, 1, out));
            }
            out.doings.push((wire, Doing::Send(bytes)));
        }
    }

    fn on_report(&mut self, report: Report) {
        if let Report::Received { wire, number, .. } = report
            && let Some(place) = self.wires[wire as usize].place
        {
            self.places.on_received(place, number);
        }
    }

    /// Routes what a node's broker emits, and sees to its timers.
    pub(super) fn settle_node(&mut self, index: u32) {
        let now = clock(self.now);
        let mut metadata_changed = false;
        let mut touched = std::mem::take(&mut self.outbox_wires);
        while let Some(output) = self.nodes[index as usize].poll_output() {
            match output {
                Output::Send { conn, bytes } => {
                    if let Some(&wire) = self.nodes[index as usize].conns.get(&conn) {
                        let outgoing = &mut self.wires[wire as usize].outgoing;
                        if outgoing.is_empty() {
                            *outgoing = bytes;
                            touched.push(wire);
                        } else {
                            outgoing.extend_from_slice(&bytes);
                        }
                    }
                }
                Output::Close { conn } => {
                    if let Some(wire) = self.nodes[index as usize].conns.remove(&conn) {
                        self.flush(wire);
                        self.wires[wire as usize].conn = None;
                        self.send(wire, TO_CLIENT, Parcel::End);
                    }
                }
                Output::Store(op) => self.nodes[index as usize].submit(now, op),
                Output::TopicCreated(topic) => {
                    self.places.topic(index, &topic);
                    metadata_changed |= !topic.is_ephemeral();
                }
                Output::TopicDeleted(topic) => metadata_changed |= !topic.is_ephemeral(),
                Output::Event { topic, event } => metadata_changed |= self.on_event(index, &topic, event),
            }
        }
        for wire in touched.drain(..) {
            self.flush(wire);
        }
        self.outbox_wires = touched;
        let node = &mut self.nodes[index as usize];
        if metadata_changed && node.life == Life::Up {
            node.put_metadata(now);
        }
        self.settle_life(index);
        self.arm_node(index);
    }

    fn flush(&mut self, wire: u32) {
        let bytes = std::mem::take(&mut self.wires[wire as usize].outgoing);
        if !bytes.is_empty() {
            self.send(wire, TO_CLIENT, Parcel::Bytes(Arc::new(bytes)));
        }
    }

    /// Takes note of what a topic tells; whether `nsqd.dat` is behind now.
    fn on_event(&mut self, index: u32, topic: &TopicName, event: Event) -> bool {
        match event {
            Event::ChannelCreated(channel) => {
                self.places.channel(index, topic, &channel);
                !topic.is_ephemeral() && !channel.is_ephemeral()
            }
            Event::ChannelDeleted(channel) => !topic.is_ephemeral() && !channel.is_ephemeral(),
            Event::Unused => false,
            Event::Moved { channel, how, run } => {
                let place = channel.map_or(topic.to_string(), |channel| format!("{topic}/{channel}"));
                match how {
                    Moved::TimedOut => self.mark(MarkKind::Timeout, &place, String::new(), run.len()),
                    Moved::Dropped | Moved::SampledOut => self.mark(MarkKind::Drop, &place, String::new(), run.len()),
                    Moved::Due => {}
                }
                false
            }
            Event::StorageFailed { log, action, error } => {
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
                self.mark(MarkKind::Start, &name, String::new(), 1);
            }
            Ok(Some(Life::Down)) => self.mark(MarkKind::Stop, &name, String::new(), 1),
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
