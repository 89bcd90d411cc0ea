//! Heads and bodies of requests that say little, too much or nonsense: nsqd answers as the reference, whose `net/http` decides.
//! Run it with `SANSQ_NSQD` naming the reference to see that.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use sansq_tests::client::PATIENCE;
use sansq_tests::daemon::Daemon;

/// What came back for a request and a second one behind it: the status of the first answer, how many there were, and the
/// text behind the first one's head.
struct Answered {
    status: u16,
    answers: usize,
    text: String,
}

/// The request that is sent behind each, and ends the connection.
const LAST: &str = "GET /info HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn send(address: SocketAddr, request: &[u8]) -> Answered {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Who refuses a head may close before all is sent.
    _ = stream.write_all(&[request, LAST.as_bytes()].concat());
    let mut bytes = Vec::new();
    _ = stream.read_to_end(&mut bytes);
    let all = String::from_utf8(bytes).unwrap();
    let status = all.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let text = all.split_once("\r\n\r\n").map(|(_, text)| text).unwrap_or_default().to_owned();
    Answered { status, answers: all.matches("HTTP/1.").count(), text }
}

/// A request for `/ping` with these lines behind its first.
fn ping(lines: &str) -> Vec<u8> {
    format!("GET /ping HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

/// A publish of `body` with these lines beside its host.
fn publish(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n{body}").into_bytes()
}

#[test]
fn requests_that_are_none_are_refused_and_end_the_connection() {
    let nsqd = Daemon::start(&[]).unwrap();
    let line = |line: &str| format!("{line}\r\nHost: localhost\r\n\r\n").into_bytes();
    for (request, status, text) in [
        (ping(""), 400, "400 Bad Request: missing required Host header"),
        (line("GET /ping HTTP/1.1\r\nHost: localhost"), 400, "400 Bad Request"),
        (line("GET /ping HTTP/1.0\r\nHost: localhost"), 400, "400 Bad Request"),
        (ping("Host: a b\r\n"), 400, "400 Bad Request: malformed Host header"),
        (ping("Host: a<b>\r\n"), 400, "400 Bad Request: malformed Host header"),
        (ping("Host: localhost\r\nX(: a\r\n"), 400, "400 Bad Request"),
        (ping("Host: localhost\r\n: a\r\n"), 400, "400 Bad Request"),
        (ping("Host: localhost\r\nX: a\u{1}b\r\n"), 400, "400 Bad Request"),
        (line("GET /ping"), 400, "400 Bad Request"),
        (line("GE(T /ping HTTP/1.1"), 400, "400 Bad Request"),
        (line("GET ping HTTP/1.1"), 400, "400 Bad Request"),
        (line("GET /pi ng HTTP/1.1"), 400, "400 Bad Request"),
        (line("GET /ping\tx HTTP/1.1"), 400, "400 Bad Request"),
        (line("GET /config/\u{1} HTTP/1.1"), 400, "400 Bad Request"),
        (line("GET /config/%zz HTTP/1.1"), 400, "400 Bad Request"),
        (publish("Content-Length: +1\r\n", "a"), 400, "400 Bad Request"),
        (publish("Content-Length: 1\r\nContent-Length: 2\r\n", "ab"), 400, "400 Bad Request"),
        (publish("Content-Length: 99999999999999999999\r\n", ""), 400, "400 Bad Request"),
        (publish("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501, "Unsupported transfer encoding"),
        (
            publish("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""),
            501,
            "Unsupported transfer encoding",
        ),
        (publish("Transfer-Encoding: identity\r\n", ""), 501, "Unsupported transfer encoding"),
        (publish("Expect: a miracle\r\nContent-Length: 1\r\n", "a"), 417, ""),
    ] {
        let shown = String::from_utf8_lossy(&request).into_owned();
        let answered = send(nsqd.http, &request);
        assert_eq!((answered.status, answered.text.as_str(), answered.answers), (status, text, 1), "{shown:?}");
    }
}

#[test]
fn a_body_that_is_too_long_or_none_ends_the_connection() {
    let nsqd = Daemon::start(&[]).unwrap();
    let long =
        |line: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n").into_bytes();
    for (request, status) in [
        (long("POST /pub?topic=t"), 413),
        (long("POST /mpub?topic=t"), 413),
        (long("POST /topic/create?topic=t"), 200),
        (long("GET /ping"), 200),
        (publish("Transfer-Encoding: chunked\r\n", "zz\r\na\r\n0\r\n\r\n"), 500),
        (publish("Transfer-Encoding: chunked\r\n", "1\na\n0\n\n"), 500),
    ] {
        let shown = String::from_utf8_lossy(&request).into_owned();
        let answered = send(nsqd.http, &request);
        assert_eq!((answered.status, answered.answers), (status, 1), "{shown:?}");
    }
}

#[test]
fn what_is_unusual_and_clear_is_served_and_so_is_what_follows() {
    let nsqd = Daemon::start(&[]).unwrap();
    let line = |line: &str| format!("{line}\r\nHost: localhost\r\n\r\n").into_bytes();
    let many: String = (0..300).map(|number| format!("X{number}: a\r\n")).collect();
    for (request, status) in [
        (ping("Host:\r\n"), 200),
        (ping(&format!("Host: localhost\r\n{many}")), 200),
        (b"GET /ping HTTP/1.1\nHost: localhost\n\n".to_vec(), 200),
        (line("GET /ping HTTP/1.2"), 200),
        (line("get /ping HTTP/1.1"), 405),
        (line("GET http://other.example/ping HTTP/1.1"), nsqd_face(&nsqd, 200, 403)),
        (line("OPTIONS * HTTP/1.1"), 200),
        (line("CONNECT a:1 HTTP/1.1"), 404),
        (line("GET /ping#x HTTP/1.1"), 404),
        (line("GET /config/\"<>^`{|}\\ HTTP/1.1"), 400),
        (line("GET /config/\u{e9} HTTP/1.1"), 400),
        (line("POST /topic/create?topic=a#ephemeral HTTP/1.1"), 200),
        (line("POST /topic/create?topic=a?b HTTP/1.1"), 400),
        (publish("Content-Length: 1\r\nContent-Length: 1\r\n", "a"), 200),
        (publish("Expect: 100-continue\r\nContent-Length: 0\r\n", ""), 400),
        (publish("Transfer-Encoding: chunked\r\n", "1;a=b\r\na\r\n0;x\r\nT: v\r\n\r\n"), 200),
        (ping("Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), 200),
        (b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_vec(), 200),
    ] {
        let shown = String::from_utf8_lossy(&request).into_owned();
        let answered = send(nsqd.http, &request);
        assert_eq!((answered.status, answered.answers), (status, 2), "{shown:?}");
    }
}

/// What the reference answers, or ours.
fn nsqd_face(nsqd: &Daemon, reference: u16, ours: u16) -> u16 {
    match nsqd.face() {
        sansq_tests::nsqd::Face::Reference => reference,
        sansq_tests::nsqd::Face::Ours => ours,
    }
}
