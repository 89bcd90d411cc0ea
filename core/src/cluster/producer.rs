//! The nsqds of a cluster, as nsqlookupds know them or as they present themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::version::Version;
use super::{join, or_default};

/// An nsqd, as nsqadmin shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names are nsqd's, and say what they are")]
pub struct Producer {
    /// `nsqlookupd/remote address` for each nsqlookupd that knows it; empty if none was asked.
    pub remote_addresses: Vec<String>,
    pub remote_address: String,
    pub hostname: String,
    pub broadcast_address: String,
    pub tcp_port: u16,
    pub http_port: u16,
    pub version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topology_zone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topology_region: String,
    /// Sorted by name.
    pub topics: Vec<ProducerTopic>,
    /// Others have a newer version.
    pub out_of_date: bool,
}

/// A topic that an nsqd has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProducerTopic {
    /// Its name.
    pub topic: String,
    /// Hidden from consumers.
    pub tombstoned: bool,
}

/// An nsqd without its topics: in an nsqlookupd's `/lookup`, and in its own `/info`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LookupProducer {
    #[serde(deserialize_with = "or_default")]
    remote_address: String,
    #[serde(deserialize_with = "or_default")]
    hostname: String,
    #[serde(deserialize_with = "or_default")]
    broadcast_address: String,
    #[serde(deserialize_with = "or_default")]
    tcp_port: u16,
    #[serde(deserialize_with = "or_default")]
    http_port: u16,
    #[serde(deserialize_with = "or_default")]
    version: String,
    #[serde(deserialize_with = "or_default")]
    topology_zone: String,
    #[serde(deserialize_with = "or_default")]
    topology_region: String,
}

/// An nsqd in an nsqlookupd's `/nodes`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeProducer {
    #[serde(flatten)]
    producer: LookupProducer,
    #[serde(deserialize_with = "or_default")]
    tombstones: Vec<bool>,
    #[serde(deserialize_with = "or_default")]
    topics: Vec<String>,
}

impl Producer {
    /// Where its HTTP API is, which is also what it is called.
    pub fn http_address(&self) -> String {
        join(&self.broadcast_address, self.http_port)
    }

    /// Where clients connect.
    pub fn tcp_address(&self) -> String {
        join(&self.broadcast_address, self.tcp_port)
    }

    /// Whether consumers of `topic` are told of it.
    pub fn serves(&self, topic: &str) -> bool {
        let found = self.topics.binary_search_by(|own| own.topic.as_str().cmp(topic));
        found.ok().and_then(|at| self.topics.get(at)).is_some_and(|own| !own.tombstoned)
    }

    /// The nsqd asked at `address`, in its own words. What an old one does not say of itself, the address does.
    pub fn asked(address: &str, info: LookupProducer, topics: impl IntoIterator<Item = String>) -> Self {
        let mut producer = Self::from(info);
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if producer.broadcast_address.is_empty() {
            host.clone_into(&mut producer.broadcast_address);
            producer.http_port = port.parse().unwrap_or_default();
        }
        if producer.hostname.is_empty() {
            host.clone_into(&mut producer.hostname);
        }
        producer.topics = topics.into_iter().map(|topic| ProducerTopic { topic, tombstoned: false }).collect();
        producer.topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        producer
    }
}

impl From<LookupProducer> for Producer {
    fn from(from: LookupProducer) -> Self {
        Self {
            remote_addresses: Vec::new(),
            remote_address: from.remote_address,
            hostname: from.hostname,
            broadcast_address: from.broadcast_address,
            tcp_port: from.tcp_port,
            http_port: from.http_port,
            version: from.version,
            topology_zone: from.topology_zone,
            topology_region: from.topology_region,
            topics: Vec::new(),
            out_of_date: false,
        }
    }
}

impl From<NodeProducer> for Producer {
    fn from(from: NodeProducer) -> Self {
        let tombstones = from.tombstones.into_iter().chain(std::iter::repeat(false));
        let mut topics: Vec<ProducerTopic> = from
            .topics
            .into_iter()
            .zip(tombstones)
            .map(|(topic, tombstoned)| ProducerTopic { topic, tombstoned })
            .collect();
        topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        Self { topics, ..Self::from(from.producer) }
    }
}

/// The nsqds that nsqlookupds know, each by its address: one for each TCP address, with the topics that the first of them
/// says it has; sorted by host.
pub fn merge_nodes(answers: impl IntoIterator<Item = (String, Vec<NodeProducer>)>) -> Vec<Producer> {
    let mut found: BTreeMap<String, Producer> = BTreeMap::new();
    for (lookupd, producers) in answers {
        for producer in producers {
            let producer = Producer::from(producer);
            let remote = if producer.remote_address.is_empty() { "N/A" } else { &producer.remote_address };
            let remote = format!("{lookupd}/{remote}");
            found.entry(producer.tcp_address()).or_insert(producer).remote_addresses.push(remote);
        }
    }
    let newest = found.values().map(|producer| Version::parse(&producer.version)).max().unwrap_or_default();
    let mut producers: Vec<Producer> = found.into_values().collect();
    for producer in &mut producers {
        producer.out_of_date = Version::parse(&producer.version) < newest;
    }
    sort_by_host(&mut producers);
    producers
}

/// The nsqds that nsqlookupds named for a topic: one for each HTTP address, in the order they were named.
pub fn merge_producers(answers: impl IntoIterator<Item = Vec<LookupProducer>>) -> Vec<Producer> {
    let mut found: Vec<Producer> = Vec::new();
    for producer in answers.into_iter().flatten().map(Producer::from) {
        if !found.iter().any(|known| known.http_address() == producer.http_address()) {
            found.push(producer);
        }
    }
    found
}

/// Sorts by host, and nsqds of one host by address.
pub fn sort_by_host(producers: &mut [Producer]) {
    producers.sort_by_cached_key(|producer| (producer.hostname.clone(), producer.http_address()));
}
