//! What moves and what lies around, in rows of numbers that a page can draw many of.

use crate::topic::Place;

use super::decode::{Item, items, number_of};
use super::network::{Parcel, TO_NODE};
use super::view::millis;
use super::world::World;

/// Most rows of [`Simulation::dots`](super::Simulation::dots).
const DOTS_MAX: usize = 20_000;

impl World {
    /// What is under way on the wires, as rows of [`Simulation::motions`](super::Simulation::motions).
    pub(super) fn motions(&self, out: &mut Vec<f64>) {
        for (index, wire) in self.wires.iter().enumerate() {
            for (direction, lane) in wire.lanes.iter().enumerate() {
                let to_node = direction == TO_NODE;
                for chunk in lane.iter().filter(|chunk| chunk.epoch == wire.epoch) {
                    let Parcel::Bytes(bytes) = &chunk.parcel else { continue };
                    let state = if wire.parted { 1.0 } else { 0.0 };
                    for (kind, count, first) in kinds(bytes, to_node) {
                        let direction = if to_node { 0.0 } else { 1.0 };
                        let (sent, arrives) = (millis(chunk.sent), millis(chunk.arrives));
                        out.extend([index as f64, direction, kind, count, sent, arrives, first, state]);
                    }
                }
            }
        }
    }

    /// The messages in memory, as rows of [`Simulation::dots`](super::Simulation::dots).
    pub(super) fn dots(&self, out: &mut Vec<f64>) {
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
                let (state, conn, at) = match peeked.place {
                    Place::Queued if message.attempts > 0 => (3.0, None, 0.0),
                    Place::Queued => (0.0, None, 0.0),
                    Place::InFlight { conn, deadline } => (1.0, Some(conn), millis(deadline)),
                    Place::Deferred { due } => (2.0, None, millis(due)),
                };
                let wire = conn.and_then(|conn| self.nodes[place.node as usize].conns.get(&conn));
                let consumer = wire.map_or(-1.0, |&wire| f64::from(self.wires[wire as usize].client));
                let number = number_of(message.body).unwrap_or(0) as f64;
                out.extend([index as f64, number, state, consumer, f64::from(message.attempts), at]);
            });
        }
    }
}

/// What is in a chunk: kinds in order, how many of each, the number of the first message or -1.
fn kinds(bytes: &[u8], to_node: bool) -> Vec<(f64, f64, f64)> {
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
            Item::Finish { .. } => (2.0, 1.0, -1.0),
            Item::Requeue { .. } => (3.0, 1.0, -1.0),
            Item::Touch { .. } => (4.0, 1.0, -1.0),
            Item::Ready { .. } => (5.0, 1.0, -1.0),
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
