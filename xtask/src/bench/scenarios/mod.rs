//! The scenarios. To add one, add a row to [`ALL`]; a new kind of load gets a function in a file of this folder.

mod durable;
mod flood;
mod idle;
mod latency;
mod lateness;
mod lookup;
mod throughput;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::connection::Connection;
use super::metric::Metric::{
    CpuPerMessage, Memory, MemoryPerConnection, MemoryPerRegistration, OfSyncedWriter, P50, P99, Throughput, WakeUps,
    Worst,
};
use super::metric::Target::{AtLeast, AtMost, AtMostTimesOther, TimesOther};
use super::metric::{Metric, Outcome, Target};
use super::node::{Node, NodeOptions, Program};
use super::proc::Process;
use flood::Flood;
use lookup::Names;
use throughput::Holder;

/// One workload and what is expected of it.
pub(crate) struct Scenario {
    /// For `--only` and the table.
    pub(crate) name: &'static str,
    /// One line for `--list`.
    pub(crate) about: &'static str,
    /// Which daemons can run it.
    pub(crate) needs: Needs,
    /// How the daemon is started.
    pub(crate) node: NodeOptions,
    /// What our figures have to be; other figures are shown without judgement.
    pub(crate) targets: &'static [(Metric, Target)],
    /// Runs it once on a fresh daemon.
    pub(crate) run: fn(&Bench<'_>) -> Outcome,
}

/// Which daemons a scenario can run on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any nsqd. One that runs already has its own flags, and lacks the figures taken from the process.
    Nothing,
    /// One that the bench starts: the scenario prepares its data directory, or measures only the process.
    Process,
    /// One that the bench starts and that has `--publish-ack`, which is Sansq's own.
    PublishAck,
}

const DEFAULTS: NodeOptions = NodeOptions { program: Program::Nsqd, flags: &[], channels: 0, tls: false };
const IN_MEMORY: NodeOptions = NodeOptions { flags: &["--mem-queue-size=5000000"], ..DEFAULTS };
const ON_DISK: NodeOptions = NodeOptions { flags: &["--mem-queue-size=0"], ..DEFAULTS };
const SYNCED: NodeOptions = NodeOptions { flags: &["--publish-ack=synced"], ..DEFAULTS };
const TLS: NodeOptions = NodeOptions { tls: true, ..DEFAULTS };
const MANY_CHANNELS: NodeOptions = NodeOptions { channels: 10_000, ..DEFAULTS };
const LOOKUPD: NodeOptions = NodeOptions { program: Program::Nsqlookupd, ..DEFAULTS };

/// Beside a flood: never worse than elsewhere. Other percentiles are not compared: who waits less asks more often, and most often
/// while the flood has a pause.
const NO_WORSE: &[(Metric, Target)] = &[(Worst, AtMostTimesOther(1.0))];

const YOUNG: Duration = Duration::from_millis(300);
const OLD: Duration = Duration::from_secs(6);

/// All scenarios, in the order they run and are shown.
pub(crate) static ALL: &[Scenario] = &[
    Scenario {
        name: "mpub",
        about: "MPUB of 200 messages to a topic without channels, 2 connections with 8 in flight each",
        needs: Needs::Nothing,
        node: IN_MEMORY,
        targets: &[(Throughput, TimesOther(4.0)), (CpuPerMessage, AtMost(0.2))],
        run: |bench| throughput::publish_many(bench, Holder::Topic, 2_000_000),
    },
    Scenario {
        name: "mpub-channel",
        about: "as mpub, to a topic with a channel",
        needs: Needs::Nothing,
        node: IN_MEMORY,
        targets: &[],
        run: |bench| throughput::publish_many(bench, Holder::Channel, 2_000_000),
    },
    Scenario {
        name: "consume",
        about: "a backlog of 1 M in memory, 2 consumers on a new channel, RDY 2500, a FIN each",
        needs: Needs::Nothing,
        node: IN_MEMORY,
        targets: &[(Throughput, TimesOther(5.0)), (CpuPerMessage, AtMost(0.35)), (Memory, AtMost(250.0))],
        run: |bench| throughput::consume(bench, Holder::Topic, 1_000_000),
    },
    Scenario {
        name: "consume-channel",
        about: "as consume, the backlog being in the channel already",
        needs: Needs::Nothing,
        node: IN_MEMORY,
        targets: &[],
        run: |bench| throughput::consume(bench, Holder::Channel, 1_000_000),
    },
    Scenario {
        name: "pub-pipelined",
        about: "PUB, 2 connections with 256 in flight each",
        needs: Needs::Nothing,
        node: IN_MEMORY,
        targets: &[(Throughput, TimesOther(8.0)), (CpuPerMessage, AtMost(0.6))],
        run: |bench| throughput::publish_pipelined(bench, 500_000),
    },
    Scenario {
        name: "pub-one-at-a-time",
        about: "PUB, 8 connections, each waiting for its answer",
        needs: Needs::Nothing,
        node: IN_MEMORY,
        targets: &[(Throughput, TimesOther(1.8)), (CpuPerMessage, AtMost(5.0))],
        run: |bench| throughput::publish_one_at_a_time(bench, 8, 300_000),
    },
    Scenario {
        name: "disk-mpub",
        about: "as mpub, nothing kept in memory",
        needs: Needs::Nothing,
        node: ON_DISK,
        targets: &[(Throughput, TimesOther(5.0)), (CpuPerMessage, AtMost(0.6))],
        run: |bench| throughput::publish_many(bench, Holder::Topic, 1_000_000),
    },
    Scenario {
        name: "disk-consume",
        about: "as consume with 300,000 messages, nothing kept in memory",
        needs: Needs::Nothing,
        node: ON_DISK,
        targets: &[(Throughput, TimesOther(12.0)), (CpuPerMessage, AtMost(0.7))],
        run: |bench| throughput::consume(bench, Holder::Topic, 300_000),
    },
    Scenario {
        name: "latency-20k",
        about: "end to end at 20,000 messages/s, default IDENTIFY",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: &[(P50, AtMost(0.15)), (P99, AtMost(1.0))],
        run: |bench| latency::end_to_end(bench, 20_000, 5, 1),
    },
    Scenario {
        name: "latency-100",
        about: "end to end at 100 messages/s, default IDENTIFY",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: &[(P50, AtMost(0.2)), (P99, AtMost(1.0))],
        run: |bench| latency::end_to_end(bench, 100, 10, 1),
    },
    Scenario {
        name: "fan-out",
        about: "end to end at 3,000 messages/s to 16 channels, default IDENTIFY",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: &[(P99, AtMost(2.0))],
        run: |bench| latency::end_to_end(bench, 3_000, 5, 16),
    },
    Scenario {
        name: "deferred-young",
        about: "lateness of deferred messages, channel 0.3 s old",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: &[(P99, AtMost(2.0))],
        run: |bench| lateness::deferred(bench, YOUNG),
    },
    Scenario {
        name: "deferred-old",
        about: "lateness of deferred messages, channel 6 s old",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: &[(P99, AtMost(2.0))],
        run: |bench| lateness::deferred(bench, OLD),
    },
    Scenario {
        name: "deferred-10k-channels",
        about: "lateness of deferred messages, channel 6 s old, 10,000 other channels on the node",
        needs: Needs::Process,
        node: MANY_CHANNELS,
        targets: &[(P99, AtMost(5.0))],
        run: |bench| lateness::deferred(bench, OLD),
    },
    Scenario {
        name: "timeout-young",
        about: "lateness of message timeouts, channel 0.3 s old",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: &[(P99, AtMost(2.0))],
        run: |bench| lateness::timed_out(bench, YOUNG),
    },
    Scenario {
        name: "timeout-old",
        about: "lateness of message timeouts, channel 6 s old",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: &[(P99, AtMost(2.0))],
        run: |bench| lateness::timed_out(bench, OLD),
    },
    Scenario {
        name: "timeout-10k-channels",
        about: "lateness of message timeouts, channel 6 s old, 10,000 other channels on the node",
        needs: Needs::Process,
        node: MANY_CHANNELS,
        targets: &[(P99, AtMost(5.0))],
        run: |bench| lateness::timed_out(bench, OLD),
    },
    Scenario {
        name: "idle-connections",
        about: "8,000 subscribed connections between two heartbeats",
        needs: Needs::Process,
        node: DEFAULTS,
        targets: &[(MemoryPerConnection, AtMost(2.0)), (WakeUps, AtMost(0.0))],
        run: |bench| idle::connections(bench, 8_000),
    },
    Scenario {
        name: "idle-channels",
        about: "10,000 channels and nobody connected",
        needs: Needs::Process,
        node: MANY_CHANNELS,
        targets: &[(WakeUps, AtMost(0.0))],
        run: idle::channels,
    },
    Scenario {
        name: "pub-synced",
        about: "PUB answered after the fsync, 64 connections, each waiting for its answer",
        needs: Needs::PublishAck,
        node: SYNCED,
        targets: &[(OfSyncedWriter, AtLeast(50.0))],
        run: |bench| durable::publish_synced(bench, 64, 20_000),
    },
    Scenario {
        name: "flood-publish",
        about: "ping-pong beside PUB on 8 connections",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::Publish, 8),
    },
    Scenario {
        name: "flood-publish-one",
        about: "ping-pong beside PUB on one connection",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::Publish, 1),
    },
    Scenario {
        name: "flood-publish-tiny",
        about: "ping-pong beside PUB of one byte on 8 connections",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::PublishTiny, 8),
    },
    Scenario {
        name: "flood-topics",
        about: "ping-pong beside PUB to 1,000 topics in turn on 8 connections",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::PublishTopics, 8),
    },
    Scenario {
        name: "flood-mpub",
        about: "ping-pong beside MPUB of 200 messages on 8 connections",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::PublishMany, 8),
    },
    Scenario {
        name: "flood-mpub-tiny",
        about: "ping-pong beside MPUB of 200,000 messages of one byte on 8 connections",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::PublishManyTiny, 8),
    },
    Scenario {
        name: "flood-tls",
        about: "ping-pong beside PUB on 8 connections in TLS",
        needs: Needs::Process,
        node: TLS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::Tls, 8),
    },
    Scenario {
        name: "flood-snappy",
        about: "ping-pong beside PUB on 8 connections in snappy",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::Snappy, 8),
    },
    Scenario {
        name: "flood-deflate",
        about: "ping-pong beside PUB on 8 connections in deflate, of which hardly anything is left",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::Deflate, 8),
    },
    Scenario {
        name: "flood-commands",
        about: "ping-pong beside RDY, NOP and failing TOUCH and FIN on 8 connections",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::Commands, 8),
    },
    Scenario {
        name: "flood-http-pub",
        about: "ping-pong beside pipelined POST /pub on 8 connections",
        needs: Needs::Process,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::HttpPublish, 8),
    },
    Scenario {
        name: "flood-http-mpub",
        about: "ping-pong beside pipelined POST /mpub of a megabyte on 8 connections",
        needs: Needs::Process,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::beside(bench, Flood::HttpPublishMany, 8),
    },
    Scenario {
        name: "flood-deliveries",
        about: "ping-pong beside 8 consumers that take a backlog of 2 M",
        needs: Needs::Nothing,
        node: IN_MEMORY,
        targets: NO_WORSE,
        run: |bench| flood::deliveries(bench, 8),
    },
    Scenario {
        name: "flood-comers",
        about: "ping-pong beside clients that connect and are gone, 2 threads of them",
        needs: Needs::Nothing,
        node: DEFAULTS,
        targets: NO_WORSE,
        run: |bench| flood::comers(bench, 2),
    },
    Scenario {
        name: "flood-registrations",
        about: "PING to an nsqlookupd beside 8 connections that register over and over",
        needs: Needs::Process,
        node: LOOKUPD,
        targets: NO_WORSE,
        run: |bench| flood::registrations(bench, 8),
    },
    Scenario {
        name: "lookup-shared",
        about: "/lookup at an nsqlookupd that 1,000 nsqds told of the same 100 topics with 5 channels each",
        needs: Needs::Process,
        node: LOOKUPD,
        targets: &[(P50, AtMost(1.0)), (MemoryPerRegistration, AtMost(200.0))],
        run: |bench| lookup::ask(bench, 1_000, Names::Shared),
    },
    Scenario {
        name: "lookup-own",
        about: "/lookup at an nsqlookupd that 1,000 nsqds told of 100 topics of their own with 5 channels each",
        needs: Needs::Process,
        node: LOOKUPD,
        targets: &[(P50, AtMost(1.0)), (MemoryPerRegistration, AtMost(200.0))],
        run: |bench| lookup::ask(bench, 1_000, Names::Own),
    },
];

/// The surroundings of one run.
pub(crate) struct Bench<'a> {
    /// The daemon, fresh unless it runs elsewhere.
    pub(crate) node: &'a Node,
    /// A topic nobody has used before.
    pub(crate) topic: String,
    /// Where the daemon's data directory is; a directory for other files of the run.
    pub(crate) dir: &'a Path,
    /// Whether sizes shrink tenfold.
    pub(crate) quick: bool,
}

impl Bench<'_> {
    /// `size`, or a tenth of it.
    fn scaled(&self, size: usize) -> usize {
        if self.quick { size / 10 } else { size }
    }

    /// `count` connections that have identified themselves.
    fn publishers(&self, count: usize) -> Result<Vec<Connection>> {
        (0..count).map(|_| Connection::identified(self.node.address, "")).collect()
    }

    /// A connection subscribed to the channel `c` of the topic.
    fn consumer(&self, settings: &str) -> Result<Connection> {
        Connection::subscribed(self.node.address, settings, &self.topic, "c")
    }

    /// Waits until the daemon has done what it does after answering.
    fn settle(&self) -> Result<()> {
        self.node.process().map_or(Ok(()), |process| process.settle(Duration::from_secs(120)))
    }

    /// Starts counting the daemon's CPU time.
    fn cpu_meter(&self) -> Result<CpuMeter> {
        match self.node.process() {
            Some(process) => Ok(CpuMeter(Some((process, process.cpu()?)))),
            None => Ok(CpuMeter(None)),
        }
    }
}

/// CPU time of the daemon since this was made; nothing for one out of reach.
struct CpuMeter(Option<(Process, Duration)>);

impl CpuMeter {
    fn micros_per(&self, messages: usize) -> Result<Option<f64>> {
        match self.0 {
            Some((process, before)) => Ok(Some((process.cpu()? - before).as_secs_f64() * 1e6 / messages as f64)),
            None => Ok(None),
        }
    }
}
