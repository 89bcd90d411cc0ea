//! A node's simulated disk: the real [`Store`] over [`MemoryFiles`], in virtual time.
//!
//! The fault model, besides that of the files (unsynced writes lost or torn by a crash, full disks):
//! - What is outstanding is carried out in one go, as the daemon's storage thread does, and is complete after the disk's
//!   latency; with a sync, that all appends of the go share, after twice the latency.
//! - A crash finds some operations of the go under way carried out and the rest not.
//! - Of each hundred operations as many as told fail somewhere in the middle with an I/O error.
//! - Stopping a node leaves what it wrote; only a kill takes what was not synced.

use std::collections::VecDeque;
use std::time::Duration;

use crate::driver::Storage;
use crate::name::LogId;
use crate::rng::Rng;
use crate::storage::{
    Durability, MemoryFiles, OpId, StorageCompletion, StorageEffect, StorageError, StorageOp, StorageReply, Store,
    StoreOptions,
};
use crate::time::{Instant, Now};

/// Operations in one go, as in the daemon.
const GO_MAX: usize = 1024;
/// Each go takes up to this part of the latency longer.
const JITTER_PART: u64 = 4;
const METADATA: &str = "nsqd.dat";

#[derive(Clone, Debug)]
enum Job {
    Op(StorageOp),
    /// New content for `nsqd.dat`.
    Metadata(Vec<u8>),
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Disk {
    store: Store<MemoryFiles>,
    rng: Rng,
    pub(super) latency: Duration,
    /// Of a hundred operations.
    pub(super) errors: u8,
    size: Option<u64>,
    full: bool,
    waiting: VecDeque<Job>,
    under_way: Vec<Job>,
    done_at: Option<Instant>,
    completions: VecDeque<StorageCompletion>,
    /// What went wrong besides the operations asked for.
    complaints: Vec<String>,
}

impl Disk {
    pub(super) fn new(options: StoreOptions, rng: Rng) -> Result<Self, StorageError> {
        Ok(Self {
            store: Store::new(MemoryFiles::default(), options)?,
            rng,
            latency: Duration::ZERO,
            errors: 0,
            size: None,
            full: false,
            waiting: VecDeque::new(),
            under_way: Vec::new(),
            done_at: None,
            completions: VecDeque::new(),
            complaints: Vec::new(),
        })
    }

    /// How many bytes it takes; `None`: any number.
    pub(super) fn set_size(&mut self, size: Option<u64>) {
        self.size = size;
        self.set_full(self.full);
    }

    /// A full disk takes nothing more, whatever its size.
    pub(super) fn set_full(&mut self, full: bool) {
        self.full = full;
        let used = self.store.files().usage().0;
        let room = if full { Some(0) } else { self.size.map(|size| size.saturating_sub(used)) };
        self.store.files().set_room(room);
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// The files, to look at.
    pub(super) fn files(&mut self) -> &mut MemoryFiles {
        self.store.files()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.done_at.is_none() && self.waiting.is_empty() && self.completions.is_empty()
    }

    pub(super) fn take_complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// Has `nsqd.dat` replaced.
    pub(super) fn put_metadata(&mut self, now: Instant, content: Vec<u8>) {
        if let Some(Job::Metadata(waiting)) = self.waiting.back_mut() {
            *waiting = content;
        } else {
            self.waiting.push_back(Job::Metadata(content));
            self.start(now);
        }
    }

    /// `nsqd.dat`, and the stems of the queue files there are.
    pub(super) fn read_metadata(&mut self) -> (Option<Vec<u8>>, Vec<String>) {
        let content = self.store.read_file(METADATA).unwrap_or_default();
        (content, self.store.unopened().map(str::to_owned).collect())
    }

    /// Pulls the plug.
    pub(super) fn crash(&mut self, options: StoreOptions) -> Result<(), StorageError> {
        let carried_out = self.rng.below(self.under_way.len() as u64 + 1) as usize;
        let jobs: Vec<Job> = self.under_way.drain(..carried_out).collect();
        for job in jobs {
            _ = self.carry_out(Instant::ZERO, &job);
        }
        self.store.files().crash(&mut self.rng);
        self.reopen(options)
    }

    /// Forgets all but the files.
    pub(super) fn reopen(&mut self, options: StoreOptions) -> Result<(), StorageError> {
        self.store = Store::new(std::mem::take(self.store.files()), options)?;
        self.waiting.clear();
        self.under_way.clear();
        self.completions.clear();
        self.done_at = None;
        self.set_full(self.full);
        Ok(())
    }

    fn start(&mut self, now: Instant) {
        if self.done_at.is_some() || self.waiting.is_empty() {
            return;
        }
        self.under_way.extend(self.waiting.drain(..self.waiting.len().min(GO_MAX)));
        let latency = u64::try_from(self.latency.as_nanos()).unwrap_or(u64::MAX);
        let syncs = self.under_way.iter().any(|job| sync_wanted(job).is_some());
        let drawn = self.rng.below(latency / JITTER_PART + 1);
        self.done_at = Some(now + Duration::from_nanos(latency * (1 + u64::from(syncs)) + drawn));
    }

    fn finish(&mut self, now: Instant) {
        let mut unsynced: Vec<(LogId, OpId)> = Vec::new();
        let jobs = std::mem::take(&mut self.under_way);
        for job in &jobs {
            let result = self.carry_out(now, job);
            let Job::Op(StorageOp { op, log, .. }) = job else { continue };
            if result.is_ok() && sync_wanted(job).is_some() {
                unsynced.push((log.clone(), *op));
                continue;
            }
            if unsynced.iter().any(|(waiting, _)| waiting == log) {
                self.sync(&mut unsynced);
            }
            self.completions.push_back(StorageCompletion { op: *op, log: log.clone(), result });
        }
        self.sync(&mut unsynced);
        self.done_at = None;
        self.under_way = jobs;
        self.under_way.clear();
        self.sync_due(now);
        self.start(now);
    }

    /// Syncs positions whose time or count has come.
    fn sync_due(&mut self, now: Instant) {
        if let Err(error) = self.store.sync_due(now) {
            self.complaints.push(error.to_string());
        }
    }

    /// Completes appends that wait for the device: one sync for each log.
    fn sync(&mut self, unsynced: &mut Vec<(LogId, OpId)>) {
        unsynced.sort();
        let mut last: Option<(LogId, Result<StorageReply, StorageError>)> = None;
        for (log, op) in unsynced.drain(..) {
            let result = match last.take().filter(|(synced, _)| *synced == log) {
                Some((_, result)) => result,
                None => self.store.sync(&log).map(|()| StorageReply::Appended),
            };
            last = Some((log.clone(), result.clone()));
            self.completions.push_back(StorageCompletion { op, log, result });
        }
    }

    fn carry_out(&mut self, now: Instant, job: &Job) -> Result<StorageReply, StorageError> {
        if self.errors > 0 && self.rng.below(100) < u64::from(self.errors) {
            let whole = self.rng.below(3);
            self.store.files().fail_after(Some(whole));
        }
        let result = match job {
            Job::Op(op) => self.store.execute(now, &op.log, &op.effect),
            Job::Metadata(content) => {
                let put = self.store.put_file(METADATA, content);
                if let Err(error) = &put {
                    self.complaints.push(error.to_string());
                }
                put.map(|()| StorageReply::Done)
            }
        };
        self.store.files().fail_after(None);
        self.complaints.extend(self.store.take_events().into_iter().map(|event| event.message));
        result
    }
}

/// The log, if the job is complete only once that is synced.
fn sync_wanted(job: &Job) -> Option<&LogId> {
    match job {
        Job::Op(StorageOp { log, effect: StorageEffect::Append { durability: Durability::Synced, .. }, .. }) => {
            Some(log)
        }
        Job::Op(_) | Job::Metadata(_) => None,
    }
}

impl Storage for Disk {
    fn submit(&mut self, now: Now, op: StorageOp) {
        self.waiting.push_back(Job::Op(op));
        self.start(now.mono);
    }

    fn poll_completion(&mut self, now: Now) -> Option<StorageCompletion> {
        if self.completions.is_empty() && self.done_at.is_some_and(|at| at <= now.mono) {
            self.finish(now.mono);
        }
        if self.store.next_sync().is_some_and(|at| at <= now.mono) {
            self.sync_due(now.mono);
        }
        self.completions.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.done_at, self.store.next_sync()].into_iter().flatten().min()
    }
}
