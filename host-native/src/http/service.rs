//! What a program's HTTP API consists of, and the way of a request through it: gate, router, endpoint, decoration.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use hyper::Method;
use hyper::header::HeaderMap;

use super::body::RequestBody;
use super::query;
use super::respond::{self, Answer, Decoration, Failure, Outcome, Reply};
use super::routing::{self, Params, Route, Routed};
use super::server::Peer;
use super::target::Target;
use crate::config::format_duration;

/// The HTTP API of a program.
pub(crate) trait Service: Send + Sync + 'static {
    /// What can be asked for.
    type Endpoint: Copy + Send + Sync + 'static;

    /// Where to ask for it.
    fn routes(&self) -> &[Route<Self::Endpoint>];

    /// The answer to a request that is not looked into any further.
    fn refusal(&self, peer: &Peer, request: Request<'_>) -> Option<Answer> {
        _ = (peer, request);
        None
    }

    /// Bytes of a body without use that are read, for its client to get to read the answer.
    fn discarded_bytes_max(&self) -> usize;

    /// The last change to an answer. `headers`: those of the request.
    fn finish(&self, headers: &HeaderMap, answer: Answer) -> Answer {
        _ = headers;
        answer
    }

    /// Does what a request asks for.
    fn call(self: Arc<Self>, endpoint: Self::Endpoint, call: Call<'_>) -> impl Future<Output = Outcome> + Send;
}

/// What an endpoint gets to know of its request.
pub(crate) struct Call<'a> {
    /// Who asks.
    pub(crate) peer: &'a Peer,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) target: &'a Target,
    pub(crate) params: Params<'a>,
    /// What follows the target's `?`.
    pub(crate) query: Option<&'a str>,
    /// The body, unread.
    pub(crate) body: &'a mut RequestBody,
}

/// The head of a request.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a Target,
    pub(crate) headers: &'a HeaderMap,
}

/// Answers one request. Of its body nothing is left to read if the connection can be used again; else the answer is made
/// the last one.
pub(super) async fn answer<S: Service>(
    service: &Arc<S>,
    peer: &Peer,
    request: Request<'_>,
    body: &mut RequestBody,
) -> Answer {
    let answer = find_and_call(service, peer, request, body).await;
    let answer = service.finish(request.headers, answer);
    // What an endpoint left unread it had no use for.
    if body.discard(service.discarded_bytes_max()).await { answer } else { respond::close(answer) }
}

async fn find_and_call<S: Service>(
    service: &Arc<S>,
    peer: &Peer,
    request: Request<'_>,
    body: &mut RequestBody,
) -> Answer {
    if let Some(refusal) = service.refusal(peer, request) {
        return refusal;
    }
    let Request { method, target, headers } = request;
    if target.as_str() == "*" && method == Method::OPTIONS {
        return respond::options_of_all();
    }
    let Some(path) = query::decode_path(target.path()) else { return respond::bad_target() };
    let started = Instant::now();
    let log = |status: u16| {
        let (target, elapsed) = (target.as_str(), format_duration(started.elapsed()));
        tracing::info!("{status} {method} {target} ({}) {elapsed}", peer.address);
    };
    match routing::find(service.routes(), method, &path) {
        Routed::To(route, params) => {
            let call = Call { peer, headers, target, params, query: target.query(), body };
            // A panic costs its request, not the connection or the daemon.
            let work = AssertUnwindSafe(service.clone().call(route.endpoint, call)).catch_unwind();
            let outcome = work.await.unwrap_or_else(|_| {
                tracing::error!("panic in HTTP handler - {method} {}", target.as_str());
                Err(Failure::INTERNAL)
            });
            if route.logged {
                log(outcome.as_ref().map_or_else(|failure| failure.status, Reply::status).as_u16());
            }
            respond::dress(route.decoration, outcome)
        }
        Routed::Redirect(to) => respond::redirect(method, to, target.query()),
        Routed::Options(methods) => respond::options(&methods),
        Routed::WrongMethod(methods) => {
            log(405);
            respond::wrong_method(&methods)
        }
        Routed::Unknown => {
            log(404);
            respond::dress(Decoration::V1, Err(Failure::NOT_FOUND))
        }
    }
}
