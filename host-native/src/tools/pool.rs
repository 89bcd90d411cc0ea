//! Which of several destinations the next message goes to, and how they do: in turn, in turn among those that work, or
//! mostly to the fastest; and the times that `--status-every` shows.
//!
//! Invariants: there is always an answer, also when all destinations are down; a choice that succeeds or fails is reported.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sansq_core::rng::Rng;
use tracing::info;

/// A destination that failed is tried again after this, then twice as long, up to the largest.
const RETRY_MIN: Duration = Duration::from_secs(30);
const RETRY_MAX: Duration = Duration::from_secs(900);
/// Response times count for so long, in so many steps.
const MEMORY: Duration = Duration::from_secs(300);
const BUCKETS: usize = 120;
/// The share of choices made by chance: at first, factor for each, at least; in millionths.
const EXPLORE_FIRST: u64 = 300_000;
const EXPLORE_DECAY_PERCENT: u64 = 90;
const EXPLORE_MIN: u64 = 10_000;

/// How destinations are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    RoundRobin,
    HostPool,
    EpsilonGreedy,
}

impl Mode {
    /// By the name of the flag's value.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "round-robin" => Self::RoundRobin,
            "hostpool" => Self::HostPool,
            "epsilon-greedy" => Self::EpsilonGreedy,
            _ => return None,
        })
    }
}

/// Response times of the last [`MEMORY`], the newest bucket last.
#[derive(Clone, Debug, Default)]
struct Times {
    buckets: VecDeque<(u64, u32)>,
}

#[derive(Clone, Debug, Default)]
struct Host {
    down: Option<(Instant, Duration)>,
    times: Times,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Pool {
    mode: Mode,
    hosts: Vec<Host>,
    turn: usize,
    explore: u64,
    shifted_at: Instant,
    rng: Rng,
}

impl Pool {
    pub(super) fn new(mode: Mode, hosts: usize, now: Instant, seed: u64) -> Self {
        Self {
            mode,
            hosts: vec![Host::default(); hosts],
            turn: 0,
            explore: EXPLORE_FIRST,
            shifted_at: now,
            rng: Rng::new(seed),
        }
    }

    /// The destination to try next.
    pub(super) fn choose(&mut self, now: Instant) -> usize {
        if self.mode == Mode::EpsilonGreedy {
            self.shift(now);
            let explores = self.rng.below(1_000_000) < self.explore;
            if explores {
                self.explore = (self.explore * EXPLORE_DECAY_PERCENT / 100).max(EXPLORE_MIN);
            } else if let Some(host) = self.choose_fast(now) {
                return host;
            }
        }
        self.next_in_turn(now)
    }

    /// The next that is up, or whose time to be tried again has come. If all are down, all are up again.
    fn next_in_turn(&mut self, now: Instant) -> usize {
        let count = self.hosts.len();
        for step in 0..count {
            let host = (self.turn + step) % count;
            if self.mode == Mode::RoundRobin || self.hosts[host].is_up(now) {
                self.turn = host + 1;
                return host;
            }
        }
        self.hosts.iter_mut().for_each(|host| host.down = None);
        let host = self.turn % count;
        self.turn = host + 1;
        host
    }

    /// By chance, the likelier the faster. `None` if nothing is known of anybody.
    fn choose_fast(&mut self, now: Instant) -> Option<usize> {
        let weight = |host: &Host| match host.times.mean_micros() {
            Some(micros) if host.is_up(now) => 1_000_000_000 / micros.max(1),
            _ => 0,
        };
        let weights: Vec<u64> = self.hosts.iter().map(weight).collect();
        let sum = weights.iter().sum::<u64>();
        let mut left = self.rng.below(sum.max(1));
        weights.iter().position(|weight| {
            let here = left < *weight;
            left = left.saturating_sub(*weight);
            here
        })
    }

    /// How a choice ended. The time counts only if it succeeded.
    pub(super) fn report(&mut self, now: Instant, host: usize, took: Duration, succeeded: bool) {
        self.shift(now);
        let Some(host) = self.hosts.get_mut(host) else { return };
        if succeeded {
            host.down = None;
            host.times.add(took);
        } else if host.is_up(now) {
            let delay = host.down.map_or(RETRY_MIN, |(_, delay)| (delay * 2).min(RETRY_MAX));
            host.down = Some((now + delay, delay));
        }
    }

    fn shift(&mut self, now: Instant) {
        let step = MEMORY / BUCKETS as u32;
        for _ in 0..BUCKETS {
            if now.duration_since(self.shifted_at) < step {
                return;
            }
            self.shifted_at += step;
            self.hosts.iter_mut().for_each(|host| host.times.shift());
        }
        self.shifted_at = now;
    }
}

impl Host {
    fn is_up(&self, now: Instant) -> bool {
        self.down.is_none_or(|(until, _)| until <= now)
    }
}

impl Times {
    fn add(&mut self, time: Duration) {
        if self.buckets.is_empty() {
            self.buckets.push_back((0, 0));
        }
        if let Some((micros, count)) = self.buckets.back_mut() {
            *micros += time.as_micros() as u64;
            *count += 1;
        }
    }

    fn shift(&mut self) {
        if self.buckets.iter().any(|(_, count)| *count > 0) {
            self.buckets.push_back((0, 0));
        }
        if self.buckets.len() > BUCKETS {
            self.buckets.pop_front();
        }
    }

    /// The mean in which the newest bucket weighs most and one that is about to be forgotten least.
    fn mean_micros(&self) -> Option<u64> {
        let first_weight = BUCKETS - self.buckets.len();
        let (mut sum, mut weights) = (0u128, 0u128);
        for (index, (micros, count)) in self.buckets.iter().enumerate().filter(|(_, (_, count))| *count > 0) {
            let weight = (first_weight + index + 1) as u128;
            sum += weight * u128::from(*micros) / u128::from(*count);
            weights += weight;
        }
        (weights > 0).then(|| (sum / weights) as u64)
    }
}

/// Times of what was finished, shown after every so many.
#[derive(Clone, Debug)]
pub(super) struct Status {
    prefix: String,
    every: usize,
    times: Vec<Duration>,
    finished: u64,
}

impl Status {
    /// `every`: 0 shows nothing.
    pub(super) fn new(prefix: String, every: u64) -> Self {
        Self { prefix, every: usize::try_from(every).unwrap_or(usize::MAX), times: Vec::new(), finished: 0 }
    }

    pub(super) fn add(&mut self, took: Duration) {
        if self.every == 0 {
            return;
        }
        self.finished += 1;
        self.times.push(took);
        if self.times.len() >= self.every {
            info!("{}", self.line());
            self.times.clear();
        }
    }

    fn line(&mut self) -> String {
        self.times.sort_unstable();
        let rank = |percent: usize| self.times[(self.times.len() * percent / 100).min(self.times.len() - 1)];
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let mean = self.times.iter().sum::<Duration>() / self.times.len() as u32;
        format!(
            "{} finished {} - 99th: {:.2}ms - 95th: {:.2}ms - avg: {:.2}ms",
            self.prefix,
            self.finished,
            millis(rank(99)),
            millis(rank(95)),
            millis(mean)
        )
    }
}

/// The status of all destinations together and, if there are several, of each.
#[derive(Clone, Debug)]
pub(super) struct Statuses {
    all: Status,
    each: Vec<Status>,
}

impl Statuses {
    pub(super) fn new(destinations: &[String], every: u64) -> Self {
        let each = match destinations {
            [_] => Vec::new(),
            several => several.iter().map(|it| Status::new(format!("[{it}]:"), every)).collect(),
        };
        Self { all: Status::new("[aggregate]:".to_owned(), every), each }
    }

    pub(super) fn add(&mut self, destination: usize, took: Duration) {
        self.all.add(took);
        if let Some(status) = self.each.get_mut(destination) {
            status.add(took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn pool(mode: Mode, hosts: usize) -> (Pool, Instant) {
        let now = Instant::now();
        (Pool::new(mode, hosts, now, 7), now)
    }

    #[test]
    fn one_that_fails_is_left_alone_for_ever_longer() {
        let (mut pool, now) = pool(Mode::HostPool, 3);
        assert_eq!([0; 4].map(|_| pool.choose(now)), [0, 1, 2, 0]);
        pool.report(now, 1, MILLI, false);
        assert_eq!([0; 4].map(|_| pool.choose(now)), [2, 0, 2, 0]);
        let later = now + Duration::from_secs(30);
        assert_eq!([0; 3].map(|_| pool.choose(later)), [1, 2, 0]);
        pool.report(later, 1, MILLI, false);
        assert_eq!([0; 2].map(|_| pool.choose(later + Duration::from_secs(59))), [2, 0]);
        assert_eq!(pool.choose(later + Duration::from_secs(60)), 1);
        pool.report(later, 1, MILLI, true);
        (0..3).for_each(|host| pool.report(later, host, MILLI, false));
        assert_eq!([0; 3].map(|_| pool.choose(later)), [2, 0, 1], "all down is all up");
    }

    #[test]
    fn round_robin_does_not_look_at_failures() {
        let (mut pool, now) = pool(Mode::RoundRobin, 2);
        pool.report(now, 0, MILLI, false);
        assert_eq!([0; 4].map(|_| pool.choose(now)), [0, 1, 0, 1]);
    }

    #[test]
    fn the_faster_one_gets_most() {
        let (mut pool, now) = pool(Mode::EpsilonGreedy, 2);
        let mut counts = [0; 2];
        for _ in 0..1000 {
            let host = pool.choose(now);
            counts[host] += 1;
            pool.report(now, host, if host == 0 { MILLI } else { 20 * MILLI }, true);
        }
        assert!(counts[0] > 850 && counts[1] > 20, "{counts:?}");
        // What was known is forgotten, and a host that fails is not chosen.
        let later = now + 2 * MEMORY;
        pool.report(later, 1, 20 * MILLI, true);
        pool.report(later, 0, MILLI, false);
        assert!((0..100).all(|_| pool.choose(later) == 1));
    }

    #[test]
    fn a_status_shows_percentiles() {
        let mut status = Status::new("[aggregate]:".to_owned(), 1000);
        (1..=100).for_each(|millis| status.add(millis * MILLI));
        assert_eq!(status.line(), "[aggregate]: finished 100 - 99th: 100.00ms - 95th: 96.00ms - avg: 50.50ms");
    }
}
