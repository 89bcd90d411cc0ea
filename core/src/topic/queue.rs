//! One queue of messages, a topic's own or a channel's: memory up to a limit, then the log. Owns the order (memory before
//! what was read from the log before what is unread there), the count of what is where, and every storage operation on its
//! log. Knows nothing of consumers or fan-out.
//!
//! - New messages go to memory only while the log has nothing unread, so a backlog keeps its order.
//! - What comes back (requeued, timed out) goes to the tail in memory whatever the limit: it was in memory anyway.
//! - An append with nothing unread before it is *taken*: the messages stay here and are never read back.

use std::collections::VecDeque;
use std::time::Duration;

use crate::message::Run;
use crate::name::LogId;
use crate::storage::{Durability, OpId, StorageCompletion, StorageEffect, StorageError, StorageReply};
use crate::time::Instant;

use super::ledger::Ledger;
use super::output::{Event, Outbox};

/// Bytes read from a log at a time.
const READ_BYTES: u32 = 256 * 1024;
/// No reading ahead, and no taking of appends, beyond this many body bytes.
const STAGE_BYTES_MAX: usize = 1024 * 1024;
/// Finished records are released in batches: this many, or what there is after [`RELEASE_DELAY`].
const RELEASE_BATCH: u64 = 1024;
const RELEASE_DELAY: Duration = Duration::from_millis(200);
const APPEND_RETRY_DELAY: Duration = Duration::from_secs(1);
const READ_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Who waits for an append: a number the topic gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// What became of an append, for whoever holds the ticket.
pub(crate) type Settled = (Ticket, Result<(), StorageError>);

/// What a completion brought.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrival {
    /// Messages from the log, with origins; to be staged or deferred.
    pub(crate) runs: Vec<Run>,
    /// The append it completed.
    pub(crate) settled: Option<Settled>,
    /// To be kept in memory, since the append failed and nobody else has them.
    pub(crate) kept: Vec<Run>,
    /// What is not in, since the append failed and the publisher is told.
    pub(crate) refused: Vec<Run>,
}

/// What becomes of an append's messages if it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// The publisher is told and still has them.
    Refuse,
    /// Nobody else has them: they stay, in memory.
    Keep,
    /// The topic's log has them, where they are safe: they are appended again, until that succeeds.
    Retry,
}

#[derive(Clone, Debug)]
struct Append {
    op: OpId,
    runs: Vec<Run>,
    count: u64,
    bytes: usize,
    taken: bool,
    ticket: Ticket,
    on_failure: OnFailure,
    durability: Durability,
    /// The last one before the log closes.
    closes: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    memory: VecDeque<Run>,
    memory_len: usize,
    /// Messages in memory whose record is on the log still.
    memory_logged: usize,
    log: Option<Log>,
}

#[derive(Clone, Debug)]
struct Log {
    id: LogId,
    /// Completions of earlier operations belong to a deleted log of the same name.
    opened_by: OpId,
    /// The opening under way.
    opening: Option<OpId>,
    /// It is open, so that it is known what is unread.
    opened: bool,
    /// Records of earlier operations are gone.
    emptied_by: OpId,
    staged: VecDeque<Run>,
    staged_len: usize,
    staged_bytes: usize,
    unread: u64,
    reading: bool,
    retry_at: Option<Instant>,
    appends: VecDeque<Append>,
    /// Appends that failed and why; they are to be tried again, all at that time.
    failed: Vec<(Append, StorageError)>,
    append_retry_at: Option<Instant>,
    /// Appends that fail are not tried again.
    given_up: bool,
    /// Body bytes of the appends, and how many of them are not taken.
    appending_bytes: usize,
    appending_untaken: usize,
    ledger: Ledger,
    release_at: Option<Instant>,
}

pub(crate) fn messages_in(runs: &[Run]) -> u64 {
    runs.iter().map(|run| u64::from(run.len())).sum()
}

fn bytes_in(run: &Run) -> usize {
    if run.len() == run.batch.len() {
        return run.batch.body_bytes();
    }
    (run.from..run.to).map(|index| run.batch.body_len(index)).sum()
}

impl Queue {
    /// A queue that overflows to the log `id`, or drops its overflow if there is none.
    pub(crate) fn open(id: Option<LogId>, out: &mut Outbox) -> Self {
        let log = id.map(|id| (out.store(&id, StorageEffect::Open), id));
        let log = log.map(|(op, id)| Log {
            opened_by: op,
            opening: Some(op),
            opened: false,
            id,
            emptied_by: OpId(0),
            staged: VecDeque::new(),
            staged_len: 0,
            staged_bytes: 0,
            unread: 0,
            reading: false,
            retry_at: None,
            appends: VecDeque::new(),
            failed: Vec::new(),
            append_retry_at: None,
            given_up: false,
            appending_bytes: 0,
            appending_untaken: 0,
            ledger: Ledger::default(),
            release_at: None,
        });
        Self { log, ..Self::default() }
    }

    pub(crate) fn has_log(&self) -> bool {
        self.log.is_some()
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.opening.is_some())
    }

    /// Messages waiting, in memory and on disk.
    pub(crate) fn depth(&self) -> u64 {
        self.memory_len as u64 + self.log.as_ref().map_or(0, |log| log.unread + log.staged_len as u64)
    }

    /// Messages on their way to the log, not waiting yet.
    pub(crate) fn appending(&self) -> u64 {
        let Some(log) = &self.log else { return 0 };
        let under_way = log.appends.iter().filter(|append| append.op >= log.emptied_by);
        under_way.chain(log.failed.iter().map(|(append, _)| append)).map(|append| append.count).sum()
    }

    /// Messages waiting that are on disk, whether they were read from there or not.
    pub(crate) fn backend_depth(&self) -> u64 {
        self.depth() - (self.memory_len - self.memory_logged) as u64
    }

    /// The runs that [`take`](Self::take) can give without reading, in that order.
    pub(crate) fn at_hand(&self) -> impl Iterator<Item = &Run> {
        self.memory.iter().chain(self.log.iter().flat_map(|log| &log.staged))
    }

    /// Messages that [`take`](Self::take) can give without reading.
    pub(crate) fn takeable(&self) -> usize {
        self.memory_len + self.log.as_ref().map_or(0, |log| log.staged_len)
    }

    /// How many more messages may go to memory now.
    pub(crate) fn room(&self, capacity: usize) -> usize {
        match &self.log {
            Some(log) if log.is_backlogged() => 0,
            _ => capacity.saturating_sub(self.memory_len),
        }
    }

    /// Adds a run at memory's tail; the caller saw to the limit.
    pub(crate) fn push_memory(&mut self, run: Run) {
        self.memory_len += run.len() as usize;
        if run.origin != 0 {
            self.memory_logged += run.len() as usize;
        }
        self.memory.push_back(run);
    }

    /// Takes off memory's tail beyond `capacity`.
    pub(crate) fn truncate_memory(&mut self, capacity: usize) -> Vec<Run> {
        let mut dropped = Vec::new();
        while self.memory_len > capacity {
            let Some(mut run) = self.memory.pop_back() else { break };
            self.memory_len -= run.len() as usize;
            if self.memory_len < capacity {
                let front = run.split_front((capacity - self.memory_len) as u32);
                self.push_memory(front);
            }
            dropped.push(run);
        }
        dropped
    }

    /// Appends `runs` to the log; `false` if there is none. `ticket` is settled by the completion.
    pub(crate) fn append(
        &mut self,
        runs: Vec<Run>,
        durability: Durability,
        ticket: Ticket,
        on_failure: OnFailure,
        out: &mut Outbox,
    ) -> bool {
        let Some(log) = &mut self.log else { return false };
        let bytes = runs.iter().map(bytes_in).sum();
        let taken = log.can_take(bytes);
        let op = out.store(&log.id, StorageEffect::Append { runs: runs.clone(), durability, taken });
        let count = messages_in(&runs);
        log.push_append(Append { op, runs, count, bytes, taken, ticket, on_failure, durability, closes: false });
        true
    }

    /// Adds runs that arrived from the log.
    pub(crate) fn stage(&mut self, run: Run) {
        let Some(log) = &mut self.log else { return };
        log.staged_len += run.len() as usize;
        log.staged_bytes += bytes_in(&run);
        log.staged.push_back(run);
    }

    /// Takes up to `count` messages of one run, stopping after the message that uses up `window` body bytes.
    pub(crate) fn take(&mut self, count: u32, window: i64) -> Option<Run> {
        if count == 0 || window <= 0 {
            return None;
        }
        if let Some(run) = take_front(&mut self.memory, count, window) {
            self.memory_len -= run.len() as usize;
            if run.origin != 0 {
                self.memory_logged -= run.len() as usize;
            }
            return Some(run);
        }
        let log = self.log.as_mut()?;
        let run = take_front(&mut log.staged, count, window)?;
        log.staged_len -= run.len() as usize;
        log.staged_bytes -= bytes_in(&run);
        Some(run)
    }

    /// Reads on if the log has more and there is place for it. Called while somebody wants messages.
    pub(crate) fn read_ahead(&mut self, out: &mut Outbox) {
        let Some(log) = &mut self.log else { return };
        if log.unread > 0 && !log.reading && log.retry_at.is_none() && log.staged_bytes < STAGE_BYTES_MAX / 2 {
            log.reading = true;
            out.store(&log.id, StorageEffect::Read { bytes_max: READ_BYTES });
        }
    }

    /// The message that stood at `origin` is done with.
    pub(crate) fn finish(&mut self, now: Instant, origin: u64, out: &mut Outbox) {
        if origin == 0 {
            return;
        }
        let Some(log) = &mut self.log else { return };
        log.ledger.finish(origin);
        match log.ledger.unreleased() {
            0 => {}
            RELEASE_BATCH.. => log.release(out),
            _ => _ = log.release_at.get_or_insert(now + RELEASE_DELAY),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let log = self.log.as_ref()?;
        [log.release_at, log.retry_at, log.append_retry_at].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        let Some(log) = &mut self.log else { return };
        if log.release_at.is_some_and(|at| at <= now) {
            log.release(out);
        }
        if log.retry_at.is_some_and(|at| at <= now) {
            log.retry_at = None;
            if !log.opened {
                log.opening = Some(out.store(&log.id, StorageEffect::Open));
            }
        }
        if log.append_retry_at.is_some_and(|at| at <= now) {
            log.append_retry_at = None;
            for (failed, _) in std::mem::take(&mut log.failed) {
                self.append(failed.runs, failed.durability, failed.ticket, failed.on_failure, out);
            }
        }
    }

    /// The queue is about to close: appends that fail are not tried again, nor kept in memory. Who waits for those that have
    /// failed already.
    pub(crate) fn give_up(&mut self) -> impl Iterator<Item = Settled> {
        let failed = self.log.as_mut().map(|log| {
            log.given_up = true;
            log.append_retry_at = None;
            std::mem::take(&mut log.failed)
        });
        failed.into_iter().flatten().map(|(append, error)| (append.ticket, Err(error)))
    }

    /// Takes in a completion of one of this queue's operations.
    pub(crate) fn handle_completion(&mut self, now: Instant, done: StorageCompletion, out: &mut Outbox) -> Arrival {
        let mut arrival = Arrival::default();
        let Some(log) = self.log.as_mut().filter(|log| done.op >= log.opened_by) else { return arrival };
        let current = done.op >= log.emptied_by;
        let append = log.pop_append(done.op);
        if let Some(append) = append.as_ref().filter(|append| append.closes) {
            if done.result.is_ok() {
                let runs = append.runs.iter();
                let origins = runs.flat_map(|run| (run.from..run.to).map(|index| run.origin_of(index)));
                origins.for_each(|origin| log.ledger.finish(origin));
            }
            log.close(out);
        }
        match (append, done.result) {
            (Some(append), Ok(_)) => {
                arrival.settled = Some((append.ticket, Ok(())));
                if current && append.taken {
                    arrival.runs = append.runs;
                    log.number(&mut arrival.runs);
                } else if current {
                    log.unread += append.count;
                }
            }
            (Some(append), Err(error)) => {
                out.event(Event::StorageFailed { log: log.id.clone(), action: "append", error: error.clone() });
                match append.on_failure {
                    OnFailure::Refuse => {
                        arrival.settled = Some((append.ticket, Err(error)));
                        arrival.refused = if current { append.runs } else { Vec::new() };
                    }
                    OnFailure::Retry | OnFailure::Keep if log.given_up => {
                        arrival.settled = Some((append.ticket, Err(error)));
                    }
                    OnFailure::Retry => {
                        log.append_retry_at.get_or_insert(now + APPEND_RETRY_DELAY);
                        log.failed.push((append, error));
                    }
                    OnFailure::Keep => {
                        arrival.settled = Some((append.ticket, Ok(())));
                        arrival.kept = append.runs;
                    }
                }
            }
            (None, Ok(StorageReply::Opened { unread })) => {
                (log.opening, log.opened) = (None, true);
                if current {
                    log.unread = unread;
                }
            }
            (None, Ok(StorageReply::Records { mut runs, unread })) => {
                log.reading = false;
                if current {
                    log.unread = unread;
                    log.number(&mut runs);
                    arrival.runs = runs;
                }
            }
            (None, Ok(StorageReply::Appended | StorageReply::Done)) => {}
            (None, Err(error)) => {
                let opening = log.opening.take_if(|op| *op == done.op).is_some();
                let reading = !opening && std::mem::take(&mut log.reading);
                if opening || reading {
                    log.retry_at = Some(now + READ_RETRY_DELAY);
                }
                let action = match (opening, reading) {
                    (true, _) => "open",
                    (_, true) => "read",
                    _ => "clean up",
                };
                out.event(Event::StorageFailed { log: log.id.clone(), action, error });
            }
        }
        arrival
    }

    /// Throws all messages away.
    pub(crate) fn empty(&mut self, out: &mut Outbox) {
        self.memory.clear();
        (self.memory_len, self.memory_logged) = (0, 0);
        if let Some(log) = &mut self.log {
            log.forget();
            log.emptied_by = out.store(&log.id, StorageEffect::Empty);
        }
    }

    /// Throws the messages and the log away. Whoever waits for an append waits no longer.
    pub(crate) fn delete(mut self, out: &mut Outbox) -> Vec<Settled> {
        let Some(log) = &mut self.log else { return Vec::new() };
        out.store(&log.id, StorageEffect::Delete);
        let failed = log.failed.drain(..).map(|(append, _)| append);
        log.appends.drain(..).chain(failed).map(|append| (append.ticket, Ok(()))).collect()
    }

    /// Writes everything that is only in memory, and `others`, to the log and closes it. Messages that were on the log
    /// before and are written again are released at their old place, once they are written.
    pub(crate) fn persist(
        &mut self,
        mut others: Vec<Run>,
        durability: Durability,
        ticket: Ticket,
        out: &mut Outbox,
    ) -> bool {
        others.extend(self.memory.drain(..));
        (self.memory_len, self.memory_logged) = (0, 0);
        let Some(log) = &mut self.log else { return false };
        if others.is_empty() {
            log.close(out);
            return false;
        }
        let op = out.store(&log.id, StorageEffect::Append { runs: others.clone(), durability, taken: false });
        let (taken, on_failure) = (false, OnFailure::Refuse);
        let runs = others;
        log.push_append(Append { op, runs, count: 0, bytes: 0, taken, ticket, on_failure, durability, closes: true });
        true
    }
}

impl Log {
    fn is_backlogged(&self) -> bool {
        self.unread > 0 || self.staged_len > 0 || !self.appends.is_empty()
    }

    fn can_take(&self, bytes: usize) -> bool {
        self.opened
            && self.unread == 0
            && self.appending_untaken == 0
            && self.staged_bytes + self.appending_bytes + bytes <= STAGE_BYTES_MAX
    }

    fn push_append(&mut self, append: Append) {
        self.appending_bytes += append.bytes;
        self.appending_untaken += usize::from(!append.taken);
        self.appends.push_back(append);
    }

    /// The oldest append, if it was operation `op`.
    fn pop_append(&mut self, op: OpId) -> Option<Append> {
        let append = self.appends.pop_front_if(|append| append.op == op)?;
        self.appending_bytes -= append.bytes;
        self.appending_untaken -= usize::from(!append.taken);
        Some(append)
    }

    fn number(&mut self, runs: &mut [Run]) {
        for run in runs {
            run.origin = self.ledger.pass(run.len());
        }
    }

    fn release(&mut self, out: &mut Outbox) {
        self.release_at = None;
        let count = self.ledger.release();
        if count > 0 {
            out.store(&self.id, StorageEffect::Release { count });
        }
    }

    fn close(&mut self, out: &mut Outbox) {
        self.release(out);
        self.retry_at = None;
        out.store(&self.id, StorageEffect::Close);
    }

    fn forget(&mut self) {
        self.staged.clear();
        (self.staged_len, self.staged_bytes, self.unread) = (0, 0, 0);
        self.ledger.forget();
        self.release_at = None;
    }
}

fn take_front(runs: &mut VecDeque<Run>, count: u32, window: i64) -> Option<Run> {
    let front = runs.front_mut()?;
    let mut fit = count.min(front.len());
    let mut left = window;
    for (i, index) in (front.from..front.from + fit).enumerate() {
        left -= front.batch.body_len(index) as i64;
        if left <= 0 {
            fit = i as u32 + 1;
            break;
        }
    }
    if fit < front.len() { Some(front.split_front(fit)) } else { runs.pop_front() }
}
