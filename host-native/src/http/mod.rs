//! HTTP. What all programs share: listening (`server`), connections (`connection`), reading requests (`input`, `head`, `target`,
//! `body`) and writing responses (`encode`), the way of a request (`service`) through the router (`routing`) and the
//! decorations (`respond`), queries, JSON. And the API of nsqd on it (`endpoints`): publishing, topics and channels,
//! statistics, settings, and what a monitor wants to know.
//!
//! HTTP is read here and not by a library, since libraries cut targets off at a `#`: to NSQ it is a part of a name, and a
//! name cut short is another. A request goes through [`routing`], one function of its endpoint's file, and [`respond`].
//! All decisions about messages are the node's and the core's.
//!
//! Who is let in is said by `gate`, `origin` and `token`. Deliberately absent: HTTP/2.

mod admin;
pub(crate) mod body;
pub(crate) mod compress;
mod connection;
pub(crate) mod debug;
mod encode;
pub(crate) mod endpoints;
pub(crate) mod gate;
mod head;
mod info;
mod input;
pub(crate) mod json;
mod linger;
mod metrics;
pub(crate) mod origin;
pub(crate) mod peek;
pub(crate) mod pieces;
mod process;
mod publish;
pub(crate) mod query;
pub(crate) mod respond;
pub(crate) mod routing;
#[cfg(test)]
pub(crate) mod scenes;
mod server;
mod service;
pub(crate) mod settings;
mod stats;
pub(crate) mod target;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use std::sync::Arc;

use hyper::header::HeaderMap;
use tokio::sync::watch;

pub(crate) use process::{Memory, memory};
pub(crate) use server::{Peer, serve, serve_tls};
pub(crate) use service::{Call, Request, Service};

use crate::config::NsqdOptions;
use crate::config::nsqd::TlsRequired;
use crate::log::LogHandle;
use crate::node::Node;
use endpoints::Endpoint;
use gate::Gate;
use respond::{Answer, Decoration, Failure, Outcome};
use routing::Route;

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
    /// Who is let in.
    pub(crate) gate: Gate,
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

/// The answer to a request that is not let in, and a line of the log that says why.
pub(crate) fn refused(peer: &Peer, request: Request<'_>, failure: Failure) -> Answer {
    let (method, target) = (request.method, request.target.as_str());
    let said = origin::describe(request.headers);
    tracing::warn!("{} {method} {target} ({}) - {} ({said})", failure.status.as_u16(), peer.address, failure.message);
    respond::dress(Decoration::V1, Err(failure))
}

impl Service for Api {
    type Endpoint = Endpoint;

    fn routes(&self) -> &[Route<Endpoint>] {
        endpoints::ROUTES
    }

    fn refusal(&self, peer: &Peer, request: Request<'_>) -> Option<Answer> {
        if !peer.secure && self.options.borrow().tls_required == TlsRequired::Yes {
            return Some(respond::tls_required(self.ports.https.unwrap_or(0)));
        }
        let host = self.gate.check_host(peer, request.headers);
        host.and_then(|()| self.gate.check_change(request)).err().map(|failure| refused(peer, request, failure))
    }

    fn finish(&self, headers: &HeaderMap, answer: Answer) -> Answer {
        self.gate.tell_allowed(headers, answer)
    }

    fn discarded_bytes_max(&self) -> usize {
        self.node.config.max_body_size
    }

    async fn call(self: Arc<Self>, endpoint: Endpoint, call: Call<'_>) -> Outcome {
        let Call { params: [param, _], headers, query, body, .. } = call;
        match endpoint {
            Endpoint::Ping => info::ping(&self).await,
            Endpoint::Info => info::info(&self),
            Endpoint::Publish => publish::publish(&self, query, body).await,
            Endpoint::MultiPublish => publish::multi_publish(&self, query, body).await,
            Endpoint::Stats => stats::stats(&self, query).await,
            Endpoint::Topic(action) => admin::topic(&self, action, query).await,
            Endpoint::Channel(action) => admin::channel(&self, action, query).await,
            Endpoint::PeekTopic => {
                self.gate.admit(headers)?;
                peek::topic(&self, query).await
            }
            Endpoint::PeekChannel => {
                self.gate.admit(headers)?;
                peek::channel(&self, query).await
            }
            Endpoint::ReadConfig => settings::read(&self, param),
            Endpoint::WriteConfig => settings::write(&self, param, body).await,
            Endpoint::Metrics => metrics::metrics(&self).await,
            Endpoint::Debug(page) => debug::page(page, query, move |page| debug::holdings(&self, page)).await,
            Endpoint::SetBlockRate => debug::set_block_rate(query),
            Endpoint::FreeMemory => debug::free_memory(),
        }
    }
}
