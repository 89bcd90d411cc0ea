//! A broker and the surroundings that it has here: see the [crate].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sansq_core::broker;
use sansq_core::config::Config;
use sansq_core::driver::{Clock, Driver, Ingress, Storage, Transport, Turn};
use sansq_core::protocol::ConnId;
use sansq_core::storage::{MemoryFiles, StorageCompletion, StorageOp, Store, StoreOptions};
use sansq_core::time::{Instant, Now, Timestamp};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// The wall-clock time at which virtual time starts: 2026-01-01, midnight UTC. Message ids grow from it.
const START: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);
/// Inputs and completions handled between two looks at the clock, which stands still meanwhile.
const BUDGET: u32 = 1024;

/// A broker without a machine: connections are numbers, time is what [`advance`](Self::advance) says.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Broker {
    driver: Driver<VirtualClock, Memory, Peers>,
    connections: u32,
}

#[wasm_bindgen]
impl Broker {
    /// A broker without topics, with nsqd's defaults, at time 0. `seed` feeds all chance in it.
    ///
    /// # Errors
    /// Never in practice: empty files in memory can be opened.
    #[wasm_bindgen(constructor)]
    pub fn new(seed: u32) -> Result<Broker, JsError> {
        let driver = Driver {
            broker: broker::Broker::new(Arc::new(Config::default()), u64::from(seed)),
            clock: VirtualClock(Instant::ZERO),
            storage: Memory {
                store: Store::new(MemoryFiles::default(), StoreOptions::default())?,
                done: VecDeque::new(),
            },
            transport: Peers::default(),
        };
        Ok(Broker { driver, connections: 0 })
    }

    /// Opens a connection and returns its number, which is not used again.
    ///
    /// # Errors
    /// After 2^32 - 1 connections.
    pub fn connect(&mut self) -> Result<u32, JsError> {
        self.connections = self.connections.checked_add(1).ok_or_else(|| JsError::new("out of connection numbers"))?;
        let conn = id(self.connections);
        self.driver.transport.peers.insert(conn, Peer::default());
        self.handle(Ingress::Connected(conn));
        Ok(self.connections)
    }

    /// The client sends `bytes`, cut anywhere. Ignored on a connection that is over.
    pub fn send(&mut self, conn: u32, bytes: &[u8]) {
        self.handle(Ingress::Received(id(conn), bytes.to_vec()));
    }

    /// What the client has received since the last call.
    pub fn received(&mut self, conn: u32) -> Vec<u8> {
        self.driver
            .transport
            .peers
            .get_mut(&id(conn))
            .map(|peer| std::mem::take(&mut peer.received))
            .unwrap_or_default()
    }

    /// Whether the broker has closed the connection, or the client has, or it never was.
    pub fn closed(&self, conn: u32) -> bool {
        self.driver.transport.peers.get(&id(conn)).is_none_or(|peer| peer.is_closed)
    }

    /// The client breaks the connection. What it did not read is lost.
    pub fn disconnect(&mut self, conn: u32) {
        if self.driver.transport.peers.remove(&id(conn)).is_some() {
            self.handle(Ingress::Broken(id(conn)));
        }
    }

    /// Milliseconds of virtual time that have passed.
    pub fn now(&self) -> f64 {
        self.driver.clock.0.as_nanos() as f64 / 1e6
    }

    /// Lets virtual time pass until it is `to_ms`; all that becomes due happens at its time. A time already past changes nothing.
    ///
    /// # Errors
    /// If `to_ms` is not a finite number.
    pub fn advance(&mut self, to_ms: f64) -> Result<(), JsError> {
        if !to_ms.is_finite() {
            return Err(JsError::new("the time to advance to must be a finite number of milliseconds"));
        }
        // Saturates: a negative number is 0.
        let to = Instant::ZERO + Duration::from_millis(to_ms as u64);
        while let Some(wake_at) = self.settle().filter(|wake_at| *wake_at <= to) {
            self.driver.clock.0 = wake_at;
        }
        self.driver.clock.0 = self.driver.clock.0.max(to);
        Ok(())
    }
}

impl Broker {
    fn handle(&mut self, ingress: Ingress) {
        self.driver.transport.ingress.push_back(ingress);
        self.settle();
    }

    /// Does all there is to do now, and tells when there will be more.
    fn settle(&mut self) -> Option<Instant> {
        loop {
            if let Turn::Idle { wake_at } = self.driver.turn(BUDGET) {
                return wake_at;
            }
        }
    }
}

fn id(conn: u32) -> ConnId {
    ConnId(u64::from(conn))
}

/// Stands still until it is set.
#[derive(Debug)]
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&mut self) -> Now {
        Now { mono: self.0, wall: START + self.0.since(Instant::ZERO) }
    }
}

/// Storage that is done at once. Nothing needs a sync: what is in memory is as safe as it gets.
#[derive(Debug)]
struct Memory {
    store: Store<MemoryFiles>,
    done: VecDeque<StorageCompletion>,
}

impl Storage for Memory {
    fn submit(&mut self, now: Now, op: StorageOp) {
        let result = self.store.execute(now.mono, &op.log, &op.effect);
        self.done.push_back(StorageCompletion { op: op.op, log: op.log, result });
    }

    fn poll_completion(&mut self, _: Now) -> Option<StorageCompletion> {
        self.done.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// The other ends of the connections.
#[derive(Debug, Default)]
struct Peers {
    ingress: VecDeque<Ingress>,
    peers: BTreeMap<ConnId, Peer>,
}

#[derive(Debug, Default)]
struct Peer {
    received: Vec<u8>,
    is_closed: bool,
}

impl Transport for Peers {
    fn poll_ingress(&mut self, _: Now) -> Option<Ingress> {
        self.ingress.pop_front()
    }

    fn send(&mut self, _: Now, conn: ConnId, bytes: Vec<u8>) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.received.extend(bytes);
        }
    }

    fn close(&mut self, _: Now, conn: ConnId) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.is_closed = true;
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
