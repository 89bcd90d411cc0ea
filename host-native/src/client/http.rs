//! HTTP as a client: one request, one answer, for asking nsqlookupd and nsqd and for `nsq_to_http`. Connections are kept
//! and used again. HTTP and HTTPS; no proxy, no redirects.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::http::response::Parts as Head;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;
use tokio::time::timeout;

use crate::tls::{self, ClientTls, TlsError};

/// The largest answer that is read, unless a client is told otherwise.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of a body that are let go together.
const PART_BYTES: usize = 32 * 1024;

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

/// A body as it came, in pieces. Reading it gives back the memory of what was read, so that a large answer and what is made
/// of it never take room at the same time.
#[derive(Debug, Default)]
pub(crate) struct BodyParts {
    parts: VecDeque<Bytes>,
}

impl BodyParts {
    /// Copies, as pieces of what a connection has read are not let go before all of that is.
    fn push(&mut self, part: &[u8]) {
        self.parts.extend(part.chunks(PART_BYTES).map(Bytes::copy_from_slice));
    }

    /// All of it.
    pub(crate) fn into_bytes(mut self) -> Bytes {
        if self.parts.len() <= 1 {
            return self.parts.pop_front().unwrap_or_default();
        }
        let mut all = Vec::with_capacity(self.parts.iter().map(Bytes::len).sum());
        self.parts.into_iter().for_each(|part| all.extend_from_slice(&part));
        all.into()
    }
}

impl Read for BodyParts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(part) = self.parts.front_mut() else { return Ok(0) };
        let len = part.len().min(into.len());
        into[..len].copy_from_slice(&part.split_to(len));
        if part.is_empty() {
            self.parts.pop_front();
        }
        Ok(len)
    }
}

/// Asks, as often as one likes. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request_timeout: Duration,
    answer_bytes_max: usize,
}

impl HttpClient {
    /// A client that takes up to `connect_timeout` for connecting, and `request_timeout` for all of a request. For HTTPS it
    /// trusts whom the system trusts.
    pub fn new(connect_timeout: Duration, request_timeout: Duration) -> Self {
        let tls = ClientTls::default();
        Self::with_tls(connect_timeout, request_timeout, &tls).expect("files that are not named are not missing")
    }

    /// As [`new`](Self::new), and for HTTPS it does as `tls` says.
    ///
    /// # Errors
    /// If files that `tls` names cannot be used.
    pub fn with_tls(connect_timeout: Duration, request_timeout: Duration, tls: &ClientTls) -> Result<Self, TlsError> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(connect_timeout));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.config()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, request_timeout, answer_bytes_max: ANSWER_BYTES_MAX })
    }

    /// Reads no answer that has more bytes than that.
    pub(crate) fn with_answers_up_to(self, bytes: usize) -> Self {
        Self { answer_bytes_max: bytes, ..self }
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
        let (head, parts) = self.request_in_parts(method, url, headers, body).await?;
        Ok(Answer { status: head.status, headers: head.headers, body: parts.into_bytes() })
    }

    /// The same with a body that is not brought together, for those who read it once.
    pub(crate) async fn request_in_parts(
        &self,
        method: Method,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<(Head, BodyParts), HttpError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = check(url)?;
        request.headers_mut().extend(headers.iter().cloned());
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| failed(url, &error))?;
            let (head, body) = response.into_parts();
            let mut body = Limited::new(body, self.answer_bytes_max);
            let mut parts = BodyParts::default();
            while let Some(frame) = body.frame().await {
                // Trailers say nothing to us.
                if let Ok(part) = frame.map_err(|error| failed(url, &*error))?.into_data() {
                    parts.push(&part);
                }
            }
            Ok((head, parts))
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
    // What follows it would be cut off, and a name that it belongs to be another.
    if url.contains('#') {
        return Err(bad("write %23 for the # in it".to_owned()));
    }
    let uri: Uri = url.parse().map_err(|error: hyper::http::uri::InvalidUri| bad(error.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        _ => Err(bad("it has to begin with http:// or https:// and a host".to_owned())),
    }
}

/// The URL without a user's name and password, and the header that says them.
pub(crate) fn without_user(url: &str) -> (String, Vec<(HeaderName, HeaderValue)>) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (user, host) = rest[..end].rsplit_once('@')?;
        Some((user, format!("{scheme}://{host}{}", &rest[end..])))
    });
    let Some((user, url)) = parts else { return (url.to_owned(), Vec::new()) };
    let user = crate::http::query::decode_path(user).unwrap_or_else(|| user.to_owned());
    let user = if user.contains(':') { user } else { format!("{user}:") };
    let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(user)));
    (url, value.ok().map(|value| (AUTHORIZATION, value)).into_iter().collect())
}

fn failed(url: &str, error: &(dyn std::error::Error + 'static)) -> HttpError {
    // The outer errors say that there was one.
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let reason = cause.downcast_ref().map_or_else(|| cause.to_string(), |error| tls::explain(error, tls::Role::Server));
    HttpError::Failed { url: url.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use sansq_tests::certificates::Certificates;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// An HTTPS server for `localhost` that answers every connection's first bytes with `hello`: its URL.
    async fn https(certificates: &Certificates) -> String {
        let pair = certificates.issue("server", "localhost").unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(pair.cert).unwrap()],
                PrivateKeyDer::from_pem_file(pair.key).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                // A client that does not trust us ends the handshake.
                let Ok(mut stream) = acceptor.accept(listener.accept().await.unwrap().0).await else { continue };
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
                stream.flush().await.unwrap();
            }
        });
        format!("https://localhost:{port}/")
    }

    #[tokio::test]
    async fn https_is_asked_like_http_if_the_server_is_trusted() {
        let certificates = Certificates::new("ours").unwrap();
        let url = https(&certificates).await;
        let patience = Duration::from_secs(10);
        let ask = async |tls: &ClientTls| {
            HttpClient::with_tls(patience, patience, tls).unwrap().get(&url, &[]).await.map(|answer| answer.body)
        };
        let ours = ClientTls { root_ca_file: Some(certificates.root()), ..ClientTls::default() };
        assert_eq!(&ask(&ours).await.unwrap()[..], b"hello");
        let anybody = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
        assert_eq!(&ask(&anybody).await.unwrap()[..], b"hello");
        let other = Certificates::new("another").unwrap();
        let theirs = ClientTls { root_ca_file: Some(other.root()), ..ClientTls::default() };
        let said = ask(&theirs).await.unwrap_err().to_string();
        assert!(said.contains("signed by nobody that is trusted"), "{said}");
    }

    #[test]
    fn a_url_is_sent_whole_or_not_at_all() {
        assert_eq!(check("http://h:1/pub?topic=a%23ephemeral").unwrap().query(), Some("topic=a%23ephemeral"));
        for bad in ["http://h/pub?topic=a#ephemeral", "http://h/#", "h:1/x", "ftp://h/", "http://"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_in_the_url_becomes_a_header() {
        assert_eq!(without_user("http://g:80/render?a@b"), ("http://g:80/render?a@b".to_owned(), Vec::new()));
        let (url, headers) = without_user("http://ann:s%20t@g:80/x");
        assert_eq!(url, "http://g:80/x");
        assert_eq!(headers, [(AUTHORIZATION, HeaderValue::from_static("Basic YW5uOnMgdA=="))]);
        assert_eq!(without_user("http://ann@g").1, [(AUTHORIZATION, HeaderValue::from_static("Basic YW5uOg=="))]);
    }
}
