//! Asking auth servers what a client may do: `--auth-http-address`. When they are asked, and what a client without a grant gets
//! to hear, is the session's ([`sansq_core::session`]). `grant` reads answers, `pattern` the regular expressions in them.
//!
//! The secret of a client goes to the servers and nowhere else: no log line has it, nor a URL that it is part of.

mod grant;
mod pattern;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use sansq_core::session::{AuthFailed, Grant};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::client::http::{Answer, HttpClient, HttpError, check, without_user};
use crate::config::NsqdOptions;
use grant::BadAnswer;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a server is asked.
#[derive(Clone)]
pub(crate) struct Question {
    /// The client's address without its port; empty on a Unix socket.
    pub(crate) remote_ip: String,
    /// Whether its stream is in TLS.
    pub(crate) tls: bool,
    /// The common name in the certificate that it showed, or nothing.
    pub(crate) common_name: String,
    /// What it sent with AUTH.
    pub(crate) secret: Vec<u8>,
}

impl Question {
    /// Names and values, in the order of the names.
    fn parameters(&self) -> [(&'static str, &[u8]); 4] {
        [
            ("common_name", self.common_name.as_bytes()),
            ("remote_ip", self.remote_ip.as_bytes()),
            ("secret", &self.secret),
            ("tls", if self.tls { b"true" } else { b"false" }),
        ]
    }

    fn query(&self) -> String {
        let escaped = |value| form_urlencoded::byte_serialize(value).collect::<String>();
        self.parameters().map(|(name, value)| format!("{name}={}", escaped(value))).join("&")
    }

    /// As a form in JSON.
    fn form(&self) -> Bytes {
        let field = |(name, value)| (str::to_owned(name), json!([String::from_utf8_lossy(value)]));
        serde_json::Value::Object(self.parameters().map(field).into_iter().collect()).to_string().into()
    }
}

/// An auth server's address that cannot be one.
#[derive(Debug, Error)]
#[error("--auth-http-address {0}")]
pub(crate) struct BadAddress(HttpError);

/// Why a server granted nothing.
#[derive(Debug, Error)]
enum Refusal {
    #[error("{0}")]
    Unreachable(String),
    #[error("answers {0}{hint}", hint = if .0.is_redirection() { "; it has to be named where it is, redirects are not followed" } else { "" })]
    Status(StatusCode),
    #[error("its answer is of no use: {0}")]
    BadAnswer(#[from] BadAnswer),
}

impl From<HttpError> for Refusal {
    /// Without the URL: it has the secret.
    fn from(error: HttpError) -> Self {
        Self::Unreachable(match error {
            HttpError::BadUrl { reason, .. } | HttpError::Failed { reason, .. } => reason,
            HttpError::TimedOut { time, .. } => format!("no answer within {time:?}"),
        })
    }
}

/// One of them.
#[derive(Debug)]
struct Server {
    /// Without the user that may stand in it.
    url: String,
    /// That user, and what to send of the rest.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The servers that are asked, and how. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct AuthServers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    servers: Vec<Server>,
    posts: bool,
    http: HttpClient,
    /// Where asking is done: on no thread that serves clients.
    runtime: Handle,
}

impl AuthServers {
    /// Those that `options` name, if they name any. They are asked on the runtime that this is called on.
    pub(crate) fn of(options: &NsqdOptions) -> anyhow::Result<Option<Self>> {
        if options.auth_http_addresses.is_empty() {
            return Ok(None);
        }
        let posts = options.auth_http_request_method == "post";
        let server = |address: &String| {
            let url = if address.contains("://") { address.clone() } else { format!("http://{address}/auth") };
            let (url, mut headers) = without_user(&url);
            headers.push((ACCEPT, HeaderValue::from_static("application/vnd.nsq; version=1.0")));
            headers.extend(posts.then_some((CONTENT_TYPE, HeaderValue::from_static("application/json"))));
            check(&url).map_err(BadAddress)?;
            Ok::<_, BadAddress>(Server { url, headers })
        };
        let servers = options.auth_http_addresses.iter().map(server).collect::<Result<_, _>>()?;
        let (connect, request) = (options.http_client_connect_timeout, options.http_client_request_timeout);
        let http = HttpClient::with_tls(connect, request, &options.client_tls())?;
        let http = http.with_answers_up_to(ANSWER_BYTES_MAX);
        Ok(Some(Self(Arc::new(Shared { servers, posts, http, runtime: Handle::current() }))))
    }

    /// Asks one after the other, from any of them on, until one grants something. The answer comes in any case.
    pub(crate) fn ask(&self, question: Question) -> oneshot::Receiver<Result<Grant, AuthFailed>> {
        let (sender, receiver) = oneshot::channel();
        let shared = self.0.clone();
        self.0.runtime.spawn(async move {
            let grant = shared.ask(&question).await;
            // The client may have gone.
            _ = sender.send(grant.ok_or(AuthFailed));
        });
        receiver
    }
}

impl Shared {
    async fn ask(&self, question: &Question) -> Option<Grant> {
        let first = RandomState::new().hash_one(0) as usize % self.servers.len();
        let (before, from) = self.servers.split_at(first);
        for server in from.iter().chain(before) {
            match self.ask_one(server, question).await {
                Ok(grant) => return Some(grant),
                Err(refusal) => tracing::error!("AUTH: {} - {refusal}", server.url),
            }
        }
        None
    }

    async fn ask_one(&self, server: &Server, question: &Question) -> Result<Grant, Refusal> {
        let mut answer = self.request(&server.url, server, question).await?;
        if answer.status == StatusCode::FORBIDDEN
            && let Some(https) = moved_to_https(&server.url, &answer.body)
        {
            answer = self.request(&https, server, question).await?;
        }
        if answer.status != StatusCode::OK {
            return Err(Refusal::Status(answer.status));
        }
        let body = answer.body;
        let granted = tokio::task::spawn_blocking(move || grant::grant(&body)).await;
        Ok(granted.map_err(|error| Refusal::Unreachable(error.to_string()))??)
    }

    async fn request(&self, url: &str, server: &Server, question: &Question) -> Result<Answer, HttpError> {
        if self.posts {
            return self.http.request(Method::POST, url, &server.headers, question.form()).await;
        }
        let mark = if url.contains('?') { '&' } else { '?' };
        self.http.get(&format!("{url}{mark}{}", question.query()), &server.headers).await
    }
}

/// Where a server that speaks plain HTTP says that it wants to be asked instead.
fn moved_to_https(url: &str, body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Moved {
        https_port: u16,
    }
    let url: Uri = url.parse().ok().filter(|url: &Uri| url.scheme_str() == Some("http"))?;
    let Moved { https_port } = serde_json::from_slice(body).ok()?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    Some(format!("https://{}:{https_port}{path}", url.host()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_query_or_a_form() {
        let (remote_ip, common_name) = ("127.0.0.1".to_owned(), "a b".to_owned());
        let question = Question { remote_ip, tls: true, common_name, secret: b"s&\xff".to_vec() };
        assert_eq!(question.query(), "common_name=a+b&remote_ip=127.0.0.1&secret=s%26%FF&tls=true");
        let form = r#"{"common_name":["a b"],"remote_ip":["127.0.0.1"],"secret":["s&�"],"tls":["true"]}"#;
        assert_eq!(question.form(), form.as_bytes());
    }

    #[test]
    fn a_server_may_want_to_be_asked_in_https() {
        let moved = |url, body: &str| moved_to_https(url, body.as_bytes());
        assert_eq!(moved("http://a:1/auth", r#"{"https_port": 2}"#).unwrap(), "https://a:2/auth");
        assert_eq!(moved("http://[::1]/x?y=z", r#"{"https_port": 2}"#).unwrap(), "https://[::1]:2/x?y=z");
        assert_eq!(moved("https://a:1/auth", r#"{"https_port": 2}"#), None);
        assert_eq!(moved("http://a:1/auth", "{}"), None);
    }
}
