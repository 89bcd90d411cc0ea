//! The task of a connection on a stream in memory. Time passes only when nothing else can happen, so what ought to come at
//! once and comes with the next heartbeat is seen by the clock.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::time::Duration;

use sansq_core::config::Config;
use sansq_core::storage::StoreOptions;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::coop;
use tokio::time::Instant;

use super::*;
use crate::storage::StorageThread;

/// The runtime lets a task that has had its share ask, and says that there is nothing.
#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_that_was_set_when_the_task_had_had_its_share() {
    let directory = TempDir::new().unwrap();
    let storage = StorageThread::start(directory.path(), StoreOptions::default(), |_| {}).unwrap();
    let node = Node::new(Config::default(), storage.handle(), 1).unwrap();
    let (ours, mut theirs) = duplex(1448);
    theirs.write_all(b"  V2").await.unwrap();
    let client = client(&node, "a test".to_owned());
    let session = Session::new(node.clock.now(), node.config.clone(), Features::default());
    let mut connection = Box::pin(Connection::new(ours, session, node.clone(), client, None, None));
    let mut last = Instant::now();
    let served = poll_fn(|cx| {
        let first = last != Instant::now();
        last = Instant::now();
        while first && coop::has_budget_remaining() {
            _ = pin!(coop::consume_budget()).poll(cx);
        }
        connection.as_mut().poll(cx)
    });
    // A client that says nothing is given up after two heartbeats.
    tokio::time::timeout(Duration::from_secs(70), served).await.expect("it is closed when its time is over");
}

/// The next message that `stream` brings: its id and the size of its body.
async fn message(stream: &mut DuplexStream) -> ([u8; 16], usize) {
    loop {
        let size = stream.read_u32().await.unwrap() as usize;
        let mut frame = vec![0; size];
        stream.read_exact(&mut frame).await.unwrap();
        if frame[..4] == [0, 0, 0, 2] {
            return (frame[14..30].try_into().unwrap(), size - 30);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sends_is_read_once_it_has_taken_what_was_left_over() {
    let directory = TempDir::new().unwrap();
    let storage = StorageThread::start(directory.path(), StoreOptions::default(), |_| {}).unwrap();
    let node = Node::new(Config::default(), storage.handle(), 1).unwrap();
    // The stream takes less than a message at a time, as a socket does on any real network.
    let (ours, mut theirs) = duplex(1448);
    let client = client(&node, "a test".to_owned());
    let session = Session::new(node.clock.now(), node.config.clone(), Features::default());
    tokio::spawn(Connection::new(ours, session, node, client, None, None));

    let start = Instant::now();
    let (size, body) = (200_000, vec![b'x'; 200_000]);
    theirs.write_all(b"  V2SUB t#ephemeral c\n").await.unwrap();
    for _ in 0..2 {
        theirs.write_all(b"PUB t#ephemeral\n").await.unwrap();
        theirs.write_u32(size).await.unwrap();
        theirs.write_all(&body).await.unwrap();
    }
    theirs.write_all(b"RDY 1\n").await.unwrap();
    for _ in 0..2 {
        let (id, size) = message(&mut theirs).await;
        assert_eq!(size, body.len());
        theirs.write_all(&[b"FIN ", &id[..], b"\n"].concat()).await.unwrap();
    }
    let waited = start.elapsed();
    assert!(waited < Duration::from_secs(1), "the second message came after {waited:?}");
}

/// What is sent to many at once may lie for a moment. That moment ends though nothing else happens.
#[tokio::test]
async fn what_is_sent_to_many_comes_though_nothing_follows_it() {
    let directory = TempDir::new().unwrap();
    let storage = StorageThread::start(directory.path(), StoreOptions::default(), |_| {}).unwrap();
    let node = Node::new(Config::default(), storage.handle(), 1).unwrap();
    let connect = || {
        let (ours, theirs) = duplex(1 << 20);
        let session = Session::new(node.clock.now(), node.config.clone(), Features::default());
        tokio::spawn(Connection::new(ours, session, node.clone(), client(&node, "a test".to_owned()), None, None));
        theirs
    };
    let ok = async |stream: &mut DuplexStream| {
        let mut frame = [0; 10];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(&frame, b"\0\0\0\x06\0\0\0\0OK");
    };
    let mut consumers: [DuplexStream; 8] = std::array::from_fn(|_| connect());
    for (number, consumer) in consumers.iter_mut().enumerate() {
        consumer.write_all(format!("  V2SUB t#ephemeral c{number}\nRDY 100\n").as_bytes()).await.unwrap();
        ok(consumer).await;
    }
    let mut publisher = connect();
    publisher.write_all(b"  V2").await.unwrap();
    for count in 1..=10 {
        for _ in 0..count {
            publisher.write_all(b"PUB t#ephemeral\n\0\0\0\x01x").await.unwrap();
            ok(&mut publisher).await;
        }
        for consumer in &mut consumers {
            for _ in 0..count {
                let come = tokio::time::timeout(Duration::from_secs(20), message(consumer));
                come.await.expect("a message that was published");
            }
        }
    }
}
