//! The last minutes of a cluster: how many messages waited and came, for each topic, channel and nsqd, and for all together.
//!
//! Time is cut into slots of one length, so that samples need no times of their own. When nobody looks, polls are farther
//! apart than slots are long: those between two polls get the rate that was measured over all of them, and depths on the line
//! between the two. Who goes missing is forgotten, and with it what was known of it: there are never more tracks than there
//! are topics, channels and nsqds, of [`SAMPLES_MAX`] samples of eight bytes, or fewer where there are very many.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::Snapshot;
use super::motion::{plus, rounded};

/// Samples that are kept of each track, if there are not too many of those.
pub const SAMPLES_MAX: usize = 120;
/// Samples that are kept altogether: 8 MB of them. With more than 8,700 tracks each has fewer.
const SAMPLES_ALL_MAX: usize = 1 << 20;
/// Samples that each track has in any case.
const SAMPLES_MIN: usize = 20;

/// The samples of all there is.
#[derive(Clone, Debug)]
pub struct History {
    interval_ms: u64,
    /// The number of the newest slot.
    slot: u64,
    topics: BTreeMap<String, TopicTrack>,
    nodes: BTreeMap<String, Track>,
    total: Track,
}

/// Samples as they are shown, oldest first; `None` where nothing was known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Samples {
    /// The time between two.
    pub interval_ms: u64,
    /// Messages that waited.
    pub depth: Vec<Option<u32>>,
    /// Messages that came, a second.
    pub rate: Vec<Option<f64>>,
}

/// What is measured at one time. `None`: not known.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    depth: Option<i64>,
    rate: Option<f64>,
}

#[derive(Clone, Debug, Default)]
struct TopicTrack {
    track: Track,
    /// Sorted by name. A map would take room for eleven where there is one.
    channels: Vec<(String, Track)>,
}

#[derive(Clone, Debug, Default)]
struct Track {
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// [`UNKNOWN`] if it is not known.
    depth: u32,
    /// NaN if it is not known.
    rate: f32,
}

const UNKNOWN: u32 = u32::MAX;
/// Samples that a track has room for and does not have yet, at most.
const GROWTH_MAX: usize = 8;

impl Measured {
    fn add(&mut self, depth: i64, rate: Option<f64>) {
        self.depth = Some(self.depth.unwrap_or(0).saturating_add(depth));
        self.rate = plus(self.rate, rate);
    }
}

impl Track {
    /// Adds `slots` samples, the last of which was measured.
    fn advance(&mut self, slots: u64, measured: Measured, kept: usize) {
        let to = measured.depth.map_or(UNKNOWN, |depth| u32::try_from(depth.max(0)).unwrap_or(UNKNOWN - 1));
        let rate = measured.rate.map_or(f32::NAN, |rate| rate as f32);
        let from = self.samples.back().map(|sample| sample.depth);
        // Of what is new, nothing is known before.
        let slots = if from.is_some() { slots.min(SAMPLES_MAX as u64) } else { 1 };
        for slot in 1..=slots {
            let depth = match from {
                _ if slot == slots => to,
                Some(from) if from != UNKNOWN && to != UNKNOWN => {
                    let (from, to) = (i64::from(from), i64::from(to));
                    u32::try_from(from + (to - from) * slot as i64 / slots as i64).unwrap_or(UNKNOWN)
                }
                _ => UNKNOWN,
            };
            while self.samples.len() >= kept {
                self.samples.pop_front();
            }
            if self.samples.len() == self.samples.capacity() {
                let more = self.samples.len().clamp(1, GROWTH_MAX).min(kept - self.samples.len());
                self.samples.reserve_exact(more);
            }
            self.samples.push_back(Sample { depth, rate });
        }
        if self.samples.capacity() > kept + GROWTH_MAX {
            self.samples.shrink_to_fit();
        }
    }

    /// The newest `count` samples at most.
    fn show(&self, interval_ms: u64, count: usize) -> Samples {
        let newest = || self.samples.iter().skip(self.samples.len().saturating_sub(count));
        Samples {
            interval_ms,
            depth: newest().map(|sample| (sample.depth != UNKNOWN).then_some(sample.depth)).collect(),
            rate: newest().map(|sample| (!sample.rate.is_nan()).then(|| rounded(f64::from(sample.rate)))).collect(),
        }
    }
}

impl History {
    /// Nothing known yet. `interval_ms`: the length of a slot, above 0.
    pub fn new(interval_ms: u64) -> Self {
        Self {
            interval_ms: interval_ms.max(1),
            slot: 0,
            topics: BTreeMap::new(),
            nodes: BTreeMap::new(),
            total: Track::default(),
        }
    }

    /// The number of the newest slot: it rises by one for each sample that is added.
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// Takes what a poll found, `None` if it found nothing, at `at_ms` milliseconds of a clock that only goes on. Of two polls
    /// in one slot, the first counts.
    pub fn record(&mut self, at_ms: u64, found: Option<&Snapshot>) {
        let slot = at_ms.saturating_add(self.interval_ms / 2) / self.interval_ms + 1;
        let Some(slots) = slot.checked_sub(self.slot).filter(|slots| *slots > 0) else { return };
        self.slot = slot;
        match found {
            Some(snapshot) => self.take(slots, snapshot),
            None => {
                let kept = self.kept();
                self.tracks().for_each(|track| track.advance(slots, Measured::default(), kept));
            }
        }
    }

    /// How many samples each track may have.
    fn kept(&self) -> usize {
        let tracks: usize = self.topics.values().map(|topic| 1 + topic.channels.len()).sum();
        (SAMPLES_ALL_MAX / (tracks + self.nodes.len() + 1)).clamp(SAMPLES_MIN, SAMPLES_MAX)
    }

    fn tracks(&mut self) -> impl Iterator<Item = &mut Track> {
        let topics = self.topics.values_mut().flat_map(|topic| {
            std::iter::once(&mut topic.track).chain(topic.channels.iter_mut().map(|(_, track)| track))
        });
        topics.chain(self.nodes.values_mut()).chain(std::iter::once(&mut self.total))
    }

    fn take(&mut self, slots: u64, snapshot: &Snapshot) {
        let mut topics: BTreeMap<&str, Measured> =
            snapshot.topics.iter().map(|topic| (topic.as_str(), Measured::default())).collect();
        let mut channels: Vec<(&str, &str, Measured)> = Vec::new();
        let mut nodes: BTreeMap<&str, Measured> = BTreeMap::new();
        let mut total = Measured::default();
        for node in &snapshot.nodes {
            let measured = nodes.entry(&node.node).or_default();
            for stats in node.topics.iter().flatten() {
                measured.add(stats.waiting(), stats.rate.flatten());
                if !node.producer.serves(&stats.topic_name) {
                    continue;
                }
                topics.entry(&stats.topic_name).or_default().add(stats.waiting(), stats.rate.flatten());
                for channel in &stats.channels {
                    let measured = Measured { depth: Some(channel.depth), rate: channel.rate.flatten() };
                    channels.push((&stats.topic_name, &channel.channel_name, measured));
                }
            }
            if let Some(depth) = measured.depth {
                // As the counter counts: what comes to channels, each of which gets every message.
                let channels = node.topics.iter().flatten().flat_map(|topic| &topic.channels);
                total.add(depth, channels.fold(None, |sum, channel| plus(sum, channel.rate.flatten())));
            }
        }
        let kept = self.kept();
        self.total.advance(slots, total, kept);
        keep(&mut self.nodes, &nodes);
        for (name, measured) in nodes {
            entry(&mut self.nodes, name).advance(slots, measured, kept);
        }
        // Stable, so that sums of one channel are in the order of the nodes.
        channels.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        keep(&mut self.topics, &topics);
        for (name, measured) in topics {
            let topic = entry(&mut self.topics, name);
            topic.track.advance(slots, measured, kept);
            let from = channels.partition_point(|(topic, ..)| *topic < name);
            let own = channels[from..].partition_point(|(topic, ..)| *topic == name);
            topic.take(slots, &channels[from..from + own], kept);
        }
    }

    /// The newest `count` samples of a topic; none if nothing is known of it.
    pub fn topic(&self, topic: &str, count: usize) -> Samples {
        self.show(self.topics.get(topic).map(|topic| &topic.track), count)
    }

    /// The same of a channel.
    pub fn channel(&self, topic: &str, channel: &str, count: usize) -> Samples {
        self.show(self.topics.get(topic).and_then(|topic| topic.channel(channel)), count)
    }

    /// The same of an nsqd.
    pub fn node(&self, node: &str, count: usize) -> Samples {
        self.show(self.nodes.get(node), count)
    }

    /// The same of all together.
    pub fn total(&self, count: usize) -> Samples {
        self.show(Some(&self.total), count)
    }

    fn show(&self, track: Option<&Track>, count: usize) -> Samples {
        let none = Samples { interval_ms: self.interval_ms, ..Samples::default() };
        track.map_or(none, |track| track.show(self.interval_ms, count))
    }
}

impl TopicTrack {
    fn channel(&self, name: &str) -> Option<&Track> {
        let at = self.channels.binary_search_by(|(own, _)| own.as_str().cmp(name)).ok()?;
        self.channels.get(at).map(|(_, track)| track)
    }

    /// Takes what was measured of its channels, which are sorted; those of several nsqds follow each other.
    fn take(&mut self, slots: u64, measured: &[(&str, &str, Measured)], kept: usize) {
        let found = |name: &str| measured.binary_search_by(|(_, own, _)| (*own).cmp(name)).is_ok();
        self.channels.retain(|(name, _)| found(name));
        for parts in measured.chunk_by(|a, b| a.1 == b.1) {
            let mut sum = Measured::default();
            let name = parts.iter().fold("", |_, (_, name, part)| {
                sum.add(part.depth.unwrap_or(0), part.rate);
                name
            });
            let at = match self.channels.binary_search_by(|(own, _)| own.as_str().cmp(name)) {
                Ok(at) => at,
                Err(at) => {
                    self.channels.reserve_exact(1);
                    self.channels.insert(at, (name.to_owned(), Track::default()));
                    at
                }
            };
            if let Some((_, track)) = self.channels.get_mut(at) {
                track.advance(slots, sum, kept);
            }
        }
    }
}

fn keep<T, U>(tracks: &mut BTreeMap<String, T>, found: &BTreeMap<&str, U>) {
    tracks.retain(|name, _| found.contains_key(name.as_str()));
}

fn entry<'t, T: Default>(tracks: &'t mut BTreeMap<String, T>, name: &str) -> &'t mut T {
    tracks.entry(name.to_owned()).or_default()
}
