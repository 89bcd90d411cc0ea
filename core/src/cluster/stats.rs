//! Statistics of topics, channels and clients: as an nsqd answers `GET /stats?format=json`, and as nsqadmin shows them. What
//! only nsqadmin fills in is not read.
//!
//! `rate`, `out` and `history` are there in live views only; `Some(None)` is a number that is not known, `null`.

use serde::{Deserialize, Serialize};

use super::{Latency, Samples, compact, compact_option, or_default};

/// A topic, on one nsqd or on all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are nsqd's, and say what they are")]
pub struct TopicStats {
    /// Where its HTTP API is; `*` for all nsqds.
    #[serde(skip_deserializing)]
    pub node: String,
    #[serde(skip_deserializing)]
    pub hostname: String,
    pub topic_name: String,
    #[serde(deserialize_with = "or_default")]
    pub depth: i64,
    #[serde(skip_deserializing)]
    pub memory_depth: i64,
    #[serde(deserialize_with = "or_default")]
    pub backend_depth: i64,
    #[serde(deserialize_with = "or_default")]
    pub message_count: i64,
    #[serde(skip_deserializing)]
    pub delivery_msg_count: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub zone_local_msg_count: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub region_local_msg_count: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub global_msg_count: i64,
    /// The same for each nsqd; `None` for one.
    #[serde(skip_deserializing)]
    pub nodes: Option<Vec<TopicStats>>,
    #[serde(deserialize_with = "compact")]
    pub channels: Vec<ChannelStats>,
    #[serde(deserialize_with = "or_default")]
    pub paused: bool,
    #[serde(deserialize_with = "or_default")]
    pub e2e_processing_latency: Latency,
    /// Messages that come, a second.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Option<f64>>,
    /// Messages that its channels are done with, a second.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub out: Option<Option<f64>>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub history: Option<Box<Samples>>,
}

/// A channel, on one nsqd or on all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are nsqd's, and say what they are")]
pub struct ChannelStats {
    /// Where its nsqd's HTTP API is; `*` for all.
    #[serde(skip_deserializing)]
    pub node: String,
    #[serde(skip_deserializing)]
    pub hostname: String,
    #[serde(skip_deserializing)]
    pub topic_name: String,
    pub channel_name: String,
    #[serde(deserialize_with = "or_default")]
    pub depth: i64,
    #[serde(skip_deserializing)]
    pub memory_depth: i64,
    #[serde(deserialize_with = "or_default")]
    pub backend_depth: i64,
    #[serde(deserialize_with = "or_default")]
    pub in_flight_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub deferred_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub requeue_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub timeout_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub message_count: i64,
    #[serde(skip_deserializing, skip_serializing_if = "is_zero")]
    pub delivery_msg_count: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub zone_local_msg_count: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub region_local_msg_count: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub global_msg_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub client_count: i64,
    /// The same for each nsqd; `None` for one.
    #[serde(skip_deserializing)]
    pub nodes: Option<Vec<ChannelStats>>,
    /// `None` if they were not asked for.
    #[serde(deserialize_with = "compact_option")]
    pub clients: Option<Vec<ClientStats>>,
    #[serde(deserialize_with = "or_default")]
    pub paused: bool,
    #[serde(deserialize_with = "or_default")]
    pub e2e_processing_latency: Latency,
    /// Messages that come, a second.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Option<f64>>,
    /// Messages that it is done with, a second.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub out: Option<Option<f64>>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub history: Option<Box<Samples>>,
}

/// A consumer of a channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are nsqd's, and say what they are")]
pub struct ClientStats {
    /// Where its nsqd's HTTP API is.
    #[serde(skip_deserializing)]
    pub node: String,
    #[serde(deserialize_with = "or_default")]
    pub remote_address: String,
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    #[serde(deserialize_with = "or_default")]
    pub client_id: String,
    #[serde(deserialize_with = "or_default")]
    pub hostname: String,
    #[serde(deserialize_with = "or_default")]
    pub user_agent: String,
    /// Seconds since the Unix epoch.
    #[serde(deserialize_with = "or_default")]
    pub connect_ts: i64,
    /// Nanoseconds since then.
    #[serde(skip_deserializing)]
    pub connected: i64,
    #[serde(deserialize_with = "or_default")]
    pub in_flight_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub ready_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub finish_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub requeue_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub message_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub sample_rate: i64,
    #[serde(deserialize_with = "or_default")]
    pub deflate: bool,
    #[serde(deserialize_with = "or_default")]
    pub snappy: bool,
    #[serde(deserialize_with = "or_default")]
    pub authed: bool,
    #[serde(deserialize_with = "or_default")]
    pub auth_identity: String,
    #[serde(deserialize_with = "or_default")]
    pub auth_identity_url: String,
    /// Where its nsqd is.
    #[serde(skip_deserializing, skip_serializing_if = "String::is_empty")]
    pub node_topology_region: String,
    #[serde(skip_deserializing, skip_serializing_if = "String::is_empty")]
    pub node_topology_zone: String,
    /// Where it is itself.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub topology_region: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub topology_zone: String,
    #[serde(deserialize_with = "or_default")]
    pub tls: bool,
    #[serde(deserialize_with = "or_default")]
    pub tls_cipher_suite: String,
    #[serde(deserialize_with = "or_default")]
    pub tls_version: String,
    #[serde(deserialize_with = "or_default")]
    pub tls_negotiated_protocol: String,
    #[serde(deserialize_with = "or_default")]
    pub tls_negotiated_protocol_is_mutual: bool,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl ChannelStats {
    /// Messages that it was done with so far: all that came but those it still has.
    pub(super) fn done_count(&self) -> i64 {
        let held = self.depth.saturating_add(self.in_flight_count).saturating_add(self.deferred_count);
        self.message_count.saturating_sub(held)
    }
}

impl TopicStats {
    /// Messages that wait, in the topic or in its channels.
    pub fn waiting(&self) -> i64 {
        self.channels.iter().fold(self.depth, |sum, channel| sum.saturating_add(channel.depth))
    }
}
