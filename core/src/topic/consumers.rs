//! The consumers of a channel, and the rings of those that want a message, one for each locality: the nearest ring is
//! asked first, and in it whoever was served last is asked last.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;

use crate::protocol::{ConnId, ConsumerOptions, Locality, WINDOW_BYTES};

use super::in_flight::IdHasher;

/// One subscribed connection.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) conn: ConnId,
    pub(crate) options: ConsumerOptions,
    /// RDY: the ceiling on `in_flight`.
    pub(crate) ready_count: u32,
    pub(crate) in_flight: u32,
    /// Body bytes it may still be sent before its socket takes some.
    pub(crate) window: i64,
    pub(crate) closing: bool,
    pub(crate) message_count: u64,
    pub(crate) finish_count: u64,
    pub(crate) requeue_count: u64,
    /// Whether it stands in its ring.
    ringed: bool,
}

impl Consumer {
    fn is_ready(&self) -> bool {
        !self.closing && self.in_flight < self.ready_count && self.window > 0
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Consumers {
    slots: Vec<Option<Consumer>>,
    free: Vec<u32>,
    by_conn: HashMap<ConnId, u32, BuildHasherDefault<IdHasher>>,
    /// Nearest first. All stand in one unless consumption is topology-aware.
    rings: [VecDeque<u32>; Locality::COUNT],
}

impl Consumers {
    pub(crate) fn len(&self) -> usize {
        self.by_conn.len()
    }

    pub(crate) fn add(&mut self, conn: ConnId, options: ConsumerOptions) {
        let consumer = Consumer {
            conn,
            options,
            ready_count: 0,
            in_flight: 0,
            window: WINDOW_BYTES,
            closing: false,
            message_count: 0,
            finish_count: 0,
            requeue_count: 0,
            ringed: false,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize] = Some(consumer);
        self.by_conn.insert(conn, slot);
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, conn: ConnId) -> bool {
        let Some(slot) = self.by_conn.remove(&conn) else { return false };
        if let Some(consumer) = self.slots[slot as usize].take().filter(|consumer| consumer.ringed) {
            self.rings[consumer.options.served_as as usize].retain(|&other| other != slot);
        }
        self.free.push(slot);
        true
    }

    /// Changes the consumer of `conn`, if there is one, and its place in the ring as that demands.
    pub(crate) fn update<T>(&mut self, conn: ConnId, change: impl FnOnce(&mut Consumer) -> T) -> Option<T> {
        let slot = *self.by_conn.get(&conn)?;
        let consumer = self.slots[slot as usize].as_mut()?;
        let result = change(consumer);
        if !consumer.ringed && consumer.is_ready() {
            consumer.ringed = true;
            self.rings[consumer.options.served_as as usize].push_back(slot);
        }
        Some(result)
    }

    /// Whether some consumer wants a message.
    pub(crate) fn any_ready(&mut self) -> bool {
        self.ready_ring().is_some()
    }

    /// The nearest ring with a consumer that wants a message at its front. Those before it that want none any more leave.
    fn ready_ring(&mut self) -> Option<&mut VecDeque<u32>> {
        for ring in &mut self.rings {
            while let Some(&slot) = ring.front() {
                match &mut self.slots[slot as usize] {
                    Some(consumer) if consumer.is_ready() => return Some(ring),
                    Some(consumer) => consumer.ringed = false,
                    None => {}
                }
                ring.pop_front();
            }
        }
        None
    }

    /// The consumer whose turn it is, moved to its ring's end, and how many stand in that ring.
    pub(crate) fn next_ready(&mut self) -> Option<(&mut Consumer, usize)> {
        let ring = self.ready_ring()?;
        ring.rotate_left(1);
        let (slot, len) = (*ring.back()?, ring.len());
        Some((self.slots[slot as usize].as_mut()?, len))
    }

    /// In the order they came, as far as slots were not reused.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.slots.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Consumer> {
        self.slots.iter_mut().flatten()
    }
}
