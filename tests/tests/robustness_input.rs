//! Input that is cut off, made up or noise, where a scenario cannot say it: in numbers, over HTTP, and what it costs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use sansq_tests::client::{Answer, PATIENCE, connect, eventually, ping, publish, stats};
use sansq_tests::daemon::Daemon;
use sansq_tests::process;
use sansq_tests::wire::{Connection, Received};

#[test]
fn declared_lengths_cost_nothing() {
    const CONNECTIONS: u64 = 300;
    process::raise_file_limit().unwrap();
    let daemon = Daemon::start(&[]).unwrap();
    let before = process::memory(daemon.pid()).unwrap();
    let starts: [&[u8]; 4] = [
        b"PUB t\n\0\x10\0\0x",
        b"MPUB t\n\0\x50\0\0\0\x0f\xff\xff\0\x10\0\0x",
        b"DPUB t 1\n\0\x10\0\0x",
        b"IDENTIFY\n\0\x50\0\0{",
    ];
    let open = |start: &&[u8]| {
        let mut connection = Connection::open_v2(daemon.tcp).unwrap();
        connection.send(start);
        connection
    };
    let crowd: Vec<Connection> = starts.iter().cycle().take(CONNECTIONS as usize).map(open).collect();
    // Answered on a connection that came later, so all of it was read.
    for _ in 0..8 {
        assert_eq!(publish(&mut connect(&daemon, "").unwrap(), "u", b"x").unwrap(), Answer::Ok);
    }
    let each = (process::memory(daemon.pid()).unwrap() - before) / CONNECTIONS;
    assert!(each < 16 * 1024, "{each} bytes for a connection that declared 1 to 5 MiB");
    drop(crowd);
    assert_eq!(stats(&daemon, "t").unwrap()["message_count"].as_u64().unwrap_or(0), 0);
}

/// A small generator (xorshift), so that a failure can be had again.
struct Noise(u64);

impl Noise {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

#[test]
fn noise_is_survived() {
    let daemon = Daemon::start(&[]).unwrap();
    let commands: [&[u8]; 12] = [
        b"IDENTIFY\n\0\0\0\x02{}",
        b"SUB t c\n",
        b"RDY 5\n",
        b"PUB t\n\0\0\0\x01x",
        b"MPUB t\n\0\0\0\x09\0\0\0\x01\0\0\0\x01x",
        b"DPUB t 100\n\0\0\0\x01x",
        b"FIN 0123456789abcdef\n",
        b"REQ 0123456789abcdef 0\n",
        b"TOUCH 0123456789abcdef\n",
        b"NOP\n",
        b"AUTH\n\0\0\0\x01x",
        b"CLS\n",
    ];
    for seed in 1..=300u64 {
        let mut noise = Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut stream = b"  V2".to_vec();
        for _ in 0..noise.below(20) {
            let mut command = commands[noise.below(commands.len())].to_vec();
            for _ in 0..noise.below(3) {
                let at = noise.below(command.len());
                match noise.below(4) {
                    0 => command[at] ^= 1 << noise.below(8),
                    1 => command.truncate(at + 1),
                    2 => command.insert(at, u8::try_from(noise.below(256)).unwrap()),
                    _ => command.extend_from_within(at..),
                }
            }
            stream.extend(command);
        }
        let mut connection = Connection::open(daemon.tcp).unwrap();
        for piece in stream.chunks(1 + noise.below(40)) {
            connection.send(piece);
        }
        connection.finish_sending();
        let end = loop {
            match connection.receive(PATIENCE).unwrap() {
                Received::Frame(_) => {}
                end => break end,
            }
        };
        assert_eq!(end, Received::Closed, "seed {seed}");
    }
    assert_eq!(ping(&daemon).unwrap(), (200, "OK".to_owned()));
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    assert!(eventually(|| process::connections_at(daemon.tcp).unwrap().0 == 0), "connections are left");
    daemon.stop().unwrap();
}

/// Sends `request` and the end, and returns what comes back until the daemon closes.
fn http_cut_off(daemon: &Daemon, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(daemon.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn http_bodies_cut_off_publish_nothing() {
    let daemon = Daemon::start(&[]).unwrap();
    for request in [
        "POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf of it",
        "POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nhello",
        "POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello",
        "POST /mpub?topic=t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\na\nb\nc\n",
        "POST /mpub?topic=t&binary=true HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n\0\0\0\x05",
        "POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\nhello",
        "POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
        "POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nContent-Le",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
        "  V2PUB t\n\0\0\0\x01x",
    ] {
        let answer = http_cut_off(&daemon, request.as_bytes());
        assert!(!answer.contains(" 200 "), "{request:?}: {answer}");
        // As the reference has it, a body that ends early is a 500.
        let refused = answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 500 ");
        assert!(answer.is_empty() || refused, "{request:?}: {answer}");
    }
    assert_eq!(stats(&daemon, "t").unwrap()["message_count"].as_u64().unwrap_or(0), 0);
    let whole =
        http_cut_off(&daemon, b"POST /pub?topic=t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
    assert!(whole.contains(" 200 ") && whole.ends_with("OK"), "{whole}");
}

#[test]
fn heads_without_end_are_refused() {
    let daemon = Daemon::start(&[]).unwrap();
    let many = format!("GET /ping HTTP/1.1\r\n{}", "X-Header: value\r\n".repeat(100_000));
    let long = format!("GET /ping?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(2_000_000));
    for request in [many, long] {
        let mut stream = TcpStream::connect(daemon.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be refused before all of it is sent.
        _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        _ = stream.read_to_end(&mut bytes);
        let answer = String::from_utf8(bytes).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(ping(&daemon).unwrap(), (200, "OK".to_owned()));
}
