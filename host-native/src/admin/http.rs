//! The paths of nsqadmin, all below `--base-path`, and who answers them.

use std::sync::Arc;

use hyper::Method;
use hyper::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::actions::Target;
use super::live::{Live, View};
use super::notify::{Notifier, Requester};
use super::upstream::Upstream;
use super::{assets, settings};
use crate::config::NsqadminOptions;
use crate::http::compress::compressed;
use crate::http::gate::Gate;
use crate::http::query::Query;
use crate::http::respond::Decoration::{Plain, Raw, V1};
use crate::http::respond::{Answer, Failure, Outcome, Reply};
use crate::http::routing::{Route, quiet, route};
use crate::http::token::Token;
use crate::http::{Call, Peer, Request, Service, refused};
use crate::log::LogHandle;

/// Bytes of a request's body, if it has no use, that are read.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What can be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint {
    Page,
    Ping,
    File,
    Topics,
    Topic,
    Channel,
    Nodes,
    Node,
    Counter,
    Live,
    PeekChannel,
    Graphite,
    Render,
    Create,
    ChangeTopic,
    ChangeChannel,
    DeleteTopic,
    DeleteChannel,
    Tombstone,
    ReadConfig,
    WriteConfig,
}

/// The API.
pub(super) struct Api {
    /// They change with `PUT /config/:opt`.
    pub(super) options: watch::Sender<NsqadminOptions>,
    pub(super) log: LogHandle,
    pub(super) upstream: Upstream,
    pub(super) live: Arc<Live>,
    pub(super) notifier: Notifier,
    /// For nsqds that want it of those who look into messages.
    pub(super) token: Option<Token>,
    /// The names that are answered to, if not all are.
    gate: Option<Gate>,
    routes: Vec<Route<Endpoint>>,
}

/// A question that makes nsqds say much of what they know.
enum Whole {
    Topics(Option<String>),
    Nodes,
    Node(String),
    Counter,
    Topic(String),
    Channel(String, String),
}

impl Api {
    pub(super) fn new(
        options: NsqadminOptions,
        log: LogHandle,
        upstream: Upstream,
        live: Arc<Live>,
        notifier: Notifier,
        token: Option<Token>,
        gate: Option<Gate>,
    ) -> Self {
        let proxied = options.proxy_graphite && !options.graphite_url.is_empty();
        let render = proxied.then(|| quiet(Method::GET, "/render", Endpoint::Render, Raw));
        let routes = routes().into_iter().chain(render).map(|route| route.below(options.base())).collect();
        Self { options: watch::Sender::new(options), log, upstream, live, notifier, token, gate, routes }
    }

    /// Answers on the thread that polls. Each thread has memory of its own that it used once and uses again: what is large
    /// should be read on one of them. A client that goes ends it.
    async fn read_whole(self: Arc<Self>, question: Whole) -> Outcome {
        let mut task = JoinSet::new();
        let reading = self.live.thread.clone();
        let answer = async move {
            match question {
                Whole::Topics(query) => self.topics(query.as_deref()).await,
                Whole::Nodes => self.nodes().await,
                Whole::Node(node) => self.node(&node).await,
                Whole::Counter => self.counter().await,
                Whole::Topic(topic) => self.topic(&topic).await,
                Whole::Channel(topic, channel) => self.channel(&topic, &channel).await,
            }
        };
        task.spawn_on(answer, &reading);
        // An error means that it panicked, which was logged, or that the daemon is gone.
        task.join_next().await.and_then(Result::ok).unwrap_or(Err(Failure::INTERNAL))
    }

    /// As they are now.
    pub(super) fn options(&self) -> NsqadminOptions {
        self.options.borrow().clone()
    }
}

fn routes() -> Vec<Route<Endpoint>> {
    let page = |path| route(Method::GET, path, Endpoint::Page, Raw);
    vec![
        page("/"),
        page("/topics"),
        page("/topics/:topic"),
        page("/topics/:topic/:channel"),
        page("/nodes"),
        page("/nodes/:node"),
        page("/counter"),
        page("/lookup"),
        quiet(Method::GET, "/static/:asset", Endpoint::File, Plain),
        quiet(Method::GET, "/fonts/:asset", Endpoint::File, Plain),
        route(Method::GET, "/ping", Endpoint::Ping, Plain),
        route(Method::GET, "/api/topics", Endpoint::Topics, V1),
        route(Method::GET, "/api/topics/:topic", Endpoint::Topic, V1),
        route(Method::GET, "/api/topics/:topic/:channel", Endpoint::Channel, V1),
        route(Method::GET, "/api/nodes", Endpoint::Nodes, V1),
        route(Method::GET, "/api/nodes/:node", Endpoint::Node, V1),
        route(Method::GET, "/api/counter", Endpoint::Counter, V1),
        quiet(Method::GET, "/api/live", Endpoint::Live, V1),
        route(Method::GET, "/api/topics/:topic/:channel/peek", Endpoint::PeekChannel, V1),
        route(Method::GET, "/api/graphite", Endpoint::Graphite, V1),
        route(Method::POST, "/api/topics", Endpoint::Create, V1),
        route(Method::POST, "/api/topics/:topic", Endpoint::ChangeTopic, V1),
        route(Method::POST, "/api/topics/:topic/:channel", Endpoint::ChangeChannel, V1),
        route(Method::DELETE, "/api/topics/:topic", Endpoint::DeleteTopic, V1),
        route(Method::DELETE, "/api/topics/:topic/:channel", Endpoint::DeleteChannel, V1),
        route(Method::DELETE, "/api/nodes/:node", Endpoint::Tombstone, V1),
        route(Method::GET, "/config/:opt", Endpoint::ReadConfig, V1),
        route(Method::PUT, "/config/:opt", Endpoint::WriteConfig, V1),
    ]
}

impl Service for Api {
    type Endpoint = Endpoint;

    fn routes(&self) -> &[Route<Endpoint>] {
        &self.routes
    }

    fn refusal(&self, peer: &Peer, request: Request<'_>) -> Option<Answer> {
        let checked = self.gate.as_ref()?.check_host(peer, request.headers);
        checked.err().map(|failure| refused(peer, request, failure))
    }

    fn discarded_bytes_max(&self) -> usize {
        BODY_BYTES_MAX
    }

    fn finish(&self, headers: &HeaderMap, answer: Answer) -> Answer {
        compressed(headers, answer)
    }

    async fn call(self: Arc<Self>, endpoint: Endpoint, call: Call<'_>) -> Outcome {
        let Call { peer, headers, target, params: [first, second], query, body } = call;
        let by = Requester { peer, headers, target };
        let topic = Target { topic: first, channel: None };
        let channel = Target { topic: first, channel: Some(second) };
        match endpoint {
            Endpoint::Page => assets::page(&self.options(), headers).await,
            Endpoint::Ping => Ok(Reply::OK),
            Endpoint::File => assets::file(&self.options(), first, headers).await,
            Endpoint::Topics => self.read_whole(Whole::Topics(query.map(str::to_owned))).await,
            Endpoint::Topic => self.read_whole(Whole::Topic(first.to_owned())).await,
            // A channel may be called that, too: a topic's messages are asked for with their number.
            Endpoint::Channel if second == "peek" && Query::of(query)?.get("limit").is_some() => {
                self.peek(by, topic, query).await
            }
            Endpoint::Channel => self.read_whole(Whole::Channel(first.to_owned(), second.to_owned())).await,
            Endpoint::PeekChannel => self.peek(by, channel, query).await,
            Endpoint::Graphite => self.graphite(query).await,
            Endpoint::Render => self.render(target, headers).await,
            Endpoint::Nodes => self.read_whole(Whole::Nodes).await,
            Endpoint::Node => self.read_whole(Whole::Node(first.to_owned())).await,
            Endpoint::Counter => self.read_whole(Whole::Counter).await,
            Endpoint::Live => {
                let events = self.live.watch(View::parse(&Query::of(query)?)?)?;
                let mut answer = Reply::stream("text/event-stream", events);
                answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                // nginx would hold events back.
                answer.headers_mut().insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
                Ok(Reply::Ready(answer))
            }
            Endpoint::Create => self.create(by, body).await,
            Endpoint::ChangeTopic => self.change(by, topic, body).await,
            Endpoint::ChangeChannel => self.change(by, channel, body).await,
            Endpoint::DeleteTopic => self.delete(by, topic).await,
            Endpoint::DeleteChannel => self.delete(by, channel).await,
            Endpoint::Tombstone => self.tombstone(by, first, body).await,
            Endpoint::ReadConfig => settings::read(&self, peer, first),
            Endpoint::WriteConfig => settings::write(&self, peer, first, body).await,
        }
    }
}
