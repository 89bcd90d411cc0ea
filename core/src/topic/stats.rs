//! Counts of a topic, its channels and their consumers, as `/stats` shows them.

use crate::latency::Latency;
use crate::name::{ChannelName, TopicName};
use crate::protocol::ConnId;

/// A topic's counts. Counters are since it came to be in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStats {
    /// Its name.
    pub name: TopicName,
    /// Messages waiting in the topic itself, on disk included.
    pub depth: u64,
    /// Those on disk.
    pub backend_depth: u64,
    /// Messages published.
    pub message_count: u64,
    /// Their body bytes.
    pub message_bytes: u64,
    /// Messages dropped because an ephemeral topic's memory was full.
    pub dropped_count: u64,
    /// Whether fan-out is stopped.
    pub paused: bool,
    /// Time from publish to finish in all its channels. `None` if that is not measured, or there is no channel.
    pub latency: Option<Latency>,
    /// Channels by name.
    pub channels: Vec<ChannelStats>,
}

/// A channel's counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStats {
    /// Its name.
    pub name: ChannelName,
    /// Messages waiting, on disk included; not those in flight or deferred.
    pub depth: u64,
    /// Messages on their way to the disk, not waiting yet.
    pub appending_count: u64,
    /// Those on disk.
    pub backend_depth: u64,
    /// Messages with consumers.
    pub in_flight_count: u64,
    /// Messages waiting for their time.
    pub deferred_count: u64,
    /// Messages put in by the topic.
    pub message_count: u64,
    /// Deliveries to consumers.
    pub delivery_count: u64,
    /// Messages finished.
    pub finish_count: u64,
    /// Messages given back by REQ.
    pub requeue_count: u64,
    /// Messages taken back because their time was up.
    pub timeout_count: u64,
    /// Deliveries from memory to consumers in our zone.
    pub zone_local_count: u64,
    /// Deliveries from memory to other consumers in our region.
    pub region_local_count: u64,
    /// Deliveries from memory to others, or to all if nobody asks where they are.
    pub global_count: u64,
    /// Messages dropped because an ephemeral channel's memory was full.
    pub dropped_count: u64,
    /// Messages dropped by a consumer's sample rate.
    pub sampled_out_count: u64,
    /// Whether deliveries are stopped.
    pub paused: bool,
    /// Time from publish to finish. `None` if that is not measured.
    pub latency: Option<Latency>,
    /// Number of consumers, whether listed or not.
    pub client_count: usize,
    /// Consumers, if asked for.
    pub consumers: Vec<ConsumerStats>,
}

/// A consumer's counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerStats {
    /// Its connection.
    pub conn: ConnId,
    /// RDY.
    pub ready_count: u32,
    /// Messages it has.
    pub in_flight_count: u32,
    /// Deliveries to it.
    pub message_count: u64,
    /// Messages it finished.
    pub finish_count: u64,
    /// Messages it requeued.
    pub requeue_count: u64,
}
