//! The head of a request: its first line and its headers, and what they say of the body and the connection.
//!
//! It is read here and nowhere else, and what is not sure to mean one thing is refused: if a proxy before us could see a
//! request end elsewhere, a body of one client could pass for the request of another. Header lines are `httparse`'s to read.
//! Refusals are those of the reference (Go's `net/http`), but for lines that are continued on the next, which only Go joins,
//! and for a `Transfer-Encoding` in HTTP/1.0, which Go ignores.

use hyper::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, StatusCode};

use super::target::{Destination, Target};

/// Header lines that are read without an allocation of their own.
const USUAL_LINES: usize = 64;

/// The head of a request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: HeaderMap,
    pub(super) version: Version,
    pub(super) framing: Framing,
    /// The client may send another request on this connection.
    pub(super) keep_alive: bool,
    /// The client waits to be told before it sends the body.
    pub(super) held_back: bool,
}

/// The version of HTTP a client speaks. Later minor versions than 1.1 are 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With its last chunk.
    Chunked,
}

/// Why a head is refused. Its connection ends with the answer, since nobody knows where the next request begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadHead {
    pub(super) status: StatusCode,
    pub(super) text: &'static str,
}

impl BadHead {
    /// There is more of it than is read.
    pub(super) const TOO_LARGE: Self =
        Self { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text: "431 Request Header Fields Too Large" };
    const BAD: Self = Self::bad("400 Bad Request");
    const VERSION: Self = Self {
        status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        text: "505 HTTP Version Not Supported: unsupported protocol version",
    };
    const ENCODING: Self = Self { status: StatusCode::NOT_IMPLEMENTED, text: "Unsupported transfer encoding" };
    const EXPECTATION: Self = Self { status: StatusCode::EXPECTATION_FAILED, text: "" };

    const fn bad(text: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text }
    }
}

/// Where the head that `bytes` begin with ends: behind its empty line. `seen` bytes were looked at before, without success;
/// it is brought up to date, so that a head that comes byte by byte is looked at once.
pub(super) fn end(bytes: &[u8], seen: &mut usize) -> Option<usize> {
    let mut from = *seen;
    while let Some(feed) = bytes[from..].iter().position(|byte| *byte == b'\n').map(|at| from + at) {
        match &bytes[feed + 1..] {
            [b'\n', ..] => return Some(feed + 2),
            [b'\r', b'\n', ..] => return Some(feed + 3),
            // The line feed is looked at again once it is known what follows.
            [] | [b'\r'] => {
                *seen = feed;
                return None;
            }
            _ => from = feed + 1,
        }
    }
    *seen = bytes.len();
    None
}

/// Whether what is to become a head can be none any more: its first line is there and wrong, or does not even begin like one.
/// Who speaks another protocol, perhaps on the wrong port, may wait for an answer before sending a line that ends a head.
pub(super) fn refusal(bytes: &[u8]) -> Option<BadHead> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(line_end) => first_line(without_return(&bytes[..line_end])).err(),
        None => bytes.first().filter(|byte| !byte.is_ascii_graphic()).map(|_| BadHead::BAD),
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl Head {
    /// Reads a head, all of it and nothing else.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadHead> {
        let line_end = bytes.iter().position(|byte| *byte == b'\n').ok_or(BadHead::BAD)?;
        let (method, destination, version) = first_line(without_return(&bytes[..line_end]))?;
        let mut headers = headers(&bytes[line_end + 1..])?;
        check_host(&headers, version, &method)?;
        if let Some(authority) = destination.authority {
            let authority = HeaderValue::from_bytes(&authority).map_err(|_| BadHead::BAD)?;
            headers.insert(HOST, authority);
            check_host(&headers, version, &method)?;
        }
        let (framing, certain) = framing(&headers, version)?;
        let keep_alive = match version {
            Version::Http10 => says(&headers, "keep-alive") && !says(&headers, "close"),
            Version::Http11 => !says(&headers, "close"),
        };
        Ok(Self {
            held_back: version == Version::Http11 && expects(&headers)? && framing != Framing::Length(0),
            target: destination.target,
            keep_alive: keep_alive && certain,
            method,
            headers,
            version,
            framing,
        })
    }
}

fn first_line(line: &[u8]) -> Result<(Method, Destination, Version), BadHead> {
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(BadHead::BAD);
    };
    let method = Method::from_bytes(method).map_err(|_| BadHead::BAD)?;
    let version = match version.strip_prefix(b"HTTP/").ok_or(BadHead::BAD)? {
        b"1.0" => Version::Http10,
        [b'1', b'.', b'1'..=b'9'] => Version::Http11,
        [b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(BadHead::VERSION),
        _ => return Err(BadHead::BAD),
    };
    let destination = Destination::parse(target, method == Method::CONNECT).ok_or(BadHead::BAD)?;
    Ok((method, destination, version))
}

/// Reads header lines, the empty one included.
fn headers(bytes: &[u8]) -> Result<HeaderMap, BadHead> {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let (mut usual, mut many) = ([httparse::EMPTY_HEADER; USUAL_LINES], Vec::new());
    let slots = if lines <= USUAL_LINES {
        &mut usual[..]
    } else {
        many.resize(lines, httparse::EMPTY_HEADER);
        &mut many[..]
    };
    let Ok(httparse::Status::Complete((length, found))) = httparse::parse_headers(bytes, slots) else {
        return Err(BadHead::BAD);
    };
    if length != bytes.len() {
        return Err(BadHead::BAD);
    }
    let mut headers = HeaderMap::with_capacity(found.len());
    for header in found {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| BadHead::BAD)?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| BadHead::BAD)?;
        headers.try_append(name, value).map_err(|_| BadHead::TOO_LARGE)?;
    }
    Ok(headers)
}

/// One host is named, by a name that could be one. Before HTTP/1.1 none need be.
fn check_host(headers: &HeaderMap, version: Version, method: &Method) -> Result<(), BadHead> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(BadHead::BAD),
        (None, None) if version == Version::Http10 || method == Method::CONNECT => Ok(()),
        (None, None) => Err(BadHead::bad("400 Bad Request: missing required Host header")),
        (Some(host), None) => {
            let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=@[]_~".contains(byte);
            let all_valid = host.as_bytes().iter().all(valid);
            if all_valid { Ok(()) } else { Err(BadHead::bad("400 Bad Request: malformed Host header")) }
        }
    }
}

/// Where the body ends, and whether everybody would say so.
fn framing(headers: &HeaderMap, version: Version) -> Result<(Framing, bool), BadHead> {
    let length = content_length(headers)?;
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok((Framing::Length(length.unwrap_or(0)), true)),
        (Some(_), _) if version == Version::Http10 => Err(BadHead::BAD),
        (Some(encoding), None) if encoding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok((Framing::Chunked, length.is_none()))
        }
        (Some(_), _) => Err(BadHead::ENCODING),
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, BadHead> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(None) };
    let digits =
        std::str::from_utf8(first.as_bytes()).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse::<i64>().ok()).and_then(|length| u64::try_from(length).ok());
    if lengths.any(|other| other != first) {
        return Err(BadHead::BAD);
    }
    length.map(Some).ok_or(BadHead::BAD)
}

/// Whether `Connection` says `token`.
fn says(headers: &HeaderMap, token: &str) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether the client expects `100 Continue`. Nothing else can be expected of us.
fn expects(headers: &HeaderMap) -> Result<bool, BadHead> {
    match headers.get(EXPECT).map(HeaderValue::as_bytes) {
        None | Some(b"") => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(BadHead::EXPECTATION),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<Head, (u16, &'static str)> {
        Head::parse(head.as_bytes()).map_err(|bad| (bad.status.as_u16(), bad.text))
    }

    /// A head with `lines` besides its host.
    fn with(lines: &str) -> Result<Head, (u16, &'static str)> {
        parse(&format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"))
    }

    const BAD: (u16, &str) = (400, "400 Bad Request");

    #[test]
    fn a_head_ends_with_its_empty_line_however_it_comes() {
        for head in
            ["GET / HTTP/1.1\r\nA: b\r\n\r\n", "GET / HTTP/1.1\nA: b\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n", "\n\n"]
        {
            let bytes = [head.as_bytes(), b"X\n\n"].concat();
            assert_eq!(end(&bytes, &mut 0), Some(head.len()), "{head:?}");
            let mut seen = 0;
            let found = (0..=bytes.len()).find_map(|length| end(&bytes[..length], &mut seen));
            assert_eq!(found, Some(head.len()), "{head:?}");
        }
        assert_eq!(end(b"GET / HTTP/1.1\r\nA: b\r\n\r", &mut 0), None);
    }

    #[test]
    fn what_can_be_no_head_is_refused_before_it_ends() {
        for bad in ["  V2", "  V2IDENTIFY\n", "\u{16}\u{3}\u{1}", "GET /\r\n", "PRI * HTTP/2.0\r\nA"] {
            assert!(refusal(bad.as_bytes()).is_some(), "{bad}");
        }
        for fine in ["", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nA: b", "GET /#\u{e9} HTTP/1.0\n"] {
            assert_eq!(refusal(fine.as_bytes()), None, "{fine}");
        }
    }

    #[test]
    fn the_first_line_is_read_as_the_reference_reads_it() {
        let line =
            |line: &str| parse(&format!("{line}\r\nHost: x\r\n\r\n")).map(|head| (head.version, head.keep_alive));
        assert_eq!(line("GET / HTTP/1.1"), Ok((Version::Http11, true)));
        assert_eq!(line("get /a HTTP/1.0"), Ok((Version::Http10, false)));
        assert_eq!(line("GET / HTTP/1.9"), Ok((Version::Http11, true)));
        assert_eq!(line("PRI * HTTP/2.0").unwrap_err().0, 505);
        for bad in ["GET /", "GET  / HTTP/1.1", "GET /a b HTTP/1.1", "GET / HTTP/1.1 ", "G(T / HTTP/1.1", " / HTTP/1.1"]
        {
            assert_eq!(line(bad), Err(BAD), "{bad}");
        }
        for bad in [
            "GET ping HTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/11",
            "GET / HTTP/1.",
            "GET / FTP/1.1",
            "\u{16}\u{3}\u{1}",
        ] {
            assert_eq!(line(bad), Err(BAD), "{bad}");
        }
        assert_eq!(parse("GET http://a:1/x HTTP/1.1\r\nHost: b\r\n\r\n").unwrap().headers[HOST], "a:1");
    }

    #[test]
    fn one_host_is_named() {
        let hosts = |version: &str, lines: &str| parse(&format!("GET / HTTP/{version}\r\n{lines}\r\n")).map(drop);
        for fine in ["Host: a:1\r\n", "Host:\r\n", "hOST: [::1]:4151\r\n"] {
            assert_eq!(hosts("1.1", fine), Ok(()), "{fine}");
        }
        assert_eq!(hosts("1.0", ""), Ok(()));
        assert_eq!(hosts("1.1", ""), Err((400, "400 Bad Request: missing required Host header")));
        assert_eq!(hosts("1.1", "Host: a\r\nHost: a\r\n"), Err(BAD));
        assert_eq!(hosts("1.0", "Host: a\r\nhost: b\r\n"), Err(BAD));
        for malformed in ["a b", "a/b", "a#b", "a\"", "\u{e9}"] {
            let refused = hosts("1.1", &format!("Host: {malformed}\r\n"));
            assert_eq!(refused, Err((400, "400 Bad Request: malformed Host header")), "{malformed}");
        }
    }

    #[test]
    fn a_body_ends_where_everybody_says_it_does() {
        let framing = |lines: &str| with(lines).map(|head| (head.framing, head.keep_alive));
        assert_eq!(framing(""), Ok((Framing::Length(0), true)));
        assert_eq!(framing("Content-Length: 12\r\n"), Ok((Framing::Length(12), true)));
        assert_eq!(framing("Content-Length: 3\r\nContent-Length: 3\r\n"), Ok((Framing::Length(3), true)));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), Ok((Framing::Chunked, true)));
        // A proxy could have counted bytes.
        assert_eq!(framing("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), Ok((Framing::Chunked, false)));
        for bad in ["+3", "-1", "3, 3", "3 3", "0x3", "", "9223372036854775808", "3\r\nContent-Length: 03"] {
            assert_eq!(framing(&format!("Content-Length: {bad}\r\n")), Err(BAD), "{bad}");
        }
        for bad in
            ["gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked", "chunked\r\nTransfer-Encoding: x"]
        {
            assert_eq!(framing(&format!("Transfer-Encoding: {bad}\r\n")).unwrap_err().0, 501, "{bad}");
        }
        assert_eq!(parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").map(drop), Err(BAD));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in [
            "A: b\r\n c: d\r\n",
            "A : b\r\n",
            ": b\r\n",
            "A(: b\r\n",
            "A: b\u{1}\r\n",
            "A\r\n",
            "A: b\rC: d\r\n",
            "A: b\r\r\n",
        ] {
            assert_eq!(with(bad).map(drop), Err(BAD), "{bad:?}");
        }
        let many: String = (0..5000).map(|n| format!("X{n}: a\r\n")).collect();
        assert_eq!(with(&many).unwrap().headers.len(), 5001);
    }

    #[test]
    fn a_client_says_whether_it_goes_on_and_whether_it_waits() {
        assert!(!with("Connection: upgrade, Close\r\n").unwrap().keep_alive);
        assert!(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().keep_alive);
        let waits = |lines: &str| with(lines).map(|head| head.held_back);
        assert_eq!(waits("Expect: 100-Continue\r\nContent-Length: 1\r\n"), Ok(true));
        assert_eq!(waits("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"), Ok(true));
        assert_eq!(waits("Expect: 100-continue\r\n"), Ok(false));
        assert_eq!(waits("Expect: a miracle\r\n"), Err((417, "")));
        let old = parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
        assert!(!old.unwrap().held_back);
    }
}
