//! Statistics of several nsqds brought together.

use std::collections::BTreeMap;

use super::motion::plus;
use super::{ChannelStats, ClientStats, Latency, Producer, TopicStats};

/// What one nsqd says of its topics.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Who it is.
    pub producer: Producer,
    /// As it said it.
    pub topics: Vec<TopicStats>,
}

impl Report {
    /// Its topics, each with what is known besides: whose they are, and what follows from their numbers. `now_seconds`: Unix
    /// time, for how long clients are connected.
    pub fn labelled(self, now_seconds: i64) -> Vec<TopicStats> {
        self.into_labelled(now_seconds).collect()
    }

    /// The same one by one, for very many.
    pub fn into_labelled(self, now_seconds: i64) -> impl Iterator<Item = TopicStats> {
        let Self { producer, topics } = self;
        let node = producer.http_address();
        topics.into_iter().map(move |mut topic| {
            label_topic(&mut topic, &node, &producer, now_seconds);
            topic
        })
    }
}

fn sum3(a: i64, b: i64, c: i64) -> i64 {
    a.saturating_add(b).saturating_add(c)
}

/// Fills in what nsqadmin knows of a topic of `producer`, which is called `node`.
pub(super) fn label_topic(topic: &mut TopicStats, node: &str, producer: &Producer, now_seconds: i64) {
    node.clone_into(&mut topic.node);
    producer.hostname.clone_into(&mut topic.hostname);
    topic.memory_depth = topic.depth.saturating_sub(topic.backend_depth);
    topic.delivery_msg_count = sum3(topic.zone_local_msg_count, topic.region_local_msg_count, topic.global_msg_count);
    topic.e2e_processing_latency.complete();
    let name = &topic.topic_name;
    for channel in &mut topic.channels {
        label_channel(channel, name, node, producer, now_seconds);
    }
}

/// The same for a channel of `topic`.
pub(super) fn label_channel(
    channel: &mut ChannelStats,
    topic: &str,
    node: &str,
    producer: &Producer,
    now_seconds: i64,
) {
    node.clone_into(&mut channel.node);
    producer.hostname.clone_into(&mut channel.hostname);
    topic.clone_into(&mut channel.topic_name);
    channel.memory_depth = channel.depth.saturating_sub(channel.backend_depth);
    channel.delivery_msg_count =
        sum3(channel.zone_local_msg_count, channel.region_local_msg_count, channel.global_msg_count);
    channel.e2e_processing_latency.complete();
    for client in channel.clients.iter_mut().flatten() {
        node.clone_into(&mut client.node);
        producer.topology_region.clone_into(&mut client.node_topology_region);
        producer.topology_zone.clone_into(&mut client.node_topology_zone);
        client.connected = now_seconds.saturating_sub(client.connect_ts).saturating_mul(1_000_000_000);
    }
}

/// The topic `name` over all nsqds. `parts`: each nsqd's, labelled.
pub fn merge_topic(name: &str, mut parts: Vec<TopicStats>) -> TopicStats {
    parts.sort_by(|a, b| (&a.hostname, &a.node).cmp(&(&b.hostname, &b.node)));
    let mut whole = TopicStats {
        node: "*".to_owned(),
        topic_name: name.to_owned(),
        e2e_processing_latency: Latency::of_all(name, ""),
        ..TopicStats::default()
    };
    let mut channels: BTreeMap<&str, Vec<ChannelStats>> = BTreeMap::new();
    for part in &parts {
        for (sum, more) in [
            (&mut whole.depth, part.depth),
            (&mut whole.memory_depth, part.memory_depth),
            (&mut whole.backend_depth, part.backend_depth),
            (&mut whole.message_count, part.message_count),
            (&mut whole.delivery_msg_count, part.delivery_msg_count),
            (&mut whole.zone_local_msg_count, part.zone_local_msg_count),
            (&mut whole.region_local_msg_count, part.region_local_msg_count),
            (&mut whole.global_msg_count, part.global_msg_count),
        ] {
            *sum = sum.saturating_add(more);
        }
        whole.paused |= part.paused;
        whole.rate = both(whole.rate, part.rate);
        whole.out = both(whole.out, part.out);
        whole.e2e_processing_latency.add(&part.e2e_processing_latency);
        for channel in &part.channels {
            channels.entry(&channel.channel_name).or_default().push(channel.clone());
        }
    }
    whole.channels = channels.into_iter().map(|(channel, parts)| merge_channel(name, channel, parts)).collect();
    whole.nodes = Some(parts);
    whole
}

/// The channel `name` of `topic` over all nsqds. `parts`: each nsqd's, labelled. Clients are in the order in which one looks
/// for them: by node, and on each those near by first.
pub fn merge_channel(topic: &str, name: &str, mut parts: Vec<ChannelStats>) -> ChannelStats {
    parts.sort_by(|a, b| (&a.hostname, &a.node).cmp(&(&b.hostname, &b.node)));
    let mut whole = ChannelStats {
        node: "*".to_owned(),
        topic_name: topic.to_owned(),
        channel_name: name.to_owned(),
        e2e_processing_latency: Latency::of_all(topic, name),
        ..ChannelStats::default()
    };
    let mut clients: Option<Vec<ClientStats>> = None;
    for part in &parts {
        for (sum, more) in [
            (&mut whole.depth, part.depth),
            (&mut whole.memory_depth, part.memory_depth),
            (&mut whole.backend_depth, part.backend_depth),
            (&mut whole.in_flight_count, part.in_flight_count),
            (&mut whole.deferred_count, part.deferred_count),
            (&mut whole.requeue_count, part.requeue_count),
            (&mut whole.timeout_count, part.timeout_count),
            (&mut whole.message_count, part.message_count),
            (&mut whole.delivery_msg_count, part.delivery_msg_count),
            (&mut whole.zone_local_msg_count, part.zone_local_msg_count),
            (&mut whole.region_local_msg_count, part.region_local_msg_count),
            (&mut whole.global_msg_count, part.global_msg_count),
            (&mut whole.client_count, part.client_count),
        ] {
            *sum = sum.saturating_add(more);
        }
        whole.paused |= part.paused;
        whole.rate = both(whole.rate, part.rate);
        whole.out = both(whole.out, part.out);
        whole.e2e_processing_latency.add(&part.e2e_processing_latency);
        if let Some(own) = &part.clients {
            clients.get_or_insert_default().extend_from_slice(own);
        }
    }
    if let Some(clients) = &mut clients {
        clients.sort_by(|a, b| nearness(a).cmp(&nearness(b)));
    }
    whole.clients = clients;
    whole.nodes = Some(parts);
    whole
}

/// A sum of rates, if there are rates at all.
fn both(a: Option<Option<f64>>, b: Option<Option<f64>>) -> Option<Option<f64>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(plus(a, b)),
        (one, other) => one.or(other),
    }
}

/// By node; then the same zone and region, the same region, and the rest by name.
fn nearness(client: &ClientStats) -> (&str, u8, &str, &str) {
    let same_region = client.topology_region == client.node_topology_region;
    let same_zone = client.topology_zone == client.node_topology_zone;
    let distance = match (same_region, same_zone) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    };
    (&client.node, distance, &client.topology_region, &client.topology_zone)
}
