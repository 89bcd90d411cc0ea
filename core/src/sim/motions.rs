//! What moves and what lies around, in rows of numbers that a page can draw many of.

use crate::message::MessageId;
use crate::topic::Place;

use super::decode::{Item, items, number_of};
use super::network::{Parcel, TO_NODE};
use super::view::millis;
use super::world::World;

/// Most rows of [`Simulation::dots`](super::Simulation::dots).
const DOTS_MAX: usize = 20_000;
/// The first kind of motion that is about no message.
const RDY: f64 = 5.0;

impl World {
    /// What is under way on the wires, as rows of [`Simulation::motions`](super::Simulation::motions).
    pub(super) fn motions(&self, out: &mut Vec<f64>) {
        let mut others = Vec::new();
        for (index, wire) in self.wires.iter().enumerate() {
            for (direction, lane) in wire.lanes.iter().enumerate() {
                let to_node = direction == TO_NODE;
                for chunk in lane.iter().filter(|chunk| chunk.epoch == wire.epoch) {
                    let Parcel::Bytes(bytes) = &chunk.parcel else { continue };
                    let state = if wire.parted { 1.0 } else { 0.0 };
                    let inspector = wire.node_ends.iter().find(|end| end.epoch == chunk.epoch);
                    let inspector = inspector.and_then(|end| end.inspector.as_ref());
                    let number_of = |id| inspector.and_then(|inspector| inspector.find(id));
                    for (kind, count, first) in kinds(bytes, to_node, number_of) {
                        let direction = if to_node { 0.0 } else { 1.0 };
                        let (sent, arrives) = (millis(chunk.sent), millis(chunk.arrives));
                        let rows = if kind < RDY { &mut *out } else { &mut others };
                        rows.extend([index as f64, direction, kind, count, sent, arrives, first, state]);
                    }
                }
            }
        }
        out.append(&mut others);
    }

    /// The messages in memory, as rows of [`Simulation::dots`](super::Simulation::dots).
    /// `timed_out`: whether the message with this number came back to this place since its time was up.
    pub(super) fn dots(&self, timed_out: impl Fn(u64, u32) -> bool, out: &mut Vec<f64>) {
        let mut left = DOTS_MAX;
        for (index, place) in self.places.iter().enumerate() {
            let broker = self.nodes[place.node as usize].broker.as_ref();
            let Some(topic) = broker.and_then(|broker| broker.topic(&place.topic)) else { continue };
            topic.peek(place.channel.as_ref(), left, |peeked| {
                if left == 0 {
                    return;
                }
                left -= 1;
                let message = &peeked.message;
                let number = number_of(message.body).unwrap_or(0);
                let (state, conn, at) = match peeked.place {
                    Place::Queued if message.attempts > 0 && timed_out(number, index as u32) => (4.0, None, 0.0),
                    Place::Queued if message.attempts > 0 => (3.0, None, 0.0),
                    Place::Queued => (0.0, None, 0.0),
                    Place::InFlight { conn, deadline } => (1.0, Some(conn), millis(deadline)),
                    Place::Deferred { due } => (2.0, None, millis(due)),
                };
                let wire = conn.and_then(|conn| self.nodes[place.node as usize].conns.get(&conn));
                let consumer = wire.map_or(-1.0, |&wire| f64::from(self.wires[wire as usize].client));
                out.extend([index as f64, number as f64, state, consumer, f64::from(message.attempts), at]);
            });
        }
    }
}

/// What is in a chunk: kinds in order, how many of each, the number of the first message or -1.
fn kinds(bytes: &[u8], to_node: bool, number_of_id: impl Fn(MessageId) -> Option<u64>) -> Vec<(f64, f64, f64)> {
    let known = |id| number_of_id(id).map_or(-1.0, |number| number as f64);
    let mut found: Vec<(f64, f64, f64)> = Vec::new();
    for item in items(bytes, to_node) {
        let number = |body: &[u8]| number_of(body).map_or(-1.0, |number| number as f64);
        let (kind, count, first) = match item {
            Item::Publish { .. } => {
                let mut bodies = item.bodies();
                let first = bodies.next().map_or(-1.0, number);
                (0.0, 1.0 + bodies.count() as f64, first)
            }
            Item::Message { body, .. } => (1.0, 1.0, number(body)),
            Item::Finish { id } => (2.0, 1.0, known(id)),
            Item::Requeue { id, .. } => (3.0, 1.0, known(id)),
            Item::Touch { id } => (4.0, 1.0, known(id)),
            Item::Ready { .. } => (RDY, 1.0, -1.0),
            Item::Ok | Item::Response(_) => (6.0, 1.0, -1.0),
            _ => (7.0, 1.0, -1.0),
        };
        match found.last_mut() {
            Some((last, many, _)) if *last == kind => *many += count,
            _ => found.push((kind, count, first)),
        }
    }
    found
}
