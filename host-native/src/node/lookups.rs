//! What a node has to do with nsqlookupds, whoever speaks to them: it tells what topics and channels come and go, and asks
//! which channels a new topic has elsewhere.
//!
//! A topic that is being asked about is [held](sansq_core::topic::Topic::handle_hold): publishes are answered as ever, and
//! what they bring waits in the topic for the channels to be known, at most for as long as [`Lookups`] says.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use sansq_core::cluster::join;
use sansq_core::lookup::{Registration, ServerAddress, Verb};
use sansq_core::name::{ChannelName, TopicName};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, broadcast};
use tokio::time::{Instant, timeout_at};

use super::{Node, TopicCell};
use crate::client::http::HttpClient;

/// Changes that may wait for the slowest nsqlookupd. One that lags behind more is told everything anew.
const CHANGES_MAX: usize = 1024;
/// Topics that are asked about at a time.
const ASKING_MAX: usize = 32;
/// When one nsqlookupd has answered, the others are given this long before the topic goes on without them.
const GRACE: Duration = Duration::from_secs(1);

/// A topic or channel came or went. What is true now is looked up when it is passed on: changes may overtake each other.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    topic: TopicName,
    channel: Option<ChannelName>,
    gone: bool,
}

impl Change {
    pub(crate) fn topic(&self) -> &TopicName {
        &self.topic
    }
}

/// The nsqlookupds of a node.
pub(crate) struct Lookups {
    changes: broadcast::Sender<Change>,
    /// Those that are connected and told where to ask them, by the address they are registered with.
    servers: Mutex<BTreeMap<String, ServerAddress>>,
    asking: OnceLock<Asking>,
}

struct Asking {
    client: HttpClient,
    runtime: Handle,
    permits: Semaphore,
}

impl Default for Lookups {
    fn default() -> Self {
        Self { changes: broadcast::channel(CHANGES_MAX).0, servers: Mutex::default(), asking: OnceLock::new() }
    }
}

impl Lookups {
    /// From now on new topics are asked about, with `client`, on the runtime that this is called on.
    pub(crate) fn begin(&self, client: HttpClient) {
        let runtime = Handle::current();
        // A second call changes nothing.
        _ = self.asking.set(Asking { client, runtime, permits: Semaphore::new(ASKING_MAX) });
    }

    /// The nsqlookupd registered with as `peer` can be asked at `server`; `None` if it cannot any more.
    pub(crate) fn set_server(&self, peer: &str, server: Option<ServerAddress>) {
        let mut servers = self.servers.lock();
        match server {
            Some(server) => _ = servers.insert(peer.to_owned(), server),
            None => _ = servers.remove(peer),
        }
    }

    /// What changes from now on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    pub(super) fn came(&self, topic: &TopicName, channel: Option<&ChannelName>) {
        self.tell(topic, channel, false);
    }

    pub(super) fn went(&self, topic: &TopicName, channel: Option<&ChannelName>) {
        self.tell(topic, channel, true);
    }

    fn tell(&self, topic: &TopicName, channel: Option<&ChannelName>, gone: bool) {
        // An error means that nobody listens.
        _ = self.changes.send(Change { topic: topic.clone(), channel: channel.cloned(), gone });
    }
}

impl Node {
    /// Everything there is to register.
    pub(crate) fn registrations(&self) -> Vec<Registration> {
        self.topics().iter().flat_map(|cell| registrations_of(cell)).collect()
    }

    /// How many messages each topic got so far.
    pub(crate) fn published(&self) -> BTreeMap<TopicName, u64> {
        self.topics().iter().map(|cell| cell.view(|topic| (topic.name().clone(), topic.message_count()))).collect()
    }

    /// The same of one topic; `None` if it is gone.
    pub(crate) fn published_to(&self, topic: &TopicName) -> Option<u64> {
        self.topic(topic).map(|cell| cell.view(|topic| topic.message_count()))
    }

    /// What there is to register of one topic; nothing if it is gone.
    pub(crate) fn registrations_of_topic(&self, topic: &TopicName) -> Vec<Registration> {
        self.topic(topic).map(|cell| registrations_of(&cell)).unwrap_or_default()
    }

    /// What to say of `change`: that it is gone, if it went; and what there is now.
    pub(crate) fn registrations_after(&self, change: Change) -> Vec<Registration> {
        let Change { topic, channel, gone } = change;
        let mut said = Vec::new();
        if gone {
            said.push(Registration { verb: Verb::Unregister, topic: topic.clone(), channel: channel.clone() });
        }
        let Some(cell) = self.topic(&topic) else { return said };
        match channel {
            Some(channel) if !cell.view(|topic| topic.has_channel(&channel)) => {}
            Some(channel) => said.push(Registration { verb: Verb::Register, topic, channel: Some(channel) }),
            // With the old topic, its namesake's channels were struck out, too.
            None if gone => said.extend(registrations_of(&cell)),
            None => said.push(Registration { verb: Verb::Register, topic, channel: None }),
        }
        said
    }

    /// Whom to ask about a new topic. If there is anybody, the topic is to be held.
    pub(super) fn servers_to_ask(&self) -> Vec<ServerAddress> {
        match self.lookups.asking.get() {
            Some(_) => self.lookups.servers.lock().values().cloned().collect(),
            None => Vec::new(),
        }
    }

    /// Asks `servers` which channels the topic, which is held, should have, creates them and lets it go on.
    pub(super) fn find_channels(self: &Arc<Self>, cell: Arc<TopicCell>, servers: Vec<ServerAddress>) {
        let Some(asking) = self.lookups.asking.get() else { return };
        let hold = Hold { node: self.clone(), cell };
        asking.runtime.spawn(async move {
            let node = hold.node.clone();
            if let Some(Asking { client, permits, .. }) = node.lookups.asking.get() {
                // The semaphore is never closed.
                let _permit = permits.acquire().await;
                hold.find_channels(client, servers).await;
            }
        });
    }
}

/// A channel-less topic is registered by itself, any other with each of its channels.
fn registrations_of(cell: &TopicCell) -> Vec<Registration> {
    cell.view(|topic| {
        let name = topic.name();
        let register = |channel| Registration { verb: Verb::Register, topic: name.clone(), channel };
        let mut found: Vec<_> = topic.channels().map(|(channel, _)| register(Some(channel.clone()))).collect();
        if found.is_empty() {
            found.push(register(None));
        }
        found
    })
}

/// A held topic, which goes on when this is dropped, whatever happens.
struct Hold {
    node: Arc<Node>,
    cell: Arc<TopicCell>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.node.step(&self.cell, |topic, now| topic.handle_hold(now, false));
    }
}

impl Hold {
    async fn find_channels(self, client: &HttpClient, servers: Vec<ServerAddress>) {
        let (node, cell) = (self.node.clone(), self.cell.clone());
        let topic = cell.view(|topic| topic.name().clone());
        let mut answers: FuturesUnordered<_> = servers.iter().map(|server| ask(client, server, &topic)).collect();
        let mut hold = Some(self);
        let mut deadline = None;
        loop {
            let next = match deadline {
                Some(at) if hold.is_some() => timeout_at(at, answers.next()).await,
                _ => Ok(answers.next().await),
            };
            match next {
                Ok(Some(Ok(channels))) => {
                    node.step(&cell, |topic, now| {
                        for channel in &channels {
                            topic.handle_create_channel(now, channel);
                        }
                    });
                    deadline.get_or_insert(Instant::now() + GRACE);
                }
                Ok(Some(Err(error))) => tracing::warn!("TOPIC({topic}): failed to ask for its channels - {error}"),
                Ok(None) => break,
                Err(_) => {
                    tracing::warn!("TOPIC({topic}): goes on without the channels of a slow nsqlookupd");
                    hold = None;
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Channels {
    channels: Vec<String>,
}

/// The channels of `topic` that `server` knows, without ephemeral ones: their consumers are elsewhere. The error is for
/// people.
async fn ask(client: &HttpClient, server: &ServerAddress, topic: &TopicName) -> Result<Vec<ChannelName>, String> {
    let at = join(&server.broadcast_address, server.http_port);
    let url = format!("http://{at}/channels?topic={}", topic.as_str().replace('#', "%23"));
    let answer = client.get(&url, &[]).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("{url}: {}", answer.status));
    }
    let found: Channels = serde_json::from_slice(&answer.body).map_err(|error| format!("{url}: {error}"))?;
    let names = found.channels.iter().filter_map(|name| ChannelName::parse(name).ok());
    Ok(names.filter(|name| !name.is_ephemeral()).collect())
}
