//! What an nsqlookupd knows: topics, their channels, and the connections of the nsqds that have them.
//!
//! What holds:
//! - A channel belongs to a topic, and a producer of a channel is a producer of its topic.
//! - A producer is a connection: what it registered goes with it, and so do ephemeral topics and channels that nobody else
//!   has. Other topics and channels stay until they are deleted: their nsqd may be back in a moment.
//! - Names are valid: what cannot be a name cannot be found. There are no wildcards.
//! - Whether a producer is shown is decided when it is asked for. Nothing happens by itself, so there are no deadlines.
//!
//! Small: a registration is its number in one list, of a topic or a channel, and for topics the name's handle at its
//! producer. Tombstones stand apart, for there are few.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::wire::PeerInfo;
use crate::name::{ChannelName, TopicName};
use crate::protocol::ConnId;
use crate::time::Now;

/// How long what is known counts.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// A producer that was not heard of for longer is not shown.
    pub inactive_producer_timeout: Duration,
    /// A tombstone hides a producer for this long.
    pub tombstone_lifetime: Duration,
}

/// The registrations.
#[derive(Clone, Debug)]
pub struct Registry {
    lifetimes: Lifetimes,
    producers: BTreeMap<ConnId, Producer>,
    topics: BTreeMap<TopicName, Topic>,
    /// Topics that somebody deleted, and that are here only because an nsqd that still had them registered them again. When
    /// that deletes them, too, they go: a deletion of a topic reaches nsqlookupds and nsqds one after the other.
    revived: BTreeSet<TopicName>,
}

#[derive(Clone, Debug)]
struct Producer {
    info: Arc<PeerInfo>,
    /// When it identified itself or sent a PING last.
    heard: Now,
    topics: BTreeSet<TopicName>,
    /// Those that were deleted here while it had them, and that it has not given up since.
    struck: BTreeSet<TopicName>,
}

#[derive(Clone, Debug, Default)]
struct Topic {
    producers: Members,
    /// When a producer was marked.
    tombstones: BTreeMap<ConnId, Now>,
    channels: BTreeMap<ChannelName, Members>,
}

/// The producers of a topic or channel, in order of their numbers. Most have one, which takes no memory of its own.
#[derive(Clone, Debug, Default)]
enum Members {
    #[default]
    None,
    One(ConnId),
    Many(Vec<ConnId>),
}

impl Members {
    fn as_slice(&self) -> &[ConnId] {
        match self {
            Self::None => &[],
            Self::One(conn) => std::slice::from_ref(conn),
            Self::Many(conns) => conns,
        }
    }

    fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Enters `conn`; `false` if it was there.
    fn insert(&mut self, conn: ConnId) -> bool {
        let Err(at) = self.as_slice().binary_search(&conn) else { return false };
        match self {
            Self::None => *self = Self::One(conn),
            Self::One(other) => {
                let mut conns = vec![*other];
                conns.insert(at, conn);
                *self = Self::Many(conns);
            }
            Self::Many(conns) => conns.insert(at, conn),
        }
        true
    }

    /// Strikes `conn` out; `false` if it was not there.
    fn remove(&mut self, conn: ConnId) -> bool {
        let Ok(at) = self.as_slice().binary_search(&conn) else { return false };
        match self {
            Self::None | Self::One(_) => *self = Self::None,
            Self::Many(conns) => {
                conns.remove(at);
            }
        }
        true
    }
}

/// The answer to `/lookup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// All channels of the topic.
    pub channels: Vec<ChannelName>,
    /// Who is active and not hidden by a tombstone.
    pub producers: Vec<Arc<PeerInfo>>,
}

/// The answer to `/nodes`: active producers, hidden ones too.
pub type Nodes = Vec<(Arc<PeerInfo>, Vec<NodeTopic>)>;

/// A topic of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTopic {
    /// Its name.
    pub name: TopicName,
    /// Whether a tombstone hides the node from its consumers.
    pub tombstoned: bool,
}

/// A registration in `/debug`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // The fields are the JSON keys.
pub struct DebugEntry<'a> {
    pub broadcast_address: &'a str,
    pub hostname: &'a str,
    pub http_port: i64,
    pub id: &'a str,
    /// Nanoseconds since the Unix epoch.
    pub last_update: i64,
    pub tcp_port: i64,
    pub tombstoned: bool,
    /// Nanoseconds since the Unix epoch; Go's zero time, if never.
    pub tombstoned_at: i64,
    pub topology_region: &'a str,
    pub topology_zone: &'a str,
    pub version: &'a str,
}

/// What Go's zero time is in nanoseconds since the Unix epoch, wrapped.
const NEVER: i64 = -6_795_364_578_871_345_152;

impl Registry {
    /// Knows nothing yet.
    pub fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes, producers: BTreeMap::new(), topics: BTreeMap::new(), revived: BTreeSet::new() }
    }

    /// An nsqd has said who it is.
    pub fn identify(&mut self, now: Now, conn: ConnId, info: PeerInfo) {
        self.producers.insert(
            conn,
            Producer { info: Arc::new(info), heard: now, topics: BTreeSet::new(), struck: BTreeSet::new() },
        );
    }

    /// It is still there.
    pub fn ping(&mut self, now: Now, conn: ConnId) {
        if let Some(producer) = self.producers.get_mut(&conn) {
            producer.heard = now;
        }
    }

    /// It has the topic, and the channel if one is given. `true` if that was not known. A tombstone stays. Nothing is
    /// entered for a connection that has not identified itself.
    pub fn register(&mut self, conn: ConnId, topic: &TopicName, channel: Option<&ChannelName>) -> bool {
        let Some(producer) = self.producers.get_mut(&conn) else { return false };
        let has_it_still = producer.struck.contains(topic);
        if has_it_still && !self.topics.contains_key(topic) {
            self.revived.insert(topic.clone());
        } else if !has_it_still {
            self.revived.remove(topic);
        }
        // The names that are kept are those of the first who came with them.
        let entry = self.topics.entry(topic.clone());
        let name = entry.key().clone();
        let known = entry.or_default();
        let new_topic = known.producers.insert(conn);
        if new_topic {
            producer.topics.insert(name);
        }
        match channel {
            Some(channel) => known.channels.entry(channel.clone()).or_default().insert(conn),
            None => new_topic,
        }
    }

    /// It no longer has the channel, or without one, the topic and all its channels. `true` if it had.
    pub fn unregister(&mut self, conn: ConnId, topic: &TopicName, channel: Option<&ChannelName>) -> bool {
        let Some(channel) = channel else {
            let had = self.producers.get_mut(&conn).is_some_and(|producer| {
                producer.struck.remove(topic);
                producer.topics.remove(topic)
            });
            if had {
                self.leave(conn, topic);
            }
            let unused = self.topics.get(topic).is_none_or(|known| known.producers.is_empty());
            if had && unused && self.revived.remove(topic) {
                self.topics.remove(topic);
            }
            return had;
        };
        let Some(known) = self.topics.get_mut(topic) else { return false };
        let had = known.channels.get_mut(channel).is_some_and(|members| members.remove(conn));
        if had {
            known.drop_unused(channel);
        }
        had
    }

    /// The connection is gone, and all its registrations with it.
    pub fn disconnect(&mut self, conn: ConnId) {
        if let Some(producer) = self.producers.remove(&conn) {
            for topic in &producer.topics {
                self.leave(conn, topic);
            }
        }
    }

    fn leave(&mut self, conn: ConnId, name: &TopicName) {
        let Some(topic) = self.topics.get_mut(name) else { return };
        topic.tombstones.remove(&conn);
        topic.producers.remove(conn);
        topic
            .channels
            .retain(|channel, members| !members.remove(conn) || !members.is_empty() || !channel.is_ephemeral());
        if topic.producers.is_empty() && name.is_ephemeral() {
            self.topics.remove(name);
        }
    }

    /// Somebody wants the topic to be known.
    pub fn create_topic(&mut self, topic: &TopicName) {
        self.revived.remove(topic);
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.clone(), Topic::default());
        }
    }

    /// Somebody wants the channel to be known, and with it its topic.
    pub fn create_channel(&mut self, topic: &TopicName, channel: &ChannelName) {
        self.revived.remove(topic);
        self.topics.entry(topic.clone()).or_default().channels.entry(channel.clone()).or_default();
    }

    /// Forgets the topic with its channels; `false` if it is not known. Who has it keeps it, and may register it again.
    pub fn delete_topic(&mut self, topic: &TopicName) -> bool {
        let Some(known) = self.topics.remove(topic) else { return false };
        self.revived.remove(topic);
        for conn in known.producers.as_slice() {
            if let Some(producer) = self.producers.get_mut(conn) {
                producer.topics.remove(topic);
                producer.struck.insert(topic.clone());
            }
        }
        true
    }

    /// Forgets the channel; `false` if it is not known.
    pub fn delete_channel(&mut self, topic: &TopicName, channel: &ChannelName) -> bool {
        self.topics.get_mut(topic).is_some_and(|known| known.channels.remove(channel).is_some())
    }

    /// Hides `node` (see [`PeerInfo::node`]) from those who look `topic` up, for a while: how many producers that are.
    pub fn tombstone(&mut self, now: Now, topic: &TopicName, node: &str) -> usize {
        let Some(known) = self.topics.get_mut(topic) else { return 0 };
        let producers = &self.producers;
        let is_it = |conn: &&ConnId| producers.get(conn).is_some_and(|producer| producer.info.node() == node);
        let marked: Vec<ConnId> = known.producers.as_slice().iter().filter(is_it).copied().collect();
        known.tombstones.extend(marked.iter().map(|conn| (*conn, now)));
        marked.len()
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.topics.keys()
    }

    /// The channels of `topic`, by name; none if it is not known.
    pub fn channels(&self, topic: &TopicName) -> impl Iterator<Item = &ChannelName> {
        self.topics.get(topic).into_iter().flat_map(|topic| topic.channels.keys())
    }

    /// Who has `topic`; `None` if it is not known.
    pub fn lookup(&self, now: Now, topic: &TopicName) -> Option<Lookup> {
        let topic = self.topics.get(topic)?;
        let shown = |conn: &&ConnId| !self.is_tombstoned(now, topic, **conn);
        let active = |conn| self.producers.get(conn).filter(|producer| self.is_active(now, producer));
        Some(Lookup {
            channels: topic.channels.keys().cloned().collect(),
            producers: topic
                .producers
                .as_slice()
                .iter()
                .filter(shown)
                .filter_map(active)
                .map(|it| it.info.clone())
                .collect(),
        })
    }

    /// All that are active, in the order they came.
    pub fn nodes(&self, now: Now) -> Nodes {
        let active = self.producers.iter().filter(|(_, producer)| self.is_active(now, producer));
        let topic = |conn: ConnId, name: &TopicName| NodeTopic {
            name: name.clone(),
            tombstoned: self.topics.get(name).is_some_and(|topic| self.is_tombstoned(now, topic, conn)),
        };
        let node = |(conn, producer): (&ConnId, &Producer)| {
            (producer.info.clone(), producer.topics.iter().map(|name| topic(*conn, name)).collect())
        };
        active.map(node).collect()
    }

    /// Everything, as `/debug` shows it: `visit` gets the category, topic and channel of each key that has producers, and
    /// these.
    pub fn debug<'a>(&'a self, now: Now, mut visit: impl FnMut(&str, &str, &str, Vec<DebugEntry<'a>>)) {
        let entries = |members: &mut dyn Iterator<Item = &ConnId>, topic: Option<&Topic>| -> Vec<DebugEntry<'a>> {
            members.filter_map(|conn| self.debug_entry(now, *conn, topic)).collect()
        };
        for (name, topic) in &self.topics {
            for (channel, members) in topic.channels.iter().filter(|(_, members)| !members.is_empty()) {
                visit("channel", name.as_str(), channel.as_str(), entries(&mut members.as_slice().iter(), None));
            }
        }
        if !self.producers.is_empty() {
            visit("client", "", "", entries(&mut self.producers.keys(), None));
        }
        for (name, topic) in self.topics.iter().filter(|(_, topic)| !topic.producers.is_empty()) {
            visit("topic", name.as_str(), "", entries(&mut topic.producers.as_slice().iter(), Some(topic)));
        }
    }

    fn debug_entry(&self, now: Now, conn: ConnId, topic: Option<&Topic>) -> Option<DebugEntry<'_>> {
        let producer = self.producers.get(&conn)?;
        let info = &producer.info;
        let marked = topic.and_then(|topic| topic.tombstones.get(&conn));
        Some(DebugEntry {
            broadcast_address: &info.broadcast_address,
            hostname: &info.hostname,
            http_port: info.http_port,
            id: &info.remote_address,
            last_update: producer.heard.wall.as_nanos(),
            tcp_port: info.tcp_port,
            tombstoned: topic.is_some_and(|topic| self.is_tombstoned(now, topic, conn)),
            tombstoned_at: marked.map_or(NEVER, |marked| marked.wall.as_nanos()),
            topology_region: &info.topology_region,
            topology_zone: &info.topology_zone,
            version: &info.version,
        })
    }

    fn is_active(&self, now: Now, producer: &Producer) -> bool {
        now.mono.since(producer.heard.mono) <= self.lifetimes.inactive_producer_timeout
    }

    fn is_tombstoned(&self, now: Now, topic: &Topic, conn: ConnId) -> bool {
        let lifetime = self.lifetimes.tombstone_lifetime;
        topic.tombstones.get(&conn).is_some_and(|marked| now.mono.since(marked.mono) < lifetime)
    }
}

impl Topic {
    /// An ephemeral channel goes with its last producer.
    fn drop_unused(&mut self, channel: &ChannelName) {
        let unused = self.channels.get(channel).is_some_and(|members| members.is_empty());
        if unused && channel.is_ephemeral() {
            self.channels.remove(channel);
        }
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
