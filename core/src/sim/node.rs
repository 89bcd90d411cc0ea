//! A simulated nsqd: the real [`Broker`] over a simulated [`Disk`], and the life of its process. Starting, it takes up what
//! `nsqd.dat` names and what only has queue files, as the daemon does, and serves when all logs are open. Stopping, it
//! ends when everything is on disk. Killed, it leaves what the disk kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::{Broker, Output};
use crate::driver::Storage;
use crate::metadata::{Metadata, Remembered, RememberedTopic};
use crate::protocol::ConnId;
use crate::rng::Rng;
use crate::storage::{StorageError, StorageOp};
use crate::time::{Instant, Now, Timestamp};

use super::disk::Disk;
use super::options::NodeOptions;

/// Where wall clocks stand when a simulation begins: 2023-11-14.
const EPOCH: i64 = 1_700_000_000_000_000_000;

/// Both clocks at `at`.
pub(super) fn clock(at: Instant) -> Now {
    let wall = Timestamp::from_nanos(EPOCH.saturating_add(i64::try_from(at.as_nanos()).unwrap_or(i64::MAX)));
    Now { mono: at, wall }
}

/// Where a node's process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Down,
    /// Opens its logs; takes no connections.
    Starting,
    Up,
    /// Writes what is only in memory.
    Stopping,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    index: usize,
    pub(super) options: NodeOptions,
    pub(super) life: Life,
    pub(super) broker: Option<Broker>,
    pub(super) disk: Disk,
    /// The wire of each connection.
    pub(super) conns: BTreeMap<ConnId, u32>,
    pub(super) broker_armed: Option<Instant>,
    pub(super) disk_armed: Option<Instant>,
    rng: Rng,
}

impl Node {
    /// A node that was never started.
    pub(super) fn new(name: String, index: usize, options: NodeOptions, mut rng: Rng) -> Result<Self, StorageError> {
        let mut disk = Disk::new(options.store(), Rng::new(rng.next_u64()))?;
        disk.latency = options.disk_latency;
        disk.errors = options.disk_errors;
        disk.set_size(options.disk_size);
        Ok(Self {
            name,
            index,
            options,
            life: Life::Down,
            broker: None,
            disk,
            conns: BTreeMap::new(),
            broker_armed: None,
            disk_armed: None,
            rng,
        })
    }

    /// Starts the process: what it took up, for whoever wants to tell. `None` if it runs already.
    pub(super) fn start(&mut self, now: Now) -> Option<Remembered> {
        if self.broker.is_some() {
            return None;
        }
        self.disk.latency = self.options.disk_latency;
        self.disk.errors = self.options.disk_errors;
        let (content, stems) = self.disk.read_metadata();
        let metadata = content.map(|json| Metadata::decode(&json).unwrap_or_default());
        let mut remembered = metadata.map(|metadata| metadata.remembered()).unwrap_or_default();
        remembered.take_up(stems.iter().map(String::as_str));
        let mut broker = Broker::new(Arc::new(self.options.config(self.index)), self.rng.next_u64());
        broker.handle_remembered(now, &remembered);
        self.broker = Some(broker);
        self.life = Life::Starting;
        Some(remembered)
    }

    /// Begins to stop.
    pub(super) fn stop(&mut self, now: Now) {
        self.put_metadata(now);
        if let Some(broker) = &mut self.broker {
            broker.handle_exit(now);
            self.life = Life::Stopping;
        }
    }

    /// Ends the process on the spot.
    pub(super) fn kill(&mut self) -> Result<(), StorageError> {
        self.broker = None;
        self.life = Life::Down;
        self.broker_armed = None;
        self.disk_armed = None;
        self.conns.clear();
        self.disk.crash(self.options.store())
    }

    /// Sees whether a process that starts or stops is there; what changed, if anything did.
    pub(super) fn settle(&mut self) -> Result<Option<Life>, StorageError> {
        let Some(broker) = &self.broker else { return Ok(None) };
        match self.life {
            Life::Starting if !broker.is_opening() => self.life = Life::Up,
            Life::Stopping if !broker.is_settling() && self.disk.is_idle() => {
                self.life = Life::Down;
                self.broker = None;
                self.broker_armed = None;
                self.disk_armed = None;
                self.conns.clear();
                self.disk.reopen(self.options.store())?;
            }
            Life::Down | Life::Starting | Life::Up | Life::Stopping => return Ok(None),
        }
        Ok(Some(self.life))
    }

    /// Has `nsqd.dat` written as things are now.
    pub(super) fn put_metadata(&mut self, now: Now) {
        if let Some(broker) = &self.broker {
            let content = Metadata::new(broker.topics().map(RememberedTopic::of)).encode();
            self.disk.put_metadata(now.mono, content);
        }
    }

    pub(super) fn disk_deadline(&self) -> Option<Instant> {
        self.broker.as_ref().and_then(|_| self.disk.poll_timeout())
    }

    pub(super) fn submit(&mut self, now: Now, op: StorageOp) {
        self.disk.submit(now, op);
    }

    /// Hands the broker what the disk has completed.
    pub(super) fn take_completions(&mut self, now: Now) -> usize {
        let mut taken = 0;
        while let Some(done) = self.disk.poll_completion(now) {
            if let Some(broker) = &mut self.broker {
                broker.handle_completion(now, done);
            }
            taken += 1;
        }
        taken
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.broker.as_mut()?.poll_output()
    }
}
