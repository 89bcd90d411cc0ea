//! What a session and a topic say to each other. A session turns bytes into [`Request`]s and answers into bytes; a topic
//! turns requests into answers and deliveries. Neither knows the other: a host, or the broker, carries these values.

use std::time::Duration;

use crate::message::{Batch, MessageId};
use crate::name::{ChannelName, TopicName};

/// Number a host gives a connection; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Number a session gives a request that is answered; rising within the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a session asks of the broker, in the order the commands came.
#[derive(Debug)]
pub enum Request {
    /// PUB, MPUB and DPUB; consecutive PUBs to one topic are one request. Answered by [`Answer::Published`].
    Publish {
        /// To match the answer.
        id: RequestId,
        /// Created if missing.
        topic: TopicName,
        /// Not yet stamped. Never empty.
        batches: Vec<Batch>,
    },
    /// SUB. The session reads on only when it is answered, by [`Answer::Subscribed`].
    Subscribe(Subscribe),
    /// A command on the subscription.
    Consumer(ConsumerCommand),
    /// The session waits, and its host changes both directions of the byte stream, then calls `Session::handle_upgraded`.
    Upgrade(Upgrade),
    /// AUTH: the session waits for the host to ask the auth server.
    Authorize {
        /// As sent. Never logged.
        secret: Vec<u8>,
    },
}

/// A subscription wanted.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// To match the answer.
    pub id: RequestId,
    /// Created if missing.
    pub topic: TopicName,
    /// Created if missing.
    pub channel: ChannelName,
    /// What IDENTIFY negotiated.
    pub options: ConsumerOptions,
}

/// What IDENTIFY negotiated about deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// Time to answer a message.
    pub msg_timeout: Duration,
    /// 0 for all messages; else about this many of 100 are delivered and the rest dropped.
    pub sample_rate: u8,
    /// As what its deliveries are counted. As in nsqd, who names no zone is in the zone of a node that names none.
    pub counted_as: Locality,
    /// As what it is served. Here nobody is near for naming no zone or region.
    pub served_as: Locality,
}

/// How near a consumer is. [`Config::topology_aware_consumption`](crate::config::Config::topology_aware_consumption)
/// is on, or all are [`Anywhere`](Self::Anywhere).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Locality {
    /// In our zone.
    Zone,
    /// In our region, in another zone.
    Region,
    /// Who knows.
    #[default]
    Anywhere,
}

impl Locality {
    /// How many there are.
    pub(crate) const COUNT: usize = 3;

    /// That of a consumer that shares these with us.
    pub fn of(zone: bool, region: bool) -> Self {
        match (zone, region) {
            (true, _) => Self::Zone,
            (false, true) => Self::Region,
            (false, false) => Self::Anywhere,
        }
    }
}

/// A command on a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerCommand {
    /// RDY: at most `count` messages in flight.
    Ready {
        /// 0..=max_rdy_count.
        count: u32,
    },
    /// FIN.
    Finish {
        /// The message.
        id: MessageId,
    },
    /// REQ.
    Requeue {
        /// The message.
        id: MessageId,
        /// 0..=max_req_timeout; zero puts it at the queue's tail at once.
        delay: Duration,
    },
    /// TOUCH.
    Touch {
        /// The message.
        id: MessageId,
        /// The client's msg_timeout, by its latest IDENTIFY.
        msg_timeout: Duration,
    },
    /// CLS: deliver nothing more.
    StartClose,
    /// The client's socket took `bytes` of bodies: the window (see [`WINDOW_BYTES`]) opens again by as much.
    Credit {
        /// Body bytes of deliveries written since the last credit.
        bytes: u64,
    },
}

/// A consumer is sent nothing more while this many body bytes wait to be written to it, so a slow reader holds one
/// window of messages, whatever its RDY.
pub const WINDOW_BYTES: i64 = 1024 * 1024;

/// A change to the byte stream below a session, or below a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// TLS.
    Tls,
    /// Snappy framing both ways.
    Snappy,
    /// Raw deflate both ways.
    Deflate {
        /// 1..=max_deflate_level.
        level: u8,
    },
}

/// What a topic answers a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Publish`].
    Published {
        /// The request.
        id: RequestId,
        /// Why not, if not.
        result: Result<(), PublishError>,
    },
    /// To [`Request::Subscribe`].
    Subscribed {
        /// The request.
        id: RequestId,
        /// Why not, if not.
        result: Result<(), SubscribeError>,
    },
    /// To a [`Request::Consumer`] that failed; success is silent.
    Refused {
        /// The command's verb.
        verb: ConsumerVerb,
        /// The message it named.
        id: MessageId,
        /// Why.
        why: RefusedWhy,
    },
    /// The channel or topic is gone: close the connection without a frame.
    Evicted,
}

/// The commands that can fail and leave the connection open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerVerb {
    /// FIN.
    Finish,
    /// REQ.
    Requeue,
    /// TOUCH.
    Touch,
}

/// Why FIN, REQ or TOUCH failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedWhy {
    /// Finished, requeued, timed out, or never there.
    #[error("ID not in flight")]
    NotInFlight,
    /// In flight to somebody else.
    #[error("client does not own message")]
    NotOwner,
    /// The channel is shutting down.
    #[error("exiting")]
    Exiting,
}

/// Why a publish failed; nothing of it counts as published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The topic is shutting down.
    #[error("exiting")]
    Exiting,
    /// The queue file could not be written. Clients are told why, and not where it is.
    #[error("{}", .0.reason())]
    Storage(#[from] crate::storage::StorageError),
}

/// Why a subscription failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The topic or channel is shutting down.
    #[error("exiting")]
    Exiting,
    /// `max_channel_consumers` reached.
    #[error("consumers for {topic}:{channel} exceeds limit of {limit}")]
    TooManyConsumers {
        /// The topic.
        topic: TopicName,
        /// The channel.
        channel: ChannelName,
        /// The limit.
        limit: usize,
    },
}
