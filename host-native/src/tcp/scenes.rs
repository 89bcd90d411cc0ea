//! Scenes of nsqd's connection: clients that publish, subscribe, read slowly, finish, requeue, pipeline and go away, on all that
//! a stream can become.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sansq_core::message::{Batch, BatchBuilder};
use sansq_core::name::TopicName;
use sansq_core::rng::Rng;
use sansq_core::session::{Features, Session};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, split};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::connection::Connection;
use crate::node::{Client, Node};
use crate::scripted::{End, Frame, Nsqd, Stage, body, check, frame, negotiate};
use crate::streams::Stream;

/// What needs no time takes no more of a scene's.
const AT_ONCE: Duration = Duration::from_millis(100);
/// A scene with heartbeats and a peer that says nothing: two intervals of silence, and five seconds to take the last replies.
const WHOLE: Duration = Duration::from_secs(12);
const HEARTBEAT_MS: u64 = 1000;
const TOPIC: &str = "t#ephemeral";

/// What serves `stream`, as of a client that was just accepted.
pub(crate) fn connection(
    node: &Arc<Node>,
    stream: impl Stream + 'static,
    tls: Option<TlsAcceptor>,
) -> (Arc<Client>, impl Future<Output = ()> + Send + 'static) {
    let client = super::client(node, "a scene".to_owned());
    let features = Features { tls: tls.is_some(), snappy: true, deflate: true, ..Features::default() };
    let session = Session::new(node.clock.now(), node.config.clone(), features);
    (client.clone(), Connection::new(stream, session, node.clone(), client, tls, None))
}

/// How a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// CLS, and its answer.
    Closes,
    /// Shuts its side.
    Ends,
    /// Drops the stream, or resets it, with nothing or something under way.
    Vanishes,
    Resets,
    /// Makes a mistake that ends the connection.
    Errs,
    /// The daemon wants it to go.
    IsTold,
    /// Stays for some heartbeats.
    Stays,
    /// Takes and says nothing any more.
    Stalls,
}

/// What a client does.
#[derive(Clone, Debug)]
struct Part {
    wish: &'static str,
    /// Sizes of what it publishes, and of what somebody else does.
    own: Vec<usize>,
    others: Vec<usize>,
    /// Publishes without an answer, at most.
    pipelined: usize,
    ready: usize,
    /// Messages that it finishes together.
    together: usize,
    /// Of a hundred, those that it requeues the first time.
    requeues: u64,
    /// It goes after so many messages, whatever is under way.
    leaves_after: Option<usize>,
    ending: Ending,
}

impl Part {
    fn draw(stage: &mut Stage, wish: &'static str) -> Self {
        let ready = stage.pick([1, 2, 5, 100]);
        let size = stage.pick([10, 100, 1000, 4000, 20_000]);
        let sizes = |stage: &mut Stage, most| {
            let count = stage.below(most);
            (0..count).map(|_| stage.below(size) as usize).collect::<Vec<_>>()
        };
        let (own, mut others) = (sizes(stage, 12), sizes(stage, 8));
        // More than a connection is given before it has taken some.
        if stage.below(100) == 0 {
            others.extend([600_000, 600_000, 600_000]);
        }
        let all = own.len() + others.len();
        Self {
            wish,
            pipelined: stage.pick([1, 3, 100]),
            ready,
            together: 1 + stage.below(ready as u64) as usize,
            requeues: stage.pick([0, 0, 30]),
            leaves_after: (stage.below(5) == 0).then(|| stage.below(all as u64 + 1) as usize),
            ending: stage.pick([
                Ending::Closes,
                Ending::Ends,
                Ending::Vanishes,
                Ending::Resets,
                Ending::Errs,
                Ending::IsTold,
                Ending::Stays,
                Ending::Stalls,
            ]),
            own,
            others,
        }
    }
}

fn scene(stage: &mut Stage, wish: &'static str) {
    let part = Part::draw(stage, wish);
    stage.about(&part);
    let nsqd = Nsqd::new();
    let (ours, theirs) = stage.pair_that_holds();
    let client = nsqd.serve(stage, ours);
    let others: Vec<_> =
        part.others.iter().enumerate().map(|(at, size)| batch((part.own.len() + at) as u32, *size)).collect();
    let node = nsqd.node.clone();
    stage.task("somebody else", async move {
        let topic = TopicName::parse(TOPIC).unwrap();
        for batch in others {
            node.publish(&topic, vec![batch]).await.unwrap();
        }
    });
    let rng = stage.rng();
    stage.task("the client", play(theirs, part, rng, client));
}

fn batch(number: u32, size: usize) -> Batch {
    let mut builder = BatchBuilder::default();
    builder.push(&body(number, size), None);
    builder.finish().pop().unwrap()
}

/// What a client knows of its messages.
#[derive(Default)]
struct Tally {
    answered: usize,
    finished: BTreeSet<u32>,
    held: Vec<[u8; 16]>,
}

async fn play(theirs: End, part: Part, rng: Rng, client: Arc<Client>) {
    let start = Instant::now();
    let switch = theirs.switch();
    let stream = negotiate(Box::new(theirs), part.wish, HEARTBEAT_MS).await.unwrap();
    let (mut reader, mut writer) = split(stream);
    let (say, mut said) = mpsc::unbounded_channel::<Vec<u8>>();
    let writing = async {
        let mut bytes = Vec::new();
        while said.recv_many(&mut bytes, 100).await > 0 {
            // The connection may be over before all is said.
            if writer.write_all(&bytes.concat()).await.is_err() || writer.flush().await.is_err() {
                break;
            }
            bytes.clear();
        }
        writer
    };
    let working = async {
        work(&mut reader, &part, rng, &say).await;
        assert!(start.elapsed() < AT_ONCE, "what needs no time took {:?}", start.elapsed());
        match part.ending {
            Ending::Closes => {
                say.send(b"CLS\n".to_vec()).unwrap();
                until(&mut reader, |frame| *frame == Frame::Response(b"CLOSE_WAIT".to_vec())).await;
            }
            Ending::Errs => {
                say.send(b"NOTHING\n".to_vec()).unwrap();
                until(&mut reader, |frame| matches!(frame, Frame::Error(_))).await;
            }
            Ending::IsTold => {
                if let Some(waker) = client.mailbox.post(|mail| mail.close = true) {
                    waker.wake();
                }
            }
            Ending::Stays => {
                let before = Instant::now();
                for _ in 0..3 {
                    until(&mut reader, |frame| *frame == Frame::Response(b"_heartbeat_".to_vec())).await;
                    say.send(b"NOP\n".to_vec()).unwrap();
                }
                let stayed = before.elapsed();
                assert!(stayed <= Duration::from_millis(3 * HEARTBEAT_MS) + AT_ONCE, "3 heartbeats in {stayed:?}");
            }
            Ending::Stalls => tokio::time::sleep(WHOLE - Duration::from_secs(1)).await,
            Ending::Ends | Ending::Vanishes | Ending::Resets => {}
        }
        drop(say);
        reader
    };
    let (mut reader, mut writer) = tokio::join!(working, writing);
    match part.ending {
        Ending::Vanishes => {}
        Ending::Resets => switch.cut(),
        Ending::Stalls => _ = reader.read_to_end(&mut Vec::new()).await,
        Ending::Ends | Ending::Closes | Ending::Stays | Ending::Errs | Ending::IsTold => {
            let before = Instant::now();
            // Messages may still come, if it leaves early; and the other side may be gone.
            _ = writer.shutdown().await;
            _ = reader.read_to_end(&mut Vec::new()).await;
            assert!(before.elapsed() < AT_ONCE, "the end took {:?}", before.elapsed());
        }
    }
}

/// Reads until a frame that is `wanted`.
async fn until(reader: &mut (impl AsyncRead + Unpin), wanted: impl Fn(&Frame) -> bool) {
    while !wanted(&frame(reader).await.unwrap().expect("the connection stays")) {}
}

/// Publishes and consumes until all is finished, or it is time to leave.
async fn work(reader: &mut (impl AsyncRead + Unpin), part: &Part, mut rng: Rng, say: &mpsc::UnboundedSender<Vec<u8>>) {
    let all = part.own.len() + part.others.len();
    let mut tally = Tally::default();
    // The answer to SUB is one more.
    let answers = 1 + part.own.len();
    let tell = |bytes: Vec<u8>| _ = say.send(bytes);
    tell(format!("SUB {TOPIC} c\nRDY {}\n", part.ready).into_bytes());
    let mut unsaid = part.own.iter().enumerate();
    let mut publish = || {
        if let Some((number, size)) = unsaid.next() {
            let body = body(number as u32, *size);
            let head = format!("PUB {TOPIC}\n").into_bytes();
            tell([head, (body.len() as u32).to_be_bytes().to_vec(), body].concat());
        }
    };
    (0..part.pipelined).for_each(|_| publish());
    let mut seen = 0;
    loop {
        if tally.finished.len() == all && tally.held.is_empty() && tally.answered == answers
            || part.leaves_after.is_some_and(|after| seen >= after)
        {
            return;
        }
        match frame(reader).await.unwrap().expect("the connection stays") {
            Frame::Response(text) if text == b"OK" => {
                tally.answered += 1;
                if tally.answered > 1 {
                    publish();
                }
            }
            Frame::Response(text) => {
                assert_eq!(text, b"_heartbeat_");
                tell(b"NOP\n".to_vec());
            }
            Frame::Error(error) => panic!("{error}"),
            Frame::Message { id, attempts, body: text } => {
                seen += 1;
                let number = u32::from_be_bytes(text[..4].try_into().unwrap());
                assert!(text == body(number, text.len() - 4), "message {number} is another");
                if attempts == 1 && rng.below(100) < part.requeues {
                    tell([b"REQ ", &id[..], b" 0\n"].concat());
                } else {
                    assert!(tally.finished.insert(number), "message {number} came twice");
                    tally.held.push(id);
                }
            }
        }
        // Not more than it may hold, or than there are.
        if tally.held.len() >= part.together || tally.finished.len() == all {
            let finishes = tally.held.drain(..).map(|id| [b"FIN ", &id[..], b"\n"].concat());
            tell(finishes.collect::<Vec<_>>().concat());
        }
    }
}

#[test]
fn a_plain_connection_sleeps_through_nothing() {
    check(1500, WHOLE, |stage| scene(stage, ""));
}

#[test]
fn nor_does_one_in_snappy() {
    check(1000, WHOLE, |stage| scene(stage, "snappy"));
}

#[test]
fn nor_does_one_in_deflate() {
    check(1000, WHOLE, |stage| scene(stage, "deflate"));
}

#[test]
fn nor_does_one_in_tls() {
    check(1000, WHOLE, |stage| scene(stage, "tls"));
}

#[test]
fn nor_does_one_in_snappy_in_tls() {
    check(1000, WHOLE, |stage| scene(stage, "tls snappy"));
}

#[test]
fn nor_does_one_in_deflate_in_tls() {
    check(1000, WHOLE, |stage| scene(stage, "tls deflate"));
}
