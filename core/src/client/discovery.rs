//! When to ask nsqlookupd where a topic's producers are, and which one. One question at a time: they take turns, and one that
//! does not answer is followed by the next, up to three for one poll.
//!
//! Does not send anything or read answers: it says whom to ask, and is told whether that was answered.

use std::sync::Arc;
use std::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;

use super::ClientOptions;

/// How many are asked before a poll has failed.
const TRIES: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next poll is at its time.
    Idle,
    /// Somebody was asked, and is the so-manieth.
    Asking { tries: usize },
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Discovery {
    lookupds: Vec<Arc<str>>,
    turn: usize,
    state: State,
    next_at: Option<Instant>,
    /// A poll is wanted as soon as the one that runs is over.
    again: bool,
    rng: Rng,
}

impl Discovery {
    pub(super) fn new(rng: Rng) -> Self {
        Self { lookupds: Vec::new(), turn: 0, state: State::Idle, next_at: None, again: false, rng }
    }

    /// Whether there is anybody to ask.
    pub(super) fn is_used(&self) -> bool {
        !self.lookupds.is_empty()
    }

    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.lookupds.len() as u32
    }

    /// One more to ask. The first is asked at once, later ones when it is their turn.
    pub(super) fn add(&mut self, now: Instant, lookupd: Arc<str>) {
        if !self.lookupds.contains(&lookupd) {
            self.lookupds.push(lookupd);
            if self.lookupds.len() == 1 {
                self.next_at = Some(now);
            }
        }
    }

    /// Something happened that makes an answer worth having soon.
    pub(super) fn hurry(&mut self, now: Instant) {
        match self.state {
            State::Idle if self.is_used() => self.next_at = Some(now),
            State::Idle => {}
            State::Asking { .. } => self.again = true,
        }
    }

    /// No more questions.
    pub(super) fn stop(&mut self) {
        *self = Self::new(self.rng.clone());
    }

    /// When there is somebody to ask.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle => self.next_at,
            State::Asking { .. } => None,
        }
    }

    /// Whom to ask now, if it is time.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Arc<str>> {
        if self.state != State::Idle || self.next_at.is_none_or(|at| at > now) {
            return None;
        }
        self.ask(1)
    }

    fn ask(&mut self, tries: usize) -> Option<Arc<str>> {
        let lookupd = self.lookupds.get(self.turn % self.lookupds.len().max(1))?.clone();
        self.turn = self.turn.wrapping_add(1);
        self.state = State::Asking { tries };
        Some(lookupd)
    }

    /// The last one asked has answered or not. Whom to ask next, if this poll is not over.
    pub(super) fn handle_answer(&mut self, now: Instant, answered: bool, options: &ClientOptions) -> Option<Arc<str>> {
        let State::Asking { tries } = self.state else { return None };
        self.state = State::Idle;
        if !answered && tries < TRIES.min(self.lookupds.len()) {
            return self.ask(tries + 1);
        }
        let first = self.turn <= self.lookupds.len();
        let jitter = if first { self.draw_jitter(options) } else { Duration::ZERO };
        let wait =
            if std::mem::take(&mut self.again) { Duration::ZERO } else { options.lookupd_poll_interval + jitter };
        self.next_at = Some(now + wait);
        None
    }

    /// So that consumers that were started together do not ask together for ever.
    fn draw_jitter(&mut self, options: &ClientOptions) -> Duration {
        let most = options.lookupd_poll_interval.as_micros() as u64 * u64::from(options.lookupd_poll_jitter_permille);
        Duration::from_nanos(self.rng.below(most.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn discovery(names: &[&str]) -> Discovery {
        let mut discovery = Discovery::new(Rng::new(3));
        names.iter().for_each(|name| discovery.add(Instant::ZERO, Arc::from(*name)));
        discovery
    }

    #[test]
    fn they_take_turns_at_an_interval_that_is_jittered_once() {
        let options = ClientOptions::default();
        let mut discovery = discovery(&["a", "b", "a"]);
        assert_eq!(discovery.handle_timeout(Instant::ZERO).as_deref(), Some("a"));
        assert_eq!(discovery.handle_timeout(Instant::ZERO), None, "one question at a time");
        assert_eq!(discovery.handle_answer(Instant::ZERO, true, &options), None);
        let second = discovery.next_deadline().unwrap();
        let wait = second.since(Instant::ZERO);
        assert!(wait >= Duration::from_secs(60) && wait < Duration::from_secs(78), "{wait:?}");
        assert_eq!(discovery.handle_timeout(Instant::from_millis(59_999)), None);
        assert_eq!(discovery.handle_timeout(second).as_deref(), Some("b"));
        discovery.handle_answer(second, true, &options);
        let third = discovery.next_deadline().unwrap();
        assert_eq!(discovery.handle_timeout(third).as_deref(), Some("a"));
        discovery.handle_answer(third, true, &options);
        assert_eq!(discovery.next_deadline().unwrap().since(third), Duration::from_secs(60));
    }

    #[test]
    fn one_that_is_down_is_followed_by_the_next_up_to_three() {
        let options = ClientOptions::default();
        let mut discovery = discovery(&["a", "b", "c", "d"]);
        assert_eq!(discovery.handle_timeout(Instant::ZERO).as_deref(), Some("a"));
        assert_eq!(discovery.handle_answer(Instant::ZERO, false, &options).as_deref(), Some("b"));
        assert_eq!(discovery.handle_answer(Instant::ZERO, false, &options).as_deref(), Some("c"));
        assert_eq!(discovery.handle_answer(Instant::ZERO, false, &options), None);
        assert!(discovery.next_deadline().unwrap() > Instant::ZERO);
    }

    #[test]
    fn a_poll_can_be_hurried_and_runs_once_more_at_most() {
        let options = ClientOptions::default();
        let mut discovery = discovery(&["a"]);
        discovery.handle_timeout(Instant::ZERO);
        discovery.hurry(Instant::ZERO);
        discovery.hurry(Instant::ZERO);
        discovery.handle_answer(Instant::ZERO, true, &options);
        assert_eq!(discovery.handle_timeout(Instant::ZERO).as_deref(), Some("a"));
        discovery.handle_answer(Instant::ZERO, true, &options);
        assert!(discovery.next_deadline().unwrap() > Instant::ZERO);
        discovery.hurry(Instant::from_millis(5));
        assert_eq!(discovery.next_deadline(), Some(Instant::from_millis(5)));
    }
}
