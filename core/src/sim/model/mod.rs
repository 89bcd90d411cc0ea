//! The reference model: what must hold of a run, checked after every step on what can be seen from outside of the brokers.
//! Knows nothing of how a broker works; does nothing that the run could depend on.
//!
//! What is checked:
//! - *Conservation*: what a channel has (queued, on its way to disk, in flight, deferred) is what was put in, less what was
//!   finished, dropped, sampled out, refused or repeated, message by message seen to leave.
//! - A message is delivered only if it was published to the topic, and that not deleted since; to one consumer at a time; not after it was finished; with
//!   one attempt more than before; under the same id; not before it is due; not by a paused channel or an ending node.
//! - A consumer has no more messages than its RDY, and none after CLS.
//! - Ids of a topic rise in the order of the publishes.
//! - Time-outs and deferrals end when they are due, at most [`LATE_MAX`] later, and not before.
//! - What comes back and what was never delivered take turns ([`turns`]).
//! - FIN, REQ and TOUCH are refused if, and only if, the message is not in flight to who says it.
//! - In the end, when all faults are healed and every channel had consumers for a while, all channels are empty, and every
//!   message whose publish was answered was finished in each channel that there was ([`Model::at_end`]).
//!
//! What a kill may take: all that a node with `publish-ack=accepted` or `written` has, since the simulated kill is that of
//! the machine; of one with `synced`, nothing that was answered. What it brings back (finished messages, fewer attempts,
//! messages due at once, twice the same message) is allowed for messages published before it. A channel that a failing disk
//! could take nothing of, not even its name, may be gone; what it had not taken over is its topic's other channels'.

mod channel;
mod place;
#[cfg(test)]
mod tests;
mod turns;

use std::any::Any;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::PublishAck;
use crate::message::MessageId;
use crate::protocol::{ConnId, ConsumerVerb};
use crate::time::Instant;
use crate::topic::Moved;

use super::observe::{Facts, Observation, Observer};
use channel::{Copy, State};
use place::Place;
use turns::Starved;

/// How late a time-out or the end of a deferral may be.
pub const LATE_MAX: Duration = Duration::from_millis(1);

/// What went through a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages that reached a topic.
    pub published: u64,
    /// Deliveries to consumers.
    pub delivered: u64,
    /// Messages finished.
    pub finished: u64,
    /// Messages given back.
    pub requeued: u64,
    /// Messages taken back.
    pub timed_out: u64,
}

#[derive(Clone, Debug, Default)]
struct Node {
    up: bool,
    ack: PublishAck,
    msg_timeout: Duration,
    max_msg_timeout: Duration,
    /// A storage operation failed since it was told to stop.
    could_not_save: bool,
}

/// A connection to a node.
#[derive(Clone, Debug)]
struct Consumer {
    channel: u32,
    ready: u32,
    closing: bool,
    in_flight: u32,
    msg_timeout: Option<Duration>,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Model {
    nodes: Vec<Node>,
    places: Vec<Place>,
    /// By connection.
    consumers: Vec<Option<Consumer>>,
    /// Ends of flights and deferrals, with place and message number.
    deadlines: BTreeSet<(Instant, u32, u64)>,
    /// Commands of the step under way that the node must refuse.
    refusals: Vec<(ConnId, ConsumerVerb, MessageId)>,
    /// Channels of the step under way whose counts are to be compared.
    touched: BTreeSet<u32>,
    /// Nodes of the step under way whose options are not known yet.
    started: Vec<u32>,
    wrong: Option<String>,
    totals: Totals,
}

impl Model {
    /// What went through so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn claim(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds && self.wrong.is_none() {
            self.wrong = Some(wrong());
        }
    }

    fn node(&mut self, node: u32) -> &mut Node {
        let index = node as usize;
        if self.nodes.len() <= index {
            self.nodes.resize_with(index + 1, Node::default);
        }
        &mut self.nodes[index]
    }

    fn place(&mut self, place: u32) -> &mut Place {
        let index = place as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, Place::default);
        }
        &mut self.places[index]
    }

    fn consumer(&mut self, conn: ConnId) -> Option<&mut Consumer> {
        self.consumers.get_mut(conn.0 as usize)?.as_mut()
    }

    /// The place of a channel's topic.
    fn topic_of(&mut self, channel: u32) -> u32 {
        self.place(channel).topic.unwrap_or(channel)
    }

    fn places_of(&self, node: u32) -> impl Iterator<Item = u32> + use<> {
        let of_node = |(index, place): (usize, &Place)| (place.node == Some(node)).then_some(index as u32);
        self.places.iter().enumerate().filter_map(of_node).collect::<Vec<_>>().into_iter()
    }

    /// The channels of a topic that there are.
    fn channels_of(&self, topic: u32) -> Vec<u32> {
        let of_topic =
            |(index, place): (usize, &Place)| (place.exists && place.topic == Some(topic)).then_some(index as u32);
        self.places.iter().enumerate().filter_map(of_topic).collect()
    }

    fn on_publish(&mut self, topic: u32, first: u64, count: u32, due: Option<Instant>) {
        self.totals.published += u64::from(count);
        let channels = self.channels_of(topic);
        for number in first..first + u64::from(count) {
            let place = self.place(topic);
            let record = place.publish(number, due);
            if channels.is_empty() {
                place.unclaimed.push(number);
            }
            for &channel in &channels {
                self.place(channel).copies.put(number, record);
            }
        }
    }

    fn on_answered(&mut self, node: u32, first: u64, count: u32) {
        for place in self.places_of(node) {
            let place = self.place(place);
            (first..first + u64::from(count)).for_each(|number| place.promise(number));
        }
    }

    fn on_created(&mut self, created: u32) {
        let serving = self.place(created).node.is_some_and(|node| self.node(node).up);
        let topic = self.place(created).topic;
        let only = topic.is_none_or(|topic| self.channels_of(topic).is_empty());
        let place = self.place(created);
        place.exists = true;
        place.deleted = false;
        place.begin(serving);
        let Some(topic) = topic.filter(|_| only) else { return };
        // The first channel gets what the topic has kept.
        let topic = self.place(topic);
        let unclaimed = std::mem::take(&mut topic.unclaimed);
        let unclaimed: Vec<_> =
            unclaimed.into_iter().filter_map(|number| Some((number, topic.record(number)?))).collect();
        for (number, record) in unclaimed {
            let copies = &mut self.place(created).copies;
            copies.put(number, record);
            if record.promised {
                copies.promise(number);
            }
        }
    }

    fn on_emptied(&mut self, place: u32) {
        match self.place(place).topic {
            Some(_) => {
                self.drop_flights(place);
                let place = self.place(place);
                place.copies.empty();
                place.turns.forget();
                place.rebase = true;
            }
            None => {
                self.place(place).unclaimed.clear();
                for channel in self.channels_of(place) {
                    let channel = self.place(channel);
                    channel.copies.release_waiting();
                    channel.turns.restart();
                }
            }
        }
    }

    fn on_deleted(&mut self, deleted: u32) {
        self.drop_flights(deleted);
        self.place(deleted).delete();
        // With a topic also go channels that a crash made its node forget.
        for place in self.places.iter_mut().filter(|place| place.topic == Some(deleted)) {
            place.delete();
        }
    }

    /// What is in flight or deferred in a channel is not any more.
    fn drop_flights(&mut self, channel: u32) {
        let ended: Vec<(Instant, u64)> = self.place(channel).copies.deadlines().collect();
        for (at, number) in ended {
            self.deadlines.remove(&(at, channel, number));
        }
        for consumer in self.consumers.iter_mut().flatten().filter(|consumer| consumer.channel == channel) {
            consumer.in_flight = 0;
        }
    }

    fn on_down(&mut self, node: u32, killed: bool) {
        let state = self.node(node).clone();
        self.node(node).up = false;
        let keeps = state.ack == PublishAck::Synced || !killed && !state.could_not_save;
        for place in self.places_of(node) {
            self.drop_flights(place);
            let keeps = keeps && !self.place(place).ephemeral;
            self.place(place).go_down(keeps, killed);
        }
    }

    fn on_delivered(&mut self, at: Instant, conn: ConnId, channel: u32, (number, id): (u64, MessageId), attempts: u16) {
        self.totals.delivered += 1;
        let topic = self.topic_of(channel);
        let Some(record) = self.place(topic).record(number) else {
            return self.claim(false, || format!("message {number} was delivered and never published there"));
        };
        self.claim(!record.deleted, || format!("message {number} was delivered after its topic was deleted"));
        let in_order = self.place(topic).learn_id(number, id);
        self.claim(in_order, || format!("message {number} has id {id}, which is out of order or was another one's"));
        let paused = self.place(channel).paused;
        self.claim(paused != Some(true), || format!("message {number} was delivered by a paused channel"));
        let exists = self.place(channel).exists;
        self.claim(exists, || format!("message {number} was delivered by a channel that is gone"));
        let copy = self.place(channel).copies.put(number, record).clone();
        if let Some(wrong) = copy.refuses_delivery(at, conn, attempts) {
            self.claim(false, || format!("message {number} {wrong}"));
        }
        if let Some(deadline) = copy.deadline() {
            self.deadlines.remove(&(deadline, channel, number));
        }
        self.take_turns(at, channel, &copy, attempts);
        let node = self.place(channel).node.unwrap_or(0);
        let (up, longest, usual) = {
            let node = self.node(node);
            (node.up, node.max_msg_timeout, node.msg_timeout)
        };
        self.claim(up, || format!("message {number} was delivered by a node that is not serving"));
        let Some(consumer) = self.consumer(conn) else {
            return self.claim(false, || format!("message {number} was delivered to nobody"));
        };
        consumer.in_flight += 1;
        let (ready, in_flight, closing) = (consumer.ready, consumer.in_flight, consumer.closing);
        let deadline = at + consumer.msg_timeout.unwrap_or(usual).min(longest);
        self.claim(in_flight <= ready, || {
            format!("message {number} is the {in_flight}th in flight to a consumer whose RDY is {ready}")
        });
        self.claim(!closing, || format!("message {number} was delivered after CLS"));
        self.place(channel).copies.deliver(number, State::InFlight { conn, delivered: at, deadline }, attempts);
        self.deadlines.insert((deadline, channel, number));
    }

    /// Neither what comes back nor what was never delivered keeps the other waiting.
    fn take_turns(&mut self, at: Instant, channel: u32, copy: &Copy, attempts: u16) {
        let starved = self.place(channel).take_turns(at, copy.kind(attempts));
        let topic = self.topic_of(channel);
        match starved {
            // What was never delivered may still be in the topic.
            Some(Starved::New(_)) if self.place(topic).may_be_paused() => self.place(channel).turns.restart(),
            Some(Starved::New(number)) => {
                self.claim(false, || format!("message {number} is starved by messages that come back"));
            }
            Some(Starved::Back(number)) => {
                self.claim(false, || format!("message {number} came back and is starved by new ones"));
            }
            None => {}
        }
    }

    /// A command about a message: its copy, if it is in flight to that connection; else the node has to refuse it.
    fn in_flight(
        &mut self,
        conn: ConnId,
        channel: u32,
        verb: ConsumerVerb,
        id: MessageId,
    ) -> Option<(u64, Copy, Instant)> {
        let topic = self.topic_of(channel);
        let number = self.place(topic).number_of(id);
        let copy = number.and_then(|number| self.place(channel).copies.get(number).cloned());
        match (number, copy) {
            (Some(number), Some(copy)) if copy.is_out_with(conn) => {
                let deadline = copy.deadline()?;
                self.touched.insert(channel);
                Some((number, copy, deadline))
            }
            _ => {
                self.refusals.push((conn, verb, id));
                None
            }
        }
    }

    fn end_flight(&mut self, channel: u32, number: u64, deadline: Instant, conn: ConnId, state: State) {
        self.deadlines.remove(&(deadline, channel, number));
        if let Some(until) = state.deadline() {
            self.deadlines.insert((until, channel, number));
        }
        match state {
            State::Waiting => self.place(channel).come_back(number),
            _ => self.place(channel).copies.set(number, state),
        }
        if let Some(consumer) = self.consumer(conn) {
            consumer.in_flight = consumer.in_flight.saturating_sub(1);
        }
    }

    fn on_finish(&mut self, conn: ConnId, channel: u32, id: MessageId) {
        if let Some((number, _, deadline)) = self.in_flight(conn, channel, ConsumerVerb::Finish, id) {
            self.totals.finished += 1;
            self.end_flight(channel, number, deadline, conn, State::Finished);
            self.place(channel).left += 1;
        }
    }

    fn on_requeue(&mut self, at: Instant, conn: ConnId, channel: u32, id: MessageId, delay: Duration) {
        if let Some((number, _, deadline)) = self.in_flight(conn, channel, ConsumerVerb::Requeue, id) {
            self.totals.requeued += 1;
            let state = if delay.is_zero() { State::Waiting } else { State::Deferred { due: at + delay } };
            self.end_flight(channel, number, deadline, conn, state);
        }
    }

    fn on_touch(&mut self, at: Instant, conn: ConnId, channel: u32, id: MessageId) {
        let Some((number, copy, deadline)) = self.in_flight(conn, channel, ConsumerVerb::Touch, id) else { return };
        let State::InFlight { delivered, .. } = copy.state else { return };
        let node = self.place(channel).node.unwrap_or(0);
        let (longest, usual) = (self.node(node).max_msg_timeout, self.node(node).msg_timeout);
        let asked = self.consumer(conn).and_then(|consumer| consumer.msg_timeout).unwrap_or(usual);
        let until = (at + asked.min(longest)).min(delivered + longest);
        self.deadlines.remove(&(deadline, channel, number));
        self.deadlines.insert((until, channel, number));
        self.place(channel).copies.set(number, State::InFlight { conn, delivered, deadline: until });
    }

    fn on_refused(&mut self, conn: ConnId, verb: ConsumerVerb, id: MessageId) {
        let expected = self.refusals.iter().position(|refusal| *refusal == (conn, verb, id));
        match expected {
            Some(index) => _ = self.refusals.remove(index),
            None => self.claim(false, || format!("{verb:?} of message {id} was refused, and it was in flight there")),
        }
    }

    fn on_moved(&mut self, at: Instant, place: u32, how: Moved, number: u64) {
        if self.place(place).topic.is_none() {
            // Out of the topic: no channel will get it.
            for channel in self.channels_of(place) {
                self.place(channel).copies.release(number);
            }
            return;
        }
        self.touched.insert(place);
        let copy = self.place(place).copies.get(number).cloned();
        // Of what was there before a restart there may be a second record that is due at another time.
        let one_record = copy.as_ref().is_some_and(|copy| !copy.old);
        match (how, copy.map(|copy| copy.state)) {
            (Moved::TimedOut, Some(State::InFlight { conn, deadline, .. })) => {
                self.totals.timed_out += 1;
                self.claim(deadline <= at, || format!("message {number} timed out before its time"));
                self.end_flight(place, number, deadline, conn, State::Waiting);
            }
            (Moved::TimedOut, _) => self.claim(false, || format!("message {number} timed out and was not in flight")),
            (Moved::Due, Some(State::Deferred { due })) => {
                self.claim(due <= at || !one_record, || format!("message {number} was queued before it was due"));
                if due <= at {
                    self.deadlines.remove(&(due, place, number));
                    self.place(place).come_back(number);
                }
            }
            // Published with a delay, or kept by a disk.
            (Moved::Due, Some(State::Waiting)) => self.place(place).come_back(number),
            (Moved::Due, _) => {}
            (Moved::SampledOut | Moved::Dropped, _) => {
                let place = self.place(place);
                place.left += 1;
                place.copies.release(number);
                place.turns.restart();
            }
            (Moved::Refused | Moved::Repeated, _) => {
                let place = self.place(place);
                place.left += 1;
                place.turns.restart();
            }
        }
    }

    /// Compares a channel's counts with what must be.
    fn compare(&mut self, facts: &Facts<'_>, channel: u32) {
        let Some(counts) = facts.counts(channel) else { return };
        let has = counts.depth + counts.appending + counts.in_flight + counts.deferred;
        let place = self.place(channel);
        let expected = place.expect(has, counts.messages);
        let wrong = expected != i128::from(has);
        if wrong {
            let name = name_of(facts, channel);
            self.claim(false, || {
                format!(
                    "{name} has {has} messages ({} queued, {} on their way to disk, {} in flight, {} deferred), and \
                     {expected} were put in and did not leave",
                    counts.depth, counts.appending, counts.in_flight, counts.deferred
                )
            });
        }
    }

    /// Whether all is well when nothing is disturbed any more and every channel has had time to drain.
    pub fn at_end(&self, facts: &Facts<'_>) -> Result<(), String> {
        if let Some(down) = self.nodes.iter().position(|node| !node.up) {
            return Err(format!("node {down} does not serve"));
        }
        for (index, place) in self.places.iter().enumerate() {
            let name = || name_of(facts, index as u32);
            let counts = facts.counts(index as u32).unwrap_or_default();
            let has = counts.depth + counts.appending + counts.in_flight + counts.deferred;
            let drains = place.topic.is_some() || !self.channels_of(index as u32).is_empty();
            if place.exists && drains && has > 0 {
                return Err(format!("{} has not drained: {has} messages are left", name()));
            }
            let lost = place.copies.unkept_promises();
            if let (Some(first), false) = (lost.first(), place.deleted) {
                let count = lost.len();
                return Err(format!("{} lost {count} messages that were answered for; the first is {first}", name()));
            }
        }
        Ok(())
    }
}

fn name_of(facts: &Facts<'_>, place: u32) -> String {
    let Some((node, topic, channel)) = facts.place(place) else { return format!("place {place}") };
    let channel = channel.map_or(String::new(), |channel| format!("/{channel}"));
    format!("{topic}{channel} of node {node}")
}

impl Observer for Model {
    fn observe(&mut self, at: Instant, seen: &Observation) {
        match *seen {
            Observation::NodeStarted { node, ack } => {
                self.node(node).ack = ack;
                self.started.push(node);
            }
            Observation::NodeUp { node } => {
                let state = self.node(node);
                (state.up, state.could_not_save) = (true, false);
                for place in self.places_of(node) {
                    let place = self.place(place);
                    place.rebase = true;
                    if place.haunted && place.topic.is_some() && !place.exists {
                        // Nothing of it could be written: it is another one when it comes again. What it had not taken over
                        // stays in the topic, for the channels that there are.
                        place.copies.release_waiting();
                    }
                }
            }
            Observation::NodeStopping { node } => {
                let state = self.node(node);
                (state.up, state.could_not_save) = (false, false);
                for place in self.places_of(node) {
                    self.drop_flights(place);
                }
            }
            Observation::NodeStopped { node } => self.on_down(node, false),
            Observation::NodeKilled { node } => self.on_down(node, true),
            Observation::Created { place } => self.on_created(place),
            Observation::Deleted { place } => self.on_deleted(place),
            Observation::Emptied { place } => self.on_emptied(place),
            Observation::Paused { place, paused } => {
                self.place(place).pause(paused);
                // A topic that goes on has to hand over first what it has kept.
                self.channels_of(place).into_iter().for_each(|channel| self.place(channel).turns.restart());
            }
            Observation::StorageFailed { node } => {
                self.node(node).could_not_save = true;
                for place in self.places_of(node) {
                    let place = self.place(place);
                    place.haunted = true;
                    place.turns.restart();
                }
            }
            Observation::Publish { topic, first, count, due, .. } => self.on_publish(topic, first, count, due),
            Observation::PublishAnswered { node, first, count, ok: true, .. } => self.on_answered(node, first, count),
            Observation::Subscribe { conn, channel, msg_timeout, .. } => {
                let index = conn.0 as usize;
                if self.consumers.len() <= index {
                    self.consumers.resize(index + 1, None);
                }
                self.consumers[index] = Some(Consumer { channel, ready: 0, closing: false, in_flight: 0, msg_timeout });
            }
            Observation::Ready { conn, count, .. } => {
                if let Some(consumer) = self.consumer(conn) {
                    consumer.ready = count;
                }
            }
            Observation::StartClose { conn, .. } => {
                if let Some(consumer) = self.consumer(conn) {
                    consumer.closing = true;
                }
            }
            Observation::Finish { conn, channel, id, .. } => self.on_finish(conn, channel, id),
            Observation::Requeue { conn, channel, id, delay, .. } => self.on_requeue(at, conn, channel, id, delay),
            Observation::Touch { conn, channel, id, .. } => self.on_touch(at, conn, channel, id),
            Observation::Refused { conn, verb, id, .. } => self.on_refused(conn, verb, id),
            Observation::Delivered { conn, channel, number, id, attempts, .. } => {
                self.touched.insert(channel);
                self.on_delivered(at, conn, channel, (number, id), attempts);
            }
            Observation::Moved { place, how, number, .. } => self.on_moved(at, place, how, number),
            Observation::Disconnected { conn, .. } => {
                // Its messages stay in flight until their time is up; commands that came too late are answered by nobody.
                self.refusals.retain(|(refused, ..)| *refused != conn);
                if let Some(consumer) = self.consumers.get_mut(conn.0 as usize) {
                    *consumer = None;
                }
            }
            Observation::Connected { .. }
            | Observation::PublishAnswered { ok: false, .. }
            | Observation::Sent { .. }
            | Observation::Acked { .. }
            | Observation::Unacked { .. }
            | Observation::Received { .. }
            | Observation::Finished { .. }
            | Observation::Requeued { .. } => {}
        }
    }

    fn meet(&mut self, facts: &Facts<'_>) {
        // What is seen names places by number only: take in what they are.
        for index in self.places.len() as u32..facts.place_count() {
            let Some((node, topic, channel)) = facts.place(index) else { continue };
            let ephemeral = topic.is_ephemeral() || channel.is_some_and(|channel| channel.is_ephemeral());
            let topic = channel.and_then(|_| facts.find_topic(node, topic));
            let place = self.place(index);
            (place.node, place.topic, place.ephemeral) = (Some(node), topic, ephemeral);
        }
    }

    fn after_step(&mut self, facts: &Facts<'_>) -> Result<(), String> {
        for node in std::mem::take(&mut self.started) {
            let Some(told) = facts.node(node) else { continue };
            let state = self.node(node);
            (state.msg_timeout, state.max_msg_timeout) = (told.msg_timeout, told.max_msg_timeout);
        }
        let rebased = self.places.iter().enumerate().filter(|(_, place)| place.rebase && place.exists);
        let rebased: Vec<u32> = rebased.map(|(index, _)| index as u32).collect();
        for channel in std::mem::take(&mut self.touched).into_iter().chain(rebased) {
            let place = self.place(channel);
            let serves = place.node.is_some_and(|node| self.node(node).up);
            if serves && self.place(channel).topic.is_some() {
                self.compare(facts, channel);
            }
        }
        if let Some((_, verb, id)) = self.refusals.pop() {
            self.refusals.clear();
            self.claim(false, || format!("{verb:?} of message {id} was not refused, and it was not in flight there"));
        }
        if let Some(&(at, place, number)) = self.deadlines.first() {
            let late = at + LATE_MAX < facts.now();
            self.claim(!late, || format!("message {number} of {} is late", name_of(facts, place)));
        }
        self.wrong.take().map_or(Ok(()), Err)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn clone_box(&self) -> Box<dyn Observer> {
        Box::new(self.clone())
    }
}
