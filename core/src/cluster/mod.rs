//! A cluster as nsqadmin shows it: what nsqlookupds and nsqds answered, brought together. Values and functions: asking them is
//! a host's work.
//!
//! What they answer is read as it comes: a field that is missing or `null` is as good as empty, fields nobody knows are left
//! alone, and numbers that would run over stay at their limit. So a node of another version costs its part of the picture at
//! most.
//!
//! - [`Producer`], [`merge_nodes`], [`merge_producers`]: the nsqds, as several nsqlookupds know them.
//! - [`Report`]: the statistics of one nsqd; [`merge_topic`], [`merge_channel`]: those of a topic or channel over all nsqds.
//! - [`Snapshot`]: the whole cluster at one time; [`Motion`]: what happened between two; [`History`]: the last minutes of it.
//!
//! Where names of fields, their order and what they hold follow the reference, it is `internal/clusterinfo`.

mod answers;
mod history;
mod latency;
mod merge;
mod motion;
mod producer;
mod snapshot;
mod stats;
#[cfg(test)]
mod tests;
mod version;

pub use answers::{
    ChannelsAnswer, CountedChannel, CountedTopic, Info, LookupAnswer, NamedTopic, NodesAnswer, StatsAnswer,
    TopicsAnswer, union,
};
pub use history::{History, SAMPLES_MAX, Samples};
pub use latency::{Latency, Percentile};
pub use merge::{Report, merge_channel, merge_topic};
pub use motion::{Motion, Rates};
pub use producer::{LookupProducer, NodeProducer, Producer, ProducerTopic, merge_nodes, merge_producers, sort_by_host};
pub use snapshot::{NodeView, Snapshot, TopicSummary, Worst};
pub use stats::{ChannelStats, ClientStats, TopicStats};

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// `null` is as good as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// The same for a list that is kept, in no more room than it needs.
fn compact<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    compact_option(from).map(Option::unwrap_or_default)
}

/// The same where `null` says something.
fn compact_option<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Vec<T>>, D::Error> {
    Ok(Option::<Compact<T>>::deserialize(from)?.map(|list| list.0))
}

/// A list that grows from one. A vector begins with room for four, and what it gives back of that is a hole in memory that
/// the next one does not fit into: a topic with one channel would cost three times what it needs.
struct Compact<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Compact<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(CompactVisitor(PhantomData))
    }
}

struct CompactVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for CompactVisitor<T> {
    type Value = Compact<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Compact<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = from.next_element()? {
            if list.len() == list.capacity() {
                list.reserve_exact(list.len().max(1));
            }
            list.push(element);
        }
        list.shrink_to_fit();
        Ok(Compact(list))
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
