//! An nsqd's end of a connection to one nsqlookupd: connects, says who it is, registers what the nsqd has, tells of changes,
//! sends PINGs, and begins anew when anything goes wrong.
//!
//! What holds:
//! - Nothing is told before the nsqlookupd has answered IDENTIFY. Then the host hands in all that there is, and after that
//!   every change: a connection that was cut off has nothing to catch up with.
//! - At most [`UNANSWERED_MAX`] commands are unanswered; [`wants_registrations`](Peer::wants_registrations) says when more
//!   are welcome. Memory does not grow with the patience of the other end.
//! - Every wait has an end: connecting, and an answer that does not come. Attempts are spaced out, up to
//!   [`RETRY_MAX`], until one of them got everything registered.

use std::collections::VecDeque;
use std::time::Duration;

use super::wire::{MAGIC, PeerInfo};
use crate::name::{ChannelName, TopicName};
use crate::time::Instant;

/// Commands sent and not answered, at most.
const UNANSWERED_MAX: usize = 1024;
/// Commands not sent yet with which more are welcome.
const UNSENT_WELCOME: usize = 1024;
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How often a PING is sent.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// How long connecting may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// How long the next answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// Time between a failure and the next attempt: this at first, twice as long each time.
const RETRY_MIN: Duration = Duration::from_millis(250);
/// And this at most.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What to do with a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The nsqd has it.
    Register,
    /// It has it no longer.
    Unregister,
}

/// Something to tell an nsqlookupd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Whether it came or went.
    pub verb: Verb,
    /// The topic.
    pub topic: TopicName,
    /// The channel; `None` for the topic itself.
    pub channel: Option<ChannelName>,
}

/// Where an nsqlookupd can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Its name or address.
    pub broadcast_address: String,
    /// The port it answers HTTP on.
    pub http_port: u16,
}

/// Something for the host to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// Connect, then call [`Peer::handle_connected`]; or [`Peer::handle_failure`].
    Connect,
    /// The nsqlookupd knows who we are: hand in everything that there is. `None` if it does not say where to ask it.
    Identified(Option<ServerAddress>),
    /// A PING was sent: what is due of a [`Renewal`](super::Renewal) may be handed in, while [`Peer::is_through`].
    Renew,
    /// Close the connection, or give up connecting. There will be another attempt.
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is connected until then.
    Waiting {
        until: Instant,
    },
    /// The host connects, until then.
    Connecting {
        until: Instant,
    },
    /// IDENTIFY is not answered.
    Identifying,
    Identified {
        next_ping: Instant,
    },
}

/// One nsqlookupd. See the [module](self) for what holds.
#[derive(Clone, Debug)]
pub struct Peer {
    info: PeerInfo,
    phase: Phase,
    retry: Duration,
    unsent: VecDeque<Registration>,
    unanswered: usize,
    /// Since when the next answer is waited for.
    waiting_since: Instant,
    /// What has arrived of an answer.
    partial: Vec<u8>,
    out: Vec<u8>,
    events: VecDeque<PeerEvent>,
}

impl Peer {
    /// An nsqlookupd that is to know `info`. The first attempt is due at once.
    pub fn new(now: Instant, info: PeerInfo) -> Self {
        Self {
            info,
            phase: Phase::Waiting { until: now },
            retry: RETRY_MIN,
            unsent: VecDeque::new(),
            unanswered: 0,
            waiting_since: now,
            partial: Vec::new(),
            out: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// The connection is made.
    pub fn handle_connected(&mut self, now: Instant) {
        let Phase::Connecting { .. } = self.phase else { return };
        self.phase = Phase::Identifying;
        let body = self.info.encode();
        self.out.extend_from_slice(&MAGIC);
        self.out.extend_from_slice(b"IDENTIFY\n");
        self.out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        self.out.extend_from_slice(&body);
        self.on_sent(now);
    }

    /// Takes what the nsqlookupd has sent.
    pub fn handle_bytes(&mut self, now: Instant, input: &[u8]) {
        if !self.is_connected() {
            return;
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(input);
        let mut at = 0;
        while self.is_connected()
            && let Some((size, rest)) = bytes[at..].split_first_chunk()
        {
            match usize::try_from(i32::from_be_bytes(*size)) {
                Ok(size) if size <= ANSWER_BYTES_MAX => {
                    let Some(answer) = rest.get(..size) else { break };
                    at += 4 + size;
                    self.on_answer(now, answer);
                }
                _ => self.fail(now, "an answer of impossible size".to_owned()),
            }
        }
        if self.is_connected() {
            bytes.drain(..at);
            self.partial = bytes;
            self.send(now);
        }
    }

    /// The connection could not be made, or broke. `reason` is for people.
    pub fn handle_failure(&mut self, now: Instant, reason: String) {
        if !matches!(self.phase, Phase::Waiting { .. }) {
            self.fail(now, reason);
        }
    }

    /// Tells the nsqlookupd, in turn. Without a connection this does nothing: everything is handed in with the next.
    pub fn handle_registration(&mut self, now: Instant, registration: Registration) {
        if let Phase::Identified { .. } = self.phase {
            self.unsent.push_back(registration);
            self.send(now);
        }
    }

    /// Whether there is room for more registrations. Who has too many meanwhile fails the connection, for a fresh start.
    pub fn wants_registrations(&self) -> bool {
        matches!(self.phase, Phase::Identified { .. }) && self.unsent.len() < UNSENT_WELCOME
    }

    /// Whether all that was handed in is sent. What is less urgent than changes waits for this.
    pub fn is_through(&self) -> bool {
        matches!(self.phase, Phase::Identified { .. }) && self.unsent.is_empty()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout() > now {
            return;
        }
        match self.phase {
            Phase::Waiting { .. } => {
                self.phase = Phase::Connecting { until: now + CONNECT_TIME_MAX };
                self.events.push_back(PeerEvent::Connect);
            }
            Phase::Connecting { .. } => self.fail(now, format!("not connected within {CONNECT_TIME_MAX:?}")),
            Phase::Identified { next_ping } if next_ping <= now => {
                self.phase = Phase::Identified { next_ping: now + PING_INTERVAL };
                self.out.extend_from_slice(b"PING\n");
                self.on_sent(now);
                self.events.push_back(PeerEvent::Renew);
            }
            Phase::Identifying | Phase::Identified { .. } => {
                self.fail(now, format!("no answer within {ANSWER_TIME_MAX:?}"));
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Instant {
        let answer = self.waiting_since + ANSWER_TIME_MAX;
        match self.phase {
            Phase::Waiting { until } | Phase::Connecting { until } => until,
            Phase::Identifying => answer,
            Phase::Identified { next_ping } if self.unanswered > 0 => next_ping.min(answer),
            Phase::Identified { next_ping } => next_ping,
        }
    }

    /// What to write; empty if there is nothing.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The next thing to do.
    pub fn poll_event(&mut self) -> Option<PeerEvent> {
        self.events.pop_front()
    }

    fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Identifying | Phase::Identified { .. })
    }

    fn on_sent(&mut self, now: Instant) {
        if self.unanswered == 0 {
            self.waiting_since = now;
        }
        self.unanswered += 1;
    }

    fn on_answer(&mut self, now: Instant, answer: &[u8]) {
        if answer.starts_with(b"E_") {
            return self.fail(now, String::from_utf8_lossy(answer).into_owned());
        }
        self.unanswered = self.unanswered.saturating_sub(1);
        self.waiting_since = now;
        match self.phase {
            Phase::Identifying => {
                let Some(server) = PeerInfo::decode(answer) else {
                    return self.fail(now, "its answer to IDENTIFY makes no sense".to_owned());
                };
                let port = u16::try_from(server.http_port).ok().filter(|port| *port != 0);
                let address = port.filter(|_| !server.broadcast_address.is_empty());
                let address =
                    address.map(|http_port| ServerAddress { broadcast_address: server.broadcast_address, http_port });
                self.phase = Phase::Identified { next_ping: now + PING_INTERVAL };
                self.events.push_back(PeerEvent::Identified(address));
            }
            _ if self.unanswered == 0 && self.unsent.is_empty() => self.retry = RETRY_MIN,
            _ => {}
        }
    }

    /// Sends what is waiting, as far as the other end keeps up.
    fn send(&mut self, now: Instant) {
        while self.unanswered < UNANSWERED_MAX
            && let Some(Registration { verb, topic, channel }) = self.unsent.pop_front()
        {
            let verb: &[u8] = match verb {
                Verb::Register => b"REGISTER ",
                Verb::Unregister => b"UNREGISTER ",
            };
            self.out.extend_from_slice(verb);
            self.out.extend_from_slice(topic.as_str().as_bytes());
            if let Some(channel) = channel {
                self.out.push(b' ');
                self.out.extend_from_slice(channel.as_str().as_bytes());
            }
            self.out.push(b'\n');
            self.on_sent(now);
        }
    }

    fn fail(&mut self, now: Instant, reason: String) {
        self.phase = Phase::Waiting { until: now + self.retry };
        self.retry = (self.retry * 2).min(RETRY_MAX);
        self.unsent.clear();
        self.unanswered = 0;
        self.partial = Vec::new();
        self.out = Vec::new();
        self.events.push_back(PeerEvent::Failed(reason));
    }
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
