//! A channel: every message put into it is at any time exactly one of queued, in flight to one consumer, deferred, or gone
//! for a counted reason. Owns its consumers and decides who gets what. Knows nothing of other channels.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, PublishAck};
use crate::latency::{Summary, Window};
use crate::message::{MessageId, Run};
use crate::name::{ChannelName, LogId};
use crate::protocol::{Answer, ConnId, ConsumerCommand, ConsumerOptions, ConsumerVerb, Locality, RefusedWhy};
use crate::rng::Rng;
use crate::storage::{Durability, StorageCompletion};
use crate::time::{Instant, Now};

use super::TimerKind;
use super::consumers::Consumers;
use super::deferred::Deferred;
use super::in_flight::{Flight, InFlight};
use super::output::{Event, Moved, Outbox};
use super::peek::{Peeked, Place};
use super::queue::{OnFailure, Queue, Settled, Ticket, messages_in};
use super::stats::{ChannelStats, ConsumerStats};

/// Most messages one consumer gets in a row while others wait too.
const SHARE_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Channel {
    name: ChannelName,
    queue: Queue,
    in_flight: InFlight,
    deferred: Deferred,
    consumers: Consumers,
    pub(crate) paused: bool,
    message_count: u64,
    delivery_count: u64,
    finish_count: u64,
    requeue_count: u64,
    timeout_count: u64,
    /// By [`Locality`].
    memory_delivery_counts: [u64; Locality::COUNT],
    dropped_count: u64,
    sampled_out_count: u64,
    /// From publish to finish, if that is measured.
    latency: Option<Box<Window>>,
    /// The deadline the topic knows of.
    pub(crate) armed: Option<Instant>,
}

/// What every step of a channel needs from its topic.
pub(crate) struct Context<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a Config,
    pub(crate) rng: &'a mut Rng,
    pub(crate) out: &'a mut Outbox,
}

impl Channel {
    pub(crate) fn open(log: LogId, name: ChannelName, config: &Config, out: &mut Outbox) -> Self {
        let percentiles = &config.e2e_processing_latency_percentiles;
        let window = || Window::new(percentiles.clone(), config.e2e_processing_latency_window_time);
        let queue = Queue::open((!name.is_ephemeral() && !log.topic.is_ephemeral()).then_some(log), out);
        Self {
            name,
            queue,
            in_flight: InFlight::default(),
            deferred: Deferred::default(),
            consumers: Consumers::default(),
            paused: false,
            message_count: 0,
            delivery_count: 0,
            finish_count: 0,
            requeue_count: 0,
            timeout_count: 0,
            memory_delivery_counts: [0; Locality::COUNT],
            dropped_count: 0,
            sampled_out_count: 0,
            latency: (!percentiles.is_empty()).then(|| Box::new(window())),
            armed: None,
        }
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.queue.is_opening()
    }

    pub(crate) fn client_count(&self) -> usize {
        self.consumers.len()
    }

    /// Puts new messages in; `true` if `ticket` will be settled when they are stored, `false` if they are in already.
    pub(crate) fn put(&mut self, runs: &[Run], ticket: Ticket, on_failure: OnFailure, cx: &mut Context<'_>) -> bool {
        self.message_count += runs.iter().map(|run| u64::from(run.len())).sum::<u64>();
        let durability = match cx.config.publish_ack {
            _ if !self.queue.has_log() => None,
            PublishAck::Accepted => None,
            PublishAck::Written => Some(Durability::Written),
            PublishAck::Synced => Some(Durability::Synced),
        };
        let (rest, durability) = match durability {
            Some(durability) => (runs.to_vec(), durability),
            None => (self.put_memory(runs, cx), Durability::Written),
        };
        let waits = if rest.is_empty() {
            false
        } else if self.queue.has_log() {
            self.queue.append(rest, durability, ticket, on_failure, cx.out)
        } else {
            self.drop_runs(rest, cx);
            false
        };
        self.pump(cx);
        waits
    }

    fn drop_runs(&mut self, runs: Vec<Run>, cx: &mut Context<'_>) {
        self.dropped_count += messages_in(&runs);
        runs.into_iter().for_each(|run| self.tell(Moved::Dropped, &run, cx));
    }

    fn tell(&self, how: Moved, run: &Run, cx: &mut Context<'_>) {
        if cx.config.tell_moves {
            cx.out.event(Event::Moved { channel: Some(self.name.clone()), how, run: run.clone() });
        }
    }

    /// Puts what fits into memory and returns the rest. Ready consumers make room as we go; they are all the room an
    /// ephemeral channel without memory has.
    fn put_memory(&mut self, runs: &[Run], cx: &mut Context<'_>) -> Vec<Run> {
        let capacity = cx.config.mem_queue_size;
        let mut rest = Vec::new();
        for run in runs {
            if let Some(due) = run.batch.due().filter(|&due| due > cx.now.wall) {
                self.deferred.push(cx.now.instant_of(due), run.clone());
                continue;
            }
            let mut run = run.clone();
            if rest.is_empty() {
                let len = run.len() as usize;
                if self.queue.room(capacity) < len {
                    self.pump(cx);
                }
                let room = self.queue.room(capacity);
                if room >= len {
                    self.queue.push_memory(run);
                    continue;
                } else if room > 0 {
                    self.queue.push_memory(run.split_front(room as u32));
                }
            }
            rest.push(run);
        }
        if !self.queue.has_log() && !rest.is_empty() && self.consumers.any_ready() && !self.paused {
            rest.drain(..).for_each(|run| self.queue.push_memory(run));
            self.pump(cx);
            let dropped = self.queue.truncate_memory(capacity);
            self.drop_runs(dropped, cx);
        }
        rest
    }

    pub(crate) fn subscribe(&mut self, conn: ConnId, options: ConsumerOptions) {
        self.consumers.add(conn, options);
    }

    /// The consumer is gone; what it has stays in flight until its time is up, as in the reference.
    pub(crate) fn unsubscribe(&mut self, conn: ConnId) {
        self.consumers.remove(conn);
    }

    /// Carries out one command of consumer `conn`. The caller [pumps](Self::pump) after the last of a batch.
    pub(crate) fn handle_command(&mut self, conn: ConnId, command: ConsumerCommand, cx: &mut Context<'_>) {
        match command {
            ConsumerCommand::Finish { id } => {
                let result = self.finish(conn, id, cx);
                self.report(conn, ConsumerVerb::Finish, id, result, cx.out);
            }
            ConsumerCommand::Requeue { id, delay } => {
                let result = self.requeue(conn, id, delay, cx);
                self.report(conn, ConsumerVerb::Requeue, id, result, cx.out);
            }
            ConsumerCommand::Touch { id, msg_timeout } => {
                let now = cx.now.mono;
                let longest = cx.config.max_msg_timeout;
                let extend = |flight: &Flight| (now + msg_timeout).min(flight.delivered + longest);
                let result = self.in_flight.touch(id, conn, extend);
                self.report(conn, ConsumerVerb::Touch, id, result, cx.out);
            }
            ConsumerCommand::Ready { count } => {
                self.consumers.update(conn, |consumer| consumer.ready_count = count);
            }
            ConsumerCommand::StartClose => {
                self.consumers.update(conn, |consumer| (consumer.closing, consumer.ready_count) = (true, 0));
            }
            ConsumerCommand::Credit { bytes } => {
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                self.consumers.update(conn, |consumer| consumer.window = consumer.window.saturating_add(bytes));
            }
        }
    }

    fn report(
        &self,
        conn: ConnId,
        verb: ConsumerVerb,
        id: MessageId,
        result: Result<(), RefusedWhy>,
        out: &mut Outbox,
    ) {
        if let Err(why) = result {
            out.answer(conn, Answer::Refused { verb, id, why });
        }
    }

    fn finish(&mut self, conn: ConnId, id: MessageId, cx: &mut Context<'_>) -> Result<(), RefusedWhy> {
        let flight = self.in_flight.remove(id, conn)?;
        self.consumers.update(conn, |consumer| {
            consumer.in_flight = consumer.in_flight.saturating_sub(1);
            consumer.finish_count += 1;
        });
        self.finish_count += 1;
        self.queue.finish(cx.now.mono, flight.origin, cx.out);
        if let Some(latency) = &mut self.latency {
            let published = flight.batch.heads()[flight.index as usize].timestamp;
            latency.record(cx.now.mono, published.until(cx.now.wall));
        }
        Ok(())
    }

    fn requeue(
        &mut self,
        conn: ConnId,
        id: MessageId,
        delay: Duration,
        cx: &mut Context<'_>,
    ) -> Result<(), RefusedWhy> {
        let flight = self.in_flight.remove(id, conn)?;
        self.requeue_count += 1;
        self.consumers.update(conn, |consumer| {
            consumer.in_flight = consumer.in_flight.saturating_sub(1);
            consumer.requeue_count += 1;
        });
        if delay.is_zero() {
            self.queue.push_returned(landed(&flight, None));
        } else {
            let run = landed(&flight, Some(cx.now.wall + delay));
            self.deferred.push(cx.now.mono + delay, run);
        }
        Ok(())
    }

    /// Hands messages to consumers that want them, in turn, as long as there are both; then sees to what has come back beyond
    /// its limit, and to reading ahead.
    pub(crate) fn pump(&mut self, cx: &mut Context<'_>) {
        if self.paused {
            return;
        }
        while self.consumers.any_ready() {
            let takeable = self.queue.takeable();
            if takeable == 0 {
                break;
            }
            let Some((consumer, ready)) = self.consumers.next_ready() else { break };
            let share = if ready == 1 { usize::MAX } else { (takeable / (2 * ready)).clamp(1, SHARE_MAX) };
            let mut count = (consumer.ready_count - consumer.in_flight).min(u32::try_from(share).unwrap_or(u32::MAX));
            let sample_rate = consumer.options.sample_rate;
            if sample_rate > 0 {
                count = 1;
            }
            let conn = consumer.conn;
            let Some(run) = self.queue.take(count, consumer.window) else { break };
            if sample_rate > 0 && cx.rng.below(100) > u64::from(sample_rate) {
                self.sampled_out_count += 1;
                self.tell(Moved::SampledOut, &run, cx);
                self.queue.finish(cx.now.mono, run.origin, cx.out);
            } else {
                self.deliver(conn, run, cx);
            }
        }
        let capacity = cx.config.mem_queue_size;
        if self.queue.is_crowded(capacity) {
            self.queue.put_back(cx.now.mono, capacity, super::stored(cx.config), cx.out);
        }
        // What is owed a turn is read though all consumers are busy just now: with RDY 1 there would never be one that is not.
        let wanted = self.consumers.any_ready() || self.queue.is_owed() && self.consumers.len() > 0;
        if wanted && !self.queue.is_crowded(capacity) {
            self.queue.read_ahead(cx.out);
        }
    }

    fn deliver(&mut self, conn: ConnId, mut run: Run, cx: &mut Context<'_>) {
        let now = cx.now.mono;
        let Some(deadline) = self.consumers.update(conn, |consumer| now + consumer.options.msg_timeout) else { return };
        let (mut delivered, mut bytes) = (0, 0);
        for index in run.from..run.to {
            let origin = run.origin_of(index);
            let flight = Flight { batch: run.batch.clone(), index, origin, conn, delivered: now, deadline };
            if self.in_flight.insert(run.batch.heads()[index as usize].id, flight) {
                delivered += 1;
                bytes += run.batch.body_len(index) as i64;
                continue;
            }
            // A second record of a message that is out already (a crash can leave two on the log): it is done with.
            self.queue.finish(now, origin, cx.out);
            self.tell(Moved::Repeated, &Run { from: index, to: index + 1, ..run.clone() }, cx);
            if index > run.from {
                let front = run.split_front(index - run.from);
                cx.out.deliver(conn, front);
            }
            if run.len() == 1 {
                run.from = run.to;
            } else {
                run.split_front(1);
            }
        }
        let locality = self.consumers.update(conn, |consumer| {
            consumer.in_flight += delivered;
            consumer.message_count += u64::from(delivered);
            consumer.window -= bytes;
            consumer.options.counted_as
        });
        self.delivery_count += u64::from(delivered);
        if run.origin == 0 {
            self.memory_delivery_counts[locality.unwrap_or_default() as usize] += u64::from(delivered);
        }
        if run.from < run.to {
            cx.out.deliver(conn, run);
        }
    }

    /// The next moment this channel has something to do, and what.
    pub(crate) fn next_deadline(&mut self) -> Option<(Instant, TimerKind)> {
        [
            self.in_flight.next_deadline().map(|at| (at, TimerKind::MessageTimeout)),
            self.deferred.next_due().map(|at| (at, TimerKind::Deferred)),
            self.queue.next_deadline().map(|at| (at, TimerKind::Storage)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|&(at, _)| at)
    }

    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        let now = cx.now.mono;
        while let Some((_, flight)) = self.in_flight.expire(now) {
            self.timeout_count += 1;
            self.consumers.update(flight.conn, |consumer| consumer.in_flight = consumer.in_flight.saturating_sub(1));
            let run = landed(&flight, None);
            self.tell(Moved::TimedOut, &run, cx);
            self.queue.push_returned(run);
        }
        while let Some(run) = self.deferred.pop_due(now) {
            self.tell(Moved::Due, &run, cx);
            self.queue.push_returned(run);
        }
        self.queue.handle_timeout(now, cx.out);
        self.pump(cx);
    }

    pub(crate) fn handle_completion(&mut self, done: StorageCompletion, cx: &mut Context<'_>) -> Option<Settled> {
        let arrival = self.queue.handle_completion(cx.now.mono, done, cx.out);
        arrival.refused.iter().for_each(|run| self.tell(Moved::Refused, run, cx));
        for run in arrival.kept {
            match run.batch.due().filter(|&due| due > cx.now.wall) {
                Some(due) => self.deferred.push(cx.now.instant_of(due), run),
                None => self.queue.push_kept(run),
            }
        }
        arrival.returned.into_iter().for_each(|run| self.queue.push_returned(run));
        for run in arrival.runs {
            match run.batch.due().filter(|&due| due > cx.now.wall) {
                Some(due) => self.deferred.push(cx.now.instant_of(due), run),
                None => self.queue.stage(run),
            }
        }
        self.pump(cx);
        arrival.settled
    }

    /// Throws away what is queued, in flight and deferred.
    pub(crate) fn empty(&mut self, out: &mut Outbox) {
        self.queue.empty(out);
        self.in_flight = InFlight::default();
        self.deferred = Deferred::default();
        for consumer in self.consumers.iter_mut() {
            consumer.in_flight = 0;
        }
        // Each change of a consumer goes through `update`, so that the ring hears of it.
        let conns: Vec<ConnId> = self.consumers.iter().map(|consumer| consumer.conn).collect();
        for conn in conns {
            self.consumers.update(conn, |_| ());
        }
    }

    /// Ends the channel: its consumers are evicted, its log deleted.
    pub(crate) fn delete(self, out: &mut Outbox) -> (Vec<ConnId>, Vec<Settled>) {
        let conns: Vec<ConnId> = self.consumers.iter().map(|consumer| consumer.conn).collect();
        for &conn in &conns {
            out.answer(conn, Answer::Evicted);
        }
        (conns, self.queue.delete(out))
    }

    /// It is about to close: appends that fail are not tried again. Who waits for those that have failed already.
    pub(crate) fn give_up(&mut self) -> Vec<Settled> {
        self.queue.give_up().collect()
    }

    /// Writes all that is not on the log to it, attempts and due times kept; `true` if `ticket` will be settled.
    pub(crate) fn persist(&mut self, durability: Durability, ticket: Ticket, out: &mut Outbox) -> bool {
        let mut runs: Vec<Run> = self.in_flight.drain().into_iter().map(|(_, flight)| landed(&flight, None)).collect();
        runs.extend(self.deferred.drain());
        self.queue.persist(runs, durability, ticket, out)
    }

    /// How many messages wait, and how many of them are on disk.
    pub(crate) fn depths(&self) -> (u64, u64) {
        (self.queue.depth(), self.queue.backend_depth())
    }

    /// Shows `look` up to `limit` messages of each set: the queue's front, those next to time out, those next due.
    pub(crate) fn peek(&self, limit: usize, mut look: impl FnMut(Peeked<'_>)) {
        super::peek::queued(self.queue.at_hand(), limit, &mut look);
        for (flight, message) in self.in_flight.first(limit) {
            look(Peeked { place: Place::InFlight { conn: flight.conn, deadline: flight.deadline }, message });
        }
        for (due, run) in self.deferred.first(limit) {
            for message in run.messages() {
                look(Peeked { place: Place::Deferred { due }, message });
            }
        }
    }

    /// The times from publish to finish, if they are measured.
    pub(crate) fn latency(&self, now: Instant) -> Option<Summary> {
        self.latency.as_ref().map(|window| window.recent(now))
    }

    pub(crate) fn stats(&self, now: Instant, with_consumers: bool) -> ChannelStats {
        let [zone_local_count, region_local_count, global_count] = self.memory_delivery_counts;
        let consumer_stats = |consumer: &super::consumers::Consumer| ConsumerStats {
            conn: consumer.conn,
            ready_count: consumer.ready_count,
            in_flight_count: consumer.in_flight,
            message_count: consumer.message_count,
            finish_count: consumer.finish_count,
            requeue_count: consumer.requeue_count,
        };
        ChannelStats {
            name: self.name.clone(),
            depth: self.queue.depth(),
            appending_count: self.queue.appending(),
            backend_depth: self.queue.backend_depth(),
            in_flight_count: self.in_flight.len() as u64,
            deferred_count: self.deferred.len() as u64,
            message_count: self.message_count,
            delivery_count: self.delivery_count,
            finish_count: self.finish_count,
            requeue_count: self.requeue_count,
            timeout_count: self.timeout_count,
            zone_local_count,
            region_local_count,
            global_count,
            dropped_count: self.dropped_count,
            sampled_out_count: self.sampled_out_count,
            paused: self.paused,
            latency: self.latency.as_ref().map(|window| window.report(now)),
            client_count: self.consumers.len(),
            consumers: if with_consumers { self.consumers.iter().map(consumer_stats).collect() } else { Vec::new() },
        }
    }
}

/// The message of a flight that ended without FIN: on its own, with the delivery counted.
fn landed(flight: &Flight, due: Option<crate::time::Timestamp>) -> Run {
    let attempts = flight.batch.heads()[flight.index as usize].attempts.wrapping_add(1);
    let batch = Arc::new(flight.batch.detach(flight.index, attempts, due));
    Run { origin: flight.origin, ..Run::whole(batch) }
}
