//! An nsqd and an nsqlookupd, byte by byte; and both ends of our own.

use std::sync::Arc;

use super::*;
use crate::lookup::{Lifetimes, Registry, Server, Session};
use crate::protocol::ConnId;
use crate::time::{Now, Timestamp};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const JSON: &str = r#"{"broadcast_address":"n","hostname":"","http_port":4151,"tcp_port":4150,"topology_region":"","topology_zone":"","version":"1.3.0"}"#;
const REPLY: &[u8] = br#"{"broadcast_address":"l","hostname":"h","http_port":4161,"tcp_port":4160,"version":"1.3.0"}"#;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn new() -> Peer {
    let info = PeerInfo {
        broadcast_address: "n".into(),
        tcp_port: 4150,
        http_port: 4151,
        version: "1.3.0".into(),
        ..PeerInfo::default()
    };
    Peer::new(at(0), info)
}

fn registration(verb: Verb, topic: &str, channel: Option<&str>) -> Registration {
    let channel = channel.map(|channel| ChannelName::parse(channel).unwrap());
    Registration { verb, topic: TopicName::parse(topic).unwrap(), channel }
}

fn answer(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text].concat()
}

fn connect(peer: &mut Peer, now: Instant) {
    peer.handle_timeout(now);
    assert_eq!(peer.poll_event(), Some(PeerEvent::Connect));
    peer.handle_connected(now);
}

/// A peer that has identified itself.
fn identified() -> Peer {
    let mut peer = new();
    connect(&mut peer, at(0));
    let hello = [b"  V1IDENTIFY\n", &(JSON.len() as u32).to_be_bytes()[..], JSON.as_bytes()].concat();
    assert_eq!(peer.take_output(), hello);
    peer.handle_bytes(at(0), &answer(REPLY));
    let server = ServerAddress { broadcast_address: "l".into(), http_port: 4161 };
    assert_eq!(peer.poll_event(), Some(PeerEvent::Identified(Some(server))));
    peer
}

#[test]
fn registers_and_pings() {
    let mut peer = identified();
    for (verb, channel) in [(Verb::Register, Some("c")), (Verb::Register, None), (Verb::Unregister, Some("c"))] {
        peer.handle_registration(at(1), registration(verb, "t", channel));
    }
    assert_eq!(peer.take_output(), b"REGISTER t c\nREGISTER t\nUNREGISTER t c\n");
    peer.handle_bytes(at(2), &answer(b"OK").repeat(3));
    assert_eq!(peer.poll_timeout(), at(15_000));
    peer.handle_timeout(at(14_999));
    assert_eq!(peer.take_output(), b"");
    peer.handle_timeout(at(15_000));
    assert_eq!(peer.take_output(), b"PING\n");
    assert_eq!((peer.poll_event(), peer.is_through()), (Some(PeerEvent::Renew), true));
    peer.handle_bytes(at(15_001), &answer(b"OK"));
    assert_eq!((peer.poll_timeout(), peer.poll_event()), (at(30_000), None));
}

#[test]
fn answers_come_in_any_pieces() {
    let mut peer = new();
    connect(&mut peer, at(0));
    for byte in answer(REPLY) {
        assert_eq!(peer.poll_event(), None);
        peer.handle_bytes(at(0), &[byte]);
    }
    assert!(matches!(peer.poll_event(), Some(PeerEvent::Identified(Some(_)))));
}

#[test]
fn a_hung_nsqlookupd_is_given_up() {
    let mut peer = new();
    peer.handle_timeout(at(0));
    peer.poll_event();
    peer.handle_timeout(at(2_000));
    assert_eq!(peer.poll_event(), Some(PeerEvent::Failed("not connected within 2s".into())));
    connect(&mut peer, at(2_250));
    peer.handle_timeout(at(7_250));
    assert_eq!(peer.poll_event(), Some(PeerEvent::Failed("no answer within 5s".into())));

    let mut peer = identified();
    peer.handle_registration(at(100), registration(Verb::Register, "t", None));
    // Answers that trickle in are a sign of life, for those behind them.
    peer.handle_registration(at(4_000), registration(Verb::Register, "u", None));
    peer.handle_bytes(at(5_000), &answer(b"OK"));
    assert_eq!(peer.poll_timeout(), at(10_000));
    peer.handle_timeout(at(10_000));
    assert_eq!(peer.poll_event(), Some(PeerEvent::Failed("no answer within 5s".into())));
    assert_eq!(peer.take_output(), b"");
}

#[test]
fn attempts_are_spaced_out_until_one_succeeds() {
    let mut peer = new();
    let mut now = at(0);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        connect(&mut peer, now);
        peer.handle_failure(now, "broken".into());
        peer.handle_failure(now, "already known".into());
        assert_eq!(peer.poll_event(), Some(PeerEvent::Failed("broken".into())));
        assert_eq!(peer.poll_event(), None);
        pauses.push(peer.poll_timeout().since(now).as_millis());
        now = peer.poll_timeout();
    }
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000]);
    connect(&mut peer, now);
    peer.handle_bytes(now, &answer(REPLY));
    peer.handle_registration(now, registration(Verb::Register, "t", None));
    peer.handle_bytes(now, &answer(b"OK"));
    peer.handle_failure(now, "again".into());
    assert_eq!(peer.poll_timeout(), now + RETRY_MIN);
}

#[test]
fn refusals_and_nonsense_end_the_connection() {
    for (sent, reason) in [
        (answer(b"E_INVALID go away"), "E_INVALID go away"),
        (answer(b"OK"), "its answer to IDENTIFY makes no sense"),
        (b"\xff\xff\xff\xff".to_vec(), "an answer of impossible size"),
        (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), "an answer of impossible size"),
    ] {
        let mut peer = new();
        connect(&mut peer, at(0));
        peer.handle_bytes(at(0), &sent);
        assert_eq!(peer.poll_event(), Some(PeerEvent::Failed(reason.into())));
        peer.handle_bytes(at(0), &answer(REPLY));
        assert_eq!(peer.poll_event(), None);
    }
    // Old ones answer IDENTIFY with an object that says little.
    let mut peer = new();
    connect(&mut peer, at(0));
    peer.handle_bytes(at(0), &answer(b"{}"));
    assert_eq!(peer.poll_event(), Some(PeerEvent::Identified(None)));
}

#[test]
fn what_is_unanswered_is_bounded() {
    let mut peer = identified();
    let mut handed_in = 0;
    while peer.wants_registrations() {
        peer.handle_registration(at(0), registration(Verb::Register, "t", None));
        handed_in += 1;
    }
    assert_eq!(handed_in, UNANSWERED_MAX + UNSENT_WELCOME);
    let sent = |peer: &mut Peer| peer.take_output().iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(sent(&mut peer), UNANSWERED_MAX);
    peer.handle_bytes(at(1), &answer(b"OK").repeat(10));
    assert_eq!(sent(&mut peer), 10);
    assert!(peer.wants_registrations());
}

#[test]
fn both_ends_understand_each_other() {
    let server = Server {
        broadcast_address: "l".into(),
        hostname: "h".into(),
        http_port: 4161,
        tcp_port: 4160,
        version: "1.3.0".into(),
    };
    let lifetimes =
        Lifetimes { inactive_producer_timeout: Duration::from_secs(300), tombstone_lifetime: Duration::from_secs(45) };
    let mut registry = Registry::new(lifetimes);
    let now = Now { mono: at(0), wall: Timestamp::from_nanos(0) };
    let mut session = Session::new(now, ConnId(1), "10.0.0.1:1".into(), Arc::new(server), None);
    let mut peer = new();
    connect(&mut peer, at(0));
    let mut exchange = |peer: &mut Peer, registry: &mut Registry| {
        let mut answers = Vec::new();
        session.handle_bytes(now, &peer.take_output(), registry, &mut answers);
        peer.handle_bytes(at(0), &answers);
    };
    exchange(&mut peer, &mut registry);
    assert!(matches!(peer.poll_event(), Some(PeerEvent::Identified(_))));
    peer.handle_registration(at(0), registration(Verb::Register, "t", Some("c")));
    peer.handle_registration(at(0), registration(Verb::Register, "gone", None));
    peer.handle_registration(at(0), registration(Verb::Unregister, "gone", None));
    exchange(&mut peer, &mut registry);
    assert_eq!((peer.poll_event(), peer.unanswered), (None, 0));
    let (info, topics) = registry.nodes(now).remove(0);
    assert_eq!((info.node().as_str(), topics.len(), topics[0].name.as_str()), ("n:4151", 1, "t"));
}
