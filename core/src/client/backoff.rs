//! Backoff: when handling messages fails, a consumer asks for none for a while, then for one, to see. Each failure makes the
//! next wait longer, each success shorter; when the level is back at zero all is as before.
//!
//! Owns the level and the waits. Who gets the test message is [`rdy`](super::rdy)'s to decide.

use std::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;

use super::{BackoffStrategy, ClientOptions};

/// How long to wait again when there was nobody to ask for a test message.
const NOBODY_TO_ASK: Duration = Duration::from_secs(1);

/// What handling a message says about the state of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Success,
    Failure,
    Neither,
}

/// What a signal changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// Ask for no more messages until the wait is over.
    Wait(Duration),
    /// Backoff is over.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    Waiting { until: Instant },
    Testing,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    level: u32,
    state: State,
    rng: Rng,
}

impl Backoff {
    pub(super) fn new(rng: Rng) -> Self {
        Self { level: 0, state: State::Off, rng }
    }

    /// 0 when off.
    pub(super) fn level(&self) -> u32 {
        self.level
    }

    /// Neither waiting nor testing.
    pub(super) fn is_off(&self) -> bool {
        self.state == State::Off
    }

    /// One message is wanted, to see.
    pub(super) fn is_testing(&self) -> bool {
        self.state == State::Testing
    }

    /// When the wait is over.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Off | State::Testing => None,
        }
    }

    /// A message was finished or requeued. Signals during a wait change nothing: they are about messages from before it.
    pub(super) fn signal(&mut self, now: Instant, signal: Signal, options: &ClientOptions) -> Change {
        if options.max_backoff_duration.is_zero() || self.waits_until().is_some() {
            return Change::None;
        }
        match signal {
            Signal::Success if self.level > 0 => {
                self.level -= 1;
                if self.level == 0 {
                    self.state = State::Off;
                    return Change::Over;
                }
            }
            Signal::Failure if ceiling(self.level + 1, options) <= options.max_backoff_duration => self.level += 1,
            Signal::Success | Signal::Failure | Signal::Neither => {}
        }
        if self.level == 0 {
            return Change::None;
        }
        let wait = self.draw(options);
        self.state = State::Waiting { until: now + wait };
        Change::Wait(wait)
    }

    /// The wait is over, if it is: whether a test message is wanted now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let due = self.waits_until().is_some_and(|until| until <= now);
        if due {
            self.state = State::Testing;
        }
        due
    }

    /// There is nobody to ask for a test message.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.state = State::Waiting { until: now + NOBODY_TO_ASK };
    }

    fn draw(&mut self, options: &ClientOptions) -> Duration {
        let ceiling = ceiling(self.level, options).min(options.max_backoff_duration);
        match options.backoff_strategy {
            BackoffStrategy::Exponential => ceiling,
            BackoffStrategy::FullJitter => {
                let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
                Duration::from_nanos(self.rng.below(nanos.max(1)))
            }
        }
    }
}

/// The longest wait at `level`, were there no maximum.
fn ceiling(level: u32, options: &ClientOptions) -> Duration {
    options.backoff_multiplier.saturating_mul(1u32.checked_shl(level).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const SECOND: u64 = 1_000;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * SECOND)
    }

    #[test]
    fn waits_double_up_to_the_largest_that_fits() {
        let options = ClientOptions::default();
        let mut backoff = Backoff::new(Rng::new(1));
        let mut now = 0;
        for seconds in [2, 4, 8, 16, 32, 64, 64, 64] {
            let change = backoff.signal(at(now), Signal::Failure, &options);
            assert_eq!(change, Change::Wait(Duration::from_secs(seconds)));
            assert_eq!(backoff.signal(at(now), Signal::Failure, &options), Change::None, "during a wait");
            assert!(!backoff.handle_timeout(at(now + seconds - 1)));
            now += seconds;
            assert!(backoff.handle_timeout(at(now)) && backoff.is_testing());
        }
        assert_eq!(backoff.level(), 6);
    }

    #[test]
    fn successes_lead_back_step_by_step() {
        let options = ClientOptions::default();
        let mut backoff = Backoff::new(Rng::new(1));
        assert_eq!(backoff.signal(at(0), Signal::Success, &options), Change::None);
        assert_eq!(backoff.signal(at(0), Signal::Neither, &options), Change::None);
        backoff.signal(at(0), Signal::Failure, &options);
        backoff.handle_timeout(at(2));
        backoff.signal(at(2), Signal::Failure, &options);
        backoff.handle_timeout(at(6));
        assert_eq!(backoff.signal(at(6), Signal::Neither, &options), Change::Wait(Duration::from_secs(4)));
        backoff.handle_timeout(at(10));
        assert_eq!(backoff.signal(at(10), Signal::Success, &options), Change::Wait(Duration::from_secs(2)));
        backoff.handle_timeout(at(12));
        assert_eq!(backoff.signal(at(12), Signal::Success, &options), Change::Over);
        assert!(backoff.is_off());
    }

    #[test]
    fn jitter_stays_below_the_exponential_wait_and_zero_turns_all_off() {
        let jitter = ClientOptions { backoff_strategy: BackoffStrategy::FullJitter, ..ClientOptions::default() };
        let mut waits: Vec<_> = (0..50)
            .map(|seed| match Backoff::new(Rng::new(seed)).signal(at(0), Signal::Failure, &jitter) {
                Change::Wait(wait) => wait,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(2)));
        waits.sort();
        waits.dedup();
        assert!(waits.len() > 40);
        let off = ClientOptions { max_backoff_duration: Duration::ZERO, ..ClientOptions::default() };
        assert_eq!(Backoff::new(Rng::new(1)).signal(at(0), Signal::Failure, &off), Change::None);
    }
}
