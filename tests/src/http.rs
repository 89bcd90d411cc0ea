//! One HTTP/1.1 request per connection, written and read as bytes so that nothing is normalised on the way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::bytes::show;

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A request. The target is sent as it is, never encoded.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, ..
    pub method: String,
    /// Path and query.
    pub target: Vec<u8>,
    /// Headers beyond `Connection` and the framing of the body. `Host` is the address that is asked, unless it is here.
    pub headers: Vec<(String, String)>,
    /// Sent when not empty, or when the method is not GET, HEAD or OPTIONS.
    pub body: Vec<u8>,
    /// Whether the body is sent in chunks, without saying its length first.
    pub chunked: bool,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers in the order received.
    pub headers: Vec<(String, String)>,
    /// The body, out of its chunks.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header called `name` (in any case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Sends a request without a body.
pub fn get(address: SocketAddr, target: &str) -> Result<Response> {
    let target = target.as_bytes().to_vec();
    send(address, &Request { method: "GET".into(), target, ..Request::default() })
}

/// Sends a POST.
pub fn post(address: SocketAddr, target: &str, body: &[u8]) -> Result<Response> {
    let (target, body) = (target.as_bytes().to_vec(), body.to_vec());
    send(address, &Request { method: "POST".into(), target, body, ..Request::default() })
}

/// Sends `request` on a connection of its own and reads the response to the end.
pub fn send(address: SocketAddr, request: &Request) -> Result<Response> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A server may refuse a body by its length and close before all of it is sent: the response counts.
    let _ = stream.write_all(&encode(address, request));
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    if bytes.is_empty() {
        read.context("no response")?;
    }
    decode(&bytes, request.method == "HEAD").with_context(|| format!("bad response {}", show(&bytes)))
}

fn encode(address: SocketAddr, request: &Request) -> Vec<u8> {
    let mut bytes = format!("{} ", request.method).into_bytes();
    bytes.extend_from_slice(&request.target);
    bytes.extend_from_slice(b" HTTP/1.1\r\nConnection: close\r\n");
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        bytes.extend_from_slice(format!("Host: {address}\r\n").as_bytes());
    }
    for (name, value) in &request.headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let bodiless = request.body.is_empty() && matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    if request.chunked {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in request.body.chunks(64 * 1024) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else if bodiless {
        bytes.extend_from_slice(b"\r\n");
    } else {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", request.body.len()).as_bytes());
        bytes.extend_from_slice(&request.body);
    }
    bytes
}

fn decode(bytes: &[u8], headers_only: bool) -> Result<Response> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").context("headers do not end")?;
    let head = std::str::from_utf8(&bytes[..end]).context("headers are not text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    let headers: Vec<_> = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())))
        .collect::<Option<_>>()
        .context("a header without a colon")?;
    let mut response = Response { status, headers, body: bytes[end + 4..].to_vec() };
    if headers_only {
        if !response.body.is_empty() {
            bail!("a body in answer to HEAD");
        }
    } else if response.header("Transfer-Encoding") == Some("chunked") {
        response.body = unchunk(&response.body)?;
    } else if let Some(length) = response.header("Content-Length") {
        let length: usize = length.parse()?;
        if length != response.body.len() {
            bail!("Content-Length {length}, body {}", response.body.len());
        }
    }
    Ok(response)
}

fn unchunk(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").context("a chunk without a length")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end])?.trim(), 16)?;
        rest = &rest[end + 2..];
        if length == 0 {
            return Ok(body);
        }
        let (chunk, after) = rest.split_at_checked(length).context("a chunk is cut short")?;
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").context("a chunk does not end")?;
    }
}
