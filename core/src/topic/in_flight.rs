//! Messages out with consumers: who has each, and until when. One hash look-up to insert, finish, touch or requeue; the
//! deadlines are a queue where they come in order, as with one msg_timeout they do, and a heap for the rest. A finished
//! message's deadline is not looked for: it is dropped when it reaches the front, or when such leftovers outnumber the
//! live ones.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::message::{Batch, Message, MessageId};
use crate::protocol::{ConnId, RefusedWhy};
use crate::time::Instant;

/// One message out with a consumer.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) batch: Arc<Batch>,
    pub(crate) index: u32,
    /// Its place in the channel's log, or zero.
    pub(crate) origin: u64,
    pub(crate) conn: ConnId,
    pub(crate) delivered: Instant,
    pub(crate) deadline: Instant,
}

/// The in-flight set of a channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    flights: HashMap<MessageId, Flight, BuildHasherDefault<IdHasher>>,
    ordered: VecDeque<(Instant, MessageId)>,
    others: BinaryHeap<Reverse<(Instant, MessageId)>>,
    /// The first deadline, if there is one, was found to be no leftover, and nothing has ended since. Asked for far more
    /// often than that: with every publish, for one.
    first_is_live: bool,
}

impl InFlight {
    pub(crate) fn len(&self) -> usize {
        self.flights.len()
    }

    /// Takes a message out. One that is in flight already is not (`false`): two records of one id must not share an
    /// entry.
    pub(crate) fn insert(&mut self, id: MessageId, flight: Flight) -> bool {
        let deadline = flight.deadline;
        match self.flights.entry(id) {
            std::collections::hash_map::Entry::Occupied(_) => return false,
            std::collections::hash_map::Entry::Vacant(vacant) => vacant.insert(flight),
        };
        self.push_deadline(deadline, id);
        true
    }

    /// Removes the message, if `conn` has it.
    pub(crate) fn remove(&mut self, id: MessageId, conn: ConnId) -> Result<Flight, RefusedWhy> {
        match self.flights.entry(id) {
            std::collections::hash_map::Entry::Vacant(_) => Err(RefusedWhy::NotInFlight),
            std::collections::hash_map::Entry::Occupied(entry) if entry.get().conn != conn => Err(RefusedWhy::NotOwner),
            std::collections::hash_map::Entry::Occupied(entry) => {
                let flight = entry.remove();
                self.forget_deadline(id);
                Ok(flight)
            }
        }
    }

    /// Moves the deadline of a message that `conn` has to what `extend` says.
    pub(crate) fn touch(
        &mut self,
        id: MessageId,
        conn: ConnId,
        extend: impl FnOnce(&Flight) -> Instant,
    ) -> Result<(), RefusedWhy> {
        let flight = self.flights.get_mut(&id).ok_or(RefusedWhy::NotInFlight)?;
        if flight.conn != conn {
            return Err(RefusedWhy::NotOwner);
        }
        let deadline = extend(flight);
        if deadline != flight.deadline {
            flight.deadline = deadline;
            self.first_is_live = false;
            self.push_deadline(deadline, id);
            self.compact();
        }
        Ok(())
    }

    /// The next message whose time is up at `now`, removed.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<(MessageId, Flight)> {
        if self.next_deadline()? > now {
            return None;
        }
        let (_, id) = self.pop_front_deadline()?;
        let flight = self.flights.remove(&id)?;
        self.compact();
        Some((id, flight))
    }

    /// When the next message's time is up.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some((at, id)) = self.front_deadline() {
            if self.first_is_live || self.flights.get(&id).is_some_and(|flight| flight.deadline == at) {
                self.first_is_live = true;
                return Some(at);
            }
            self.pop_front_deadline();
        }
        None
    }

    /// The `limit` next to expire, in that order.
    pub(crate) fn first(&self, limit: usize) -> impl Iterator<Item = (&Flight, Message<'_>)> {
        let mut others: Vec<(Instant, MessageId)> = self.others.iter().map(|entry| entry.0).collect();
        others.sort_unstable();
        let mut others = others.into_iter().peekable();
        let mut ordered = self.ordered.iter().copied().peekable();
        let merged = std::iter::from_fn(move || match (ordered.peek(), others.peek()) {
            (Some(a), Some(b)) if b < a => others.next(),
            (Some(_), _) => ordered.next(),
            (None, _) => others.next(),
        });
        let living = merged.filter_map(|(at, id)| self.flights.get(&id).filter(|flight| flight.deadline == at));
        living.take(limit).map(|flight| (flight, flight.batch.message(flight.index)))
    }

    /// Empties the set, oldest deadline first.
    pub(crate) fn drain(&mut self) -> Vec<(MessageId, Flight)> {
        let mut all: Vec<_> = self.flights.drain().collect();
        all.sort_unstable_by_key(|(id, flight)| (flight.deadline, *id));
        *self = Self::default();
        all
    }

    fn push_deadline(&mut self, at: Instant, id: MessageId) {
        match self.ordered.back() {
            Some(&(last, _)) if last > at => self.others.push(Reverse((at, id))),
            _ => self.ordered.push_back((at, id)),
        }
    }

    fn front_deadline(&self) -> Option<(Instant, MessageId)> {
        match (self.ordered.front(), self.others.peek()) {
            (Some(&a), Some(&Reverse(b))) => Some(a.min(b)),
            (Some(&a), None) => Some(a),
            (None, Some(&Reverse(b))) => Some(b),
            (None, None) => None,
        }
    }

    fn pop_front_deadline(&mut self) -> Option<(Instant, MessageId)> {
        let front = self.front_deadline()?;
        self.first_is_live = false;
        if self.ordered.front() == Some(&front) { self.ordered.pop_front() } else { self.others.pop().map(|r| r.0) }
    }

    fn forget_deadline(&mut self, id: MessageId) {
        self.first_is_live = false;
        if self.flights.is_empty() {
            self.ordered.clear();
            self.others.clear();
        } else if self.ordered.front().is_some_and(|&(_, front)| front == id) {
            self.ordered.pop_front();
        } else {
            self.compact();
        }
    }

    /// Keeps leftovers below live deadlines; amortized constant.
    fn compact(&mut self) {
        if self.ordered.len() + self.others.len() <= 2 * self.flights.len() + 64 {
            return;
        }
        let flights = &self.flights;
        let live = |at: &Instant, id: &MessageId| flights.get(id).is_some_and(|flight| flight.deadline == *at);
        self.ordered.retain(|(at, id)| live(at, id));
        self.others.retain(|Reverse((at, id))| live(at, id));
    }
}

/// Ids are ours and nearly sequential, so one multiplication spreads them; nobody else chooses a key.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        let product = u128::from(self.0 ^ n) * 0x9e37_79b9_7f4a_7c15_u128;
        self.0 = (product ^ product >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const A: ConnId = ConnId(1);
    const B: ConnId = ConnId(2);

    fn flight(conn: ConnId, deadline: u64) -> Flight {
        let message = Message { id: MessageId(0), timestamp: Timestamp::default(), attempts: 0, due: None, body: b"x" };
        Flight {
            batch: Arc::new(Batch::single(message)),
            index: 0,
            origin: 0,
            conn,
            delivered: Instant::ZERO,
            deadline: Instant::from_nanos(deadline),
        }
    }

    #[test]
    fn only_the_owner_may_finish() {
        let mut set = InFlight::default();
        assert!(set.insert(MessageId(1), flight(A, 10)));
        assert!(!set.insert(MessageId(1), flight(B, 10)), "one id, one flight");
        assert_eq!(set.remove(MessageId(1), B).unwrap_err(), RefusedWhy::NotOwner);
        assert!(set.remove(MessageId(1), A).is_ok());
        assert_eq!(set.remove(MessageId(1), A).unwrap_err(), RefusedWhy::NotInFlight);
        assert_eq!(set.next_deadline(), None);
    }

    #[test]
    fn deadlines_come_in_order_from_queue_and_heap() {
        let mut set = InFlight::default();
        for (id, at) in [(1, 50), (2, 20), (3, 60), (4, 30)] {
            set.insert(MessageId(id), flight(A, at));
        }
        set.touch(MessageId(2), A, |_| Instant::from_nanos(55)).unwrap();
        assert!(set.expire(Instant::from_nanos(29)).is_none());
        let mut order = Vec::new();
        while let Some((id, _)) = set.expire(Instant::from_nanos(100)) {
            order.push(id.0);
        }
        assert_eq!(order, [4, 1, 2, 3]);
    }

    #[test]
    fn leftovers_stay_below_the_living() {
        let mut set = InFlight::default();
        set.insert(MessageId(0), flight(A, 1_000_000));
        for i in 1..10_000 {
            set.insert(MessageId(i), flight(A, 2_000_000 + i));
            set.remove(MessageId(i), A).unwrap();
        }
        assert!(set.ordered.len() + set.others.len() < 100);
        assert_eq!(set.next_deadline(), Some(Instant::from_nanos(1_000_000)));
    }

    #[test]
    fn the_next_deadline_is_the_earliest_of_the_living() {
        let (mut set, mut random) = (InFlight::default(), crate::rng::Rng::new(1));
        let mut living = std::collections::BTreeMap::new();
        for _ in 0..20_000 {
            let (id, at) = (random.below(20), random.below(50));
            match random.below(4) {
                0 | 1 => {
                    if set.insert(MessageId(id), flight(A, at)) {
                        living.insert(id, at);
                    }
                }
                2 => assert_eq!(set.remove(MessageId(id), A).is_ok(), living.remove(&id).is_some()),
                _ => {
                    if set.touch(MessageId(id), A, |_| Instant::from_nanos(at)).is_ok() {
                        living.insert(id, at);
                    }
                }
            }
            if random.below(2) == 0 {
                assert_eq!(set.next_deadline().map(Instant::as_nanos), living.values().min().copied());
            }
            if random.below(8) == 0 {
                let now = random.below(50);
                let earliest = living.values().min().copied().filter(|&at| at <= now);
                let expired = set.expire(Instant::from_nanos(now)).and_then(|(id, _)| living.remove(&id.0));
                assert_eq!(expired, earliest);
            }
        }
    }
}
