//! `/stats?format=json`. The keys and their order are the reference's.

use sansq_core::latency::Latency;
use sansq_core::topic::{ChannelStats, ConsumerStats, TopicStats};
use serde::Serialize;

use super::Snapshot;
use crate::http::process::Memory;
use crate::http::respond::{Outcome, Reply};
use crate::node::Client;

#[derive(Serialize)]
struct Document<'a> {
    version: &'a str,
    health: &'a str,
    start_time: i64,
    topics: Option<Vec<Topic<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: &'a Option<Memory>,
    /// `null` when there are none, as Go writes an empty list that nothing was added to.
    producers: Option<Vec<Entry>>,
}

#[derive(Serialize)]
struct Topic<'a> {
    topic_name: &'a str,
    channels: Vec<Channel<'a>>,
    depth: u64,
    backend_depth: u64,
    message_count: u64,
    message_bytes: u64,
    paused: bool,
    e2e_processing_latency: LatencyEntry,
}

#[derive(Serialize)]
struct Channel<'a> {
    channel_name: &'a str,
    depth: u64,
    backend_depth: u64,
    in_flight_count: u64,
    deferred_count: u64,
    message_count: u64,
    /// These three count deliveries from memory, whatever their names say.
    #[serde(skip_serializing_if = "is_zero")]
    zone_local_msg_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    region_local_msg_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    global_msg_count: u64,
    requeue_count: u64,
    timeout_count: u64,
    client_count: usize,
    clients: Option<Vec<Entry>>,
    paused: bool,
    e2e_processing_latency: LatencyEntry,
}

/// A client, as consumer or as producer.
#[derive(Serialize)]
struct Entry {
    client_id: String,
    hostname: String,
    version: &'static str,
    remote_address: String,
    state: i32,
    ready_count: u32,
    in_flight_count: u32,
    message_count: u64,
    finish_count: u64,
    requeue_count: u64,
    connect_ts: i64,
    sample_rate: u8,
    deflate: bool,
    snappy: bool,
    user_agent: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    authed: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    auth_identity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    auth_identity_url: String,
    topology_zone: String,
    topology_region: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub_counts: Vec<PubCount>,
    tls: bool,
    tls_cipher_suite: String,
    tls_version: &'static str,
    tls_negotiated_protocol: &'static str,
    tls_negotiated_protocol_is_mutual: bool,
}

#[derive(Serialize)]
struct PubCount {
    topic: String,
    count: u64,
}

/// The percentiles of the time from publish to finish; `null` if that is not measured.
#[derive(Default, Serialize)]
struct LatencyEntry {
    count: u64,
    percentiles: Option<Vec<PercentileEntry>>,
}

#[derive(Serialize)]
struct PercentileEntry {
    quantile: f64,
    /// Nanoseconds.
    value: u128,
}

impl LatencyEntry {
    fn of(latency: Option<&Latency>) -> Self {
        let Some(latency) = latency else { return Self::default() };
        let percentiles = latency.percentiles.iter().map(|percentile| PercentileEntry {
            quantile: percentile.quantile.fraction(),
            value: percentile.value.as_nanos(),
        });
        Self { count: latency.count, percentiles: Some(percentiles.collect()) }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The document.
pub(super) fn render(version: &str, snapshot: &Snapshot<'_>) -> Outcome {
    let topics = snapshot.topics.as_ref().map(|topics| topics.iter().map(|topic| of_topic(snapshot, topic)).collect());
    let producers: Vec<_> = snapshot
        .clients
        .iter()
        .filter(|client| !client.profile.lock().published.is_empty())
        .map(|client| of_client(snapshot, client, None))
        .collect();
    Reply::json(&Document {
        version,
        health: snapshot.health,
        start_time: snapshot.start_time,
        topics,
        memory: &snapshot.memory,
        producers: (!producers.is_empty()).then_some(producers),
    })
}

fn of_topic<'a>(snapshot: &Snapshot<'_>, topic: &'a TopicStats) -> Topic<'a> {
    Topic {
        topic_name: topic.name.as_str(),
        channels: topic.channels.iter().map(|channel| of_channel(snapshot, channel)).collect(),
        depth: topic.depth,
        backend_depth: topic.backend_depth,
        message_count: topic.message_count,
        message_bytes: topic.message_bytes,
        paused: topic.paused,
        e2e_processing_latency: LatencyEntry::of(topic.latency.as_ref()),
    }
}

fn of_channel<'a>(snapshot: &Snapshot<'_>, channel: &'a ChannelStats) -> Channel<'a> {
    let clients = || {
        let present =
            |consumer: &ConsumerStats| Some(of_client(snapshot, snapshot.client(consumer.conn)?, Some(consumer)));
        channel.consumers.iter().filter_map(present).collect()
    };
    Channel {
        channel_name: channel.name.as_str(),
        depth: channel.depth,
        backend_depth: channel.backend_depth,
        in_flight_count: channel.in_flight_count,
        deferred_count: channel.deferred_count,
        message_count: channel.message_count,
        zone_local_msg_count: channel.zone_local_count,
        region_local_msg_count: channel.region_local_count,
        global_msg_count: channel.global_count,
        requeue_count: channel.requeue_count,
        timeout_count: channel.timeout_count,
        client_count: channel.client_count,
        clients: snapshot.with_clients.then(clients),
        paused: channel.paused,
        e2e_processing_latency: LatencyEntry::of(channel.latency.as_ref()),
    }
}

fn of_client(snapshot: &Snapshot<'_>, client: &Client, consumer: Option<&ConsumerStats>) -> Entry {
    let profile = client.profile.lock().clone();
    let (tls_version, tls_cipher_suite) = profile.tls.map_or_else(Default::default, |it| (it.version, it.cipher_suite));
    let authorized = profile.authorized.map(|identity| (identity.name, identity.url));
    let (auth_identity, auth_identity_url) = authorized.clone().unwrap_or_default();
    let only = snapshot.topic.as_ref();
    let counts = profile.published.into_iter().filter(|(topic, _)| only.is_none_or(|only| only == topic));
    let host = || client.host_and_port().0.to_owned();
    let info = profile.info.as_deref();
    let text = |field: fn(&sansq_core::session::ClientInfo) -> &String| info.map(field).cloned();
    let tls = info.is_some_and(|info| info.tls);
    Entry {
        client_id: text(|info| &info.client_id).unwrap_or_else(host),
        hostname: text(|info| &info.hostname).unwrap_or_else(host),
        version: "V2",
        remote_address: client.remote_address.clone(),
        state: profile.state as i32,
        ready_count: consumer.map_or(0, |consumer| consumer.ready_count),
        in_flight_count: consumer.map_or(0, |consumer| consumer.in_flight_count),
        message_count: consumer.map_or(0, |consumer| consumer.message_count),
        finish_count: consumer.map_or(0, |consumer| consumer.finish_count),
        requeue_count: consumer.map_or(0, |consumer| consumer.requeue_count),
        connect_ts: client.connect_ts,
        sample_rate: info.map_or(0, |info| info.sample_rate),
        deflate: info.is_some_and(|info| info.deflate),
        snappy: info.is_some_and(|info| info.snappy),
        user_agent: text(|info| &info.user_agent).unwrap_or_default(),
        authed: authorized.is_some(),
        auth_identity,
        auth_identity_url,
        topology_zone: text(|info| &info.topology_zone).unwrap_or_default(),
        topology_region: text(|info| &info.topology_region).unwrap_or_default(),
        pub_counts: counts.map(|(topic, count)| PubCount { topic: topic.to_string(), count }).collect(),
        tls,
        tls_cipher_suite,
        tls_version,
        tls_negotiated_protocol: "",
        tls_negotiated_protocol_is_mutual: tls,
    }
}
