//! What a client can be told, with the defaults of go-nsq (`config.go`) where it has the option. Values are taken as they
//! are; what they may be is checked where they come from.

use std::time::Duration;

/// Options of consumers and producers. Fields have the names of go-nsq's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long opening a connection may take.
    pub dial_timeout: Duration,
    /// Nothing heard for so long ends a connection, unless heartbeats are off.
    pub read_timeout: Duration,
    /// How long a write may take.
    pub write_timeout: Duration,
    /// Time between questions to nsqlookupd.
    pub lookupd_poll_interval: Duration,
    /// The first of these times is longer by up to this share of it, in thousandths.
    pub lookupd_poll_jitter_permille: u32,
    /// How long an nsqlookupd may take to answer.
    pub lookupd_poll_timeout: Duration,
    /// The longest delay of a requeue that names none.
    pub max_requeue_delay: Duration,
    /// The delay of a requeue that names none, for the first attempt; it grows with the attempts.
    pub default_requeue_delay: Duration,
    /// How delays grow in backoff.
    pub backoff_strategy: BackoffStrategy,
    /// The longest wait in backoff; zero turns backoff off.
    pub max_backoff_duration: Duration,
    /// Unit of the waits in backoff.
    pub backoff_multiplier: Duration,
    /// A message delivered more often is given up: finished, not handled. 0 is unlimited.
    pub max_attempts: u16,
    /// With fewer messages wanted than connections: a connection that brings nothing for so long passes its turn on.
    pub low_rdy_idle_timeout: Duration,
    /// With fewer messages wanted than connections: the longest turn of a connection.
    pub low_rdy_timeout: Duration,
    /// How often turns are looked at.
    pub rdy_redistribute_interval: Duration,
    /// What the broker shows of this client.
    pub client_id: String,
    /// The host it runs on.
    pub hostname: String,
    /// The program.
    pub user_agent: String,
    /// Where the client is, for brokers that deliver to near clients first.
    pub topology_region: String,
    /// Where in the region the client is.
    pub topology_zone: String,
    /// Time between the broker's heartbeats; `None` turns them off, which consumers may not.
    pub heartbeat_interval: Option<Duration>,
    /// Percentage of the messages that is wanted; 0 is all.
    pub sample_rate: u8,
    /// The broker's buffer for this connection, bytes; -1 for none, 0 for its default.
    pub output_buffer_size: i64,
    /// The longest time that buffer is kept, milliseconds; -1 for no limit, 0 for the broker's default.
    pub output_buffer_timeout_ms: i64,
    /// The most messages held at once, over all connections.
    pub max_in_flight: u32,
    /// How long the broker waits for a message to be finished; zero for its default.
    pub msg_timeout: Duration,
    /// Largest frame taken, bytes; 0 for [`FRAME_BYTES_MAX`](super::FRAME_BYTES_MAX).
    pub max_msg_size: usize,
    /// Sent with AUTH to brokers that require it.
    pub auth_secret: String,
    /// Demands TLS. A broker without it is not talked to.
    pub tls_v1: bool,
    /// Asks for deflate, both ways; not together with snappy.
    pub deflate: bool,
    /// How hard deflate tries, 1 to 9.
    pub deflate_level: u8,
    /// Asks for snappy, both ways.
    pub snappy: bool,
    /// How long a publish may wait for its answer, connecting included. Not an option of go-nsq, which waits for ever.
    pub confirm_timeout: Duration,
    /// Publishes that may wait for their answers.
    pub max_pending: usize,
    /// Bytes of publishes that may wait; the one that goes beyond is still taken.
    pub max_pending_bytes: usize,
}

/// How the waits of a consumer in backoff grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackoffStrategy {
    /// The multiplier times two to the level.
    Exponential,
    /// Anything from nothing to that.
    FullJitter,
}

impl Default for ClientOptions {
    fn default() -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        Self {
            dial_timeout: SECOND,
            read_timeout: 60 * SECOND,
            write_timeout: SECOND,
            lookupd_poll_interval: 60 * SECOND,
            lookupd_poll_jitter_permille: 300,
            lookupd_poll_timeout: 60 * SECOND,
            max_requeue_delay: 15 * 60 * SECOND,
            default_requeue_delay: 90 * SECOND,
            backoff_strategy: BackoffStrategy::Exponential,
            max_backoff_duration: 120 * SECOND,
            backoff_multiplier: SECOND,
            max_attempts: 5,
            low_rdy_idle_timeout: 10 * SECOND,
            low_rdy_timeout: 30 * SECOND,
            rdy_redistribute_interval: 5 * SECOND,
            client_id: String::new(),
            hostname: String::new(),
            user_agent: concat!("sansq/", env!("CARGO_PKG_VERSION")).to_owned(),
            topology_region: String::new(),
            topology_zone: String::new(),
            heartbeat_interval: Some(30 * SECOND),
            sample_rate: 0,
            output_buffer_size: 16 * 1024,
            output_buffer_timeout_ms: 250,
            max_in_flight: 1,
            msg_timeout: Duration::ZERO,
            max_msg_size: 0,
            auth_secret: String::new(),
            tls_v1: false,
            deflate: false,
            deflate_level: 6,
            snappy: false,
            confirm_timeout: 30 * SECOND,
            max_pending: 10_000,
            max_pending_bytes: 64 * 1024 * 1024,
        }
    }
}

impl ClientOptions {
    /// The delay of a requeue that names none, after `attempts` deliveries.
    pub fn requeue_delay(&self, attempts: u16) -> Duration {
        self.default_requeue_delay.saturating_mul(u32::from(attempts)).min(self.max_requeue_delay)
    }

    /// The body of IDENTIFY.
    pub(super) fn identity(&self) -> Vec<u8> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut identity = serde_json::json!({
            "client_id": self.client_id,
            "hostname": self.hostname,
            // What nsqd knew clients by before 1.0.
            "short_id": self.client_id,
            "long_id": self.hostname,
            "user_agent": self.user_agent,
            "feature_negotiation": true,
            "tls_v1": self.tls_v1,
            "snappy": self.snappy,
            "deflate": self.deflate,
            "sample_rate": self.sample_rate,
            "output_buffer_size": self.output_buffer_size,
            "output_buffer_timeout": self.output_buffer_timeout_ms,
            "msg_timeout": millis(self.msg_timeout),
            "topology_region": self.topology_region,
            "topology_zone": self.topology_zone,
        });
        identity["heartbeat_interval"] = match self.heartbeat_interval {
            Some(interval) => millis(interval).into(),
            None => (-1).into(),
        };
        if self.deflate {
            identity["deflate_level"] = self.deflate_level.into();
        }
        identity.to_string().into_bytes()
    }
}
