//! What nodes, producers, consumers, the network and disks can be told, with the values they have when they are told
//! nothing.

use std::time::Duration;

use crate::config::{Config, PublishAck};
use crate::storage::StoreOptions;

use super::values::{Key, Options, count, percent, rate, show_rate, show_time, time};

macro_rules! keys {
    ($($name:literal: $form:literal, $field:ident, $read:expr, $show:expr;)*) => {
        &[$(Key {
            name: $name,
            form: $form,
            set: |options, text| {
                options.$field = $read(text)?;
                Some(())
            },
            show: |options| $show(&options.$field),
        },)*]
    };
}

fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    T::try_from(count(text)?).ok()
}

fn plain<T: ToString>(value: &T) -> String {
    value.to_string()
}

fn duration(value: &Duration) -> String {
    show_time(*value)
}

fn percentage(value: &u8) -> String {
    format!("{value}%")
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn show_switch(value: &bool) -> String {
    if *value { "on" } else { "off" }.to_owned()
}

/// What a node can be told.
#[derive(Clone, Debug)]
pub(super) struct NodeOptions {
    mem_queue_size: usize,
    msg_timeout: Duration,
    max_msg_timeout: Duration,
    max_rdy_count: u32,
    max_msg_size: usize,
    publish_ack: PublishAck,
    sync_every: u64,
    sync_timeout: Duration,
    max_bytes_per_file: u64,
    pub(super) disk_latency: Duration,
    /// `None`: any number of bytes.
    pub(super) disk_size: Option<u64>,
    pub(super) disk_errors: u8,
}

impl Default for NodeOptions {
    fn default() -> Self {
        let (config, store) = (Config::default(), StoreOptions::default());
        Self {
            mem_queue_size: config.mem_queue_size,
            msg_timeout: config.msg_timeout,
            max_msg_timeout: config.max_msg_timeout,
            max_rdy_count: config.max_rdy_count,
            max_msg_size: config.max_msg_size,
            publish_ack: config.publish_ack,
            sync_every: store.sync_every,
            sync_timeout: store.sync_timeout,
            max_bytes_per_file: 1024 * 1024,
            disk_latency: Duration::from_micros(100),
            disk_size: None,
            disk_errors: 0,
        }
    }
}

fn acknowledgement(text: &str) -> Option<PublishAck> {
    match text {
        "accepted" => Some(PublishAck::Accepted),
        "written" => Some(PublishAck::Written),
        "synced" => Some(PublishAck::Synced),
        _ => None,
    }
}

fn show_acknowledgement(ack: &PublishAck) -> String {
    let name = match ack {
        PublishAck::Accepted => "accepted",
        PublishAck::Written => "written",
        PublishAck::Synced => "synced",
    };
    name.to_owned()
}

fn size(text: &str) -> Option<Option<u64>> {
    if text == "unlimited" { Some(None) } else { count(text).map(Some) }
}

fn show_size(size: &Option<u64>) -> String {
    size.map_or("unlimited".to_owned(), |bytes| bytes.to_string())
}

impl Options for NodeOptions {
    const KEYS: &'static [Key<Self>] = keys! {
        "mem-queue-size": "a number of messages", mem_queue_size, number, plain;
        "msg-timeout": "a time, such as 60s", msg_timeout, time, duration;
        "max-msg-timeout": "a time, such as 15m", max_msg_timeout, time, duration;
        "max-rdy-count": "a number", max_rdy_count, number, plain;
        "max-msg-size": "a number of bytes", max_msg_size, number, plain;
        "publish-ack": "accepted, written or synced", publish_ack, acknowledgement, show_acknowledgement;
        "sync-every": "a number of messages", sync_every, number, plain;
        "sync-timeout": "a time, such as 2s", sync_timeout, time, duration;
        "max-bytes-per-file": "a number of bytes", max_bytes_per_file, number, plain;
        "disk-latency": "a time, such as 5ms", disk_latency, time, duration;
        "disk-size": "a number of bytes, or unlimited", disk_size, size, show_size;
        "disk-errors": "a percentage of operations", disk_errors, percent, percentage;
    };
}

impl NodeOptions {
    /// The broker's part. `index` of the node among all, for its message ids.
    pub(super) fn config(&self, index: usize) -> Config {
        Config {
            node_id: (index % 1024) as u16,
            mem_queue_size: self.mem_queue_size,
            msg_timeout: self.msg_timeout,
            max_msg_timeout: self.max_msg_timeout.max(self.msg_timeout),
            max_rdy_count: self.max_rdy_count,
            max_msg_size: self.max_msg_size,
            max_body_size: Config::default().max_body_size.max(self.max_msg_size),
            publish_ack: self.publish_ack,
            tell_moves: true,
            ..Config::default()
        }
    }

    /// The store's part.
    pub(super) fn store(&self) -> StoreOptions {
        StoreOptions {
            max_bytes_per_file: self.max_bytes_per_file,
            sync_every: self.sync_every.max(1),
            sync_timeout: self.sync_timeout,
        }
    }
}

/// What a producer can be told.
#[derive(Clone, Debug)]
pub(super) struct ProducerOptions {
    pub(super) topic: String,
    /// A node's name, or `*`: all, in turn.
    pub(super) node: String,
    /// Time between two messages; zero: only what it is told to publish.
    pub(super) every: Duration,
    pub(super) size: u32,
    pub(super) batch: u32,
    pub(super) defer: Duration,
    /// Whether a batch waits for the answer to the one before.
    pub(super) waits: bool,
    /// Batches under way at most, if it does not wait.
    pub(super) window: u32,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            topic: String::new(),
            node: "*".to_owned(),
            every: Duration::ZERO,
            size: 32,
            batch: 1,
            defer: Duration::ZERO,
            waits: true,
            window: 64,
        }
    }
}

fn waits(text: &str) -> Option<bool> {
    match text {
        "wait" => Some(true),
        "pipeline" => Some(false),
        _ => None,
    }
}

impl Options for ProducerOptions {
    const KEYS: &'static [Key<Self>] = keys! {
        "topic": "a topic's name", topic, text, String::clone;
        "node": "a node's name, or * for all in turn", node, text, String::clone;
        "rate": "messages a second, such as 100/s", every, rate, |every: &Duration| show_rate(*every);
        "size": "a number of bytes", size, number, plain;
        "batch": "a number of messages, 1 or more", batch, |text| number(text).filter(|&n: &u32| n > 0), plain;
        "defer": "a time, such as 10s", defer, time, duration;
        "ack": "wait or pipeline", waits, waits, |waits: &bool| if *waits { "wait" } else { "pipeline" }.to_owned();
        "window": "a number of batches, 1 or more", window, |text| number(text).filter(|&n: &u32| n > 0), plain;
    };
}

/// What a consumer can be told.
#[derive(Clone, Debug)]
pub(super) struct ConsumerOptions {
    pub(super) topic: String,
    pub(super) channel: String,
    pub(super) node: String,
    pub(super) max_in_flight: u32,
    /// Messages handled at a time.
    pub(super) concurrency: u32,
    pub(super) handler: Duration,
    /// Handling takes up to this much longer.
    pub(super) jitter: Duration,
    pub(super) fail: u8,
    /// Messages never answered.
    pub(super) timeout: u8,
    /// `None`: as the client library has it.
    pub(super) requeue_delay: Option<Duration>,
    /// Zero: never.
    pub(super) touch: Duration,
    /// Zero: any number.
    pub(super) max_attempts: u16,
    pub(super) backoff: bool,
    /// Zero: the node's.
    pub(super) msg_timeout: Duration,
    pub(super) sample_rate: u8,
    /// Messages with this in them fail.
    pub(super) poison: String,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            topic: String::new(),
            channel: String::new(),
            node: "*".to_owned(),
            max_in_flight: 1,
            concurrency: 1,
            handler: Duration::ZERO,
            jitter: Duration::ZERO,
            fail: 0,
            timeout: 0,
            requeue_delay: None,
            touch: Duration::ZERO,
            max_attempts: 5,
            backoff: true,
            msg_timeout: Duration::ZERO,
            sample_rate: 0,
            poison: String::new(),
        }
    }
}

impl ConsumerOptions {
    /// What the library and the node are told once, when a connection begins.
    pub(super) fn connection(&self) -> impl PartialEq {
        let names = (self.node.clone(), self.topic.clone(), self.channel.clone());
        (names, self.msg_timeout, self.sample_rate, self.max_attempts, self.backoff)
    }
}

fn delay(text: &str) -> Option<Option<Duration>> {
    if text == "default" { Some(None) } else { time(text).map(Some) }
}

fn show_delay(delay: &Option<Duration>) -> String {
    delay.map_or("default".to_owned(), show_time)
}

impl Options for ConsumerOptions {
    const KEYS: &'static [Key<Self>] = keys! {
        "topic": "a topic's name", topic, text, String::clone;
        "channel": "a channel's name", channel, text, String::clone;
        "node": "a node's name, or * for all", node, text, String::clone;
        "max-in-flight": "a number of messages", max_in_flight, number, plain;
        "concurrency": "a number of messages, 1 or more", concurrency, |text| number(text).filter(|&n: &u32| n > 0), plain;
        "handler": "a time, such as 20ms", handler, time, duration;
        "jitter": "a time, such as 5ms", jitter, time, duration;
        "fail": "a percentage of messages", fail, percent, percentage;
        "timeout": "a percentage of messages", timeout, percent, percentage;
        "requeue-delay": "a time, such as 1s, or default", requeue_delay, delay, show_delay;
        "touch": "a time, such as 10s, or 0 for never", touch, time, duration;
        "max-attempts": "a number, 0 for any", max_attempts, number, plain;
        "backoff": "on or off", backoff, switch, show_switch;
        "msg-timeout": "a time, such as 10s, or 0 for the node's", msg_timeout, time, duration;
        "sample-rate": "a percentage of messages below 100, 0 for all", sample_rate, |text| percent(text).filter(|&n| n < 100), percentage;
        "poison": "a text to look for", poison, text, String::clone;
    };
}

/// What one `publish` can be told.
#[derive(Clone, Debug)]
pub(super) struct PublishOptions {
    pub(super) count: u32,
    /// `None`: the producer's.
    pub(super) size: Option<u32>,
    pub(super) defer: Option<Duration>,
    pub(super) body: String,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self { count: 1, size: None, defer: None, body: String::new() }
    }
}

fn show_option(value: &Option<u32>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

impl Options for PublishOptions {
    const KEYS: &'static [Key<Self>] = keys! {
        "count": "a number of messages, 1 or more", count, |text| number(text).filter(|&n: &u32| n > 0), plain;
        "size": "a number of bytes", size, |text| number(text).map(Some), show_option;
        "defer": "a time, such as 10s", defer, |text| time(text).map(Some), show_delay;
        "body": "a text", body, text, String::clone;
    };
}

/// What the network, or one wire, can be told.
#[derive(Clone, Debug)]
pub(super) struct NetworkOptions {
    pub(super) latency: Duration,
    /// Each chunk takes up to this much longer.
    pub(super) jitter: Duration,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self { latency: Duration::from_micros(200), jitter: Duration::from_micros(50) }
    }
}

impl Options for NetworkOptions {
    const KEYS: &'static [Key<Self>] = keys! {
        "latency": "a time, such as 50ms", latency, time, duration;
        "jitter": "a time, such as 5ms", jitter, time, duration;
    };
}

/// What a disk can be told while it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct DiskOptions {
    pub(super) latency: Option<Duration>,
    pub(super) errors: Option<u8>,
}

fn show_percent(value: &Option<u8>) -> String {
    value.map_or(String::new(), |value| percentage(&value))
}

impl Options for DiskOptions {
    const KEYS: &'static [Key<Self>] = keys! {
        "latency": "a time, such as 50ms", latency, |text| time(text).map(Some), show_delay;
        "errors": "a percentage of operations", errors, |text| percent(text).map(Some), show_percent;
    };
}
