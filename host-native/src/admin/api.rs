//! What can be asked: `GET /api/...`, with the reference's fields (`nsqadmin/http.go`).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::StatusCode;
use sansq_core::cluster::{
    ChannelStats, ChannelsAnswer, NodeView, Producer, Report, TopicStats, merge_channel, merge_topic, union,
};
use serde::{Serialize, Serializer};

use super::discovery::{NSQLOOKUPD, Selection};
use super::http::Api;
use super::upstream::{Warnings, gather, query};
use crate::http::query::Query;
use crate::http::respond::{Failure, Outcome, Reply};

pub(super) const CHANNEL_NOT_FOUND: Failure = Failure::new(StatusCode::NOT_FOUND, "CHANNEL_NOT_FOUND");
pub(super) const NODE_NOT_FOUND: Failure = Failure::new(StatusCode::NOT_FOUND, "NODE_NOT_FOUND");

/// An answer, and what was wrong on the way to it.
#[derive(Serialize)]
struct Told<T> {
    #[serde(flatten)]
    what: T,
    message: String,
}

fn told(what: impl Serialize, warnings: &Warnings) -> Outcome {
    Reply::long_json(&Told { what, message: warnings.message() })
}

/// `message` and nothing else: what an action comes to.
pub(super) fn done(warnings: &Warnings) -> Outcome {
    Reply::json(&BTreeMap::from([("message", warnings.message())]))
}

/// Unix time.
pub(super) fn now_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// What a counter of the page `counter` counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CounterStats<'a> {
    node: &'a str,
    topic_name: &'a str,
    channel_name: &'a str,
    message_count: i64,
}

impl CounterStats<'_> {
    /// `topic:channel:node`, byte by byte: there may be very many.
    fn key(&self) -> impl Iterator<Item = u8> {
        [self.topic_name, ":", self.channel_name, ":", self.node].into_iter().flat_map(str::bytes)
    }
}

/// The messages of every channel on every nsqd, by `topic:channel:node`, sorted.
pub(super) struct Counters<'a>(Vec<CounterStats<'a>>);

/// `channels`: node, topic, channel, and how many.
pub(super) fn counters<'a>(channels: impl Iterator<Item = (&'a str, &'a str, &'a str, i64)>) -> Counters<'a> {
    let counter = |(node, topic_name, channel_name, message_count)| CounterStats {
        node,
        topic_name,
        channel_name,
        message_count,
    };
    let mut counters: Vec<CounterStats<'a>> = channels.map(counter).collect();
    counters.sort_by(|a, b| a.key().cmp(b.key()));
    counters.dedup_by(|later, first| {
        let same = later.key().eq(first.key());
        if same {
            first.message_count = later.message_count;
        }
        same
    });
    Counters(counters)
}

impl Serialize for Counters<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let keyed = |it: &CounterStats<'_>| format!("{}:{}:{}", it.topic_name, it.channel_name, it.node);
        to.collect_map(self.0.iter().map(|it| (keyed(it), it)))
    }
}

/// One nsqd. `T`: its topics, labelled.
#[derive(Serialize)]
pub(super) struct NodeDetail<'a, T> {
    pub(super) node: &'a str,
    pub(super) topics: T,
    pub(super) total_messages: i64,
    pub(super) total_clients: i64,
}

impl<'a, T> NodeDetail<'a, T> {
    fn new(node: &'a str, topics: T, counted: &[TopicStats]) -> Self {
        let clients = |channel: &ChannelStats| channel.clients.as_ref().map_or(0, Vec::len);
        let clients: usize = counted.iter().flat_map(|topic| &topic.channels).map(clients).sum();
        Self {
            node,
            topics,
            total_messages: counted.iter().fold(0, |sum, topic| sum.saturating_add(topic.message_count)),
            total_clients: i64::try_from(clients).unwrap_or(i64::MAX),
        }
    }
}

impl<'a> NodeDetail<'a, Drained> {
    /// `reports`: with clients.
    fn of_reports(node: &'a str, reports: Vec<Report>) -> Self {
        let mut whole = Self { node, topics: Drained(Cell::default()), total_messages: 0, total_clients: 0 };
        for report in &reports {
            let part = NodeDetail::new(node, (), &report.topics);
            whole.total_messages = whole.total_messages.saturating_add(part.total_messages);
            whole.total_clients = whole.total_clients.saturating_add(part.total_clients);
        }
        whole.topics.0.set(reports);
        whole
    }
}

/// Topics that are labelled and let go while they are written, so that they and their text never take room at the same time.
pub(super) struct Drained(Cell<Vec<Report>>);

impl Serialize for Drained {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let now = now_seconds();
        to.collect_seq(self.0.take().into_iter().flat_map(|report| report.into_labelled(now)))
    }
}

impl<'a> NodeDetail<'a, [TopicStats; 0]> {
    /// What a poll found, which had clients. Its topics are written by themselves.
    pub(super) fn without_topics(view: &'a NodeView) -> Self {
        Self::new(&view.node, [], view.topics.as_deref().unwrap_or_default())
    }
}

impl Api {
    /// `GET /api/topics`, and with `inactive=true` those without an nsqd, with their channels.
    pub(super) async fn topics(&self, raw_query: Option<&str>) -> Outcome {
        #[derive(Serialize)]
        struct Topics<T> {
            topics: T,
        }
        let raw_query = Query::of(raw_query)?;
        let options = self.options();
        let mut warnings = Warnings::default();
        let names = self.upstream.topics(&options, &mut warnings).await?;
        if raw_query.get("inactive") != Some(b"true") {
            return told(Topics { topics: names }, &warnings);
        }
        let mut inactive = BTreeMap::new();
        let lookupds = &options.lookupd_http_addresses;
        if !lookupds.is_empty() {
            let nodes = self.upstream.nodes(&options, &mut Warnings::default()).await?;
            for name in names.into_iter().filter(|name| !nodes.iter().any(|node| node.serves(name))) {
                let target = format!("/channels?{}", query(&[("topic", &name)]));
                let ask = async |lookupd: String| self.upstream.get::<ChannelsAnswer>(&lookupd, &target).await;
                let answers = gather(lookupds, ask).await.settle(NSQLOOKUPD, &mut warnings)?;
                inactive.insert(name, union(answers.into_iter().map(|(_, answer)| answer.channels)));
            }
        }
        told(Topics { topics: inactive }, &warnings)
    }

    /// `GET /api/topics/:topic`.
    pub(super) async fn topic(&self, topic: &str) -> Outcome {
        let mut warnings = Warnings::default();
        let selection = Selection { topic, ..Selection::default() };
        let parts = self.parts(selection, &mut warnings).await?;
        told(merge_topic(topic, parts), &warnings)
    }

    /// `GET /api/topics/:topic/:channel`.
    pub(super) async fn channel(&self, topic: &str, channel: &str) -> Outcome {
        let mut warnings = Warnings::default();
        let parts = self.parts(Selection { topic, channel, clients: true }, &mut warnings).await?;
        let parts = parts.into_iter().flat_map(|part| part.channels).filter(|own| own.channel_name == channel);
        let parts: Vec<ChannelStats> = parts.collect();
        if parts.is_empty() {
            return Err(CHANNEL_NOT_FOUND);
        }
        told(merge_channel(topic, channel, parts), &warnings)
    }

    /// What each nsqd that has the topic says of it.
    async fn parts(&self, selection: Selection<'_>, warnings: &mut Warnings) -> Result<Vec<TopicStats>, Failure> {
        let producers = self.upstream.producers(&self.options(), selection.topic, warnings).await?;
        let reports = self.upstream.reports(producers, selection, warnings).await?;
        let now = now_seconds();
        Ok(reports.into_iter().flat_map(|report| report.labelled(now)).collect())
    }

    /// `GET /api/nodes`.
    pub(super) async fn nodes(&self) -> Outcome {
        #[derive(Serialize)]
        struct Nodes {
            nodes: Vec<Producer>,
        }
        let mut warnings = Warnings::default();
        let nodes = self.upstream.nodes(&self.options(), &mut warnings).await?;
        told(Nodes { nodes }, &warnings)
    }

    /// The nsqd called `node`.
    pub(super) async fn find_node(&self, node: &str, warnings: &mut Warnings) -> Result<Producer, Failure> {
        let nodes = self.upstream.nodes(&self.options(), warnings).await?;
        nodes.into_iter().find(|producer| producer.http_address() == node).ok_or(NODE_NOT_FOUND)
    }

    /// `GET /api/nodes/:node`.
    pub(super) async fn node(&self, node: &str) -> Outcome {
        let mut warnings = Warnings::default();
        let producer = self.find_node(node, &mut warnings).await?;
        let selection = Selection { clients: true, ..Selection::default() };
        let reports = self.upstream.reports(vec![producer], selection, &mut warnings).await?;
        told(NodeDetail::of_reports(node, reports), &warnings)
    }

    /// `GET /api/counter`.
    pub(super) async fn counter(&self) -> Outcome {
        #[derive(Serialize)]
        struct Stats<'a> {
            stats: Counters<'a>,
        }
        let mut warnings = Warnings::default();
        let nodes = self.upstream.nodes(&self.options(), &mut warnings).await?;
        let counted = self.upstream.counts(&nodes, &mut warnings).await?;
        let topics = counted.iter().flat_map(|(node, topics)| topics.iter().map(move |topic| (node.as_str(), topic)));
        let stats = counters(topics.flat_map(|(node, topic)| {
            let name = topic.topic_name.as_str();
            topic.channels.iter().map(move |it| (node, name, it.channel_name.as_str(), it.message_count))
        }));
        told(Stats { stats }, &warnings)
    }
}
