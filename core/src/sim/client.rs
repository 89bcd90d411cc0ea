//! Client programs: their connections, and what goes between those and what the program does ([`Workload`], [`Handler`]).

use std::collections::VecDeque;
use std::time::Duration;

use crate::name::{ChannelName, TopicName};
use crate::rng::Rng;
use crate::time::Instant;

use super::consumer::{Handler, Held};
use super::decode::number_of;
use super::flow::Flow;
use super::options::{ConsumerOptions, ProducerOptions};
use super::peer::{Heard, Peer};
use super::producer::Workload;

/// How long after a connection broke a program dials again.
const REDIAL: Duration = Duration::from_secs(1);

/// How long a program waits for a connection to be taken, and for anything on one; heartbeats come more often.
const DIAL_TIMEOUT: Duration = Duration::from_secs(1);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a message that failed waits for each attempt made, unless told otherwise, and at most.
const REQUEUE_DELAY: Duration = Duration::from_secs(90);
const REQUEUE_DELAY_MAX: Duration = Duration::from_secs(900);

/// What a program has to say about a message.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Finish(Held),
    Fail(Held),
    Touch(Held),
}

/// What a program does to a wire.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    Dial,
    Send(Vec<u8>),
    /// It has given the connection up.
    Reset,
}

/// What a program reports of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// A publish was sent.
    Published { first: u64, count: u32 },
    /// It was accepted.
    Acked { first: u64, count: u32 },
    /// It was refused, or its connection broke before the answer.
    Failed { first: u64, count: u32 },
    /// A message arrived.
    Received { wire: u32, number: u64, attempts: u16 },
    /// Its FIN was sent.
    Finished { wire: u32, number: u64 },
    /// Its REQ was sent.
    Requeued { wire: u32, number: u64 },
}

/// Where a program's doings go.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) doings: Vec<(u32, Doing)>,
    pub(super) reports: Vec<Report>,
}

/// A program's end of a wire.
#[derive(Clone, Debug)]
struct End {
    wire: u32,
    peer: Peer,
    open: bool,
    redial_at: Option<Instant>,
    /// When it gives the connection up.
    lost_at: Option<Instant>,
    /// Publishes not answered yet: first number and count.
    unanswered: VecDeque<(u64, u32)>,
}

/// What kind of program it is.
#[derive(Clone, Debug)]
pub(super) enum Program {
    Producer { options: ProducerOptions, workload: Workload, turn: usize },
    Consumer { options: ConsumerOptions, handler: Box<Handler>, flow: Box<Flow> },
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
    ends: Vec<End>,
    verdicts: Vec<Verdict>,
}

impl Client {
    pub(super) fn new(name: String, program: Program) -> Self {
        Self {
            name,
            up: false,
            stalled: false,
            removed: false,
            program,
            counts: Counts::default(),
            armed: None,
            ends: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    pub(super) fn consumer(name: String, options: ConsumerOptions, mut rng: Rng) -> Self {
        let flow = Box::new(Flow::new(options.max_in_flight, Rng::new(rng.next_u64())));
        Self::new(name, Program::Consumer { options, handler: Box::new(Handler::new(rng)), flow })
    }

    pub(super) fn producer(name: String, options: ProducerOptions) -> Self {
        Self::new(name, Program::Producer { options, workload: Workload::default(), turn: 0 })
    }

    /// What it reads, if it is a consumer.
    pub(super) fn subscription(&self) -> Option<(TopicName, ChannelName)> {
        match &self.program {
            Program::Consumer { options, .. } => {
                Some((TopicName::parse(&options.topic).ok()?, ChannelName::parse(&options.channel).ok()?))
            }
            Program::Producer { .. } => None,
        }
    }

    /// The node it is told to use, or `*`.
    pub(super) fn node(&self) -> &str {
        match &self.program {
            Program::Producer { options, .. } => &options.node,
            Program::Consumer { options, .. } => &options.node,
        }
    }

    /// RDY summed over its connections.
    pub(super) fn ready(&self) -> u64 {
        match &self.program {
            Program::Consumer { flow, .. } => u64::from(flow.total()),
            Program::Producer { .. } => 0,
        }
    }

    /// How far in backoff it is, and until when it waits.
    pub(super) fn backoff(&self) -> (u32, Option<Instant>) {
        match &self.program {
            Program::Consumer { flow, .. } => flow.backoff(),
            Program::Producer { .. } => (0, None),
        }
    }

    /// Messages it holds, or waits to publish or hear of.
    pub(super) fn pending(&self) -> u64 {
        match &self.program {
            Program::Consumer { handler, .. } => handler.len() as u64,
            Program::Producer { workload, .. } => {
                let sent = self.ends.iter().flat_map(|end| &end.unanswered).map(|&(_, count)| u64::from(count));
                workload.len() + sent.sum::<u64>()
            }
        }
    }

    /// The process starts.
    pub(super) fn start(&mut self, now: Instant, wires: impl IntoIterator<Item = u32>, out: &mut Outbox) {
        self.up = true;
        if let Program::Producer { options, workload, .. } = &mut self.program {
            workload.restart(now, options);
        }
        for wire in wires {
            self.add_wire(now, wire, out);
        }
    }

    /// There is a node more to talk to.
    pub(super) fn add_wire(&mut self, now: Instant, wire: u32, out: &mut Outbox) {
        let unanswered = VecDeque::new();
        self.ends.push(End {
            wire,
            peer: Peer::default(),
            open: false,
            redial_at: Some(now),
            lost_at: None,
            unanswered,
        });
        self.redial(now, out);
    }

    /// Dials where it is time to.
    fn redial(&mut self, now: Instant, out: &mut Outbox) {
        for end in &mut self.ends {
            if end.redial_at.is_some_and(|at| at <= now) {
                end.redial_at = None;
                end.lost_at = Some(now + DIAL_TIMEOUT);
                out.doings.push((end.wire, Doing::Dial));
            }
        }
    }

    /// The process dies.
    pub(super) fn crash(&mut self, out: &mut Outbox) {
        self.up = false;
        self.stalled = false;
        for end in self.ends.drain(..) {
            fail(&end, &mut self.counts, out);
        }
        match &mut self.program {
            Program::Producer { workload, .. } => workload.clear(),
            Program::Consumer { handler, flow, .. } => {
                handler.clear();
                flow.clear();
            }
        }
    }

    /// Options changed.
    pub(super) fn on_set(&mut self, now: Instant, out: &mut Outbox) {
        match &mut self.program {
            Program::Producer { options, workload, .. } if self.up => workload.restart(now, options),
            Program::Producer { .. } => {}
            Program::Consumer { options, flow, .. } => {
                flow.set_max_in_flight(now, options.max_in_flight);
                if !options.backoff {
                    flow.end_backoff(now);
                }
            }
        }
        self.advance(now, out);
    }

    /// A connection is open.
    pub(super) fn on_open(&mut self, now: Instant, wire: u32, out: &mut Outbox) {
        let Some(end) = self.ends.iter_mut().find(|end| end.wire == wire) else { return };
        end.open = true;
        end.lost_at = Some(now + READ_TIMEOUT);
        let bytes = match &mut self.program {
            Program::Producer { .. } => end.peer.open(r#"{"feature_negotiation":true}"#, None),
            Program::Consumer { options, flow, .. } => {
                flow.add(now, wire);
                let msg_timeout = options.msg_timeout.as_millis();
                let sample_rate = options.sample_rate;
                let mut json = format!(r#"{{"feature_negotiation":true,"sample_rate":{sample_rate}"#);
                if msg_timeout > 0 {
                    json += &format!(r#","msg_timeout":{msg_timeout}"#);
                }
                json.push('}');
                end.peer.open(&json, Some((&options.topic, &options.channel)))
            }
        };
        out.doings.push((wire, Doing::Send(bytes)));
        self.advance(now, out);
    }

    /// Tells nodes how many messages they may send now.
    fn ask(&mut self, out: &mut Outbox) {
        if let Program::Consumer { flow, .. } = &mut self.program {
            for (wire, ready) in flow.take_changes() {
                out.doings.push((wire, Doing::Send(format!("RDY {ready}\n").into_bytes())));
            }
        }
    }

    /// A connection broke, or was refused.
    pub(super) fn on_closed(&mut self, now: Instant, wire: u32, out: &mut Outbox) {
        self.lose(now, wire, out);
        self.advance(now, out);
    }

    fn lose(&mut self, now: Instant, wire: u32, out: &mut Outbox) {
        let Some(end) = self.ends.iter_mut().find(|end| end.wire == wire) else { return };
        end.open = false;
        end.lost_at = None;
        end.redial_at = Some(now + REDIAL);
        fail(end, &mut self.counts, out);
        end.unanswered.clear();
        if let Program::Consumer { handler, flow, .. } = &mut self.program {
            handler.forget(wire);
            flow.remove(now, wire);
        }
    }

    /// Bytes came in.
    pub(super) fn on_bytes(&mut self, now: Instant, wire: u32, bytes: &[u8], out: &mut Outbox) {
        let Some(end) = self.ends.iter_mut().find(|end| end.wire == wire) else { return };
        end.lost_at = Some(now + READ_TIMEOUT);
        let mut reply = Vec::new();
        let (program, counts, unanswered) = (&mut self.program, &mut self.counts, &mut end.unanswered);
        end.peer.hear(bytes, &mut reply, |heard| match (heard, &mut *program) {
            (Heard::Ok, Program::Producer { .. }) => {
                if let Some((first, count)) = unanswered.pop_front() {
                    counts.acked += u64::from(count);
                    out.reports.push(Report::Acked { first, count });
                }
            }
            (Heard::Message { id, attempts, body }, Program::Consumer { options, handler, flow }) => {
                flow.on_message(now, wire);
                let number = number_of(body).unwrap_or(0);
                counts.received += 1;
                out.reports.push(Report::Received { wire, number, attempts });
                handler.take(Held::new(wire, id, number, attempts), body, options);
            }
            (Heard::Ok | Heard::Error | Heard::Message { .. }, _) => {}
        });
        if !reply.is_empty() {
            out.doings.push((wire, Doing::Send(reply)));
        }
        self.advance(now, out);
    }

    /// Does what there is to do by `now`.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Outbox) {
        if !self.up {
            return;
        }
        while let Some(lost) = self.ends.iter().find(|end| end.lost_at.is_some_and(|at| at <= now)) {
            let wire = lost.wire;
            out.doings.push((wire, Doing::Reset));
            self.lose(now, wire, out);
        }
        self.redial(now, out);
        match &mut self.program {
            Program::Producer { options, workload, .. } => {
                if !self.stalled {
                    workload.advance(now, options);
                }
            }
            Program::Consumer { options, handler, flow } => {
                flow.advance(now);
                if !self.stalled {
                    let mut verdicts = std::mem::take(&mut self.verdicts);
                    handler.advance(now, options, &mut verdicts);
                    self.give(now, &mut verdicts, out);
                    self.verdicts = verdicts;
                }
                self.ask(out);
            }
        }
    }

    /// Whether it has something to publish and may; the wire then.
    pub(super) fn next_publish(&mut self) -> Option<(u32, super::producer::Batch)> {
        let Program::Producer { options, workload, turn } = &mut self.program else { return None };
        if self.stalled || !self.up || workload.is_empty() {
            return None;
        }
        let under_way: usize = self.ends.iter().map(|end| end.unanswered.len()).sum();
        if under_way >= if options.waits { 1 } else { options.window as usize } {
            return None;
        }
        let count = self.ends.len();
        let index = (0..count).map(|step| (*turn + step) % count).find(|&index| self.ends[index].open)?;
        *turn = index + 1;
        let batch = workload.pop()?;
        Some((self.ends[index].wire, batch))
    }

    /// A batch with these numbers was sent.
    pub(super) fn on_published(&mut self, wire: u32, first: u64, count: u32, out: &mut Outbox) {
        self.counts.published += u64::from(count);
        if let Some(end) = self.ends.iter_mut().find(|end| end.wire == wire) {
            end.unanswered.push_back((first, count));
        }
        out.reports.push(Report::Published { first, count });
    }

    fn give(&mut self, now: Instant, verdicts: &mut Vec<Verdict>, out: &mut Outbox) {
        let Program::Consumer { options, flow, .. } = &mut self.program else { return };
        let mut say = |wire: u32, bytes: &[u8]| match out.doings.last_mut() {
            Some((last, Doing::Send(said))) if *last == wire => said.extend_from_slice(bytes),
            _ => out.doings.push((wire, Doing::Send(bytes.to_vec()))),
        };
        for verdict in verdicts.drain(..) {
            match verdict {
                Verdict::Finish(held) => {
                    flow.on_finished(now);
                    self.counts.finished += 1;
                    say(held.wire, &[b"FIN ", &held.id.to_hex()[..], b"\n"].concat());
                    out.reports.push(Report::Finished { wire: held.wire, number: held.number });
                }
                Verdict::Fail(held) => {
                    if options.backoff {
                        flow.on_failed(now);
                    }
                    self.counts.requeued += 1;
                    let delay = (REQUEUE_DELAY * u32::from(held.attempts)).min(REQUEUE_DELAY_MAX);
                    let delay = options.requeue_delay.unwrap_or(delay);
                    say(held.wire, format!("REQ {} {}\n", held.id, delay.as_millis()).as_bytes());
                    out.reports.push(Report::Requeued { wire: held.wire, number: held.number });
                }
                Verdict::Touch(held) => say(held.wire, &[b"TOUCH ", &held.id.to_hex()[..], b"\n"].concat()),
            }
        }
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if !self.up {
            return None;
        }
        let redials = self.ends.iter().flat_map(|end| [end.redial_at, end.lost_at]).flatten().min();
        let program = match &self.program {
            Program::Producer { workload, .. } => workload.next_deadline().filter(|_| !self.stalled),
            Program::Consumer { options, handler, flow } => {
                let handler = handler.next_deadline(options).filter(|_| !self.stalled);
                [handler, flow.next_deadline()].into_iter().flatten().min()
            }
        };
        [redials, program].into_iter().flatten().min()
    }
}

fn fail(end: &End, counts: &mut Counts, out: &mut Outbox) {
    for &(first, count) in &end.unanswered {
        counts.failed += u64::from(count);
        out.reports.push(Report::Failed { first, count });
    }
}
