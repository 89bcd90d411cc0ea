//! Connections that take a write only in part: sockets with Ethernet's segments and small buffers, over loopback. What a
//! daemon has left to write must not keep it from what comes meanwhile.
//!
//! Heartbeats are 30 seconds apart, or 60 where a client may ask for that, so that one which happens to wake a connection does
//! not hide that it slept: whatever is due must come long before.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use sansq_tests::client::{self, Answer, batch, connect, eventually, next_message, stats, subscribe};
use sansq_tests::daemon::Daemon;
use sansq_tests::lookupd::{Lookupd, identify};
use sansq_tests::narrow::{ETHERNET, Narrow, Relay, SMALL};
use sansq_tests::nsqadmin::Admin;
use sansq_tests::tool::Tool;
use sansq_tests::wire::{Connection, Frame, Received};
use serde_json::Value;

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

/// Reads to the end of the connection, where nothing may take longer than a link does.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(LINK)).unwrap();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    assert!(read.is_ok(), "{read:?} after {} bytes", bytes.len());
    bytes
}

#[test]
fn large_bodies_come_and_go_over_http() {
    let daemon = Daemon::start(&["--max-msg-size=6000000"]).unwrap();
    let mut publisher = connect(&daemon, "").unwrap();
    for topic in 0..500 {
        let answer = client::publish(&mut publisher, &format!("topic-{topic:03}"), b"x").unwrap();
        assert_eq!(answer, Answer::Ok);
    }
    let mut stream = SMALL.connect(daemon.http).unwrap();
    let host = daemon.http;
    let head = format!("GET /stats?format=json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let answer = String::from_utf8(read_to_end(&mut stream)).unwrap();
    assert!((0..500).all(|topic| answer.contains(&format!("\"topic-{topic:03}\""))), "topics are missing");

    let mut stream = SMALL.connect(daemon.http).unwrap();
    stream.set_write_timeout(Some(LINK)).unwrap();
    let head =
        format!("POST /pub?topic=t HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; 5_000_000]).unwrap();
    let answer = read_to_end(&mut stream);
    assert!(answer.ends_with(b"OK"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn nsqlookupd_answers_all_that_was_said_together() {
    const COMMANDS: usize = 20_000;
    let lookupd = Lookupd::start(&[]).unwrap();
    for narrow in [ETHERNET, SMALL] {
        let mut stream = narrow.connect(lookupd.tcp).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let info = r#"{"broadcast_address":"h","hostname":"h","tcp_port":4150,"http_port":4151,"version":"1.3.0"}"#;
        let writing = thread::spawn(move || {
            writer.write_all(&[b"  V1".to_vec(), identify(info)].concat()).unwrap();
            let commands: String = (0..COMMANDS).map(|topic| format!("REGISTER topic-{topic:05} c\n")).collect();
            writer.write_all(commands.as_bytes()).unwrap();
        });
        stream.set_read_timeout(Some(LINK)).unwrap();
        for number in 0..=COMMANDS {
            let mut size = [0; 4];
            stream.read_exact(&mut size).unwrap_or_else(|error| panic!("answer {number} did not come: {error}"));
            let mut answer = vec![0; u32::from_be_bytes(size) as usize];
            stream.read_exact(&mut answer).unwrap();
            // The first tells of the nsqlookupd.
            assert!(number == 0 || answer == b"OK", "{}", String::from_utf8_lossy(&answer));
        }
        writing.join().unwrap();
        assert_eq!(lookupd.producers(&format!("topic-{:05}", COMMANDS - 1)), [4150]);
    }
}

#[test]
fn a_page_that_takes_little_at_a_time_is_told_of_every_topic() {
    let daemon = Daemon::start(&[]).unwrap();
    let mut publisher = connect(&daemon, "").unwrap();
    let mut create = |topic: usize| {
        let answer = client::publish(&mut publisher, &format!("topic-{topic:04}"), b"x").unwrap();
        assert_eq!(answer, Answer::Ok);
    };
    (0..2000).for_each(&mut create);
    let flags = [format!("--nsqd-http-address={}", daemon.http), "--live-interval=100ms".to_owned()];
    let admin = Admin::start(&flags).unwrap();
    let mut events = admin.watch_on(SMALL.connect(admin.http).unwrap(), "topics").unwrap();
    let since = Instant::now();
    let tells_of = |topic: &'static str| move |_: &str, state: &Value| state.to_string().contains(topic);
    events.until(tells_of("\"topic-1999\"")).unwrap();
    create(2000);
    events.until(tells_of("\"topic-2000\"")).unwrap();
    assert!(since.elapsed() < 2 * LINK, "{:?}", since.elapsed());
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
