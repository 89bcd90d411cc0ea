//! How often a topic wakes its consumers when it wakes many at once.
//!
//! A message that goes to sixteen connections costs sixteen wake-ups and sixteen writes, and at some thousand messages a second
//! that is nearly all it costs. So what a step delivers to [`MANY`] connections or more lies for a moment if such a step woke
//! connections less than [`GAP`] ago: the next wake-up is for all that has come meanwhile, and each connection writes it
//! at once. A lone message is never held, nor is what goes to few connections, nor anything but deliveries.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use sansq_core::message::Run;
use sansq_core::time::Instant;

use super::mailbox::Mailbox;

/// The least time between two wake-ups of many connections: what a message waits at most.
const GAP: Duration = Duration::from_millis(1);
/// A step that delivers to so many connections wakes many.
const MANY: usize = 4;

/// A topic's wake-ups of many connections.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the next may be.
    next: Instant,
    /// Where something lies. A mailbox is in it twice if its owner took what lay there and more has come.
    held: Vec<Arc<Mailbox>>,
    /// At the last deadline something was released, so there is one more: to be called in vain once costs less than setting
    /// an alarm for each.
    steady: bool,
}

impl Pace {
    /// Begins a step.
    pub(super) fn step(&mut self, now: Instant) -> Step<'_> {
        let kept = self.held.len();
        Step { holding: now < self.next, now, kept, reached: [None; MANY], pace: self }
    }

    /// When a step has to be made at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.steady || !self.held.is_empty()).then_some(self.next)
    }
}

/// The deliveries of one step of the topic.
pub(super) struct Step<'a> {
    pace: &'a mut Pace,
    now: Instant,
    /// It is too early to wake many.
    holding: bool,
    /// So many mailboxes were held before.
    kept: usize,
    /// The first ones that are delivered to.
    reached: [Option<&'a Arc<Mailbox>>; MANY],
}

impl<'a> Step<'a> {
    /// Delivers to the owner of `mailbox`. Returns the way to wake it, if it is to be woken.
    pub(super) fn deliver(&mut self, mailbox: &'a Arc<Mailbox>, run: Run) -> Option<Waker> {
        let known = |slot: &&mut Option<&Arc<Mailbox>>| slot.is_none_or(|other| Arc::ptr_eq(other, mailbox));
        if let Some(slot) = self.reached.iter_mut().find(known) {
            *slot = Some(mailbox);
        }
        if !self.holding {
            return mailbox.post(|mail| mail.runs.push(run));
        }
        if mailbox.hold(run) {
            self.pace.held.push(mailbox.clone());
        }
        None
    }

    /// Ends the step. Appends the ways to wake those that have waited long enough, or need not wait.
    pub(super) fn end(self, wakers: &mut Vec<Waker>) {
        let Self { pace, now, holding, kept, reached } = self;
        let many = reached.iter().all(Option::is_some);
        if holding {
            if !many {
                pace.held.truncate(kept);
                wakers.extend(reached.into_iter().flatten().filter_map(|mailbox| mailbox.release()));
            }
            return;
        }
        pace.steady = !pace.held.is_empty();
        wakers.extend(pace.held.drain(..).filter_map(|mailbox| mailbox.release()));
        if many || pace.steady {
            pace.next = now + GAP;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use sansq_core::message::BatchBuilder;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Connections that sleep unless there are letters that they know of.
    struct Consumers {
        pace: Pace,
        mailboxes: Vec<Arc<Mailbox>>,
        bell: Arc<Bell>,
    }

    impl Consumers {
        fn new(count: usize) -> Self {
            let consumers = Self {
                pace: Pace::default(),
                mailboxes: (0..count).map(|_| Arc::default()).collect(),
                bell: Arc::default(),
            };
            consumers.mailboxes.iter().for_each(|mailbox| assert!(mailbox.watch(&consumers.waker())));
            consumers
        }

        fn waker(&self) -> Waker {
            self.bell.clone().into()
        }

        /// A step that delivers a message to each of the first `count`: how many are woken.
        fn deliver(&mut self, micros: u64, count: usize) -> usize {
            let mut wakers = Vec::new();
            let mut step = self.pace.step(at(micros));
            for mailbox in &self.mailboxes[..count] {
                wakers.extend(step.deliver(mailbox, run()));
            }
            step.end(&mut wakers);
            wakers.len()
        }

        /// What connection number `index` finds when it looks, before it sleeps again.
        fn take(&self, index: usize) -> usize {
            let mailbox = &self.mailboxes[index];
            let messages = mailbox.collect().map_or(0, |mail| mail.runs.len());
            assert!(mailbox.watch(&self.waker()), "would be polled for ever");
            messages
        }

        fn take_all(&self) -> Vec<usize> {
            (0..self.mailboxes.len()).map(|index| self.take(index)).collect()
        }
    }

    fn at(micros: u64) -> Instant {
        Instant::default() + Duration::from_micros(micros)
    }

    fn run() -> Run {
        let mut builder = BatchBuilder::default();
        builder.push(b"x", None);
        Run::whole(Arc::new(builder.finish().remove(0)))
    }

    #[test]
    fn a_lone_message_wakes_all_at_once() {
        let mut consumers = Consumers::new(5);
        for micros in [1_000, 2_000, 4_000] {
            assert_eq!(consumers.deliver(micros, 5), 5);
            assert_eq!(consumers.take_all(), [1; 5]);
            assert_eq!(consumers.pace.deadline(), None);
        }
    }

    #[test]
    fn what_comes_soon_after_lies_until_the_gap_is_over() {
        let mut consumers = Consumers::new(4);
        assert_eq!(consumers.deliver(1_000, 4), 4);
        assert_eq!(consumers.take_all(), [1; 4]);
        assert_eq!(consumers.deliver(1_100, 4), 0);
        assert_eq!(consumers.deliver(1_999, 4), 0);
        assert_eq!(consumers.take_all(), [0; 4]);
        assert_eq!(consumers.pace.deadline(), Some(at(2_000)));
        assert_eq!(consumers.deliver(2_010, 0), 4, "the alarm");
        assert_eq!(consumers.take_all(), [2; 4]);
        // Once more, and if nothing has come until then, no more.
        assert_eq!(consumers.pace.deadline(), Some(at(3_010)));
        assert_eq!(consumers.deliver(3_010, 0), 0);
        assert_eq!(consumers.pace.deadline(), None);
    }

    #[test]
    fn a_step_after_the_gap_wakes_as_the_alarm_would() {
        let mut consumers = Consumers::new(4);
        consumers.deliver(1_000, 4);
        consumers.take_all();
        consumers.deliver(1_200, 4);
        assert_eq!(consumers.deliver(2_100, 4), 4);
        assert_eq!(consumers.take_all(), [2; 4]);
        assert_eq!(consumers.deliver(2_200, 4), 0);
    }

    #[test]
    fn what_goes_to_few_never_lies() {
        let mut consumers = Consumers::new(4);
        for micros in [1_000, 1_001, 1_002] {
            assert_eq!(consumers.deliver(micros, 3), 3);
            assert_eq!(consumers.take_all(), [1, 1, 1, 0]);
        }
        consumers.deliver(2_000, 4);
        consumers.take_all();
        consumers.deliver(2_100, 4);
        // Behind a message that lies: both go.
        assert_eq!(consumers.deliver(2_200, 1), 1);
        assert_eq!(consumers.take_all(), [2, 0, 0, 0]);
        assert_eq!(consumers.deliver(3_000, 0), 3);
        assert_eq!(consumers.take_all(), [0, 1, 1, 1]);
    }

    #[test]
    fn a_letter_of_another_kind_takes_along_what_lies() {
        let mut consumers = Consumers::new(4);
        consumers.deliver(1_000, 4);
        consumers.take_all();
        consumers.deliver(1_100, 4);
        assert!(consumers.mailboxes[2].post(|mail| mail.close = true).is_some(), "woken at once");
        assert_eq!(consumers.take_all(), [0, 0, 1, 0]);
        assert_eq!(consumers.deliver(2_000, 0), 3);
        assert_eq!(consumers.take_all(), [1, 1, 0, 1]);
    }
}
