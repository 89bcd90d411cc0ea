//! Percentiles of the time from publish to finish, over the recent past, in little memory.
//!
//! A `Summary` keeps some of the samples, with bounds on the rank of each, densely around the quantiles asked for and
//! sparsely elsewhere: the targeted quantiles of Cormode, Korn, Muthukrishnan and Srivastava, "Effective computation of
//! biased quantiles over data streams" (2005). nsqd lets a rank be wrong by 1 % of all samples, and then 0.999 says
//! little; here it is 1 % of the samples between the quantile and its nearer end, so that 0.99 is somewhere in 0.9899 to
//! 0.9901. Where summaries were merged it is twice that, however many they were.
//!
//! A `Window` turns two summaries over: one takes the samples for half its time, the other has those of the half
//! before.
//!
//! Ranks are integers, so a replay comes to the same figures on every machine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Instant;

/// A rank may be wrong by one part in this many of what lies beyond its quantile.
const TOLERANCE: u64 = 100;

/// Samples go into a summary this many at a time.
const BUFFER_LEN: usize = 512;

/// A fraction above 0 and up to 1, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantile(u32);

impl Quantile {
    const ONE: u32 = 1_000_000_000;

    /// The quantile nearest to `fraction`; `None` unless that is above 0 and up to 1.
    pub fn new(fraction: f64) -> Option<Self> {
        let billionths = || (fraction * f64::from(Self::ONE)).round() as u32;
        (fraction > 0.0 && fraction <= 1.0).then(|| Self(billionths().max(1)))
    }

    /// It as a fraction, for reports.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ONE)
    }

    /// Its rank among `count` samples, from 1 if there are any.
    fn rank(self, count: u64) -> u64 {
        (u128::from(count) * u128::from(self.0)).div_ceil(u128::from(Self::ONE)) as u64
    }

    /// How many ranks of `count` may be taken for one another at `rank`: fewest at `target`, the quantile's own.
    fn leeway(self, target: u64, rank: u64, count: u64) -> u64 {
        let (below, above) = (self.0, Self::ONE - self.0);
        let (distance, side) = if rank < target { (count - rank, above) } else { (rank, below) };
        let nearer = below.min(above);
        if side == 0 {
            // The largest sample is kept whatever is known of those before it.
            return u64::MAX;
        }
        // Where the product is too large, fewer than need be.
        let scaled =
            if side == nearer { distance } else { distance.saturating_mul(u64::from(nearer)) / u64::from(side) };
        2 * scaled / TOLERANCE
    }
}

/// What was measured, for a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Messages finished in the recent past.
    pub count: u64,
    /// One for each quantile, in the order of the configuration; zero without messages.
    pub percentiles: Vec<Percentile>,
}

/// The time within which that fraction of messages was finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentile {
    /// The fraction.
    pub quantile: Quantile,
    /// The time from publish to finish.
    pub value: Duration,
}

/// A sample that was kept, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Kept {
    value: u64,
    /// By how much its lowest possible rank exceeds that of the one kept before it. At least 1: it counts itself.
    width: u64,
    /// By how much its highest possible rank exceeds its lowest.
    slack: u64,
}

/// Samples of which only some are kept, in order of their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    count: u64,
    kept: Vec<Kept>,
}

impl Summary {
    /// All of `samples`.
    fn exact(mut samples: Vec<u64>) -> Self {
        samples.sort_unstable();
        let kept = samples.iter().map(|&value| Kept { value, width: 1, slack: 0 }).collect();
        Self { count: samples.len() as u64, kept }
    }

    /// The samples of both. A sample of one may stand anywhere between two neighbours of the other, unless it equals the
    /// lower: then it stands next to that.
    fn merge(&self, other: &Self) -> Self {
        let mut kept = Vec::with_capacity(self.kept.len() + other.kept.len());
        let (mut ours, mut theirs) = ((&self.kept, 0), (&other.kept, 0));
        while let Some(&first) = ours.0.get(ours.1) {
            let (lower, upper) = theirs.0.split_at(theirs.1);
            if upper.first().is_some_and(|upper| upper.value < first.value) {
                std::mem::swap(&mut ours, &mut theirs);
                continue;
            }
            let anywhere = upper.first().map_or(0, |upper| upper.width + upper.slack - 1);
            let equal = lower.last().filter(|lower| lower.value == first.value);
            let slack = first.slack + equal.map_or(anywhere, |equal| anywhere.min(equal.slack));
            kept.push(Kept { slack, ..first });
            ours.1 += 1;
        }
        kept.extend_from_slice(&theirs.0[theirs.1..]);
        Self { count: self.count + other.count, kept }
    }

    /// The samples of all, merged in rounds so that none is copied more often than there are rounds.
    pub(crate) fn merge_all(summaries: impl IntoIterator<Item = Self>) -> Self {
        let mut queue: VecDeque<Self> = summaries.into_iter().collect();
        while let Some(a) = queue.pop_front() {
            let Some(b) = queue.pop_front() else { return a };
            queue.push_back(a.merge(&b));
        }
        Self::default()
    }

    /// Drops what is not needed for `quantiles`: each sample whose successor may speak for it too. The least stays, or
    /// nothing would be known of the rank of samples below it.
    fn compress(&mut self, quantiles: &[Quantile]) {
        let count = self.count;
        let targets: Vec<u64> = quantiles.iter().map(|quantile| quantile.rank(count)).collect();
        let mut rank = count;
        let mut sparse: Vec<Kept> = Vec::with_capacity(self.kept.len());
        for &kept in self.kept.iter().rev() {
            rank -= kept.width;
            let may_speak_for = |span: u64| {
                let mut of_all = quantiles.iter().zip(&targets);
                of_all
                    .all(|(quantile, &target)| span <= quantile.leeway(target, target.clamp(rank, rank + span), count))
            };
            match sparse.last_mut() {
                Some(next) if rank > 0 && may_speak_for(kept.width + next.width + next.slack) => {
                    next.width += kept.width;
                }
                _ => sparse.push(kept),
            }
        }
        sparse.reverse();
        sparse.shrink_to_fit();
        self.kept = sparse;
    }

    /// The sample whose rank is most surely that of `quantile`; zero without samples.
    fn query(&self, quantile: Quantile) -> Duration {
        let target = quantile.rank(self.count);
        let mut lowest = 0;
        let errors = self.kept.iter().map(|kept| {
            lowest += kept.width;
            (lowest.abs_diff(target).max((lowest + kept.slack).abs_diff(target)), kept.value)
        });
        Duration::from_nanos(errors.min_by_key(|&(error, _)| error).map_or(0, |(_, value)| value))
    }

    pub(crate) fn report(&self, quantiles: &[Quantile]) -> Latency {
        let percentile = |&quantile| Percentile { quantile, value: self.query(quantile) };
        Latency { count: self.count, percentiles: quantiles.iter().map(percentile).collect() }
    }
}

/// The samples of the recent past: at least half of the window's time, at most all of it.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    quantiles: Arc<[Quantile]>,
    half_nanos: u64,
    /// The half that `current` is of. They are counted from the driver's start, so those of all channels agree.
    half: u64,
    current: Summary,
    previous: Summary,
    /// Of the current half, not in `current` yet.
    buffer: Vec<u64>,
}

impl Window {
    pub(crate) fn new(quantiles: Arc<[Quantile]>, time: Duration) -> Self {
        Self {
            quantiles,
            half_nanos: nanos(time / 2).max(1),
            half: 0,
            current: Summary::default(),
            previous: Summary::default(),
            buffer: Vec::new(),
        }
    }

    /// Takes a sample.
    pub(crate) fn record(&mut self, now: Instant, sample: Duration) {
        let half = self.half_at(now);
        if half > self.half {
            self.flush();
            let ended = std::mem::take(&mut self.current);
            self.previous = if half - self.half == 1 { ended } else { Summary::default() };
            self.half = half;
        }
        self.buffer.push(nanos(sample));
        if self.buffer.len() >= BUFFER_LEN {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.current = self.current.merge(&Summary::exact(std::mem::take(&mut self.buffer)));
        self.current.compress(&self.quantiles);
    }

    /// What is not too old.
    pub(crate) fn recent(&self, now: Instant) -> Summary {
        let current = || [self.current.clone(), Summary::exact(self.buffer.clone())];
        match self.half_at(now).saturating_sub(self.half) {
            0 => Summary::merge_all([self.previous.clone()].into_iter().chain(current())),
            1 => Summary::merge_all(current()),
            _ => Summary::default(),
        }
    }

    /// The percentiles of what is not too old.
    pub(crate) fn report(&self, now: Instant) -> Latency {
        self.recent(now).report(&self.quantiles)
    }

    fn half_at(&self, now: Instant) -> u64 {
        now.as_nanos() / self.half_nanos
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const MINUTE: Duration = Duration::from_secs(60);

    fn quantiles(fractions: &[f64]) -> Arc<[Quantile]> {
        fractions.iter().map(|&fraction| Quantile::new(fraction).unwrap()).collect()
    }

    fn at(minutes: u64) -> Instant {
        Instant::from_millis(minutes * 60_000)
    }

    fn values(window: &Window, now: Instant) -> Vec<u64> {
        window.report(now).percentiles.iter().map(|percentile| nanos(percentile.value)).collect()
    }

    /// How far the rank of `value` is from that of `quantile`, and how far it may be, once for each merge.
    fn error(sorted: &[u64], value: u64, quantile: Quantile) -> (u64, u64) {
        let target = quantile.rank(sorted.len() as u64);
        let first = sorted.partition_point(|&other| other < value) as u64 + 1;
        let last = sorted.partition_point(|&other| other <= value) as u64;
        let nearest = target.clamp(first, last);
        let beyond = quantile.0.min(Quantile::ONE - quantile.0);
        let tolerated = sorted.len() as u128 * u128::from(beyond) / u128::from(Quantile::ONE) / u128::from(TOLERANCE);
        (nearest.abs_diff(target), tolerated as u64 + 1)
    }

    /// Streams of different shapes, `len` long.
    fn streams(len: u64) -> Vec<(&'static str, Vec<u64>)> {
        let mut rng = Rng::new(7);
        let mut random = |spread: fn(u64) -> u64| (0..len).map(|_| spread(rng.below(1 << 32))).collect();
        vec![
            ("rising", (0..len).collect()),
            ("falling", (0..len).rev().collect()),
            ("all the same", vec![5; len as usize]),
            ("even", random(|n| n)),
            ("mostly small", random(|n| n.leading_zeros().into())),
            ("with a long tail", random(|n| (1 << 40) / (n + 1))),
            ("interleaved", (0..len).map(|i| i * 7_919 % len).collect()),
        ]
    }

    #[test]
    fn quantiles_are_fractions() {
        for (fraction, kept) in [(0.5, 0.5), (0.999, 0.999), (1.0, 1.0), (1e-12, 1e-9)] {
            assert_eq!(Quantile::new(fraction).map(Quantile::fraction), Some(kept));
        }
        for fraction in [0.0, -0.5, 1.000_1, f64::NAN, f64::INFINITY] {
            assert_eq!(Quantile::new(fraction), None);
        }
    }

    #[test]
    fn without_samples_every_percentile_is_zero() {
        let window = Window::new(quantiles(&[0.99, 0.5]), MINUTE);
        assert_eq!((values(&window, at(0)), window.recent(at(0)).count), (vec![0, 0], 0));
    }

    #[test]
    fn few_samples_are_exact() {
        let mut window = Window::new(quantiles(&[1.0, 0.99, 0.5, 0.01]), MINUTE);
        window.record(at(0), Duration::from_nanos(30));
        assert_eq!(values(&window, at(0)), [30, 30, 30, 30]);
        for sample in [10, 40, 20] {
            window.record(at(0), Duration::from_nanos(sample));
        }
        assert_eq!(values(&window, at(0)), [40, 40, 20, 10]);
    }

    #[test]
    fn ranks_are_within_the_tolerance_in_little_memory() {
        for wanted in [&[1.0, 0.999, 0.99, 0.95, 0.5][..], &[0.99], &[0.001], &[1.0]] {
            for (shape, stream) in streams(40_000) {
                let mut window = Window::new(quantiles(wanted), MINUTE);
                stream.iter().for_each(|&sample| window.record(at(0), Duration::from_nanos(sample)));
                let mut sorted = stream;
                sorted.sort_unstable();
                for (&quantile, value) in window.quantiles.iter().zip(values(&window, at(0))) {
                    let (error, tolerated) = error(&sorted, value, quantile);
                    assert!(error <= tolerated, "{quantile:?} of what is {shape}: {error} ranks off, not {tolerated}");
                }
                let kept = window.current.kept.len();
                assert!(kept < 1_500, "{kept} kept of what is {shape}");
            }
        }
    }

    #[test]
    fn merged_ranks_are_within_twice_the_tolerance() {
        let wanted = quantiles(&[1.0, 0.999, 0.99, 0.5]);
        let mut windows = Vec::new();
        let mut sorted = Vec::new();
        for (n, (_, stream)) in streams(20_000).into_iter().enumerate() {
            let mut window = Window::new(wanted.clone(), MINUTE);
            let stream = stream.into_iter().take(1_000 + 3_000 * n).map(|sample| sample + 1_000 * n as u64);
            stream.clone().for_each(|sample| window.record(at(0), Duration::from_nanos(sample)));
            sorted.extend(stream);
            windows.push(window);
        }
        sorted.sort_unstable();
        let merged = Summary::merge_all(windows.iter().map(|window| window.recent(at(0))));
        let report = merged.report(&wanted);
        assert_eq!(report.count, sorted.len() as u64);
        for percentile in report.percentiles {
            let (error, tolerated) = error(&sorted, nanos(percentile.value), percentile.quantile);
            assert!(error <= 2 * tolerated, "{percentile:?}: {error} ranks off, not 2 * {tolerated}");
        }
    }

    #[test]
    fn samples_are_forgotten_half_a_window_at_a_time() {
        let mut window = Window::new(quantiles(&[1.0]), 10 * MINUTE);
        window.record(at(1), Duration::from_nanos(9));
        window.record(at(6), Duration::from_nanos(4));
        let seen = |window: &Window, minutes| (window.recent(at(minutes)).count, values(window, at(minutes))[0]);
        assert_eq!(seen(&window, 9), (2, 9));
        assert_eq!(seen(&window, 10), (1, 4));
        assert_eq!(seen(&window, 15), (0, 0));
        window.record(at(16), Duration::from_nanos(3));
        assert_eq!(seen(&window, 16), (1, 3), "nothing of before the half that passed in silence");
        window.record(at(14), Duration::from_nanos(2));
        assert_eq!(seen(&window, 16), (2, 3), "a caller that was overtaken changes nothing but the count");
    }

    #[test]
    fn a_window_of_no_time_is_as_short_as_can_be() {
        let mut window = Window::new(quantiles(&[0.5]), Duration::ZERO);
        window.record(at(1), Duration::from_nanos(9));
        assert_eq!((window.recent(at(1)).count, window.recent(at(2)).count), (1, 0));
    }
}
