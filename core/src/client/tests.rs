//! The client against a broker that a test plays: commands are looked at as text, frames are written by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::message::{Message as Stored, MessageId};
use crate::name::{ChannelName, TopicName};
use crate::rng::Rng;
use crate::time::{Instant, Timestamp};
use crate::wire::{FrameType, put_frame, put_heartbeat, put_message, put_ok};

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn topic() -> TopicName {
    TopicName::parse("t").unwrap()
}

fn response(text: &str) -> Bytes {
    frame(FrameType::Response, text)
}

fn frame(kind: FrameType, text: &str) -> Bytes {
    let mut out = Vec::new();
    put_frame(&mut out, kind, &[text.as_bytes()]);
    out.into()
}

fn delivery(id: u64, attempts: u16) -> Bytes {
    let mut out = Vec::new();
    let message =
        Stored { id: MessageId(id), timestamp: Timestamp::from_nanos(7), attempts: 0, due: None, body: b"body" };
    put_message(&mut out, &message, attempts);
    out.into()
}

/// A consumer and what it did.
struct Bench {
    consumer: Consumer,
    /// What it sent, by connection, since last looked at.
    sent: BTreeMap<PeerId, String>,
    /// The order in which it sent.
    order: Vec<(PeerId, String)>,
    dialled: Vec<PeerId>,
    upgrades: Vec<(Upgrade, Bytes)>,
    closed: Vec<PeerId>,
    messages: Vec<(PeerId, MessageId)>,
    gave_up: Vec<MessageId>,
    lookups: Vec<String>,
    events: Vec<Event>,
}

impl Bench {
    fn new(options: ClientOptions) -> Self {
        let consumer = Consumer::new(topic(), ChannelName::parse("c").unwrap(), options, Rng::new(5));
        Self {
            consumer,
            sent: BTreeMap::new(),
            order: Vec::new(),
            dialled: Vec::new(),
            upgrades: Vec::new(),
            closed: Vec::new(),
            messages: Vec::new(),
            gave_up: Vec::new(),
            lookups: Vec::new(),
            events: Vec::new(),
        }
    }

    fn max_in_flight(max_in_flight: u32) -> Self {
        Self::new(ClientOptions { max_in_flight, ..ClientOptions::default() })
    }

    fn settle(&mut self) {
        while let Some(output) = self.consumer.poll_output() {
            match output {
                Output::Connect { peer, .. } => self.dialled.push(peer),
                Output::Send { peer, bytes } => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    self.order.push((peer, text.clone()));
                    *self.sent.entry(peer).or_default() += &text;
                }
                Output::Upgrade { upgrade, rest, .. } => self.upgrades.push((upgrade, rest)),
                Output::Close { peer } => self.closed.push(peer),
                Output::Message { peer, message } => self.messages.push((peer, message.id)),
                Output::GaveUp { message, .. } => self.gave_up.push(message.id),
                Output::Lookup { lookupd } => self.lookups.push(lookupd.to_string()),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn bytes(&mut self, millis: u64, peer: PeerId, bytes: Bytes) {
        self.consumer.handle_bytes(at(millis), peer, bytes);
        self.settle();
    }

    /// Opens what was dialled, up to being subscribed.
    fn open_all(&mut self, millis: u64) {
        self.settle();
        for peer in std::mem::take(&mut self.dialled) {
            self.consumer.handle_connected(at(millis), peer);
            self.bytes(millis, peer, response("{\"max_rdy_count\":2500}"));
            self.bytes(millis, peer, response("OK"));
        }
    }

    /// Connects to so many nsqds.
    fn connect(&mut self, millis: u64, names: &[&str]) {
        names.iter().for_each(|name| self.consumer.add_nsqd(at(millis), name));
        self.open_all(millis);
    }

    fn sent_to(&mut self, peer: u32) -> String {
        self.settle();
        self.sent.remove(&PeerId(peer)).unwrap_or_default()
    }

    fn time(&mut self, millis: u64) {
        self.consumer.handle_timeout(at(millis));
        self.settle();
    }

    fn ready(&self) -> Vec<u32> {
        self.consumer.connections().map(|(_, _, ready, _)| ready).collect()
    }

    fn deliver(&mut self, millis: u64, peer: u32, id: u64, attempts: u16) {
        self.bytes(millis, PeerId(peer), delivery(id, attempts));
    }
}

/// Connected, with these upgrades asked for, and not introduced yet.
fn asking(tls_v1: bool, deflate: bool, snappy: bool) -> Bench {
    let auth_secret = "s".to_owned();
    let options = ClientOptions { tls_v1, deflate, snappy, auth_secret, deflate_level: 3, ..ClientOptions::default() };
    let mut bench = Bench::new(options);
    bench.consumer.add_nsqd(at(0), "a:4150");
    bench.settle();
    bench.consumer.handle_connected(at(0), PeerId(0));
    bench
}

#[test]
fn upgrades_come_one_by_one_as_they_are_granted_and_before_auth() {
    let mut bench = asking(true, true, false);
    let sent = bench.sent_to(0);
    for text in ["\"tls_v1\":true", "\"deflate\":true", "\"deflate_level\":3", "\"snappy\":false"] {
        assert!(sent.contains(text), "{sent}");
    }
    // What comes in the same read is the next layer's.
    let granted = r#"{"tls_v1":true,"deflate":true,"snappy":false,"auth_required":true}"#;
    bench.bytes(0, PeerId(0), [response(granted), Bytes::from_static(b"in TLS")].concat().into());
    assert_eq!(std::mem::take(&mut bench.upgrades), [(Upgrade::Tls, Bytes::from_static(b"in TLS"))]);
    assert_eq!(bench.sent_to(0), "", "the secret is for behind TLS");
    bench.bytes(0, PeerId(0), [response("OK"), Bytes::from_static(b"deflated")].concat().into());
    let deflate = Upgrade::Deflate { level: 3 };
    assert_eq!(std::mem::take(&mut bench.upgrades), [(deflate, Bytes::from_static(b"deflated"))]);
    bench.bytes(0, PeerId(0), response("OK"));
    assert_eq!(bench.sent_to(0), "AUTH\n\0\0\0\x01s");
    bench.bytes(0, PeerId(0), response("{}"));
    assert_eq!((bench.sent_to(0).as_str(), bench.upgrades.len()), ("SUB t c\n", 0));
}

#[test]
fn compression_is_optional_and_tls_is_not() {
    let mut bench = asking(false, false, true);
    bench.bytes(0, PeerId(0), response(r#"{"tls_v1":false,"deflate":false,"snappy":false}"#));
    assert!(bench.sent_to(0).ends_with("SUB t c\n"));
    let mut bench = asking(false, false, true);
    bench.bytes(0, PeerId(0), response(r#"{"tls_v1":true,"deflate":true,"snappy":true}"#));
    assert_eq!(bench.upgrades, [(Upgrade::Snappy, Bytes::new())], "nobody asked for the others");
    for answer in ["OK", r#"{"tls_v1":false}"#] {
        let mut bench = asking(true, false, false);
        bench.bytes(0, PeerId(0), response(answer));
        assert_eq!(bench.closed, [PeerId(0)]);
        assert!(format!("{:?}", bench.events).contains("the broker does not offer TLS"), "{:?}", bench.events);
    }
}

#[test]
fn an_upgrade_that_is_not_confirmed_ends_the_connection() {
    for (answer, said) in [
        (response("no"), "invalid response from Snappy upgrade: no"),
        (frame(FrameType::Error, "E_INVALID"), "invalid response from Snappy upgrade: E_INVALID"),
        (Bytes::from_static(b"\xff\x06\0\0sNaPpY"), "response msg size is negative"),
    ] {
        let mut bench = asking(false, false, true);
        bench.bytes(0, PeerId(0), response(r#"{"snappy":true}"#));
        bench.bytes(0, PeerId(0), answer);
        assert_eq!(bench.closed, [PeerId(0)]);
        assert!(format!("{:?}", bench.events).contains(said), "{:?}", bench.events);
    }
}

#[test]
fn a_connection_is_introduced_subscribed_and_asked_for_messages() {
    let mut bench = Bench::max_in_flight(10);
    bench.consumer.add_nsqd(at(0), "a:4150");
    bench.settle();
    bench.consumer.handle_connected(at(0), PeerId(0));
    let sent = bench.sent_to(0);
    assert!(sent.starts_with("  V2IDENTIFY\n"), "{sent}");
    for text in ["\"short_id\":", "\"long_id\":", "\"feature_negotiation\":true", "\"heartbeat_interval\":30000"] {
        assert!(sent.contains(text), "{sent}");
    }
    // A broker that does not negotiate.
    bench.bytes(0, PeerId(0), response("OK"));
    assert_eq!(bench.sent_to(0), "SUB t c\n");
    let mut heartbeat = Vec::new();
    put_ok(&mut heartbeat, 1);
    put_heartbeat(&mut heartbeat);
    // Byte by byte.
    for byte in heartbeat {
        bench.bytes(0, PeerId(0), Bytes::from(vec![byte]));
    }
    assert_eq!(bench.sent_to(0), "RDY 10\nNOP\n");
}

#[test]
fn a_secret_is_sent_where_it_is_required() {
    let required = response("{\"auth_required\":true}");
    let mut bench = Bench::new(ClientOptions { auth_secret: "s".to_owned(), ..ClientOptions::default() });
    bench.consumer.add_nsqd(at(0), "a");
    bench.settle();
    bench.consumer.handle_connected(at(0), PeerId(0));
    bench.sent_to(0);
    bench.bytes(0, PeerId(0), required.clone());
    assert_eq!(bench.sent_to(0), "AUTH\n\0\0\0\u{1}s");
    bench.bytes(0, PeerId(0), response("{\"identity\":\"me\"}"));
    assert_eq!(bench.sent_to(0), "SUB t c\n");

    let mut bench = Bench::max_in_flight(1);
    bench.consumer.add_nsqd(at(0), "a");
    bench.settle();
    bench.consumer.handle_connected(at(0), PeerId(0));
    bench.bytes(0, PeerId(0), required);
    assert_eq!(bench.closed, [PeerId(0)]);
    assert!(matches!(&bench.events[0], Event::Disconnected { reason, .. } if reason.contains("Auth Required")));
}

#[test]
fn each_connection_has_its_share_and_those_with_more_are_lowered_first() {
    let mut bench = Bench::max_in_flight(10);
    bench.connect(0, &["a", "b", "c"]);
    assert_eq!(bench.ready(), [3, 3, 3]);
    bench.consumer.add_nsqd(at(0), "d");
    bench.settle();
    bench.order.clear();
    bench.open_all(0);
    assert_eq!(bench.ready(), [2, 2, 2, 2]);
    let readies: Vec<&str> =
        bench.order.iter().map(|(_, text)| text.as_str()).filter(|text| text.starts_with("RDY")).collect();
    assert_eq!(readies, ["RDY 2\n"; 4]);
    assert_eq!(bench.order.last().unwrap().0, PeerId(3), "the new one comes last");
    bench.consumer.handle_disconnected(at(1), PeerId(0), "gone");
    bench.settle();
    assert_eq!(bench.ready(), [3, 3, 3]);
    bench.consumer.set_max_in_flight(at(1), 0);
    assert_eq!(bench.ready(), [0, 0, 0]);
    bench.consumer.set_max_in_flight(at(1), 10_000);
    assert_eq!(bench.ready(), [2500, 2500, 2500], "no more than a broker takes");
}

#[test]
fn what_others_still_hold_is_waited_for() {
    let mut bench = Bench::max_in_flight(4);
    bench.connect(0, &["a"]);
    (0..4).for_each(|id| bench.deliver(0, 0, id, 1));
    bench.connect(0, &["b"]);
    assert_eq!(bench.ready(), [2, 0], "four are in flight");
    (0..3).for_each(|id| assert!(bench.consumer.finish(at(1), PeerId(0), MessageId(id))));
    bench.settle();
    assert_eq!(bench.ready(), [2, 2]);
}

#[test]
fn with_fewer_messages_than_connections_they_take_turns() {
    let mut bench = Bench::max_in_flight(1);
    bench.connect(0, &["a", "b"]);
    assert_eq!(bench.ready(), [1, 0]);
    bench.time(5_000);
    assert_eq!(bench.ready(), [1, 0], "not idle for long enough");
    bench.time(10_000);
    assert_eq!(bench.ready(), [0, 1]);
    // A message in the hands of the program keeps the turn, but not for ever.
    bench.deliver(10_001, 1, 1, 1);
    for seconds in [15, 20, 25, 30, 35] {
        bench.time(seconds * 1000);
        assert_eq!(bench.ready(), [0, 1], "{seconds}");
    }
    bench.time(40_000);
    assert_eq!(bench.ready(), [0, 0], "one is still in flight");
    bench.consumer.finish(at(40_001), PeerId(1), MessageId(1));
    assert_eq!(bench.ready(), [1, 0]);
    bench.consumer.handle_disconnected(at(40_002), PeerId(0), "gone");
    assert_eq!(bench.ready(), [1]);
}

#[test]
fn a_requeue_names_the_delay_for_its_attempts() {
    let mut bench = Bench::new(ClientOptions { max_attempts: 0, ..ClientOptions::default() });
    bench.connect(0, &["a"]);
    bench.sent_to(0);
    bench.deliver(0, 0, 1, 1);
    bench.consumer.requeue(at(0), PeerId(0), MessageId(1), None, false);
    bench.deliver(0, 0, 2, 20);
    bench.consumer.requeue(at(0), PeerId(0), MessageId(2), None, false);
    bench.deliver(0, 0, 3, 1);
    bench.consumer.requeue(at(0), PeerId(0), MessageId(3), Some(Duration::from_millis(5)), false);
    let expected = "REQ 0000000000000001 90000\nREQ 0000000000000002 900000\nREQ 0000000000000003 5\n";
    assert_eq!(bench.sent_to(0), expected, "and no RDY: these count for nothing");
}

#[test]
fn a_message_is_answered_once() {
    let mut bench = Bench::max_in_flight(1);
    bench.connect(0, &["a"]);
    bench.deliver(0, 0, 1, 1);
    bench.sent_to(0);
    let (peer, id) = (PeerId(0), MessageId(1));
    assert!(bench.consumer.touch(at(0), peer, id));
    assert!(bench.consumer.finish(at(0), peer, id));
    assert!(!bench.consumer.requeue(at(0), peer, id, None, true));
    assert!(!bench.consumer.touch(at(0), peer, id));
    assert!(!bench.consumer.finish(at(0), PeerId(9), id));
    assert_eq!(bench.sent_to(0), "TOUCH 0000000000000001\nFIN 0000000000000001\n");
}

#[test]
fn a_message_that_was_tried_too_often_is_given_up() {
    let mut bench = Bench::max_in_flight(1);
    bench.connect(0, &["a"]);
    bench.sent_to(0);
    bench.deliver(0, 0, 1, 5);
    bench.deliver(0, 0, 2, 6);
    assert_eq!(bench.messages, [(PeerId(0), MessageId(1))]);
    assert_eq!(bench.gave_up, [MessageId(2)]);
    assert_eq!(bench.sent_to(0), "FIN 0000000000000002\n");
}

#[test]
fn failure_pauses_all_then_tests_with_one() {
    let mut bench = Bench::max_in_flight(10);
    bench.connect(0, &["a", "b"]);
    bench.deliver(0, 0, 1, 1);
    bench.consumer.requeue(at(0), PeerId(0), MessageId(1), None, true);
    bench.settle();
    assert_eq!(bench.ready(), [0, 0]);
    assert!(bench.events.contains(&Event::Backoff { level: 1, wait: Duration::from_secs(2) }));
    bench.time(1_999);
    assert_eq!(bench.ready(), [0, 0]);
    assert_eq!(bench.consumer.poll_timeout(), Some(at(2_000)));
    bench.time(2_000);
    assert_eq!(bench.ready().iter().sum::<u32>(), 1);
    let tested = bench.ready().iter().position(|ready| *ready == 1).unwrap() as u32;
    bench.deliver(2_001, tested, 2, 1);
    bench.consumer.finish(at(2_002), PeerId(tested), MessageId(2));
    bench.settle();
    assert_eq!(bench.ready(), [5, 5]);
    assert!(bench.events.contains(&Event::Resumed));
}

#[test]
fn a_test_message_moves_on_when_its_connection_goes() {
    let mut bench = Bench::max_in_flight(10);
    bench.connect(0, &["a", "b"]);
    bench.deliver(0, 0, 1, 1);
    bench.consumer.requeue(at(0), PeerId(0), MessageId(1), None, true);
    bench.time(2_000);
    let tested = bench.ready().iter().position(|ready| *ready == 1).unwrap() as u32;
    bench.consumer.handle_disconnected(at(2_001), PeerId(tested), "gone");
    assert_eq!(bench.ready(), [1]);
    bench.consumer.handle_disconnected(at(2_002), PeerId(1 - tested), "gone");
    bench.time(2_500);
    bench.open_all(2_500);
    bench.time(3_100);
    assert_eq!(bench.ready().iter().sum::<u32>(), 1, "asked again a second later");
}

#[test]
fn backoff_can_be_turned_off() {
    let mut bench = Bench::new(ClientOptions {
        max_in_flight: 4,
        max_backoff_duration: Duration::ZERO,
        ..ClientOptions::default()
    });
    bench.connect(0, &["a"]);
    bench.deliver(0, 0, 1, 1);
    bench.consumer.requeue(at(0), PeerId(0), MessageId(1), None, true);
    assert_eq!(bench.ready(), [4]);
}

#[test]
fn stopping_waits_for_what_is_held() {
    let mut bench = Bench::max_in_flight(10);
    bench.connect(0, &["a", "b"]);
    bench.deliver(0, 0, 1, 1);
    bench.sent_to(0);
    bench.consumer.stop(at(10));
    assert_eq!(bench.sent_to(0), "CLS\n");
    bench.bytes(11, PeerId(0), response("CLOSE_WAIT"));
    bench.bytes(11, PeerId(1), response("CLOSE_WAIT"));
    assert_eq!(bench.closed, [PeerId(1)]);
    bench.consumer.finish(at(12), PeerId(0), MessageId(1));
    assert_eq!(bench.sent_to(0), "FIN 0000000000000001\n");
    assert_eq!(bench.closed, [PeerId(1), PeerId(0)]);
    assert_eq!(bench.events.last(), Some(&Event::Stopped));
    assert_eq!(bench.consumer.poll_timeout(), None);
}

#[test]
fn stopping_ends_after_thirty_seconds() {
    let mut bench = Bench::max_in_flight(10);
    bench.connect(0, &["a"]);
    bench.deliver(0, 0, 1, 1);
    bench.consumer.stop(at(10));
    bench.bytes(11, PeerId(0), response("CLOSE_WAIT"));
    bench.time(30_009);
    assert!(bench.closed.is_empty());
    bench.time(30_010);
    assert_eq!((bench.closed.len(), bench.events.last()), (1, Some(&Event::Stopped)));
}

#[test]
fn a_broker_that_closes_at_once_is_dialled_ever_more_slowly() {
    let mut bench = Bench::max_in_flight(1);
    bench.consumer.add_nsqd(at(0), "a");
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..12 {
        bench.open_all(now);
        let (peer, ..) = bench.consumer.connections().next().unwrap();
        bench.consumer.handle_disconnected(at(now), peer, "closed");
        let next = bench.consumer.poll_timeout().unwrap();
        waits.push(next.since(at(now)).as_millis());
        now = next.as_nanos() / 1_000_000;
        bench.time(now);
    }
    assert_eq!(waits[..4], [100, 200, 400, 800]);
    assert_eq!(waits[11], 60_000);
}

#[test]
fn silence_ends_a_connection() {
    let mut bench = Bench::max_in_flight(1);
    bench.connect(0, &["a"]);
    let mut heartbeat = Vec::new();
    put_heartbeat(&mut heartbeat);
    bench.bytes(30_000, PeerId(0), heartbeat.into());
    bench.time(89_999);
    assert!(bench.closed.is_empty());
    bench.time(90_000);
    assert_eq!(bench.closed, [PeerId(0)]);
}

#[test]
fn producers_are_found_and_dropped_when_they_are_gone_for_long() {
    let mut bench = Bench::max_in_flight(2);
    bench.consumer.add_lookupd(at(0), "http://x");
    bench.settle();
    assert_eq!(bench.lookups, ["http://x"]);
    let both = ["a:1".to_owned(), "b:1".to_owned()];
    bench.consumer.handle_producers(at(0), Ok(&both));
    bench.open_all(0);
    assert_eq!(bench.ready(), [1, 1]);
    let mut heartbeat = Vec::new();
    put_heartbeat(&mut heartbeat);
    let heartbeat = Bytes::from(heartbeat);
    let mut now = 0;
    let mut round = |bench: &mut Bench, answer: Result<&[String], String>| {
        while bench.lookups.len() < 2 {
            now = (now + 20_000).min(bench.consumer.poll_timeout().unwrap().as_nanos().div_ceil(1_000_000));
            bench.time(now);
            (0..2).for_each(|peer| bench.bytes(now, PeerId(peer), heartbeat.clone()));
        }
        bench.lookups.pop();
        bench.consumer.handle_producers(at(now), answer);
        bench.settle();
    };
    round(&mut bench, Err("down".to_owned()));
    round(&mut bench, Ok(&both[..1]));
    round(&mut bench, Ok(&both[..1]));
    assert_eq!(bench.ready(), [1, 1], "a connection that works is kept");
    round(&mut bench, Ok(&both[..1]));
    assert_eq!(bench.ready(), [2], "an idle one is given up in the end");
    assert!(bench.sent_to(1).ends_with("CLS\n"));
    assert_eq!(bench.events.iter().filter(|event| matches!(event, Event::LookupFailed(_))).count(), 1);
}

#[test]
fn errors_about_a_message_leave_the_connection_and_others_do_not() {
    let mut bench = Bench::max_in_flight(1);
    bench.connect(0, &["a"]);
    bench.bytes(0, PeerId(0), frame(FrameType::Error, "E_FIN_FAILED FIN 1 failed ID not in flight"));
    assert!(bench.closed.is_empty());
    bench.bytes(0, PeerId(0), frame(FrameType::Error, "E_INVALID cannot"));
    assert_eq!(bench.closed, [PeerId(0)]);
    for bad in [&b"\0\0\0\x03\0\0\0\0"[..], b"\xff\xff\xff\xff", b"HTTP/1.1", b"\0\0\0\x04\0\0\0\x09", b"\x7f\0\0\0"] {
        let mut bench = Bench::max_in_flight(1);
        bench.connect(0, &["a"]);
        bench.bytes(0, PeerId(0), Bytes::copy_from_slice(bad));
        assert_eq!(bench.closed, [PeerId(0)], "{bad:?}");
    }
}

#[test]
fn starvation_is_having_most_of_what_was_asked_for() {
    let mut bench = Bench::max_in_flight(10);
    bench.connect(0, &["a"]);
    (0..8).for_each(|id| bench.deliver(0, 0, id, 1));
    assert!(!bench.consumer.is_starved());
    bench.deliver(0, 0, 8, 1);
    assert!(bench.consumer.is_starved());
}

/// A producer, and what it did.
struct Shop {
    producer: Producer,
    sent: String,
    dialled: Vec<PeerId>,
    done: Vec<(u64, Result<(), PublishError>)>,
}

impl Shop {
    fn new() -> Self {
        let options = ClientOptions { max_pending: 4, ..ClientOptions::default() };
        Self { producer: Producer::new("a", options), sent: String::new(), dialled: Vec::new(), done: Vec::new() }
    }

    fn settle(&mut self) {
        while let Some(output) = self.producer.poll_output() {
            match output {
                ProducerOutput::Connect { peer } => self.dialled.push(peer),
                ProducerOutput::Send { bytes, .. } => self.sent += &String::from_utf8_lossy(&bytes),
                ProducerOutput::Done { ticket, result } => self.done.push((ticket.0, result)),
                ProducerOutput::Close { .. } | ProducerOutput::Up | ProducerOutput::Down { .. } => {}
                ProducerOutput::Upgrade { .. } => panic!("nobody asked for it"),
            }
        }
    }

    fn publish(&mut self, millis: u64, body: &str) -> Result<Ticket, PublishError> {
        let ticket = self.producer.publish(at(millis), &topic(), &[body], Duration::ZERO);
        self.settle();
        ticket
    }

    fn open(&mut self, millis: u64) -> PeerId {
        let peer = self.dialled.pop().unwrap();
        self.producer.handle_connected(at(millis), peer);
        self.settle();
        assert!(self.sent.contains("  V2IDENTIFY\n"), "{}", self.sent);
        self.sent.clear();
        self.bytes(millis, peer, response("{}"));
        peer
    }

    fn bytes(&mut self, millis: u64, peer: PeerId, bytes: Bytes) {
        self.producer.handle_bytes(at(millis), peer, bytes);
        self.settle();
    }
}

#[test]
fn answers_are_matched_in_order() {
    let mut shop = Shop::new();
    shop.publish(0, "1").unwrap();
    let peer = shop.open(0);
    assert_eq!(shop.sent, "PUB t\n\0\0\0\u{1}1");
    shop.publish(0, "2").unwrap();
    shop.bytes(0, peer, frame(FrameType::Error, "E_BAD_MESSAGE x"));
    shop.bytes(0, peer, response("OK"));
    let refused = PublishError::Refused(ServerError("E_BAD_MESSAGE x".to_owned()));
    assert_eq!(shop.done, [(0, Err(refused)), (1, Ok(()))]);
    assert_eq!(shop.producer.pending(), 0);
    // A broker closes the connection after an error: what comes now goes over the next one.
    shop.sent.clear();
    shop.publish(0, "3").unwrap();
    assert_eq!(shop.sent, "");
    let next = shop.open(0);
    shop.bytes(0, next, response("OK"));
    assert_eq!(shop.done.last(), Some(&(2, Ok(()))));
}

#[test]
fn what_was_sent_fails_with_the_connection_and_the_next_publish_reconnects() {
    let mut shop = Shop::new();
    shop.publish(0, "0").unwrap();
    let peer = shop.open(0);
    shop.publish(0, "1").unwrap();
    shop.publish(0, "2").unwrap();
    shop.producer.handle_disconnected(at(1), peer, "reset");
    shop.settle();
    assert_eq!(shop.done.len(), 3);
    assert!(shop.done.iter().all(|(_, result)| matches!(result, Err(PublishError::Unanswered(_)))));
    assert!(shop.dialled.is_empty(), "nothing to do");
    shop.publish(2, "3").unwrap();
    let peer = shop.open(2);
    shop.bytes(2, peer, response("OK"));
    assert_eq!(shop.done.last(), Some(&(3, Ok(()))));
}

#[test]
fn a_broker_that_is_not_there_fails_what_waits_and_is_dialled_ever_more_slowly() {
    let mut shop = Shop::new();
    shop.publish(0, "0").unwrap();
    let peer = shop.dialled.pop().unwrap();
    shop.producer.handle_disconnected(at(0), peer, "refused");
    shop.settle();
    assert_eq!(shop.done, [(0, Err(PublishError::NotConnected("refused".to_owned())))]);
    shop.publish(50, "1").unwrap();
    assert!(shop.dialled.is_empty());
    assert_eq!(shop.producer.poll_timeout(), Some(at(100)));
    shop.producer.handle_timeout(at(100));
    shop.settle();
    let peer = shop.dialled.pop().unwrap();
    shop.producer.handle_disconnected(at(100), peer, "refused");
    shop.settle();
    assert_eq!(shop.done.len(), 2);
    shop.publish(100, "2").unwrap();
    assert_eq!(shop.producer.poll_timeout(), Some(at(300)));
}

#[test]
fn a_publish_that_is_not_answered_in_time_fails_and_its_late_answer_counts_for_it() {
    let mut shop = Shop::new();
    shop.publish(0, "0").unwrap();
    let peer = shop.open(0);
    shop.publish(20_000, "1").unwrap();
    shop.producer.handle_timeout(at(30_000));
    shop.settle();
    assert_eq!(shop.done, [(0, Err(PublishError::TimedOut))]);
    shop.bytes(30_001, peer, response("OK"));
    assert_eq!(shop.done.len(), 1);
    shop.bytes(30_001, peer, response("OK"));
    assert_eq!(shop.done[1], (1, Ok(())));
}

#[test]
fn waiting_publishes_are_bounded_and_end_with_the_producer() {
    let mut shop = Shop::new();
    (0..4).for_each(|ticket| assert_eq!(shop.publish(0, "x"), Ok(Ticket(ticket))));
    assert_eq!(shop.publish(0, "x"), Err(PublishError::Full));
    let none: &[&str] = &[];
    let mut other = Shop::new();
    assert!(matches!(other.producer.publish(at(0), &topic(), none, Duration::ZERO), Err(PublishError::Refused(_))));
    shop.producer.stop(at(1));
    shop.settle();
    assert_eq!(shop.done.len(), 4);
    assert!(shop.done.iter().all(|(_, result)| *result == Err(PublishError::Stopped)));
    assert_eq!(shop.publish(2, "x"), Err(PublishError::Stopped));
}

#[test]
fn an_answer_nobody_waits_for_ends_the_connection() {
    let mut shop = Shop::new();
    shop.publish(0, "0").unwrap();
    let peer = shop.open(0);
    shop.bytes(0, peer, response("OK"));
    shop.bytes(0, peer, response("OK"));
    assert!(!shop.producer.is_connected());
}

#[test]
fn several_deferred_messages_are_one_publish() {
    let mut shop = Shop::new();
    shop.producer.publish(at(0), &topic(), &["a", "b"], Duration::from_millis(1500)).unwrap();
    shop.settle();
    let peer = shop.open(0);
    assert_eq!(shop.sent, "DPUB t 1500\n\0\0\0\u{1}aDPUB t 1500\n\0\0\0\u{1}b");
    shop.bytes(0, peer, response("OK"));
    assert!(shop.done.is_empty());
    shop.bytes(0, peer, response("OK"));
    assert_eq!(shop.done, [(0, Ok(()))]);
}

#[test]
fn without_heartbeats_only_an_answer_that_is_due_is_missed() {
    let options = ClientOptions { heartbeat_interval: None, ..ClientOptions::default() };
    let mut shop = Shop { producer: Producer::new("a", options), ..Shop::new() };
    shop.publish(0, "0").unwrap();
    let peer = shop.open(0);
    shop.bytes(0, peer, response("OK"));
    assert_eq!(shop.producer.poll_timeout(), None);
    shop.publish(500_000, "1").unwrap();
    shop.producer.handle_timeout(at(500_001));
    assert!(shop.producer.is_connected());
}
