//! Connections that take a write only in part: sockets with Ethernet's segments and small buffers, over loopback. What a
//! daemon has left to write must not keep it from what comes meanwhile.
//!
//! Heartbeats are 30 seconds apart, or 60 where a client may ask for that, so that one which happens to wake a connection does
//! not hide that it slept: whatever is due must come long before.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::thread;
use std::time::{Duration, Instant};

use sansq_tests::client::{self, Answer, batch, connect, eventually, next_message, stats, subscribe};
use sansq_tests::daemon::Daemon;
use sansq_tests::narrow::{ETHERNET, Narrow, Relay, SMALL};
use sansq_tests::tool::Tool;
use sansq_tests::wire::{Connection, Frame, Received};

/// The longest that a message or an answer may take, on a busy machine: far more than a link needs, far less than a heartbeat.
const LINK: Duration = Duration::from_secs(5);

/// A daemon with `count` messages of `bytes` in channel `c` of topic `t`.
fn filled(count: usize, bytes: usize, flags: &[&str]) -> Daemon {
    let daemon = Daemon::start(flags).unwrap();
    let mut publisher = connect(&daemon, "").unwrap();
    // The channel is there first, so that it has all of them whoever comes when.
    drop(client::consumer(&daemon, "t", "c", 0).unwrap());
    let bodies: Vec<Vec<u8>> = (0..count).map(|number| body(number, bytes)).collect();
    for bodies in bodies.chunks(100) {
        publisher.send_with_body("MPUB t\n", &batch(bodies));
        assert_eq!(client::answer(&mut publisher).unwrap(), Answer::Ok);
    }
    assert!(eventually(|| stats(&daemon, "t").unwrap()["channels"][0]["depth"] == count));
    daemon
}

/// The `number`th body: the number, and as many dots as make it `bytes` long.
fn body(number: usize, bytes: usize) -> Vec<u8> {
    let mut body = format!("{number:08}").into_bytes();
    body.resize(bytes, b'.');
    body
}

fn subscribed(daemon: &Daemon, narrow: Narrow, identify: &str, ready: u32) -> Connection {
    let mut connection = client::identified(narrow.open_v2(daemon.tcp).unwrap(), identify).unwrap();
    subscribe(&mut connection, "t", "c", ready).unwrap();
    connection
}

/// The numbers of `count` messages and their ids, each of which came soon after the one before.
fn take(connection: &mut Connection, count: usize) -> Vec<String> {
    let came = |number| {
        let message = next_message(connection, LINK).unwrap();
        message.unwrap_or_else(|| panic!("only {number} of {count} messages came, then none in {LINK:?}"))
    };
    (0..count).map(came).map(|message| message.id).collect()
}

fn finish(connection: &mut Connection, ids: &[String]) {
    let commands: String = ids.iter().map(|id| format!("FIN {id}\n")).collect();
    connection.send(commands.as_bytes());
}

/// Waits until the channel has nothing left, for no longer than a link takes.
fn assert_done(daemon: &Daemon) {
    let since = Instant::now();
    let channel = || stats(daemon, "t").unwrap()["channels"][0].clone();
    assert!(eventually(|| channel()["in_flight_count"] == 0 && channel()["depth"] == 0), "{:#}", channel());
    assert!(since.elapsed() < LINK, "finished messages were noticed after {:?}", since.elapsed());
    assert_eq!(channel()["timeout_count"], 0);
}

#[test]
fn the_second_of_two_large_messages_comes_when_the_first_is_finished() {
    let daemon = filled(2, 200_000, &[]);
    let mut consumer = subscribed(&daemon, ETHERNET, "", 1);
    for _ in 0..2 {
        let ids = take(&mut consumer, 1);
        finish(&mut consumer, &ids);
    }
    assert_done(&daemon);
}

#[test]
fn messages_that_are_finished_as_one_batch_are_finished() {
    for narrow in [ETHERNET, SMALL] {
        let daemon = filled(400, 1000, &[]);
        let mut consumer = subscribed(&daemon, narrow, "", 400);
        let ids = take(&mut consumer, 400);
        finish(&mut consumer, &ids);
        assert_done(&daemon);
    }
}

#[test]
fn messages_come_on_while_batches_are_finished() {
    for (narrow, ready) in [(ETHERNET, 2500), (ETHERNET, 200), (SMALL, 200), (SMALL, 1)] {
        let daemon = filled(1000, 2000, &[]);
        let mut consumer = subscribed(&daemon, narrow, r#"{"heartbeat_interval":60000}"#, ready);
        let batch = usize::try_from(ready).unwrap().min(1000);
        for _ in 0..1000 / batch {
            let ids = take(&mut consumer, batch);
            finish(&mut consumer, &ids);
        }
        assert_done(&daemon);
    }
}

#[test]
fn what_is_finished_in_time_does_not_come_again() {
    let daemon = filled(400, 1000, &["--msg-timeout=2s"]);
    let mut consumer = subscribed(&daemon, ETHERNET, "", 400);
    let ids = take(&mut consumer, 400);
    finish(&mut consumer, &ids);
    assert_eq!(consumer.receive(Duration::from_secs(3)).unwrap(), Received::Nothing);
    assert_done(&daemon);
}

#[test]
fn a_publisher_with_a_small_buffer_gets_all_its_answers() {
    const PUBLISHES: usize = 30_000;
    let daemon = Daemon::start(&[]).unwrap();
    for narrow in [SMALL, Narrow { send_bytes: None, ..SMALL }, ETHERNET] {
        let mut publisher = narrow.open_v2(daemon.tcp).unwrap();
        let mut writer = Connection::on(publisher.stream().try_clone().unwrap()).unwrap();
        let writing = thread::spawn(move || {
            for _ in 0..PUBLISHES / 1000 {
                writer.send(&b"PUB noise#ephemeral\n\0\0\0\x01x".repeat(1000));
            }
        });
        for answered in 0..PUBLISHES {
            let answer = publisher.receive(LINK).unwrap();
            assert_eq!(answer, Received::Frame(Frame::Response(b"OK".to_vec())), "after {answered} answers");
        }
        writing.join().unwrap();
    }
}

#[test]
fn nsq_tail_shows_all_there_is() {
    let daemon = filled(3000, 2000, &[]);
    let relay = Relay::to(daemon.tcp, ETHERNET).unwrap();
    let nsqd = format!("--nsqd-tcp-address={}", relay.address);
    let tail = Tool::start("nsq_tail", &[&nsqd, "--topic=t", "--channel=c", "-n", "3000"]).unwrap();
    let mut since = Instant::now();
    for number in 0..3000 {
        let line = tail.line().unwrap_or_else(|error| panic!("line {number} of 3000: {error:#}"));
        assert_eq!(line.as_bytes(), body(number, 2000));
        assert!(since.elapsed() < LINK, "line {number} came after {:?}", since.elapsed());
        since = Instant::now();
    }
    assert!(tail.finish().unwrap().status.success());
}
