//! The whole cluster at one time.

use std::sync::Arc;

use serde::Serialize;

use super::merge::{label_channel, label_topic};
use super::motion::{Rates, plus, rounded};
use super::{ChannelStats, Producer, TopicStats, merge_channel, merge_topic};

/// An nsqd at one time.
#[derive(Clone, Debug, Default)]
pub struct NodeView {
    /// What it is called: where its HTTP API is.
    pub node: String,
    /// Who it is.
    pub producer: Producer,
    /// When it answered, or did not; milliseconds of a clock that only goes on.
    pub at_ms: u64,
    /// Sorted by name, and their channels, too; not labelled. `None` if it did not answer.
    pub topics: Option<Vec<TopicStats>>,
    /// Why it did not answer.
    pub error: String,
}

/// The cluster at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sorted by host.
    pub nodes: Vec<Arc<NodeView>>,
    /// All topics, sorted, those without an nsqd, too.
    pub topics: Vec<String>,
    /// Whether clients were asked for.
    pub with_clients: bool,
}

/// What a list of topics says of one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TopicSummary {
    /// Its name.
    pub topic_name: String,
    /// Messages that wait, in the topic and in its channels.
    pub depth: i64,
    /// Messages that came.
    pub message_count: i64,
    /// Over all channels.
    pub in_flight_count: i64,
    /// Over all channels.
    pub deferred_count: i64,
    /// Over all channels.
    pub client_count: i64,
    /// On any nsqd.
    pub paused: bool,
    /// How many there are.
    pub channels: usize,
    /// How many nsqds have it.
    pub nodes: usize,
    /// Messages that come, a second.
    pub rate: Option<f64>,
    /// Messages that its channels are done with, a second.
    pub out: Option<f64>,
    /// Where most messages wait.
    pub worst: Option<Worst>,
}

/// The queue with the most messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Worst {
    /// Empty for the topic's own.
    pub channel_name: String,
    /// On which nsqd.
    pub node: String,
    /// How many.
    pub depth: i64,
}

impl NodeView {
    /// What it says of its topics, sorted.
    pub fn sorted(mut topics: Vec<TopicStats>) -> Vec<TopicStats> {
        for topic in &mut topics {
            topic.channels.sort_by(|a, b| a.channel_name.cmp(&b.channel_name));
        }
        topics.sort_by(|a, b| a.topic_name.cmp(&b.topic_name));
        topics
    }

    /// What it says of `topic`.
    pub fn topic(&self, topic: &str) -> Option<&TopicStats> {
        let topics = self.topics.as_deref()?;
        let at = topics.binary_search_by(|own| own.topic_name.as_str().cmp(topic)).ok()?;
        topics.get(at)
    }

    /// Its topics, labelled, one after the other.
    pub fn labelled(&self, now_seconds: i64) -> impl Iterator<Item = TopicStats> {
        self.labelled_from(0, now_seconds)
    }

    /// The same without the first `skipped`.
    pub fn labelled_from(&self, skipped: usize, now_seconds: i64) -> impl Iterator<Item = TopicStats> {
        self.topics.iter().flatten().skip(skipped).map(move |topic| {
            let mut topic = topic.clone();
            label_topic(&mut topic, &self.node, &self.producer, now_seconds);
            topic
        })
    }

    /// All its topics together: messages that wait, that came, clients, and the rates.
    pub fn totals(&self) -> (i64, i64, i64, Rates) {
        let (mut depth, mut count, mut clients, mut rates) = (0_i64, 0_i64, 0_i64, Rates::default());
        for topic in self.topics.iter().flatten() {
            depth = depth.saturating_add(topic.waiting());
            count = count.saturating_add(topic.message_count);
            for channel in &topic.channels {
                clients = clients.saturating_add(channel.client_count);
            }
            rates.add(topic.rate.flatten(), topic.out.flatten());
        }
        (depth, count, clients, rates)
    }
}

impl Snapshot {
    /// The nsqds that consumers of `topic` are told of.
    fn serving(&self, topic: &str) -> impl Iterator<Item = &NodeView> {
        self.nodes.iter().map(AsRef::as_ref).filter(move |node| node.producer.serves(topic))
    }

    /// Whether there is a topic of that name.
    pub fn has(&self, topic: &str) -> bool {
        self.topics.binary_search_by(|own| own.as_str().cmp(topic)).is_ok()
    }

    /// The topic over all nsqds; `None` if nobody knows it.
    pub fn topic(&self, topic: &str, now_seconds: i64) -> Option<TopicStats> {
        let parts: Vec<TopicStats> = self
            .serving(topic)
            .filter_map(|node| {
                let mut part = node.topic(topic)?.clone();
                label_topic(&mut part, &node.node, &node.producer, now_seconds);
                Some(part)
            })
            .collect();
        (self.has(topic) || !parts.is_empty()).then(|| merge_topic(topic, parts))
    }

    /// The channel over all nsqds; `None` if no nsqd has it.
    pub fn channel(&self, topic: &str, channel: &str, now_seconds: i64) -> Option<ChannelStats> {
        let parts: Vec<ChannelStats> = self
            .serving(topic)
            .filter_map(|node| {
                let mut part = node.topic(topic)?.channels.iter().find(|own| own.channel_name == channel)?.clone();
                label_channel(&mut part, topic, &node.node, &node.producer, now_seconds);
                Some(part)
            })
            .collect();
        (!parts.is_empty()).then(|| merge_channel(topic, channel, parts))
    }

    /// The nsqd called `node`.
    pub fn node(&self, node: &str) -> Option<&NodeView> {
        self.nodes.iter().map(AsRef::as_ref).find(|own| own.node == node)
    }

    /// All topics, sorted by name.
    pub fn summaries(&self) -> Vec<TopicSummary> {
        let blank = |name: &str| TopicSummary { topic_name: name.to_owned(), ..TopicSummary::default() };
        let mut found: Vec<TopicSummary> = Vec::with_capacity(self.topics.len());
        found.extend(self.topics.iter().map(|name| blank(name)));
        let mut channels: Vec<(usize, &str)> = Vec::new();
        for node in &self.nodes {
            for topic in node.producer.topics.iter().filter(|topic| !topic.tombstoned) {
                // All are there: topics are those of nsqlookupds and of all nsqds.
                let at = found.binary_search_by(|own| own.topic_name.as_str().cmp(&topic.topic));
                let Some((at, summary)) = at.ok().and_then(|at| Some((at, found.get_mut(at)?))) else { continue };
                summary.nodes += 1;
                if let Some(stats) = node.topic(&topic.topic) {
                    summary.add(&node.node, stats);
                    channels.extend(stats.channels.iter().map(|it| (at, it.channel_name.as_str())));
                }
            }
        }
        channels.sort_unstable();
        channels.dedup();
        for own in channels.chunk_by(|a, b| a.0 == b.0) {
            if let Some(summary) = own.first().and_then(|(at, _)| found.get_mut(*at)) {
                summary.channels = own.len();
            }
        }
        found
    }
}

impl TopicSummary {
    fn add(&mut self, node: &str, topic: &TopicStats) {
        let mut waits = |channel: &str, depth: i64| {
            if depth > self.worst.as_ref().map_or(0, |worst| worst.depth) {
                self.worst = Some(Worst { channel_name: channel.to_owned(), node: node.to_owned(), depth });
            }
        };
        waits("", topic.depth);
        for channel in &topic.channels {
            waits(&channel.channel_name, channel.depth);
            for (sum, more) in [
                (&mut self.in_flight_count, channel.in_flight_count),
                (&mut self.deferred_count, channel.deferred_count),
                (&mut self.client_count, channel.client_count),
            ] {
                *sum = sum.saturating_add(more);
            }
        }
        self.depth = self.depth.saturating_add(topic.waiting());
        self.message_count = self.message_count.saturating_add(topic.message_count);
        self.paused |= topic.paused;
        self.rate = plus(self.rate, topic.rate.flatten()).map(rounded);
        self.out = plus(self.out, topic.out.flatten()).map(rounded);
    }
}
