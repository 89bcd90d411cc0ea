//! What has come back to a queue and waits there to be delivered again: requeued, timed out, or deferred and due. Owns the
//! order of these messages, first come first served, and the count of what they take. Knows nothing of new messages.
//!
//! They stay in memory beyond `--mem-queue-size`, since that is where they were before. What never was on a log is bounded by that
//! flag and RDY, or was in memory as a deferral. But consumers that give everything back would bring a whole backlog from the
//! log to memory: so there is a [limit](Returned::is_crowded) to what has a record there, and what came last beyond it
//! is [written anew](Returned::split_excess).

use std::collections::VecDeque;

use crate::message::{Message, Run};

use super::queue::{bytes_in, take_front};

/// Of what is on the log, this much may come back, whatever `--mem-queue-size` is; and so many messages, whatever their size.
const BYTES_MAX: usize = 1024 * 1024;
const MESSAGES_MIN: usize = 16;
/// What a message that came back takes in memory besides its body: a batch and a head of its own, and its run.
const MESSAGE_BYTES: usize = 128;

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(crate) struct Returned {
    runs: VecDeque<Run>,
    len: usize,
    /// Messages whose record is on the log still, and what these take.
    logged: usize,
    logged_bytes: usize,
}

impl Returned {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Messages whose record is on the log still.
    pub(crate) fn logged(&self) -> usize {
        self.logged
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        self.runs.iter().flat_map(Run::messages)
    }

    pub(crate) fn push(&mut self, run: Run) {
        self.len += run.len() as usize;
        if run.origin != 0 {
            self.logged += run.len() as usize;
            self.logged_bytes += cost(&run);
        }
        self.runs.push_back(run);
    }

    /// Takes up to `count` messages of one run, as [`Queue::take`](super::queue::Queue::take) does.
    pub(crate) fn take(&mut self, count: u32, window: i64) -> Option<Run> {
        let run = take_front(&mut self.runs, count, window)?;
        self.forget(&run);
        Some(run)
    }

    /// Whether more of what is on the log has come back than is kept in memory, which has place for `capacity` messages.
    pub(crate) fn is_crowded(&self, capacity: usize) -> bool {
        self.logged_bytes > BYTES_MAX && self.logged > capacity.max(MESSAGES_MIN)
    }

    /// If it is [too much](Self::is_crowded), takes off what came last of it, in the order it came, until a quarter of the limit is
    /// free: what follows is a batch, too.
    pub(crate) fn split_excess(&mut self, capacity: usize) -> Vec<Run> {
        let capacity = capacity.max(MESSAGES_MIN);
        let (mut excess, mut others) = (Vec::new(), Vec::new());
        while self.logged_bytes > BYTES_MAX / 4 * 3 && self.logged > capacity - capacity / 4 {
            let Some(run) = self.runs.pop_back() else { break };
            if run.origin == 0 {
                others.push(run);
            } else {
                self.forget(&run);
                excess.push(run);
            }
        }
        self.runs.extend(others.into_iter().rev());
        excess.reverse();
        excess
    }

    /// Empties it, the oldest first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Run> {
        std::mem::take(self).runs.into_iter()
    }

    fn forget(&mut self, run: &Run) {
        self.len -= run.len() as usize;
        if run.origin != 0 {
            self.logged -= run.len() as usize;
            self.logged_bytes -= cost(run);
        }
    }
}

fn cost(run: &Run) -> usize {
    bytes_in(run) + run.len() as usize * MESSAGE_BYTES
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::Batch;
    use crate::time::Timestamp;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn run(id: u64, origin: u64, body: &[u8]) -> Run {
        let id = crate::message::MessageId(id);
        let message = Message { id, timestamp: Timestamp::default(), attempts: 1, due: None, body };
        Run { origin, ..Run::whole(Arc::new(Batch::single(message))) }
    }

    fn ids<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<u64> {
        runs.flat_map(Run::messages).map(|message| message.id.0).collect()
    }

    #[test]
    fn what_came_last_of_what_is_on_the_log_is_the_excess() {
        let mut returned = Returned::default();
        let body = vec![0; 100_000];
        (1..=12).for_each(|id| returned.push(run(id, if id % 6 == 0 { 0 } else { id }, &body)));
        assert!(!returned.is_crowded(0), "sixteen may come back whatever their size");
        (13..=24).for_each(|id| returned.push(run(id, if id % 6 == 0 { 0 } else { id }, &body)));
        assert!(returned.is_crowded(0) && returned.is_crowded(19) && !returned.is_crowded(20));
        let excess = returned.split_excess(0);
        assert_eq!(ids(excess.iter()), [15, 16, 17, 19, 20, 21, 22, 23], "12 of 16 stay, and what is on no log");
        assert_eq!(ids(returned.runs.iter()), (1..=14).chain([18, 24]).collect::<Vec<_>>());
        assert_eq!((returned.len(), returned.logged(), returned.is_crowded(0)), (16, 12, false));
        assert!(returned.split_excess(0).is_empty());
    }
}
