//! Asking an nsqlookupd for the producers of a topic: `GET /lookup?topic=..`.
//!
//! Addresses are taken as go-nsq takes them: `http://` may be left out, a port may not, and an address without a path
//! has `/lookup`. Answers may have the envelope of nsqlookupd before 1.0.

use hyper::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use sansq_core::cluster::join;
use serde::Deserialize;

use super::http::{HttpClient, check};

/// What to ask.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) client: HttpClient,
    /// As [`normalize`] made it.
    pub(crate) address: String,
    pub(crate) topic: String,
    pub(crate) secret: String,
}

impl Question {
    pub(super) fn url(&self) -> String {
        let separator = if self.address.contains('?') { '&' } else { '?' };
        format!("{}{separator}topic={}", self.address, self.topic.replace('#', "%23"))
    }
}

#[derive(Deserialize)]
struct Producers {
    #[serde(default)]
    producers: Vec<Producer>,
}

#[derive(Deserialize)]
struct Enveloped {
    data: Producers,
}

/// An nsqd that has a topic, as nsqlookupd knows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Producer {
    broadcast_address: String,
    tcp_port: u16,
    #[serde(default)]
    http_port: u16,
}

impl Producer {
    /// Where its HTTP API is.
    pub(crate) fn http_address(&self) -> String {
        join(&self.broadcast_address, self.http_port)
    }
}

/// The URL to ask, without its query. The error is for people.
pub(crate) fn normalize(address: &str) -> Result<String, String> {
    let url = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let uri = check(&url).map_err(|error| error.to_string())?;
    if uri.port().is_none() {
        return Err(format!("{address:?}: missing port"));
    }
    let (scheme, authority) = (uri.scheme_str().unwrap_or("http"), uri.authority().map_or("", |it| it.as_str()));
    let path = if matches!(uri.path(), "" | "/") { "/lookup" } else { uri.path() };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{scheme}://{authority}{path}{query}"))
}

/// Asks: the nsqds that have the topic, as `host:port`. The error is for people.
pub(super) async fn ask(question: &Question) -> Result<Vec<String>, String> {
    let producers = producers(question).await?;
    Ok(producers.into_iter().map(|it| join(&it.broadcast_address, it.tcp_port)).collect())
}

/// Asks: the nsqds that have the topic. The error is for people.
pub(crate) async fn producers(question: &Question) -> Result<Vec<Producer>, String> {
    let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/vnd.nsq; version=1.0"))];
    headers.extend(authorization(&question.secret));
    let url = question.url();
    let answer = question.client.get(&url, &headers).await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("{url}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)));
    }
    let plain = answer.headers.contains_key("x-nsq-content-type");
    read(&answer.body, plain).map_err(|error| format!("{url}: not an answer of nsqlookupd: {error}"))
}

fn authorization(secret: &str) -> Option<(HeaderName, HeaderValue)> {
    if secret.is_empty() {
        return None;
    }
    Some((AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {secret}")).ok()?))
}

fn read(body: &[u8], plain: bool) -> Result<Vec<Producer>, serde_json::Error> {
    if !plain && let Ok(enveloped) = serde_json::from_slice::<Enveloped>(body) {
        return Ok(enveloped.data.producers);
    }
    serde_json::from_slice::<Producers>(body).map(|answer| answer.producers)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn addresses_become_urls() {
        for (address, url) in [
            ("127.0.0.1:4161", "http://127.0.0.1:4161/lookup"),
            ("http://lookup:4161/", "http://lookup:4161/lookup"),
            ("https://lookup:4161", "https://lookup:4161/lookup"),
            ("http://lookup:4161/a/lookup?x=1", "http://lookup:4161/a/lookup?x=1"),
        ] {
            assert_eq!(normalize(address).as_deref(), Ok(url));
        }
        assert!(normalize("lookup").unwrap_err().contains("missing port"));
        assert!(normalize("ftp://lookup:1").unwrap_err().contains("it has to begin with http:// or https://"));
        let client = HttpClient::new(Duration::from_secs(1), Duration::from_secs(1));
        let question = |address: &str| Question {
            client: client.clone(),
            address: address.to_owned(),
            topic: "t#ephemeral".to_owned(),
            secret: String::new(),
        };
        assert_eq!(question("http://a:1/lookup").url(), "http://a:1/lookup?topic=t%23ephemeral");
        assert_eq!(question("http://a:1/lookup?x=1").url(), "http://a:1/lookup?x=1&topic=t%23ephemeral");
    }

    #[test]
    fn answers_come_plain_or_in_an_envelope() {
        let plain = r#"{"channels":["c"],"producers":[{"broadcast_address":"::1","tcp_port":4150}]}"#;
        let enveloped = format!(r#"{{"status_code":200,"status_txt":"OK","data":{plain}}}"#);
        for (body, is_plain) in [(plain, true), (plain, false), (&enveloped, false)] {
            let producers = read(body.as_bytes(), is_plain).unwrap();
            assert_eq!(join(&producers[0].broadcast_address, producers[0].tcp_port), "[::1]:4150");
        }
        assert!(read(b"no JSON", true).is_err());
    }
}
