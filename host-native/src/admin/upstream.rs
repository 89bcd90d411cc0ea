//! Asking nsqlookupds and nsqds: all that are concerned at once, and what comes of it when some do not answer.

use std::fmt;
use std::future::Future;
use std::io::BufReader;

use futures::StreamExt as _;
use hyper::Method;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use hyper::{StatusCode, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use bytes::Bytes;

use crate::client::http::{BodyParts, HttpClient};
use crate::http::query::encode_segment;
use crate::http::respond::Failure;
use crate::http::token::Token;

/// Bytes of an answer that are decoded at a time.
const READ_BYTES: usize = 16 * 1024;
/// Requests under way for one question.
const AT_ONCE_MAX: usize = 64;

/// The client with which everybody is asked.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) http: HttpClient,
}

/// Why one of them is no help.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// What it answered, if it did.
    pub(super) status: Option<StatusCode>,
    text: String,
}

impl Trouble {
    /// It did not answer.
    pub(super) fn new(text: String) -> Self {
        Self { status: None, text }
    }

    /// The same trouble in other words.
    pub(super) fn reworded(self, text: String) -> Self {
        Self { text, ..self }
    }

    /// Whether its answer says `word`.
    pub(super) fn says(&self, word: &str) -> bool {
        self.text.contains(word)
    }

    /// It answered that it has nothing at that path.
    pub(super) fn is_unknown_path(&self) -> bool {
        self.status == Some(StatusCode::NOT_FOUND) && self.text.contains(r#"\"NOT_FOUND\""#)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What came of asking several.
#[derive(Debug)]
pub(super) struct Gathered<T> {
    /// By whom.
    pub(super) found: Vec<(String, T)>,
    /// In the order in which they were asked.
    pub(super) troubles: Vec<Trouble>,
}

/// What went wrong on the way to an answer that is good for something still: a group for each question.
#[derive(Debug, Default)]
pub(super) struct Warnings(Vec<String>);

impl Warnings {
    /// Notes all of `troubles`.
    pub(super) fn note(&mut self, troubles: &[Trouble]) {
        if !troubles.is_empty() {
            tracing::warn!("{}", joined(troubles));
        }
        self.note_quietly(troubles);
    }

    /// The same for what is logged elsewhere.
    pub(super) fn note_quietly(&mut self, troubles: &[Trouble]) {
        if !troubles.is_empty() {
            self.0.push(joined(troubles));
        }
    }

    /// For `message`: empty if there was nothing.
    pub(super) fn message(&self) -> String {
        if self.0.is_empty() { String::new() } else { format!("WARNING: {}", self.0.join("; ")) }
    }
}

fn joined(troubles: &[Trouble]) -> String {
    troubles.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What nobody of those asked could answer. `who`: nsqd or nsqlookupd.
pub(super) fn nobody(who: &str, troubles: &[Trouble]) -> Failure {
    let text = format!("UPSTREAM_ERROR: failed to query any {who}: {}", joined(troubles));
    Failure { status: StatusCode::BAD_GATEWAY, message: text.into() }
}

impl<T> Gathered<T> {
    /// The answers. If some are missing, that is a warning; if all are, it is an error. Having asked nobody is neither.
    pub(super) fn settle(self, who: &str, warnings: &mut Warnings) -> Result<Vec<(String, T)>, Failure> {
        if self.found.is_empty() && !self.troubles.is_empty() {
            return Err(nobody(who, &self.troubles));
        }
        warnings.note(&self.troubles);
        Ok(self.found)
    }
}

/// Asks everybody at `addresses`, at once.
pub(super) async fn gather<T, F: Future<Output = Result<T, Trouble>>>(
    addresses: &[String],
    ask: impl Fn(String) -> F,
) -> Gathered<T> {
    let asked: Vec<_> = addresses.iter().map(|address| named(address.clone(), ask(address.clone()))).collect();
    let answers: Vec<_> = futures::stream::iter(asked).buffered(AT_ONCE_MAX).collect().await;
    let mut gathered = Gathered { found: Vec::new(), troubles: Vec::new() };
    for (address, answer) in answers {
        match answer {
            Ok(answer) => gathered.found.push((address, answer)),
            Err(trouble) => gathered.troubles.push(trouble),
        }
    }
    gathered
}

async fn named<T>(name: String, answer: impl Future<Output = T>) -> (String, T) {
    (name, answer.await)
}

impl Upstream {
    pub(super) fn new(http: HttpClient) -> Self {
        Self { http }
    }

    /// GET of `target`, which begins with a slash: the JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, address: &str, target: &str) -> Result<T, Trouble> {
        let body = self.ask(None, Method::GET, address, target).await?;
        let body = BufReader::with_capacity(READ_BYTES, body);
        serde_json::from_reader(body).map_err(|error| Trouble::new(format!("http://{address}{target}: {error}")))
    }

    /// POST of `target`.
    pub(super) async fn post(&self, address: &str, target: &str) -> Result<(), Trouble> {
        self.send(Method::POST, address, target).await.map(drop)
    }

    /// The body of the answer.
    pub(super) async fn send(&self, method: Method, address: &str, target: &str) -> Result<Bytes, Trouble> {
        self.send_with(None, method, address, target).await
    }

    /// The same. Who asks for a token is shown `token`, and only then: over HTTPS if that is required, and not to those that
    /// would not know what it is.
    pub(super) async fn send_with(
        &self,
        token: Option<&Token>,
        method: Method,
        address: &str,
        target: &str,
    ) -> Result<Bytes, Trouble> {
        self.ask(token, method, address, target).await.map(BodyParts::into_bytes)
    }

    /// The same in parts.
    async fn ask(
        &self,
        token: Option<&Token>,
        method: Method,
        address: &str,
        target: &str,
    ) -> Result<BodyParts, Trouble> {
        let mut url = format!("http://{address}{target}");
        tracing::debug!("CI: querying {url}");
        let (mut status, mut body) = self.exchange(method.clone(), &url, None).await?;
        if status == StatusCode::FORBIDDEN {
            let refusal = body.into_bytes();
            let Some(secure) = over_https(&url, &refusal) else { return Err(refused(status, &refusal)) };
            url = secure;
            (status, body) = self.exchange(method.clone(), &url, None).await?;
        }
        if status == StatusCode::UNAUTHORIZED
            && let Some(token) = token
        {
            (status, body) = self.exchange(method, &url, token.header()).await?;
        }
        if status == StatusCode::OK { Ok(body) } else { Err(refused(status, &body.into_bytes())) }
    }

    async fn exchange(
        &self,
        method: Method,
        url: &str,
        token: Option<HeaderValue>,
    ) -> Result<(StatusCode, BodyParts), Trouble> {
        let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/vnd.nsq; version=1.0"))];
        headers.extend(token.map(|token| (AUTHORIZATION, token)));
        let answer = self.http.request_in_parts(method, url, &headers, Bytes::new()).await;
        let (head, body) = answer.map_err(|error| Trouble::new(error.to_string()))?;
        Ok((head.status, body))
    }
}

fn refused(status: StatusCode, body: &[u8]) -> Trouble {
    let text = format!("got response {status} {:?}", String::from_utf8_lossy(body));
    Trouble { status: Some(status), text }
}

/// Where the same is found over HTTPS, if the refusal `body` says so.
fn over_https(url: &str, body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        https_port: u16,
    }
    let Refusal { https_port } = serde_json::from_slice(body).ok()?;
    let uri: Uri = url.parse().ok()?;
    Some(format!("https://{}:{https_port}{}", uri.host()?, uri.path_and_query()?))
}

/// A query string, with names and values as they are.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={}", encode_segment(value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn trouble(text: &str) -> Trouble {
        Trouble { status: None, text: text.to_owned() }
    }

    #[test]
    fn some_missing_is_a_warning_and_all_missing_an_error() {
        let mut warnings = Warnings::default();
        assert_eq!(warnings.message(), "");
        let some = Gathered { found: vec![("a".to_owned(), 1)], troubles: vec![trouble("x"), trouble("y")] };
        assert_eq!(some.settle("nsqd", &mut warnings).unwrap(), [("a".to_owned(), 1)]);
        warnings.note(&[trouble("z")]);
        assert_eq!(warnings.message(), "WARNING: x\ny; z");
        let all = Gathered::<()> { found: Vec::new(), troubles: vec![trouble("x"), trouble("y")] };
        let failure = all.settle("nsqlookupd", &mut warnings).unwrap_err();
        assert_eq!(
            (failure.status.as_u16(), &*failure.message),
            (502, "UPSTREAM_ERROR: failed to query any nsqlookupd: x\ny")
        );
        let nobody = Gathered::<()> { found: Vec::new(), troubles: Vec::new() };
        assert!(nobody.settle("nsqd", &mut warnings).unwrap().is_empty());
    }

    /// Answers one request after the other with these statuses: the heads of the requests, in lower case.
    async fn asked(statuses: &[u16]) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "sesame").unwrap();
        let token = Token::read(file.path()).unwrap();
        let second = Duration::from_secs(20);
        let upstream = Upstream::new(HttpClient::new(second, second));
        let serving = async {
            let mut heads = Vec::new();
            for status in statuses {
                let mut stream = listener.accept().await.unwrap().0;
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                heads.push(String::from_utf8(head).unwrap().to_lowercase());
                let answer = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            heads
        };
        tokio::join!(serving, upstream.send_with(Some(&token), Method::GET, &address, "/topic/peek")).0
    }

    #[tokio::test]
    async fn a_token_is_shown_to_those_who_ask_for_it() {
        for status in [200, 403, 404] {
            assert!(!asked(&[status]).await[0].contains("authorization"), "{status}");
        }
        let heads = asked(&[401, 200]).await;
        let shown = heads.iter().map(|head| head.contains("\r\nauthorization: bearer sesame\r\n"));
        assert_eq!(shown.collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn an_nsqd_that_requires_tls_says_where() {
        let body = br#"{"message": "TLS_REQUIRED", "https_port": 4152}"#;
        let found = |url: &str| over_https(url, body);
        assert_eq!(found("http://a:4151/stats?x=1").unwrap(), "https://a:4152/stats?x=1");
        assert_eq!(found("http://[::1]:4151/info").unwrap(), "https://[::1]:4152/info");
        assert_eq!(over_https("http://a:4151/", br#"{"message":"FORBIDDEN"}"#), None);
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(
            query(&[("topic", "t#ephemeral"), ("node", "[::1]:1")]),
            "topic=t%23ephemeral&node=%5B%3A%3A1%5D%3A1"
        );
    }
}
