//! A broker and the surroundings that it has here: see the [crate].

mod events;
mod options;
mod stats;

use std::collections::VecDeque;
use std::sync::Arc;

use sansq_core::broker::{self, Output};
use sansq_core::driver::{Clock, Driver, Ingress, Storage, Transport, Turn};
use sansq_core::name::{ChannelName, TopicName};
use sansq_core::protocol::ConnId;
use sansq_core::storage::{MemoryFiles, StorageCompletion, StorageOp, Store, StoreOptions};
use sansq_core::time::{Instant, Now, Timestamp};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use self::events::Happening;
use crate::failure::{Code, failure};
use crate::time;

/// The wall-clock time at which virtual time starts unless the caller says otherwise: 2026-01-01, midnight UTC. Message
/// ids grow from it.
const START: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);
/// Inputs and completions handled between two looks at the clock, which stands still meanwhile.
const BUDGET: u32 = 1024;

/// A broker without a machine: connections are numbers, time is what [`advance`](Self::advance) says.
#[wasm_bindgen]
#[derive(Clone, Debug)]
pub struct Broker {
    driver: Driver<VirtualClock, Memory, Peers>,
    connections: u32,
}

#[wasm_bindgen]
impl Broker {
    /// A broker without topics at time 0. `seed` feeds all chance in it; `options` are lines `name=value` of nsqd's flags;
    /// `start_ms` is the wall-clock time at time 0, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// `E_ARGUMENT` for an option that is not known or a value that does not fit.
    #[wasm_bindgen(constructor)]
    pub fn new(seed: u64, options: &str, start_ms: Option<f64>) -> Result<Broker, JsValue> {
        let mut config = options::parse(options).map_err(|problem| failure(Code::Argument, &problem))?;
        config.tell_moves = true;
        let store = Store::new(MemoryFiles::default(), StoreOptions::default())
            .map_err(|error| failure(Code::Storage, &error.to_string()))?;
        let start = start_ms.map_or(START, |ms| Timestamp::from_nanos((ms * 1e6) as i64));
        let driver = Driver {
            broker: broker::Broker::new(Arc::new(config), seed),
            clock: VirtualClock { now: Instant::ZERO, start },
            storage: Memory { store, done: VecDeque::new() },
            transport: Peers::default(),
        };
        Ok(Broker { driver, connections: 0 })
    }

    /// Opens a connection and returns its number, which is not used again.
    ///
    /// # Errors
    /// `E_LIMIT` after 2^32 - 1 connections.
    pub fn connect(&mut self) -> Result<u32, JsValue> {
        self.connections =
            self.connections.checked_add(1).ok_or_else(|| failure(Code::Limit, "out of connection numbers"))?;
        let conn = id(self.connections);
        self.driver.transport.peers.push(Peer { conn, received: Vec::new(), is_closed: false });
        self.handle(Ingress::Connected(conn));
        Ok(self.connections)
    }

    /// The client sends `bytes`, cut anywhere. Ignored on a connection that is over.
    pub fn send(&mut self, conn: u32, bytes: &[u8]) {
        self.handle(Ingress::Received(id(conn), bytes.to_vec()));
    }

    /// What the client has received since the last call.
    pub fn receive(&mut self, conn: u32) -> Vec<u8> {
        self.driver.transport.peer(id(conn)).map(|peer| std::mem::take(&mut peer.received)).unwrap_or_default()
    }

    /// The connections that received something or were closed since the last call, in order.
    pub fn changed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.driver.transport.changed)
    }

    /// Whether the broker has closed the connection, or the client has, or it never was.
    pub fn closed(&self, conn: u32) -> bool {
        self.driver.transport.place(id(conn)).is_none_or(|at| self.driver.transport.peers[at].is_closed)
    }

    /// The client sends no more; what it sent is still answered.
    pub fn end(&mut self, conn: u32) {
        self.handle(Ingress::Ended(id(conn)));
    }

    /// The client breaks the connection. What it did not read is lost.
    pub fn disconnect(&mut self, conn: u32) {
        if let Some(at) = self.driver.transport.place(id(conn)) {
            self.driver.transport.peers.remove(at);
            self.handle(Ingress::Broken(id(conn)));
        }
    }

    /// Milliseconds of virtual time that have passed.
    pub fn now(&self) -> f64 {
        time::to_ms(self.driver.clock.now)
    }

    /// When something will happen by itself, in milliseconds; `undefined`: never.
    pub fn next_event_at(&mut self) -> Option<f64> {
        self.settle().map(time::to_ms)
    }

    /// Lets virtual time pass until the next thing happens, and handles it; at most until `to_ms`. A time already past is
    /// now. Whether something happened; if not, it is `to_ms`.
    pub fn advance(&mut self, to_ms: f64) -> bool {
        let to = time::from_ms(to_ms).max(self.driver.clock.now);
        let wake_at = self.settle().filter(|wake_at| *wake_at <= to);
        self.driver.clock.now = wake_at.unwrap_or(to).max(self.driver.clock.now);
        if wake_at.is_some() {
            self.settle();
        }
        wake_at.is_some()
    }

    /// Does `verb` (`create`, `delete`, `empty`, `pause` or `unpause`) to a topic, or to a channel of it. `false` if there is none.
    ///
    /// # Errors
    /// `E_BAD_TOPIC`, `E_BAD_CHANNEL`: not a name. `E_ARGUMENT`: not a verb.
    pub fn administer(&mut self, verb: &str, topic: &str, channel: Option<String>) -> Result<bool, JsValue> {
        let topic = topic_name(topic)?;
        let channel = channel.as_deref().map(channel_name).transpose()?;
        let verb = Verb::parse(verb).ok_or_else(|| failure(Code::Argument, "no such verb"))?;
        let now = self.driver.clock.now();
        let broker = &mut self.driver.broker;
        if verb != Verb::Create && broker.topic(&topic).is_none() {
            return Ok(false);
        }
        let mut found = true;
        match (channel, verb) {
            (None, Verb::Delete) => found = broker.handle_delete_topic(now, &topic),
            (None, Verb::Create) => broker.handle_topic(now, &topic, |_| ()),
            (None, Verb::Empty) => broker.handle_topic(now, &topic, |topic| topic.handle_empty(now)),
            (None, Verb::Pause) => broker.handle_topic(now, &topic, |topic| topic.handle_pause(now, true)),
            (None, Verb::Unpause) => broker.handle_topic(now, &topic, |topic| topic.handle_pause(now, false)),
            (Some(channel), verb) => broker.handle_topic(now, &topic, |topic| {
                found = match verb {
                    Verb::Create => topic.handle_create_channel(now, &channel) || topic.has_channel(&channel),
                    Verb::Delete => topic.handle_delete_channel(now, &channel),
                    Verb::Empty => topic.handle_empty_channel(now, &channel),
                    Verb::Pause => topic.handle_pause_channel(now, &channel, true),
                    Verb::Unpause => topic.handle_pause_channel(now, &channel, false),
                }
            }),
        }
        self.settle();
        Ok(found)
    }

    /// What has happened since the last call, as a JSON list in order; `undefined` if nothing has.
    pub fn events(&mut self) -> Option<String> {
        let events = std::mem::take(&mut self.driver.transport.events);
        (!events.is_empty()).then(|| events::to_json(&events))
    }

    /// The connections that are open, in order.
    pub fn connections(&self) -> Vec<u32> {
        let open = self.driver.transport.peers.iter().filter(|peer| !peer.is_closed);
        open.filter_map(|peer| u32::try_from(peer.conn.0).ok()).collect()
    }

    /// A broker in the same state, that shares nothing with this one.
    #[wasm_bindgen(js_name = clone)]
    pub fn copy(&self) -> Broker {
        self.clone()
    }

    /// Takes on the state of `other`.
    pub fn clone_from(&mut self, other: &Broker) {
        *self = other.clone();
    }

    /// The counts of all topics as JSON, with the keys of nsqd's `/stats`.
    pub fn stats(&mut self) -> String {
        let now = self.driver.clock.now();
        stats::to_json(&self.driver.broker.stats(now, None))
    }
}

impl Broker {
    fn handle(&mut self, ingress: Ingress) {
        self.driver.transport.ingress.push_back(ingress);
        self.settle();
    }

    /// Does all there is to do now, and tells when there will be more.
    fn settle(&mut self) -> Option<Instant> {
        loop {
            if let Turn::Idle { wake_at } = self.driver.turn(BUDGET) {
                return wake_at;
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

impl Verb {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "create" => Self::Create,
            "delete" => Self::Delete,
            "empty" => Self::Empty,
            "pause" => Self::Pause,
            "unpause" => Self::Unpause,
            _ => return None,
        })
    }
}

fn topic_name(name: &str) -> Result<TopicName, JsValue> {
    TopicName::parse(name).map_err(|error| failure(Code::BadTopic, &error.to_string()))
}

fn channel_name(name: &str) -> Result<ChannelName, JsValue> {
    ChannelName::parse(name).map_err(|error| failure(Code::BadChannel, &error.to_string()))
}

fn id(conn: u32) -> ConnId {
    ConnId(u64::from(conn))
}

/// Stands still until it is set.
#[derive(Clone, Debug)]
struct VirtualClock {
    now: Instant,
    /// The wall-clock time at [`Instant::ZERO`].
    start: Timestamp,
}

impl Clock for VirtualClock {
    fn now(&mut self) -> Now {
        Now { mono: self.now, wall: self.start + self.now.since(Instant::ZERO) }
    }
}

/// Storage that is done at once. Nothing needs a sync: what is in memory is as safe as it gets.
#[derive(Clone, Debug)]
struct Memory {
    store: Store<MemoryFiles>,
    done: VecDeque<StorageCompletion>,
}

impl Storage for Memory {
    fn submit(&mut self, now: Now, op: StorageOp) {
        let result = self.store.execute(now.mono, &op.log, &op.effect);
        self.done.push_back(StorageCompletion { op: op.op, log: op.log, result });
    }

    fn poll_completion(&mut self, _: Now) -> Option<StorageCompletion> {
        self.done.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// The other ends of the connections.
#[derive(Clone, Debug, Default)]
struct Peers {
    ingress: VecDeque<Ingress>,
    /// By connection.
    peers: Vec<Peer>,
    /// Those that received something or were closed, since somebody asked.
    changed: Vec<u32>,
    events: Vec<Happening>,
}

#[derive(Clone, Debug)]
struct Peer {
    conn: ConnId,
    received: Vec<u8>,
    is_closed: bool,
}

impl Peers {
    fn place(&self, conn: ConnId) -> Option<usize> {
        self.peers.binary_search_by_key(&conn, |peer| peer.conn).ok()
    }

    fn peer(&mut self, conn: ConnId) -> Option<&mut Peer> {
        self.place(conn).map(|at| &mut self.peers[at])
    }

    fn change(&mut self, conn: ConnId, change: impl FnOnce(&mut Peer)) {
        let Some(peer) = self.peer(conn) else { return };
        change(peer);
        if let Ok(conn) = u32::try_from(conn.0)
            && self.changed.last() != Some(&conn)
        {
            self.changed.push(conn);
        }
    }
}

impl Transport for Peers {
    fn poll_ingress(&mut self, _: Now) -> Option<Ingress> {
        self.ingress.pop_front()
    }

    fn send(&mut self, _: Now, conn: ConnId, bytes: Vec<u8>) {
        self.change(conn, |peer| peer.received.extend(bytes));
    }

    fn close(&mut self, _: Now, conn: ConnId) {
        self.change(conn, |peer| peer.is_closed = true);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn tell(&mut self, _: Now, output: Output) {
        self.events.extend(Happening::of(output));
    }
}
