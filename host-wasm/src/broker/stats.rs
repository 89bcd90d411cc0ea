//! Counts as JSON, with the keys of nsqd's `/stats?format=json`. What nsqd knows of sockets is left out.

use sansq_core::topic::{ChannelStats, ConsumerStats, TopicStats};
use serde::Serialize;

#[derive(Serialize)]
struct Topic<'a> {
    topic_name: &'a str,
    channels: Vec<Channel<'a>>,
    depth: u64,
    backend_depth: u64,
    message_count: u64,
    message_bytes: u64,
    paused: bool,
}

#[derive(Serialize)]
struct Channel<'a> {
    channel_name: &'a str,
    depth: u64,
    backend_depth: u64,
    in_flight_count: u64,
    deferred_count: u64,
    message_count: u64,
    requeue_count: u64,
    timeout_count: u64,
    client_count: usize,
    clients: Vec<Client>,
    paused: bool,
}

#[derive(Serialize)]
struct Client {
    /// The number of the connection.
    connection: u64,
    ready_count: u32,
    in_flight_count: u32,
    message_count: u64,
    finish_count: u64,
    requeue_count: u64,
}

impl<'a> From<&'a TopicStats> for Topic<'a> {
    fn from(stats: &'a TopicStats) -> Self {
        Self {
            topic_name: stats.name.as_str(),
            channels: stats.channels.iter().map(Channel::from).collect(),
            depth: stats.depth,
            backend_depth: stats.backend_depth,
            message_count: stats.message_count,
            message_bytes: stats.message_bytes,
            paused: stats.paused,
        }
    }
}

impl<'a> From<&'a ChannelStats> for Channel<'a> {
    fn from(stats: &'a ChannelStats) -> Self {
        Self {
            channel_name: stats.name.as_str(),
            depth: stats.depth,
            backend_depth: stats.backend_depth,
            in_flight_count: stats.in_flight_count,
            deferred_count: stats.deferred_count,
            message_count: stats.message_count,
            requeue_count: stats.requeue_count,
            timeout_count: stats.timeout_count,
            client_count: stats.client_count,
            clients: stats.consumers.iter().map(Client::from).collect(),
            paused: stats.paused,
        }
    }
}

impl From<&ConsumerStats> for Client {
    fn from(stats: &ConsumerStats) -> Self {
        Self {
            connection: stats.conn.0,
            ready_count: stats.ready_count,
            in_flight_count: stats.in_flight_count,
            message_count: stats.message_count,
            finish_count: stats.finish_count,
            requeue_count: stats.requeue_count,
        }
    }
}

/// The list of topics.
pub(crate) fn to_json(topics: &[TopicStats]) -> String {
    let topics: Vec<_> = topics.iter().map(Topic::from).collect();
    // Keys are text and nothing in it can fail.
    serde_json::to_string(&topics).unwrap_or_default()
}
