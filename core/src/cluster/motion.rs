//! What happened between two polls: messages that came and went a second, from counters that only grow.
//!
//! Rates are those of each nsqd, added up. So an nsqd that does not answer for a while is missing from the sum, and is no
//! jump in it; neither is one that began to count anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::snapshot::NodeView;
use super::{ChannelStats, TopicStats};

/// The last counts of each nsqd, by which the next are measured.
#[derive(Clone, Debug)]
pub struct Motion {
    gap_ms: u64,
    bases: BTreeMap<String, Base>,
}

/// What an nsqd had counted at one time. Sorted by name.
#[derive(Clone, Debug)]
struct Base {
    at_ms: u64,
    topics: Vec<TopicBase>,
}

#[derive(Clone, Debug)]
struct TopicBase {
    name: Box<str>,
    message_count: i64,
    channels: Box<[ChannelBase]>,
}

#[derive(Clone, Debug)]
struct ChannelBase {
    name: Box<str>,
    message_count: i64,
    done_count: i64,
}

impl Base {
    fn of(at_ms: u64, topics: &[TopicStats]) -> Self {
        let channel = |channel: &ChannelStats| ChannelBase {
            name: channel.channel_name.as_str().into(),
            message_count: channel.message_count,
            done_count: channel.done_count(),
        };
        let topic = |topic: &TopicStats| TopicBase {
            name: topic.topic_name.as_str().into(),
            message_count: topic.message_count,
            channels: topic.channels.iter().map(channel).collect(),
        };
        Self { at_ms, topics: topics.iter().map(topic).collect() }
    }
}

/// What comes and goes, messages a second. `None`: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Messages that come.
    pub rate: Option<f64>,
    /// Messages that channels are done with.
    pub out: Option<f64>,
}

impl Rates {
    /// Adds what is known of another part.
    pub(super) fn add(&mut self, rate: Option<f64>, out: Option<f64>) {
        self.rate = plus(self.rate, rate);
        self.out = plus(self.out, out);
    }
}

/// A sum of what is known.
pub(super) fn plus(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (one, other) => one.or(other),
    }
}

impl Motion {
    /// Nothing measured yet. Counts that are closer together than `gap_ms` say little, and are both measured by an earlier one.
    pub fn new(gap_ms: u64) -> Self {
        Self { gap_ms, bases: BTreeMap::new() }
    }

    /// Fills in the rates of an nsqd's topics and channels, which are sorted by name, and keeps what it counted for the next.
    pub fn measure(&mut self, mut now: NodeView) -> Arc<NodeView> {
        let name = now.node.clone();
        let base = self.bases.get(&name);
        let fresh = base.is_none_or(|base| now.at_ms >= base.at_ms.saturating_add(self.gap_ms));
        if let Some(topics) = &mut now.topics {
            let before = base.and_then(|base| Some((base.topics.as_slice(), seconds(base.at_ms, now.at_ms)?)));
            for topic in topics {
                measure_topic(topic, before);
            }
        }
        if let Some(topics) = now.topics.as_deref().filter(|_| fresh) {
            self.bases.insert(name, Base::of(now.at_ms, topics));
        }
        Arc::new(now)
    }

    /// Forgets the nsqds that are none of these.
    pub fn retain(&mut self, nodes: &[Arc<NodeView>]) {
        self.bases.retain(|name, _| nodes.iter().any(|node| node.node == *name));
    }
}

fn seconds(from_ms: u64, to_ms: u64) -> Option<f64> {
    to_ms.checked_sub(from_ms).filter(|gap| *gap > 0).map(|gap| gap as f64 / 1000.0)
}

/// `before`: the node's topics then, and the seconds since.
fn measure_topic(topic: &mut TopicStats, before: Option<(&[TopicBase], f64)>) {
    let then = before.map(|(topics, gap)| {
        let at = topics.binary_search_by(|then| (*then.name).cmp(topic.topic_name.as_str()));
        (at.ok().and_then(|at| topics.get(at)), gap)
    });
    let mut sum = Rates::default();
    for channel in &mut topic.channels {
        let rates = then.map_or_else(Rates::default, |(then, gap)| channel_rates(channel, then, gap));
        sum.add(None, rates.out);
        (channel.rate, channel.out) = (Some(rates.rate), Some(rates.out));
    }
    // What was not there before came since.
    let rate = then.and_then(|(then, gap)| risen(then.map_or(0, |then| then.message_count), topic.message_count, gap));
    (topic.rate, topic.out) = (Some(rate), Some(sum.out));
}

fn channel_rates(channel: &ChannelStats, topic: Option<&TopicBase>, gap: f64) -> Rates {
    let then = topic.and_then(|topic| {
        let at = topic.channels.binary_search_by(|then| (*then.name).cmp(channel.channel_name.as_str()));
        topic.channels.get(at.ok()?)
    });
    let (came, done) = then.map_or((0, 0), |then| (then.message_count, then.done_count));
    let rate = risen(came, channel.message_count, gap);
    // A message that is requeued or emptied between the numbers of one answer can make it fall a little.
    let out = rate.and(risen(done.min(channel.done_count()), channel.done_count(), gap));
    Rates { rate, out }
}

/// How fast a counter rose. One that fell began anew.
fn risen(then: i64, now: i64, gap: f64) -> Option<f64> {
    let rise = now.saturating_sub(then);
    (rise >= 0).then(|| rounded(rise as f64 / gap))
}

/// As exact as anybody reads it.
pub(super) fn rounded(rate: f64) -> f64 {
    let steps = if rate >= 100.0 { 1.0 } else { 100.0 };
    (rate * steps).round() / steps
}
