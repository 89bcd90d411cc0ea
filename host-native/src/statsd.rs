//! Reports to a statsd daemon: what `/stats` knows, in lines over UDP, with the reference's names.
//!
//! A report is spread over most of its interval, so that thousands of channels are not thousands of packets at once, which
//! UDP would lose.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sansq_core::latency::Latency;
use sansq_core::topic::{ChannelStats, TopicStats};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{MissedTickBehavior, interval_at, sleep};

use crate::config::NsqdOptions;
use crate::http::{Memory, memory};
use crate::node::Node;

/// What is left of the interval when a report is out.
const REST: Duration = Duration::from_secs(1);

/// What an operator can set. Names are nsqd's flags.
#[derive(Clone, Debug)]
pub(crate) struct StatsdOptions {
    address: String,
    interval: Duration,
    /// With the dot that ends it, if there is one.
    prefix: String,
    packet_bytes: usize,
    with_memory: bool,
    with_ephemeral: bool,
}

impl StatsdOptions {
    /// Those of a daemon that [knows its ports](NsqdOptions::complete); `None` if it is to report nothing.
    pub(crate) fn of(options: &NsqdOptions) -> Option<Self> {
        (!options.statsd_address.is_empty()).then(|| Self {
            address: options.statsd_address.clone(),
            interval: options.statsd_interval,
            prefix: options.statsd_prefix.clone(),
            packet_bytes: usize::try_from(options.statsd_udp_packet_size).unwrap_or(usize::MAX),
            with_memory: options.statsd_mem_stats,
            with_ephemeral: !options.statsd_exclude_ephemeral,
        })
    }
}

/// Reports every interval, for ever. What cannot be sent is lost, and said once.
pub(crate) async fn keep_reporting(node: Arc<Node>, options: StatsdOptions) {
    let first = tokio::time::Instant::now() + options.interval;
    let mut ticks = interval_at(first, options.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reporter = Reporter { options, counters: Counters::default() };
    let mut said = String::new();
    loop {
        ticks.tick().await;
        let node = node.clone();
        // Both take as long as there are channels, and the kernel takes.
        let Ok((topics, memory)) = tokio::task::spawn_blocking(move || (node.stats(None, None, false), memory())).await
        else {
            continue;
        };
        let packets = reporter.report(&topics, &memory);
        let address = &reporter.options.address;
        tracing::debug!("STATSD: sending {} packets to {address}", packets.len());
        match send(address, &packets, reporter.options.interval.saturating_sub(REST)).await {
            Ok(()) => said.clear(),
            Err(error) => {
                let error = error.to_string();
                if error != said {
                    tracing::error!("STATSD: cannot send to {address} - {error}");
                }
                said = error;
            }
        }
    }
}

/// Sends the packets, evenly over `time`. A packet that is refused does not keep the others from going.
async fn send(address: &str, packets: &[String], time: Duration) -> io::Result<()> {
    let address = lookup_host(address).await?.next().ok_or_else(|| io::Error::other("it has no address"))?;
    let own: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(address).await?;
    let pause = time / u32::try_from(packets.len()).unwrap_or(u32::MAX).max(1);
    let mut result = Ok(());
    for packet in packets {
        let sent = socket.send(packet.as_bytes()).await;
        result = result.and(sent.map(drop));
        sleep(pause).await;
    }
    result
}

/// The counters of a report, by name without the prefix.
type Counters = BTreeMap<String, u64>;

/// Makes reports; remembers the last one's counters, for statsd is told what was added.
struct Reporter {
    options: StatsdOptions,
    counters: Counters,
}

impl Reporter {
    /// The packets of a report.
    fn report(&mut self, topics: &[TopicStats], memory: &Memory) -> Vec<String> {
        let mut report = Report {
            options: &self.options,
            before: &self.counters,
            counters: Counters::default(),
            packets: Vec::new(),
            packet: String::new(),
        };
        let wanted = |is_ephemeral: bool| self.options.with_ephemeral || !is_ephemeral;
        for topic in topics.iter().filter(|topic| wanted(topic.name.is_ephemeral())) {
            report.topic(topic);
            for channel in topic.channels.iter().filter(|channel| wanted(channel.name.is_ephemeral())) {
                report.channel(topic, channel);
            }
        }
        if self.options.with_memory {
            report.memory(memory);
        }
        let Report { counters, mut packets, packet, .. } = report;
        packets.extend((!packet.is_empty()).then_some(packet));
        self.counters = counters;
        packets
    }
}

/// A report so far.
struct Report<'a> {
    options: &'a StatsdOptions,
    before: &'a Counters,
    counters: Counters,
    packets: Vec<String>,
    packet: String,
}

impl Report<'_> {
    fn topic(&mut self, topic: &TopicStats) {
        let of = format!("topic.{}", topic.name);
        self.counter(format!("{of}.message_count"), topic.message_count);
        self.counter(format!("{of}.message_bytes"), topic.message_bytes);
        self.gauge(&format!("{of}.depth"), topic.depth);
        self.gauge(&format!("{of}.backend_depth"), topic.backend_depth);
        self.latency(&of, topic.latency.as_ref());
    }

    fn channel(&mut self, topic: &TopicStats, channel: &ChannelStats) {
        let of = format!("topic.{}.channel.{}", topic.name, channel.name);
        self.counter(format!("{of}.message_count"), channel.message_count);
        self.gauge(&format!("{of}.depth"), channel.depth);
        self.gauge(&format!("{of}.backend_depth"), channel.backend_depth);
        self.gauge(&format!("{of}.in_flight_count"), channel.in_flight_count);
        self.gauge(&format!("{of}.deferred_count"), channel.deferred_count);
        self.counter(format!("{of}.requeue_count"), channel.requeue_count);
        self.counter(format!("{of}.timeout_count"), channel.timeout_count);
        self.gauge(&format!("{of}.clients"), channel.client_count as u64);
        self.latency(&of, channel.latency.as_ref());
    }

    /// Percentiles, named by whole hundredths: 0.999 is `100`.
    fn latency(&mut self, of: &str, latency: Option<&Latency>) {
        for percentile in latency.iter().flat_map(|latency| &latency.percentiles) {
            let hundredths = percentile.quantile.fraction() * 100.0;
            self.line(&format!("{of}.e2e_processing_latency_{hundredths:.0}"), percentile.value.as_nanos(), 'g');
        }
    }

    fn memory(&mut self, memory: &Memory) {
        for (name, value) in memory.lines() {
            match name {
                "gc_total_runs" => self.counter("mem.gc_runs".to_owned(), value),
                name => self.gauge(&format!("mem.{name}"), value),
            }
        }
    }

    fn gauge(&mut self, name: &str, value: u64) {
        self.line(name, value.into(), 'g');
    }

    /// What was added since the last report. One that is below that is of a topic or channel that was deleted and made anew.
    fn counter(&mut self, name: String, value: u64) {
        let before = self.before.get(&name).copied().unwrap_or(0);
        self.line(&name, value.checked_sub(before).unwrap_or(value).into(), 'c');
        self.counters.insert(name, value);
    }

    /// A line is not cut: one that is longer than a packet has one of its own.
    fn line(&mut self, name: &str, value: u128, kind: char) {
        let before = self.packet.len();
        // Writing to a `String` cannot fail.
        _ = writeln!(self.packet, "{}{name}:{value}|{kind}", self.options.prefix);
        if before > 0 && self.packet.len() > self.options.packet_bytes {
            let line = self.packet.split_off(before);
            self.packets.push(std::mem::replace(&mut self.packet, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sansq_core::config::Config;
    use sansq_core::name::{ChannelName, TopicName};
    use sansq_core::time::{Instant, Now, Timestamp};
    use sansq_core::topic::Topic;

    const NOW: Now = Now { mono: Instant::ZERO, wall: Timestamp::from_nanos(0) };

    fn stats(topic: &str, channels: &[&str]) -> TopicStats {
        let mut topic = Topic::new(TopicName::parse(topic).unwrap(), Arc::new(Config::default()), 1, 1);
        for channel in channels {
            topic.handle_create_channel(NOW, &ChannelName::parse(channel).unwrap());
        }
        topic.stats(NOW, None, false)
    }

    fn reporter(packet_bytes: usize) -> Reporter {
        let options = StatsdOptions {
            address: String::new(),
            interval: Duration::from_secs(60),
            prefix: "nsq.here_4151.".to_owned(),
            packet_bytes,
            with_memory: false,
            with_ephemeral: true,
        };
        Reporter { options, counters: Counters::default() }
    }

    #[test]
    fn lines_have_the_references_names_and_order() {
        let mut topic = stats("t", &["c"]);
        (topic.message_count, topic.message_bytes, topic.depth, topic.backend_depth) = (1, 2, 3, 4);
        let channel = &mut topic.channels[0];
        (channel.message_count, channel.depth, channel.backend_depth, channel.in_flight_count) = (5, 6, 7, 8);
        (channel.deferred_count, channel.requeue_count, channel.timeout_count, channel.client_count) = (9, 10, 11, 12);
        let report = reporter(10_000).report(&[topic], &Memory::default()).concat();
        let of = ["message_count:1|c", "message_bytes:2|c", "depth:3|g", "backend_depth:4|g"]
            .map(|it| format!("topic.t.{it}"));
        let of_channel = [
            "message_count:5|c",
            "depth:6|g",
            "backend_depth:7|g",
            "in_flight_count:8|g",
            "deferred_count:9|g",
            "requeue_count:10|c",
            "timeout_count:11|c",
            "clients:12|g",
        ];
        let of_channel = of_channel.map(|it| format!("topic.t.channel.c.{it}"));
        let expected: String = of.iter().chain(&of_channel).map(|it| format!("nsq.here_4151.{it}\n")).collect();
        assert_eq!(report, expected);
    }

    #[test]
    fn counters_tell_what_was_added_and_gauges_what_is() {
        let mut reporter = reporter(10_000);
        let mut line = |count, depth| {
            let mut topic = stats("t", &[]);
            (topic.message_count, topic.depth) = (count, depth);
            let report = reporter.report(&[topic], &Memory::default()).concat();
            report.lines().map(|line| line.rsplit('.').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(line(5, 5)[..3], ["message_count:5|c", "message_bytes:0|c", "depth:5|g"]);
        assert_eq!(line(7, 5)[..3], ["message_count:2|c", "message_bytes:0|c", "depth:5|g"]);
        assert_eq!(line(7, 5)[0], "message_count:0|c");
        assert_eq!(line(1, 1)[0], "message_count:1|c", "deleted and made anew");
    }

    #[test]
    fn packets_end_between_lines() {
        let topics: Vec<_> = ["one", "two", "three"].iter().map(|name| stats(name, &["c", "d"])).collect();
        let whole = reporter(usize::MAX).report(&topics, &Memory::default());
        assert_eq!(whole.len(), 1);
        for size in [1, 100, 508, 5000] {
            let packets = reporter(size).report(&topics, &Memory::default());
            assert_eq!(packets.concat(), whole[0]);
            for packet in &packets {
                assert!(packet.ends_with('\n'));
                assert!(packet.len() <= size || packet.lines().count() == 1, "{size}: {packet}");
            }
        }
    }

    #[test]
    fn ephemeral_ones_and_memory_are_left_out_on_request() {
        let topics = [stats("t", &["c", "d#ephemeral"]), stats("u#ephemeral", &["c"])];
        let mut reporter = reporter(10_000);
        assert!(
            reporter.report(&topics, &Memory::default()).concat().contains("topic.u#ephemeral.channel.c.depth:0|g")
        );
        reporter.options.with_ephemeral = false;
        reporter.options.with_memory = true;
        let report = reporter.report(&topics, &Memory::default()).concat();
        assert!(!report.contains("ephemeral") && report.contains("topic.t.channel.c."), "{report}");
        assert!(report.contains("here_4151.mem.heap_in_use_bytes:0|g\n"), "{report}");
        assert!(report.ends_with("mem.gc_runs:0|c\n"), "{report}");
    }

    #[tokio::test]
    async fn a_report_is_spread_over_the_time_it_has() {
        let statsd = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let packets = ["a", "b", "c"].map(str::to_owned);
        let start = tokio::time::Instant::now();
        send(&statsd.local_addr().unwrap().to_string(), &packets, Duration::from_millis(60)).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(60));
        let mut buffer = [0; 9];
        for packet in packets {
            let len = statsd.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..len], packet.as_bytes());
        }
        assert!(send("no-such-host.invalid:1", &[], Duration::ZERO).await.is_err());
    }
}
