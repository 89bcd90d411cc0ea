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

pub use answers::{ChannelsAnswer, Info, LookupAnswer, NodesAnswer, StatsAnswer, TopicsAnswer, union};
pub use history::{History, SAMPLES_MAX, Samples};
pub use latency::{Latency, Percentile};
pub use merge::{Report, merge_channel, merge_topic};
pub use motion::{Motion, Rates};
pub use producer::{LookupProducer, NodeProducer, Producer, ProducerTopic, merge_nodes, merge_producers, sort_by_host};
pub use snapshot::{NodeView, Snapshot, TopicSummary, Worst};
pub use stats::{ChannelStats, ClientStats, TopicStats};

use serde::{Deserialize, Deserializer};

/// `null` is as good as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// `host:port`, with brackets around an IPv6 address.
pub fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
