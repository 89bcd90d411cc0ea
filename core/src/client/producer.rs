//! A producer: publishes to one nsqd and matches its answers, which come in the order of the commands. It connects when
//! there is something to publish, and again, with growing waits, after a connection that failed.
//!
//! A publish ends in one of three ways. Accepted: the broker said `OK`. Refused: the broker said why. Unknown, when the
//! connection broke or the time was over after it had been sent: it may have been accepted, and publishing it again may
//! make two messages of it. What was not sent yet fails as not connected when a connection cannot be opened.
//!
//! Invariants: `waiting` has an entry for each publish that is not over, sent ones first; answers are matched to the
//! first. One whose time is over stays, so that the answers behind it still fit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::name::TopicName;
use crate::time::Instant;
use crate::wire::put_publish;

use super::{ClientOptions, Connection, Heard, PeerId, ServerError, Upgrade};

/// Waits before dialling again: this after one failure, doubled after each, up to the largest.
const REDIAL_MIN: Duration = Duration::from_millis(100);
const REDIAL_MAX: Duration = Duration::from_secs(5);

/// A publish under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Why a message is not known to be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The broker refused it.
    #[error(transparent)]
    Refused(#[from] ServerError),
    /// There is no connection; it was not sent.
    #[error("not connected: {0}")]
    NotConnected(String),
    /// The connection ended before the answer; it may have been accepted.
    #[error("not connected: {0}, before the answer; the message may have been published")]
    Unanswered(String),
    /// No answer in `confirm_timeout`; it may still be accepted, if it was sent.
    #[error("no answer in time; the message may have been published")]
    TimedOut,
    /// Too much waits already.
    #[error("too many publishes wait for their answers")]
    Full,
    /// The producer was stopped.
    #[error("stopped")]
    Stopped,
}

/// What the host has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProducerOutput {
    /// Open a connection: answered by `handle_connected` or `handle_disconnected`.
    Connect {
        /// Its number from now on.
        peer: PeerId,
    },
    /// Write this.
    Send {
        /// Where to.
        peer: PeerId,
        /// Whole commands.
        bytes: Vec<u8>,
    },
    /// Change the stream of a connection, as its client: what was to be written before this is written before it, what is
    /// read and written from now on goes through it. If it fails, the connection ends.
    Upgrade {
        /// The connection.
        peer: PeerId,
        /// Into what.
        upgrade: Upgrade,
        /// What was read already and belongs behind the change.
        rest: Bytes,
    },
    /// Write what is left, and close.
    Close {
        /// The connection.
        peer: PeerId,
    },
    /// The connection can be used.
    Up,
    /// There is none, or no longer.
    Down {
        /// Why, in words.
        reason: String,
    },
    /// A publish is over.
    Done {
        /// Which.
        ticket: Ticket,
        /// How.
        result: Result<(), PublishError>,
    },
}

#[derive(Clone, Debug)]
enum Link {
    /// Nothing to publish, or waiting until a time.
    Down,
    Dialing(PeerId),
    Up {
        peer: PeerId,
        connection: Box<Connection>,
        last_heard: Instant,
        /// A command was refused: the broker is closing, and nothing more is sent.
        ending: bool,
    },
}

#[derive(Clone, Debug)]
struct Waiting {
    ticket: Ticket,
    /// Answers still to come.
    answers: usize,
    deadline: Instant,
    /// Where its commands begin, counted from the first byte ever, and how long they are.
    begins: u64,
    bytes: usize,
    /// The first error among its answers.
    error: Option<ServerError>,
    /// The caller knows the outcome already.
    over: bool,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Producer {
    address: Arc<str>,
    options: ClientOptions,
    link: Link,
    next_peer: u32,
    next_ticket: u64,
    failures: u32,
    /// Not dialled before.
    dial_at: Option<Instant>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Of `waiting`, those from here on may still run out of time.
    untimed: usize,
    /// Commands not sent, and how many bytes were sent before them.
    unsent: Vec<u8>,
    sent_bytes: u64,
    /// What connections say of themselves.
    greeting: Vec<u8>,
    stopped: bool,
    outputs: VecDeque<ProducerOutput>,
}

impl Producer {
    /// A producer for the nsqd at `address`. It connects when there is something to do.
    pub fn new(address: &str, options: ClientOptions) -> Self {
        Self {
            address: Arc::from(address),
            options,
            link: Link::Down,
            next_peer: 0,
            next_ticket: 0,
            failures: 0,
            dial_at: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            untimed: 0,
            unsent: Vec::new(),
            sent_bytes: 0,
            greeting: Vec::new(),
            stopped: false,
            outputs: VecDeque::new(),
        }
    }

    /// Where it publishes.
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// Publishes whose outcome is open.
    pub fn pending(&self) -> usize {
        self.waiting.len()
    }

    /// Commands can be sent at once.
    pub fn is_connected(&self) -> bool {
        matches!(&self.link, Link::Up { connection, .. } if connection.is_ready())
    }

    /// Publishes `bodies`, together if there are several, `defer` from now. Its end is told by
    /// [`ProducerOutput::Done`]. Of several that are deferred, each is a publish of its own to the broker, and the first
    /// refusal is told. No body is [`Refused`](PublishError::Refused) here, as the broker would.
    pub fn publish<B: AsRef<[u8]>>(
        &mut self,
        now: Instant,
        topic: &TopicName,
        bodies: &[B],
        defer: Duration,
    ) -> Result<Ticket, PublishError> {
        if self.stopped {
            return Err(PublishError::Stopped);
        }
        if self.waiting.len() >= self.options.max_pending || self.waiting_bytes >= self.options.max_pending_bytes {
            return Err(PublishError::Full);
        }
        if let (true, Link::Up { last_heard, .. }) = (self.waiting.is_empty(), &mut self.link) {
            // Without heartbeats, silence means something from now on only.
            *last_heard = now;
        }
        let begins = self.sent_bytes + self.unsent.len() as u64;
        let answers = put_publish(&mut self.unsent, topic, bodies, defer);
        if answers == 0 {
            return Err(ServerError("E_BAD_BODY nothing to publish".to_owned()).into());
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let deadline = now + self.options.confirm_timeout;
        let bytes = self.unsent.len() - (begins - self.sent_bytes) as usize;
        self.waiting_bytes += bytes;
        self.waiting.push_back(Waiting { ticket, answers, deadline, begins, bytes, error: None, over: false });
        self.connect(now);
        Ok(ticket)
    }

    /// Connects, if there is no connection and no reason to wait.
    pub fn connect(&mut self, now: Instant) {
        if !self.stopped && matches!(self.link, Link::Down) && self.dial_at.is_none_or(|at| at <= now) {
            self.dial_at = None;
            let peer = PeerId(self.next_peer);
            self.next_peer += 1;
            self.link = Link::Dialing(peer);
            self.outputs.push_back(ProducerOutput::Connect { peer });
        }
    }

    /// The connection that was asked for is open.
    pub fn handle_connected(&mut self, now: Instant, id: PeerId) {
        if matches!(self.link, Link::Dialing(peer) if peer == id) {
            let connection = Box::new(Connection::open(&self.options, &mut self.greeting));
            self.link = Link::Up { peer: id, connection, last_heard: now, ending: false };
        }
    }

    /// The connection could not be opened, or ended. `reason` is for people.
    pub fn handle_disconnected(&mut self, now: Instant, id: PeerId, reason: &str) {
        let was_good = match &self.link {
            Link::Dialing(peer) if *peer == id => false,
            Link::Up { peer, connection, .. } if *peer == id => connection.is_ready(),
            Link::Down | Link::Dialing(_) | Link::Up { .. } => return,
        };
        self.outputs.push_back(ProducerOutput::Down { reason: reason.to_owned() });
        if was_good {
            self.fail_sent(reason);
            self.after_loss(now, Duration::ZERO);
        } else {
            self.fail_all(now, reason);
        }
    }

    /// A connection could not be made: everything that waited for it fails.
    fn fail_all(&mut self, now: Instant, reason: &str) {
        self.fail_sent(reason);
        for waiting in std::mem::take(&mut self.waiting) {
            self.end(waiting, Err(PublishError::NotConnected(reason.to_owned())));
        }
        (self.unsent, self.untimed) = (Vec::new(), 0);
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1).min(31);
        self.after_loss(now, REDIAL_MIN.saturating_mul(factor).min(REDIAL_MAX));
    }

    /// Those that were sent, if only in part, get no answer any more.
    fn fail_sent(&mut self, reason: &str) {
        while self.waiting.front().is_some_and(|first| first.begins < self.sent_bytes) {
            if let Some(first) = self.pop_first() {
                self.end(first, Err(PublishError::Unanswered(reason.to_owned())));
            }
        }
    }

    fn after_loss(&mut self, now: Instant, wait: Duration) {
        self.link = Link::Down;
        self.greeting.clear();
        self.dial_at = Some(now + wait);
        if !self.waiting.is_empty() {
            self.connect(now);
        }
    }

    fn pop_first(&mut self) -> Option<Waiting> {
        self.untimed = self.untimed.saturating_sub(1);
        self.waiting.pop_front()
    }

    fn end(&mut self, waiting: Waiting, result: Result<(), PublishError>) {
        self.waiting_bytes -= waiting.bytes;
        if !waiting.over {
            self.outputs.push_back(ProducerOutput::Done { ticket: waiting.ticket, result });
        }
    }

    /// Bytes of the connection.
    pub fn handle_bytes(&mut self, now: Instant, id: PeerId, bytes: Bytes) {
        if let Link::Up { peer, connection, last_heard, .. } = &mut self.link
            && *peer == id
        {
            *last_heard = now;
            connection.handle_bytes(bytes);
        }
        loop {
            let Link::Up { peer, connection, .. } = &mut self.link else { return };
            if *peer != id {
                return;
            }
            match connection.poll(&mut self.greeting) {
                Ok(Some(Heard::Response(_))) => self.on_answer(now, id, None),
                Ok(Some(Heard::Error(error))) => self.on_answer(now, id, Some(error)),
                Ok(Some(Heard::Upgrade { upgrade, rest })) => {
                    self.outputs.push_back(ProducerOutput::Upgrade { peer: id, upgrade, rest });
                }
                Ok(Some(Heard::Ready(_))) => {
                    self.failures = 0;
                    self.outputs.push_back(ProducerOutput::Up);
                }
                Ok(Some(Heard::Message(_))) => self.close(now, id, "the broker sent a message to a producer"),
                Ok(None) => return,
                Err(error) => self.close(now, id, &error.to_string()),
            }
        }
    }

    fn on_answer(&mut self, now: Instant, id: PeerId, error: Option<ServerError>) {
        let sent = self.sent_bytes;
        let Some(first) = self.waiting.front_mut().filter(|first| first.begins < sent) else {
            let said = error.map_or("an answer that nothing waits for".to_owned(), |error| error.0);
            return self.close(now, id, &said);
        };
        if let (Some(_), Link::Up { ending, .. }) = (&error, &mut self.link) {
            *ending = true;
        }
        first.answers -= 1;
        if first.error.is_none() {
            first.error = error;
        }
        if first.answers == 0
            && let Some(mut first) = self.pop_first()
        {
            let result = first.error.take().map_or(Ok(()), |error| Err(error.into()));
            self.end(first, result);
        }
        let all_answered = self.waiting.front().is_none_or(|first| first.begins >= sent);
        if all_answered && matches!(self.link, Link::Up { ending: true, .. }) {
            self.close(now, id, "the broker closes connections after an error");
        }
    }

    fn close(&mut self, now: Instant, id: PeerId, reason: &str) {
        self.outputs.push_back(ProducerOutput::Close { peer: id });
        self.handle_disconnected(now, id, reason);
    }

    /// Publishes no more. What is under way fails as [`Stopped`](PublishError::Stopped) if it was not sent.
    pub fn stop(&mut self, now: Instant) {
        self.stopped = true;
        let link = std::mem::replace(&mut self.link, Link::Down);
        if let Link::Dialing(peer) | Link::Up { peer, .. } = link {
            self.outputs.push_back(ProducerOutput::Close { peer });
        }
        self.fail_sent("stopped");
        for waiting in std::mem::take(&mut self.waiting) {
            self.end(waiting, Err(PublishError::Stopped));
        }
        (self.unsent, self.untimed) = (Vec::new(), 0);
        self.after_loss(now, Duration::ZERO);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(late) = self.waiting.get_mut(self.untimed).filter(|waiting| waiting.deadline <= now) {
            late.over = true;
            self.outputs.push_back(ProducerOutput::Done { ticket: late.ticket, result: Err(PublishError::TimedOut) });
            self.untimed += 1;
        }
        if let Link::Up { peer, last_heard, .. } = self.link
            && self.is_watched()
            && last_heard + self.options.read_timeout <= now
        {
            self.close(now, peer, "the broker has fallen silent");
        }
        if !self.waiting.is_empty() {
            self.connect(now);
        }
    }

    /// Silence means something: heartbeats should come, or an answer.
    fn is_watched(&self) -> bool {
        self.options.heartbeat_interval.is_some() || !self.waiting.is_empty()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let silence = match self.link {
            Link::Up { last_heard, .. } if self.is_watched() => Some(last_heard + self.options.read_timeout),
            Link::Up { .. } | Link::Down | Link::Dialing(_) => None,
        };
        let late = self.waiting.get(self.untimed).map(|waiting| waiting.deadline);
        let redial = self.dial_at.filter(|_| matches!(self.link, Link::Down) && !self.waiting.is_empty());
        [silence, late, redial].into_iter().flatten().min()
    }

    /// What there is to do. Drain it after every other call.
    pub fn poll_output(&mut self) -> Option<ProducerOutput> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let Link::Up { peer, connection, ending, .. } = &self.link else { return None };
        let mut bytes = std::mem::take(&mut self.greeting);
        if connection.is_ready() && !ending && !self.unsent.is_empty() {
            self.sent_bytes += self.unsent.len() as u64;
            if bytes.is_empty() {
                bytes = std::mem::take(&mut self.unsent);
            } else {
                bytes.append(&mut self.unsent);
            }
        }
        (!bytes.is_empty()).then_some(ProducerOutput::Send { peer: *peer, bytes })
    }
}
