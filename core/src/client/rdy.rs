//! How many messages a consumer asks each of its connections for. With `max_in_flight` M and n connections, each has
//! M / n (rounded down); with fewer messages than connections, M of them have one each and pass their turn on when
//! it brings nothing (`low_rdy_idle_timeout`) or has been long (`low_rdy_timeout`). In backoff nobody has any, or one
//! connection has the test message.
//!
//! Invariant: what connections were asked for and what they hold, the larger of the two for each, never adds up to more than
//! M by a decision made here. So a connection that joins first waits for others to be lowered, and what it is owed is
//! given when messages of theirs have been finished.

use crate::time::Instant;

use super::PeerId;
use super::consumer::Consumer;
use super::peer::Peer;

/// A connection with so many of the messages it was asked for, in percent, has little left to bring.
const STARVED_PERCENT: u64 = 85;

impl Consumer {
    /// What each connection may have if there are as many messages as connections; 1 if not.
    fn share(&self) -> u32 {
        let max = self.options.max_in_flight;
        (max / self.open_count().max(1)).max(1).min(max)
    }

    pub(super) fn open_count(&self) -> u32 {
        self.peers.values().filter(|peer| peer.is_open()).count() as u32
    }

    /// More connections than messages: they take turns.
    fn takes_turns(&self) -> bool {
        self.options.max_in_flight > 0 && self.open_count() > self.options.max_in_flight
    }

    /// Some connection has handed over nearly all it may: what waits for more messages to come should not.
    pub fn is_starved(&self) -> bool {
        self.peers.values().any(|peer| {
            let held = peer.held.len() as u64;
            held > 0 && peer.is_open() && held * 100 >= u64::from(peer.ready) * STARVED_PERCENT
        })
    }

    /// Asks every connection for its share, as far as `max_in_flight` allows now.
    pub(super) fn distribute(&mut self, now: Instant) {
        self.owed = false;
        if self.backoff.is_off() && !self.is_stopping() {
            let share = self.share();
            self.lower_to(now, share);
            if self.takes_turns() || share == 0 {
                self.hand_out(now, self.options.max_in_flight);
            } else {
                self.raise_to(now, share);
            }
        }
        self.plan_redistribution(now);
    }

    /// Nobody may have more than `share`, and all together no more than `max_in_flight`.
    fn lower_to(&mut self, now: Instant, share: u32) {
        let mut left = self.options.max_in_flight;
        for (&id, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.is_open()) {
            let most = share.min(left);
            if peer.ready > most && peer.set_ready(now, most) {
                self.unsent.push_back(id);
            }
            left -= peer.ready;
        }
    }

    fn raise_to(&mut self, now: Instant, share: u32) {
        let mut room = self.room(self.options.max_in_flight);
        for (&id, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.is_open()) {
            let load = peer.load();
            let want = share.min(peer.ready_max);
            if peer.ready >= want {
                continue;
            }
            // What it holds already is in `load`.
            let most = load.saturating_add(room).min(want).max(peer.ready);
            self.owed |= most < want;
            if peer.set_ready(now, most) {
                self.unsent.push_back(id);
            }
            room = room.saturating_sub(peer.load().saturating_sub(load));
        }
    }

    /// What is left of `max` when all connections are counted.
    fn room(&self, max: u32) -> u32 {
        let load = self.peers.values().map(Peer::load).fold(0u32, u32::saturating_add);
        max.saturating_sub(load)
    }

    /// Gives turns of one message to connections without any, up to `max` in all: first to those whose last turn is
    /// longest ago, by chance among equals.
    pub(super) fn hand_out(&mut self, now: Instant, max: u32) {
        for _ in 0..self.room(max) {
            let waiting = || self.peers.iter().filter(|(_, peer)| peer.is_open() && peer.load() == 0);
            let Some(longest) = waiting().map(|(_, peer)| peer.ready_since).min() else { return };
            let equals: Vec<PeerId> =
                waiting().filter(|(_, peer)| peer.ready_since == longest).map(|(&id, _)| id).collect();
            let chosen = equals[self.rng.below(equals.len() as u64) as usize];
            self.set_ready(now, chosen, 1);
        }
        self.owed |= self.takes_turns() && self.room(max) == 0 && self.is_anyone_held_back();
    }

    /// A connection has no turn but still holds messages of its last one.
    fn is_anyone_held_back(&self) -> bool {
        self.peers.values().any(|peer| peer.is_open() && peer.ready == 0 && !peer.held.is_empty())
    }

    pub(super) fn set_ready(&mut self, now: Instant, id: PeerId, count: u32) {
        if let Some(peer) = self.peers.get_mut(&id)
            && peer.set_ready(now, count)
        {
            self.unsent.push_back(id);
        }
    }

    /// Asks for no more messages, on any connection.
    pub(super) fn pause_all(&mut self, now: Instant) {
        let open: Vec<PeerId> = self.peers.iter().filter(|(_, peer)| peer.is_open()).map(|(&id, _)| id).collect();
        open.into_iter().for_each(|id| self.set_ready(now, id, 0));
        self.plan_redistribution(now);
    }

    /// Asks one connection, by chance, for one message.
    pub(super) fn ask_for_test_message(&mut self, now: Instant) {
        let open: Vec<PeerId> = self.peers.iter().filter(|(_, peer)| peer.is_open()).map(|(&id, _)| id).collect();
        if open.is_empty() || self.options.max_in_flight == 0 {
            self.backoff.postpone(now);
        } else {
            let chosen = open[self.rng.below(open.len() as u64) as usize];
            self.set_ready(now, chosen, 1);
        }
        self.plan_redistribution(now);
    }

    /// Whether anybody has the test message, or the turn for it.
    pub(super) fn is_test_message_asked_for(&self) -> bool {
        self.peers.values().any(|peer| peer.is_open() && peer.ready > 0)
    }

    fn plan_redistribution(&mut self, now: Instant) {
        let testing = self.backoff.is_testing() && self.open_count() > 1;
        let turns = self.backoff.is_off() && self.takes_turns();
        self.redistribute_at = match self.redistribute_at {
            _ if !testing && !turns => None,
            Some(at) if at > now => Some(at),
            _ => Some(now + self.options.rdy_redistribute_interval),
        };
    }

    /// Ends turns that bring nothing or have been long, and gives them to others.
    pub(super) fn redistribute(&mut self, now: Instant) {
        if self.redistribute_at.is_none_or(|at| at > now) {
            return;
        }
        let (idle, long) = (self.options.low_rdy_idle_timeout, self.options.low_rdy_timeout);
        let over = |peer: &Peer| {
            let quiet_since = peer.last_message.max(peer.ready_since);
            peer.ready > 0
                && ((peer.held.is_empty() && now.since(quiet_since) >= idle) || now.since(peer.ready_since) >= long)
        };
        let ended: Vec<PeerId> =
            self.peers.iter().filter(|(_, peer)| peer.is_open() && over(peer)).map(|(&id, _)| id).collect();
        ended.into_iter().for_each(|id| self.set_ready(now, id, 0));
        let max = if self.backoff.is_testing() { 1 } else { self.options.max_in_flight };
        self.hand_out(now, max);
        self.plan_redistribution(now);
    }
}
