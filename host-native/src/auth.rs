//! Asking auth servers what a client may do: `--auth-http-address`. When they are asked, and what a client without a grant gets
//! to hear, is the session's ([`sansq_core::session`]); what an answer permits is decided by the regular expressions in it.
//!
//! The secret of a client goes to the servers and nowhere else: no log line has it, nor a URL that it is part of.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use regex::{Regex, RegexBuilder};
use sansq_core::session::{AuthFailed, Grant, Permissions};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::client::http::{Answer, HttpClient, HttpError, check};
use crate::config::NsqdOptions;
use crate::tls::ClientTls;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most that one regular expression may take, compiled.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

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
    #[error("answers {0}")]
    Status(StatusCode),
    #[error("its answer is not what it should be: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("its answer has the ttl {0}; it has to be longer than 0 s")]
    Ttl(i64),
    #[error("its answer has the permission {0:?}; there are subscribe and publish")]
    Permission(String),
    #[error("its answer has a regular expression that is none: {0}")]
    Regex(#[from] regex::Error),
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

/// The servers that are asked, and how. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct AuthServers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    urls: Vec<String>,
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
        let url = |address: &String| {
            let url = if address.contains("://") { address.clone() } else { format!("http://{address}/auth") };
            check(&url).map(|_| url).map_err(BadAddress)
        };
        let urls = options.auth_http_addresses.iter().map(url).collect::<Result<_, _>>()?;
        let named = &options.tls_root_ca_file;
        let tls = ClientTls {
            root_ca_file: (!named.as_os_str().is_empty()).then(|| named.clone()),
            min_version: options.min_tls_version(),
            ..ClientTls::default()
        };
        let http =
            HttpClient::with_tls(options.http_client_connect_timeout, options.http_client_request_timeout, &tls)?;
        let http = http.with_answers_up_to(ANSWER_BYTES_MAX);
        let posts = options.auth_http_request_method == "post";
        Ok(Some(Self(Arc::new(Shared { urls, posts, http, runtime: Handle::current() }))))
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
        let first = RandomState::new().hash_one(0) as usize % self.urls.len();
        let (before, from) = self.urls.split_at(first);
        for url in from.iter().chain(before) {
            match self.ask_one(url, question).await {
                Ok(grant) => return Some(grant),
                Err(refusal) => tracing::error!("AUTH: {url} - {refusal}"),
            }
        }
        None
    }

    async fn ask_one(&self, url: &str, question: &Question) -> Result<Grant, Refusal> {
        let mut answer = self.request(url, question).await?;
        if answer.status == StatusCode::FORBIDDEN
            && let Some(https) = moved_to_https(url, &answer.body)
        {
            answer = self.request(&https, question).await?;
        }
        if answer.status != StatusCode::OK {
            return Err(Refusal::Status(answer.status));
        }
        let body = answer.body;
        let granted = tokio::task::spawn_blocking(move || grant(&body)).await;
        granted.map_err(|error| Refusal::Unreachable(error.to_string()))?
    }

    async fn request(&self, url: &str, question: &Question) -> Result<Answer, HttpError> {
        const VERSION: HeaderValue = HeaderValue::from_static("application/vnd.nsq; version=1.0");
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        let header = |name: HeaderName, value| [(name, value)];
        if self.posts {
            return self.http.request(Method::POST, url, &header(CONTENT_TYPE, JSON), question.form()).await;
        }
        let mark = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{mark}{}", question.query());
        self.http.get(&url, &header(ACCEPT, VERSION)).await
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

#[derive(Deserialize)]
struct GrantAnswer {
    #[serde(default)]
    ttl: i64,
    #[serde(default)]
    identity: String,
    #[serde(default)]
    identity_url: String,
    #[serde(default)]
    authorizations: Option<Vec<Authorization>>,
}

#[derive(Deserialize)]
struct Authorization {
    #[serde(default)]
    topic: String,
    #[serde(default)]
    channels: Option<Vec<String>>,
    #[serde(default)]
    permissions: Option<Vec<String>>,
}

fn grant(body: &[u8]) -> Result<Grant, Refusal> {
    let answer: GrantAnswer = serde_json::from_slice(body)?;
    let ttl = u64::try_from(answer.ttl).ok().filter(|ttl| *ttl > 0).ok_or(Refusal::Ttl(answer.ttl))?;
    let rules = answer.authorizations.unwrap_or_default().iter().map(Rule::new).collect::<Result<Vec<_>, _>>()?;
    Ok(Grant {
        identity: answer.identity,
        identity_url: answer.identity_url,
        permission_count: rules.len(),
        ttl: Duration::from_secs(ttl),
        permissions: Arc::new(Rules(rules)),
    })
}

#[derive(Debug)]
struct Rules(Vec<Rule>);

impl Permissions for Rules {
    fn allow(&self, topic: &str, channel: Option<&str>) -> bool {
        self.0.iter().any(|rule| rule.allows(topic, channel))
    }
}

#[derive(Debug)]
struct Rule {
    topic: Regex,
    channels: Vec<Regex>,
    subscribe: bool,
    publish: bool,
}

impl Rule {
    fn new(authorization: &Authorization) -> Result<Self, Refusal> {
        let regex = |pattern: &str| RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build();
        let mut rule = Self {
            topic: regex(&authorization.topic)?,
            channels: authorization.channels.iter().flatten().map(|it| regex(it)).collect::<Result<_, _>>()?,
            subscribe: false,
            publish: false,
        };
        for permission in authorization.permissions.iter().flatten() {
            match permission.as_str() {
                "subscribe" => rule.subscribe = true,
                "publish" => rule.publish = true,
                other => return Err(Refusal::Permission(other.to_owned())),
            }
        }
        Ok(rule)
    }

    /// Who publishes does so to a channel without a name: one of the channels has to match that, too.
    fn allows(&self, topic: &str, channel: Option<&str>) -> bool {
        let permitted = if channel.is_some() { self.subscribe } else { self.publish };
        let channel = channel.unwrap_or_default();
        permitted && self.topic.is_match(topic) && self.channels.iter().any(|it| it.is_match(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(json: &str) -> Result<Grant, String> {
        grant(json.as_bytes()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn an_answer_says_what_is_permitted() {
        let grant = granted(
            r#"{"ttl": 60, "identity": "ann", "identity_url": "http://ann", "authorizations": [
                {"topic": "^a$", "channels": ["^c$"], "permissions": ["subscribe", "publish"]},
                {"topic": "b", "channels": [".*"], "permissions": ["publish"]},
                {"topic": "d", "permissions": ["publish", "subscribe"]}]}"#,
        )
        .unwrap();
        assert_eq!((grant.identity.as_str(), grant.identity_url.as_str()), ("ann", "http://ann"));
        assert_eq!((grant.permission_count, grant.ttl), (3, Duration::from_secs(60)));
        let allows = |topic, channel| grant.permissions.allow(topic, channel);
        assert!(allows("a", Some("c")) && !allows("a", Some("cc")) && !allows("aa", Some("c")));
        assert!(!allows("a", None), "no channel of the rule matches none");
        assert!(allows("xbx", None) && !allows("xbx", Some("c")), "unanchored, publish only");
        assert!(!allows("d", None) && !allows("d", Some("c")), "without channels nothing is permitted");
    }

    #[test]
    fn answers_that_are_none_are_refused_with_a_reason() {
        for (json, why) in [
            ("", "not what it should be"),
            (r#"{"authorizations": []}"#, "the ttl 0"),
            (r#"{"ttl": -1}"#, "the ttl -1"),
            (r#"{"ttl": "60"}"#, "not what it should be"),
            (r#"{"ttl": 1, "authorizations": [{"permissions": ["read"]}]}"#, "the permission \"read\""),
            (r#"{"ttl": 1, "authorizations": [{"topic": "("}]}"#, "a regular expression that is none"),
            (r#"{"ttl": 1, "authorizations": [{"topic": "((a{99}){99}){99}"}]}"#, "a regular expression that is none"),
        ] {
            let said = granted(json).unwrap_err();
            assert!(said.contains(why), "{json}: {said}");
        }
        assert_eq!(granted(r#"{"ttl": 1, "authorizations": null}"#).unwrap().permission_count, 0);
    }

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
