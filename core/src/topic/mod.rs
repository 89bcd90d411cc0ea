//! A topic with its channels: the unit of ownership. Takes publishes, stamps ids, fans out to every channel, and carries
//! consumers' commands to their channel. While there is no channel, or the topic is paused, messages wait in the topic's
//! own queue.
//!
//! Methods come in two families. `handle_*` takes an input at a time [`Now`]; afterwards everything it caused is in
//! [`poll_output`](Topic::poll_output), to be drained to `None` before the next input of anybody, and
//! [`poll_timeout`](Topic::poll_timeout) tells when [`handle_timeout`](Topic::handle_timeout) is due and why. Early or
//! repeated timeouts change nothing.

mod channel;
mod consumers;
mod deferred;
mod ids;
mod in_flight;
mod ledger;
mod output;
mod peek;
mod queue;
mod returned;
mod stats;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::config::{Config, PublishAck};
use crate::latency::Summary;
use crate::message::{Batch, Run};
use crate::name::{ChannelName, LogId, TopicName};
use crate::protocol::{Answer, ConnId, ConsumerCommand, PublishError, RequestId, Subscribe, SubscribeError};
use crate::rng::Rng;
use crate::storage::{Durability, StorageCompletion, StorageError};
use crate::time::{Instant, Now};

use channel::{Channel, Context};
use ids::IdFactory;
use in_flight::IdHasher;
use output::Outbox;
pub use output::{Event, Moved, Output};
pub use peek::{Peeked, Place};
use queue::{OnFailure, Queue, Settled, Ticket, messages_in};
pub use stats::{ChannelStats, ConsumerStats, TopicStats};

/// Runs moved from the topic's own queue to the channels whose appends may be under way at a time.
const TRANSFERS_MAX: usize = 8;

/// Why a topic wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// A message in flight has had its time.
    MessageTimeout,
    /// A deferred message is due.
    Deferred,
    /// A storage operation was put off until now.
    Storage,
}

/// Who waits for a ticket.
#[derive(Clone, Debug)]
enum Waiting {
    Publish {
        conn: ConnId,
        id: RequestId,
        messages: u64,
        bytes: u64,
    },
    /// Records of the topic's own log, moved to the channels.
    Transfer {
        run: Run,
    },
    /// The last append before a queue closes.
    Exit,
}

#[derive(Clone, Debug)]
struct Pending {
    waiting: Waiting,
    appends: u32,
    error: Option<StorageError>,
}

/// One topic and its channels.
#[derive(Clone, Debug)]
pub struct Topic {
    name: TopicName,
    config: Arc<Config>,
    ids: IdFactory,
    rng: Rng,
    queue: Queue,
    channels: BTreeMap<ChannelName, Channel>,
    subscriptions: HashMap<ConnId, ChannelName, BuildHasherDefault<IdHasher>>,
    pending: BTreeMap<Ticket, Pending>,
    transfers: usize,
    last_ticket: u64,
    /// The [armed](Channel::armed) channels by deadline.
    wakeups: BTreeSet<(Instant, ChannelName)>,
    paused: bool,
    /// Its channels are not all known yet.
    held: bool,
    exiting: bool,
    /// Its own queue closes as soon as nothing is on its way to the channels.
    closing: bool,
    message_count: u64,
    message_bytes: u64,
    dropped_count: u64,
    out: Outbox,
}

impl Topic {
    /// An open topic without channels. `seed` feeds sampling, the only chance in here. `generation` tells it from earlier
    /// topics of the same name, whose storage operations may still be under way: it leads all operation numbers.
    pub fn new(name: TopicName, config: Arc<Config>, seed: u64, generation: u32) -> Self {
        let mut out = Outbox::new(generation);
        let log = (!name.is_ephemeral()).then(|| LogId { topic: name.clone(), channel: None });
        Self {
            ids: IdFactory::new(config.node_id),
            rng: Rng::new(seed),
            queue: Queue::open(log, &mut out),
            channels: BTreeMap::new(),
            subscriptions: HashMap::default(),
            pending: BTreeMap::new(),
            transfers: 0,
            last_ticket: 0,
            wakeups: BTreeSet::new(),
            paused: false,
            held: false,
            exiting: false,
            closing: false,
            message_count: 0,
            message_bytes: 0,
            dropped_count: 0,
            out,
            name,
            config,
        }
    }

    /// Its name.
    pub fn name(&self) -> &TopicName {
        &self.name
    }

    /// Messages that were published to it so far.
    pub fn message_count(&self) -> u64 {
        self.message_count
    }

    /// Whether fan-out is stopped.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether it was deleted or is closing: publishes and subscriptions fail.
    pub fn is_exiting(&self) -> bool {
        self.exiting
    }

    /// Whether a log of it has not answered its opening yet.
    pub fn is_opening(&self) -> bool {
        self.queue.is_opening() || self.channels.values().any(Channel::is_opening)
    }

    /// Whether storage still owes an answer that somebody waits for.
    pub fn is_settling(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Channel names and whether they are paused, by name.
    pub fn channels(&self) -> impl Iterator<Item = (&ChannelName, bool)> {
        self.channels.iter().map(|(name, channel)| (name, channel.paused))
    }

    /// Whether there is such a channel.
    pub fn has_channel(&self, name: &ChannelName) -> bool {
        self.channels.contains_key(name)
    }

    /// Takes new messages and puts a copy into every channel. Answered by [`Answer::Published`] as
    /// [`Config::publish_ack`] says.
    pub fn handle_publish(&mut self, now: Now, conn: ConnId, id: RequestId, batches: Vec<Batch>) {
        if self.exiting {
            self.out.answer(conn, Answer::Published { id, result: Err(PublishError::Exiting) });
            return;
        }
        let (mut messages, mut bytes) = (0, 0);
        let mut runs = Vec::with_capacity(batches.len());
        for mut batch in batches {
            batch.stamp(now.wall, || self.ids.next(now.wall));
            messages += u64::from(batch.len());
            bytes += batch.body_bytes() as u64;
            runs.push(Run::whole(Arc::new(batch)));
        }
        let ticket = self.ticket();
        let appends = if self.fans_out() && self.queue.depth() == 0 && self.transfers == 0 {
            self.fan_out(now, &runs, ticket, OnFailure::Refuse)
        } else {
            u32::from(self.put(runs, ticket))
        };
        self.wait(now, Waiting::Publish { conn, id, messages, bytes }, ticket, appends);
        self.settle_timers();
    }

    /// Subscribes `conn`, creating the channel if it is missing. Answered by [`Answer::Subscribed`].
    pub fn handle_subscribe(&mut self, now: Now, conn: ConnId, subscribe: Subscribe) {
        let result = self.subscribe(now, conn, &subscribe);
        self.out.answer(conn, Answer::Subscribed { id: subscribe.id, result });
        self.settle_timers();
    }

    fn subscribe(&mut self, now: Now, conn: ConnId, subscribe: &Subscribe) -> Result<(), SubscribeError> {
        if self.exiting {
            return Err(SubscribeError::Exiting);
        }
        self.create_channel(now, &subscribe.channel);
        let limit = self.config.max_channel_consumers;
        let channel = self.channels.get_mut(&subscribe.channel).ok_or(SubscribeError::Exiting)?;
        if limit != 0 && channel.client_count() >= limit {
            let (topic, channel) = (self.name.clone(), subscribe.channel.clone());
            return Err(SubscribeError::TooManyConsumers { topic, channel, limit });
        }
        channel.subscribe(conn, subscribe.options);
        self.subscriptions.insert(conn, subscribe.channel.clone());
        Ok(())
    }

    /// Carries out the commands of `conn` on its subscription, in order. Failures are answered by [`Answer::Refused`].
    /// Commands of a connection without a subscription (its channel was deleted meanwhile) change nothing.
    pub fn handle_consumer(&mut self, now: Now, conn: ConnId, commands: impl IntoIterator<Item = ConsumerCommand>) {
        let Some(name) = self.subscriptions.get(&conn).cloned() else { return };
        self.with_channel(now, &name, |channel, cx| {
            for command in commands {
                channel.handle_command(conn, command, cx);
            }
            channel.pump(cx);
        });
        self.settle_timers();
    }

    /// The connection is gone. Its messages stay in flight until their time is up; an ephemeral channel goes with its
    /// last consumer.
    pub fn handle_disconnect(&mut self, now: Now, conn: ConnId) {
        let Some(name) = self.subscriptions.remove(&conn) else { return };
        let left = self.with_channel(now, &name, |channel, _| {
            channel.unsubscribe(conn);
            channel.client_count()
        });
        if left == Some(0) && name.is_ephemeral() {
            self.delete_channel(now, &name);
        }
        self.settle_timers();
    }

    /// Does what has become due: message timeouts, deferred messages, put-off storage operations.
    pub fn handle_timeout(&mut self, now: Now) {
        while self.wakeups.first().is_some_and(|&(at, _)| at <= now.mono) {
            let Some((_, name)) = self.wakeups.pop_first() else { break };
            self.with_channel(now, &name, |channel, cx| {
                channel.armed = None;
                channel.handle_timeout(cx);
            });
        }
        self.queue.handle_timeout(now.mono, &mut self.out);
        self.pump(now);
        self.settle_timers();
    }

    /// Takes in what became of a storage operation.
    pub fn handle_completion(&mut self, now: Now, done: StorageCompletion) {
        let settled = match done.log.channel.clone() {
            Some(name) => self.with_channel(now, &name, |channel, cx| channel.handle_completion(done, cx)).flatten(),
            None => {
                let arrival = self.queue.handle_completion(now.mono, done, &mut self.out);
                arrival.runs.into_iter().for_each(|run| self.queue.stage(run));
                arrival.settled
            }
        };
        settled.into_iter().for_each(|settled| self.settle(now, settled));
        self.pump(now);
        self.settle_timers();
    }

    /// Creates the channel; `false` if it was there. The first one gets what the topic has kept.
    pub fn handle_create_channel(&mut self, now: Now, name: &ChannelName) -> bool {
        let created = !self.exiting && self.create_channel(now, name);
        self.settle_timers();
        created
    }

    /// Deletes the channel and all that is in it, and disconnects its consumers; `false` if there is none. An ephemeral
    /// topic without channels is then [unused](Event::Unused).
    pub fn handle_delete_channel(&mut self, now: Now, name: &ChannelName) -> bool {
        let deleted = self.delete_channel(now, name);
        self.settle_timers();
        deleted
    }

    /// Throws away what the channel has; `false` if there is none.
    pub fn handle_empty_channel(&mut self, now: Now, name: &ChannelName) -> bool {
        let found = self.with_channel(now, name, |channel, cx| channel.empty(cx.out)).is_some();
        self.settle_timers();
        found
    }

    /// Stops or resumes deliveries; `false` if there is no such channel.
    pub fn handle_pause_channel(&mut self, now: Now, name: &ChannelName, paused: bool) -> bool {
        let found = self.with_channel(now, name, |channel, cx| {
            channel.paused = paused;
            channel.pump(cx);
        });
        self.settle_timers();
        found.is_some()
    }

    /// Throws away what waits in the topic itself; channels keep theirs.
    pub fn handle_empty(&mut self, now: Now) {
        self.queue.empty(&mut self.out);
        self.pump(now);
        self.settle_timers();
    }

    /// Stops or resumes fan-out; what is published meanwhile waits in the topic.
    pub fn handle_pause(&mut self, now: Now, paused: bool) {
        self.paused = paused;
        self.pump(now);
        self.settle_timers();
    }

    /// Holds fan-out back, or lets it go on: for as long as a host finds out which channels a new topic should have. What
    /// is published meanwhile waits in the topic, and goes to all of them. Unlike a pause it is nobody's wish, so it is
    /// neither shown nor remembered.
    pub fn handle_hold(&mut self, now: Now, held: bool) {
        self.held = held;
        self.pump(now);
        self.settle_timers();
    }

    /// Deletes the topic with its channels and files. The host drops it when the outputs are drained.
    pub fn handle_delete(&mut self, now: Now) {
        self.exiting = true;
        while let Some(name) = self.channels.keys().next().cloned() {
            self.delete_channel(now, &name);
        }
        let settled = std::mem::take(&mut self.queue).delete(&mut self.out);
        settled.into_iter().for_each(|settled| self.settle(now, settled));
    }

    /// Writes everything that is only in memory to the logs and closes them: those of the channels at once, its own when it
    /// is known which messages they have taken over. Done when [`is_settling`](Self::is_settling) is false; publishes fail
    /// from now on.
    pub fn handle_exit(&mut self, now: Now) {
        self.exiting = true;
        // What was promised to be on the device does not leave its place for one in the system's memory.
        let durability = self.stored();
        let names: Vec<ChannelName> = self.channels.keys().cloned().collect();
        for name in names {
            for settled in self.channels.get_mut(&name).map(Channel::give_up).into_iter().flatten() {
                self.settle(now, settled);
            }
            let ticket = self.ticket();
            let waits =
                self.channels.get_mut(&name).is_some_and(|channel| channel.persist(durability, ticket, &mut self.out));
            self.wait(now, Waiting::Exit, ticket, u32::from(waits));
        }
        self.closing = true;
        self.close_queue(now);
        self.wakeups.clear();
    }

    /// Writes what is only in memory of its own queue and closes that, if it may. What is on its way to a channel's log would
    /// be on both, or be on neither.
    fn close_queue(&mut self, now: Now) {
        if !self.closing || self.transfers > 0 {
            return;
        }
        let (ticket, durability) = (self.ticket(), self.stored());
        let waits = self.queue.persist(Vec::new(), durability, ticket, &mut self.out);
        self.wait(now, Waiting::Exit, ticket, u32::from(waits));
    }

    /// The next output; `None` when there is nothing more to do for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, and why.
    pub fn poll_timeout(&mut self) -> Option<(Instant, TimerKind)> {
        let channel = self.wakeups.first().map(|(at, name)| {
            let kind = self.channels.get_mut(name).and_then(Channel::next_deadline).map(|(_, kind)| kind);
            (*at, kind.unwrap_or(TimerKind::Storage))
        });
        let own = self.queue.next_deadline().map(|at| (at, TimerKind::Storage));
        [channel, own].into_iter().flatten().min_by_key(|&(at, _)| at)
    }

    /// Counts; those of `channel` only, if given; consumers if `with_consumers`.
    pub fn stats(&self, now: Now, channel: Option<&ChannelName>, with_consumers: bool) -> TopicStats {
        let latencies: Vec<Summary> = self.channels.values().filter_map(|channel| channel.latency(now.mono)).collect();
        let percentiles = &self.config.e2e_processing_latency_percentiles;
        let wanted = self.channels.iter().filter(|(name, _)| channel.is_none_or(|only| only == *name));
        TopicStats {
            name: self.name.clone(),
            depth: self.queue.depth(),
            backend_depth: self.queue.backend_depth(),
            message_count: self.message_count,
            message_bytes: self.message_bytes,
            dropped_count: self.dropped_count,
            paused: self.paused,
            latency: (!latencies.is_empty()).then(|| Summary::merge_all(latencies).report(percentiles)),
            channels: wanted.map(|(_, channel)| channel.stats(now.mono, with_consumers)).collect(),
        }
    }

    /// Shows `look` up to `limit` messages of each place in `channel`, or of the topic's own queue, that are in memory:
    /// the next to be delivered, to time out, to become due. They stay where they are.
    pub fn peek(&self, channel: Option<&ChannelName>, limit: usize, mut look: impl FnMut(Peeked<'_>)) {
        match channel {
            None => peek::queued(self.queue.at_hand(), limit, &mut look),
            Some(name) => {
                if let Some(channel) = self.channels.get(name) {
                    channel.peek(limit, look);
                }
            }
        }
    }

    /// How many messages wait in `channel`, or in the topic's own queue, and how many of them are on disk. `None` if there is no
    /// such channel.
    pub fn depths(&self, channel: Option<&ChannelName>) -> Option<(u64, u64)> {
        match channel {
            None => Some((self.queue.depth(), self.queue.backend_depth())),
            Some(name) => self.channels.get(name).map(Channel::depths),
        }
    }

    /// How far a message must get that goes to a log.
    fn stored(&self) -> Durability {
        stored(&self.config)
    }

    fn fans_out(&self) -> bool {
        !self.paused && !self.held && !self.channels.is_empty()
    }

    /// Puts `runs` into every channel: how many appends `ticket` waits for.
    fn fan_out(&mut self, now: Now, runs: &[Run], ticket: Ticket, on_failure: OnFailure) -> u32 {
        let mut cx = Context { now, config: &self.config, rng: &mut self.rng, out: &mut self.out };
        let mut appends = 0;
        for (name, channel) in &mut self.channels {
            appends += u32::from(channel.put(runs, ticket, on_failure, &mut cx));
            arm(&mut self.wakeups, name, channel);
        }
        appends
    }

    /// Puts `runs` into the topic's own queue; `true` if `ticket` waits for an append.
    fn put(&mut self, mut runs: Vec<Run>, ticket: Ticket) -> bool {
        let durability = self.stored();
        let memory_first = self.config.publish_ack == PublishAck::Accepted || !self.queue.has_log();
        let mut rest = Vec::new();
        if memory_first {
            for mut run in runs.drain(..) {
                let room = if rest.is_empty() { self.queue.room(self.config.mem_queue_size) } else { 0 };
                if room >= run.len() as usize {
                    self.queue.push_memory(run);
                    continue;
                } else if room > 0 {
                    self.queue.push_memory(run.split_front(room as u32));
                }
                rest.push(run);
            }
        } else {
            rest = runs;
        }
        if rest.is_empty() {
            return false;
        }
        if !self.queue.has_log() {
            self.dropped_count += messages_in(&rest);
            if self.config.tell_moves {
                let moved = |run| Event::Moved { channel: None, how: Moved::Dropped, run };
                rest.into_iter().for_each(|run| self.out.event(moved(run)));
            }
            return false;
        }
        self.queue.append(rest, durability, ticket, OnFailure::Refuse, &mut self.out)
    }

    /// Moves what waits in the topic to the channels, if it may.
    fn pump(&mut self, now: Now) {
        if !self.fans_out() || self.exiting {
            return;
        }
        while self.transfers < TRANSFERS_MAX {
            let Some(run) = self.queue.take(u32::MAX, i64::MAX) else { break };
            let ticket = self.ticket();
            let copy = Run { origin: 0, ..run.clone() };
            // With a durable acknowledgement memory is no place for it.
            let durable = self.config.publish_ack != PublishAck::Accepted;
            let on_failure = if durable { OnFailure::Retry } else { OnFailure::Keep };
            let appends = self.fan_out(now, &[copy], ticket, on_failure);
            self.transfers += 1;
            self.wait(now, Waiting::Transfer { run }, ticket, appends);
        }
        self.queue.read_ahead(&mut self.out);
    }

    /// The channels have `run`; or, at exit, not all of them, and it stays here.
    fn transferred(&mut self, now: Now, run: Run, result: Result<(), StorageError>) {
        self.transfers -= 1;
        match result {
            Ok(()) => {
                let origins = (run.from..run.to).map(|index| run.origin_of(index));
                origins.for_each(|origin| self.queue.finish(now.mono, origin, &mut self.out));
            }
            Err(_) if run.origin == 0 => self.queue.push_memory(run),
            Err(_) => {}
        }
        self.close_queue(now);
    }

    fn create_channel(&mut self, now: Now, name: &ChannelName) -> bool {
        if self.channels.contains_key(name) {
            return false;
        }
        let log = LogId { topic: self.name.clone(), channel: Some(name.clone()) };
        self.channels.insert(name.clone(), Channel::open(log, name.clone(), &self.config, &mut self.out));
        self.out.event(Event::ChannelCreated(name.clone()));
        self.pump(now);
        true
    }

    fn delete_channel(&mut self, now: Now, name: &ChannelName) -> bool {
        let Some(channel) = self.channels.remove(name) else { return false };
        if let Some(at) = channel.armed {
            self.wakeups.remove(&(at, name.clone()));
        }
        let (conns, settled) = channel.delete(&mut self.out);
        for conn in conns {
            self.subscriptions.remove(&conn);
        }
        settled.into_iter().for_each(|settled| self.settle(now, settled));
        self.out.event(Event::ChannelDeleted(name.clone()));
        if self.channels.is_empty() && self.name.is_ephemeral() && !self.exiting {
            self.out.event(Event::Unused);
        }
        true
    }

    fn with_channel<T>(
        &mut self,
        now: Now,
        name: &ChannelName,
        step: impl FnOnce(&mut Channel, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let channel = self.channels.get_mut(name)?;
        let mut cx = Context { now, config: &self.config, rng: &mut self.rng, out: &mut self.out };
        let result = step(channel, &mut cx);
        arm(&mut self.wakeups, name, channel);
        Some(result)
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Lets `waiting` wait for `appends` completions; without any it has what it wants.
    fn wait(&mut self, now: Now, waiting: Waiting, ticket: Ticket, appends: u32) {
        let pending = Pending { waiting, appends, error: None };
        if appends == 0 {
            self.conclude(now, pending);
        } else {
            self.pending.insert(ticket, pending);
        }
    }

    fn settle(&mut self, now: Now, (ticket, result): Settled) {
        let Some(pending) = self.pending.get_mut(&ticket) else { return };
        pending.appends -= 1;
        pending.error = pending.error.take().or(result.err());
        if pending.appends > 0 {
            return;
        }
        if let Some(pending) = self.pending.remove(&ticket) {
            self.conclude(now, pending);
        }
    }

    fn conclude(&mut self, now: Now, pending: Pending) {
        match pending.waiting {
            Waiting::Publish { conn, id, messages, bytes } => {
                let result = match pending.error {
                    Some(error) => Err(PublishError::Storage(error)),
                    None => {
                        self.message_count += messages;
                        self.message_bytes += bytes;
                        Ok(())
                    }
                };
                self.out.answer(conn, Answer::Published { id, result });
            }
            Waiting::Transfer { run } => self.transferred(now, run, pending.error.map_or(Ok(()), Err)),
            Waiting::Exit => {}
        }
    }

    /// Makes the first of `wakeups` true, so that the next deadline is exact.
    fn settle_timers(&mut self) {
        while let Some((at, name)) = self.wakeups.first() {
            let Some(channel) = self.channels.get_mut(name) else { return };
            if channel.next_deadline().is_some_and(|(next, _)| next == *at) {
                return;
            }
            channel.armed = None;
            let Some((_, name)) = self.wakeups.pop_first() else { return };
            arm(&mut self.wakeups, &name, channel);
        }
    }
}

/// How far a message must get that goes to a log.
fn stored(config: &Config) -> Durability {
    match config.publish_ack {
        PublishAck::Synced => Durability::Synced,
        PublishAck::Accepted | PublishAck::Written => Durability::Written,
    }
}

/// Sees to it that the topic wakes for the channel's next deadline. Later deadlines than the one known are looked at when
/// that one comes first.
fn arm(wakeups: &mut BTreeSet<(Instant, ChannelName)>, name: &ChannelName, channel: &mut Channel) {
    let Some((at, _)) = channel.next_deadline() else { return };
    if channel.armed.is_some_and(|armed| armed <= at) {
        return;
    }
    if let Some(later) = channel.armed.replace(at) {
        wakeups.remove(&(later, name.clone()));
    }
    wakeups.insert((at, name.clone()));
}
