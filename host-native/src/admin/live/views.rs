//! What each view shows of the last poll, as events.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use parking_lot::Mutex;
use sansq_core::cluster::{
    ChannelStats, History, NodeView, Producer, SAMPLES_MAX, Samples, Snapshot, TopicStats, TopicSummary,
};
use serde::{Serialize, Serializer};

use super::{Found, State};
use crate::admin::api::{CHANNEL_NOT_FOUND, Counters, NODE_NOT_FOUND, NodeDetail, counters, now_seconds};
use crate::admin::discovery::TOPIC_NOT_FOUND;
use crate::http::json;
use crate::http::pieces::Pieces;
use crate::http::query::Query;
use crate::http::respond::Failure;

/// Samples of all topics together in the first event of a list, so that a long list is no slow one.
const LISTED_SAMPLES: usize = 24_000;
/// Samples of each topic there at least.
const LISTED_SAMPLES_MIN: usize = 20;

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::admin) enum View {
    Topics,
    Topic(String),
    Channel(String, String),
    Nodes,
    Node(String),
    Counter,
}

impl View {
    /// `view=..`, and the names that it takes.
    pub(in crate::admin) fn parse(query: &Query) -> Result<Self, Failure> {
        let name = |key, missing| {
            let value = query.get(key).filter(|value| !value.is_empty()).ok_or(Failure::bad(missing))?;
            Ok(String::from_utf8_lossy(value).into_owned())
        };
        let topic = || name("topic", "MISSING_ARG_TOPIC");
        match query.get("view") {
            Some(b"topics") => Ok(Self::Topics),
            Some(b"topic") => Ok(Self::Topic(topic()?)),
            Some(b"channel") => Ok(Self::Channel(topic()?, name("channel", "MISSING_ARG_CHANNEL")?)),
            Some(b"nodes") => Ok(Self::Nodes),
            Some(b"node") => Ok(Self::Node(name("node", "MISSING_ARG_NODE")?)),
            Some(b"counter") => Ok(Self::Counter),
            Some(_) | None => Err(Failure::bad("INVALID_ARG_VIEW")),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Topics => "topics",
            Self::Topic(_) => "topic",
            Self::Channel(..) => "channel",
            Self::Nodes => "nodes",
            Self::Node(_) => "node",
            Self::Counter => "counter",
        }
    }

    /// Whether it shows clients.
    pub(super) fn is_close(&self) -> bool {
        match self {
            Self::Channel(..) | Self::Node(_) => true,
            Self::Topics | Self::Topic(_) | Self::Nodes | Self::Counter => false,
        }
    }

    /// Whether `state` has what it shows.
    pub(super) fn is_content_with(&self, state: &State) -> bool {
        state.found.as_ref().map_or(true, |found| found.snapshot.with_clients || !self.is_close())
    }
}

/// An event that is taken piece by piece. Of an nsqd's topics, of which there may be very many with many clients, each piece is
/// written when it is taken: all of them as text would be more than what was polled, which is kept until then.
#[derive(Default)]
pub(super) struct Event {
    pieces: Pieces,
    topics: Option<TopicsToCome>,
}

struct TopicsToCome {
    state: Arc<State>,
    node: String,
    now_seconds: i64,
    written: usize,
    /// What comes after them.
    tail: Pieces,
}

impl From<Pieces> for Event {
    fn from(pieces: Pieces) -> Self {
        Self { pieces, topics: None }
    }
}

impl Event {
    /// `text`: the event with no topics of `node`.
    fn around_topics(text: &Pieces, state: Arc<State>, node: &str, now_seconds: i64) -> Self {
        // In a string its quotes would be escaped.
        const NO_TOPICS: &[u8] = br#""topics":[]"#;
        let text = text.iter().collect::<Vec<_>>().concat();
        let found = text.windows(NO_TOPICS.len()).position(|part| part == NO_TOPICS);
        let Some(end) = found.map(|at| at + NO_TOPICS.len() - 1) else { return Pieces::of(&text).into() };
        let (head, tail) = text.split_at(end);
        let topics = TopicsToCome { state, node: node.to_owned(), now_seconds, written: 0, tail: Pieces::of(tail) };
        Self { pieces: Pieces::of(head), topics: Some(topics) }
    }

    /// The next piece; nothing after the last.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.pieces.take() {
            return Some(piece);
        }
        let topics = self.topics.as_mut()?;
        self.pieces = topics.next();
        if self.pieces.len() == 0 {
            self.pieces = std::mem::take(&mut topics.tail);
            self.topics = None;
        }
        self.pieces.take()
    }
}

impl TopicsToCome {
    /// About a piece of them; empty after the last.
    fn next(&mut self) -> Pieces {
        let mut pieces = Pieces::default();
        let Some(view) = self.state.found.as_ref().ok().and_then(|found| found.snapshot.node(&self.node)) else {
            return pieces;
        };
        for topic in view.labelled_from(self.written, self.now_seconds) {
            let comma = if self.written == 0 { "" } else { "," };
            // Memory takes everything, and there is nothing in a topic that has no JSON.
            let whole = pieces.write_all(comma.as_bytes()).is_ok() && json::encode_to(&mut pieces, &topic).is_ok();
            self.written += 1;
            if !whole || pieces.is_long() {
                break;
            }
        }
        pieces
    }
}

/// What a watcher was shown, and what it is shown next.
pub(super) struct Shown {
    view: View,
    /// The last list of topics.
    before: Option<Arc<Vec<TopicSummary>>>,
    /// The newest slot of the history then.
    slot: u64,
}

#[derive(Serialize)]
struct StateEvent<'a, T> {
    at: i64,
    message: &'a str,
    view: &'static str,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
struct TroubleEvent<'a> {
    at: i64,
    message: &'a str,
    status: u16,
}

#[derive(Serialize)]
struct Topics<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Vec<&'a str>>,
    /// How many samples time went on by.
    samples: usize,
    topics: ListedTopics<'a>,
}

/// Topics that are put together one by one while they are written: their histories are longer than all else.
struct ListedTopics<'a> {
    now: &'a [TopicSummary],
    /// Those that are the same there are left out.
    before: Option<&'a [TopicSummary]>,
    history: &'a History,
    /// Samples of each.
    samples: usize,
}

impl Serialize for ListedTopics<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let is_new = |summary: &&TopicSummary| {
            self.before.is_none_or(|before| named(before, &summary.topic_name) != Some(*summary))
        };
        to.collect_seq(self.now.iter().filter(is_new).map(|summary| {
            let samples = Some(self.history.topic(&summary.topic_name, self.samples));
            let (history, append) = if self.before.is_none() { (samples, None) } else { (None, samples) };
            ListedTopic { summary, history, append }
        }))
    }
}

fn named<'a>(topics: &'a [TopicSummary], name: &str) -> Option<&'a TopicSummary> {
    topics.binary_search_by(|own| own.topic_name.as_str().cmp(name)).ok().and_then(|at| topics.get(at))
}

#[derive(Serialize)]
struct ListedTopic<'a> {
    #[serde(flatten)]
    summary: &'a TopicSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Samples>,
    #[serde(skip_serializing_if = "Option::is_none")]
    append: Option<Samples>,
}

#[derive(Serialize)]
struct OneTopic {
    topic: TopicStats,
}

#[derive(Serialize)]
struct OneChannel {
    channel: ChannelStats,
}

#[derive(Serialize)]
struct Nodes<'a> {
    nodes: Vec<ListedNode<'a>>,
}

#[derive(Serialize)]
struct ListedNode<'a> {
    #[serde(flatten)]
    producer: &'a Producer,
    depth: i64,
    message_count: i64,
    client_count: i64,
    rate: Option<f64>,
    out: Option<f64>,
    reachable: bool,
    error: &'a str,
    history: Samples,
}

#[derive(Serialize)]
struct OneNode<'a> {
    #[serde(flatten)]
    detail: NodeDetail<'a, [TopicStats; 0]>,
    depth: i64,
    rate: Option<f64>,
    out: Option<f64>,
    history: Samples,
}

#[derive(Serialize)]
struct Counter<'a> {
    stats: Counters<'a>,
    total: i64,
    rate: Option<f64>,
    history: Samples,
}

impl Shown {
    /// Nothing yet.
    pub(super) fn new(view: View) -> Self {
        Self { view, before: None, slot: 0 }
    }

    /// The event for a poll; nothing if it is not what this view waits for.
    pub(super) fn event(&mut self, state: Arc<State>, history: &Mutex<History>) -> Option<Event> {
        let shown = match &state.found {
            Err(failure) => Err(failure.clone()),
            Ok(found) if self.view.is_close() && !found.snapshot.with_clients => return None,
            Ok(found) => self.show(&state, found, history),
        };
        match shown {
            Ok(event) => Some(event),
            Err(Failure { status, message }) => {
                self.before = None;
                let trouble = TroubleEvent { at: state.at, message: &message, status: status.as_u16() };
                written("trouble", &trouble).ok().map(Event::from)
            }
        }
    }

    /// The event with what there is.
    fn show(&mut self, state: &Arc<State>, found: &Found, history: &Mutex<History>) -> Result<Event, Failure> {
        let (view, snapshot, now) = (self.view.name(), &found.snapshot, now_seconds());
        match &self.view {
            View::Topics => {
                let history = history.lock();
                let before = self.before.as_deref().map(Vec::as_slice);
                let topics = listed(found.topics(), before, &history, self.slot);
                let json = encoded(state, view, topics)?;
                self.slot = history.slot();
                self.before = Some(found.topics().clone());
                Ok(json.into())
            }
            View::Topic(name) => {
                reachable(snapshot, name)?;
                let mut topic = snapshot.topic(name, now).ok_or(TOPIC_NOT_FOUND)?;
                let history = history.lock();
                topic.rate.get_or_insert(None);
                topic.out.get_or_insert(None);
                topic.history = Some(Box::new(history.topic(name, SAMPLES_MAX)));
                for channel in &mut topic.channels {
                    channel.history = Some(Box::new(history.channel(name, &channel.channel_name, SAMPLES_MAX)));
                }
                drop(history);
                Ok(encoded(state, view, OneTopic { topic })?.into())
            }
            View::Channel(topic, name) => {
                reachable(snapshot, topic)?;
                let unknown = if snapshot.has(topic) { CHANNEL_NOT_FOUND } else { TOPIC_NOT_FOUND };
                let mut channel = snapshot.channel(topic, name, now).ok_or(unknown)?;
                channel.history = Some(Box::new(history.lock().channel(topic, name, SAMPLES_MAX)));
                Ok(encoded(state, view, OneChannel { channel })?.into())
            }
            View::Nodes => {
                let history = history.lock();
                let nodes = snapshot.nodes.iter().map(|node| listed_node(node, &history)).collect();
                drop(history);
                Ok(encoded(state, view, Nodes { nodes })?.into())
            }
            View::Node(name) => {
                let node = snapshot.node(name).ok_or(NODE_NOT_FOUND)?;
                if node.topics.is_none() {
                    return Err(unreachable_nsqds([node].into_iter()));
                }
                let (depth, _, _, rates) = node.totals();
                let history = history.lock().node(name, SAMPLES_MAX);
                let detail = NodeDetail::without_topics(node);
                let one = OneNode { detail, depth, rate: rates.rate, out: rates.out, history };
                Ok(Event::around_topics(&encoded(state, view, one)?, state.clone(), name, now))
            }
            View::Counter => {
                let nodes =
                    || snapshot.nodes.iter().filter_map(|node| Some((node.node.as_str(), node.topics.as_deref()?)));
                let channels = || nodes().flat_map(|(_, topics)| topics).flat_map(|topic| &topic.channels);
                let total = channels().fold(0_i64, |sum, channel| sum.saturating_add(channel.message_count));
                let rates: Vec<f64> = channels().filter_map(|channel| channel.rate.flatten()).collect();
                let rate = (!rates.is_empty()).then(|| rates.iter().sum::<f64>().round());
                let topics = nodes().flat_map(|(node, topics)| topics.iter().map(move |topic| (node, topic)));
                let stats = counters(topics.flat_map(|(node, topic)| {
                    let name = topic.topic_name.as_str();
                    topic.channels.iter().map(move |it| (node, name, it.channel_name.as_str(), it.message_count))
                }));
                let history = history.lock().total(SAMPLES_MAX);
                Ok(encoded(state, view, Counter { stats, total, rate, history })?.into())
            }
        }
    }
}

fn encoded(state: &State, view: &'static str, what: impl Serialize) -> Result<Pieces, Failure> {
    let event = StateEvent { at: state.at, message: &state.message, view, what };
    written("state", &event).map_err(|error| {
        tracing::error!("failed to encode an event - {error}");
        Failure::INTERNAL
    })
}

/// An event. JSON has no line feeds.
fn written(name: &str, data: &impl Serialize) -> serde_json::Result<Pieces> {
    let mut event = Pieces::default();
    write!(event, "event: {name}\ndata: ").map_err(serde_json::Error::io)?;
    json::encode_to(&mut event, data)?;
    event.write_all(b"\n\n").map_err(serde_json::Error::io)?;
    Ok(event)
}

/// All topics; after `before`, those that are different. `slot`: up to where histories are known.
fn listed<'a>(
    now: &'a [TopicSummary],
    before: Option<&'a [TopicSummary]>,
    history: &'a History,
    slot: u64,
) -> Topics<'a> {
    let Some(before) = before else {
        let samples = (LISTED_SAMPLES / now.len().max(1)).clamp(LISTED_SAMPLES_MIN, SAMPLES_MAX);
        let topics = ListedTopics { now, before, history, samples };
        return Topics { partial: None, removed: None, samples: 0, topics };
    };
    let samples = usize::try_from(history.slot().saturating_sub(slot)).map_or(SAMPLES_MAX, |new| new.min(SAMPLES_MAX));
    let gone = before.iter().map(|topic| topic.topic_name.as_str()).filter(|name| named(now, name).is_none());
    let topics = ListedTopics { now, before: Some(before), history, samples };
    Topics { partial: Some(true), removed: Some(gone.collect()), samples, topics }
}

fn listed_node<'a>(node: &'a NodeView, history: &History) -> ListedNode<'a> {
    let (depth, message_count, client_count, rates) = node.totals();
    ListedNode {
        producer: &node.producer,
        depth,
        message_count,
        client_count,
        rate: rates.rate,
        out: rates.out,
        reachable: node.topics.is_some(),
        error: &node.error,
        history: history.node(&node.node, SAMPLES_MAX),
    }
}

/// An error if there are nsqds that have `topic`, and none of them answers.
fn reachable(snapshot: &Snapshot, topic: &str) -> Result<(), Failure> {
    let serving = || snapshot.nodes.iter().map(AsRef::as_ref).filter(|node| node.producer.serves(topic));
    if serving().next().is_some() && serving().all(|node| node.topics.is_none()) {
        return Err(unreachable_nsqds(serving()));
    }
    Ok(())
}

fn unreachable_nsqds<'a>(nodes: impl Iterator<Item = &'a NodeView>) -> Failure {
    let errors: Vec<&str> = nodes.map(|node| node.error.as_str()).collect();
    let message = format!("UPSTREAM_ERROR: failed to query any nsqd: {}", errors.join("\n"));
    Failure { status: StatusCode::BAD_GATEWAY, message: message.into() }
}
