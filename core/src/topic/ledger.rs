//! Which records of a log are done with. The cursor hands records out in order, consumers finish them in any order, and the
//! log's persisted read position may only pass records that are all finished: so this counts the finished prefix.

use std::collections::VecDeque;

/// Record numbers from 1, in the order the cursor passed them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// All records up to this number are finished.
    finished: u64,
    /// For each later record the cursor has passed, whether it is finished. The first is not.
    passed: VecDeque<bool>,
    /// Finished records the storage has not been told of.
    unreleased: u64,
}

impl Ledger {
    /// The cursor passed `count` records: the number of the first.
    pub(crate) fn pass(&mut self, count: u32) -> u64 {
        let first = self.finished + self.passed.len() as u64 + 1;
        self.passed.extend(std::iter::repeat_n(false, count as usize));
        first
    }

    /// A record is done with. Zero and records of before a [`forget`](Self::forget) are none of ours.
    pub(crate) fn finish(&mut self, origin: u64) {
        let Some(index) = origin.checked_sub(self.finished + 1) else { return };
        let Some(done) = self.passed.get_mut(index as usize) else { return };
        *done = true;
        if index > 0 {
            return;
        }
        while self.passed.front() == Some(&true) {
            self.passed.pop_front();
            self.finished += 1;
            self.unreleased += 1;
        }
    }

    /// How many finished records the storage has not been told of.
    pub(crate) fn unreleased(&self) -> u64 {
        self.unreleased
    }

    /// The same, and now it is told.
    pub(crate) fn release(&mut self) -> u64 {
        std::mem::take(&mut self.unreleased)
    }

    /// The log was emptied: nothing passed is outstanding. Numbers go on, so that stale ones match nothing.
    pub(crate) fn forget(&mut self) {
        self.finished += self.passed.len() as u64;
        self.passed.clear();
        self.unreleased = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_a_finished_prefix_is_released() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.pass(3), 1);
        assert_eq!(ledger.pass(1), 4);
        ledger.finish(3);
        ledger.finish(2);
        assert_eq!(ledger.release(), 0);
        ledger.finish(1);
        assert_eq!((ledger.release(), ledger.release()), (3, 0));
        ledger.finish(1);
        ledger.finish(0);
        ledger.finish(99);
        assert_eq!(ledger.release(), 0);
        ledger.finish(4);
        assert_eq!(ledger.release(), 1);
    }

    #[test]
    fn stale_numbers_match_nothing_after_forgetting() {
        let mut ledger = Ledger::default();
        ledger.pass(5);
        ledger.forget();
        ledger.finish(1);
        assert_eq!(ledger.pass(1), 6);
        ledger.finish(5);
        assert_eq!(ledger.release(), 0);
    }
}
