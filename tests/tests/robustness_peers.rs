//! Peers that do not do their part: they do not read, do not answer, say nothing, vanish, or are too many.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use rustix::process::Signal;
use sansq_tests::client::{self, Answer, PATIENCE, connect, consumer, drain, eventually, publish, stats, subscribe};
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http;
use sansq_tests::nsqd::Nsqd;
use sansq_tests::process;
use sansq_tests::wire::{Connection, MAGIC, Received};

const MEGABYTE: u64 = 1024 * 1024;

/// A message of 256 KiB that starts with its number.
fn large(number: u32) -> Vec<u8> {
    let mut body = vec![b'.'; 256 * 1024];
    body[..4].copy_from_slice(&number.to_be_bytes());
    body
}

fn sockets(daemon: &Daemon) -> usize {
    process::connections_at(daemon.tcp).unwrap().0
}

#[test]
fn a_consumer_that_never_reads_costs_little_and_disturbs_nobody() {
    const MESSAGES: u32 = 240;
    let daemon = Daemon::start(&["--mem-queue-size=0", "--msg-timeout=2s"]).unwrap();
    let mut slow = connect(&daemon, r#"{"heartbeat_interval":1000}"#).unwrap();
    subscribe(&mut slow, "t", "slow", 2500).unwrap();
    let mut other = consumer(&daemon, "t", "other", 10).unwrap();
    let bodies: Vec<Vec<u8>> = (0..MESSAGES).map(large).collect();

    let reading = thread::spawn({
        let bodies = bodies.clone();
        move || drain(&mut other, &bodies).unwrap()
    });
    let mut publisher = connect(&daemon, "").unwrap();
    let (mut slowest, mut memory) = (Duration::ZERO, 0);
    for body in &bodies {
        let sent = Instant::now();
        assert_eq!(publish(&mut publisher, "t", body).unwrap(), Answer::Ok);
        slowest = slowest.max(sent.elapsed());
        memory = memory.max(process::memory(daemon.pid()).unwrap());
    }
    let seen = reading.join().unwrap();
    assert!(seen.values().all(|&times| times == 1), "the other channel got something twice");
    assert!(slowest < Duration::from_secs(2), "a publish took {slowest:?}");
    // Two channels got 60 MiB each: what is kept is windows, read-ahead and buffers.
    assert!(memory < 48 * MEGABYTE, "{} MiB resident", memory / MEGABYTE);
    println!("a consumer that never reads: {} MiB resident, slowest publish {slowest:?}", memory / MEGABYTE);

    assert!(eventually(|| stats(&daemon, "t").unwrap()["channels"][1]["clients"].as_array().unwrap().is_empty()));
    // All that was on its way to it comes to the next one, the rest as usual.
    let mut next = consumer(&daemon, "t", "slow", 10).unwrap();
    let seen = drain(&mut next, &bodies).unwrap();
    assert_eq!(seen.len(), bodies.len());
    assert!(process::memory(daemon.pid()).unwrap() < 64 * MEGABYTE);
}

#[test]
fn a_consumer_that_never_reads_is_closed_at_the_write_deadline() {
    let daemon = Daemon::start(&[]).unwrap();
    let mut deaf = connect(&daemon, r#"{"heartbeat_interval":1000}"#).unwrap();
    subscribe(&mut deaf, "t", "c", 2500).unwrap();
    let mut publisher = connect(&daemon, "").unwrap();
    for number in 0..60 {
        assert_eq!(publish(&mut publisher, "t", &large(number)).unwrap(), Answer::Ok);
    }
    let full = Instant::now();
    assert!(eventually(|| sockets(&daemon) == 1));
    let took = full.elapsed();
    assert!(took < Duration::from_secs(4), "closed only after {took:?}");
}

/// Publishes without end and reads no answer, until the daemon closes: how long that took after it had stopped reading, and
/// the most memory it had.
fn publish_without_reading(daemon: &Daemon, identify: &str) -> (Duration, u64) {
    let mut connection = connect(daemon, identify).unwrap();
    let stream = connection.stream();
    set_socket_recv_buffer_size(&*stream, 4096).unwrap();
    stream.set_write_timeout(Some(2 * PATIENCE)).unwrap();
    let commands = b"PUB noise#ephemeral\n\0\0\0\x01x".repeat(10_000);
    let (mut progress, mut memory) = (Instant::now(), 0);
    // The answers fill the buffers between the two, then the daemon stops reading, then it closes.
    let error = loop {
        match stream.write_all(&commands) {
            Ok(()) => {
                progress = Instant::now();
                memory = memory.max(process::memory(daemon.pid()).unwrap());
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    (progress.elapsed(), memory)
}

#[test]
fn a_publisher_that_never_reads_its_answers_is_closed() {
    let daemon = Daemon::start(&[]).unwrap();
    let (took, memory) = publish_without_reading(&daemon, r#"{"heartbeat_interval":1000}"#);
    assert!(took < Duration::from_secs(4), "closed only after {took:?}");
    assert!(memory < 64 * MEGABYTE, "{} MiB resident", memory / MEGABYTE);
    assert_eq!(publish(&mut connect(&daemon, "").unwrap(), "t", b"x").unwrap(), Answer::Ok);
}

#[test]
fn without_heartbeats_the_write_deadline_is_the_usual_one() {
    let daemon = Daemon::start(&[]).unwrap();
    let (took, _) = publish_without_reading(&daemon, r#"{"heartbeat_interval":-1}"#);
    assert!((Duration::from_secs(25)..Duration::from_secs(35)).contains(&took), "closed after {took:?}");
}

#[test]
fn a_client_that_resets_leaves_its_messages_to_others() {
    let daemon = Daemon::start(&["--msg-timeout=500ms"]).unwrap();
    let mut first = consumer(&daemon, "t", "c", 10).unwrap();
    let mut publisher = connect(&daemon, "").unwrap();
    let bodies: Vec<Vec<u8>> = (0..10u8).map(|n| vec![n]).collect();
    for body in &bodies {
        publish(&mut publisher, "t", body).unwrap();
    }
    assert!(eventually(|| stats(&daemon, "t").unwrap()["channels"][0]["in_flight_count"] == 10));
    // Closing sends RST instead of FIN.
    set_socket_linger(&*first.stream(), Some(Duration::ZERO)).unwrap();
    drop(first);
    assert!(eventually(|| stats(&daemon, "t").unwrap()["channels"][0]["client_count"] == 0));
    drain(&mut consumer(&daemon, "t", "c", 10).unwrap(), &bodies).unwrap();
}

#[test]
fn a_consumer_that_stops_is_found_out_by_its_heartbeats() {
    let daemon = Daemon::start(&["--msg-timeout=500ms"]).unwrap();
    // It reads, but it answers nothing, as one does that hangs, or whose host is gone.
    let mut hung = connect(&daemon, r#"{"heartbeat_interval":1000}"#).unwrap();
    subscribe(&mut hung, "t", "c", 1).unwrap();
    let mut publisher = connect(&daemon, "").unwrap();
    publish(&mut publisher, "t", b"x").unwrap();
    let mut next = consumer(&daemon, "t", "c", 1).unwrap();
    let came = drain(&mut next, &[b"x".to_vec()]);
    assert!(came.is_ok(), "{came:?}");
    assert!(eventually(|| stats(&daemon, "t").unwrap()["channels"][0]["client_count"] == 1));
}

#[test]
fn tcp_watches_over_peers_that_want_no_heartbeats() {
    let daemon = Daemon::start(&[]).unwrap();
    let _quiet = connect(&daemon, r#"{"heartbeat_interval":-1}"#).unwrap();
    assert!(eventually(|| process::connections_at(daemon.tcp).unwrap() == (1, 1)), "no keepalive is on");
}

/// Opens `count` connections that send `first`.
fn crowd(daemon: &Daemon, count: usize, first: &[u8]) -> Vec<TcpStream> {
    let open = || {
        let mut stream = TcpStream::connect_timeout(&daemon.tcp, PATIENCE).unwrap();
        stream.write_all(first).unwrap();
        stream
    };
    std::iter::repeat_with(open).take(count).collect()
}

#[test]
fn thousands_that_say_nothing_are_closed_and_those_that_do_are_kept() {
    let limit = process::raise_file_limit().unwrap();
    let silent_count = usize::try_from(limit / 4).unwrap().min(4000);
    let daemon = Daemon::start(&["--magic-timeout=3s"]).unwrap();
    let before = process::memory(daemon.pid()).unwrap();
    let kept = crowd(&daemon, 500, MAGIC);
    let mut silent = crowd(&daemon, silent_count, b"");
    assert!(eventually(|| sockets(&daemon) > silent_count / 2));
    let each = (process::memory(daemon.pid()).unwrap() - before) / (silent_count as u64 + 500);
    println!("{} connections that do nothing: {each} bytes each", silent_count + 500);
    assert!(each < 16 * 1024, "{each} bytes for a connection that does nothing");

    for stream in &mut silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "closed without a word");
    }
    drop(silent);
    assert!(eventually(|| sockets(&daemon) == kept.len()));
    for mut stream in kept {
        stream.write_all(b"PUB t\n\0\0\0\x01x").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut frame = [0; 10];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(&frame, b"\0\0\0\x06\0\0\0\0OK");
    }
}

#[test]
fn a_rush_of_clients_waits_in_the_kernel() {
    let daemon = Daemon::start(&[]).unwrap();
    // As busy as can be.
    daemon.signal(Signal::STOP).unwrap();
    let queue: usize = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let start = Instant::now();
    let rush = crowd(&daemon, queue.min(1000), b"  V2PUB t\n\0\0\0\x01x");
    let took = start.elapsed();
    daemon.signal(Signal::CONT).unwrap();
    assert!(took < Duration::from_secs(1), "some had to try again: {took:?}");
    assert!(eventually(|| stats(&daemon, "t").unwrap()["message_count"] == rush.len()));
}

#[test]
fn more_clients_than_files_wait_their_turn() {
    let limited = Nsqd::under_test().unwrap().after("ulimit -n 100");
    let daemon = Setup::of(&limited).unwrap().flag("--mem-queue-size=0").start().unwrap();
    let mut first = connect(&daemon, "").unwrap();
    let mut crowd: Vec<Connection> = (0..120).map(|_| Connection::open_v2(daemon.tcp).unwrap()).collect();
    daemon.wait_log("cannot accept clients").unwrap();

    // Who is in is served, and the disk is not affected by how many there are.
    for topic in 0..20 {
        assert_eq!(publish(&mut first, &format!("t{topic}"), b"x").unwrap(), Answer::Ok, "topic {topic}");
    }
    // No busy loop, and it is not said again and again.
    let (used, lines) = (process::processor_time(daemon.pid()).unwrap(), daemon.log().lines().count());
    thread::sleep(Duration::from_millis(1500));
    let used = process::processor_time(daemon.pid()).unwrap() - used;
    assert!(used < Duration::from_millis(200), "{used:?} of processor time in 1.5 s of waiting");
    let said = daemon.log().lines().count() - lines;
    assert!(said < 10, "{said} lines logged in 1.5 s of waiting");

    // The last one comes in when others have gone, on either port.
    let mut last = crowd.pop().unwrap();
    last.send(b"PUB t0\n\0\0\0\x01y");
    let waiting = thread::spawn({
        let address = daemon.http;
        move || http::get(address, "/ping")
    });
    assert_eq!(last.receive(Duration::from_millis(100)).unwrap(), Received::Nothing);
    drop(crowd);
    assert_eq!(client::answer(&mut last).unwrap(), Answer::Ok);
    assert_eq!(waiting.join().unwrap().unwrap().status, 200);
    daemon.wait_log("accepting again").unwrap();
    let bodies: BTreeSet<Vec<u8>> = [b"x".to_vec(), b"y".to_vec()].into();
    drain(&mut consumer(&daemon, "t0", "c", 5).unwrap(), &bodies).unwrap();
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_allowed() {
    let limited = Nsqd::under_test().unwrap().after("ulimit -S -n 64");
    let daemon = Setup::of(&limited).unwrap().start().unwrap();
    let mut crowd: Vec<Connection> = (0..100).map(|_| Connection::open_v2(daemon.tcp).unwrap()).collect();
    let last = crowd.last_mut().unwrap();
    assert_eq!(publish(last, "t", b"x").unwrap(), Answer::Ok);
    assert!(process::open_files(daemon.pid()).unwrap() > 100);
}
