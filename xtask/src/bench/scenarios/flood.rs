//! How long a client waits for its answer beside others that send as fast as they can: PUB one at a time on two connections,
//! so that no thread of a daemon is left out, each message to a topic of its own that nobody else uses. What is flooded is
//! ephemeral, so that neither memory nor the disk decides.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::net::sockopt::set_socket_linger;

use super::Bench;
use crate::bench::connection::Connection;
use crate::bench::flood::{self, Flooder, Pipe};
use crate::bench::load;
use crate::bench::metric::{Metric, Outcome, Sample};
use crate::bench::wire;

/// Bytes of commands that are sent over and over, before compression.
const BLOCK_BYTES: usize = 256 * 1024;
/// For compression: long enough that its beginning does not count.
const TEXT_BYTES: usize = 4 * 1024 * 1024;
const BODY: [u8; load::BODY_BYTES] = [b'x'; load::BODY_BYTES];
/// Messages that the consumers of [`deliveries`] take, in turns.
const BACKLOG: usize = 2_000_000;

/// What the others send.
#[derive(Clone, Copy)]
pub(super) enum Flood {
    /// PUB.
    Publish,
    /// PUB with bodies of one byte.
    PublishTiny,
    /// PUB, each to another of many topics than the one before.
    PublishTopics,
    /// MPUB of 200 messages.
    PublishMany,
    /// MPUB of messages of one byte, a megabyte at a time.
    PublishManyTiny,
    /// PUB in TLS.
    Tls,
    /// PUB in snappy.
    Snappy,
    /// PUB in deflate, of which hardly anything is left.
    Deflate,
    /// RDY, NOP, and TOUCH and FIN of messages that there are not.
    Commands,
    /// `POST /pub`, pipelined.
    HttpPublish,
    /// `POST /mpub` of a megabyte, pipelined.
    HttpPublishMany,
}

impl Flood {
    /// A connection that is ready to send it.
    fn open(self, bench: &Bench<'_>, block: Arc<[u8]>) -> Result<Flooder> {
        let address = bench.node.address;
        let plain = |connection: Connection| Ok(Pipe::Plain(connection.into_socket()));
        let pipe = match self {
            Self::Publish | Self::PublishTiny | Self::PublishTopics | Self::PublishMany | Self::PublishManyTiny => {
                plain(Connection::identified(address, "")?)
            }
            Self::Tls => Pipe::tls(Connection::negotiated(address, r#""tls_v1":true"#)?),
            Self::Snappy => Ok(Pipe::Plain(Connection::negotiated(address, r#""snappy":true"#)?)),
            Self::Deflate => Ok(Pipe::Plain(Connection::negotiated(address, r#""deflate":true"#)?)),
            Self::Commands => plain(Connection::subscribed(address, "", &flooded(bench), "c#ephemeral")?),
            Self::HttpPublish | Self::HttpPublishMany => {
                let address = bench.node.http.context("the address for HTTP")?;
                Ok(Pipe::Plain(TcpStream::connect(address)?))
            }
        };
        Ok(Flooder { pipe: pipe?, block })
    }

    fn block(self, bench: &Bench<'_>) -> Result<Arc<[u8]>> {
        let topic = flooded(bench);
        let publishes = |bytes: usize, body: &[u8]| {
            let mut command = Vec::new();
            wire::publish(&mut command, &topic, body);
            command.repeat(bytes.div_ceil(command.len()))
        };
        let mut block = Vec::new();
        match self {
            Self::Publish | Self::Tls => block = publishes(BLOCK_BYTES, &BODY),
            Self::PublishTiny => block = publishes(BLOCK_BYTES, b"x"),
            Self::PublishTopics => {
                for number in 0..1000 {
                    wire::publish(&mut block, &format!("{}_{number}#ephemeral", bench.topic), b"x");
                }
            }
            Self::PublishMany => wire::publish_many(&mut block, &topic, &BODY, 200),
            Self::PublishManyTiny => wire::publish_many(&mut block, &topic, b"x", 200_000),
            Self::Snappy => block = flood::snapped(&publishes(TEXT_BYTES, &BODY))?,
            Self::Deflate => block = flood::deflated(&publishes(TEXT_BYTES, &BODY))?,
            Self::Commands => {
                let command = b"RDY 1\nNOP\nRDY 2\nTOUCH 0123456789abcdef\nRDY 3\nFIN 0123456789abcdef\n";
                block = command.repeat(BLOCK_BYTES / command.len());
            }
            Self::HttpPublish => {
                let request = http(bench, "pub", &BODY);
                block = request.repeat(BLOCK_BYTES.div_ceil(request.len()));
            }
            Self::HttpPublishMany => {
                let lines = [&BODY[..], b"\n"].concat();
                block = http(bench, "mpub", &lines.repeat(1_000_000 / lines.len()));
            }
        }
        Ok(block.into())
    }
}

/// The topic that is flooded.
fn flooded(bench: &Bench<'_>) -> String {
    format!("{}_flood#ephemeral", bench.topic)
}

fn http(bench: &Bench<'_>, endpoint: &str, body: &[u8]) -> Vec<u8> {
    let topic = flooded(bench).replace('#', "%23");
    let length = body.len();
    let head = format!("POST /{endpoint}?topic={topic} HTTP/1.1\r\nHost: bench\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// Ping-pong beside `connections` that send the `flood`.
pub(super) fn beside(bench: &Bench<'_>, flood: Flood, connections: usize) -> Outcome {
    let block = flood.block(bench)?;
    let flooders = (0..connections).map(|_| flood.open(bench, block.clone())).collect::<Result<_>>()?;
    let mut pingers = bench.publishers(2)?;
    flood::beside(flooders, || ping_pong(bench, &mut pingers))
}

/// Ping-pong beside consumers that take a backlog, and FIN each message.
pub(super) fn deliveries(bench: &Bench<'_>, connections: usize) -> Outcome {
    let mut command = Vec::new();
    wire::publish_many(&mut command, &bench.topic, &BODY, 200);
    let total = bench.scaled(BACKLOG);
    let consumers = (0..connections).map(|_| bench.consumer("")).collect::<Result<Vec<_>>>()?;
    load::in_parallel(bench.publishers(1)?, |publisher| load::pipeline(publisher, &command, 8, total / 200))?;
    bench.settle()?;
    let mut pingers = bench.publishers(2)?;
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        let taking = scope.spawn(|| load::in_parallel(consumers, |consumer| load::drain(consumer, &taken, total)));
        let sample = publish_in_turn(bench, &mut pingers, || taken.load(Ordering::Relaxed) < total);
        taking.join().map_err(|_| anyhow!("a consumer panicked"))??;
        sample
    })
}

/// Ping-pong beside clients that connect, say who they are and are gone.
pub(super) fn comers(bench: &Bench<'_>, threads: usize) -> Outcome {
    let mut pingers = bench.publishers(2)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let come = || -> Result<()> {
            while !over.load(Ordering::Relaxed) {
                let comer = Connection::identified(bench.node.address, "")?.into_socket();
                // It ends with a reset: there are not enough ports for so many that end in an orderly way.
                set_socket_linger(&comer, Some(Duration::ZERO))?;
            }
            Ok(())
        };
        let coming: Vec<_> = (0..threads).map(|_| scope.spawn(come)).collect();
        let sample = ping_pong(bench, &mut pingers);
        over.store(true, Ordering::Relaxed);
        for thread in coming {
            thread.join().map_err(|_| anyhow!("a thread that connects panicked"))??;
        }
        sample
    })
}

/// PING to nsqlookupd beside `connections` that register a channel over and over.
pub(super) fn registrations(bench: &Bench<'_>, connections: usize) -> Outcome {
    let block: Arc<[u8]> = format!("PING\nREGISTER {} c\n", bench.topic).repeat(10_000).into_bytes().into();
    let open = |number| super::lookup::identify(bench.node.address, number);
    let flooder = |number| Ok(Flooder { pipe: Pipe::Plain(open(number)?), block: block.clone() });
    let flooders = (0..connections).map(flooder).collect::<Result<_>>()?;
    let mut pingers = [open(connections)?, open(connections + 1)?];
    flood::beside(flooders, || {
        in_turn(&mut pingers, for_some_time(bench), |pinger| {
            pinger.write_all(b"PING\n")?;
            ensure!(super::lookup::answer(pinger)? == b"OK", "PING was not answered with OK");
            Ok(())
        })
    })
}

/// PUB one at a time, in turn on each of the connections, for some seconds.
fn ping_pong(bench: &Bench<'_>, pingers: &mut [Connection]) -> Outcome {
    publish_in_turn(bench, pingers, for_some_time(bench))
}

fn for_some_time(bench: &Bench<'_>) -> impl Fn() -> bool {
    let (begin, window) = (Instant::now(), Duration::from_secs(if bench.quick { 1 } else { 4 }));
    move || begin.elapsed() < window
}

fn publish_in_turn(bench: &Bench<'_>, pingers: &mut [Connection], go_on: impl Fn() -> bool) -> Outcome {
    let mut command = Vec::new();
    wire::publish(&mut command, &format!("{}_ping#ephemeral", bench.topic), &BODY);
    in_turn(pingers, go_on, |pinger| {
        pinger.queue().extend_from_slice(&command);
        pinger.expect(b"OK")
    })
}

fn in_turn<P>(pingers: &mut [P], go_on: impl Fn() -> bool, mut ping: impl FnMut(&mut P) -> Result<()>) -> Outcome {
    let mut latencies = Vec::new();
    while go_on() {
        for pinger in &mut *pingers {
            let begin = load::nanos();
            ping(pinger)?;
            latencies.push(load::nanos() - begin);
        }
    }
    let worst = latencies.iter().max().map_or(f64::NAN, |nanos| *nanos as f64 / 1e6);
    Ok(Sample::default().with_latencies(latencies).with(Metric::Worst, worst))
}
