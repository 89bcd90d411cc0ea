//! What nsqd tells a statsd daemon.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

use sansq_tests::client::{connect, consumer, publish};
use sansq_tests::daemon::Daemon;
use sansq_tests::nsqd::Face;

/// Statsd, with what it has been told.
struct Statsd {
    socket: UdpSocket,
    /// By name without the prefix: kind, the sum of a counter or the last value of a gauge.
    told: BTreeMap<String, (String, i64)>,
}

impl Statsd {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { socket, told: BTreeMap::new() }
    }

    /// An nsqd that reports to it. The interval is the shortest that the reference takes.
    fn nsqd(&self, more: &[&str]) -> Daemon {
        let address = format!("--statsd-address={}", self.socket.local_addr().unwrap());
        let flags =
            [address.as_str(), "--statsd-interval=1100ms", "--broadcast-address=here.test", "--broadcast-http-port=99"];
        Daemon::start(&[&flags, more].concat()).unwrap()
    }

    /// Takes in packets until something is told.
    fn until(&mut self, name: &str, value: i64) {
        let mut buffer = [0; 65_536];
        while self.told.get(name).is_none_or(|(_, told)| *told != value) {
            let len = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}; told {:?}", self.told));
            assert!(len <= 200, "larger than was asked for");
            for line in std::str::from_utf8(&buffer[..len]).unwrap().lines() {
                let (name, rest) = line.strip_prefix("nsq.here_test_99.").unwrap().rsplit_once(':').unwrap();
                let (value, kind) = rest.split_once('|').unwrap();
                let value: i64 = value.parse().unwrap();
                let told = self.told.entry(name.to_owned()).or_default();
                *told = (kind.to_owned(), if kind == "c" { told.1 + value } else { value });
            }
        }
    }
}

#[test]
fn statsd_is_told_counters_and_gauges() {
    let mut statsd = Statsd::start();
    let nsqd = statsd.nsqd(&["--statsd-udp-packet-size=200"]);
    let mut client = connect(&nsqd, "").unwrap();
    for body in ["a", "bc"] {
        publish(&mut client, "t", body.as_bytes()).unwrap();
    }
    statsd.until("topic.t.message_bytes", 3);
    // A second report counts nothing twice.
    publish(&mut client, "t", b"def").unwrap();
    statsd.until("topic.t.message_bytes", 6);
    statsd.until("topic.t.message_count", 3);
    statsd.until("topic.t.depth", 3);
    assert_eq!(statsd.told["topic.t.depth"].0, "g");
    let _consumer = consumer(&nsqd, "t", "c#ephemeral", 0).unwrap();
    statsd.until("topic.t.channel.c#ephemeral.clients", 1);
    statsd.until("topic.t.channel.c#ephemeral.depth", 3);
    statsd.until("topic.t.depth", 0);
    assert!(statsd.told["mem.heap_in_use_bytes"].1 > 0);
}

#[test]
fn ephemeral_ones_and_memory_are_left_out_on_request() {
    let mut statsd = Statsd::start();
    let nsqd = statsd.nsqd(&["--statsd-udp-packet-size=200", "--statsd-exclude-ephemeral", "--statsd-mem-stats=false"]);
    let mut client = connect(&nsqd, "").unwrap();
    for topic in ["a#ephemeral", "b"] {
        publish(&mut client, topic, b"x").unwrap();
    }
    statsd.until("topic.b.message_count", 1);
    publish(&mut client, "b", b"x").unwrap();
    statsd.until("topic.b.message_count", 2);
    assert!(statsd.told.keys().all(|name| name.starts_with("topic.b.")), "{:?}", statsd.told);
}

#[test]
fn a_statsd_that_is_not_there_disturbs_nobody() {
    let statsd = Statsd::start();
    let nsqd = statsd.nsqd(&["--statsd-interval=1s", "--statsd-udp-packet-size=200"]);
    drop(statsd);
    let mut client = connect(&nsqd, "").unwrap();
    publish(&mut client, "t", b"x").unwrap();
    if nsqd.face() == Face::Ours {
        nsqd.wait_log("STATSD: cannot send to ").unwrap();
    }
    publish(&mut client, "t", b"y").unwrap();
}
