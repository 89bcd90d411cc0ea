//! Connections that a seed draws: whatever requests follow each other, however they are cut into packets, each is answered
//! as if it were alone. What stands in a request is drawn, never made by the code under test.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use sansq_core::rng::Rng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::http::query::Query;
use crate::http::respond::{Decoration, Failure, Outcome, Reply};
use crate::http::routing::{Route, route};
use crate::http::service::Call;

/// A client's end that is written down: what it sends, in packets, and what it has got.
struct Script {
    packets: VecDeque<Vec<u8>>,
    rng: Rng,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Script {
    /// Cuts `bytes` into packets: of one byte each, or of up to `packet_bytes`.
    fn new(bytes: &[u8], mut rng: Rng, packet_bytes: usize) -> Self {
        let mut packets = VecDeque::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = (1 + below(&mut rng, packet_bytes)).min(rest.len());
            packets.push_back(rest[..length].to_vec());
            rest = &rest[length..];
        }
        Self { packets, rng, received: Arc::default() }
    }
}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rng.below(3) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(mut packet) = self.packets.pop_front() {
            let rest = packet.split_off(packet.len().min(buf.remaining()));
            buf.put_slice(&packet);
            if !rest.is_empty() {
                self.packets.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.rng.below(4) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = 1 + below(&mut self.rng, buf.len());
        self.received.lock().extend_from_slice(&buf[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What an endpoint was asked to do: method, name in the path, name in the query, body.
type Asked = (String, String, String, Option<Vec<u8>>);

/// Writes down what it is asked.
#[derive(Default)]
struct Recorder(Mutex<Vec<Asked>>);

#[derive(Clone, Copy)]
enum Does {
    Read,
    Ignore,
    Stream,
}

static ROUTES: &[Route<Does>] = &[
    route(Method::GET, "/read/:name", Does::Read, Decoration::V1),
    route(Method::POST, "/read/:name", Does::Read, Decoration::V1),
    route(Method::DELETE, "/read/:name", Does::Read, Decoration::V1),
    route(Method::HEAD, "/read/:name", Does::Read, Decoration::V1),
    route(Method::POST, "/ignore/:name", Does::Ignore, Decoration::V1),
    route(Method::GET, "/stream/:name", Does::Stream, Decoration::Raw),
];

impl Service for Recorder {
    type Endpoint = Does;

    fn routes(&self) -> &[Route<Does>] {
        ROUTES
    }

    fn discarded_bytes_max(&self) -> usize {
        100_000
    }

    async fn call(self: Arc<Self>, endpoint: Does, call: Call<'_>) -> Outcome {
        let body = match endpoint {
            Does::Read => Some(call.body.read(100_000).await.map_err(|_| Failure::INTERNAL)?.to_vec()),
            Does::Ignore | Does::Stream => None,
        };
        let query = Query::of(call.query)?;
        let name = String::from_utf8(query.get("name").unwrap_or_default().to_vec()).unwrap();
        let method = call.headers.get("x-method").unwrap().to_str().unwrap().to_owned();
        self.0.lock().push((method, call.params[0].to_owned(), name.clone(), body));
        if let Does::Stream = endpoint {
            let parts = [Bytes::from(name), Bytes::new(), Bytes::from_static(b"end")];
            return Ok(Reply::Ready(Reply::stream("text/plain", futures::stream::iter(parts))));
        }
        Ok(Reply::Text(name.into()))
    }
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap()
}

fn pick<T: Copy>(rng: &mut Rng, of: &[T]) -> T {
    of[below(rng, of.len())]
}

/// A name, as a client that escapes nothing sends it, one that escapes `#`, and as it is.
fn name(rng: &mut Rng) -> (String, String) {
    let letters = ["a", "b", "orders", "#", "#", "#ephemeral", ".", "-"];
    let plain: String = (0..=below(rng, 4)).map(|_| pick(rng, &letters)).collect();
    let plain = format!("n{plain}");
    let sent = if rng.below(3) == 0 { plain.replace('#', "%23") } else { plain.clone() };
    (sent, plain)
}

/// A request as bytes, what it asks for, and what answers it: a status, and a body unless there is none.
struct Drawn {
    bytes: Vec<u8>,
    asked: Asked,
    answer: Option<String>,
}

fn body(rng: &mut Rng) -> Vec<u8> {
    let length = match rng.below(4) {
        0 => 0,
        1 => below(rng, 3000),
        _ => below(rng, 50),
    };
    // It looks like another request now and then.
    let other = b"POST /read/evil?name=evil HTTP/1.1\r\nHost: x\r\n\r\n0\r\n\r\n";
    if length > 0 && rng.below(4) == 0 { other.to_vec() } else { (0..length).map(|_| rng.below(256) as u8).collect() }
}

fn chunked(rng: &mut Rng, body: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(1 + below(rng, rest.len()));
        let extension = pick(rng, &["", "", ";a", ";a=\"b#c\"", " ;x=y", " "]);
        let size = if rng.below(2) == 0 { format!("{:x}", chunk.len()) } else { format!("0{:X}", chunk.len()) };
        bytes.extend_from_slice(format!("{size}{extension}\r\n").as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
        rest = tail;
    }
    let trailers = pick(rng, &["", "", "T: v\r\n", "GET: / HTTP/1.1\r\nHost: #\r\n"]);
    bytes.extend_from_slice(format!("{}\r\n{trailers}\r\n", pick(rng, &["0", "00", "0;last"])).as_bytes());
    bytes
}

fn draw(rng: &mut Rng, last: bool) -> Drawn {
    let kind = pick(rng, &["read", "read", "read", "ignore", "stream"]);
    let method = match kind {
        "read" => pick(rng, &["GET", "POST", "DELETE", "HEAD"]),
        "ignore" => "POST",
        _ => "GET",
    };
    let ((path, in_path), (query, in_query)) = (name(rng), name(rng));
    let version = if last && rng.below(2) == 0 { "1.0" } else { "1.1" };
    let line_end = pick(rng, &["\r\n", "\r\n", "\n"]);
    let before = pick(rng, &["", "", "http://x:1"]);
    let mut lines = vec![format!("{method} {before}/{kind}/{path}?name={query} HTTP/{version}")];
    lines.push(format!("Host: {}", pick(rng, &["x", "x:1", "127.0.0.1:4151"])));
    lines.push(format!("X-Method: {method}"));
    let mut content = body(rng);
    let mut framed = content.clone();
    match rng.below(if version == "1.0" { 2 } else { 3 }) {
        0 if content.is_empty() => {}
        2 => {
            lines.push("Transfer-Encoding: chunked".to_owned());
            framed = chunked(rng, &content);
        }
        _ => lines.push(format!("Content-Length: {}", content.len())),
    }
    lines.extend((0..rng.below(4)).map(|n| format!("X-{n}: # {}", "v".repeat(below(rng, 30)))));
    let last_header = lines.len() - 1;
    lines.swap(1 + below(rng, last_header), last_header);
    if version == "1.0" {
        lines.push(pick(rng, &["Connection: close", "Connection: keep-alive", "X: y"]).to_owned());
    }
    let mut bytes = (lines.join(line_end) + line_end + line_end).into_bytes();
    bytes.append(&mut framed);
    if rng.below(5) == 0 && !last {
        bytes.extend_from_slice(b"\r\n");
    }
    let answer = match (kind, method) {
        (_, "HEAD") => None,
        ("stream", _) => Some(format!("{in_query}end")),
        _ => Some(in_query.clone()),
    };
    let read = (kind == "read").then(|| std::mem::take(&mut content));
    Drawn { bytes, asked: (method.to_owned(), in_path, in_query, read), answer }
}

/// Serves what a script sends: what was asked, and what was answered.
fn serve_script(script: Script) -> (Vec<Asked>, Vec<u8>) {
    let recorder = Arc::new(Recorder::default());
    let received = script.received.clone();
    let peer = Peer { address: "script".to_owned(), secure: false, loopback: true };
    let (_ending, ended) = watch::channel(false);
    let serving = serve(Input::new(script), &peer, &recorder, ended);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    _ = runtime.block_on(serving);
    let asked = std::mem::take(&mut *recorder.0.lock());
    let received = received.lock().clone();
    (asked, received)
}

/// The bodies of the responses in `bytes`, which are as many as `expected`; there is none where none is.
fn responses(bytes: &[u8], expected: &[Option<String>]) -> Vec<Option<String>> {
    let (mut rest, mut found) = (bytes, Vec::new());
    for expected in expected {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(rest[..end].to_vec()).unwrap();
        assert!(head.contains(" 200 OK\r\n"), "{head}");
        rest = &rest[end..];
        let body = if expected.is_none() {
            None
        } else if head.contains("Transfer-Encoding: chunked") {
            Some(unchunked(&mut rest))
        } else if let Some(length) = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")) {
            let (body, tail) = rest.split_at(length.parse().unwrap());
            rest = tail;
            Some(body.to_vec())
        } else {
            Some(std::mem::take(&mut rest).to_vec())
        };
        found.push(body.map(|body| String::from_utf8(body).unwrap()));
    }
    assert_eq!(rest, b"", "more was answered than was asked");
    found
}

fn unchunked(rest: &mut &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        *rest = &rest[end + size + 4..];
        if size == 0 {
            return body;
        }
    }
}

#[test]
fn requests_are_answered_as_if_each_were_alone_however_they_come() {
    for seed in 0..4000 {
        let mut rng = Rng::new(seed);
        let count = 1 + below(&mut rng, 6);
        let drawn: Vec<Drawn> = (1..=count).map(|nth| draw(&mut rng, nth == count)).collect();
        let bytes: Vec<u8> = drawn.iter().flat_map(|request| request.bytes.clone()).collect();
        let packet_bytes = pick(&mut rng, &[1, 3, 40, 1000, 100_000]);
        let (asked, received) = serve_script(Script::new(&bytes, rng, packet_bytes));
        let expected: Vec<Asked> = drawn.iter().map(|request| request.asked.clone()).collect();
        assert!(asked == expected, "seed {seed}: asked {asked:?}\nsent {}", String::from_utf8_lossy(&bytes));
        let answers: Vec<_> = drawn.iter().map(|request| request.answer.clone()).collect();
        assert_eq!(responses(&received, &answers), answers, "seed {seed}");
    }
}

#[test]
fn what_is_damaged_is_never_taken_for_a_name_that_was_not_sent() {
    for seed in 0..4000 {
        let mut rng = Rng::new(seed);
        let drawn: Vec<Drawn> = (0..3).map(|_| draw(&mut rng, false)).collect();
        let mut bytes: Vec<u8> = drawn.iter().flat_map(|request| request.bytes.clone()).collect();
        for _ in 0..=rng.below(3) {
            let at = below(&mut rng, bytes.len());
            match rng.below(3) {
                0 => _ = bytes.remove(at),
                1 => bytes.insert(at, pick(&mut rng, b"\r\n #:;0%\0")),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let (asked, _) = serve_script(Script::new(&bytes, rng, 1000));
        let sent = String::from_utf8_lossy(&bytes).replace("%23", "#");
        for (_, in_path, _, _) in asked {
            // The name ends where the query or the first line does.
            let whole = ["?", " "].iter().any(|end| sent.contains(&format!("/{in_path}{end}")));
            assert!(whole || !in_path.is_ascii() || sent.contains('%'), "seed {seed}: {in_path:?} in {sent:?}");
        }
    }
}

#[test]
fn silence_ends_a_connection_and_so_does_the_end_of_the_daemon() {
    let (ours, theirs) = tokio::io::duplex(64);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let peer = Peer { address: "script".to_owned(), secure: false, loopback: true };
    let recorder = Arc::new(Recorder::default());
    runtime.block_on(async {
        let started = tokio::time::Instant::now();
        let (_ending, ended) = watch::channel(false);
        serve(Input::new(ours), &peer, &recorder, ended).await.unwrap();
        assert_eq!(started.elapsed(), HEAD_TIME_MAX);
        drop(theirs);
        let (ours, _theirs) = tokio::io::duplex(64);
        let (ending, ended) = watch::channel(false);
        ending.send_replace(true);
        serve(Input::new(ours), &peer, &recorder, ended).await.unwrap();
        assert_eq!(started.elapsed(), HEAD_TIME_MAX);
    });
}

/// A client that has sent all its requests, and takes all it is sent.
struct AtOnce(std::io::Cursor<Vec<u8>>);

impl AsyncRead for AtOnce {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for AtOnce {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_so_many_requests() {
    let request = b"GET /read/a?name=b HTTP/1.1\r\nHost: x\r\nX-Method: GET\r\n\r\n";
    let input = Input::new(AtOnce(io::Cursor::new(request.repeat(100))));
    let peer = Peer { address: "a test".to_owned(), secure: false, loopback: true };
    let (service, ending) = (Arc::new(Recorder::default()), watch::Sender::new(false));
    let mut serving = std::pin::pin!(serve(input, &peer, &service, ending.subscribe()));
    for turns in 1..=6 {
        assert!(futures::poll!(&mut serving).is_pending());
        assert_eq!(service.0.lock().len(), turns * REQUESTS_AT_A_TIME as usize);
    }
    assert!(serving.await.is_ok());
    assert_eq!(service.0.lock().len(), 100);
}
