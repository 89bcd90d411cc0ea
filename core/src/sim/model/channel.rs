//! The copies of messages that a channel has, by message number, and what may happen to each.

use crate::protocol::ConnId;
use crate::time::Instant;

use super::place::Record;
use super::turns::{Kind, Waiting};

/// Where a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Queued, on a disk, or still in the topic.
    Waiting,
    InFlight {
        conn: ConnId,
        delivered: Instant,
        deadline: Instant,
    },
    /// By REQ.
    Deferred {
        due: Instant,
    },
    Finished,
}

impl State {
    /// When it ends by itself.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            State::InFlight { deadline, .. } => Some(deadline),
            State::Deferred { due } => Some(due),
            State::Waiting | State::Finished => None,
        }
    }
}

/// A message in a channel.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) state: State,
    /// Deliveries so far; the most that any record of it can know of if it is `old`.
    attempts: u16,
    /// As it was published; `None` once that may be lost.
    due: Option<Instant>,
    /// It must be finished in the end.
    promised: bool,
    /// It was dropped: no promise is made of it.
    released: bool,
    /// Its node was restarted since: there may be more than one record of it, and some that was finished.
    pub(super) old: bool,
    /// That it came back last was the channel's so manyeth time; zero if it never did, or its node was restarted since.
    back: u64,
}

impl Copy {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    /// What a delivery of it is, as the `attempts`th.
    pub(super) fn kind(&self, attempts: u16) -> Kind {
        match self.back {
            0 if self.old || attempts != 1 => Kind::Unknown,
            0 => Kind::New,
            nth => Kind::Back(nth),
        }
    }

    /// Whether it was never delivered and can be, at `at`.
    fn is_new(&self, at: Instant) -> bool {
        let waits = self.promised && self.state == State::Waiting && self.attempts == 0 && self.back == 0;
        waits && self.due.is_none_or(|due| due <= at)
    }

    /// Whether it waits since it came back, as the `before`th or earlier.
    fn is_back(&self, before: u64) -> bool {
        self.state == State::Waiting && (1..=before).contains(&self.back) && !self.released
    }

    pub(super) fn is_out_with(&self, conn: ConnId) -> bool {
        matches!(self.state, State::InFlight { conn: owner, .. } if owner == conn)
    }

    /// Why it must not be delivered to `conn` now as attempt `attempts`, if so.
    pub(super) fn refuses_delivery(&self, at: Instant, conn: ConnId, attempts: u16) -> Option<String> {
        let expected = self.attempts.wrapping_add(1);
        let counted = attempts == expected || self.old && attempts >= 1 && attempts < expected;
        match self.state {
            State::InFlight { conn: owner, .. } => {
                Some(format!("was delivered to connection {} while it is out with {}", conn.0, owner.0))
            }
            State::Finished if !self.old => Some("was delivered after it was finished".to_owned()),
            State::Deferred { .. } if !self.old => Some("was delivered before it is due again".to_owned()),
            State::Waiting if self.due.is_some_and(|due| due > at) => Some("was delivered before it is due".to_owned()),
            _ if !counted => Some(format!("was delivered with attempts {attempts}, not {expected}")),
            State::Waiting | State::Deferred { .. } | State::Finished => None,
        }
    }
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Copies(Vec<Option<Copy>>);

impl Copies {
    /// Message `number`, put in as it was published unless it is there.
    pub(super) fn put(&mut self, number: u64, record: Record) -> &mut Copy {
        let index = number as usize;
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        let Record { due, old, .. } = record;
        let copy = Copy { state: State::Waiting, attempts: 0, due, promised: false, released: false, old, back: 0 };
        self.0[index].get_or_insert(copy)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Copy> {
        self.0.get(number as usize)?.as_ref()
    }

    fn find(&self, wanted: impl Fn(&Copy) -> bool) -> Option<u64> {
        self.0.iter().position(|copy| copy.as_ref().is_some_and(&wanted)).map(|index| index as u64)
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Copy> {
        self.0.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn set(&mut self, number: u64, state: State) {
        if let Some(copy) = self.get_mut(number) {
            copy.state = state;
        }
    }

    /// It waits again, since the `nth` return to the channel; zero if that is not counted.
    pub(super) fn come_back(&mut self, number: u64, nth: u64) {
        if let Some(copy) = self.get_mut(number) {
            (copy.state, copy.back) = (State::Waiting, nth);
        }
    }

    pub(super) fn deliver(&mut self, number: u64, state: State, attempts: u16) {
        if let Some(copy) = self.get_mut(number) {
            (copy.state, copy.attempts) = (state, if copy.old { copy.attempts.max(attempts) } else { attempts });
        }
    }

    pub(super) fn promise(&mut self, number: u64) {
        if let Some(copy) = self.get_mut(number) {
            copy.promised = !copy.released;
        }
    }

    /// Nothing is promised of this one any more, and it may be gone.
    pub(super) fn release(&mut self, number: u64) {
        if let Some(copy) = self.get_mut(number) {
            (copy.promised, copy.released) = (false, true);
        }
    }

    /// Nothing is promised of those that may still be in the topic.
    pub(super) fn release_waiting(&mut self) {
        for copy in self.0.iter_mut().flatten().filter(|copy| copy.state == State::Waiting) {
            (copy.promised, copy.released) = (false, true);
        }
    }

    /// All are gone, but those that are still in the topic, or that a disk which fails does not let go.
    pub(super) fn empty(&mut self) {
        for copy in self.0.iter_mut().flatten() {
            (copy.promised, copy.released, copy.old, copy.back) = (false, true, true, 0);
            if copy.state != State::Finished {
                copy.state = State::Waiting;
            }
        }
    }

    /// The node's process ended.
    pub(super) fn go_down(&mut self, keeps: bool, killed: bool) {
        for copy in self.0.iter_mut().flatten() {
            copy.promised &= keeps;
            (copy.old, copy.back) = (true, 0);
            copy.due = copy.due.filter(|_| !killed);
            if copy.state != State::Finished {
                copy.state = State::Waiting;
            }
        }
    }

    /// Ends of flights and deferrals.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = (Instant, u64)> {
        let deadline = |(index, copy): (usize, &Option<Copy>)| Some((copy.as_ref()?.deadline()?, index as u64));
        self.0.iter().enumerate().filter_map(deadline)
    }

    /// Messages that must have been finished and were not.
    pub(super) fn unkept_promises(&self) -> Vec<u64> {
        let unkept = |copy: &Copy| copy.promised && copy.state != State::Finished;
        let numbers = self.0.iter().enumerate();
        numbers.filter(|(_, copy)| copy.as_ref().is_some_and(unkept)).map(|(index, _)| index as u64).collect()
    }
}

/// The copies of a channel at a time.
pub(super) struct CopiesAt<'a>(pub(super) &'a Copies, pub(super) Instant);

impl Waiting for CopiesAt<'_> {
    fn find_new(&self) -> Option<u64> {
        self.0.find(|copy| copy.is_new(self.1))
    }

    fn is_new(&self, number: u64) -> bool {
        self.0.get(number).is_some_and(|copy| copy.is_new(self.1))
    }

    fn find_back(&self, before: u64) -> Option<u64> {
        self.0.find(|copy| copy.is_back(before))
    }

    fn is_back(&self, number: u64, before: u64) -> bool {
        self.0.get(number).is_some_and(|copy| copy.is_back(before))
    }
}
