//! The storage of a node: core's store on real files, on a thread of its own, so that a slow disk stops nobody who does not
//! wait for it. Operations come in through a channel without a lock; all that is outstanding is carried out in one go, each
//! log that must be on the device is synced once, and completions go out in batches. The periodic syncs of positions run on
//! a second thread, so that appends go on meanwhile. Idle, both sleep.

mod lock;
mod os_files;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Instant as StdInstant;

use sansq_core::message::Run;
use sansq_core::name::LogId;
use sansq_core::storage::{
    Durability, OpId, StorageCompletion, StorageEffect, StorageError, StorageOp, StorageReply, Store, StoreOptions,
    SyncJob,
};
use sansq_core::time::Instant;

pub use lock::{DataPathLock, LockError};
pub use os_files::OsFiles;

/// Most operations carried out before their completions go out.
const BATCH_MAX: usize = 1024;
const METADATA_NAME: &str = "nsqd.dat";

type Call = Box<dyn FnOnce(&mut Store<OsFiles>) + Send>;

enum Job {
    Work(Work),
    Synced(SyncJob, Result<(), StorageError>),
}

enum Work {
    Operation(StorageOp),
    Call(Call),
    Stop,
}

/// A way to the storage thread. Cheap to clone.
#[derive(Clone)]
pub struct StorageHandle {
    jobs: Sender<Job>,
    /// From the root, for people and for files beside the queues.
    data_path: Arc<Path>,
}

/// The thread. Dropping it carries out what was submitted before, and syncs.
pub struct StorageThread {
    handle: StorageHandle,
    thread: Option<JoinHandle<()>>,
}

impl StorageThread {
    /// Starts a thread for the files in `data_path`. `complete` is called on it.
    pub fn start(
        data_path: &Path,
        options: StoreOptions,
        complete: impl FnMut(Vec<StorageCompletion>) + Send + 'static,
    ) -> Result<Self, StorageError> {
        let store = Store::new(OsFiles::new(data_path), options)?;
        let (jobs, inbox) = mpsc::channel();
        let (syncs, sync_inbox) = mpsc::channel();
        let (sync_files, synced) = (OsFiles::new(data_path), jobs.clone());
        spawn("storage-sync", move || run_syncs(&sync_inbox, &synced, sync_files))?;
        let worker = Worker {
            store,
            inbox,
            syncs,
            complete,
            start: StdInstant::now(),
            stopping: false,
            postponed: VecDeque::new(),
        };
        let thread = spawn("storage", move || worker.run())?;
        let data_path = std::path::absolute(data_path).unwrap_or_else(|_| data_path.to_owned()).into();
        Ok(Self { handle: StorageHandle { jobs, data_path }, thread: Some(thread) })
    }

    /// A way to it.
    pub fn handle(&self) -> StorageHandle {
        self.handle.clone()
    }
}

impl Drop for StorageThread {
    fn drop(&mut self) {
        _ = self.handle.jobs.send(Job::Work(Work::Stop));
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

impl StorageHandle {
    /// Submits an operation; never blocks. After the thread has stopped nothing comes of it.
    pub fn submit(&self, op: StorageOp) {
        _ = self.jobs.send(Job::Work(Work::Operation(op)));
    }

    /// The directory with all files.
    pub fn data_path(&self) -> &Path {
        &self.data_path
    }

    /// The whole path of `nsqd.dat`.
    pub fn metadata_path(&self) -> PathBuf {
        self.data_path.join(METADATA_NAME)
    }

    /// The content of `nsqd.dat`; `None` if there is none. Blocks.
    pub fn read_metadata(&self) -> Result<Option<Vec<u8>>, StorageError> {
        self.read_file(METADATA_NAME)
    }

    /// The content of a file in the data path; `None` if there is none. Blocks.
    pub fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let name = name.to_owned();
        self.call(move |store| store.read_file(&name))
    }

    /// Names of logs that have data files and were not opened yet. Blocks.
    pub fn unopened(&self) -> Result<Vec<String>, StorageError> {
        self.call(|store| Ok(store.unopened().map(str::to_owned).collect()))
    }

    /// Replaces `nsqd.dat`. Blocks.
    pub fn put_metadata(&self, json: &[u8]) -> Result<(), StorageError> {
        let json = json.to_vec();
        self.call(move |store| store.put_file(METADATA_NAME, &json))
    }

    /// Whether the disk takes anything. Blocks.
    pub fn probe(&self) -> Result<(), StorageError> {
        self.call(Store::probe)
    }

    /// The next up to `limit` records of `log` that are not in memory yet; fewer once they take `bytes_max`. They stay where they are. Blocks.
    pub fn peek(&self, log: LogId, limit: usize, bytes_max: usize) -> Result<Vec<Run>, StorageError> {
        self.call(move |store| store.peek(&log, limit, bytes_max))
    }

    fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store<OsFiles>) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (reply, answer) = mpsc::sync_channel(1);
        _ = self.jobs.send(Job::Work(Work::Call(Box::new(move |store| _ = reply.send(act(store))))));
        answer.recv().unwrap_or_else(|_| {
            Err(StorageError::Io { file: "storage thread".to_owned(), reason: "it has stopped".to_owned() })
        })
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StorageError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error| StorageError::Io { file: format!("thread {name}"), reason: error.to_string() })
}

/// Runs syncs until the worker is gone.
fn run_syncs(inbox: &Receiver<SyncJob>, synced: &Sender<Job>, mut files: OsFiles) {
    for job in inbox {
        let result = job.run(&mut files);
        // Its files may be renamed or removed by the other thread before the next.
        files.close();
        if synced.send(Job::Synced(job, result)).is_err() {
            return;
        }
    }
}

struct Worker<C> {
    store: Store<OsFiles>,
    inbox: Receiver<Job>,
    syncs: Sender<SyncJob>,
    complete: C,
    start: StdInstant,
    stopping: bool,
    /// What came while waiting for a sync.
    postponed: VecDeque<Work>,
}

impl<C: FnMut(Vec<StorageCompletion>)> Worker<C> {
    fn run(mut self) {
        let mut jobs = Vec::new();
        while !self.stopping {
            match self.wait() {
                Ok(job) => self.accept(job, &mut jobs),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while jobs.len() < BATCH_MAX
                && let Some(job) = self.postponed.pop_front().map(Job::Work).or_else(|| self.inbox.try_recv().ok())
            {
                self.accept(job, &mut jobs);
            }
            self.carry_out(&mut jobs);
            for job in self.store.take_syncs(self.now()) {
                if let Err(mpsc::SendError(job)) = self.syncs.send(job) {
                    let result = job.run(self.store.files());
                    self.on_synced(job, result);
                }
            }
        }
    }

    /// The end of a sync is seen to at once: a job before it may wait for it.
    fn accept(&mut self, job: Job, jobs: &mut Vec<Work>) {
        match job {
            Job::Work(work) => jobs.push(work),
            Job::Synced(job, result) => self.on_synced(job, result),
        }
    }

    fn wait(&mut self) -> Result<Job, RecvTimeoutError> {
        if let Some(work) = self.postponed.pop_front() {
            return Ok(Job::Work(work));
        }
        match self.store.next_sync() {
            None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => self.inbox.recv_timeout(at.since(self.now())),
        }
    }

    fn carry_out(&mut self, jobs: &mut Vec<Work>) {
        let mut done = Vec::with_capacity(jobs.len());
        let mut unsynced: Vec<(LogId, OpId)> = Vec::new();
        for job in jobs.drain(..) {
            match job {
                Work::Operation(StorageOp { op, log, effect }) => {
                    self.wait_for_sync(&log, &effect);
                    let result = self.store.execute(self.now(), &log, &effect);
                    let sync = matches!(effect, StorageEffect::Append { durability: Durability::Synced, .. });
                    if sync && result.is_ok() {
                        unsynced.push((log, op));
                    } else {
                        // A later operation on a log must not be reported before an earlier one.
                        if unsynced.iter().any(|(waiting, _)| *waiting == log) {
                            self.sync(&mut unsynced, &mut done);
                        }
                        done.push(StorageCompletion { op, log, result });
                    }
                }
                Work::Call(act) => act(&mut self.store),
                Work::Stop => self.stopping = true,
            }
        }
        if !done.is_empty() && !unsynced.is_empty() {
            (self.complete)(std::mem::take(&mut done));
        }
        self.sync(&mut unsynced, &mut done);
        if !done.is_empty() {
            (self.complete)(done);
        }
        for event in self.store.take_events() {
            tracing::warn!("DISKQUEUE({}): {}", event.log, event.message);
        }
    }

    fn on_synced(&mut self, job: SyncJob, result: Result<(), StorageError>) {
        if let Err(error) = &result {
            tracing::error!("DISKQUEUE: failed to sync - {error}");
        }
        self.store.on_synced(self.now(), job, result);
    }

    /// An operation that does away with the metadata must not be overtaken by a sync that writes it.
    fn wait_for_sync(&mut self, log: &LogId, effect: &StorageEffect) {
        let waits = match effect {
            StorageEffect::Empty | StorageEffect::Delete | StorageEffect::Close => true,
            StorageEffect::Open
            | StorageEffect::Append { .. }
            | StorageEffect::Read { .. }
            | StorageEffect::Release { .. } => false,
        };
        while waits && self.store.is_syncing(log) {
            match self.inbox.recv() {
                Ok(Job::Synced(job, result)) => self.on_synced(job, result),
                Ok(Job::Work(work)) => self.postponed.push_back(work),
                Err(_) => return,
            }
        }
    }

    /// Completes the appends that wait for the device, with one sync for each log.
    fn sync(&mut self, unsynced: &mut Vec<(LogId, OpId)>, done: &mut Vec<StorageCompletion>) {
        unsynced.sort();
        let mut last: Option<(LogId, Result<(), StorageError>)> = None;
        for (log, op) in unsynced.drain(..) {
            let result = match &last {
                Some((synced, result)) if *synced == log => result.clone(),
                _ => {
                    let result = self.store.sync(&log);
                    last = Some((log.clone(), result.clone()));
                    result
                }
            };
            done.push(StorageCompletion { op, log, result: result.map(|()| StorageReply::Appended) });
        }
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
