//! A consumer's connection to one nsqd: how far it got, how many messages it was asked for, which of them are held.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::message::MessageId;
use crate::time::Instant;

use super::Connection;

/// Messages may time out at the broker and come again while the program still holds them, so that it has more than it asked
/// for; but not so many times more.
const HELD_PER_READY: usize = 16;
const HELD_MIN: usize = 4096;

/// A connection, numbered by the machine that asked for it. A number is not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// How far a connection got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Dialing,
    Introducing,
    Subscribing,
    Open,
    /// CLS was sent.
    Draining,
    /// And answered.
    Drained,
}

/// Ids are spread well enough to be their own hash, but for the lowest bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: Arc<str>,
    pub(super) phase: Phase,
    /// There is one unless it is being dialled.
    pub(super) connection: Option<Connection>,
    /// Commands not handed out yet.
    pub(super) out: Vec<u8>,
    /// RDY as it was last sent, and since when.
    pub(super) ready: u32,
    pub(super) ready_since: Instant,
    /// The largest RDY the broker takes.
    pub(super) ready_max: u32,
    /// The largest that was sent.
    ready_peak: u32,
    pub(super) last_message: Instant,
    pub(super) last_heard: Instant,
    pub(super) opened_at: Instant,
    /// Messages neither finished nor requeued, with their attempts.
    pub(super) held: HashMap<MessageId, u16, BuildHasherDefault<IdHasher>>,
}

impl Peer {
    pub(super) fn new(now: Instant, address: Arc<str>) -> Self {
        Self {
            address,
            phase: Phase::Dialing,
            connection: None,
            out: Vec::new(),
            ready: 0,
            ready_since: now,
            ready_max: u32::MAX,
            ready_peak: 0,
            last_message: now,
            last_heard: now,
            opened_at: now,
            held: HashMap::default(),
        }
    }

    /// Messages may be asked for.
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// A connection exists, whether it can be used or not.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// What it may cost of `max_in_flight`.
    pub(super) fn load(&self) -> u32 {
        self.ready.max(u32::try_from(self.held.len()).unwrap_or(u32::MAX))
    }

    /// Asks for `count` messages, or as many as the broker allows. Whether that is a change.
    pub(super) fn set_ready(&mut self, now: Instant, count: u32) -> bool {
        let count = count.min(self.ready_max);
        if count == self.ready {
            return false;
        }
        crate::wire::put_ready(&mut self.out, count);
        self.ready = count;
        self.ready_since = now;
        self.ready_peak = self.ready_peak.max(count);
        true
    }

    /// The broker sends more than anybody asked for.
    pub(super) fn is_flooded(&self) -> bool {
        self.held.len() > HELD_MIN.max((self.ready_peak as usize).saturating_mul(HELD_PER_READY))
    }

    /// CLS was answered and nothing is held: the connection has no more use.
    pub(super) fn is_drained(&self) -> bool {
        self.phase == Phase::Drained && self.held.is_empty()
    }
}
