//! How many messages a consumer lets each node send: shares of max-in-flight, moved around when there are more nodes than
//! messages, and taken back when handlers fail. As the reference's client library (`go-nsq`, `consumer.go`) has it.
//!
//! - The RDYs of all connections together do not exceed max-in-flight.
//! - In backoff nothing is asked for until its time is over; then one connection gets RDY 1, and what becomes of that message
//!   decides.

use std::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;

/// RDY that could not be given for want of room is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
const REDISTRIBUTE: Duration = Duration::from_secs(5);
/// A connection that brought nothing for so long gives its RDY away if others have none,
const IDLE: Duration = Duration::from_secs(10);
/// and one that has had it for so long, too.
const HELD: Duration = Duration::from_secs(30);
const BACKOFF_UNIT: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(120);

#[derive(Clone, Debug)]
struct Share {
    wire: u32,
    ready: u32,
    last_message: Instant,
    ready_since: Instant,
    retry_at: Option<Instant>,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Flow {
    shares: Vec<Share>,
    max_in_flight: u32,
    level: u32,
    /// When the wait of a backoff is over.
    waits_until: Option<Instant>,
    redistribute_at: Option<Instant>,
    rng: Rng,
    /// RDY to be sent.
    changes: Vec<(u32, u32)>,
}

impl Flow {
    pub(super) fn new(max_in_flight: u32, rng: Rng) -> Self {
        Self {
            shares: Vec::new(),
            max_in_flight,
            level: 0,
            waits_until: None,
            redistribute_at: None,
            rng,
            changes: Vec::new(),
        }
    }

    /// Forgets all connections and failures.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.max_in_flight, self.rng.clone());
    }

    /// RDY to be sent: wire and count.
    pub(super) fn take_changes(&mut self) -> Vec<(u32, u32)> {
        std::mem::take(&mut self.changes)
    }

    /// RDY summed over the connections.
    pub(super) fn total(&self) -> u32 {
        self.shares.iter().map(|share| share.ready).sum()
    }

    /// How far in backoff it is, and until when it waits.
    pub(super) fn backoff(&self) -> (u32, Option<Instant>) {
        (self.level, self.waits_until)
    }

    /// A connection more. Those before it make room first.
    pub(super) fn add(&mut self, now: Instant, wire: u32) {
        self.shares.push(Share { wire, ready: 0, last_message: now, ready_since: now, retry_at: None });
        self.redistribute_at.get_or_insert(now + REDISTRIBUTE);
        self.distribute(now);
    }

    /// A connection less.
    pub(super) fn remove(&mut self, now: Instant, wire: u32) {
        self.shares.retain(|share| share.wire != wire);
        self.distribute(now);
    }

    pub(super) fn set_max_in_flight(&mut self, now: Instant, max_in_flight: u32) {
        self.max_in_flight = max_in_flight;
        self.distribute(now);
    }

    /// A message came.
    pub(super) fn on_message(&mut self, now: Instant, wire: u32) {
        if let Some(share) = self.shares.iter_mut().find(|share| share.wire == wire) {
            share.last_message = now;
        }
    }

    /// A message was finished: backoff goes a level down.
    pub(super) fn on_finished(&mut self, now: Instant) {
        if self.level == 0 || self.waits_until.is_some() {
            return;
        }
        self.level -= 1;
        if self.level == 0 { self.distribute(now) } else { self.wait(now) }
    }

    /// A message failed: backoff goes a level up.
    pub(super) fn on_failed(&mut self, now: Instant) {
        if self.waits_until.is_some() {
            return;
        }
        if delay(self.level + 1) <= BACKOFF_MAX {
            self.level += 1;
        }
        self.wait(now);
    }

    /// Backoff was switched off.
    pub(super) fn end_backoff(&mut self, now: Instant) {
        if self.level > 0 {
            (self.level, self.waits_until) = (0, None);
            self.distribute(now);
        }
    }

    fn wait(&mut self, now: Instant) {
        (0..self.shares.len()).for_each(|index| self.set(now, index, 0));
        self.waits_until = Some(now + delay(self.level).min(BACKOFF_MAX));
    }

    /// Gives every connection its share, unless in backoff.
    fn distribute(&mut self, now: Instant) {
        if self.level > 0 {
            return;
        }
        let count = self.shares.len().max(1) as u32;
        let share = (self.max_in_flight / count).max(1).min(self.max_in_flight);
        (0..self.shares.len()).for_each(|index| self.set(now, index, share));
    }

    /// Gives a connection `wanted`, as far as there is room.
    fn set(&mut self, now: Instant, index: usize, wanted: u32) {
        let (total, max) = (self.total(), self.max_in_flight);
        let share = &mut self.shares[index];
        share.retry_at = None;
        let room = (max + share.ready).saturating_sub(total);
        let ready = wanted.min(room);
        if ready == 0 && wanted > 0 && share.ready == 0 {
            share.retry_at = Some(now + RETRY);
        }
        if ready != share.ready {
            (share.ready, share.ready_since) = (ready, now);
            self.changes.push((share.wire, ready));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let retries = self.shares.iter().filter_map(|share| share.retry_at).min();
        let redistribute = self.redistribute_at.filter(|_| self.is_short());
        [self.waits_until, redistribute, retries].into_iter().flatten().min()
    }

    /// Whether not all connections can have RDY at a time.
    fn is_short(&self) -> bool {
        let limit = if self.level > 0 { 1 } else { self.max_in_flight as usize };
        self.shares.len() > limit
    }

    pub(super) fn advance(&mut self, now: Instant) {
        if self.waits_until.is_some_and(|at| at <= now) {
            self.waits_until = None;
            self.test(now);
        }
        for index in 0..self.shares.len() {
            if self.shares[index].retry_at.is_some_and(|at| at <= now) {
                if self.level == 0 { self.set(now, index, 1) } else { self.shares[index].retry_at = None }
            }
        }
        if self.redistribute_at.is_some_and(|at| at <= now) {
            self.redistribute_at = Some(now + REDISTRIBUTE);
            if self.is_short() && self.waits_until.is_none() {
                self.redistribute(now);
            }
        }
    }

    /// One connection may send one message, to see whether it goes well.
    fn test(&mut self, now: Instant) {
        if self.shares.is_empty() {
            self.waits_until = Some(now + BACKOFF_UNIT);
            return;
        }
        let index = self.rng.below(self.shares.len() as u64) as usize;
        self.set(now, index, 1);
    }

    fn redistribute(&mut self, now: Instant) {
        for index in 0..self.shares.len() {
            let share = &self.shares[index];
            if share.ready > 0 && (now.since(share.last_message) > IDLE || now.since(share.ready_since) > HELD) {
                self.set(now, index, 0);
            }
        }
        let limit = if self.level > 0 { 1 } else { self.max_in_flight };
        for _ in self.total()..limit {
            let without: Vec<usize> = (0..self.shares.len()).filter(|&index| self.shares[index].ready == 0).collect();
            if without.is_empty() {
                break;
            }
            let chosen = without[self.rng.below(without.len() as u64) as usize];
            self.set(now, chosen, 1);
        }
    }
}

/// How long level `level` waits.
fn delay(level: u32) -> Duration {
    BACKOFF_UNIT * (1 << level.min(16))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn flow(max_in_flight: u32, wires: u32) -> Flow {
        let mut flow = Flow::new(max_in_flight, Rng::new(1));
        (0..wires).for_each(|wire| flow.add(at(0), wire));
        flow
    }

    #[test]
    fn the_old_make_room_for_the_new() {
        let mut flow = flow(10, 3);
        assert_eq!(flow.shares.iter().map(|share| share.ready).collect::<Vec<_>>(), [3, 3, 3]);
        flow.take_changes();
        flow.add(at(1), 3);
        assert_eq!(flow.take_changes(), [(0, 2), (1, 2), (2, 2), (3, 2)]);
    }

    #[test]
    fn one_message_and_two_nodes_take_turns() {
        let mut flow = flow(1, 2);
        assert_eq!(flow.take_changes(), [(0, 1)]);
        let mut moved = std::collections::BTreeSet::new();
        for second in (5..600).step_by(5) {
            flow.advance(at(second));
            moved.extend(flow.take_changes().into_iter().filter(|&(_, ready)| ready > 0).map(|(wire, _)| wire));
            assert_eq!(flow.total(), 1);
        }
        assert_eq!(moved.len(), 2, "the idle one gave its place away");
    }

    #[test]
    fn backoff_tests_with_one_message() {
        let mut flow = flow(6, 2);
        flow.take_changes();
        flow.on_failed(at(10));
        assert_eq!(flow.take_changes(), [(0, 0), (1, 0)]);
        flow.on_failed(at(11));
        assert_eq!(flow.backoff(), (1, Some(at(12))), "while it waits, nothing counts");
        flow.advance(at(12));
        assert_eq!(flow.total(), 1);
        flow.on_failed(at(13));
        assert_eq!(flow.backoff(), (2, Some(at(17))));
        flow.advance(at(17));
        flow.on_finished(at(18));
        assert_eq!(flow.backoff(), (1, Some(at(20))));
        flow.advance(at(20));
        flow.on_finished(at(21));
        assert_eq!((flow.backoff(), flow.total()), ((0, None), 6));
        (0..20).for_each(|_| {
            flow.on_failed(at(30));
            flow.waits_until = None;
        });
        assert_eq!(flow.level, 6, "64 s; the next would be above two minutes");
    }

    #[test]
    fn no_messages_in_flight_is_a_pause() {
        let mut flow = flow(4, 2);
        flow.set_max_in_flight(at(1), 0);
        assert_eq!((flow.total(), flow.next_deadline().is_some()), (0, true));
        flow.set_max_in_flight(at(2), 5);
        assert_eq!(flow.total(), 4);
    }
}
