//! The stream may be cut anywhere, and may end anywhere.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::wire::LINE_BYTES_MAX;

/// Streams that touch every kind of command, whole and broken.
fn streams() -> Vec<Vec<u8>> {
    let identify = with_body("IDENTIFY", r#"{"feature_negotiation":true,"client_id":"x"}"#);
    let producer = [
        b"  V2".to_vec(),
        identify.clone(),
        publish("t", "one"),
        publish("t", "two"),
        publish("topic", "three"),
        publish_many("t", &[b"a", b"bc", b"d"]),
        publish_many("t", &[b"e"]),
        with_body("DPUB t 5", "later"),
        with_body("DPUB t 5\r", "later"),
        with_body("DPUB t 0", "now"),
        b"NOP\r\n".to_vec(),
        publish("t", "\n\n"),
    ];
    let consumer = [
        b"  V2".to_vec(),
        identify,
        b"SUB t c\nRDY 5\n".to_vec(),
        b"FIN 0123456789abcdef\nFIN 0123456789abcdef\r\nFIN 0123456789abcdeF\n".to_vec(),
        publish("t", "x"),
        b"REQ 0123456789abcdef 10\nTOUCH 0123456789abcdef\nRDY\n".to_vec(),
        publish("t", "y"),
        b"CLS\nRDY 1\nFIN 0123456789abcdef\n".to_vec(),
    ];
    let mut streams = vec![producer.concat(), consumer.concat()];
    for broken in [
        &b"FOO\n"[..],
        b"\n",
        b"PUB t\n\0\0\0\0",
        b"PUB t\n\xff\xff\xff\xffx",
        b"PUB a$\n\0\0\0\x01x",
        b"DPUB t x\n\0\0\0\x01x",
        b"MPUB t\n\0\0\0\x09\0\0\0\x01\0\0\0\x02xy",
        b"MPUB t\n\0\0\0\x0e\0\0\0\x02\0\0\0\x01x\0\0\0\0",
        b"MPUB t\n\0\0\0\x0b\0\0\0\x01\0\0\0\x01xyz",
        b"IDENTIFY\n\0\0\0\x02[]",
        b"FIN 0123456789abcdef\n",
    ] {
        streams.push([&b"  V2"[..], &publish("t", "x"), broken, b"NOP\n"].concat());
    }
    streams.push(b"  V3PUB".to_vec());
    streams
}

fn outcome(pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>, bool) {
    let mut peer = Peer::with(Config::default(), Features::default());
    for piece in pieces {
        peer.send(piece);
    }
    (peer.asked, peer.out, peer.session.is_closed())
}

#[test]
fn a_stream_cut_anywhere_means_the_same() {
    for stream in streams() {
        let whole = outcome(&[&stream]);
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(outcome(&[head, tail]), whole, "cut at {cut}: {}", stream.escape_ascii());
        }
        for step in [1, 2, 3, 7] {
            let pieces: Vec<_> = stream.chunks(step).collect();
            assert_eq!(outcome(&pieces), whole, "in pieces of {step}: {}", stream.escape_ascii());
        }
    }
}

#[test]
fn the_end_between_commands_is_silent_and_inside_a_body_told() {
    for (head, error) in [
        ("", None),
        ("NO", None),
        ("NOP\n", None),
        ("PUB t", None),
        ("PUB t\n", Some("E_BAD_MESSAGE PUB failed to read message body size")),
        ("PUB t\n\0\0\0", Some("E_BAD_MESSAGE PUB failed to read message body size")),
        ("PUB t\n\0\0\0\x02", Some("E_BAD_MESSAGE PUB failed to read message body")),
        ("PUB t\n\0\0\0\x02x", Some("E_BAD_MESSAGE PUB failed to read message body")),
        ("DPUB t 1\n", Some("E_BAD_MESSAGE DPUB failed to read message body size")),
        ("DPUB t 1\n\0\0\0\x02x", Some("E_BAD_MESSAGE DPUB failed to read message body")),
        ("MPUB t\n", Some("E_BAD_BODY MPUB failed to read body size")),
        ("MPUB t\n\0\0\0\x20", Some("E_BAD_BODY MPUB failed to read message count")),
        ("MPUB t\n\0\0\0\x20\0\0\0\x02", Some("E_BAD_MESSAGE MPUB failed to read message(0) body size")),
        ("MPUB t\n\0\0\0\x20\0\0\0\x02\0\0\0\x02x", Some("E_BAD_MESSAGE MPUB failed to read message body")),
        ("MPUB t\n\0\0\0\x20\0\0\0\x02\0\0\0\x01x\0", Some("E_BAD_MESSAGE MPUB failed to read message(1) body size")),
        ("IDENTIFY\n", Some("E_BAD_BODY IDENTIFY failed to read body size")),
        ("IDENTIFY\n\0\0\0\x02{", Some("E_BAD_BODY IDENTIFY failed to read body")),
        ("AUTH\n\0", Some("E_BAD_BODY AUTH failed to read body size")),
        ("AUTH\n\0\0\0\x02x", Some("E_BAD_BODY AUTH failed to read body")),
    ] {
        Peer::new().send(head).eof().recv(error.as_slice()).closed();
    }
}

#[test]
fn the_longest_line_is_taken_and_a_longer_one_refused() {
    let line = |len: usize| format!("NOP {}", "x".repeat(len - 4));
    for pieces in [1, 2, 100] {
        let send = |text: String| {
            let mut peer = Peer::new();
            for piece in text.as_bytes().chunks(text.len().div_ceil(pieces)) {
                peer.send(piece);
            }
            peer
        };
        send(line(LINE_BYTES_MAX - 1) + "\n").recv(&[]).open();
        send(line(LINE_BYTES_MAX - 1)).recv(&[]).open();
        send(line(LINE_BYTES_MAX) + "\n").recv(&["E_INVALID line too long"]).closed();
        send(line(LINE_BYTES_MAX)).recv(&["E_INVALID line too long"]).closed();
    }
}

#[test]
fn bodies_of_any_size_arrive_in_any_pieces() {
    for size in [1, 1000, 16 * 1024, 64 * 1024 - 1, 64 * 1024, 1024 * 1024] {
        let body: Vec<u8> = (0..size).map(|i| b'a' + (i % 23) as u8).collect();
        let expected = format!("PUB t {}", body.escape_ascii());
        for piece in [4096, 65_536, 2 << 20] {
            for command in [publish("t", &body), publish_many("t", &[&body])] {
                let mut peer = Peer::new();
                for bytes in command.chunks(piece) {
                    peer.send(bytes);
                }
                peer.recv(&["OK"]).asks(&[&expected]);
            }
        }
    }
}

#[test]
fn a_declared_body_costs_nothing_before_it_comes() {
    let mut peer = Peer::new();
    peer.send("PUB t\n\0\x10\0\0x");
    assert!(peer.session.stored_bytes() < 1024);
    peer.send(vec![b'x'; 10_000]);
    assert!(peer.session.stored_bytes() < 2 * 10_000 + 1024);
    peer.send(vec![b'x'; (1 << 20) - 10_001]).recv(&["OK"]);
    assert_eq!(peer.session.stored_bytes(), 0);
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<Session>() <= 400, "{}", size_of::<Session>());
}

/// Hands a stream in by shares: what each took, and how many requests it made.
fn shares(stream: &[u8]) -> Vec<(usize, usize)> {
    let mut session = Peer::new().session;
    let (mut builder, mut out, mut shares, mut at) = (BatchBuilder::default(), Vec::new(), Vec::new(), 0);
    while at < stream.len() {
        let mut requests = Vec::new();
        let taken = session.handle_some_bytes(super::at(0), &stream[at..], &mut builder, &mut requests, &mut out);
        for request in &requests {
            if let Request::Publish { id, .. } = request {
                session.handle_answer(super::at(0), Answer::Published { id: *id, result: Ok(()) }, &mut out);
            }
        }
        shares.push((taken, requests.len()));
        at += taken;
    }
    shares
}

#[test]
fn a_share_is_so_many_commands_bytes_or_requests() {
    let nops = b"NOP\n".repeat(2500);
    assert_eq!(shares(&nops), [(4096, 0), (4096, 0), (1808, 0)]);
    let body = [b'x'; 10_000];
    let publish = [b"PUB t\n\0\0\x27\x10", &body[..]].concat();
    let bytes = publish.len();
    assert_eq!(shares(&publish.repeat(20)), [(14 * bytes, 1), (6 * bytes, 1)]);
    let publishes = b"PUB a\n\0\0\0\x01xPUB b\n\0\0\0\x01x".repeat(50);
    assert_eq!(shares(&publishes), [(65 * 11, 65), (35 * 11, 35)]);
}
