//! The HTTP API of nsqd: publishing, topics and channels, statistics, settings, and what a monitor wants to know.
//!
//! A request goes through [`routing`], one function of its endpoint's file, and [`respond`]. Endpoints know neither hyper's
//! requests nor its responses but for the body they read. All decisions about messages are the node's and the core's.
//!
//! Deliberately absent: TLS (whoever has made a stream secure hands it to [`Connections`]), HTTP/2, and any
//! authorization, which the reference does not have here either.

mod admin;
mod body;
mod debug;
mod info;
mod json;
mod linger;
mod metrics;
mod process;
mod publish;
mod query;
mod respond;
mod routing;
mod server;
mod settings;
mod stats;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use hyper::body::Incoming;
use hyper::{Method, Request, Uri};
use tokio::sync::watch;

pub use server::{Connections, Peer, serve};

use crate::config::nsqd::TlsRequired;
use crate::config::{NsqdOptions, format_duration};
use crate::log::LogHandle;
use crate::node::Node;
use body::RequestBody;
use respond::{Answer, Decoration, Failure, Outcome};
use routing::{Endpoint, Routed};

/// What the API needs to know of its daemon.
pub struct Api {
    /// The node that is spoken to.
    pub node: Arc<Node>,
    /// The options; watch them to hear of `PUT /config/:opt`.
    pub options: watch::Sender<NsqdOptions>,
    /// The level of the log, which can be changed.
    pub log: LogHandle,
    /// Where the daemon listens.
    pub ports: Ports,
}

/// The ports the daemon listens on; `None` for a Unix socket and for a listener that is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// For clients.
    pub tcp: Option<u16>,
    /// For HTTP.
    pub http: Option<u16>,
    /// For HTTPS.
    pub https: Option<u16>,
}

/// Answers one request.
async fn answer(api: &Arc<Api>, peer: &Peer, request: Request<Incoming>) -> Answer {
    if !peer.secure && api.options.borrow().tls_required == TlsRequired::Yes {
        return respond::tls_required(api.ports.https.unwrap_or(0));
    }
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let Some(path) = query::decode_path(uri.path()) else { return respond::bad_target() };
    let mut body = RequestBody::of(request);
    let started = Instant::now();
    let log = |status: u16| {
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let elapsed = format_duration(started.elapsed());
        tracing::info!("{status} {method} {target} ({}) {elapsed}", peer.address);
    };
    let answer = match routing::find(&method, &path) {
        Routed::To(route, param) => {
            let outcome = call(api, route.endpoint, param, &method, &uri, &mut body).await;
            if route.is_logged() {
                log(outcome.as_ref().map_or_else(|failure| failure.status.as_u16(), |_| 200));
            }
            respond::dress(route.decoration, outcome)
        }
        Routed::Redirect(to) => respond::redirect(&method, to, uri.query()),
        Routed::Options(methods) => respond::options(&methods),
        Routed::WrongMethod(methods) => {
            log(405);
            respond::wrong_method(&methods)
        }
        Routed::Unknown => {
            log(404);
            respond::dress(Decoration::V1, Err(Failure::NOT_FOUND))
        }
    };
    // What an endpoint left unread it had no use for.
    if body.discard(api.node.config.max_body_size).await { answer } else { respond::close(answer) }
}

/// Has the endpoint do its work. A panic costs its request, not the connection or the daemon.
async fn call(
    api: &Arc<Api>,
    endpoint: Endpoint,
    param: &str,
    method: &Method,
    uri: &Uri,
    body: &mut RequestBody,
) -> Outcome {
    let query = uri.query();
    let work = async {
        match endpoint {
            Endpoint::Ping => info::ping(api).await,
            Endpoint::Info => info::info(api),
            Endpoint::Publish => publish::publish(api, query, body).await,
            Endpoint::MultiPublish => publish::multi_publish(api, query, body).await,
            Endpoint::Stats => stats::stats(api, query).await,
            Endpoint::Topic(action) => admin::topic(api, action, query).await,
            Endpoint::Channel(action) => admin::channel(api, action, query).await,
            Endpoint::ReadConfig => settings::read(api, param),
            Endpoint::WriteConfig => settings::write(api, param, body).await,
            Endpoint::Metrics => metrics::metrics(api).await,
            Endpoint::Debug(page) => debug::page(api, page, query).await,
            Endpoint::SetBlockRate => debug::set_block_rate(query),
            Endpoint::FreeMemory => debug::free_memory(),
        }
    };
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("panic in HTTP handler - {method} {uri}");
        Err(Failure::INTERNAL)
    })
}
