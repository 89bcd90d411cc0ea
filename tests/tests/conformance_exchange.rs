//! A data directory written by one program opens and drains in another: ours for the reference, the
//! reference's for ours. The other program is `SANSQ_OTHER_NSQD`; without it, the one under test reads what
//! it has written itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::time::Duration;

use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http;
use sansq_tests::nsqd::Nsqd;
use sansq_tests::wire::{Connection, Message, Received};

const PATIENCE: Duration = Duration::from_secs(10);

/// A program to write and another to read, both ways round.
fn pairs() -> Vec<(Nsqd, Nsqd)> {
    let ours = Nsqd::under_test().unwrap();
    match Nsqd::other().unwrap() {
        Some(other) => vec![(ours.clone(), other.clone()), (other, ours.clone())],
        None => vec![(ours.clone(), ours.clone())],
    }
}

fn post(daemon: &Daemon, target: &str) {
    assert_eq!(http::post(daemon.http, target, b"").unwrap().status, 200, "{target}");
}

fn publish(daemon: &Daemon, topic: &str, count: usize) {
    let mut producer = Connection::open_v2(daemon.tcp).unwrap();
    for number in 0..count {
        producer.send_with_body(&format!("PUB {topic}\n"), format!("{topic} {number}").as_bytes());
        producer.expect_response("OK", PATIENCE).unwrap();
    }
}

fn subscribe(daemon: &Daemon, topic: &str, ready: usize) -> Connection {
    let mut connection = Connection::open_v2(daemon.tcp).unwrap();
    connection.send(format!("SUB {topic} c\nRDY {ready}\n").as_bytes());
    connection.expect_response("OK", PATIENCE).unwrap();
    connection
}

fn receive(connection: &mut Connection, count: usize) -> Vec<Message> {
    (0..count).map(|_| connection.expect_message(PATIENCE).unwrap()).collect()
}

/// Waits until the channel `c` of `topic` is at rest with this many messages in its queue and in flight.
fn settle(daemon: &Daemon, topic: &str, depth: usize, in_flight: usize) {
    let wanted = format!("\"depth\":{depth},");
    let wanted_in_flight = format!("\"in_flight_count\":{in_flight},");
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let response = http::get(daemon.http, &format!("/stats?format=json&topic={topic}&channel=c")).unwrap();
        let text = String::from_utf8(response.body).unwrap();
        let channel = text.split("\"channel_name\":\"c\",").nth(1).unwrap_or_default();
        if channel.starts_with(&wanted) && channel.contains(&wanted_in_flight) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "not {depth} and {in_flight}: {text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Drains `topic`, finishing everything, and says what came; nothing more may come.
fn drain(daemon: &Daemon, topic: &str, count: usize) -> Vec<Message> {
    let mut consumer = subscribe(daemon, topic, 2500);
    let messages = receive(&mut consumer, count);
    for message in &messages {
        consumer.send(format!("FIN {}\n", message.id).as_bytes());
    }
    assert_eq!(consumer.receive(Duration::from_millis(50)).unwrap(), Received::Nothing, "{topic}");
    settle(daemon, topic, 0, 0);
    messages
}

#[test]
fn everything_at_once() {
    for (writer, reader) in pairs() {
        let daemon = Setup::of(&writer).unwrap().flag("--mem-queue-size=10").start().unwrap();
        publish(&daemon, "waiting", 25);
        post(&daemon, "/topic/create?topic=busy");
        post(&daemon, "/channel/create?topic=busy&channel=c");
        publish(&daemon, "busy", 30);
        settle(&daemon, "busy", 30, 0);
        let mut consumer = subscribe(&daemon, "busy", 7);
        let first = receive(&mut consumer, 7);
        consumer.send(format!("RDY 0\nFIN {}\nREQ {} 0\n", first[0].id, first[1].id).as_bytes());
        settle(&daemon, "busy", 24, 5);

        let daemon = daemon.stop().unwrap().hand_over(&reader).start().unwrap();
        assert_eq!(drain(&daemon, "waiting", 25).iter().filter(|message| message.attempts == 1).count(), 25);
        let rest = drain(&daemon, "busy", 29);
        for message in &rest {
            let before = first.iter().find(|sent| sent.id == message.id);
            let expected = before.map_or(1, |sent| sent.attempts + 1);
            assert_eq!(message.attempts, expected, "{message:?}");
            if let Some(before) = before {
                assert_eq!((message.timestamp, &message.body), (before.timestamp, &before.body));
            }
        }
        let bodies: BTreeSet<_> = rest.iter().chain(&first[..1]).map(|message| message.body.clone()).collect();
        assert_eq!(bodies.len(), 30);
    }
}

#[test]
fn files_that_rolled() {
    for (writer, reader) in pairs() {
        let flags = ["--mem-queue-size=0", "--max-bytes-per-file=1000", "--sync-every=1"];
        let daemon = Setup::of(&writer).unwrap().flags(flags).start().unwrap();
        publish(&daemon, "rolled", 200);
        let mut consumer = subscribe(&daemon, "rolled", 50);
        let first = receive(&mut consumer, 50);
        consumer.send(b"RDY 0\n");
        for message in &first {
            consumer.send(format!("FIN {}\n", message.id).as_bytes());
        }
        settle(&daemon, "rolled", 150, 0);

        let daemon = daemon.stop().unwrap().hand_over(&reader).start().unwrap();
        let rest = drain(&daemon, "rolled", 150);
        for (number, message) in (50..).zip(&rest) {
            assert_eq!(message.body, format!("rolled {number}").as_bytes());
            assert_eq!(message.attempts, 1);
        }
        assert!(first.iter().chain(&rest).map(|message| &message.id).is_sorted());
    }
}

#[test]
fn there_and_back() {
    for (writer, reader) in pairs() {
        let flags = ["--mem-queue-size=0", "--sync-every=1"];
        let daemon = Setup::of(&writer).unwrap().flags(flags).start().unwrap();
        post(&daemon, "/topic/create?topic=shared");
        post(&daemon, "/channel/create?topic=shared&channel=c");
        post(&daemon, "/channel/pause?topic=shared&channel=c");
        publish(&daemon, "shared", 3);
        settle(&daemon, "shared", 3, 0);
        let daemon = daemon.stop().unwrap().hand_over(&reader).start().unwrap();
        publish(&daemon, "shared", 3);
        settle(&daemon, "shared", 6, 0);
        let daemon = daemon.stop().unwrap().hand_over(&writer).start().unwrap();
        let mut consumer = subscribe(&daemon, "shared", 10);
        assert_eq!(consumer.receive(Duration::from_millis(50)).unwrap(), Received::Nothing, "it is still paused");
        post(&daemon, "/channel/unpause?topic=shared&channel=c");
        let bodies: Vec<_> = receive(&mut consumer, 6).into_iter().map(|message| message.body).collect();
        assert_eq!(bodies, [b"shared 0", b"shared 1", b"shared 2", b"shared 0", b"shared 1", b"shared 2"]);
    }
}
