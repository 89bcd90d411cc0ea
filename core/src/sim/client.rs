//! Client programs as processes: they start, crash and stall, and have wires to nodes. What they do is [`Producer`]'s and
//! [`Consumer`]'s.

use std::time::Duration;

use bytes::Bytes;

use crate::name::{ChannelName, TopicName};
use crate::rng::Rng;
use crate::time::Instant;

use super::consumer::Consumer;
use super::lives::Birth;
use super::options::{ConsumerOptions, ProducerOptions};
use super::producer::Producer;

/// How long a program waits for a connection to be taken.
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// What a program does to a wire.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    Dial,
    Send(Vec<u8>),
    /// What was sent before still arrives.
    Close,
    /// It does not wait any longer for the connection to be taken.
    GiveUp,
}

/// What a program reports of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Messages were published.
    Published { first: u64, count: u32 },
    /// They were accepted.
    Acked { first: u64, count: u32 },
    /// They were refused, or nobody knows.
    Failed { first: u64, count: u32 },
    /// A message arrived.
    Received { wire: u32, number: u64, attempts: u16 },
    /// Its FIN was sent.
    Finished { wire: u32, number: u64 },
    /// Its REQ was sent.
    Requeued { wire: u32, number: u64 },
}

/// Where a program's doings go.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    pub(super) doings: Vec<(u32, Doing)>,
    pub(super) reports: Vec<Report>,
    pub(super) births: Vec<Birth>,
}

/// What kind of program it is.
#[derive(Clone, Debug)]
pub(super) enum Program {
    Producer(Box<Producer>),
    Consumer(Box<Consumer>),
}

/// Counts of a program since it was made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) acked: u64,
    pub(super) failed: u64,
    pub(super) received: u64,
    pub(super) finished: u64,
    pub(super) requeued: u64,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) up: bool,
    pub(super) stalled: bool,
    pub(super) removed: bool,
    pub(super) program: Program,
    pub(super) counts: Counts,
    pub(super) armed: Option<Instant>,
    /// Wires where it waits for the connection to be taken, and until when.
    dialing: Vec<(u32, Instant)>,
}

impl Client {
    fn new(name: String, program: Program) -> Self {
        Self {
            name,
            up: false,
            stalled: false,
            removed: false,
            program,
            counts: Counts::default(),
            armed: None,
            dialing: Vec::new(),
        }
    }

    pub(super) fn consumer(name: String, options: ConsumerOptions, rng: Rng) -> Self {
        Self::new(name, Program::Consumer(Box::new(Consumer::new(options, rng))))
    }

    pub(super) fn producer(name: String, options: ProducerOptions) -> Self {
        Self::new(name, Program::Producer(Box::new(Producer::new(options))))
    }

    /// What it reads, if it is a consumer.
    pub(super) fn subscription(&self) -> Option<(TopicName, ChannelName)> {
        match &self.program {
            Program::Consumer(consumer) => consumer.subscription(),
            Program::Producer(_) => None,
        }
    }

    /// The node it is told to use, or `*`.
    pub(super) fn node(&self) -> &str {
        match &self.program {
            Program::Producer(producer) => &producer.options.node,
            Program::Consumer(consumer) => &consumer.options.node,
        }
    }

    /// RDY summed over its connections.
    pub(super) fn ready(&self) -> u64 {
        match &self.program {
            Program::Consumer(consumer) => consumer.ready(),
            Program::Producer(_) => 0,
        }
    }

    /// How far in backoff it is, and until when it waits.
    pub(super) fn backoff(&self) -> (u32, Option<Instant>) {
        match &self.program {
            Program::Consumer(consumer) => consumer.backoff(),
            Program::Producer(_) => (0, None),
        }
    }

    /// Messages it has not answered, or waits to publish or hear of.
    pub(super) fn pending(&self) -> u64 {
        match &self.program {
            Program::Consumer(consumer) => consumer.in_flight(),
            Program::Producer(producer) => producer.waiting(),
        }
    }

    /// The process starts.
    pub(super) fn start(&mut self, now: Instant) {
        self.up = true;
        match &mut self.program {
            Program::Producer(producer) => producer.workload.restart(now, &producer.options),
            Program::Consumer(consumer) => consumer.start(&self.name),
        }
    }

    /// There is a node to talk to.
    pub(super) fn add_wire(&mut self, now: Instant, node: &str, wire: u32) {
        match &mut self.program {
            Program::Producer(producer) => producer.add_wire(now, &self.name, node, wire),
            Program::Consumer(consumer) => consumer.add_wire(now, node, wire),
        }
    }

    /// The process dies.
    pub(super) fn crash(&mut self, out: &mut Outbox) {
        self.up = false;
        self.stalled = false;
        self.dialing.clear();
        match &mut self.program {
            Program::Producer(producer) => producer.crash(out),
            Program::Consumer(consumer) => consumer.crash(),
        }
    }

    /// Options changed that need no new connection.
    pub(super) fn on_set(&mut self, now: Instant) {
        match &mut self.program {
            Program::Producer(producer) if self.up => producer.workload.restart(now, &producer.options),
            Program::Producer(_) => {}
            Program::Consumer(consumer) => consumer.on_set(now),
        }
    }

    /// A connection is open.
    pub(super) fn on_open(&mut self, now: Instant, wire: u32) {
        self.dialing.retain(|(dialed, _)| *dialed != wire);
        match &mut self.program {
            Program::Producer(producer) => producer.on_open(now, wire),
            Program::Consumer(consumer) => consumer.on_open(now, wire),
        }
    }

    /// A connection ended, or was refused.
    pub(super) fn on_closed(&mut self, now: Instant, wire: u32, reason: &str) {
        self.dialing.retain(|(dialed, _)| *dialed != wire);
        match &mut self.program {
            Program::Producer(producer) => producer.on_closed(now, wire, reason),
            Program::Consumer(consumer) => consumer.on_closed(now, wire, reason),
        }
    }

    /// Bytes came in.
    pub(super) fn on_bytes(&mut self, now: Instant, wire: u32, bytes: Bytes) {
        match &mut self.program {
            Program::Producer(producer) => producer.on_bytes(now, wire, bytes),
            Program::Consumer(consumer) => consumer.on_bytes(now, wire, bytes),
        }
    }

    /// Does what there is to do by `now`, and what follows from it. `next_number`: of the next message made.
    pub(super) fn advance(&mut self, now: Instant, next_number: &mut u64, out: &mut Outbox) {
        if !self.up {
            return;
        }
        while let Some(&(wire, _)) = self.dialing.iter().find(|(_, until)| *until <= now) {
            out.doings.push((wire, Doing::GiveUp));
            self.on_closed(now, wire, "i/o timeout");
        }
        match &mut self.program {
            Program::Producer(producer) => producer.advance(now, self.stalled, next_number, out),
            Program::Consumer(consumer) => consumer.advance(now, self.stalled, out),
        }
        let dialed = out.doings.iter().filter(|(_, doing)| matches!(doing, Doing::Dial));
        self.dialing.extend(dialed.map(|&(wire, _)| (wire, now + DIAL_TIMEOUT)));
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if !self.up {
            return None;
        }
        let program = match &self.program {
            Program::Producer(producer) => producer.next_deadline(self.stalled),
            Program::Consumer(consumer) => consumer.next_deadline(self.stalled),
        };
        self.dialing.iter().map(|&(_, until)| until).chain(program).min()
    }
}

impl Counts {
    pub(super) fn count(&mut self, report: &Report) {
        match *report {
            Report::Published { count, .. } => self.published += u64::from(count),
            Report::Acked { count, .. } => self.acked += u64::from(count),
            Report::Failed { count, .. } => self.failed += u64::from(count),
            Report::Received { .. } => self.received += 1,
            Report::Finished { .. } => self.finished += 1,
            Report::Requeued { .. } => self.requeued += 1,
        }
    }
}
