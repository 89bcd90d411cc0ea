//! Loads of every shape over a network with Ethernet's segments: bodies of 1 byte to 5 MB, RDY 1 to 2,500, one connection and
//! many, what is finished one by one or together. No message and no answer waits for longer than the link takes.
//!
//! Heartbeats are 60 seconds apart, so that a connection which sleeps when it should not stays asleep. `SANSQ_SEED` draws other
//! loads, `SANSQ_LOADS` says how many; a failure prints the seed and the load.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::env;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sansq_tests::client::{self, batch, eventually, stats, subscribe};
use sansq_tests::daemon::Daemon;
use sansq_tests::http;
use sansq_tests::link::Link;
use sansq_tests::lookupd::Lookupd;
use sansq_tests::narrow;
use sansq_tests::network::CLIENTS;
use sansq_tests::wire::{Connection, Frame, Received};

/// The longest that anything may wait on a busy machine: far more than a link needs, far less than a heartbeat.
const LINK: Duration = Duration::from_secs(5);
/// How long a consumer waits for more before it finishes what it has.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest body, and the most bytes of one load: what a slow machine does in about a second.
const BODY_BYTES: usize = 5 * 1024 * 1024;
const LOAD_BYTES: usize = 24 * 1024 * 1024;

const FLAGS: [&str; 2] = ["--max-msg-size=6000000", "--max-body-size=64000000"];

/// What is published and how it is taken.
#[derive(Clone, Copy, Debug)]
struct Load {
    bytes: usize,
    count: usize,
    ready: u32,
    /// As many as this are finished in one write.
    finish: usize,
    consumers: usize,
    publishers: usize,
    /// As many as this are published with one MPUB.
    batch: usize,
    /// Whether the clients' sockets have small buffers.
    small: bool,
    /// Whether all of it waits before the first consumer comes. Then nothing but the consumer itself wakes its connection.
    waits: bool,
}

const PLAIN: Load = Load {
    bytes: 1000,
    count: 2000,
    ready: 200,
    finish: 1,
    consumers: 1,
    publishers: 1,
    batch: 1,
    small: false,
    waits: false,
};

/// Small integers from a seed: a linear congruential generator, of which the high bits are used.
struct Draw(u64);

impl Draw {
    fn below(&mut self, range: Range<usize>) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bits = usize::try_from(self.0 >> 33).unwrap();
        range.start + bits % (range.end - range.start)
    }

    /// One of them, or one between two neighbours.
    fn about(&mut self, sizes: &[usize]) -> usize {
        let at = self.below(0..sizes.len() - 1);
        if self.below(0..2) == 0 { sizes[at] } else { self.below(sizes[at]..sizes[at + 1] + 1) }
    }

    fn load(&mut self) -> Load {
        let bytes = self.about(&[1, 100, 1448, 2896, 16_384, 65_536, 200_000, 1_000_000, BODY_BYTES]);
        let count = self.about(&[1, 2, 100, 400, 3000, 10_000]).min(LOAD_BYTES / bytes);
        let ready = u32::try_from(self.about(&[1, 2, 10, 200, 2500])).unwrap();
        let finish = self.about(&[1, 10, 400, 2500]);
        let batch = self.about(&[1, 1, 10, 200]).min(1 + LOAD_BYTES / 4 / bytes);
        Load {
            bytes,
            count,
            ready,
            finish,
            consumers: self.about(&[1, 1, 4, 20]),
            publishers: self.about(&[1, 1, 4]),
            batch,
            small: self.below(0..2) == 1,
            waits: self.below(0..2) == 1,
        }
    }
}

/// What consumers have in common.
struct Progress {
    load: Load,
    taken: AtomicUsize,
    /// When the last one came.
    last: Mutex<Instant>,
}

impl Progress {
    fn took(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap() = Instant::now();
    }

    fn is_over(&self) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        let waited = self.last.lock().unwrap().elapsed();
        assert!(taken == self.load.count || waited < LINK, "{taken} came, then none in {waited:?}: {:?}", self.load);
        taken == self.load.count
    }
}

/// Takes messages until all consumers together have all.
fn consume(mut connection: Connection, progress: &Progress) {
    let together = progress.load.finish.min(usize::try_from(progress.load.ready).unwrap());
    let mut unfinished = Vec::new();
    loop {
        match connection.receive(PAUSE).unwrap() {
            Received::Frame(Frame::Message(message)) => {
                assert_eq!((message.body.len(), message.attempts), (progress.load.bytes, 1), "{:?}", progress.load);
                progress.took();
                unfinished.extend(format!("FIN {}\n", message.id).into_bytes());
                // As long as a FIN.
                if unfinished.len() < together * 21 {
                    continue;
                }
            }
            Received::Nothing if unfinished.is_empty() && progress.is_over() => return,
            Received::Nothing => {}
            other => panic!("{other:?}: {:?}", progress.load),
        }
        connection.send(&std::mem::take(&mut unfinished));
    }
}

/// Publishes its part without waiting for answers, and takes these meanwhile.
fn publish(mut connection: Connection, load: Load, count: usize) {
    let mut writer = Connection::on(connection.stream().try_clone().unwrap()).unwrap();
    let body = vec![b'.'; load.bytes];
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut left = count;
            while left > 0 {
                let together = left.min(load.batch);
                match together {
                    1 => writer.send_with_body("PUB t\n", &body),
                    _ => writer.send_with_body("MPUB t\n", &batch(&vec![body.clone(); together])),
                }
                left -= together;
            }
        });
        for answered in 0..count.div_ceil(load.batch) {
            let answer = connection.receive(LINK).unwrap();
            assert_eq!(answer, Received::Frame(Frame::Response(b"OK".to_vec())), "after {answered} answers: {load:?}");
        }
    });
}

/// A connection of a load's client.
fn connect(link: &Link, daemon: &Daemon, small: bool) -> Connection {
    let connection = if small { narrow::SMALL.open_v2(daemon.tcp) } else { link.open_v2(daemon) };
    client::identified(connection.unwrap(), r#"{"heartbeat_interval":60000}"#).unwrap()
}

/// Runs a load. To be called among the clients.
fn run(link: &Link, load: Load) {
    let daemon = link.daemon(&FLAGS).unwrap();
    let progress = Progress { load, taken: AtomicUsize::new(0), last: Mutex::new(Instant::now()) };
    thread::scope(|scope| {
        let publishers: Vec<_> = (0..load.publishers)
            .map(|number| {
                let connection = connect(link, &daemon, load.small);
                // The first have one more, if it is not the same for all.
                let count = (load.count + load.publishers - 1 - number) / load.publishers;
                scope.spawn(move || publish(connection, load, count))
            })
            .collect();
        if load.waits {
            publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
            *progress.last.lock().unwrap() = Instant::now();
        }
        let progress = &progress;
        for _ in 0..load.consumers {
            let mut connection = connect(link, &daemon, load.small);
            subscribe(&mut connection, "t", "c", load.ready).unwrap();
            scope.spawn(move || consume(connection, progress));
        }
    });
    assert_done(&daemon, load);
}

/// Waits until the channel has nothing left, for no longer than a link takes.
fn assert_done(daemon: &Daemon, load: Load) {
    let since = Instant::now();
    let channel = || stats(daemon, "t").unwrap()["channels"][0].clone();
    let done = || channel()["in_flight_count"] == 0 && channel()["depth"] == 0;
    assert!(eventually(done), "{load:?}: {:#}", channel());
    assert!(since.elapsed() < LINK, "what was finished was noticed after {:?}: {load:?}", since.elapsed());
    assert_eq!(
        (channel()["message_count"].as_u64(), channel()["timeout_count"].as_u64()),
        (Some(load.count as u64), Some(0))
    );
}

#[test]
fn bodies_of_any_size_come_at_once() {
    let link = Link::make().unwrap();
    let loads = [(1, 5000), (1447, 2000), (65_536, 100), (200_000, 20), (1_000_000, 10), (BODY_BYTES, 4)];
    link.clients(|| {
        for (bytes, count) in loads {
            for ready in [1, 2500] {
                run(&link, Load { bytes, count: if ready == 1 { count.min(500) } else { count }, ready, ..PLAIN });
            }
        }
    })
    .unwrap();
}

#[test]
fn what_is_finished_together_makes_room_at_once() {
    let link = Link::make().unwrap();
    link.clients(|| {
        for ready in [1, 2, 200, 2500] {
            for small in [false, true] {
                run(&link, Load { ready, finish: 2500, small, waits: true, ..PLAIN });
            }
        }
    })
    .unwrap();
}

#[test]
fn many_connections_get_their_share() {
    let link = Link::make().unwrap();
    link.clients(|| {
        run(&link, Load { consumers: 50, publishers: 8, ready: 1, count: 4000, waits: true, ..PLAIN });
        run(&link, Load { consumers: 20, publishers: 4, ready: 100, finish: 10, bytes: 20_000, small: true, ..PLAIN });
    })
    .unwrap();
}

#[test]
fn loads_drawn_from_a_seed() {
    let number = |name, otherwise| env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (seed, loads) = (number("SANSQ_SEED", 1), number("SANSQ_LOADS", 6));
    println!("SANSQ_SEED={seed} SANSQ_LOADS={loads}");
    let link = Link::make().unwrap();
    let mut draw = Draw(seed);
    link.clients(|| (0..loads).for_each(|_| run(&link, draw.load()))).unwrap();
}

#[test]
fn http_takes_and_gives_what_is_large() {
    let link = Link::make().unwrap();
    link.clients(|| {
        let daemon = link.daemon(&FLAGS).unwrap();
        let body = vec![b'.'; BODY_BYTES];
        let since = Instant::now();
        assert_eq!(http::post(daemon.http, "/pub?topic=t", &body).unwrap().status, 200);
        for topic in 0..500 {
            assert_eq!(http::post(daemon.http, &format!("/topic/create?topic=t{topic}"), b"").unwrap().status, 200);
        }
        let stats = http::get(daemon.http, "/stats?format=json").unwrap();
        assert!(stats.body.len() > 65_536, "{} bytes of statistics", stats.body.len());
        assert!(since.elapsed() < 2 * LINK, "{:?}", since.elapsed());
    })
    .unwrap();
}

#[test]
fn nsqlookupd_is_told_of_a_thousand_topics_and_tells() {
    const TOPICS: usize = 1000;
    let link = Link::make().unwrap();
    link.clients(|| {
        // On the clients' side: what nsqd tells it goes over the wire.
        let flags = ["tcp", "http"].map(|port| format!("--{port}-address={CLIENTS}:0"));
        let lookupd = match &link {
            Link::Network(_) => Lookupd::start(&[&flags[0], &flags[1]]).unwrap(),
            Link::Narrow => Lookupd::start(&[]).unwrap(),
        };
        let daemon = link.daemon(&[&format!("--lookupd-tcp-address={}", lookupd.tcp)]).unwrap();
        let mut connection = connect(&link, &daemon, false);
        for topic in 0..TOPICS {
            connection.send(format!("PUB t{topic}\n\0\0\0\x01x").as_bytes());
        }
        for _ in 0..TOPICS {
            assert_eq!(connection.receive(LINK).unwrap(), Received::Frame(Frame::Response(b"OK".to_vec())));
        }
        let known = || lookupd.ask("/topics").unwrap()["topics"].as_array().unwrap().len();
        let since = Instant::now();
        assert!(eventually(|| known() == TOPICS), "{} of {TOPICS} topics are known", known());
        assert!(since.elapsed() < LINK, "{:?}", since.elapsed());
    })
    .unwrap();
}
