//! What a program's HTTP API consists of, and the way of a request through it: gate, router, endpoint, decoration.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, Uri};

use super::body::RequestBody;
use super::query;
use super::respond::{self, Answer, Decoration, Failure, Outcome, Reply};
use super::routing::{self, Params, Route, Routed};
use super::server::Peer;
use crate::config::format_duration;

/// The HTTP API of a program.
pub(crate) trait Service: Send + Sync + 'static {
    /// What can be asked for.
    type Endpoint: Copy + Send + Sync + 'static;

    /// Where to ask for it.
    fn routes(&self) -> &[Route<Self::Endpoint>];

    /// The answer to a peer that gets no other, whatever it asks for.
    fn refusal(&self, peer: &Peer) -> Option<Answer> {
        _ = peer;
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
    pub(crate) uri: &'a Uri,
    pub(crate) params: Params<'a>,
    /// What follows the target's `?`.
    pub(crate) query: Option<&'a str>,
    /// The body, unread.
    pub(crate) body: &'a mut RequestBody,
}

/// Answers one request.
pub(super) async fn answer<S: Service>(service: &Arc<S>, peer: &Peer, request: Request<Incoming>) -> Answer {
    if let Some(refusal) = service.refusal(peer) {
        return refusal;
    }
    let (head, incoming) = request.into_parts();
    let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
    let Some(path) = query::decode_path(uri.path()) else { return respond::bad_target() };
    let mut body = RequestBody::new(headers, incoming);
    let started = Instant::now();
    let log = |status: u16| {
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let elapsed = format_duration(started.elapsed());
        tracing::info!("{status} {method} {target} ({}) {elapsed}", peer.address);
    };
    let answer = match routing::find(service.routes(), method, &path) {
        Routed::To(route, params) => {
            let call = Call { peer, headers, uri, params, query: uri.query(), body: &mut body };
            // A panic costs its request, not the connection or the daemon.
            let work = AssertUnwindSafe(service.clone().call(route.endpoint, call)).catch_unwind();
            let outcome = work.await.unwrap_or_else(|_| {
                tracing::error!("panic in HTTP handler - {method} {uri}");
                Err(Failure::INTERNAL)
            });
            if route.logged {
                log(outcome.as_ref().map_or_else(|failure| failure.status, Reply::status).as_u16());
            }
            respond::dress(route.decoration, outcome)
        }
        Routed::Redirect(to) => respond::redirect(method, to, uri.query()),
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
    let answer = service.finish(headers, answer);
    // What an endpoint left unread it had no use for.
    if body.discard(service.discarded_bytes_max()).await { answer } else { respond::close(answer) }
}
