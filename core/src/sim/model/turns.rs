//! Whether what comes back to a channel and what it never delivered take turns: the model's rule against starving. Knows only
//! which message was delivered when, which came back when, and which wait.
//!
//! A *row* is deliveries of one kind, one after the other. Rows are all right as long as nothing of the other kind waits, or it
//! is not at hand. So the model looks for a message of the other kind when a row is [`ROW_MIN`] long; if that waits still when
//! as many deliveries more have passed it over, for [`TURN_MAX`] or longer, it is starved. Deliveries of what was there
//! before it (messages that came back earlier, records that a restart has left in an order nobody knows) pass over nothing.

use std::time::Duration;

use crate::time::Instant;

/// Deliveries of one kind in a row, until it is asked what they pass over. Ones that leave a node together are seen consumer
/// by consumer, not in the order in which they were decided: that alone makes rows, and short ones.
const ROW_MIN: u32 = 16;
/// How long something may be passed over. More than a read takes from the slowest disk that is drawn, with whatever is
/// before it: it may have to go from the topic's log to the channel's first.
const TURN_MAX: Duration = Duration::from_secs(10);
/// While more than this wait that came back, some may be on the disk, behind what was never delivered.
const BACK_MAX: u64 = 500;

/// What was delivered, as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It had not been delivered before, nor deferred.
    New,
    /// It had come back, as the channel's so manyeth.
    Back(u64),
    /// Nobody knows: its node was restarted since it was published.
    Unknown,
}

/// A message that waits, and must not be passed over for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Starved {
    /// By what comes back.
    New(u64),
    /// By what was never delivered.
    Back(u64),
}

/// What the channel knows of its messages.
pub(super) trait Waiting {
    /// One that was never delivered and is deliverable.
    fn find_new(&self) -> Option<u64>;
    /// Whether that one is so still.
    fn is_new(&self, number: u64) -> bool;
    /// One that came back, as the `before`th or earlier.
    fn find_back(&self, before: u64) -> Option<u64>;
    /// Whether that one waits still.
    fn is_back(&self, number: u64, before: u64) -> bool;
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    length: u32,
    since: Instant,
    /// What it passes over, and how many messages had come back when that was found.
    passed_over: Option<u64>,
    returns: u64,
}

impl Row {
    /// Something else had its turn, or there is no telling.
    fn restart(&mut self) {
        *self = Self::default();
    }

    /// Something was delivered that was before what is passed over.
    fn stand_still(&mut self, at: Instant) {
        (self.length, self.since) = (0, at);
    }

    /// One delivery more; `true` if it is time to look.
    fn extend(&mut self, at: Instant) -> bool {
        self.length += 1;
        self.length >= ROW_MIN && (self.passed_over.is_none() || at.since(self.since) >= TURN_MAX)
    }

    fn pass_over(&mut self, at: Instant, found: Option<u64>, returns: u64) {
        *self = Self { length: 0, since: at, passed_over: found, returns };
    }
}

/// Of a channel. See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// How often a message has come back.
    returns: u64,
    /// Messages that came back and wait; saturating, since nobody sees all of what a restart leaves.
    waiting: u64,
    /// Since then some of them may be on the disk.
    crowded: bool,
    back: Row,
    new: Row,
}

impl Turns {
    /// A message came back: as the so manyeth.
    pub(super) fn come_back(&mut self) -> u64 {
        self.waiting += 1;
        self.crowded |= self.waiting > BACK_MAX;
        self.returns += 1;
        self.returns
    }

    /// A message left that may have had a turn; or the disk failed, somebody paused something: all begins anew.
    pub(super) fn restart(&mut self) {
        self.back.restart();
        self.new.restart();
    }

    /// Nothing of what came back is there as it was.
    pub(super) fn forget(&mut self) {
        (self.waiting, self.crowded) = (0, false);
        self.restart();
    }

    /// A message is delivered: which one has waited too long, if any has.
    pub(super) fn deliver(&mut self, at: Instant, kind: Kind, channel: &impl Waiting) -> Option<Starved> {
        match kind {
            Kind::Back(nth) => {
                self.waiting = self.waiting.saturating_sub(1);
                self.crowded &= self.waiting > 0;
                self.new.restart();
                self.passes_new(at, nth, channel).map(Starved::New)
            }
            Kind::New => {
                self.back.restart();
                self.passes_back(at, channel).map(Starved::Back)
            }
            Kind::Unknown => {
                self.back.restart();
                self.new.stand_still(at);
                None
            }
        }
    }

    fn passes_new(&mut self, at: Instant, nth: u64, channel: &impl Waiting) -> Option<u64> {
        let row = &mut self.back;
        if row.passed_over.is_some() && nth <= row.returns {
            row.stand_still(at);
            return None;
        }
        if !row.extend(at) {
            return None;
        }
        if let Some(number) = row.passed_over.filter(|&number| channel.is_new(number)) {
            return Some(number);
        }
        row.pass_over(at, channel.find_new(), self.returns);
        None
    }

    fn passes_back(&mut self, at: Instant, channel: &impl Waiting) -> Option<u64> {
        if self.waiting == 0 || self.crowded {
            self.new.restart();
            return None;
        }
        let row = &mut self.new;
        if !row.extend(at) {
            return None;
        }
        if let Some(number) = row.passed_over.filter(|&number| channel.is_back(number, row.returns)) {
            return Some(number);
        }
        row.pass_over(at, channel.find_back(self.returns), self.returns);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// A channel with a new message, and one that came back first, or without them.
    struct Waits(bool);

    impl Waiting for Waits {
        fn find_new(&self) -> Option<u64> {
            self.0.then_some(7)
        }

        fn is_new(&self, number: u64) -> bool {
            self.0 && number == 7
        }

        fn find_back(&self, before: u64) -> Option<u64> {
            (self.0 && before > 0).then_some(9)
        }

        fn is_back(&self, number: u64, before: u64) -> bool {
            self.find_back(before) == Some(number)
        }
    }

    /// Deliveries a second apart, of what `kind` says: the first that shows that something starves.
    fn starves(waits: bool, count: u64, mut kind: impl FnMut(u64, &mut Turns) -> Kind) -> Option<(u64, Starved)> {
        let mut turns = Turns::default();
        turns.come_back();
        (0..count).find_map(|n| {
            let kind = kind(n, &mut turns);
            let at = Instant::ZERO + Duration::from_secs(n);
            Some((n, turns.deliver(at, kind, &Waits(waits))?))
        })
    }

    #[test]
    fn a_row_that_passes_something_over_is_found_and_turns_are_not() {
        let back = |_: u64, turns: &mut Turns| Kind::Back(turns.come_back());
        let new = |_: u64, _: &mut Turns| Kind::New;
        let twice = u64::from(2 * ROW_MIN) - 1;
        assert_eq!(starves(true, 100, back), Some((twice, Starved::New(7))));
        assert_eq!(starves(true, 100, new), Some((twice, Starved::Back(9))));
        assert_eq!((starves(false, 1000, back), starves(false, 1000, new)), (None, None), "nothing waits");
        let in_turn =
            |n: u64, turns: &mut Turns| if n.is_multiple_of(9) { Kind::New } else { Kind::Back(turns.come_back()) };
        assert_eq!(starves(true, 1000, in_turn), None);
    }

    #[test]
    fn what_was_there_before_passes_over_nothing() {
        // In each step one more comes back, and one is delivered that came back long ago.
        let from_a_long_queue = |n: u64, turns: &mut Turns| {
            if n == 0 {
                (0..400).for_each(|_| _ = turns.come_back());
            }
            turns.come_back();
            Kind::Back(n + 1)
        };
        assert_eq!(starves(true, 400, from_a_long_queue), None);
        let unknown =
            |n: u64, turns: &mut Turns| if n.is_multiple_of(2) { Kind::Unknown } else { Kind::Back(turns.come_back()) };
        assert_eq!(starves(true, 1000, unknown), None);
    }
}
