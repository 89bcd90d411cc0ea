//! What can be seen of a run from outside of the brokers, message by message: the stuff that invariants are checked on and
//! life stories are made of. Nothing in here is told by the code that is being watched, but for [`Observation::Moved`] and
//! what comes and goes, which a topic says of itself.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::config::PublishAck;
use crate::message::MessageId;
use crate::name::{ChannelName, TopicName};
use crate::protocol::{ConnId, ConsumerVerb};
use crate::time::Instant;
use crate::topic::Moved;

use super::node::{Life, clock};
use super::world::World;

/// How closely a run is watched. The run itself is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// Every message is: [`Observation`]s are made and messages have life stories.
    #[default]
    Full,
    /// Only what costs next to nothing.
    Light,
}

/// Something seen. Nodes and clients are numbered in the order they were made; a place is a topic of a node, or a channel
/// of such a topic ([`Facts::place`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are what their names say.
pub enum Observation {
    /// A node's process started, with what its disk had.
    NodeStarted { node: u32, ack: PublishAck },
    /// It serves.
    NodeUp { node: u32 },
    /// It is ending as it was told to.
    NodeStopping { node: u32 },
    /// It has ended, everything on disk.
    NodeStopped { node: u32 },
    /// It was killed, and its disk lost what it may lose.
    NodeKilled { node: u32 },
    /// A topic or channel came to be.
    Created { place: u32 },
    /// It is gone, with its messages.
    Deleted { place: u32 },
    /// An operator threw its messages away.
    Emptied { place: u32 },
    /// An operator paused it, or let it go on.
    Paused { place: u32, paused: bool },
    /// A storage operation of a node failed.
    StorageFailed { node: u32 },
    /// A node took a connection.
    Connected { node: u32, conn: ConnId, client: u32 },
    /// The connection is over, as the node sees it.
    Disconnected { node: u32, conn: ConnId },
    /// A publish of messages `first..first + count` reached a node.
    Publish { node: u32, conn: ConnId, topic: u32, first: u64, count: u32, due: Option<Instant> },
    /// Its answer leaves the node, if `ok`; else there will be none.
    PublishAnswered { node: u32, conn: ConnId, first: u64, count: u32, ok: bool },
    /// A SUB reached a node. `msg_timeout` as the client asked for, if it did.
    Subscribe { node: u32, conn: ConnId, channel: u32, msg_timeout: Option<Duration>, sample_rate: u8 },
    /// An RDY reached a node.
    Ready { node: u32, conn: ConnId, count: u32 },
    /// A CLS reached a node.
    StartClose { node: u32, conn: ConnId },
    /// A FIN reached a node. `number` as far as it is known what message this is.
    Finish { node: u32, conn: ConnId, channel: u32, id: MessageId, number: Option<u64> },
    /// A REQ reached a node.
    Requeue { node: u32, conn: ConnId, channel: u32, id: MessageId, number: Option<u64>, delay: Duration },
    /// A TOUCH reached a node.
    Touch { node: u32, conn: ConnId, channel: u32, id: MessageId, number: Option<u64> },
    /// The node's refusal of one of the last three leaves it.
    Refused { node: u32, conn: ConnId, channel: u32, verb: ConsumerVerb, id: MessageId, number: Option<u64> },
    /// A message leaves a node.
    Delivered { node: u32, conn: ConnId, channel: u32, number: u64, id: MessageId, attempts: u16 },
    /// A message moved without a command, as the topic says.
    Moved { place: u32, how: Moved, number: u64, id: MessageId },
    /// A producer program sent a publish.
    Sent { client: u32, first: u64, count: u32 },
    /// It heard that it was accepted.
    Acked { client: u32, first: u64, count: u32 },
    /// It will not hear that.
    Unacked { client: u32, first: u64, count: u32 },
    /// A consumer program got a message.
    Received { client: u32, node: u32, number: u64, attempts: u16 },
    /// It sent FIN.
    Finished { client: u32, node: u32, number: u64 },
    /// It sent REQ.
    Requeued { client: u32, node: u32, number: u64 },
}

/// Watches a run: a model, say, that knows what must be.
pub trait Observer: fmt::Debug {
    /// Before what happened in a step is shown: places may be new.
    fn meet(&mut self, _facts: &Facts<'_>) {}
    /// Sees what happened in the step under way, in order.
    fn observe(&mut self, at: Instant, observation: &Observation);
    /// The step is over: what is wrong, if anything is. Nothing it does may depend on anything but what it was shown.
    fn after_step(&mut self, facts: &Facts<'_>) -> Result<(), String>;
    /// To be asked for more by who knows what it is.
    fn as_any(&self) -> &dyn Any;
    /// A copy, for snapshots and forks.
    fn clone_box(&self) -> Box<dyn Observer>;
}

impl Clone for Box<dyn Observer> {
    fn clone(&self) -> Self {
        self.clone_box()
    }
}

/// Counts of a channel, as its broker has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlaceCounts {
    /// Waiting; in the topic, for those.
    pub depth: u64,
    /// On their way to the disk, not waiting yet.
    pub appending: u64,
    /// With consumers.
    pub in_flight: u64,
    /// Waiting for their time.
    pub deferred: u64,
    /// Put in, in this life of the broker.
    pub messages: u64,
    /// Dropped or sampled out, in this life.
    pub dropped: u64,
}

/// What a node was told to be, as far as it matters for what must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Whether it serves.
    pub up: bool,
    /// When publishes are answered.
    pub ack: PublishAck,
    /// Time to answer a message.
    pub msg_timeout: Duration,
    /// As far as TOUCH can stretch that.
    pub max_msg_timeout: Duration,
    /// Messages in memory.
    pub mem_queue_size: usize,
}

/// The world between two steps, to be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a>(pub(super) &'a World);

impl<'a> Facts<'a> {
    /// The time.
    pub fn now(&self) -> Instant {
        self.0.now
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.0.steps
    }

    /// How many messages were made.
    pub fn messages(&self) -> u64 {
        self.0.next_number
    }

    /// The node, topic and, for a channel, channel of a place.
    pub fn place(&self, place: u32) -> Option<(u32, &'a TopicName, Option<&'a ChannelName>)> {
        let place = self.0.places.get(place)?;
        Some((place.node, &place.topic, place.channel.as_ref()))
    }

    /// The place of a topic of a node, if there ever was one.
    pub fn find_topic(&self, node: u32, topic: &TopicName) -> Option<u32> {
        self.0.places.find(node, topic, None)
    }

    /// How many places there are.
    pub fn place_count(&self) -> u32 {
        self.0.places.iter().count() as u32
    }

    /// What the broker counts of a place; `None` if it has no such place now.
    pub fn counts(&self, place: u32) -> Option<PlaceCounts> {
        let place = self.0.places.get(place)?;
        let topic = self.0.nodes[place.node as usize].broker.as_ref()?.topic(&place.topic)?;
        let stats = topic.stats(clock(self.0.now), place.channel.as_ref(), false);
        if place.channel.is_none() {
            let dropped = stats.dropped_count;
            return Some(PlaceCounts {
                depth: stats.depth,
                messages: stats.message_count,
                dropped,
                ..Default::default()
            });
        }
        let channel = stats.channels.first()?;
        Some(PlaceCounts {
            depth: channel.depth,
            appending: channel.appending_count,
            in_flight: channel.in_flight_count,
            deferred: channel.deferred_count,
            messages: channel.message_count,
            dropped: channel.dropped_count + channel.sampled_out_count,
        })
    }

    /// A node, if there is one of that number.
    pub fn node(&self, node: u32) -> Option<NodeFacts> {
        let node = self.0.nodes.get(node as usize)?;
        let config = node.options.config(0);
        Some(NodeFacts {
            up: node.life == Life::Up,
            ack: config.publish_ack,
            msg_timeout: config.msg_timeout,
            max_msg_timeout: config.max_msg_timeout,
            mem_queue_size: config.mem_queue_size,
        })
    }

    /// A client's name.
    pub fn client(&self, client: u32) -> Option<&'a str> {
        self.0.clients.get(client as usize).map(|client| client.name.as_str())
    }
}
