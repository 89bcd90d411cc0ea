//! What an operator can set, as far as the core needs it. Hosts fill it from flags and files; every value is valid.

use std::sync::Arc;
use std::time::Duration;

use crate::latency::Quantile;

/// When a publish is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishAck {
    /// As nsqd: once the message is in memory, or written to the queue file where memory is full.
    #[default]
    Accepted,
    /// Once it is written to a queue file. Survives the death of the process, not of the machine.
    Written,
    /// Once it is on disk (fsync, shared by all publishes that wait). Survives power loss.
    Synced,
}

/// Limits and defaults of a broker. Field names are nsqd's flags.
#[derive(Clone, Debug)]
pub struct Config {
    /// 0..1024, part of every message id.
    pub node_id: u16,
    /// Version told to clients.
    pub version: String,
    /// Messages in memory per topic and per channel; what exceeds it goes to the queue files.
    pub mem_queue_size: usize,
    /// Default time a consumer has to answer a message.
    pub msg_timeout: Duration,
    /// Longest `msg_timeout` a client may ask for, and the longest TOUCH can stretch one delivery.
    pub max_msg_timeout: Duration,
    /// Bytes of the largest message body.
    pub max_msg_size: usize,
    /// Bytes of the largest command body (IDENTIFY, AUTH, MPUB).
    pub max_body_size: usize,
    /// Longest deferral.
    pub max_req_timeout: Duration,
    /// Longest heartbeat interval a client may ask for.
    pub max_heartbeat_interval: Duration,
    /// Most messages in flight to one client.
    pub max_rdy_count: u32,
    /// Bounds of the output buffer a client may ask for, in bytes. Ours flushes as soon as nothing more is ready, so
    /// these are negotiated for compatibility and change nothing else.
    pub max_output_buffer_size: usize,
    /// Default of the negotiated output buffer timeout.
    pub output_buffer_timeout: Duration,
    /// Shortest output buffer timeout a client may ask for.
    pub min_output_buffer_timeout: Duration,
    /// Longest output buffer timeout a client may ask for.
    pub max_output_buffer_timeout: Duration,
    /// Most consumers per channel; 0 is no limit.
    pub max_channel_consumers: usize,
    /// Highest deflate level granted.
    pub max_deflate_level: i64,
    /// Time a new connection has to send its magic; zero for any time.
    pub magic_timeout: Duration,
    /// When a publish is answered.
    pub publish_ack: PublishAck,
    /// This node's region, told to clients.
    pub topology_region: String,
    /// This node's zone, told to clients.
    pub topology_zone: String,
    /// The experiment `topology-aware-consumption`: consumers in our zone are served first, then those in our region.
    pub topology_aware_consumption: bool,
    /// What to report of the time from publish to finish; none: it is not measured.
    pub e2e_processing_latency_percentiles: Arc<[Quantile]>,
    /// How far back those percentiles look.
    pub e2e_processing_latency_window_time: Duration,
    /// Whether topics tell of messages that move without a client's doing ([`Event::Moved`](crate::topic::Event::Moved)):
    /// for simulators and who wants to watch.
    pub tell_moves: bool,
}

impl Default for Config {
    /// nsqd's defaults.
    fn default() -> Self {
        Self {
            node_id: 0,
            version: crate::NSQ_VERSION.to_owned(),
            mem_queue_size: 10_000,
            msg_timeout: Duration::from_secs(60),
            max_msg_timeout: Duration::from_secs(15 * 60),
            max_msg_size: 1024 * 1024,
            max_body_size: 5 * 1024 * 1024,
            max_req_timeout: Duration::from_secs(3600),
            max_heartbeat_interval: Duration::from_secs(60),
            max_rdy_count: 2500,
            max_output_buffer_size: 64 * 1024,
            output_buffer_timeout: Duration::from_millis(250),
            min_output_buffer_timeout: Duration::from_millis(25),
            max_output_buffer_timeout: Duration::from_secs(30),
            max_channel_consumers: 0,
            max_deflate_level: 6,
            magic_timeout: Duration::from_secs(30),
            publish_ack: PublishAck::Accepted,
            topology_region: String::new(),
            topology_zone: String::new(),
            topology_aware_consumption: false,
            e2e_processing_latency_percentiles: Arc::default(),
            e2e_processing_latency_window_time: Duration::from_secs(600),
            tell_moves: false,
        }
    }
}
