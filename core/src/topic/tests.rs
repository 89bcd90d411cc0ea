//! Scenarios of one topic in virtual time, on a disk that does what the contract says and, when told to, fails.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

mod exit;
mod failing_disk;
mod latency;
mod topology;
mod turns;
mod watching;

use super::*;
use crate::message::{BatchBuilder, MessageId};
use crate::protocol::{ConsumerOptions, ConsumerVerb, Locality, RefusedWhy};
use crate::storage::{StorageEffect, StorageError, StorageOp, StorageReply};
use crate::time::Timestamp;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const PRODUCER: ConnId = ConnId(1);
const A: ConnId = ConnId(10);
const B: ConnId = ConnId(11);

/// A consumer that asked for nothing.
const OPTIONS: ConsumerOptions = ConsumerOptions {
    msg_timeout: Duration::from_secs(60),
    sample_rate: 0,
    counted_as: Locality::Anywhere,
    served_as: Locality::Anywhere,
};

/// A log as the contract describes it.
#[derive(Debug, Default)]
struct FakeLog {
    records: VecDeque<Run>,
    /// How many of `records` the cursor has passed.
    passed: usize,
    closed: bool,
}

fn singles(runs: &[Run]) -> impl Iterator<Item = Run> {
    runs.iter().flat_map(|run| {
        (run.from..run.to).map(|index| Run { batch: run.batch.clone(), from: index, to: index + 1, origin: 0 })
    })
}

#[derive(Debug)]
struct Rig {
    topic: Topic,
    now: Now,
    logs: BTreeMap<String, FakeLog>,
    disk_full: bool,
    /// Operations submitted and not carried out, while the disk is held up.
    held: Option<VecDeque<StorageOp>>,
    answers: Vec<(ConnId, Answer)>,
    deliveries: Vec<(ConnId, MessageId, u16, String)>,
    events: Vec<Event>,
    request: u64,
}

impl Rig {
    fn new(config: Config) -> Self {
        Self::named("t", config)
    }

    fn named(name: &str, config: Config) -> Self {
        let topic = Topic::new(TopicName::parse(name).unwrap(), Arc::new(config), 1, 1);
        let wall = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let mut rig = Self {
            topic,
            now: Now { mono: Instant::ZERO, wall },
            logs: BTreeMap::new(),
            disk_full: false,
            held: None,
            answers: Vec::new(),
            deliveries: Vec::new(),
            events: Vec::new(),
            request: 0,
        };
        rig.settle();
        rig
    }

    fn execute(&mut self, op: StorageOp) -> StorageCompletion {
        let log = self.logs.entry(op.log.to_string()).or_default();
        assert!(!log.closed || matches!(op.effect, StorageEffect::Open | StorageEffect::Delete), "{op:?} after Close");
        let result = match op.effect {
            StorageEffect::Open => {
                if std::mem::take(&mut log.closed) {
                    log.passed = 0;
                }
                Ok(StorageReply::Opened { unread: log.records.len() as u64 })
            }
            StorageEffect::Append { .. } if self.disk_full => Err(StorageError::Full { file: "t".to_owned() }),
            StorageEffect::Append { runs, taken, .. } => {
                assert!(!taken || log.passed == log.records.len(), "taken with unread records");
                log.records.extend(singles(&runs));
                if taken {
                    log.passed = log.records.len();
                }
                Ok(StorageReply::Appended)
            }
            StorageEffect::Read { .. } => {
                let runs: Vec<Run> = log.records.iter().skip(log.passed).take(3).cloned().collect();
                log.passed += runs.len();
                Ok(StorageReply::Records { runs, unread: (log.records.len() - log.passed) as u64 })
            }
            StorageEffect::Release { count } => {
                assert!(count <= log.passed as u64, "released more than was passed");
                log.records.drain(..count as usize);
                log.passed -= count as usize;
                Ok(StorageReply::Done)
            }
            StorageEffect::Empty | StorageEffect::Delete => {
                *log = FakeLog::default();
                Ok(StorageReply::Done)
            }
            StorageEffect::Close => {
                log.closed = true;
                Ok(StorageReply::Done)
            }
        };
        StorageCompletion { op: op.op, log: op.log, result }
    }

    /// Carries out all outputs, and what they cause.
    fn settle(&mut self) {
        while let Some(output) = self.topic.poll_output() {
            match output {
                Output::Deliver { conn, run } => self.deliveries.extend(run.messages().map(|message| {
                    let body = String::from_utf8(message.body.to_vec()).unwrap();
                    (conn, message.id, message.attempts + 1, body)
                })),
                Output::Answer { conn, answer } => self.answers.push((conn, answer)),
                Output::Event(event) => self.events.push(event),
                Output::Store(op) => match &mut self.held {
                    Some(held) => held.push_back(op),
                    None => {
                        let done = self.execute(op);
                        self.topic.handle_completion(self.now, done);
                    }
                },
            }
        }
    }

    fn let_disk_go_on(&mut self) {
        for op in self.held.take().into_iter().flatten() {
            let done = self.execute(op);
            self.topic.handle_completion(self.now, done);
        }
        self.settle();
    }

    /// Lets time pass, calling the topic exactly when it asked to be called.
    fn pass(&mut self, duration: Duration) {
        let end = self.now.mono + duration;
        while let Some((at, _)) = self.topic.poll_timeout().filter(|&(at, _)| at <= end) {
            self.move_to(at.max(self.now.mono));
            self.topic.handle_timeout(self.now);
            self.settle();
            let next = self.topic.poll_timeout().map(|(at, _)| at);
            assert!(next.is_none_or(|next| next > self.now.mono), "a deadline stays after its timeout was handled");
        }
        self.move_to(end);
    }

    fn move_to(&mut self, at: Instant) {
        self.now = Now { wall: self.now.wall + at.since(self.now.mono), mono: at };
    }

    fn publish_due(&mut self, bodies: &[&str], due: Option<Timestamp>) -> RequestId {
        let mut builder = BatchBuilder::default();
        bodies.iter().for_each(|body| builder.push(body.as_bytes(), due));
        self.request += 1;
        let id = RequestId(self.request);
        self.topic.handle_publish(self.now, PRODUCER, id, builder.finish());
        self.settle();
        id
    }

    fn publish(&mut self, bodies: &[&str]) {
        let id = self.publish_due(bodies, None);
        assert_eq!(self.answers.pop(), Some((PRODUCER, Answer::Published { id, result: Ok(()) })));
    }

    fn defer(&mut self, body: &str, delay: Duration) {
        let due = self.now.wall + delay;
        self.publish_due(&[body], Some(due));
        self.answers.clear();
    }

    fn subscribe_with(&mut self, conn: ConnId, channel: &str, options: ConsumerOptions) -> Result<(), SubscribeError> {
        let channel = ChannelName::parse(channel).unwrap();
        let (topic, id) = (self.topic.name().clone(), RequestId(0));
        self.topic.handle_subscribe(self.now, conn, Subscribe { id, topic, channel, options });
        self.settle();
        match self.answers.pop() {
            Some((to, Answer::Subscribed { result, .. })) if to == conn => result,
            other => panic!("no answer to a subscription but {other:?}"),
        }
    }

    fn subscribe(&mut self, conn: ConnId, channel: &str, ready: u32) {
        self.subscribe_with(conn, channel, OPTIONS).unwrap();
        self.command(conn, ConsumerCommand::Ready { count: ready });
    }

    fn command(&mut self, conn: ConnId, command: ConsumerCommand) {
        self.topic.handle_consumer(self.now, conn, [command]);
        self.settle();
    }

    fn finish(&mut self, conn: ConnId, id: MessageId) {
        self.command(conn, ConsumerCommand::Finish { id });
    }

    fn requeue(&mut self, conn: ConnId, id: MessageId, delay: Duration) {
        self.command(conn, ConsumerCommand::Requeue { id, delay });
    }

    /// Deliveries since the last call, as `conn:body/attempts`.
    fn delivered(&mut self) -> Vec<String> {
        let describe = |(conn, _, attempts, body): (ConnId, MessageId, u16, String)| {
            let name = if conn == A { "A" } else { "B" };
            format!("{name}:{body}/{attempts}")
        };
        std::mem::take(&mut self.deliveries).into_iter().map(describe).collect()
    }

    fn stats(&self, channel: &str) -> ChannelStats {
        let name = ChannelName::parse(channel).unwrap();
        self.topic.stats(self.now, Some(&name), true).channels.remove(0)
    }

    /// depth, in flight, deferred.
    fn counts(&self, channel: &str) -> (u64, u64, u64) {
        let stats = self.stats(channel);
        (stats.depth, stats.in_flight_count, stats.deferred_count)
    }
}

fn without_memory() -> Config {
    Config { mem_queue_size: 0, ..Config::default() }
}

fn in_memory(mem_queue_size: usize) -> Config {
    Config { mem_queue_size, ..Config::default() }
}

#[test]
fn every_channel_gets_all_and_each_message_goes_to_one_consumer() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "a", 10);
    rig.subscribe(B, "a", 10);
    let other = ConnId(12);
    rig.subscribe(other, "b", 10);
    for body in ["0", "1", "2"] {
        rig.publish(&[body]);
    }
    let to = |conn| rig.deliveries.iter().filter(|d| d.0 == conn).count();
    assert_eq!((to(A), to(B), to(other)), (2, 1, 3));
    for (conn, id, ..) in std::mem::take(&mut rig.deliveries) {
        rig.finish(conn, id);
    }
    assert_eq!((rig.counts("a"), rig.counts("b")), ((0, 0, 0), (0, 0, 0)));
    assert!(rig.answers.is_empty() && rig.topic.poll_timeout().is_none());
}

#[test]
fn messages_wait_for_the_first_channel_and_later_ones_start_empty() {
    let mut rig = Rig::new(Config::default());
    rig.publish(&["x", "y"]);
    assert_eq!(rig.topic.stats(rig.now, None, false).depth, 2);
    rig.subscribe(A, "first", 10);
    rig.subscribe(B, "second", 10);
    assert_eq!(rig.delivered(), ["A:x/1", "A:y/1"]);
}

#[test]
fn ready_is_a_ceiling_and_not_a_credit() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 2);
    rig.publish(&["a", "b", "c", "d"]);
    let ids: Vec<MessageId> = rig.deliveries.iter().map(|d| d.1).collect();
    assert_eq!(rig.delivered(), ["A:a/1", "A:b/1"]);
    rig.finish(A, ids[0]);
    assert_eq!(rig.delivered(), ["A:c/1"]);
    rig.command(A, ConsumerCommand::Ready { count: 0 });
    rig.finish(A, ids[1]);
    assert!(rig.delivered().is_empty());
    rig.command(A, ConsumerCommand::Ready { count: 3 });
    assert_eq!(rig.delivered(), ["A:d/1"]);
}

#[test]
fn a_burst_is_shared_by_those_who_are_ready() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 2500);
    rig.subscribe(B, "c", 2500);
    rig.publish(&["m"; 200]);
    let to_a = rig.deliveries.iter().filter(|d| d.0 == A).count();
    assert!((70..=130).contains(&to_a), "{to_a} of 200");
}

#[test]
fn a_message_comes_again_exactly_when_its_time_is_up() {
    let mut rig = Rig::new(Config::default());
    let options = ConsumerOptions { msg_timeout: Duration::from_millis(1500), ..OPTIONS };
    rig.subscribe_with(A, "c", options).unwrap();
    rig.command(A, ConsumerCommand::Ready { count: 1 });
    rig.publish(&["x"]);
    let id = rig.deliveries[0].1;
    rig.pass(Duration::from_millis(1499));
    assert_eq!(rig.delivered(), ["A:x/1"]);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.delivered(), ["A:x/2"]);
    assert_eq!(rig.stats("c").timeout_count, 1);
    rig.finish(A, id);
    assert_eq!(rig.counts("c"), (0, 0, 0));
}

#[test]
fn touch_stretches_a_delivery_up_to_the_limit() {
    let mut rig = Rig::new(Config { max_msg_timeout: Duration::from_secs(100), ..Config::default() });
    rig.subscribe(A, "c", 1);
    rig.publish(&["x"]);
    let id = rig.deliveries[0].1;
    rig.delivered();
    let touch = ConsumerCommand::Touch { id, msg_timeout: Duration::from_secs(60) };
    for _ in 0..3 {
        rig.pass(Duration::from_secs(30));
        rig.command(A, touch);
    }
    assert!(rig.delivered().is_empty());
    rig.pass(Duration::from_millis(9_999));
    assert!(rig.delivered().is_empty());
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.delivered(), ["A:x/2"]);
}

#[test]
fn requeue_at_once_goes_to_the_tail_and_with_delay_waits() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 1);
    rig.publish(&["x", "y"]);
    let x = rig.deliveries[0].1;
    rig.delivered();
    rig.requeue(A, x, Duration::ZERO);
    assert_eq!(rig.delivered(), ["A:y/1"]);
    let y = MessageId(x.0 + 1);
    rig.requeue(A, y, Duration::from_millis(500));
    assert_eq!(rig.delivered(), ["A:x/2"]);
    assert_eq!(rig.counts("c"), (0, 1, 1));
    rig.finish(A, x);
    rig.pass(Duration::from_millis(499));
    assert!(rig.delivered().is_empty());
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.delivered(), ["A:y/2"]);
    assert_eq!((rig.stats("c").requeue_count, rig.stats("c").message_count), (2, 2));
}

#[test]
fn only_the_owner_may_answer_for_a_message() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 1);
    rig.subscribe(B, "c", 0);
    rig.publish(&["x"]);
    let id = rig.deliveries[0].1;
    rig.finish(B, id);
    rig.finish(A, MessageId(1));
    let refused = |id, why| Answer::Refused { verb: ConsumerVerb::Finish, id, why };
    assert_eq!(
        rig.answers,
        [(B, refused(id, RefusedWhy::NotOwner)), (A, refused(MessageId(1), RefusedWhy::NotInFlight))]
    );
}

#[test]
fn deferred_messages_come_when_due_from_memory_and_from_disk() {
    for config in [Config::default(), Config { publish_ack: PublishAck::Written, ..Config::default() }] {
        let mut rig = Rig::new(config);
        rig.defer("early", Duration::from_millis(700));
        rig.subscribe(A, "c", 10);
        rig.defer("late", Duration::from_millis(1500));
        assert_eq!(rig.counts("c"), (0, 0, 2));
        rig.pass(Duration::from_millis(699));
        assert!(rig.delivered().is_empty());
        rig.pass(Duration::from_millis(1));
        assert_eq!(rig.delivered(), ["A:early/1"]);
        rig.pass(Duration::from_millis(799));
        assert!(rig.delivered().is_empty());
        rig.pass(Duration::from_millis(1));
        assert_eq!(rig.delivered(), ["A:late/1"]);
    }
}

#[test]
fn overflow_goes_to_disk_in_order_and_is_released_when_finished() {
    let mut rig = Rig::new(in_memory(2));
    rig.subscribe(A, "c", 0);
    let bodies: Vec<String> = (0..10).map(|i| i.to_string()).collect();
    for body in &bodies {
        rig.publish(&[body]);
    }
    assert_eq!((rig.stats("c").depth, rig.stats("c").backend_depth), (10, 8));
    rig.command(A, ConsumerCommand::Ready { count: 100 });
    let order: Vec<String> = rig.deliveries.iter().map(|d| d.3.clone()).collect();
    assert_eq!(order, bodies);
    for (conn, id, ..) in std::mem::take(&mut rig.deliveries) {
        rig.finish(conn, id);
    }
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.logs["t:c"].records.len(), 0);
    assert_eq!(rig.topic.poll_timeout(), None);
}

#[test]
fn without_memory_every_message_is_on_disk_until_it_is_finished() {
    let mut rig = Rig::new(without_memory());
    rig.subscribe(A, "c", 2);
    rig.publish(&["x", "y", "z"]);
    assert_eq!(rig.delivered().len(), 2);
    assert_eq!(rig.logs["t:c"].records.len(), 3);
    assert_eq!((rig.stats("c").depth, rig.stats("c").backend_depth), (1, 1));
}

#[test]
fn a_publish_is_answered_when_the_disk_is_done_and_not_delivered_before() {
    let mut rig = Rig::new(Config { publish_ack: PublishAck::Synced, ..Config::default() });
    rig.subscribe(A, "c", 10);
    rig.held = Some(VecDeque::new());
    let id = rig.publish_due(&["x"], None);
    assert!(rig.answers.is_empty() && rig.deliveries.is_empty());
    rig.let_disk_go_on();
    assert_eq!(rig.answers, [(PRODUCER, Answer::Published { id, result: Ok(()) })]);
    assert_eq!(rig.delivered(), ["A:x/1"]);
}

#[test]
fn a_full_disk_refuses_the_publish_and_keeps_what_was_accepted() {
    let mut rig = Rig::new(in_memory(1));
    rig.subscribe(A, "c", 0);
    rig.publish(&["kept"]);
    rig.disk_full = true;
    let id = rig.publish_due(&["refused"], None);
    let error = PublishError::Storage(StorageError::Full { file: "t".to_owned() });
    assert_eq!(rig.answers.pop(), Some((PRODUCER, Answer::Published { id, result: Err(error) })));
    rig.disk_full = false;
    rig.publish(&["later"]);
    rig.command(A, ConsumerCommand::Ready { count: 10 });
    assert_eq!(rig.delivered(), ["A:kept/1", "A:later/1"]);
    assert_eq!(rig.topic.stats(rig.now, None, false).message_count, 2);
}

#[test]
fn a_topic_backlog_moves_to_the_first_channel_even_if_the_disk_fails_there() {
    let mut rig = Rig::new(without_memory());
    rig.publish(&["x", "y", "z", "w"]);
    assert_eq!(rig.logs["t"].records.len(), 4);
    rig.disk_full = true;
    rig.subscribe(A, "c", 10);
    assert_eq!(rig.delivered(), ["A:x/1", "A:y/1", "A:z/1", "A:w/1"]);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.logs["t"].records.len(), 0);
}

#[test]
fn a_paused_topic_keeps_and_a_paused_channel_holds() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 10);
    rig.topic.handle_pause(rig.now, true);
    rig.publish(&["x"]);
    assert_eq!((rig.topic.stats(rig.now, None, false).depth, rig.counts("c")), (1, (0, 0, 0)));
    let channel = ChannelName::parse("c").unwrap();
    assert!(rig.topic.handle_pause_channel(rig.now, &channel, true));
    rig.topic.handle_pause(rig.now, false);
    rig.settle();
    assert_eq!(rig.counts("c"), (1, 0, 0));
    rig.topic.handle_pause_channel(rig.now, &channel, false);
    rig.settle();
    assert_eq!(rig.delivered(), ["A:x/1"]);
}

#[test]
fn what_is_published_while_a_topic_is_held_goes_to_all_channels_it_gets() {
    let mut rig = Rig::new(Config::default());
    rig.topic.handle_hold(rig.now, true);
    rig.subscribe(A, "first", 10);
    rig.publish(&["x"]);
    assert_eq!(rig.delivered(), [""; 0]);
    rig.topic.handle_create_channel(rig.now, &ChannelName::parse("second").unwrap());
    rig.topic.handle_hold(rig.now, false);
    rig.settle();
    assert_eq!(rig.delivered(), ["A:x/1"]);
    assert_eq!(rig.counts("second"), (1, 0, 0));
    assert!(!rig.topic.is_paused());
}

#[test]
fn emptying_a_channel_forgets_queued_flying_and_deferred() {
    let mut rig = Rig::new(in_memory(1));
    rig.subscribe(A, "c", 1);
    rig.publish(&["flying", "queued", "on disk"]);
    rig.defer("deferred", Duration::from_secs(1));
    let id = rig.deliveries[0].1;
    rig.delivered();
    assert!(rig.topic.handle_empty_channel(rig.now, &ChannelName::parse("c").unwrap()));
    rig.settle();
    assert_eq!((rig.counts("c"), rig.stats("c").backend_depth), ((0, 0, 0), 0));
    rig.finish(A, id);
    assert!(matches!(rig.answers.pop(), Some((A, Answer::Refused { why: RefusedWhy::NotInFlight, .. }))));
    rig.publish(&["new"]);
    assert_eq!(rig.delivered(), ["A:new/1"], "in-flight counts start anew");
}

#[test]
fn deleting_a_channel_evicts_its_consumers_and_its_files() {
    let mut rig = Rig::new(without_memory());
    rig.subscribe(A, "c", 0);
    rig.publish(&["x"]);
    let channel = ChannelName::parse("c").unwrap();
    assert!(rig.topic.handle_delete_channel(rig.now, &channel));
    rig.settle();
    assert_eq!(rig.answers, [(A, Answer::Evicted)]);
    assert!(rig.logs["t:c"].records.is_empty());
    assert!(rig.events.contains(&Event::ChannelDeleted(channel.clone())));
    assert!(!rig.topic.handle_delete_channel(rig.now, &channel));
}

#[test]
fn an_ephemeral_channel_goes_with_its_last_consumer_and_the_topic_with_it() {
    let mut rig = Rig::named("t#ephemeral", in_memory(2));
    rig.subscribe(A, "c#ephemeral", 0);
    rig.subscribe(B, "c#ephemeral", 0);
    rig.publish(&["x", "y", "dropped"]);
    assert_eq!((rig.stats("c#ephemeral").depth, rig.stats("c#ephemeral").dropped_count), (2, 1));
    rig.topic.handle_disconnect(rig.now, A);
    rig.settle();
    assert!(!rig.events.contains(&Event::Unused));
    rig.topic.handle_disconnect(rig.now, B);
    rig.settle();
    assert_eq!(rig.events.last(), Some(&Event::Unused));
    assert!(rig.logs.is_empty(), "nothing of it was on disk");
}

#[test]
fn an_ephemeral_channel_without_memory_delivers_to_whoever_is_ready() {
    let mut rig = Rig::new(without_memory());
    rig.subscribe(A, "c#ephemeral", 2);
    rig.publish(&["x", "y", "z"]);
    assert_eq!(rig.delivered(), ["A:x/1", "A:y/1"]);
    assert_eq!((rig.stats("c#ephemeral").depth, rig.stats("c#ephemeral").dropped_count), (0, 1));
}

#[test]
fn a_disconnected_consumers_messages_come_back_when_their_time_is_up() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 1);
    rig.subscribe(B, "c", 0);
    rig.publish(&["x"]);
    rig.delivered();
    rig.topic.handle_disconnect(rig.now, A);
    rig.command(B, ConsumerCommand::Ready { count: 1 });
    rig.pass(Duration::from_millis(59_999));
    assert_eq!((rig.delivered().len(), rig.counts("c")), (0, (0, 1, 0)));
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.delivered(), ["B:x/2"]);
}

#[test]
fn a_slow_reader_holds_no_more_than_its_window() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 2500);
    let big = "x".repeat(400_000);
    rig.publish(&[&big, &big, &big, &big]);
    assert_eq!(rig.delivered().len(), 3, "the window is open until it is used up");
    rig.command(A, ConsumerCommand::Credit { bytes: 800_000 });
    assert_eq!(rig.delivered().len(), 1);
}

#[test]
fn sampling_drops_for_good() {
    let mut rig = Rig::new(Config::default());
    let options = ConsumerOptions { sample_rate: 10, ..OPTIONS };
    rig.subscribe_with(A, "c", options).unwrap();
    rig.command(A, ConsumerCommand::Ready { count: 2500 });
    rig.publish(&["m"; 1000]);
    let stats = rig.stats("c");
    let kept = rig.delivered().len() as u64;
    assert!((70..160).contains(&kept), "{kept} of 1000 at 10 (+1) %");
    assert_eq!((stats.depth, stats.in_flight_count, stats.sampled_out_count), (0, kept, 1000 - kept));
}

#[test]
fn consumers_beyond_the_limit_are_told() {
    let mut rig = Rig::new(Config { max_channel_consumers: 1, ..Config::default() });
    rig.subscribe(A, "c", 1);
    let error = rig.subscribe_with(B, "c", OPTIONS).unwrap_err();
    assert_eq!(error.to_string(), "consumers for t:c exceeds limit of 1");
}

#[test]
fn a_closing_consumer_gets_nothing_more_and_may_finish() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 1);
    rig.publish(&["x", "y"]);
    let id = rig.deliveries[0].1;
    rig.delivered();
    rig.command(A, ConsumerCommand::StartClose);
    rig.finish(A, id);
    assert!(rig.delivered().is_empty() && rig.answers.is_empty());
    assert_eq!(rig.counts("c"), (1, 0, 0));
}

#[test]
fn a_second_record_of_a_message_in_flight_is_dropped() {
    let mut rig = Rig::new(without_memory());
    rig.held = Some(VecDeque::new());
    rig.subscribe(A, "c", 10);
    let message = |id| crate::message::Message {
        id: MessageId(id),
        timestamp: Timestamp::default(),
        attempts: 0,
        due: None,
        body: b"x",
    };
    let mut builder = BatchBuilder::default();
    [1, 2, 1, 3, 3].iter().for_each(|&id| builder.push_stored(message(id)));
    let batch = Arc::new(builder.finish().remove(0));
    let log = rig.logs.entry("t:c".into()).or_default();
    log.records.extend(singles(&[Run::whole(batch)]));
    rig.let_disk_go_on();
    let ids: Vec<u64> = rig.deliveries.iter().map(|d| d.1.0).collect();
    assert_eq!(ids, [1, 2, 3]);
    rig.deliveries.clear();
    for id in ids {
        rig.finish(A, MessageId(id));
    }
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.logs["t:c"].records.len(), 0);
}

#[test]
fn a_far_deadline_is_noted_once_however_many_come_before_it() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 1);
    rig.publish(&["in flight"]);
    for _ in 0..100 {
        rig.defer("soon", Duration::from_millis(1));
        rig.pass(Duration::from_millis(1));
        assert_eq!(rig.topic.wakeups.len(), 1);
    }
    rig.topic.handle_delete_channel(rig.now, &ChannelName::parse("c").unwrap());
    assert!(rig.topic.wakeups.is_empty());
}
