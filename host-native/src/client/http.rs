//! HTTP as a client: one request, one answer, for asking nsqlookupd and nsqd and for `nsq_to_http`. Connections are kept
//! and used again. Plain HTTP only; no proxy, no redirects.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;
use tokio::time::timeout;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpError {
    /// Not the address of an HTTP server.
    #[error("{url:?} is not a URL: {reason}")]
    BadUrl {
        /// As it was given.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody there, or the connection broke.
    #[error("{url}: {reason}")]
    Failed {
        /// What was asked for.
        url: String,
        /// Why it failed, down to the cause.
        reason: String,
    },
    /// It takes too long.
    #[error("{url}: no answer within {time:?}")]
    TimedOut {
        /// What was asked for.
        url: String,
        /// How long was waited.
        time: Duration,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Of any kind.
    pub status: StatusCode,
    /// All of them.
    pub headers: HeaderMap,
    /// All of it.
    pub body: Bytes,
}

/// Asks, as often as one likes. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
    request_timeout: Duration,
}

impl HttpClient {
    /// A client that takes up to `connect_timeout` for connecting, and `request_timeout` for all of a request.
    pub fn new(connect_timeout: Duration, request_timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(connect_timeout));
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector), request_timeout }
    }

    /// GET with these headers.
    pub async fn get(&self, url: &str, headers: &[(HeaderName, HeaderValue)]) -> Result<Answer, HttpError> {
        self.request(Method::GET, url, headers, Bytes::new()).await
    }

    /// Any request.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Answer, HttpError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = check(url)?;
        request.headers_mut().extend(headers.iter().cloned());
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| failed(url, &error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| failed(url, &*error))?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        match timeout(self.request_timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::TimedOut { url: url.to_owned(), time: self.request_timeout }),
        }
    }
}

/// The URL, if it is one that can be asked.
pub fn check(url: &str) -> Result<Uri, HttpError> {
    let bad = |reason: String| HttpError::BadUrl { url: url.to_owned(), reason };
    let uri: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(error.to_string()))?;
    match uri.scheme_str() {
        Some("http") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        Some("https") => Err(bad("https is not supported, only http".to_owned())),
        _ => Err(bad("it has to begin with http:// and a host".to_owned())),
    }
}

fn failed(url: &str, error: &dyn std::error::Error) -> HttpError {
    // The outer errors say that there was one.
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    HttpError::Failed { url: url.to_owned(), reason: cause.to_string() }
}
