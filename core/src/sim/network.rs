//! The simulated network: a wire between a client and a node carries one connection at a time, both ways.
//!
//! The fault model:
//! - What is sent on a connection arrives in order and whole, after the wire's latency and up to `jitter` more; wires
//!   overtake each other.
//! - *Cut*: both ends see a reset at once, and what was under way is gone.
//! - *Muted*: what is sent, or under way, is lost, and nobody is told. Since a stream with a hole is no stream, a
//!   connection that lost something is reset when the wire is healed.
//! - *Parted*: what is sent waits, as behind a router that is away for a while, and arrives once the wire is healed.
//! - An end that dies sends a reset; one that is not there answers with one.
//!
//! Not modelled: bandwidth, receive windows, connections half closed.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::protocol::ConnId;
use crate::rng::Rng;
use crate::time::Instant;

use super::events::Events;
use super::inspect::Inspector;
use super::options::NetworkOptions;

/// Chunks kept to be shown.
const RECENT: usize = 12;

/// The directions of a wire.
pub(super) const TO_CLIENT: usize = 0;
pub(super) const TO_NODE: usize = 1;

/// What travels.
#[derive(Clone, Debug)]
pub(super) enum Parcel {
    /// The client wants a connection.
    Open,
    /// The node has taken it.
    Accepted,
    Bytes(Bytes),
    /// The sender is done.
    End,
    /// The sender is gone.
    Reset,
}

/// Something under way.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// The connection it belongs to.
    pub(super) epoch: u32,
    pub(super) sent: Instant,
    pub(super) arrives: Instant,
    pub(super) parcel: Parcel,
}

/// How the client's end sees the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientEnd {
    Closed,
    Dialing,
    Open,
}

/// A chunk that was sent, to be shown.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) at: Instant,
    pub(super) to_node: bool,
    pub(super) bytes: Bytes,
}

/// A node's end of a connection.
#[derive(Clone, Debug)]
pub(super) struct NodeEnd {
    pub(super) conn: ConnId,
    pub(super) epoch: u32,
    /// What the node says in the step under way.
    pub(super) outgoing: Vec<u8>,
    /// Watches what passes.
    pub(super) inspector: Option<Inspector>,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) client: u32,
    pub(super) node: u32,
    /// `None`: as the network has it.
    latency: Option<Duration>,
    pub(super) muted: bool,
    pub(super) parted: bool,
    /// The connection has lost something.
    holed: bool,
    /// Counts connections.
    pub(super) epoch: u32,
    pub(super) client_end: ClientEnd,
    /// The node's ends: one, but for connections whose end the node has not heard of.
    pub(super) node_ends: Vec<NodeEnd>,
    /// By direction.
    pub(super) lanes: [VecDeque<Chunk>; 2],
    last_arrival: [Instant; 2],
    pub(super) bytes: [u64; 2],
    /// The channel that the client reads over it.
    pub(super) place: Option<u32>,
    pub(super) recent: VecDeque<Shown>,
}

/// What wires have in common.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) options: NetworkOptions,
    rng: Rng,
}

impl Network {
    pub(super) fn new(rng: Rng) -> Self {
        Self { options: NetworkOptions::default(), rng }
    }

    fn delay(&mut self, wire: &Wire) -> Duration {
        let jitter = u64::try_from(self.options.jitter.as_nanos()).unwrap_or(0);
        let drawn = if jitter == 0 { 0 } else { self.rng.below(jitter + 1) };
        wire.latency(&self.options) + Duration::from_nanos(drawn)
    }
}

impl Wire {
    pub(super) fn new(client: u32, node: u32) -> Self {
        Self {
            client,
            node,
            latency: None,
            muted: false,
            parted: false,
            holed: false,
            epoch: 0,
            client_end: ClientEnd::Closed,
            node_ends: Vec::new(),
            lanes: [VecDeque::new(), VecDeque::new()],
            last_arrival: [Instant::ZERO; 2],
            bytes: [0; 2],
            place: None,
            recent: VecDeque::new(),
        }
    }

    pub(super) fn latency(&self, options: &NetworkOptions) -> Duration {
        self.latency.unwrap_or(options.latency)
    }

    pub(super) fn node_end(&mut self, conn: ConnId) -> Option<&mut NodeEnd> {
        self.node_ends.iter_mut().find(|end| end.conn == conn)
    }

    pub(super) fn node_end_of(&mut self, epoch: u32) -> Option<&mut NodeEnd> {
        self.node_ends.iter_mut().find(|end| end.epoch == epoch)
    }

    /// Sends on connection `epoch`.
    pub(super) fn send(
        &mut self,
        index: u32,
        now: Instant,
        (direction, epoch): (usize, u32),
        parcel: Parcel,
        network: &mut Network,
        events: &mut Events,
    ) {
        if let Parcel::Bytes(bytes) = &parcel {
            self.bytes[direction] += bytes.len() as u64;
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(Shown { at: now, to_node: direction == TO_NODE, bytes: bytes.clone() });
        }
        if self.muted {
            self.holed = true;
            return;
        }
        let arrives = (now + network.delay(self)).max(self.last_arrival[direction]);
        self.last_arrival[direction] = arrives;
        self.lanes[direction].push_back(Chunk { epoch, sent: now, arrives, parcel });
        events.arrive(arrives, index, direction == TO_NODE);
    }

    /// Takes what arrives at `now`. `None`: the event was overtaken by a fault.
    pub(super) fn take(&mut self, now: Instant, direction: usize) -> Option<Chunk> {
        if self.parted {
            return None;
        }
        self.lanes[direction].pop_front_if(|chunk| chunk.arrives == now)
    }

    /// Whether something arrives at `at`.
    pub(super) fn has(&self, at: Instant, direction: usize) -> bool {
        !self.parted && self.lanes[direction].front().is_some_and(|chunk| chunk.arrives == at)
    }

    /// A new connection is wanted.
    pub(super) fn dial(&mut self) {
        self.epoch += 1;
        self.client_end = ClientEnd::Dialing;
        self.holed = false;
    }

    /// What is under way is gone.
    pub(super) fn clear(&mut self) {
        self.lanes.iter_mut().for_each(VecDeque::clear);
    }

    pub(super) fn mute(&mut self) {
        self.muted = true;
        self.holed |= self.lanes.iter().any(|lane| !lane.is_empty());
        self.clear();
    }

    pub(super) fn slow(&mut self, latency: Duration) {
        self.latency = Some(latency);
    }

    /// The wire works again; whether its connection has to be reset.
    pub(super) fn heal(&mut self, index: u32, now: Instant, network: &mut Network, events: &mut Events) -> bool {
        (self.latency, self.muted) = (None, false);
        if std::mem::take(&mut self.parted) {
            for direction in [TO_CLIENT, TO_NODE] {
                let mut arrives = now;
                for at in 0..self.lanes[direction].len() {
                    arrives = arrives.max(now + network.delay(self));
                    self.lanes[direction][at].arrives = arrives;
                    events.arrive(arrives, index, direction == TO_NODE);
                }
                self.last_arrival[direction] = arrives;
            }
        }
        std::mem::take(&mut self.holed)
    }
}
