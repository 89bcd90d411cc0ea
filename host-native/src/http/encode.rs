//! Responses as bytes, the head spelt as the reference's clients are used to: `Content-Length`, not `content-length`.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, TRANSFER_ENCODING};
use hyper::{Method, StatusCode, http};

use super::head::Version;
use super::respond::Body;

/// A date as headers have it: `Sun, 06 Nov 1994 08:49:37 GMT`.
const DATE_BYTES: usize = 29;

/// What of a connection matters to the head of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) version: Version,
    /// The client is to send more requests on this connection.
    pub(super) keep_alive: bool,
}

impl Terms {
    /// What is said of the connection: only what the version does not imply.
    fn connection(self) -> Option<&'static [u8]> {
        match (self.version, self.keep_alive) {
            (Version::Http11, false) => Some(b"close"),
            (Version::Http10, true) => Some(b"keep-alive"),
            (Version::Http11, true) | (Version::Http10, false) => None,
        }
    }
}

/// Whether a response has no body, whatever its head says.
pub(super) fn is_bodiless(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || is_never_followed(status)
}

fn is_never_followed(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// The head of a response. The headers that say where the body ends and what becomes of the connection are made here.
pub(super) fn head(parts: &http::response::Parts, body: &Body, terms: Terms) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(match terms.version {
        Version::Http10 => b"HTTP/1.0 ",
        Version::Http11 => b"HTTP/1.1 ",
    });
    out.extend_from_slice(parts.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(parts.status).as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &parts.headers {
        if ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, DATE].contains(name) {
            line(&mut out, name, value.as_bytes());
        }
    }
    if let Some(connection) = terms.connection() {
        line(&mut out, &CONNECTION, connection);
    }
    match body {
        _ if is_never_followed(parts.status) => {}
        Body::Whole(bytes) => line(&mut out, &CONTENT_LENGTH, bytes.len().to_string().as_bytes()),
        Body::Pieces(pieces) => line(&mut out, &CONTENT_LENGTH, pieces.len().to_string().as_bytes()),
        Body::Parts(_) if terms.version == Version::Http11 => line(&mut out, &TRANSFER_ENCODING, b"chunked"),
        // Its end is that of the connection.
        Body::Parts(_) => {}
    }
    line(&mut out, &DATE, &date());
    out.extend_from_slice(b"\r\n");
    out
}

/// A part of a chunked body. An empty one would be the end, which is `None`.
pub(super) fn chunk(part: Option<&Bytes>) -> (Vec<u8>, &'static [u8]) {
    match part {
        Some(part) => (format!("{:x}\r\n", part.len()).into_bytes(), b"\r\n"),
        None => (b"0\r\n\r\n".to_vec(), b""),
    }
}

/// The reference's words, which are those of Go.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        other => other.canonical_reason().unwrap_or("status"),
    }
}

fn line(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    let mut starts = true;
    for byte in name.as_str().bytes() {
        out.push(if starts { byte.to_ascii_uppercase() } else { byte });
        starts = byte == b'-';
    }
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The date, made once a second on each thread.
fn date() -> [u8; DATE_BYTES] {
    thread_local! {
        static LAST: Cell<(u64, [u8; DATE_BYTES])> = const { Cell::new((u64::MAX, [0; DATE_BYTES])) };
    }
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (made, date) = LAST.get();
    if made == second {
        return date;
    }
    let date = date_of(second);
    LAST.set((second, date));
    date
}

/// The date of a Unix time; of one that calendars do not reach, that of 1970.
fn date_of(second: u64) -> [u8; DATE_BYTES] {
    let timestamp = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    let text = printer.timestamp_to_rfc9110_string(&timestamp.unwrap_or_default()).ok();
    let date = text.and_then(|text| text.into_bytes().try_into().ok());
    date.unwrap_or(*b"Thu, 01 Jan 1970 00:00:00 GMT")
}

#[cfg(test)]
mod tests {
    use super::super::respond::{Decoration, Reply, close, dress};
    use super::*;

    fn show(answer: super::super::respond::Answer, version: Version, keep_alive: bool) -> String {
        let (parts, body) = answer.into_parts();
        let head = String::from_utf8(head(&parts, &body, Terms { version, keep_alive })).unwrap();
        let lines = head.lines().filter(|line| !line.starts_with("Date: "));
        lines.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn heads_are_spelt_as_the_reference_spells_them() {
        let ok = || dress(Decoration::V1, Ok(Reply::OK));
        let (text, nsq) = ("Content-Type: text/plain; charset=utf-8", "X-Nsq-Content-Type: nsq; version=1.0");
        for (version, keep_alive, line, connection) in [
            (Version::Http11, true, "HTTP/1.1 200 OK", ""),
            (Version::Http11, false, "HTTP/1.1 200 OK", "Connection: close|"),
            (Version::Http10, true, "HTTP/1.0 200 OK", "Connection: keep-alive|"),
            (Version::Http10, false, "HTTP/1.0 200 OK", ""),
        ] {
            let expected = format!("{line}|{text}|{nsq}|{connection}Content-Length: 2|");
            assert_eq!(show(ok(), version, keep_alive), expected);
        }
        let once = show(close(ok()), Version::Http11, false);
        assert_eq!(once.matches("Connection").count(), 1, "{once}");
    }

    #[test]
    fn a_stream_ends_with_its_last_chunk_or_with_the_connection() {
        let stream = || *Reply::stream("text/event-stream", futures::stream::empty());
        let kind = "200 OK|Content-Type: text/event-stream|";
        let chunked = format!("HTTP/1.1 {kind}Transfer-Encoding: chunked|");
        assert_eq!(show(stream(), Version::Http11, true), chunked);
        assert_eq!(show(stream(), Version::Http10, false), format!("HTTP/1.0 {kind}"));
        assert_eq!(chunk(Some(&Bytes::from_static(&[0; 300]))), (b"12c\r\n".to_vec(), &b"\r\n"[..]));
        assert_eq!(chunk(None).0, b"0\r\n\r\n");
    }

    #[test]
    fn what_has_no_body_does_not_announce_one() {
        let mut answer = dress(Decoration::Raw, Ok(Reply::Empty));
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        assert_eq!(show(answer, Version::Http11, true), "HTTP/1.1 304 Not Modified|");
    }

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(&date_of(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&date_of(u64::MAX), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date().len(), DATE_BYTES);
    }
}
