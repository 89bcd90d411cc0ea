//! What an application does with the messages it gets: it handles so many at a time, takes its time over each, fails, never
//! answers, touches what takes long, as it is told. It goes on when the connection is gone that a message came over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::client::PeerId;
use crate::message::MessageId;
use crate::rng::Rng;
use crate::time::Instant;

use super::options::ConsumerOptions;

/// A message that the program has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The connection it came over, and the wire of that.
    pub(super) peer: PeerId,
    pub(super) wire: u32,
    pub(super) id: MessageId,
    pub(super) number: u64,
    poisoned: bool,
}

/// What a program has to say about a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    Finish(Held),
    Fail(Held),
    Touch { peer: PeerId, id: MessageId },
}

/// How handling a message is going to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Failed,
    Never,
}

#[derive(Clone, Debug)]
struct Handling {
    held: Held,
    outcome: Outcome,
    /// When it is touched next.
    touch_at: Option<Instant>,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Handler {
    waiting: VecDeque<Held>,
    /// By when it ends, and then in the order of beginning.
    busy: BTreeMap<(Instant, u64), Handling>,
    begun: u64,
    rng: Rng,
}

impl Handler {
    pub(super) fn new(rng: Rng) -> Self {
        Self { waiting: VecDeque::new(), busy: BTreeMap::new(), begun: 0, rng }
    }

    /// The program died.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.busy.clear();
    }

    /// Takes a message in.
    pub(super) fn take(&mut self, mut held: Held, body: &[u8], options: &ConsumerOptions) {
        let poison = options.poison.as_bytes();
        held.poisoned = !poison.is_empty() && body.windows(poison.len()).any(|window| window == poison);
        self.waiting.push_back(held);
    }

    /// Begins and ends what there is to begin and end: verdicts, in order.
    pub(super) fn advance(&mut self, now: Instant, options: &ConsumerOptions, verdicts: &mut Vec<Verdict>) {
        loop {
            while let Some(first) = self.busy.first_entry().filter(|first| first.key().0 <= now) {
                let Handling { held, outcome, .. } = first.remove();
                match outcome {
                    Outcome::Done => verdicts.push(Verdict::Finish(held)),
                    Outcome::Failed => verdicts.push(Verdict::Fail(held)),
                    Outcome::Never => {}
                }
            }
            if !self.begin(now, options, verdicts) {
                break;
            }
        }
        self.touch(now, options, verdicts);
    }

    /// Begins what may be begun; whether something may have ended already.
    fn begin(&mut self, now: Instant, options: &ConsumerOptions, verdicts: &mut Vec<Verdict>) -> bool {
        let instant = options.handler.is_zero() && options.jitter.is_zero() && options.timeout == 0;
        let mut begun = false;
        while self.busy.len() < options.concurrency as usize
            && let Some(held) = self.waiting.pop_front()
        {
            let outcome = self.draw(&held, options);
            if instant {
                verdicts.push(if outcome == Outcome::Done { Verdict::Finish(held) } else { Verdict::Fail(held) });
                continue;
            }
            let jitter = u64::try_from(options.jitter.as_nanos()).unwrap_or(0);
            let drawn = Duration::from_nanos(if jitter == 0 { 0 } else { self.rng.below(jitter + 1) });
            // One that never answers gives up its place after its time, too: its handler was cancelled, say.
            let ends = now + options.handler + drawn;
            let touch_at = (!options.touch.is_zero()).then(|| now + options.touch);
            self.begun += 1;
            begun = true;
            self.busy.insert((ends, self.begun), Handling { held, outcome, touch_at });
        }
        begun && self.busy.first_key_value().is_some_and(|(&(ends, _), _)| ends <= now)
    }

    fn draw(&mut self, held: &Held, options: &ConsumerOptions) -> Outcome {
        if options.timeout > 0 && self.rng.below(100) < u64::from(options.timeout) {
            Outcome::Never
        } else if held.poisoned || options.fail > 0 && self.rng.below(100) < u64::from(options.fail) {
            Outcome::Failed
        } else {
            Outcome::Done
        }
    }

    fn touch(&mut self, now: Instant, options: &ConsumerOptions, verdicts: &mut Vec<Verdict>) {
        if options.touch.is_zero() {
            return;
        }
        for handling in self.busy.values_mut() {
            if let Some(at) = &mut handling.touch_at
                && *at <= now
            {
                *at = now + options.touch;
                verdicts.push(Verdict::Touch { peer: handling.held.peer, id: handling.held.id });
            }
        }
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(super) fn next_deadline(&self, options: &ConsumerOptions) -> Option<Instant> {
        let ends = self.busy.first_key_value().map(|(&(ends, _), _)| ends);
        let touches =
            if options.touch.is_zero() { None } else { self.busy.values().filter_map(|one| one.touch_at).min() };
        [ends, touches].into_iter().flatten().min()
    }
}

impl Held {
    pub(super) fn new(peer: PeerId, wire: u32, id: MessageId, number: u64) -> Self {
        Self { peer, wire, id, number, poisoned: false }
    }
}
