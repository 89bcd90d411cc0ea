//! What nsqlookupds and nsqds answer.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::producer::{LookupProducer, NodeProducer};
use super::{TopicStats, compact, or_default};

/// nsqlookupd's `GET /topics`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TopicsAnswer {
    /// Their names.
    #[serde(deserialize_with = "or_default")]
    pub topics: Vec<String>,
}

/// nsqlookupd's `GET /channels?topic=..`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ChannelsAnswer {
    /// Their names.
    #[serde(deserialize_with = "or_default")]
    pub channels: Vec<String>,
}

/// nsqlookupd's `GET /lookup?topic=..`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LookupAnswer {
    /// Those who have the topic.
    #[serde(deserialize_with = "or_default")]
    pub producers: Vec<LookupProducer>,
}

/// nsqlookupd's `GET /nodes`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodesAnswer {
    /// All it knows.
    #[serde(deserialize_with = "or_default")]
    pub producers: Vec<NodeProducer>,
}

/// nsqd's `GET /info`: who it is.
pub type Info = LookupProducer;

/// nsqd's `GET /stats?format=json`. `T`: as much of a topic as is wanted; the rest takes no memory.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "T: Deserialize<'de> + Default"))]
pub struct StatsAnswer<T = TopicStats> {
    /// Of each of its topics.
    #[serde(deserialize_with = "compact")]
    pub topics: Vec<T>,
}

/// The name of a topic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamedTopic {
    /// As it is.
    pub topic_name: String,
}

/// A topic, and the messages that its channels got.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CountedTopic {
    /// Its name.
    pub topic_name: String,
    /// Its channels.
    #[serde(deserialize_with = "compact")]
    pub channels: Vec<CountedChannel>,
}

/// A channel, and the messages that it got.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CountedChannel {
    /// Its name.
    pub channel_name: String,
    /// How many.
    #[serde(deserialize_with = "or_default")]
    pub message_count: i64,
}

/// Each name once, sorted.
pub fn union(lists: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let names: BTreeSet<String> = lists.into_iter().flatten().collect();
    names.into_iter().collect()
}
