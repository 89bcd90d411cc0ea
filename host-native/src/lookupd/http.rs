//! The HTTP API of nsqlookupd, in the reference's words (`nsqlookupd/http.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};
use sansq_core::lookup::{DebugEntry, Lookup, PeerInfo};
use sansq_core::name::{ChannelName, TopicName};
use serde::Serialize;

use super::State;
use crate::config::NSQ_VERSION;
use crate::http::endpoints::DebugPage;
use crate::http::gate::Gate;
use crate::http::query::Query;
use crate::http::respond::Decoration::{Plain, Raw, V1};
use crate::http::respond::{Answer, Failure, Outcome, Reply};
use crate::http::routing::{Route, quiet, route};
use crate::http::{Call, Peer, Request, Service, debug, refused};

/// Bytes of a request's body, of which none has a use, that are read.
const BODY_BYTES_MAX: usize = 1024 * 1024;

const MISSING_ARG_TOPIC: Failure = Failure::bad("MISSING_ARG_TOPIC");
const INVALID_ARG_TOPIC: Failure = Failure::bad("INVALID_ARG_TOPIC");
const TOPIC_NOT_FOUND: Failure = Failure::new(StatusCode::NOT_FOUND, "TOPIC_NOT_FOUND");
const CHANNEL_NOT_FOUND: Failure = Failure::new(StatusCode::NOT_FOUND, "CHANNEL_NOT_FOUND");

/// What can be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint {
    Ping,
    Info,
    Topics,
    Channels,
    Lookup,
    Nodes,
    Debug,
    CreateTopic,
    DeleteTopic,
    CreateChannel,
    DeleteChannel,
    Tombstone,
    Process(DebugPage),
}

static ROUTES: &[Route<Endpoint>] = &[
    route(Method::GET, "/ping", Endpoint::Ping, Plain),
    route(Method::GET, "/info", Endpoint::Info, V1),
    route(Method::GET, "/topics", Endpoint::Topics, V1),
    route(Method::GET, "/channels", Endpoint::Channels, V1),
    route(Method::GET, "/lookup", Endpoint::Lookup, V1),
    route(Method::GET, "/nodes", Endpoint::Nodes, V1),
    route(Method::GET, "/debug", Endpoint::Debug, V1),
    route(Method::POST, "/topic/create", Endpoint::CreateTopic, V1),
    route(Method::POST, "/topic/delete", Endpoint::DeleteTopic, V1),
    route(Method::POST, "/channel/create", Endpoint::CreateChannel, V1),
    route(Method::POST, "/channel/delete", Endpoint::DeleteChannel, V1),
    route(Method::POST, "/topic/tombstone", Endpoint::Tombstone, V1),
    quiet(Method::GET, "/debug/pprof", Endpoint::Process(DebugPage::Index), Raw),
    quiet(Method::GET, "/debug/pprof/cmdline", Endpoint::Process(DebugPage::CommandLine), Raw),
    quiet(Method::GET, "/debug/pprof/symbol", Endpoint::Process(DebugPage::Symbol), Raw),
    quiet(Method::POST, "/debug/pprof/symbol", Endpoint::Process(DebugPage::Symbol), Raw),
    quiet(Method::GET, "/debug/pprof/profile", Endpoint::Process(DebugPage::Profile), Raw),
    quiet(Method::GET, "/debug/pprof/heap", Endpoint::Process(DebugPage::Heap), Raw),
    quiet(Method::GET, "/debug/pprof/goroutine", Endpoint::Process(DebugPage::Goroutine), Raw),
    quiet(Method::GET, "/debug/pprof/block", Endpoint::Process(DebugPage::Block), Raw),
    quiet(Method::GET, "/debug/pprof/threadcreate", Endpoint::Process(DebugPage::ThreadCreate), Raw),
];

/// The API.
pub(super) struct Api {
    pub(super) state: Arc<State>,
    /// Who is let in.
    pub(super) gate: Gate,
}

impl Service for Api {
    type Endpoint = Endpoint;

    fn routes(&self) -> &[Route<Endpoint>] {
        ROUTES
    }

    fn refusal(&self, peer: &Peer, request: Request<'_>) -> Option<Answer> {
        self.gate.check_change(request).err().map(|failure| refused(peer, request, failure))
    }

    fn discarded_bytes_max(&self) -> usize {
        BODY_BYTES_MAX
    }

    fn finish(&self, headers: &HeaderMap, answer: Answer) -> Answer {
        self.gate.tell_allowed(headers, answer)
    }

    async fn call(self: Arc<Self>, endpoint: Endpoint, call: Call<'_>) -> Outcome {
        let query = call.query;
        match endpoint {
            Endpoint::Ping => Ok(Reply::OK),
            Endpoint::Info => Reply::json(&BTreeMap::from([("version", NSQ_VERSION)])),
            Endpoint::Topics => {
                let topics: Vec<TopicName> = self.state.registry.read().topics().cloned().collect();
                Reply::json(&BTreeMap::from([("topics", topics)]))
            }
            Endpoint::Channels => {
                let topic = possible_topic(&Query::of(query)?)?;
                let registry = self.state.registry.read();
                let channels: Vec<ChannelName> = topic.iter().flat_map(|it| registry.channels(it)).cloned().collect();
                drop(registry);
                Reply::json(&BTreeMap::from([("channels", channels)]))
            }
            Endpoint::Lookup => self.lookup(&Query::of(query)?),
            Endpoint::Nodes => self.nodes(),
            Endpoint::Debug => self.debug().await,
            Endpoint::CreateTopic => {
                let topic = topic_of(&Query::of(query)?)?;
                self.state.registry.write().create_topic(&topic);
                Ok(Reply::Empty)
            }
            Endpoint::DeleteTopic => {
                let topic = topic_of(&Query::of(query)?)?;
                self.state.registry.write().delete_topic(&topic);
                Ok(Reply::Empty)
            }
            Endpoint::CreateChannel => {
                let (topic, channel) = channel_of(&Query::of(query)?)?;
                self.state.registry.write().create_channel(&topic, &channel);
                Ok(Reply::Empty)
            }
            Endpoint::DeleteChannel => {
                let (topic, channel) = channel_of(&Query::of(query)?)?;
                let found = self.state.registry.write().delete_channel(&topic, &channel);
                if found { Ok(Reply::Empty) } else { Err(CHANNEL_NOT_FOUND) }
            }
            Endpoint::Tombstone => self.tombstone(&Query::of(query)?),
            Endpoint::Process(page) => debug::page(page, query, move |_| self.holdings()).await,
        }
    }
}

/// What `/lookup` answers.
#[derive(Serialize)]
struct Found<'a> {
    channels: &'a [ChannelName],
    producers: Vec<&'a PeerInfo>,
}

/// What `/nodes` says of one.
#[derive(Serialize)]
struct Node<'a> {
    #[serde(flatten)]
    info: &'a PeerInfo,
    tombstones: Vec<bool>,
    topics: Vec<&'a TopicName>,
}

impl Api {
    fn lookup(&self, query: &Query) -> Outcome {
        let topic = possible_topic(query)?.ok_or(TOPIC_NOT_FOUND)?;
        let found = self.state.registry.read().lookup(self.state.clock.now(), &topic);
        let Lookup { channels, producers } = found.ok_or(TOPIC_NOT_FOUND)?;
        Reply::json(&Found { channels: &channels, producers: producers.iter().map(AsRef::as_ref).collect() })
    }

    fn nodes(&self) -> Outcome {
        let nodes = self.state.registry.read().nodes(self.state.clock.now());
        let shown = nodes.iter().map(|(info, topics)| Node {
            info,
            tombstones: topics.iter().map(|topic| topic.tombstoned).collect(),
            topics: topics.iter().map(|topic| &topic.name).collect(),
        });
        Reply::json(&BTreeMap::from([("producers", shown.collect::<Vec<_>>())]))
    }

    /// `GET /debug`: everything there is, which may take a while to write and holds registrations up meanwhile.
    async fn debug(self: Arc<Self>) -> Outcome {
        let written = tokio::task::spawn_blocking(move || {
            let registry = self.state.registry.read();
            let mut keys: BTreeMap<String, Vec<DebugEntry<'_>>> = BTreeMap::new();
            registry.debug(self.state.clock.now(), |category, key, subkey, entries| {
                keys.insert(format!("{category}:{key}:{subkey}"), entries);
            });
            Reply::json(&keys)
        });
        written.await.unwrap_or(Err(Failure::INTERNAL))
    }

    fn tombstone(&self, query: &Query) -> Outcome {
        let topic = topic_of(query)?;
        let node = query.get("node").ok_or(Failure::bad("MISSING_ARG_NODE"))?;
        let node = String::from_utf8_lossy(node);
        let marked = self.state.registry.write().tombstone(self.state.clock.now(), &topic, &node);
        tracing::info!("DB: setting tombstone for {node} of topic({topic}), producers found: {marked}");
        Ok(Reply::Empty)
    }

    fn holdings(&self) -> String {
        let registry = self.state.registry.read();
        let topics = registry.topics().count();
        let channels: usize = registry.topics().map(|topic| registry.channels(topic).count()).sum();
        format!("topics:   {topics}\nchannels: {channels}\n")
    }
}

/// The topic named, or nothing for a name that cannot be one: it is merely one that nobody has.
fn possible_topic(query: &Query) -> Result<Option<TopicName>, Failure> {
    let name = query.get("topic").ok_or(MISSING_ARG_TOPIC)?;
    Ok(TopicName::parse(name).ok())
}

/// The topic named, which must be one.
fn topic_of(query: &Query) -> Result<TopicName, Failure> {
    possible_topic(query)?.ok_or(INVALID_ARG_TOPIC)
}

/// The channel named, and its topic.
fn channel_of(query: &Query) -> Result<(TopicName, ChannelName), Failure> {
    let topic = topic_of(query)?;
    let channel = query.get("channel").ok_or(Failure::bad("MISSING_ARG_CHANNEL"))?;
    let channel = ChannelName::parse(channel).map_err(|_| Failure::bad("INVALID_ARG_CHANNEL"))?;
    Ok((topic, channel))
}
