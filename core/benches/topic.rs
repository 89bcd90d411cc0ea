//! What a topic costs per message: `cargo bench -p sansq-core --bench topic`. Criterion's throughput line is per message
//! (per message and not per copy where a topic fans out). Each figure is of one step on a topic whose state is put back,
//! untimed, before the next. Messages are 200 bytes, outputs are drained and storage is answered within the step.

// Criterion's macro makes a public function without a comment. The core reads no clock, a bench has to.
#![allow(missing_docs, clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use sansq_core::config::{Config, PublishAck};
use sansq_core::message::{Batch, BatchBuilder, MessageId, Run};
use sansq_core::name::{ChannelName, TopicName};
use sansq_core::protocol::{ConnId, ConsumerCommand, ConsumerOptions, RequestId, Subscribe};
use sansq_core::rng::Rng;
use sansq_core::storage::{
    MemoryFiles, StorageCompletion, StorageEffect, StorageOp, StorageReply, Store, StoreOptions,
};
use sansq_core::time::{Now, Timestamp};
use sansq_core::topic::{Output, Topic};

const BODY: [u8; 200] = [b'x'; 200];
const PRODUCER: ConnId = ConnId(0);
const CONSUMER: ConnId = ConnId(1);
const HOUR: Duration = Duration::from_secs(3600);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A topic and a host that answers at once.
struct Rig {
    topic: Topic,
    now: Now,
    /// Without one every storage operation succeeds and does nothing.
    store: Option<Store<MemoryFiles>>,
    /// Appends not answered yet, on a slow disk.
    held: Option<VecDeque<StorageOp>>,
    builder: BatchBuilder,
    delivered: Vec<(ConnId, Run)>,
}

impl Rig {
    /// With memory for everything.
    fn new() -> Self {
        Self::with_config(Config { mem_queue_size: usize::MAX, ..Config::default() }, None)
    }

    fn with_config(config: Config, store: Option<Store<MemoryFiles>>) -> Self {
        let topic = Topic::new(TopicName::parse("topic").expect("a valid name"), Arc::new(config), 1, 1);
        let now = Now { wall: Timestamp::from_nanos(1_700_000_000_000_000_000), ..Now::default() };
        let mut rig = Self { topic, now, store, held: None, builder: BatchBuilder::default(), delivered: Vec::new() };
        rig.drain();
        rig
    }

    fn subscribe(&mut self, conn: ConnId, channel: &ChannelName, msg_timeout: Duration, ready_count: u32) {
        let (topic, channel) = (self.topic.name().clone(), channel.clone());
        let (counted_as, served_as) = Default::default();
        let options = ConsumerOptions { msg_timeout, sample_rate: 0, counted_as, served_as };
        self.topic.handle_subscribe(self.now, conn, Subscribe { id: RequestId(0), topic, channel, options });
        self.command(conn, [ConsumerCommand::Ready { count: ready_count }]);
    }

    /// Lets so much time pass; what becomes due is for the caller to handle.
    fn pass(&mut self, time: Duration) {
        self.now = Now { mono: self.now.mono + time, wall: self.now.wall + time };
    }

    /// `requests` publishes of `messages` each, as a session hands them over.
    fn requests(&mut self, requests: usize, messages: usize) -> Vec<Vec<Batch>> {
        let request = |_| {
            (0..messages).for_each(|_| self.builder.push(&BODY, None));
            self.builder.finish()
        };
        (0..requests).map(request).collect()
    }

    fn publish(&mut self, requests: Vec<Vec<Batch>>) {
        for batches in requests {
            self.topic.handle_publish(self.now, PRODUCER, RequestId(0), batches);
            self.drain();
        }
    }

    fn publish_new(&mut self, messages: usize) {
        let requests = self.requests(1, messages);
        self.publish(requests);
    }

    fn command(&mut self, conn: ConnId, commands: impl IntoIterator<Item = ConsumerCommand>) {
        self.topic.handle_consumer(self.now, conn, commands);
        self.drain();
    }

    fn pause(&mut self, channel: &ChannelName, paused: bool) {
        self.topic.handle_pause_channel(self.now, channel, paused);
        self.drain();
    }

    fn handle_timeout(&mut self) {
        self.topic.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.topic.poll_output() {
            match output {
                Output::Deliver { conn, run } => self.delivered.push((conn, run)),
                Output::Answer { answer, .. } => _ = black_box(answer),
                Output::Event(event) => _ = black_box(event),
                Output::Store(op) => match (&mut self.held, &op.effect) {
                    (Some(held), StorageEffect::Append { .. }) => held.push_back(op),
                    _ => self.execute(op),
                },
            }
        }
    }

    fn execute(&mut self, op: StorageOp) {
        let result = match (&mut self.store, &op.effect) {
            (Some(store), effect) => store.execute(self.now.mono, &op.log, effect),
            (None, StorageEffect::Open) => Ok(StorageReply::Opened { unread: 0 }),
            (None, StorageEffect::Append { .. }) => Ok(StorageReply::Appended),
            (None, _) => Ok(StorageReply::Done),
        };
        self.topic.handle_completion(self.now, StorageCompletion { op: op.op, log: op.log, result });
    }

    /// Answers the oldest appends, so that `pending` are left.
    fn let_disk_go_on(&mut self, pending: usize) {
        while let Some(op) = self.held.as_mut().filter(|held| held.len() > pending).and_then(VecDeque::pop_front) {
            self.execute(op);
        }
        self.drain();
    }

    /// Opens the windows of all who got something, as hosts do that have written it: who got what.
    fn written(&mut self) -> Vec<(ConnId, MessageId)> {
        let delivered = std::mem::take(&mut self.delivered);
        let mut ids = Vec::new();
        for (conn, run) in &delivered {
            ids.extend(run.batch.heads()[run.from as usize..run.to as usize].iter().map(|head| (*conn, head.id)));
            let bytes = run.messages().map(|message| message.body.len() as u64).sum();
            self.command(*conn, [ConsumerCommand::Credit { bytes }]);
        }
        ids
    }

    fn finish_delivered(&mut self) {
        for (conn, id) in self.written() {
            self.command(conn, [finish(id)]);
        }
    }

    /// Lets time pass until the next deadline, and handles it.
    fn wait(&mut self) {
        let (at, _) = self.topic.poll_timeout().expect("something is to come");
        self.pass(at.since(self.now.mono));
        self.handle_timeout();
    }

    /// Asks for the next deadline 1,000 times.
    fn poll_timeout(&mut self) {
        (0..1000).for_each(|_| _ = black_box(self.topic.poll_timeout()));
    }

    /// Publishes to consumer 1: what it may say to that.
    fn finishes_of(&mut self, messages: usize) -> Vec<ConsumerCommand> {
        self.publish_new(messages);
        self.written().into_iter().map(|(_, id)| finish(id)).collect()
    }
}

fn finish(id: MessageId) -> ConsumerCommand {
    ConsumerCommand::Finish { id }
}

fn channel(name: impl AsRef<[u8]>) -> ChannelName {
    ChannelName::parse(name).expect("a valid name")
}

/// Times `step` on what `prepare` made of the state; it is about `messages` messages.
fn measure<S, P>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: String,
    messages: usize,
    setup: impl Fn() -> S,
    mut prepare: impl FnMut(&mut S) -> P,
    mut step: impl FnMut(&mut S, P),
) {
    group.throughput(Throughput::Elements(messages as u64));
    let mut state = None;
    group.bench_function(name, |b| {
        // Not before it is known that the bench is wanted.
        let state = state.get_or_insert_with(&setup);
        b.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            for _ in 0..iterations {
                let prepared = prepare(state);
                let start = std::time::Instant::now();
                step(state, prepared);
                spent += start.elapsed();
            }
            spent
        });
    });
}

/// Nobody takes anything.
fn publish(c: &mut Criterion) {
    let mut group = c.benchmark_group("publish");
    for (channels, requests, messages) in
        [(1, 200, 1), (1, 1, 200), (16, 200, 1), (16, 1, 200), (1000, 20, 1), (1000, 1, 200)]
    {
        let names: Vec<ChannelName> = (0..channels).map(|i| channel(format!("channel{i}"))).collect();
        let setup = || {
            let mut rig = Rig::new();
            names.iter().for_each(|name| _ = rig.topic.handle_create_channel(rig.now, name));
            rig
        };
        let prepare = |rig: &mut Rig| {
            for name in &names {
                rig.topic.handle_empty_channel(rig.now, name);
                rig.drain();
            }
            rig.requests(requests, messages)
        };
        let title = format!("{messages} to {channels} channels");
        measure(&mut group, title, requests * messages, setup, prepare, Rig::publish);
    }
    group.finish();
}

/// A rig with `consumers` on one channel, RDY 2500.
fn subscribed(consumers: u64) -> Rig {
    let mut rig = Rig::new();
    (1..=consumers).for_each(|conn| rig.subscribe(ConnId(conn), &channel("channel"), HOUR, 2500));
    rig
}

fn deliver(c: &mut Criterion) {
    let mut group = c.benchmark_group("deliver");
    for consumers in [1, 2] {
        for (requests, messages) in [(200, 1), (1, 200)] {
            let prepare = |rig: &mut Rig| {
                rig.finish_delivered();
                rig.requests(requests, messages)
            };
            let title = format!("publish {messages} to {consumers} consumers");
            measure(&mut group, title, requests * messages, || subscribed(consumers), prepare, Rig::publish);
        }
        let name = channel("channel");
        let prepare = |rig: &mut Rig| {
            rig.finish_delivered();
            rig.pause(&name, true);
            rig.publish_new(2000);
        };
        let title = format!("backlog to {consumers} consumers");
        measure(&mut group, title, 2000, || subscribed(consumers), prepare, |rig, ()| rig.pause(&name, false));
    }
    group.finish();
}

/// What a consumer does with 2,000 messages it was given.
fn answer(c: &mut Criterion) {
    const MESSAGES: usize = 2000;
    let mut group = c.benchmark_group("answer");
    let command = |rig: &mut Rig, commands: Vec<ConsumerCommand>| rig.command(CONSUMER, commands);

    let mut random = Rng::new(1);
    for order in ["in order", "reversed", "shuffled"] {
        let prepare = |rig: &mut Rig| {
            let mut commands = rig.finishes_of(MESSAGES);
            match order {
                "reversed" => commands.reverse(),
                "shuffled" => (1..commands.len()).for_each(|i| commands.swap(i, random.below(i as u64 + 1) as usize)),
                _ => {}
            }
            commands
        };
        measure(&mut group, format!("finish {order}"), MESSAGES, || subscribed(1), prepare, command);
    }
    let prepare = |rig: &mut Rig| rig.finishes_of(MESSAGES);
    measure(
        &mut group,
        "finish one at a time".into(),
        MESSAGES,
        || subscribed(1),
        prepare,
        |rig, commands| {
            commands.into_iter().for_each(|command| rig.command(CONSUMER, [command]));
        },
    );

    let full = || {
        let mut rig = subscribed(1);
        rig.publish_new(MESSAGES);
        rig
    };
    for (title, delay) in [("requeue", Duration::ZERO), ("requeue with delay", MILLISECOND)] {
        let name = channel("channel");
        let prepare = |rig: &mut Rig| {
            rig.pass(delay);
            rig.handle_timeout();
            rig.pause(&name, false);
            let ids = rig.written();
            assert_eq!(ids.len(), MESSAGES);
            rig.pause(&name, true);
            ids.into_iter().map(|(_, id)| ConsumerCommand::Requeue { id, delay }).collect()
        };
        measure(&mut group, title.into(), MESSAGES, full, prepare, command);
    }

    let mut ids = Vec::new();
    let prepare = |rig: &mut Rig| {
        rig.pass(Duration::from_micros(1));
        ids.extend(rig.written());
        ids.iter().map(|&(_, id)| ConsumerCommand::Touch { id, msg_timeout: HOUR }).collect()
    };
    measure(&mut group, "touch".into(), MESSAGES, full, prepare, command);
    group.finish();
}

/// Deadlines of messages in flight, with `pending` of them.
fn timeouts(c: &mut Criterion) {
    let mut group = c.benchmark_group("timeouts");
    for pending in [10, 1_000_000] {
        let together = pending.min(200);
        // As many in flight, a few of them delivered every millisecond, the oldest about to time out.
        let setup = || {
            let mut rig = Rig::new();
            let msg_timeout = MILLISECOND * (pending / together) as u32;
            rig.subscribe(CONSUMER, &channel("channel"), msg_timeout, u32::MAX);
            for _ in 0..pending / together {
                rig.publish_new(together);
                rig.written();
                rig.pass(MILLISECOND);
            }
            rig
        };
        // They go out again, as the youngest.
        let expire = |rig: &mut Rig, ()| {
            rig.handle_timeout();
            rig.pass(MILLISECOND);
        };
        let title = format!("expire and deliver again, {pending} pending");
        measure(&mut group, title, together, setup, |rig| _ = rig.written(), expire);

        let title = format!("next deadline, {pending} pending");
        measure(&mut group, title, 1000, setup, |_| (), |rig, ()| rig.poll_timeout());

        let prepare = |rig: &mut Rig| {
            rig.finish_delivered();
            rig.requests(1, 200)
        };
        let title = format!("publish and deliver, {pending} pending");
        measure(&mut group, title, 200, setup, prepare, Rig::publish);

        let title = format!("finish the youngest, {pending} pending");
        let prepare = |rig: &mut Rig| rig.finishes_of(200);
        measure(&mut group, title, 200, setup, prepare, |rig, commands| rig.command(CONSUMER, commands));
    }
    group.finish();
}

/// Due times of deferred messages, each its own, with `pending` of them.
fn deferrals(c: &mut Criterion) {
    const MESSAGES: usize = 200;
    let mut group = c.benchmark_group("deferrals");
    let requests = |rig: &mut Rig, random: &mut Rng, messages| {
        for _ in 0..messages {
            let delay = Duration::from_nanos(1 + random.below(HOUR.as_nanos() as u64));
            rig.builder.push(&BODY, Some(rig.now.wall + delay));
        }
        vec![rig.builder.finish()]
    };
    for pending in [10, 1_000_000] {
        let setup = || {
            let (mut rig, mut random) = (Rig::new(), Rng::new(1));
            rig.subscribe(CONSUMER, &channel("channel"), 10 * HOUR, u32::MAX);
            let first = requests(&mut rig, &mut random, pending + MESSAGES);
            rig.publish(first);
            (rig, random)
        };
        let prepare = |(rig, random): &mut (Rig, Rng)| {
            (0..MESSAGES).for_each(|_| rig.wait());
            rig.finish_delivered();
            requests(rig, random, MESSAGES)
        };
        let title = format!("defer, {pending} pending");
        measure(&mut group, title, MESSAGES, setup, prepare, |(rig, _), requests| rig.publish(requests));

        let title = format!("next deadline, {pending} pending");
        measure(&mut group, title, 1000, setup, |_| (), |(rig, _), ()| rig.poll_timeout());

        let prepare = |(rig, random): &mut (Rig, Rng)| {
            rig.finish_delivered();
            let again = requests(rig, random, MESSAGES);
            rig.publish(again);
        };
        let title = format!("deliver when due, {pending} pending");
        measure(&mut group, title, MESSAGES, setup, prepare, |(rig, _), ()| (0..MESSAGES).for_each(|_| rig.wait()));
    }
    group.finish();
}

/// Operations on one channel of a topic with many, all of which have deadlines.
fn many_channels(c: &mut Criterion) {
    const MESSAGES: usize = 10;
    let mut group = c.benchmark_group("one channel");
    for channels in [1u64, 100, 10_000] {
        let setup = || {
            let mut rig = Rig::new();
            for conn in 1..=channels {
                rig.subscribe(ConnId(conn), &channel(format!("channel{conn}")), HOUR, 2500);
            }
            rig
        };
        // One channel after the other; when all have finished theirs, there are new ones for all.
        let (mut conn, mut commands) = (channels, Vec::new());
        let prepare = |rig: &mut Rig| {
            conn = conn % channels + 1;
            if conn == 1 {
                commands = rig.finishes_of(MESSAGES);
                commands.truncate(MESSAGES);
            }
            (ConnId(conn), commands.clone())
        };
        let title = format!("finish, {channels} channels");
        measure(&mut group, title, MESSAGES, setup, prepare, |rig, (conn, commands)| rig.command(conn, commands));

        let full = || {
            let mut rig = setup();
            rig.publish_new(MESSAGES);
            rig.delivered.retain(|(conn, _)| *conn == CONSUMER);
            rig
        };
        // Time stands almost still for the others.
        let delay = Duration::from_nanos(1);
        let prepare = |rig: &mut Rig| {
            let ids = rig.written();
            ids.into_iter().map(|(_, id)| ConsumerCommand::Requeue { id, delay }).collect::<Vec<_>>()
        };
        let title = format!("requeue with delay and deliver again, {channels} channels");
        measure(&mut group, title, MESSAGES, full, prepare, |rig, commands| {
            rig.command(CONSUMER, commands);
            rig.pass(delay);
            rig.handle_timeout();
        });
    }
    group.finish();
}

/// Every message goes through the channel's log: with and without the cost of the store.
fn write_through(c: &mut Criterion) {
    const MESSAGES: usize = 200;
    let mut group = c.benchmark_group("write-through");
    for (title, with_store) in [("alone", false), ("in a store", true)] {
        let setup = || {
            let options = StoreOptions { max_bytes_per_file: 1024 * 1024, ..StoreOptions::default() };
            let store = Store::new(MemoryFiles::default(), options).expect("no file fails");
            let config = Config { publish_ack: PublishAck::Written, ..Config::default() };
            let mut rig = Rig::with_config(config, with_store.then_some(store));
            rig.subscribe(CONSUMER, &channel("channel"), HOUR, 2500);
            rig
        };
        for (requests, messages) in [(MESSAGES, 1), (1, MESSAGES)] {
            let prepare = |rig: &mut Rig| {
                rig.finish_delivered();
                rig.requests(requests, messages)
            };
            let title = format!("publish {messages} and deliver, {title}");
            measure(&mut group, title, MESSAGES, setup, prepare, Rig::publish);
        }
        let prepare = |rig: &mut Rig| rig.finishes_of(MESSAGES);
        measure(&mut group, format!("finish, {title}"), MESSAGES, setup, prepare, |rig, commands| {
            rig.command(CONSUMER, commands);
        });
    }
    // As many as are kept here and not read back.
    for pending in [10, 5000] {
        let setup = || {
            let config = Config { publish_ack: PublishAck::Synced, ..Config::default() };
            let mut rig = Rig { held: Some(VecDeque::new()), ..Rig::with_config(config, None) };
            rig.subscribe(CONSUMER, &channel("channel"), HOUR, u32::MAX);
            let first = rig.requests(pending, 1);
            rig.publish(first);
            rig
        };
        let prepare = |rig: &mut Rig| {
            rig.let_disk_go_on(pending);
            rig.finish_delivered();
            rig.requests(MESSAGES, 1)
        };
        let title = format!("publish 1, {pending} appends pending");
        measure(&mut group, title, MESSAGES, setup, prepare, Rig::publish);
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(MILLISECOND * 300).measurement_time(MILLISECOND * 1500).sample_size(20);
    targets = publish, deliver, answer, timeouts, deferrals, many_channels, write_through
}
criterion_main!(benches);
