//! `GET /metrics`: counts in Prometheus' text format (version 0.0.4). Beyond the reference, whose users run an exporter.
//!
//! Nothing is labelled by client: how many there are is theirs to choose, and a monitor keeps every label it ever saw.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use sansq_core::latency::Latency;
use sansq_core::topic::{ChannelStats, TopicStats};

use super::Api;
use super::process::{self, Usage};
use super::respond::{Failure, Outcome, Reply};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric that each topic, or each channel, has a value of.
struct Family<T> {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: fn(&T) -> u64,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Only grows while the process lives.
    Counter,
    Gauge,
}

const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> u64) -> Family<T> {
    Family { name, kind: Kind::Gauge, help, value }
}

const fn counter<T>(name: &'static str, help: &'static str, value: fn(&T) -> u64) -> Family<T> {
    Family { name, kind: Kind::Counter, help, value }
}

static TOPICS: &[Family<TopicStats>] = &[
    gauge("nsq_topic_depth", "Messages waiting in the topic itself, on disk included.", |t| t.depth),
    gauge("nsq_topic_backend_depth", "Messages waiting in the topic itself on disk.", |t| t.backend_depth),
    gauge("nsq_topic_channels", "Channels of the topic.", |t| t.channels.len() as u64),
    gauge("nsq_topic_paused", "1 if messages are kept from the channels.", |t| u64::from(t.paused)),
    counter("nsq_topic_messages_total", "Messages published.", |t| t.message_count),
    counter("nsq_topic_message_bytes_total", "Body bytes of the messages published.", |t| t.message_bytes),
    counter("nsq_topic_dropped_total", "Messages dropped because an ephemeral topic was full.", |t| t.dropped_count),
];

static CHANNELS: &[Family<ChannelStats>] = &[
    gauge("nsq_channel_depth", "Messages waiting, on disk included; not those in flight or deferred.", |c| c.depth),
    gauge("nsq_channel_backend_depth", "Messages waiting on disk.", |c| c.backend_depth),
    gauge("nsq_channel_in_flight", "Messages with consumers.", |c| c.in_flight_count),
    gauge("nsq_channel_deferred", "Messages waiting for their time.", |c| c.deferred_count),
    gauge("nsq_channel_clients", "Consumers.", |c| c.client_count as u64),
    gauge("nsq_channel_paused", "1 if messages are kept from the consumers.", |c| u64::from(c.paused)),
    counter("nsq_channel_messages_total", "Messages put into the channel by its topic.", |c| c.message_count),
    counter("nsq_channel_requeues_total", "Messages given back by consumers.", |c| c.requeue_count),
    counter("nsq_channel_timeouts_total", "Messages taken back because their time was up.", |c| c.timeout_count),
    counter("nsq_channel_memory_deliveries_total", "Deliveries from memory.", |c| {
        c.zone_local_count + c.region_local_count + c.global_count
    }),
    counter("nsq_channel_zone_local_deliveries_total", "Deliveries from memory to consumers in this zone.", |c| {
        c.zone_local_count
    }),
    counter("nsq_channel_region_local_deliveries_total", "Deliveries from memory to others in this region.", |c| {
        c.region_local_count
    }),
    counter("nsq_channel_dropped_total", "Messages dropped because an ephemeral channel was full.", |c| {
        c.dropped_count
    }),
    counter("nsq_channel_sampled_out_total", "Messages dropped by a sample rate.", |c| c.sampled_out_count),
];

/// `GET /metrics`.
pub(super) async fn metrics(api: &Arc<Api>) -> Outcome {
    let healthy = api.node.health().await.is_ok();
    let api = api.clone();
    let page = tokio::task::spawn_blocking(move || render(&api, healthy)).await;
    page.map(|page| Reply::Typed(CONTENT_TYPE, page)).map_err(|_| Failure::INTERNAL)
}

fn render(api: &Api, healthy: bool) -> String {
    let node = &api.node;
    let mut page = Page::default();
    let version = &node.config.version;
    page.family("nsq_build_info", Kind::Gauge, "Always 1; the labels tell what runs.");
    page.sample("nsq_build_info", &[("version", version), ("sansq_version", env!("CARGO_PKG_VERSION"))], 1);
    page.single("nsq_healthy", Kind::Gauge, "1 if the disk can be written, as /ping says.", u8::from(healthy));
    page.single("nsq_clients", Kind::Gauge, "TCP clients, consumers or not.", node.clients.all().len());
    let topics = node.stats(None, None, false);
    page.single("nsq_topics", Kind::Gauge, "Topics.", topics.len());
    page.topics(&topics);
    page.process(node.start_time, &process::usage());
    page.0
}

/// The text so far. Writing to a `String` cannot fail, so the results of `write!` say nothing.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Begins the samples of `name`, which must all follow.
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            _ = write!(self.0, "{before}{label}=\"{}\"", escape(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        _ = writeln!(self.0, " {value}");
    }

    /// A family of one sample.
    fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn topics(&mut self, topics: &[TopicStats]) {
        for family in TOPICS {
            self.family(family.name, family.kind, family.help);
            for topic in topics {
                self.sample(family.name, &[("topic", topic.name.as_str())], (family.value)(topic));
            }
        }
        for family in CHANNELS {
            self.family(family.name, family.kind, family.help);
            for topic in topics {
                for channel in &topic.channels {
                    self.sample(family.name, &labels_of(topic, channel), (family.value)(channel));
                }
            }
        }
        self.latencies(topics);
    }

    /// Percentiles of the time from publish to finish, of those that have any.
    fn latencies(&mut self, topics: &[TopicStats]) {
        let is_measured = |topic: &TopicStats| topic.latency.as_ref().is_some_and(|latency| latency.count > 0);
        let measured: Vec<&TopicStats> = topics.iter().filter(|topic| is_measured(topic)).collect();
        if measured.is_empty() {
            return;
        }
        let (name, help) = ("nsq_topic_e2e_processing_latency_seconds", "Time from publish to finish, all channels.");
        self.family(name, Kind::Gauge, help);
        for topic in &measured {
            self.percentiles(name, &[("topic", topic.name.as_str())], topic.latency.as_ref());
        }
        let (name, help) = ("nsq_channel_e2e_processing_latency_seconds", "Time from publish to finish.");
        self.family(name, Kind::Gauge, help);
        for topic in &measured {
            for channel in &topic.channels {
                self.percentiles(name, &labels_of(topic, channel), channel.latency.as_ref());
            }
        }
    }

    fn percentiles(&mut self, name: &str, labels: &[(&str, &str)], latency: Option<&Latency>) {
        for percentile in latency.filter(|latency| latency.count > 0).iter().flat_map(|latency| &latency.percentiles) {
            let quantile = percentile.quantile.fraction().to_string();
            let labels = [labels, &[("quantile", &quantile)]].concat();
            self.sample(name, &labels, percentile.value.as_secs_f64());
        }
    }

    /// Under the names that all exporters use.
    fn process(&mut self, start_time: i64, usage: &Usage) {
        let gauge = Kind::Gauge;
        self.single("process_start_time_seconds", gauge, "When the process started, Unix time.", start_time);
        if let Some(cpu) = usage.cpu {
            let help = "User and system time used.";
            self.single("process_cpu_seconds_total", Kind::Counter, help, cpu.as_secs_f64());
        }
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory.", usage.resident_bytes),
            ("process_virtual_memory_bytes", "Virtual memory.", usage.virtual_bytes),
            ("process_open_fds", "Open file descriptors.", usage.open_fds),
            ("process_max_fds", "Most file descriptors that may be open.", usage.max_fds),
            ("process_threads", "Threads.", usage.threads),
        ] {
            if let Some(value) = value {
                self.single(name, gauge, help, value);
            }
        }
    }
}

fn labels_of<'a>(topic: &'a TopicStats, channel: &'a ChannelStats) -> [(&'static str, &'a str); 2] {
    [("topic", topic.name.as_str()), ("channel", channel.name.as_str())]
}

/// A label's value, as the format wants it.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sansq_core::latency::{Percentile, Quantile};
    use sansq_core::name::TopicName;
    use std::time::Duration;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.sample("m", &[("a", "x\"y\\z\n"), ("b", "")], 1.5);
        page.single("n", Kind::Counter, "What.", 3);
        assert_eq!(page.0, "m{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1.5\n# HELP n What.\n# TYPE n counter\nn 3\n");
    }

    #[test]
    fn a_family_is_announced_once_and_stands_together() {
        let topic = |name| TopicStats {
            name: TopicName::parse(name).unwrap(),
            depth: 3,
            backend_depth: 1,
            message_count: 9,
            message_bytes: 90,
            dropped_count: 0,
            paused: true,
            latency: None,
            channels: Vec::new(),
        };
        let mut page = Page::default();
        page.topics(&[topic("a"), topic("b")]);
        let text = page.0;
        assert!(text.contains(
            "# TYPE nsq_topic_depth gauge\nnsq_topic_depth{topic=\"a\"} 3\nnsq_topic_depth{topic=\"b\"} 3\n# HELP"
        ));
        assert_eq!(text.matches("# TYPE ").count(), TOPICS.len() + CHANNELS.len());
    }

    #[test]
    fn percentiles_are_those_of_something() {
        let quantile = Quantile::new(0.99).unwrap();
        let latency = |count| {
            let percentiles = vec![Percentile { quantile, value: Duration::from_millis(1500) }];
            Some(Latency { count, percentiles })
        };
        let mut page = Page::default();
        let labels = [("topic", "t")];
        [latency(2), latency(0), None].iter().for_each(|latency| page.percentiles("m", &labels, latency.as_ref()));
        assert_eq!(page.0, "m{topic=\"t\",quantile=\"0.99\"} 1.5\n");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut page = Page::default();
        page.process(5, &Usage { cpu: Some(Duration::from_millis(1500)), ..Usage::default() });
        assert!(page.0.ends_with("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.5\n"));
    }
}
