//! All logs of a node, and carrying out operations on them. Decides when positions are synced; on which thread, and
//! what waits for which sync, is the host's.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::message::{BatchBuilder, Run};
use crate::name::LogId;
use crate::time::Instant;

use super::disk_queue::{DiskQueue, Sync, SyncTurn, parse_data_name, remove_files};
use super::files::{FileError, Files};
use super::{StorageEffect, StorageError, StorageReply};

/// What an operator can set about logs. Names are nsqd's flags.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// A file is not written beyond this many bytes.
    pub max_bytes_per_file: u64,
    /// Positions are synced after this many messages written and released,
    pub sync_every: u64,
    /// or this long after the first.
    pub sync_timeout: Duration,
}

impl Default for StoreOptions {
    /// nsqd's defaults.
    fn default() -> Self {
        Self { max_bytes_per_file: 100 * 1024 * 1024, sync_every: 2500, sync_timeout: Duration::from_secs(2) }
    }
}

/// Something about a log that an operator should read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreEvent {
    /// The log's name.
    pub log: String,
    /// What happened, what became of the messages.
    pub message: String,
}

/// A sync of one log, to be run wherever the host likes.
#[derive(Clone, Debug)]
pub struct SyncJob {
    log: LogId,
    sync: Sync,
}

impl SyncJob {
    /// Puts the log's records and positions, as they were when the job was taken, on the device. Blocks.
    pub fn run(&self, files: &mut impl Files) -> Result<(), StorageError> {
        self.sync.run(files)
    }
}

/// The logs of a data path.
#[derive(Clone, Debug)]
pub struct Store<F> {
    files: F,
    options: StoreOptions,
    logs: BTreeMap<LogId, DiskQueue>,
    /// Data files of logs that are not open, in order.
    found: BTreeMap<String, Vec<u64>>,
    /// Logs that were to be deleted or emptied and could not be opened: they are emptied when they are.
    doomed: Vec<LogId>,
    /// Logs whose last append failed, if no other has succeeded since.
    failing: BTreeMap<LogId, StorageError>,
    /// Logs whose turn is [`SyncTurn::Waiting`], in order of since when; among them some that have been closed.
    dirty: Vec<(Instant, LogId)>,
    buffer: Vec<u8>,
    builder: BatchBuilder,
    events: Vec<StoreEvent>,
}

impl<F: Files> Store<F> {
    /// The store on `files`.
    pub fn new(mut files: F, options: StoreOptions) -> Result<Self, StorageError> {
        let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for name in files.list().map_err(|error| error.about(&files, ""))? {
            if let Some((stem, number)) = parse_data_name(&name) {
                let numbers = found.entry(stem.to_owned()).or_default();
                if let Err(at) = numbers.binary_search(&number) {
                    numbers.insert(at, number);
                }
            }
        }
        Ok(Self {
            files,
            options,
            logs: BTreeMap::new(),
            found,
            doomed: Vec::new(),
            failing: BTreeMap::new(),
            dirty: Vec::new(),
            buffer: Vec::new(),
            builder: BatchBuilder::default(),
            events: Vec::new(),
        })
    }

    /// The files below.
    pub fn files(&mut self) -> &mut F {
        &mut self.files
    }

    /// Names of logs that have data files and were not opened yet.
    pub fn unopened(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    /// Carries out `effect`. Opens the log again if that failed before. An append that must be synced is complete when [`sync`](Self::sync) has succeeded after it.
    pub fn execute(&mut self, now: Instant, log: &LogId, effect: &StorageEffect) -> Result<StorageReply, StorageError> {
        let result = self.carry_out(log, effect);
        match (effect, &result) {
            (StorageEffect::Append { .. }, Ok(_)) => self.failing.clear(),
            (StorageEffect::Append { .. }, Err(error)) => _ = self.failing.insert(log.clone(), error.clone()),
            _ => {}
        }
        if let Some(queue) = self.logs.get_mut(log) {
            self.events.append(&mut queue.events);
            if queue.turn == SyncTurn::None && queue.is_dirty() {
                queue.turn = SyncTurn::Waiting;
                self.dirty.push((now, log.clone()));
            }
        }
        result
    }

    fn carry_out(&mut self, log: &LogId, effect: &StorageEffect) -> Result<StorageReply, StorageError> {
        if let StorageEffect::Delete = effect {
            return self.delete(log).map(|()| StorageReply::Done);
        }
        if let StorageEffect::Close = effect {
            let Some(mut queue) = self.logs.remove(log) else { return Ok(StorageReply::Done) };
            // If it fails, the next process delivers what was refused.
            _ = queue.mend(&mut self.files);
            self.found.insert(log.to_string(), queue.file_numbers());
            let synced = if queue.is_dirty() { queue.sync().run(&mut self.files) } else { Ok(()) };
            return synced.map(|()| StorageReply::Done);
        }
        if let Err(error) = self.opened(log) {
            if matches!(effect, StorageEffect::Empty) {
                self.doom(log);
            }
            return Err(error);
        }
        let Self { files, logs, buffer, builder, .. } = self;
        let Some(queue) = logs.get_mut(log) else { return Ok(StorageReply::Done) };
        match effect {
            StorageEffect::Open => {
                queue.deleted = false;
                Ok(StorageReply::Opened { unread: queue.unread() })
            }
            StorageEffect::Append { runs, taken, .. } => {
                queue.append(runs, *taken, buffer, files).map(|()| StorageReply::Appended)
            }
            StorageEffect::Read { bytes_max } => queue.read(*bytes_max, builder, buffer, files),
            StorageEffect::Release { count } => {
                queue.release(*count, files);
                Ok(StorageReply::Done)
            }
            StorageEffect::Empty => {
                queue.empty(files);
                Ok(StorageReply::Done)
            }
            StorageEffect::Delete | StorageEffect::Close => Ok(StorageReply::Done),
        }
    }

    /// Does away with the log, also with what a failed opening left. What cannot be removed is not read any more, by a
    /// successor either.
    fn delete(&mut self, log: &LogId) -> Result<(), StorageError> {
        self.failing.remove(log);
        if self.opened(log).is_err() {
            let stem = log.to_string();
            let found = self.found.get(&stem).into_iter().flatten().copied();
            if let Err(error) = remove_files(&stem, found, &mut self.files) {
                self.doom(log);
                let message = format!(
                    "cannot delete it - {error}; it is not delivered any more, and comes back if nsqd ends before its \
                     files are removed"
                );
                self.events.push(StoreEvent { log: stem, message });
                return Err(error);
            }
            self.found.remove(&stem);
            self.doomed.retain(|doomed| doomed != log);
        }
        let Some(queue) = self.logs.get_mut(log) else { return Ok(()) };
        queue.empty(&mut self.files);
        queue.deleted = true;
        if !queue.is_littered() {
            self.logs.remove(log);
        }
        Ok(())
    }

    /// Has the log emptied when it is opened.
    fn doom(&mut self, log: &LogId) {
        if !self.doomed.contains(log) {
            self.doomed.push(log.clone());
        }
    }

    /// Opens the log unless it is open. A log that could not be opened is tried again by its next operation.
    fn opened(&mut self, log: &LogId) -> Result<(), StorageError> {
        if self.logs.contains_key(log) {
            return Ok(());
        }
        let stem = log.to_string();
        let found = self.found.get(&stem).map_or(&[][..], Vec::as_slice);
        let mut queue = DiskQueue::open(stem.clone(), self.options.max_bytes_per_file, found, &mut self.files)?;
        if let Some(at) = self.doomed.iter().position(|doomed| doomed == log) {
            self.doomed.swap_remove(at);
            queue.empty(&mut self.files);
        }
        self.found.remove(&stem);
        self.logs.insert(log.clone(), queue);
        Ok(())
    }

    /// The next up to `limit` records that [`Read`](StorageEffect::Read) would hand out, without handing them out; fewer once they
    /// take `bytes_max`. None of a log that is not open.
    pub fn peek(&mut self, log: &LogId, limit: usize, bytes_max: usize) -> Result<Vec<Run>, StorageError> {
        self.logs.get(log).map_or(Ok(Vec::new()), |queue| queue.peek(limit, bytes_max, &mut self.files))
    }

    /// Puts all records appended to the log so far on the device.
    pub fn sync(&mut self, log: &LogId) -> Result<(), StorageError> {
        self.logs.get_mut(log).map_or(Ok(()), |queue| queue.sync_data(&mut self.files))
    }

    /// Syncs records and positions of the logs whose time or count has come.
    pub fn sync_due(&mut self, now: Instant) -> Result<(), StorageError> {
        let mut result = Ok(());
        for job in self.take_syncs(now) {
            let ran = job.run(&mut self.files);
            result = result.and(ran.clone());
            self.on_synced(now, job, ran);
        }
        result
    }

    /// The syncs whose time or count has come, to be run on other files of the same data path, and then handed to
    /// [`on_synced`](Self::on_synced); meanwhile there is none for the same log. [`Empty`](StorageEffect::Empty),
    /// [`Delete`](StorageEffect::Delete) and [`Close`](StorageEffect::Close) wait until [`is_syncing`](Self::is_syncing)
    /// is false.
    pub fn take_syncs(&mut self, now: Instant) -> Vec<SyncJob> {
        let Self { dirty, logs, options, files, .. } = self;
        let mut jobs = Vec::new();
        dirty.retain(|(since, log)| {
            let Some(queue) = logs.get_mut(log).filter(|queue| queue.turn == SyncTurn::Waiting) else { return false };
            // One that failed waits for its time, however much comes meanwhile.
            let many = queue.operations >= options.sync_every && !queue.sync_failed;
            let due = many || *since + options.sync_timeout <= now;
            if due && queue.deleted {
                queue.empty(files);
                if !queue.is_littered() {
                    logs.remove(log);
                    return false;
                }
            } else if due {
                // It is littered still if this fails, and tried again.
                _ = queue.tidy(files);
            }
            if due {
                queue.turn = SyncTurn::UnderWay;
                jobs.push(SyncJob { log: log.clone(), sync: queue.sync() });
            }
            !due
        });
        jobs
    }

    /// Whether a sync of the log is under way.
    pub fn is_syncing(&self, log: &LogId) -> bool {
        self.logs.get(log).is_some_and(|queue| queue.turn == SyncTurn::UnderWay)
    }

    /// A sync is over. A failed one is tried again when its time comes again.
    pub fn on_synced(&mut self, now: Instant, job: SyncJob, result: Result<(), StorageError>) {
        if let Some(queue) = self.logs.get_mut(&job.log) {
            match result {
                Ok(()) => queue.sync_failed = false,
                Err(_) => queue.on_sync_failed(job.sync),
            }
            queue.turn = if queue.is_dirty() { SyncTurn::Waiting } else { SyncTurn::None };
            if queue.turn == SyncTurn::Waiting {
                self.dirty.push((now, job.log));
            }
        }
    }

    /// When [`sync_due`](Self::sync_due) has something to do, if no more operations come.
    pub fn next_sync(&self) -> Option<Instant> {
        self.dirty.first().map(|(since, _)| *since + self.options.sync_timeout)
    }

    /// What an operator should know, since the last call.
    pub fn take_events(&mut self) -> Vec<StoreEvent> {
        std::mem::take(&mut self.events)
    }

    /// Writes and removes a small file, to learn whether the disk takes anything; and looks whether logs that could not be
    /// written can be now.
    pub fn probe(&mut self) -> Result<(), StorageError> {
        for (log, error) in std::mem::take(&mut self.failing) {
            // A log that could not even be opened is failing, too.
            let well = self.opened(&log).is_ok();
            if !well || self.logs.get(&log).is_some_and(|queue| queue.probe(&mut self.files).is_err()) {
                self.failing.insert(log, error);
            }
        }
        if let Some(error) = self.failing.values().next() {
            return Err(error.clone());
        }
        const NAME: &str = "nsqd.probe.tmp";
        let probed = self.files.write_at(NAME, 0, &[0; 64 * 1024]);
        let removed = self.files.remove(NAME);
        probed.and(removed).map_err(|error| error.about(&self.files, NAME))
    }

    /// Replaces the file `name` so that a crash leaves the old or the new one.
    pub fn put_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        super::files::replace(&mut self.files, name, bytes).map_err(|error| error.about(&self.files, name))
    }

    /// The content of the file `name`; `None` if there is none.
    pub fn read_file(&mut self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let size = match self.files.size(name) {
            Ok(size) => size,
            Err(FileError::NotFound) => return Ok(None),
            Err(error) => return Err(error.about(&self.files, name)),
        };
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let len = self.files.read_at(name, 0, &mut bytes).map_err(|error| error.about(&self.files, name))?;
        bytes.truncate(len);
        Ok(Some(bytes))
    }
}
