//! The world as a page or a person wants to see it: plain values, names instead of indices where they are read. Made when
//! asked for; looking changes nothing.

use serde::{Serialize, Serializer};

use crate::time::Instant;
use crate::topic::{ChannelStats, Place, TopicStats};

use super::client::{Client, Program};
use super::decode::{describe, items, number_of};
use super::lives::{LifeKind, LifeStep, Lives};
use super::network::{ClientEnd, TO_NODE, Wire};
use super::node::{Life, clock};
use super::places::Counters;
use super::values::{Options, show_time};
use super::world::World;

/// Bytes of a frame that are shown as hex.
const HEX_BYTES: usize = 48;

/// The whole world, but for the messages.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // The fields are those of the page's SimulationView.
pub struct View {
    /// Milliseconds.
    pub now: f64,
    pub step: u64,
    /// 16 hex digits.
    pub hash: String,
    pub title: String,
    pub caption: Option<String>,
    /// Milliseconds.
    pub until: Option<f64>,
    /// Nothing will happen any more by itself.
    pub ended: bool,
    pub violation: Option<String>,
    pub nodes: Vec<NodeView>,
    pub producers: Vec<ProducerView>,
    pub consumers: Vec<ConsumerView>,
    pub wires: Vec<WireView>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct NodeView {
    pub name: String,
    pub up: bool,
    /// `down`, `starting`, `up` or `stopping`.
    pub state: &'static str,
    pub config: Table,
    pub disk: DiskView,
    pub topics: Vec<TopicView>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct DiskView {
    pub bytes: u64,
    pub unsynced_bytes: u64,
    pub full: bool,
    pub files: usize,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct TopicView {
    pub name: String,
    pub paused: bool,
    pub depth: u64,
    pub backend_depth: u64,
    pub message_count: u64,
    pub channels: Vec<ChannelView>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ChannelView {
    pub index: u32,
    pub name: String,
    pub paused: bool,
    pub ephemeral: bool,
    pub depth: u64,
    pub backend_depth: u64,
    pub in_flight: u64,
    pub deferred: u64,
    pub message_count: u64,
    pub delivered: u64,
    pub finished: u64,
    pub requeued: u64,
    pub timed_out: u64,
    pub dropped: u64,
    pub duplicates: u64,
    pub next_timeouts: Vec<DeadlineView>,
    pub next_deferred: Vec<DeadlineView>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct DeadlineView {
    pub message: u64,
    /// Milliseconds.
    pub at: f64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ProducerView {
    pub index: u32,
    pub name: String,
    pub topic: String,
    pub node: String,
    pub up: bool,
    pub stalled: bool,
    pub options: Table,
    pub published: u64,
    pub acked: u64,
    pub failed: u64,
    pub waiting: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ConsumerView {
    pub index: u32,
    pub name: String,
    pub topic: String,
    pub channel: String,
    pub up: bool,
    pub stalled: bool,
    pub options: Table,
    pub ready: u64,
    pub in_flight: u64,
    pub finished: u64,
    pub requeued: u64,
    pub received: u64,
    pub backoff: BackoffView,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct BackoffView {
    pub level: u32,
    /// Milliseconds.
    pub until: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct WireView {
    pub index: u32,
    pub client: String,
    pub node: String,
    /// `connected`, `connecting`, `muted`, `parted` or `closed`.
    pub state: &'static str,
    /// Milliseconds.
    pub latency: f64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub frames: Vec<FrameView>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct FrameView {
    /// Milliseconds.
    pub at: f64,
    pub to_node: bool,
    pub text: String,
    pub hex: String,
}

/// The life of a message.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct MessageLife {
    pub number: u64,
    /// 16 hex digits; empty until it was delivered.
    pub id: String,
    pub topic: String,
    pub bytes: u32,
    /// The text it was published with.
    pub body: String,
    /// Milliseconds.
    pub published_at: Option<f64>,
    pub events: Vec<LifeStepView>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct LifeStepView {
    /// Milliseconds.
    pub at: f64,
    pub step: u64,
    pub what: LifeKind,
    pub node: Option<String>,
    pub channel: Option<String>,
    /// A client.
    pub who: Option<String>,
    pub attempt: Option<u16>,
    pub text: Option<String>,
}

/// How much of it to look at.
#[derive(Clone, Copy, Debug)]
pub struct ViewLimits {
    /// Deadlines of each kind, of each channel.
    pub deadlines: usize,
    /// Frames of each wire.
    pub frames: usize,
}

impl Default for ViewLimits {
    fn default() -> Self {
        Self { deadlines: 5, frames: 8 }
    }
}

/// An instant in milliseconds, for a page.
pub(super) fn millis(at: Instant) -> f64 {
    at.as_nanos() as f64 / 1e6
}

/// Options by their keys.
#[derive(Clone, Debug)]
pub struct Table(Vec<(&'static str, String)>);

impl Table {
    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

fn table<T: Options>(options: &T) -> Table {
    Table(options.entries().collect())
}

impl World {
    pub(super) fn view(&mut self, title: &str, until: Option<Instant>, limits: ViewLimits) -> View {
        let ended = self.next_event().is_none();
        let nodes = (0..self.nodes.len()).map(|index| self.view_node(index, limits)).collect();
        let (mut producers, mut consumers) = (Vec::new(), Vec::new());
        for (index, client) in self.clients.iter().enumerate().filter(|(_, client)| !client.removed) {
            match &client.program {
                Program::Producer(_) => producers.extend(view_producer(index as u32, client)),
                Program::Consumer(_) => consumers.extend(view_consumer(index as u32, client)),
            }
        }
        let living = self.wires.iter().enumerate().filter(|(_, wire)| !self.clients[wire.client as usize].removed);
        View {
            now: millis(self.now),
            step: self.steps,
            hash: format!("{:016x}", self.hash.value()),
            title: title.to_owned(),
            caption: self.caption.as_deref().map(str::to_owned),
            until: until.map(millis),
            ended,
            violation: self.violation.as_ref().map(|violation| violation.text.clone()),
            nodes,
            producers,
            consumers,
            wires: living.map(|(index, wire)| self.view_wire(index as u32, wire, limits)).collect(),
        }
    }

    fn view_node(&mut self, index: usize, limits: ViewLimits) -> NodeView {
        let node = &mut self.nodes[index];
        let (bytes, unsynced_bytes) = node.disk.files().usage();
        let files = crate::storage::Files::list(node.disk.files()).map_or(0, |files| files.len());
        let disk = DiskView { bytes, unsynced_bytes, full: node.disk.is_full(), files };
        let node = &self.nodes[index];
        let state = match node.life {
            Life::Down => "down",
            Life::Starting => "starting",
            Life::Up => "up",
            Life::Stopping => "stopping",
        };
        let topics = node.broker.iter().flat_map(|broker| broker.stats(clock(self.now), None));
        NodeView {
            name: node.name.clone(),
            up: node.life == Life::Up,
            state,
            config: table(&node.options),
            disk,
            topics: topics.map(|topic| self.view_topic(index as u32, topic, limits)).collect(),
        }
    }

    fn view_topic(&self, node: u32, topic: TopicStats, limits: ViewLimits) -> TopicView {
        let channels = topic.channels.iter().map(|channel| self.view_channel(node, &topic, channel, limits));
        TopicView {
            name: topic.name.to_string(),
            paused: topic.paused,
            depth: topic.depth,
            backend_depth: topic.backend_depth,
            message_count: topic.message_count,
            channels: channels.collect(),
        }
    }

    fn view_channel(&self, node: u32, topic: &TopicStats, stats: &ChannelStats, limits: ViewLimits) -> ChannelView {
        let index = self.places.find(node, &topic.name, Some(&stats.name));
        let place = index.and_then(|index| self.places.get(index));
        let counters = self.counters(node, place.map_or(Counters::default(), |place| place.past), stats);
        let (mut next_timeouts, mut next_deferred) = (Vec::new(), Vec::new());
        let broker = self.nodes[node as usize].broker.as_ref();
        if let Some(state) = broker.and_then(|broker| broker.topic(&topic.name)) {
            state.peek(Some(&stats.name), limits.deadlines, |peeked| {
                let message = number_of(peeked.message.body).unwrap_or(0);
                match peeked.place {
                    Place::Queued => {}
                    Place::InFlight { deadline, .. } => {
                        next_timeouts.push(DeadlineView { message, at: millis(deadline) });
                    }
                    Place::Deferred { due } => next_deferred.push(DeadlineView { message, at: millis(due) }),
                }
            });
        }
        ChannelView {
            index: index.unwrap_or(0),
            name: stats.name.to_string(),
            paused: stats.paused,
            ephemeral: stats.name.is_ephemeral(),
            depth: stats.depth,
            backend_depth: stats.backend_depth,
            in_flight: stats.in_flight_count,
            deferred: stats.deferred_count,
            message_count: counters.messages,
            delivered: counters.delivered,
            finished: counters.finished,
            requeued: counters.requeued,
            timed_out: counters.timed_out,
            dropped: counters.dropped,
            duplicates: place.map_or(0, |place| place.duplicates),
            next_timeouts,
            next_deferred,
        }
    }

    /// With the counts of the life under way, unless they are kept already.
    pub(super) fn counters(&self, node: u32, past: Counters, stats: &ChannelStats) -> Counters {
        if self.nodes[node as usize].life == Life::Stopping { past } else { past.plus(stats) }
    }

    pub(super) fn view_life(&self, number: u64, lives: &Lives) -> Option<MessageLife> {
        let birth = lives.birth(number)?;
        let steps = lives.of(number);
        let published = steps.iter().find(|step| step.kind == LifeKind::Published);
        Some(MessageLife {
            number,
            id: lives.id(number).map_or(String::new(), |id| id.to_string()),
            topic: birth.topic.clone(),
            bytes: birth.bytes,
            body: birth.text.clone(),
            published_at: published.map(|step| millis(step.at)),
            events: steps.iter().map(|step| self.view_life_step(step)).collect(),
        })
    }

    fn view_life_step(&self, step: &LifeStep) -> LifeStepView {
        let place = step.place.and_then(|place| self.places.get(place));
        let client = step.client.and_then(|client| self.clients.get(client as usize));
        LifeStepView {
            at: millis(step.at),
            step: step.step,
            what: step.kind,
            node: place.map(|place| self.nodes[place.node as usize].name.clone()),
            channel: place.and_then(|place| place.channel.as_ref()).map(|channel| channel.to_string()),
            who: client.map(|client| client.name.clone()),
            attempt: (step.attempts > 0).then_some(step.attempts),
            text: (!step.delay.is_zero()).then(|| format!("for {}", show_time(step.delay))),
        }
    }

    fn view_wire(&self, index: u32, wire: &Wire, limits: ViewLimits) -> WireView {
        let state = match wire.client_end {
            _ if wire.muted => "muted",
            _ if wire.parted => "parted",
            ClientEnd::Open => "connected",
            ClientEnd::Dialing => "connecting",
            ClientEnd::Closed => "closed",
        };
        let mut frames = Vec::new();
        for shown in wire.recent.iter().rev() {
            let left = limits.frames.saturating_sub(frames.len());
            let mut of_chunk: Vec<FrameView> = items(&shown.bytes, shown.to_node)
                .take(left)
                .map(|item| FrameView {
                    at: millis(shown.at),
                    to_node: shown.to_node,
                    text: describe(item),
                    hex: String::new(),
                })
                .collect();
            if let Some(first) = of_chunk.first_mut() {
                first.hex = hex(&shown.bytes);
            }
            of_chunk.reverse();
            frames.extend(of_chunk);
        }
        frames.reverse();
        WireView {
            index,
            client: self.clients[wire.client as usize].name.clone(),
            node: self.nodes[wire.node as usize].name.clone(),
            state,
            latency: wire.latency(&self.network.options).as_nanos() as f64 / 1e6,
            bytes_in: wire.bytes[TO_NODE],
            bytes_out: wire.bytes[1 - TO_NODE],
            frames,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[nibble as usize]);
    bytes.iter().take(HEX_BYTES).flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn view_producer(index: u32, client: &Client) -> Option<ProducerView> {
    let Program::Producer(producer) = &client.program else { return None };
    let options = &producer.options;
    Some(ProducerView {
        index,
        name: client.name.clone(),
        topic: options.topic.clone(),
        node: options.node.clone(),
        up: client.up,
        stalled: client.stalled,
        options: table(options),
        published: client.counts.published,
        acked: client.counts.acked,
        failed: client.counts.failed,
        waiting: client.pending(),
    })
}

fn view_consumer(index: u32, client: &Client) -> Option<ConsumerView> {
    let Program::Consumer(consumer) = &client.program else { return None };
    let options = &consumer.options;
    Some(ConsumerView {
        index,
        name: client.name.clone(),
        topic: options.topic.clone(),
        channel: options.channel.clone(),
        up: client.up,
        stalled: client.stalled,
        options: table(options),
        ready: client.ready(),
        in_flight: client.pending(),
        finished: client.counts.finished,
        requeued: client.counts.requeued,
        received: client.counts.received,
        backoff: BackoffView { level: client.backoff().0, until: client.backoff().1.map(millis) },
    })
}
