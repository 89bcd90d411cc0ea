//! Whose turn it is: a client that never stops sending keeps its thread for a bounded time, whatever the bytes are wrapped in,
//! and what is new comes before its next turn.

use std::io::Write as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use flate2::write::DeflateEncoder;
use futures::poll;
use sansq_core::config::Config;
use sansq_core::storage::StoreOptions;
use snap::write::FrameEncoder;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::UnixStream;

use super::connection::{TURN, TURN_BYTES};
use super::*;
use crate::storage::StorageThread;

/// What the clients here send. Whatever became of it on the way, the topic counts it.
const COMMAND: &[u8] = b"PUB t#ephemeral\n\0\0\0\x01x";

/// A client that never stops sending, and takes all it is sent.
struct Endless {
    /// What it sends once, and then over and over.
    first: Vec<u8>,
    then: Vec<u8>,
    at: usize,
    /// Bytes that it has ready at a time, and how long it takes to read them.
    piece: usize,
    takes: Duration,
}

impl Endless {
    fn new(first: &[u8], then: Vec<u8>) -> Self {
        let first = [b"  V2", first].concat();
        Self { first, then, at: 0, piece: usize::MAX, takes: Duration::ZERO }
    }
}

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let mut left = buf.remaining().min(self.piece);
        while left > 0 {
            let rest = if self.at < self.first.len() {
                &self.first[self.at..]
            } else {
                &self.then[(self.at - self.first.len()) % self.then.len()..]
            };
            let count = rest.len().min(left);
            buf.put_slice(&rest[..count]);
            self.at += count;
            left -= count;
        }
        if !self.takes.is_zero() {
            // Moves the clock at its first poll.
            _ = pin!(tokio::time::advance(self.takes)).poll(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A node to talk to.
struct Place {
    node: Arc<Node>,
    _storage: StorageThread,
    _directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let storage = StorageThread::start(directory.path(), StoreOptions::default(), |_| {}).unwrap();
        let node = Node::new(Config::default(), storage.handle(), 1).unwrap();
        Self { node, _storage: storage, _directory: directory }
    }

    fn connection(&self, stream: Endless) -> Connection<Endless> {
        let client = client(&self.node, "a test".to_owned());
        let features = Features { snappy: true, deflate: true, ..Features::default() };
        let session = Session::new(self.node.clock.now(), self.node.config.clone(), features);
        Connection::new(stream, session, self.node.clone(), client, None, None)
    }

    /// Bytes of commands that were carried out.
    fn handled(&self) -> usize {
        let messages: u64 = self.node.stats(None, None, false).iter().map(|topic| topic.message_count).sum();
        messages as usize * COMMAND.len()
    }
}

fn identify(settings: &str) -> Vec<u8> {
    let json = format!(r#"{{"feature_negotiation":true,{settings}}}"#);
    [b"IDENTIFY\n", &(json.len() as u32).to_be_bytes()[..], json.as_bytes()].concat()
}

/// Clients that send commands as fast as they are read, on streams of each kind.
fn floods() -> [(&'static str, Endless); 3] {
    let commands = COMMAND.repeat(50_000);
    let mut deflate = DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
    deflate.write_all(&commands).unwrap();
    deflate.flush().unwrap();
    let deflated = deflate.get_ref().clone();
    let mut snappy = FrameEncoder::new(Vec::new());
    snappy.write_all(&commands).unwrap();
    let snapped = snappy.into_inner().unwrap();
    [
        ("plain", Endless::new(b"", commands)),
        ("deflate", Endless::new(&identify(r#""deflate":true"#), deflated)),
        ("snappy", Endless::new(&identify(r#""snappy":true"#), snapped)),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_bounded_in_bytes_of_commands() {
    for (kind, stream) in floods() {
        let place = Place::new();
        let mut connection = pin!(place.connection(stream));
        let mut before = 0;
        for turn in 0..50 {
            assert!(poll!(&mut connection).is_pending(), "{kind}: is over");
            let handled = place.handled() - before;
            before += handled;
            // The last share may begin just before the limit.
            assert!(handled < TURN_BYTES + 128 * 1024, "{kind}: {handled} bytes of commands in turn {turn}");
        }
        assert!(before > 40 * TURN_BYTES, "{kind}: {before} bytes of commands in 50 turns");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_bounded_in_time() {
    let place = Place::new();
    let stream = Endless::new(b"", COMMAND.to_vec());
    let mut connection = pin!(place.connection(Endless { piece: COMMAND.len(), takes: TURN / 5, ..stream }));
    assert!(poll!(&mut connection).is_pending());
    for _ in 0..10 {
        let before = place.handled();
        assert!(poll!(&mut connection).is_pending());
        let reads = (place.handled() - before) / COMMAND.len();
        assert_eq!(reads, 5, "reads that take a fifth of a turn each");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_new_comes_before_the_next_turn_of_a_flood() {
    let place = Place::new();
    let flood = tokio::spawn(place.connection(Endless::new(b"", COMMAND.repeat(50_000))));
    let (mut near, mut far) = UnixStream::pair().unwrap();
    for _ in 0..20 {
        tokio::task::yield_now().await;
        let before = place.handled();
        far.write_all(b"x").await.unwrap();
        near.read_exact(&mut [0]).await.unwrap();
        let turns = (place.handled() - before).div_ceil(TURN_BYTES);
        assert!(turns <= 2, "{turns} turns of a flood before a byte that was there");
    }
    flood.abort();
}
