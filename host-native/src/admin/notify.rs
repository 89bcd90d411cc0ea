//! Telling `--notification-http-endpoint` of each action: one POST after the other, in the background. What the endpoint answers
//! is of no interest; one that cannot be reached is logged, and [`WAITING_MAX`] notifications wait for one that is slow.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde::Serialize;
use tokio::sync::mpsc;

use super::acl;
use crate::client::http::HttpClient;
use crate::config::{NsqadminOptions, hostname};
use crate::http::target::Target;
use crate::http::{Peer, json};

/// Notifications that wait for the endpoint; what comes after them is dropped, and logged.
const WAITING_MAX: usize = 1000;

/// Who asks for something, as far as a request says.
#[derive(Clone, Copy)]
pub(super) struct Requester<'a> {
    pub(super) peer: &'a Peer,
    pub(super) headers: &'a HeaderMap,
    pub(super) target: &'a Target,
}

/// What was done, to what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deed<'a> {
    pub(super) action: &'static str,
    pub(super) topic: &'a str,
    /// Empty for none.
    pub(super) channel: &'a str,
    /// Empty for none.
    pub(super) node: &'a str,
}

/// As it is sent.
#[derive(Debug, PartialEq, Serialize)]
struct Notification {
    action: &'static str,
    topic: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    node: String,
    /// Unix time.
    timestamp: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    /// `ip:port`.
    remote_ip: String,
    user_agent: String,
    /// Of the request.
    url: String,
    /// This host.
    via: String,
}

/// Where actions are told.
pub(super) struct Notifier {
    queue: Option<mpsc::Sender<Notification>>,
}

impl Notifier {
    /// One that tells `--notification-http-endpoint`, if there is one, and the task that does it.
    pub(super) fn new(options: &NsqadminOptions, http: HttpClient) -> (Self, Option<impl Future<Output = ()> + use<>>) {
        if options.notification_http_endpoint.is_empty() {
            return (Self { queue: None }, None);
        }
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        (Self { queue: Some(queue) }, Some(tell(options.notification_http_endpoint.clone(), http, waiting)))
    }

    /// Tells of `deed`, sometime.
    pub(super) fn note(&self, options: &NsqadminOptions, deed: Deed<'_>, by: Requester<'_>) {
        let Some(queue) = &self.queue else { return };
        if queue.try_send(Notification::new(options, deed, by)).is_err() {
            tracing::error!("NOTIFICATION: {} of {:?} is not told, too many wait", deed.action, deed.topic);
        }
    }
}

/// Sends what waits, until nobody adds to it.
async fn tell(endpoint: String, http: HttpClient, mut waiting: mpsc::Receiver<Notification>) {
    const HEADERS: [(HeaderName, HeaderValue); 1] = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    while let Some(notification) = waiting.recv().await {
        let Ok(body) = json::encode(&notification) else { continue };
        if let Err(error) = http.request(Method::POST, &endpoint, &HEADERS, Bytes::from(body)).await {
            tracing::error!("NOTIFICATION: {} of {:?}: {error}", notification.action, notification.topic);
        }
    }
}

impl Notification {
    fn new(options: &NsqadminOptions, deed: Deed<'_>, by: Requester<'_>) -> Self {
        let header = |name| text(by.headers, &name).unwrap_or_default();
        let secure = by.peer.secure || header(HeaderName::from_static("x-scheme")) == "https";
        let target = by.target.as_str();
        let user = basic_user(by.headers).or_else(|| acl::user(options, by.headers).map(str::to_owned));
        Self {
            action: deed.action,
            topic: deed.topic.to_owned(),
            channel: deed.channel.to_owned(),
            node: deed.node.to_owned(),
            timestamp: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            user: user.unwrap_or_default(),
            remote_ip: by.peer.address.clone(),
            user_agent: header(USER_AGENT).to_owned(),
            url: format!("{}://{}{target}", if secure { "https" } else { "http" }, header(HOST)),
            via: hostname(),
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The name in an `Authorization` of the kind that a proxy passes on with the password it has checked.
fn basic_user(headers: &HeaderMap) -> Option<String> {
    let decoded = STANDARD.decode(text(headers, &AUTHORIZATION)?.strip_prefix("Basic ")?).ok()?;
    let (user, _) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_says_who_did_what() {
        let headers = HeaderMap::from_iter([
            (HOST, HeaderValue::from_static("adm:4171")),
            (USER_AGENT, HeaderValue::from_static("curl")),
            (AUTHORIZATION, HeaderValue::from_static("Basic YW5uOnNlY3JldDp4")),
            (HeaderName::from_static("x-scheme"), HeaderValue::from_static("https")),
        ]);
        let peer = Peer { address: "10.0.0.1:5".to_owned(), secure: false, loopback: false };
        let target = Target::new(b"/api/topics/t?x=1");
        let by = Requester { peer: &peer, headers: &headers, target: &target };
        let deed = Deed { action: "pause_topic", topic: "t", ..Deed::default() };
        let told = Notification::new(&NsqadminOptions::default(), deed, by);
        let json = String::from_utf8(json::encode(&told).unwrap()).unwrap();
        let expected = format!(
            r#"{{"action":"pause_topic","topic":"t","timestamp":{},"user":"ann","remote_ip":"10.0.0.1:5","user_agent":"curl","url":"https://adm:4171/api/topics/t?x=1","via":"{}"}}"#,
            told.timestamp,
            hostname()
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn users_come_from_passwords_or_from_the_proxy() {
        let headers = |name: HeaderName, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        assert_eq!(basic_user(&headers(AUTHORIZATION, "Basic YW5uOg==")).as_deref(), Some("ann"));
        for bad in ["Bearer YW5uOg==", "Basic !", "Basic YW5u", "Basic"] {
            assert_eq!(basic_user(&headers(AUTHORIZATION, bad)), None, "{bad}");
        }
    }
}
