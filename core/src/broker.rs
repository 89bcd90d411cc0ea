//! A whole broker in one value: sessions and topics, and the routing between them. For programs that embed one, for wasm
//! and for simulation; the native daemon has the same sessions and topics on many threads instead. Routes only: what
//! is decided is decided in [`crate::session`] and [`crate::topic`].
//!
//! `handle_*` takes an input at a time; then [`poll_output`](Broker::poll_output) is drained to `None`, and
//! [`poll_timeout`](Broker::poll_timeout) tells when [`handle_timeout`](Broker::handle_timeout) is due. Bytes for a
//! connection count as written when they are polled.
//!
//! ```
//! use std::sync::Arc;
//! use sansq_core::broker::{Broker, Output};
//! use sansq_core::config::Config;
//! use sansq_core::protocol::ConnId;
//! use sansq_core::storage::{MemoryFiles, StorageCompletion, Store, StoreOptions};
//! use sansq_core::time::{Instant, Now, Timestamp};
//!
//! let mut broker = Broker::new(Arc::new(Config::default()), 1);
//! let mut store = Store::new(MemoryFiles::default(), StoreOptions::default())?;
//! let (producer, consumer) = (ConnId(1), ConnId(2));
//! let now = Now { mono: Instant::ZERO, wall: Timestamp::from_nanos(1_700_000_000_000_000_000) };
//! broker.handle_connect(now, producer);
//! broker.handle_connect(now, consumer);
//! broker.handle_bytes(now, producer, b"  V2PUB greetings\n\0\0\0\x05hello");
//! broker.handle_bytes(now, consumer, b"  V2SUB greetings reader\nRDY 1\n");
//!
//! let mut received = Vec::new();
//! while let Some(output) = broker.poll_output() {
//!     match output {
//!         Output::Send { conn, bytes } if conn == consumer => received.extend(bytes),
//!         Output::Store(op) => {
//!             let result = store.execute(now.mono, &op.log, &op.effect);
//!             broker.handle_completion(now, StorageCompletion { op: op.op, log: op.log, result });
//!         }
//!         _ => {}
//!     }
//! }
//! assert!(received.ends_with(b"hello"));
//! // Nobody has finished the message: in a minute it comes again.
//! assert_eq!(broker.stats(now, None)[0].channels[0].in_flight_count, 1);
//! assert!(broker.poll_timeout().is_some());
//! # Ok::<(), sansq_core::storage::StorageError>(())
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::config::Config;
use crate::message::BatchBuilder;
use crate::metadata::Remembered;
use crate::name::{ChannelName, TopicName};
use crate::protocol::{ConnId, ConsumerCommand, Request};
use crate::rng::Rng;
use crate::session::{Features, Session};
use crate::storage::{StorageCompletion, StorageOp};
use crate::time::{Instant, Now};
use crate::topic::{self, Event, Topic, TopicStats};

/// Something for the host to carry out.
#[derive(Clone, Debug)]
pub enum Output {
    /// Bytes for a connection's peer.
    Send {
        /// The connection.
        conn: ConnId,
        /// In order.
        bytes: Vec<u8>,
    },
    /// The connection is over; nothing more comes for it, and its input is ignored.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// An operation for the storage.
    Store(StorageOp),
    /// A topic came to be.
    TopicCreated(TopicName),
    /// A topic is gone with all it had.
    TopicDeleted(TopicName),
    /// Something others may want to know.
    Event {
        /// The topic.
        topic: TopicName,
        /// What happened to it.
        event: Event,
    },
}

#[derive(Clone, Debug)]
struct Connection {
    session: Session,
    /// Input that the session could not take yet.
    unhandled: Vec<u8>,
    subscribed: Option<TopicName>,
    alarm: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Hosted {
    topic: Topic,
    alarm: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sleeper {
    Conn(ConnId),
    Topic(TopicName),
}

/// Deadlines of many, each with at most one, which it knows itself.
#[derive(Clone, Debug, Default)]
struct Alarms(BTreeSet<(Instant, Sleeper)>);

impl Alarms {
    /// `alarm`: when it is now.
    fn set(&mut self, alarm: &mut Option<Instant>, at: Option<Instant>, sleeper: impl FnOnce() -> Sleeper) {
        if *alarm == at {
            return;
        }
        let sleeper = sleeper();
        if let Some(old) = *alarm {
            self.0.remove(&(old, sleeper.clone()));
        }
        if let Some(at) = at {
            self.0.insert((at, sleeper));
        }
        *alarm = at;
    }

    /// Takes one that is due; whose it was knows nothing of that yet.
    fn pop_due(&mut self, now: Instant) -> Option<Sleeper> {
        self.0.first().is_some_and(|(at, _)| *at <= now).then(|| self.0.pop_first())?.map(|(_, sleeper)| sleeper)
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Broker {
    config: Arc<Config>,
    rng: Rng,
    generations: u32,
    topics: BTreeMap<TopicName, Hosted>,
    connections: BTreeMap<ConnId, Connection>,
    alarms: Alarms,
    outputs: VecDeque<Output>,
    builder: BatchBuilder,
}

impl Broker {
    /// A broker without topics. `seed` feeds all chance in it.
    pub fn new(config: Arc<Config>, seed: u64) -> Self {
        Self {
            config,
            rng: Rng::new(seed),
            generations: 0,
            topics: BTreeMap::new(),
            connections: BTreeMap::new(),
            alarms: Alarms::default(),
            outputs: VecDeque::new(),
            builder: BatchBuilder::default(),
        }
    }

    /// A client has connected. `conn` was never used before.
    pub fn handle_connect(&mut self, now: Now, conn: ConnId) {
        let session = Session::new(now, self.config.clone(), Features::default());
        self.connections.insert(conn, Connection { session, unhandled: Vec::new(), subscribed: None, alarm: None });
        self.settle(now, conn, Vec::new());
    }

    /// The client sent `bytes`.
    pub fn handle_bytes(&mut self, now: Now, conn: ConnId, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.unhandled.extend_from_slice(bytes);
            self.advance(now, conn);
        }
    }

    /// The client sends no more; what it sent is still answered.
    pub fn handle_eof(&mut self, now: Now, conn: ConnId) {
        let mut out = Vec::new();
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.session.handle_eof(&mut out);
            self.settle(now, conn, out);
        }
    }

    /// The connection broke.
    pub fn handle_disconnect(&mut self, now: Now, conn: ConnId) {
        let Some(mut connection) = self.connections.remove(&conn) else { return };
        self.alarms.set(&mut connection.alarm, None, || Sleeper::Conn(conn));
        if let Some(name) = connection.subscribed {
            self.step(now, &name, |topic| topic.handle_disconnect(now, conn));
        }
    }

    /// Takes in what became of a storage operation.
    pub fn handle_completion(&mut self, now: Now, done: StorageCompletion) {
        let name = done.log.topic.clone();
        self.step(now, &name, |topic| topic.handle_completion(now, done));
    }

    /// Does what has become due.
    pub fn handle_timeout(&mut self, now: Now) {
        // An alarm is set anew by whoever still has something to wait for.
        while let Some(sleeper) = self.alarms.pop_due(now.mono) {
            match sleeper {
                Sleeper::Topic(name) => {
                    if let Some(hosted) = self.topics.get_mut(&name) {
                        hosted.alarm = None;
                    }
                    self.step(now, &name, |topic| topic.handle_timeout(now));
                }
                Sleeper::Conn(conn) => {
                    let mut out = Vec::new();
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.alarm = None;
                        connection.session.handle_timeout(now, &mut out);
                        self.settle(now, conn, out);
                    }
                }
            }
        }
    }

    /// Lets `act` handle an input of the topic, created if it is missing: publishing without a connection,
    /// administration. Answers to connections that do not exist are dropped.
    pub fn handle_topic(&mut self, now: Now, name: &TopicName, act: impl FnOnce(&mut Topic)) {
        self.ensure_topic(now, name);
        self.step(now, name, act);
    }

    /// Deletes the topic with all it has; `false` if there is none.
    pub fn handle_delete_topic(&mut self, now: Now, name: &TopicName) -> bool {
        let found = self.topics.contains_key(name);
        self.step(now, name, |topic| topic.handle_delete(now));
        if let Some(mut hosted) = self.topics.remove(name) {
            self.alarms.set(&mut hosted.alarm, None, || Sleeper::Topic(name.clone()));
            self.outputs.push_back(Output::TopicDeleted(name.clone()));
        }
        found
    }

    /// Creates the topics and channels that were there before. Whoever starts a broker waits until none
    /// [is opening](Self::is_opening).
    pub fn handle_remembered(&mut self, now: Now, remembered: &Remembered) {
        for topic in &remembered.topics {
            self.handle_topic(now, &topic.name, |state| topic.restore(now, state));
        }
    }

    /// Ends all connections, and has what is only in memory written to the logs and those closed. Done when nothing
    /// [is settling](Self::is_settling) and all operations are carried out.
    pub fn handle_exit(&mut self, now: Now) {
        while let Some(&conn) = self.connections.keys().next() {
            self.close(now, conn);
        }
        let names: Vec<TopicName> = self.topics.keys().cloned().collect();
        for name in names {
            self.step(now, &name, |topic| topic.handle_exit(now));
        }
    }

    /// The topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.values().map(|hosted| &hosted.topic)
    }

    /// The topic of that name.
    pub fn topic(&self, name: &TopicName) -> Option<&Topic> {
        self.topics.get(name).map(|hosted| &hosted.topic)
    }

    /// Whether a log has not answered its opening yet.
    pub fn is_opening(&self) -> bool {
        self.topics().any(Topic::is_opening)
    }

    /// Whether storage still owes an answer that somebody waits for.
    pub fn is_settling(&self) -> bool {
        self.topics().any(Topic::is_settling)
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.alarms.0.first().map(|(at, _)| *at)
    }

    /// Counts of all topics, by name; of all their channels, or of `channel` only.
    pub fn stats(&self, now: Now, channel: Option<&ChannelName>) -> Vec<TopicStats> {
        self.topics().map(|topic| topic.stats(now, channel, true)).collect()
    }

    fn ensure_topic(&mut self, now: Now, name: &TopicName) {
        if !self.topics.contains_key(name) {
            self.generations += 1;
            let topic = Topic::new(name.clone(), self.config.clone(), self.rng.next_u64(), self.generations);
            self.topics.insert(name.clone(), Hosted { topic, alarm: None });
            self.outputs.push_back(Output::TopicCreated(name.clone()));
            self.step(now, name, |_| ());
        }
    }

    /// Lets the session take what it can of its input, and carries out what it asks for, until it has to wait.
    fn advance(&mut self, now: Now, conn: ConnId) {
        loop {
            let Some(connection) = self.connections.get_mut(&conn) else { return };
            let (mut requests, mut out) = (Vec::new(), Vec::new());
            let input = std::mem::take(&mut connection.unhandled);
            let taken = connection.session.handle_bytes(now, &input, &mut self.builder, &mut requests, &mut out);
            connection.unhandled = input[taken..].to_vec();
            let busy = !requests.is_empty();
            self.settle(now, conn, out);
            self.carry_out(now, conn, requests);
            if !busy {
                return;
            }
        }
    }

    fn carry_out(&mut self, now: Now, conn: ConnId, requests: Vec<Request>) {
        let mut commands: Vec<ConsumerCommand> = Vec::new();
        for request in requests {
            match request {
                Request::Consumer(command) => commands.push(command),
                Request::Publish { id, topic, batches } => {
                    self.command(now, conn, &mut commands);
                    self.handle_topic(now, &topic, |topic| topic.handle_publish(now, conn, id, batches));
                }
                Request::Subscribe(subscribe) => {
                    let name = subscribe.topic.clone();
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.subscribed = Some(name.clone());
                    }
                    self.handle_topic(now, &name, |topic| topic.handle_subscribe(now, conn, subscribe));
                }
                // Not among the features its session was given.
                Request::Upgrade(_) | Request::Authorize { .. } => self.close(now, conn),
            }
        }
        self.command(now, conn, &mut commands);
    }

    fn command(&mut self, now: Now, conn: ConnId, commands: &mut Vec<ConsumerCommand>) {
        let subscribed = self.connections.get(&conn).and_then(|connection| connection.subscribed.clone());
        if let Some(name) = subscribed.filter(|_| !commands.is_empty()) {
            self.step(now, &name, |topic| topic.handle_consumer(now, conn, commands.drain(..)));
        }
    }

    /// Lets the topic handle an input and routes what it emits.
    fn step(&mut self, now: Now, name: &TopicName, act: impl FnOnce(&mut Topic)) {
        if let Some(hosted) = self.topics.get_mut(name) {
            act(&mut hosted.topic);
            self.route(now, name);
        }
    }

    /// Routes what the topic has emitted.
    fn route(&mut self, now: Now, name: &TopicName) {
        let Some(Hosted { topic, alarm }) = self.topics.get_mut(name) else { return };
        let mut answers = Vec::new();
        let mut unused = false;
        while let Some(output) = topic.poll_output() {
            match output {
                topic::Output::Deliver { conn, run } => {
                    let mut out = Vec::new();
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.session.handle_deliveries(&mut vec![run], &mut out);
                        self.outputs.push_back(Output::Send { conn, bytes: out });
                        answers.push((conn, None));
                    }
                }
                topic::Output::Answer { conn, answer } => answers.push((conn, Some(answer))),
                topic::Output::Store(op) => self.outputs.push_back(Output::Store(op)),
                topic::Output::Event(event) => {
                    unused |= event == Event::Unused;
                    self.outputs.push_back(Output::Event { topic: name.clone(), event });
                }
            }
        }
        self.alarms.set(alarm, topic.poll_timeout().map(|(at, _)| at), || Sleeper::Topic(name.clone()));
        if unused {
            self.handle_delete_topic(now, name);
        }
        for (conn, answer) in answers {
            let mut out = Vec::new();
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            let answered = answer.is_some();
            if let Some(answer) = answer {
                connection.session.handle_answer(now, answer, &mut out);
            }
            self.settle(now, conn, out);
            if answered {
                self.advance(now, conn);
            }
        }
    }

    /// Sends `out`, and sees to what the session wants next.
    fn settle(&mut self, now: Now, conn: ConnId, out: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if !out.is_empty() {
            self.outputs.push_back(Output::Send { conn, bytes: out });
        }
        let mut requests = Vec::new();
        connection.session.handle_flushed(now, &mut requests);
        let (closed, deadline) = (connection.session.is_closed(), connection.session.poll_timeout());
        if closed {
            self.close(now, conn);
        } else {
            self.alarms.set(&mut connection.alarm, deadline.map(|(at, _)| at), || Sleeper::Conn(conn));
            self.carry_out(now, conn, requests);
        }
    }

    fn close(&mut self, now: Now, conn: ConnId) {
        self.outputs.push_back(Output::Close { conn });
        self.handle_disconnect(now, conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{StorageEffect, StorageReply};
    use crate::time::Timestamp;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const A: ConnId = ConnId(1);
    const B: ConnId = ConnId(2);

    struct Rig {
        broker: Broker,
        now: Now,
        sent: BTreeMap<ConnId, Vec<u8>>,
        closed: Vec<ConnId>,
    }

    impl Rig {
        fn new() -> Self {
            let wall = Timestamp::from_nanos(1_700_000_000_000_000_000);
            let broker = Broker::new(Arc::new(Config::default()), 1);
            let mut rig =
                Self { broker, now: Now { mono: Instant::ZERO, wall }, sent: BTreeMap::new(), closed: Vec::new() };
            for conn in [A, B] {
                rig.broker.handle_connect(rig.now, conn);
                rig.send(conn, b"  V2");
            }
            rig
        }

        fn send(&mut self, conn: ConnId, bytes: &[u8]) {
            self.broker.handle_bytes(self.now, conn, bytes);
            self.collect();
        }

        fn collect(&mut self) {
            while let Some(output) = self.broker.poll_output() {
                match output {
                    Output::Send { conn, bytes } => self.sent.entry(conn).or_default().extend(bytes),
                    Output::Close { conn } => self.closed.push(conn),
                    Output::Store(_) | Output::TopicCreated(_) | Output::TopicDeleted(_) | Output::Event { .. } => {}
                }
            }
        }

        fn received(&mut self, conn: ConnId) -> String {
            String::from_utf8_lossy(&self.sent.remove(&conn).unwrap_or_default()).into_owned()
        }

        fn pass_to(&mut self, mono: Instant) {
            while let Some(at) = self.broker.poll_timeout().filter(|&at| at <= mono) {
                self.now.mono = at;
                self.broker.handle_timeout(self.now);
                self.collect();
            }
            self.now.mono = mono;
        }
    }

    #[test]
    fn a_message_goes_through_and_comes_again() {
        let mut rig = Rig::new();
        rig.send(A, b"PUB t\n\0\0\0\x05hello");
        assert_eq!(rig.received(A), "\0\0\0\x06\0\0\0\0OK");
        rig.send(B, b"SUB t c\nRDY 5\n");
        assert!(rig.received(B).ends_with("hello"));
        rig.send(B, b"NOP\n");
        rig.pass_to(Instant::from_millis(45_000));
        rig.send(B, b"NOP\n");
        assert!(rig.received(B).ends_with("_heartbeat_"));
        rig.pass_to(Instant::from_millis(60_000));
        assert!(rig.received(B).contains("hello"));
    }

    #[test]
    fn a_fatal_error_closes_and_leaves() {
        let mut rig = Rig::new();
        rig.send(B, b"SUB t c#ephemeral\nFIN x\n");
        assert!(rig.received(B).contains("E_INVALID invalid message ID"));
        assert_eq!(rig.closed, [B]);
        let stats = rig.broker.stats(rig.now, None);
        assert!(stats[0].channels.is_empty(), "gone with its last consumer");
    }

    #[test]
    fn a_clone_goes_its_own_way() {
        let mut rig = Rig::new();
        rig.send(A, b"PUB t\n\0\0\0\x05hello");
        let mut other = Rig { broker: rig.broker.clone(), sent: BTreeMap::new(), closed: Vec::new(), now: rig.now };
        other.send(B, b"SUB t c\nRDY 5\n");
        assert!(other.received(B).ends_with("hello"));
        assert_eq!((rig.broker.stats(rig.now, None)[0].depth, other.broker.stats(rig.now, None)[0].depth), (1, 0));
    }

    #[test]
    fn an_exit_leaves_everything_on_the_logs() {
        let mut rig = Rig::new();
        rig.send(A, b"PUB t\n\0\0\0\x05hello");
        rig.broker.handle_exit(rig.now);
        assert!(rig.broker.is_settling());
        let mut ops = Vec::new();
        let mut collect = |rig: &mut Rig| {
            while let Some(output) = rig.broker.poll_output() {
                match output {
                    Output::Close { conn } => rig.closed.push(conn),
                    Output::Store(op) => ops.push(op),
                    Output::Send { .. } | Output::TopicCreated(_) | Output::TopicDeleted(_) | Output::Event { .. } => {}
                }
            }
            std::mem::take(&mut ops)
        };
        let append = collect(&mut rig).pop().unwrap();
        assert_eq!(rig.closed, [A, B]);
        assert!(matches!(append.effect, StorageEffect::Append { .. }));
        let done = StorageCompletion { op: append.op, log: append.log, result: Ok(StorageReply::Appended) };
        rig.broker.handle_completion(rig.now, done);
        assert!(!rig.broker.is_settling());
        assert!(matches!(collect(&mut rig)[..], [StorageOp { effect: StorageEffect::Close, .. }]));
    }

    #[test]
    fn deleting_a_topic_closes_its_consumers() {
        let mut rig = Rig::new();
        rig.send(B, b"SUB t c\n");
        assert!(rig.broker.handle_delete_topic(rig.now, &TopicName::parse("t").unwrap()));
        rig.collect();
        assert_eq!(rig.closed, [B]);
        assert!(rig.broker.stats(rig.now, None).is_empty());
    }
}
