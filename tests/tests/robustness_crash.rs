//! The end of the daemon under load, by SIGKILL and by SIGTERM: what was acknowledged is not lost.
//!
//! Counted by body, on three queues: a channel with consumers, which finish most of what they get and keep the rest in
//! flight; a channel without; a topic without channels.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::Signal;
use sansq_tests::client::{
    Answer, PATIENCE, answer, batch, consumer, drain, eventually, next_message, publish, subscribe,
};
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http;
use sansq_tests::wire::Connection;

type Bodies = BTreeSet<Vec<u8>>;

/// What a publisher has been told is safe.
#[derive(Default)]
struct Acknowledged {
    busy: Bodies,
    lonely: Bodies,
}

/// Publishes in every way until the daemon is gone.
fn publisher(address: SocketAddr, number: usize, deferred: bool, count: Arc<AtomicUsize>) -> Acknowledged {
    let mut connection = Connection::open_v2(address).unwrap();
    let mut acknowledged = Acknowledged::default();
    for n in 0.. {
        let body = |part: usize| format!("{number}/{n}/{part} {}", "x".repeat(n % 500)).into_bytes();
        let (topic, kept) = match n % 3 {
            0 => ("lonely", &mut acknowledged.lonely),
            _ => ("busy", &mut acknowledged.busy),
        };
        let (result, bodies) = match n % 11 {
            3 => {
                let bodies: Vec<_> = (0..7).map(body).collect();
                connection.send_with_body(&format!("MPUB {topic}\n"), &batch(&bodies));
                (answer(&mut connection), bodies)
            }
            7 if deferred => {
                connection.send_with_body(&format!("DPUB {topic} 300\n"), &body(0));
                (answer(&mut connection), vec![body(0)])
            }
            _ => (publish(&mut connection, topic, &body(0)), vec![body(0)]),
        };
        // Whatever is not an OK is the end of it: closed, cut off, or refused because the daemon is exiting.
        if !matches!(result, Ok(Answer::Ok)) {
            break;
        }
        count.fetch_add(bodies.len(), Ordering::Relaxed);
        kept.extend(bodies);
    }
    acknowledged
}

/// Finishes four of five messages until the daemon is gone: those it finished.
fn finisher(mut connection: Connection) -> Bodies {
    let mut finished = Bodies::new();
    let mut number = 0;
    while let Ok(Some(message)) = next_message(&mut connection, PATIENCE) {
        number += 1;
        if number % 5 != 0 {
            connection.send(format!("FIN {}\n", message.id).as_bytes());
            finished.insert(message.body);
        }
    }
    finished
}

/// Runs the load, ends the daemon with `end` in the middle of it, starts it again, and takes what is there.
fn nothing_is_lost(flags: &[&str], deferred: bool, end: impl Fn(Daemon) -> Setup) {
    let daemon = Daemon::start(flags).unwrap();
    for channel in ["c", "idle"] {
        let target = format!("/channel/create?topic=busy&channel={channel}");
        http::post(daemon.http, "/topic/create?topic=busy", b"").unwrap();
        assert_eq!(http::post(daemon.http, &target, b"").unwrap().status, 200);
    }
    let remembered = || fs::read_to_string(daemon.file("nsqd.dat")).unwrap().contains("idle");
    assert!(eventually(remembered));

    let (count, address) = (Arc::new(AtomicUsize::new(0)), daemon.tcp);
    let start = |number| {
        let count = count.clone();
        thread::spawn(move || publisher(address, number, deferred, count))
    };
    // Subscribed before the load begins: it can be over before a thread has begun.
    let subscribed = || {
        let mut connection = Connection::open_v2(address).unwrap();
        subscribe(&mut connection, "busy", "c", 50).unwrap();
        connection
    };
    let consumers = [subscribed(), subscribed()];
    let publishers: Vec<JoinHandle<Acknowledged>> = (0..3).map(start).collect();
    let finishers = consumers.map(|consumer| thread::spawn(move || finisher(consumer)));
    assert!(eventually(|| count.load(Ordering::Relaxed) > 1500));
    let setup = end(daemon);

    let (mut busy, mut lonely) = (Bodies::new(), Bodies::new());
    for publisher in publishers {
        let mut acknowledged = publisher.join().unwrap();
        busy.append(&mut acknowledged.busy);
        lonely.append(&mut acknowledged.lonely);
    }
    let finished: Bodies = finishers.into_iter().flat_map(|finisher| finisher.join().unwrap()).collect();
    let unfinished: Bodies = busy.difference(&finished).cloned().collect();
    assert!(!finished.is_empty() && !unfinished.is_empty());

    let daemon = setup.start().unwrap();
    for (topic, channel, wanted) in [("busy", "c", &unfinished), ("busy", "idle", &busy), ("lonely", "new", &lonely)] {
        let mut reader = consumer(&daemon, topic, channel, 100).unwrap();
        drain(&mut reader, wanted).unwrap_or_else(|error| panic!("{flags:?}, {topic}/{channel}: {error}"));
    }
}

fn kill(daemon: Daemon) -> Setup {
    daemon.kill().unwrap()
}

fn terminate(mut daemon: Daemon) -> Setup {
    daemon.signal(Signal::TERM).unwrap();
    assert!(daemon.wait_exit().unwrap().success(), "{}", daemon.log());
    assert!(daemon.log().contains("everything is on disk"), "{}", daemon.log());
    daemon.stopped()
}

#[test]
fn killed_when_publishes_are_written() {
    nothing_is_lost(&["--publish-ack=written"], true, kill);
}

#[test]
fn killed_when_publishes_are_written_to_many_small_files() {
    nothing_is_lost(&["--publish-ack=written", "--max-bytes-per-file=3000", "--sync-every=10"], true, kill);
}

#[test]
fn killed_when_publishes_are_synced() {
    nothing_is_lost(&["--publish-ack=synced"], true, kill);
}

#[test]
fn killed_when_nothing_is_kept_in_memory() {
    nothing_is_lost(&["--mem-queue-size=0"], false, kill);
}

#[test]
fn terminated_with_all_in_memory() {
    nothing_is_lost(&[], true, terminate);
}

#[test]
fn terminated_with_some_on_disk() {
    nothing_is_lost(&["--mem-queue-size=100", "--max-bytes-per-file=10000", "--sync-every=3"], true, terminate);
}

#[test]
fn terminated_with_durable_publishes() {
    nothing_is_lost(&["--publish-ack=synced"], true, terminate);
}
