//! A consumer: one topic and channel, over as many nsqds as have the topic. Hands out messages as they come and takes what
//! became of each; decides everything between, with [`targets`](super::targets), [`rdy`](super::rdy),
//! [`backoff`](super::backoff) and [`discovery`](super::discovery).
//!
//! Invariants: a message is answered once, by the first of finish, requeue and giving up; what comes later, or for a
//! connection that is gone, is ignored. After [`Event::Stopped`] nothing comes any more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::message::MessageId;
use crate::name::{ChannelName, TopicName};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::{Verb, put_bare, put_finish, put_requeue, put_subscribe, put_touch};

use super::backoff::{Backoff, Change, Signal};
use super::discovery::Discovery;
use super::peer::{Peer, Phase};
use super::targets::Targets;
use super::{ClientOptions, Connection, Heard, Message, PeerId, Upgrade};

/// How long a consumer that is stopping waits for its last messages to be finished.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);

/// What the host has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a connection to this nsqd: answered by `handle_connected` or `handle_disconnected`.
    Connect {
        /// Its number from now on.
        peer: PeerId,
        /// `host:port`.
        address: Arc<str>,
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
    /// Write what is left, and close. Nothing more about it needs to be handed in.
    Close {
        /// The connection.
        peer: PeerId,
    },
    /// Handle this: answered by `finish` or `requeue`.
    Message {
        /// Where it came from.
        peer: PeerId,
        /// The message.
        message: Message,
    },
    /// This message was delivered more than `max_attempts` times. It was finished and is not to be handled.
    GaveUp {
        /// Where it came from.
        peer: PeerId,
        /// The message.
        message: Message,
    },
    /// Ask this nsqlookupd for the producers of the topic: answered by `handle_producers`.
    Lookup {
        /// As it was added.
        lookupd: Arc<str>,
    },
    /// For people and tests.
    Event(Event),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection is subscribed.
    Connected(Arc<str>),
    /// A connection was closed from here, as it was meant to be.
    Closed(Arc<str>),
    /// A connection could not be opened, or ended.
    Disconnected {
        /// Of which nsqd.
        address: Arc<str>,
        /// Why, in words.
        reason: String,
    },
    /// A broker refused a command.
    Refused {
        /// Which.
        address: Arc<str>,
        /// Its words.
        error: String,
    },
    /// An nsqlookupd did not answer.
    LookupFailed(String),
    /// Messages fail: none is asked for while the wait lasts.
    Backoff {
        /// 1 and up.
        level: u32,
        /// The wait.
        wait: Duration,
    },
    /// Messages are handled again: all is as before.
    Resumed,
    /// All connections are closed.
    Stopped,
}

/// What became of messages since the consumer was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerStats {
    /// Messages that arrived.
    pub received: u64,
    /// FIN sent, for those given up too.
    pub finished: u64,
    /// REQ sent.
    pub requeued: u64,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Consumer {
    topic: TopicName,
    channel: ChannelName,
    pub(super) options: ClientOptions,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    next_peer: u32,
    targets: Targets,
    discovery: Discovery,
    pub(super) backoff: Backoff,
    pub(super) rng: Rng,
    pub(super) redistribute_at: Option<Instant>,
    /// Some connection has less than its share because others still hold messages.
    pub(super) owed: bool,
    stop_at: Option<Instant>,
    stopped: bool,
    stats: ConsumerStats,
    outputs: VecDeque<Output>,
    /// Connections that may have commands to send.
    pub(super) unsent: VecDeque<PeerId>,
}

impl Consumer {
    /// A consumer without anybody to connect to. What it leaves to chance follows from `rng`.
    pub fn new(topic: TopicName, channel: ChannelName, options: ClientOptions, mut rng: Rng) -> Self {
        let (backoff, discovery) = (Rng::new(rng.next_u64()), Rng::new(rng.next_u64()));
        Self {
            topic,
            channel,
            options,
            peers: BTreeMap::new(),
            next_peer: 0,
            targets: Targets::default(),
            discovery: Discovery::new(discovery),
            backoff: Backoff::new(backoff),
            rng,
            redistribute_at: None,
            owed: false,
            stop_at: None,
            stopped: false,
            stats: ConsumerStats::default(),
            outputs: VecDeque::new(),
            unsent: VecDeque::new(),
        }
    }

    /// Its topic.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// Its channel.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Its options.
    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// What became of messages so far.
    pub fn stats(&self) -> ConsumerStats {
        self.stats
    }

    /// Messages handed out and not answered yet.
    pub fn in_flight(&self) -> usize {
        self.peers.values().map(|peer| peer.held.len()).sum()
    }

    /// RDY, summed over the connections.
    pub fn ready(&self) -> u64 {
        self.peers.values().map(|peer| u64::from(peer.ready)).sum()
    }

    /// Subscribed connections, with RDY and messages in flight of each.
    pub fn connections(&self) -> impl Iterator<Item = (PeerId, &str, u32, usize)> {
        let open = self.peers.iter().filter(|(_, peer)| peer.is_open());
        open.map(|(&id, peer)| (id, &*peer.address, peer.ready, peer.held.len()))
    }

    /// The level of backoff, 0 when off, and when its wait is over, if it waits.
    pub fn backoff(&self) -> (u32, Option<Instant>) {
        (self.backoff.level(), self.backoff.waits_until())
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop_at.is_some()
    }

    /// Connects to this nsqd, and again whenever the connection ends. Ignored if it is there already, or when stopping.
    pub fn add_nsqd(&mut self, now: Instant, address: &str) {
        if !self.is_stopping() {
            self.targets.add(now, address, true);
            self.dial_due(now);
        }
    }

    /// Gives this nsqd up; a connection is closed once its messages are answered.
    pub fn remove_nsqd(&mut self, now: Instant, address: &str) {
        if let Some(peer) = self.targets.remove(address) {
            self.drain(now, peer);
        }
    }

    /// Asks this nsqlookupd too where producers are: the first one at once, others in turn.
    pub fn add_lookupd(&mut self, now: Instant, address: &str) {
        if !self.is_stopping() {
            self.discovery.add(now, Arc::from(address));
            self.ask_lookupd(now);
        }
    }

    /// The answer to [`Output::Lookup`]: the nsqds that have the topic, as `host:port`, or why there is none.
    pub fn handle_producers(&mut self, now: Instant, answer: Result<&[String], String>) {
        if self.is_stopping() {
            return;
        }
        let next = self.discovery.handle_answer(now, answer.is_ok(), &self.options);
        match answer {
            Ok(named) => {
                let peers = &self.peers;
                let idle_for = self.options.lookupd_poll_interval;
                let idle = |peer: PeerId| {
                    peers.get(&peer).is_none_or(|it| it.held.is_empty() && now.since(it.last_message) >= idle_for)
                };
                let stale = self.targets.handle_producers(now, named, self.discovery.count(), idle);
                stale.into_iter().for_each(|peer| self.drain(now, peer));
                self.dial_due(now);
            }
            Err(reason) => self.tell(Event::LookupFailed(reason)),
        }
        self.outputs.extend(next.map(|lookupd| Output::Lookup { lookupd }));
        self.ask_lookupd(now);
    }

    /// A connection that was asked for is open.
    pub fn handle_connected(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        (peer.last_heard, peer.opened_at) = (now, now);
        peer.connection = Some(Connection::open(&self.options, &mut peer.out));
        peer.phase = Phase::Introducing;
        self.unsent.push_back(id);
    }

    /// A connection could not be opened, or ended. `reason` is for people.
    pub fn handle_disconnected(&mut self, now: Instant, id: PeerId, reason: &str) {
        let Some(peer) = self.peers.remove(&id) else { return };
        self.tell(match peer.phase {
            Phase::Drained => Event::Closed(peer.address.clone()),
            _ => Event::Disconnected { address: peer.address.clone(), reason: reason.to_owned() },
        });
        let lasted = if peer.is_connected() { now.since(peer.opened_at) } else { Duration::ZERO };
        self.targets.on_closed(now, &peer.address, lasted, &self.options);
        if peer.is_connected() {
            self.discovery.hurry(now);
        }
        self.after_leaving(now);
    }

    /// Bytes of a connection.
    pub fn handle_bytes(&mut self, now: Instant, id: PeerId, bytes: Bytes) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.last_heard = now;
        if let Some(connection) = &mut peer.connection {
            connection.handle_bytes(bytes);
        }
        loop {
            let Some(peer) = self.peers.get_mut(&id) else { return };
            let Some(connection) = &mut peer.connection else { return };
            match connection.poll(&mut peer.out) {
                Ok(Some(Heard::Message(message))) => self.on_message(now, id, message),
                Ok(Some(heard)) => self.on_heard(now, id, heard),
                Ok(None) => break,
                Err(error) => self.close(now, id, &error.to_string()),
            }
        }
        self.unsent.push_back(id);
    }

    #[inline]
    fn on_message(&mut self, now: Instant, id: PeerId, message: Message) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        self.stats.received += 1;
        peer.last_message = now;
        if self.options.max_attempts > 0 && message.attempts > self.options.max_attempts {
            put_finish(&mut peer.out, message.id);
            self.stats.finished += 1;
            self.outputs.push_back(Output::GaveUp { peer: id, message });
            return self.signal(now, Signal::Neither);
        }
        peer.held.insert(message.id, message.attempts);
        let flooded = peer.is_flooded();
        self.outputs.push_back(Output::Message { peer: id, message });
        if flooded {
            self.close(now, id, "the broker sends far more messages than it was asked for");
        }
    }

    fn on_heard(&mut self, now: Instant, id: PeerId, heard: Heard) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let address = peer.address.clone();
        match (peer.phase, heard) {
            (Phase::Introducing, Heard::Ready(negotiated)) => {
                peer.ready_max = negotiated.max_rdy_count;
                put_subscribe(&mut peer.out, &self.topic, &self.channel);
                peer.phase = Phase::Subscribing;
            }
            (Phase::Subscribing, Heard::Response(_)) => {
                peer.phase = Phase::Open;
                (peer.last_message, peer.ready_since) = (now, now);
                self.tell(Event::Connected(address));
                if self.backoff.is_testing() && !self.is_test_message_asked_for() {
                    self.ask_for_test_message(now);
                } else {
                    self.distribute(now);
                }
            }
            (Phase::Draining, Heard::Response(response)) if &response[..] == b"CLOSE_WAIT" => {
                peer.phase = Phase::Drained;
                self.close_if_drained(now, id);
            }
            (_, Heard::Upgrade { upgrade, rest }) => {
                self.outputs.push_back(Output::Upgrade { peer: id, upgrade, rest })
            }
            (_, Heard::Error(error)) => {
                self.tell(Event::Refused { address, error: error.to_string() });
                if !error.is_about_a_message() {
                    self.close(now, id, &error.to_string());
                }
            }
            (_, Heard::Response(_) | Heard::Ready(_) | Heard::Message(_)) => {}
        }
    }

    /// A message was handled. Whether that could be said to its broker: not if it was answered before, or if the
    /// connection is gone.
    pub fn finish(&mut self, now: Instant, id: PeerId, message: MessageId) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        if peer.held.remove(&message).is_none() {
            return false;
        }
        put_finish(&mut peer.out, message);
        self.stats.finished += 1;
        self.after_answer(now, id, Signal::Success);
        true
    }

    /// A message was not handled and shall come again, after `delay` or, without one, after the time that `options` have
    /// for its attempts. A failure that `counts` leads to backoff. Returns what [`finish`](Self::finish) returns.
    pub fn requeue(
        &mut self,
        now: Instant,
        id: PeerId,
        message: MessageId,
        delay: Option<Duration>,
        counts: bool,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        let Some(attempts) = peer.held.remove(&message) else { return false };
        let delay = delay.unwrap_or_else(|| self.options.requeue_delay(attempts));
        put_requeue(&mut peer.out, message, delay);
        self.stats.requeued += 1;
        self.after_answer(now, id, if counts { Signal::Failure } else { Signal::Neither });
        true
    }

    /// A message needs more time. Returns what [`finish`](Self::finish) returns.
    pub fn touch(&mut self, _now: Instant, id: PeerId, message: MessageId) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        if !peer.held.contains_key(&message) {
            return false;
        }
        put_touch(&mut peer.out, message);
        self.unsent.push_back(id);
        true
    }

    #[inline]
    fn after_answer(&mut self, now: Instant, id: PeerId, signal: Signal) {
        if self.unsent.back() != Some(&id) {
            self.unsent.push_back(id);
        }
        if signal != Signal::Success || !self.backoff.is_off() {
            self.signal(now, signal);
        }
        if self.owed {
            self.distribute(now);
        }
        self.close_if_drained(now, id);
    }

    fn signal(&mut self, now: Instant, signal: Signal) {
        match self.backoff.signal(now, signal, &self.options) {
            Change::None => {}
            Change::Wait(wait) => {
                self.tell(Event::Backoff { level: self.backoff.level(), wait });
                self.pause_all(now);
            }
            Change::Over => {
                self.tell(Event::Resumed);
                self.distribute(now);
            }
        }
    }

    /// The most messages held at once, from now on; 0 pauses.
    pub fn set_max_in_flight(&mut self, now: Instant, max: u32) {
        self.options.max_in_flight = max;
        self.distribute(now);
    }

    /// Asks for no more messages, waits for those held to be answered, 30 seconds at most, and closes.
    pub fn stop(&mut self, now: Instant) {
        if self.is_stopping() {
            return;
        }
        self.stop_at = Some(now + STOP_TIME_MAX);
        self.targets.clear();
        self.discovery.stop();
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.drain(now, peer));
        self.after_leaving(now);
    }

    /// Lets a connection end: CLS, and closed when that was answered and nothing is held.
    fn drain(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match peer.phase {
            Phase::Open => {
                put_bare(&mut peer.out, Verb::StartClose);
                peer.ready = 0;
                peer.phase = Phase::Draining;
                self.unsent.push_back(id);
                self.distribute(now);
            }
            Phase::Draining | Phase::Drained => {}
            Phase::Dialing | Phase::Introducing | Phase::Subscribing => self.close(now, id, "not needed any more"),
        }
    }

    #[inline]
    fn close_if_drained(&mut self, now: Instant, id: PeerId) {
        if self.peers.get(&id).is_some_and(Peer::is_drained) {
            self.close(now, id, "closed");
        }
    }

    /// Closes a connection, having written what there was to say.
    fn close(&mut self, now: Instant, id: PeerId, reason: &str) {
        if let Some(peer) = self.peers.get_mut(&id) {
            let bytes = std::mem::take(&mut peer.out);
            if !bytes.is_empty() {
                self.outputs.push_back(Output::Send { peer: id, bytes });
            }
            self.outputs.push_back(Output::Close { peer: id });
            self.handle_disconnected(now, id, reason);
        }
    }

    /// A connection fewer: others take its part.
    fn after_leaving(&mut self, now: Instant) {
        if self.is_stopping() {
            if self.peers.is_empty() && !self.stopped {
                self.stopped = true;
                self.tell(Event::Stopped);
            }
        } else if self.backoff.is_testing() && !self.is_test_message_asked_for() && self.in_flight() == 0 {
            self.ask_for_test_message(now);
        } else {
            self.distribute(now);
        }
        self.ask_lookupd(now);
    }

    fn dial_due(&mut self, now: Instant) {
        while let Some(address) = self.targets.due(now) {
            let id = PeerId(self.next_peer);
            self.next_peer += 1;
            self.targets.on_dial(&address, id);
            self.peers.insert(id, Peer::new(now, address.clone()));
            self.outputs.push_back(Output::Connect { peer: id, address });
        }
    }

    fn ask_lookupd(&mut self, now: Instant) {
        self.outputs.extend(self.discovery.handle_timeout(now).map(|lookupd| Output::Lookup { lookupd }));
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.stop_at.is_some_and(|at| at <= now) {
            let peers: Vec<PeerId> = self.peers.keys().copied().collect();
            peers.into_iter().for_each(|peer| self.close(now, peer, "not drained in time"));
            return;
        }
        let silent: Vec<PeerId> = self.silence().filter(|(_, at)| *at <= now).map(|(id, _)| id).collect();
        silent.into_iter().for_each(|peer| self.close(now, peer, "the broker has fallen silent"));
        self.dial_due(now);
        self.ask_lookupd(now);
        if self.backoff.handle_timeout(now) {
            self.ask_for_test_message(now);
        }
        self.redistribute(now);
    }

    /// When each connection has been silent for too long. Dialling has a time limit of its host.
    fn silence(&self) -> impl Iterator<Item = (PeerId, Instant)> {
        let read_timeout = self.options.read_timeout;
        let connected = self.peers.iter().filter(|(_, peer)| peer.is_connected());
        connected.map(move |(&id, peer)| (id, peer.last_heard + read_timeout))
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.stopped {
            return None;
        }
        let silence = self.silence().map(|(_, at)| at).min();
        let waits = self.backoff.waits_until().filter(|_| !self.is_stopping());
        let (redial, lookup) = (self.targets.next_deadline(), self.discovery.next_deadline());
        [self.stop_at, silence, redial, lookup, waits, self.redistribute_at].into_iter().flatten().min()
    }

    /// What there is to do. Drain it after every other call.
    #[inline]
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        while let Some(id) = self.unsent.pop_front() {
            if let Some(peer) = self.peers.get_mut(&id)
                && !peer.out.is_empty()
            {
                return Some(Output::Send { peer: id, bytes: std::mem::take(&mut peer.out) });
            }
        }
        None
    }
}
