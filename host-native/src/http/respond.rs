//! What endpoints answer, and how it is dressed for the wire (the reference's `internal/http_api/api_response.go`).

use std::borrow::Cow;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;

use super::head::BadHead;
use super::json;
use super::pieces::Pieces;

/// A response ready to go.
pub(crate) type Answer = Response<Body>;
/// What of a response comes bit by bit.
pub(crate) type Parts = BoxStream<'static, Bytes>;
/// The body of a response.
pub(crate) enum Body {
    /// All of it.
    Whole(Bytes),
    /// All of it, and much.
    Pieces(Pieces),
    /// Bit by bit.
    Parts(Parts),
}

impl From<Pieces> for Body {
    /// What is short is written together with its head.
    fn from(pieces: Pieces) -> Self {
        pieces.into_short().map_or_else(Self::Pieces, Self::Whole)
    }
}

/// What an endpoint comes to.
pub(crate) type Outcome = Result<Reply, Failure>;

const NSQ_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-nsq-content-type");
const VERSION_1: HeaderValue = HeaderValue::from_static("nsq; version=1.0");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// How answers are dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoration {
    /// `X-NSQ-Content-Type`, and errors as JSON.
    V1,
    /// As they are.
    Plain,
    /// As they are; for tools that are not NSQ's.
    Raw,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => f.debug_tuple("Whole").field(bytes).finish(),
            Self::Pieces(pieces) => write!(f, "Pieces({})", pieces.len()),
            Self::Parts(_) => f.write_str("Parts"),
        }
    }
}

/// Success.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Done; nothing to say.
    Empty,
    /// Text, as it is.
    Text(Cow<'static, str>),
    /// Text of a kind of its own.
    Typed(&'static str, String),
    /// JSON, encoded.
    Json(Vec<u8>),
    /// A response that needs headers of its own.
    Ready(Box<Answer>),
}

impl Reply {
    /// The usual answer to a publish.
    pub(crate) const OK: Self = Self::Text(Cow::Borrowed("OK"));

    /// A response with this much of a head.
    pub(crate) fn ready(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Box<Answer> {
        Box::new(plain(status, Some(HeaderValue::from_static(kind)), body.into()))
    }

    /// A response whose body comes bit by bit. Nothing is asked of `parts` while the client takes nothing.
    pub(crate) fn stream(kind: &'static str, parts: impl Stream<Item = Bytes> + Send + 'static) -> Box<Answer> {
        let mut answer = Response::new(Body::Parts(parts.boxed()));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Box::new(answer)
    }

    /// `value` as JSON, which may be very long.
    pub(crate) fn long_json(value: &impl Serialize) -> Outcome {
        let mut pieces = Pieces::default();
        json::encode_to(&mut pieces, value).map_err(|error| {
            tracing::error!("failed to encode a response - {error}");
            Failure::INTERNAL
        })?;
        let mut answer = Response::new(Body::from(pieces));
        answer.headers_mut().insert(CONTENT_TYPE, JSON);
        Ok(Self::Ready(Box::new(answer)))
    }

    /// What the response will say.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Empty | Self::Text(_) | Self::Typed(..) | Self::Json(_) => StatusCode::OK,
            Self::Ready(answer) => answer.status(),
        }
    }

    /// `value` as JSON.
    pub(crate) fn json(value: &impl Serialize) -> Outcome {
        json::encode(value).map(Self::Json).map_err(|error| {
            tracing::error!("failed to encode a response - {error}");
            Failure::INTERNAL
        })
    }
}

/// Failure, in the reference's words where it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) message: Cow<'static, str>,
}

impl Failure {
    /// Not the client's fault.
    pub(crate) const INTERNAL: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR");
    /// No such path.
    pub(crate) const NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "NOT_FOUND");
    /// The query cannot be decoded.
    pub(crate) const INVALID_REQUEST: Self = Self::bad("INVALID_REQUEST");

    pub(crate) const fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message: Cow::Borrowed(message) }
    }

    /// 400.
    pub(crate) const fn bad(message: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 413.
    pub(crate) const fn too_large(message: &'static str) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }
}

/// The response for `outcome`.
pub(crate) fn dress(decoration: Decoration, outcome: Outcome) -> Answer {
    let mut answer = undressed(decoration, outcome);
    if decoration == Decoration::V1 {
        answer.headers_mut().insert(NSQ_CONTENT_TYPE, VERSION_1);
    }
    answer
}

fn undressed(decoration: Decoration, outcome: Outcome) -> Answer {
    let (status, content_type, body) = match outcome {
        Ok(Reply::Ready(answer)) => return *answer,
        Ok(Reply::Empty) => (StatusCode::OK, None, Bytes::new()),
        // Like Go, nothing is labelled nothing.
        Ok(Reply::Text(text)) if text.is_empty() => (StatusCode::OK, None, Bytes::new()),
        Ok(Reply::Text(text)) => (StatusCode::OK, Some(TEXT), into_bytes(text)),
        Ok(Reply::Typed(kind, text)) => (StatusCode::OK, Some(HeaderValue::from_static(kind)), text.into()),
        Ok(Reply::Json(body)) => (StatusCode::OK, Some(JSON), body.into()),
        Err(failure) if decoration == Decoration::V1 => (failure.status, Some(JSON), error_body(&failure.message)),
        Err(failure) => (failure.status, Some(TEXT), into_bytes(failure.message)),
    };
    let mut answer = plain(status, content_type, body);
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

fn plain(status: StatusCode, content_type: Option<HeaderValue>, body: Bytes) -> Answer {
    let mut answer = Response::new(Body::Whole(body));
    *answer.status_mut() = status;
    if let Some(content_type) = content_type {
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    answer
}

fn into_bytes(text: Cow<'static, str>) -> Bytes {
    match text {
        Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
        Cow::Owned(text) => text.into(),
    }
}

fn error_body(message: &str) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a str,
    }
    // Writing a string into memory cannot fail; an empty body would still carry the status.
    json::encode(&Body { message }).unwrap_or_default().into()
}

/// The answer to `OPTIONS`.
pub(crate) fn options(methods: &str) -> Answer {
    allow(plain(StatusCode::OK, None, Bytes::new()), methods)
}

/// The answer to `OPTIONS *`, which is about no path.
pub(super) fn options_of_all() -> Answer {
    plain(StatusCode::OK, None, Bytes::new())
}

/// The answer to a method that a path does not have.
pub(crate) fn wrong_method(methods: &str) -> Answer {
    let failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED");
    allow(dress(Decoration::V1, Err(failure)), methods)
}

fn allow(mut answer: Answer, methods: &str) -> Answer {
    if let Ok(methods) = HeaderValue::from_str(methods) {
        answer.headers_mut().insert(ALLOW, methods);
    }
    answer
}

/// Sends the client to `path` with the query it came with. Only GET may be repeated freely, so others are told to keep
/// their method.
pub(crate) fn redirect(method: &Method, path: String, query: Option<&str>) -> Answer {
    let location = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut answer = if method == Method::GET {
        let link = location.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;");
        let page = format!("<a href=\"{link}\">Moved Permanently</a>.\n\n");
        plain(StatusCode::MOVED_PERMANENTLY, Some(HTML), page.into())
    } else {
        plain(StatusCode::TEMPORARY_REDIRECT, None, Bytes::new())
    };
    if let Ok(location) = HeaderValue::from_str(&location) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

/// The answer to a target with a bad escape in its path.
pub(crate) fn bad_target() -> Answer {
    close(plain(StatusCode::BAD_REQUEST, Some(TEXT), Bytes::from_static(b"400 Bad Request")))
}

/// The answer to a head that is none. It is the last one on its connection.
pub(super) fn bad_head(bad: BadHead) -> Answer {
    close(plain(bad.status, (!bad.text.is_empty()).then_some(TEXT), Bytes::from_static(bad.text.as_bytes())))
}

/// The answer to everything on plain HTTP when TLS is required. The spaces are the reference's.
pub(crate) fn tls_required(https_port: u16) -> Answer {
    let body = format!(r#"{{"message": "TLS_REQUIRED", "https_port": {https_port}}}"#);
    let mut answer = plain(StatusCode::FORBIDDEN, Some(JSON), body.into());
    answer.headers_mut().insert(NSQ_CONTENT_TYPE, VERSION_1);
    answer
}

/// The same answer, and the last one on its connection.
pub(crate) fn close(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Whether `answer` was made the last one on its connection.
pub(super) fn is_last(answer: &Answer) -> bool {
    answer.headers().contains_key(CONNECTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(answer: Answer) -> String {
        let mut text = answer.status().as_u16().to_string();
        for (name, value) in answer.headers() {
            text += &format!(" {name}={}", value.to_str().unwrap());
        }
        let Body::Whole(body) = answer.into_body() else { panic!("it comes bit by bit") };
        text + " | " + std::str::from_utf8(&body).unwrap()
    }

    #[test]
    fn v1_labels_everything() {
        let v1 = |outcome| show(dress(Decoration::V1, outcome));
        let nsq = "x-nsq-content-type=nsq; version=1.0";
        assert_eq!(v1(Ok(Reply::OK)), format!("200 content-type=text/plain; charset=utf-8 {nsq} | OK"));
        assert_eq!(v1(Ok(Reply::Empty)), format!("200 {nsq} | "));
        assert_eq!(v1(Ok(Reply::Text("".into()))), format!("200 {nsq} | "));
        let json = "content-type=application/json; charset=utf-8";
        assert_eq!(v1(Reply::json(&["<"])), format!("200 {json} {nsq} | [\"\\u003c\"]"));
        assert_eq!(v1(Err(Failure::NOT_FOUND)), format!("404 {json} {nsq} | {{\"message\":\"NOT_FOUND\"}}"));
    }

    #[test]
    fn plain_text_is_left_alone() {
        let text = "content-type=text/plain; charset=utf-8";
        assert_eq!(show(dress(Decoration::Plain, Ok(Reply::OK))), format!("200 {text} | OK"));
        let failure = Failure { message: "NOK - <disk>".into(), ..Failure::INTERNAL };
        assert_eq!(show(dress(Decoration::Plain, Err(failure))), format!("500 {text} | NOK - <disk>"));
    }

    #[test]
    fn redirects_keep_the_query() {
        let page = r#"301 content-type=text/html; charset=utf-8 location=/ping?x=<&y | <a href="/ping?x=&lt;&amp;y">"#;
        let answer = show(redirect(&Method::GET, "/ping".into(), Some("x=<&y")));
        assert_eq!(answer, format!("{page}Moved Permanently</a>.\n\n"));
        assert_eq!(show(redirect(&Method::POST, "/pub".into(), None)), "307 location=/pub | ");
    }

    #[test]
    fn the_gate_keeps_the_reference_spaces() {
        let body = "{\"message\": \"TLS_REQUIRED\", \"https_port\": 4152}";
        assert!(show(tls_required(4152)).ends_with(&format!("| {body}")));
    }
}
