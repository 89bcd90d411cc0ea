//! One queue of messages, a topic's own or a channel's: memory up to a limit, then the log. Owns the order, the count of what
//! is where, and every storage operation on its log. Knows nothing of consumers or fan-out.
//!
//! - *New* messages, which were never delivered, keep their order: memory before what was read from the log before what is
//!   unread there. They go to memory only while the log has nothing unread.
//! - What comes *back* (requeued, timed out, deferred and due) waits apart, in the order it came. While both wait they take
//!   turns, one message each, so neither starves the other. If it is the turn of new messages and they are all unread, what came
//!   back goes on meanwhile, and the log [is to be read](Queue::is_owed).
//! - What comes back stays in memory whatever the limit, up to another one: beyond that it is appended to the log, behind all
//!   that is there. See [`Returned`].
//! - An append with nothing unread before it is *taken*: the messages stay here and are never read back.

use std::collections::VecDeque;
use std::time::Duration;

use crate::message::{Message, Run};
use crate::name::LogId;
use crate::storage::{Durability, OpId, StorageCompletion, StorageEffect, StorageError, StorageReply};
use crate::time::Instant;

use super::ledger::Ledger;
use super::output::{Event, Outbox};
use super::returned::Returned;

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

impl Ticket {
    /// Nobody waits.
    const NOBODY: Self = Self(0);
}

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
    /// To be kept in memory, where they came from, since the append failed.
    pub(crate) returned: Vec<Run>,
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
    /// They had come back, and do so again.
    Return,
}

/// Which message is next while both kinds wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    /// A new one.
    #[default]
    New,
    /// A new one, since one that came back was the last.
    Owed,
    /// One that came back, since a new one was the last.
    Back,
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
    /// New messages; none of them is on the log.
    memory: VecDeque<Run>,
    memory_len: usize,
    returned: Returned,
    turn: Turn,
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
    /// What came back is being appended.
    putting_back: bool,
    /// That failed, and is not tried again before this time.
    put_back_after: Option<Instant>,
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

pub(super) fn bytes_in(run: &Run) -> usize {
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
            putting_back: false,
            put_back_after: None,
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
        let in_memory = (self.memory_len + self.returned.len()) as u64;
        in_memory + self.log.as_ref().map_or(0, |log| log.unread + log.staged_len as u64)
    }

    /// Messages on their way to the log, not waiting yet.
    pub(crate) fn appending(&self) -> u64 {
        let Some(log) = &self.log else { return 0 };
        let under_way = log.appends.iter().filter(|append| append.op >= log.emptied_by);
        under_way.chain(log.failed.iter().map(|(append, _)| append)).map(|append| append.count).sum()
    }

    /// Messages waiting that are on disk, whether they were read from there or not.
    pub(crate) fn backend_depth(&self) -> u64 {
        self.depth() - (self.memory_len + self.returned.len() - self.returned.logged()) as u64
    }

    /// The messages that [`take`](Self::take) can give without reading, in that order.
    pub(crate) fn at_hand(&self) -> impl Iterator<Item = Message<'_>> {
        let new = self.memory.iter().chain(self.log.iter().flat_map(|log| &log.staged));
        let mut new = new.flat_map(Run::messages).peekable();
        let mut returned = self.returned.messages().peekable();
        let mut is_new = self.turn != Turn::Back;
        std::iter::from_fn(move || {
            let takes_new = if is_new { new.peek().is_some() } else { returned.peek().is_none() };
            is_new = !takes_new;
            if takes_new { new.next() } else { returned.next() }
        })
    }

    /// Messages that [`take`](Self::take) can give without reading.
    pub(crate) fn takeable(&self) -> usize {
        self.new_at_hand() + self.returned.len()
    }

    fn new_at_hand(&self) -> usize {
        self.memory_len + self.log.as_ref().map_or(0, |log| log.staged_len)
    }

    /// How many more messages may go to memory now.
    pub(crate) fn room(&self, capacity: usize) -> usize {
        match &self.log {
            Some(log) if log.is_backlogged() => 0,
            _ => capacity.saturating_sub(self.memory_len + self.returned.len()),
        }
    }

    /// Adds a new run, which is on no log, at memory's tail; the caller saw to the limit.
    pub(crate) fn push_memory(&mut self, run: Run) {
        debug_assert_eq!(run.origin, 0);
        self.memory_len += run.len() as usize;
        self.memory.push_back(run);
    }

    /// Adds a run that came back.
    pub(crate) fn push_returned(&mut self, run: Run) {
        self.returned.push(run);
    }

    /// Adds a run that could not be appended. It is behind memory; but if the log has a backlog, nothing tells its place, and it
    /// waits with what came back, so as not to keep the backlog waiting.
    pub(crate) fn push_kept(&mut self, run: Run) {
        match &self.log {
            Some(log) if log.is_backlogged() => self.push_returned(run),
            _ => self.push_memory(run),
        }
    }

    /// Takes off memory's tail beyond `capacity`. What came back stays.
    pub(crate) fn truncate_memory(&mut self, capacity: usize) -> Vec<Run> {
        let capacity = capacity.saturating_sub(self.returned.len());
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

    /// Takes up to `count` messages of one run, stopping after the message that uses up `window` body bytes. While new messages
    /// and others wait, it is one of each in turn.
    pub(crate) fn take(&mut self, count: u32, window: i64) -> Option<Run> {
        if count == 0 || window <= 0 {
            return None;
        }
        if self.returned.is_empty() {
            // A message that comes back is not delivered again before the new one that waits already.
            self.turn = Turn::New;
            return self.take_new(count, window);
        }
        let is_alone = self.new_at_hand() == 0;
        if is_alone || self.turn == Turn::Back {
            self.turn = Turn::Owed;
            return self.returned.take(if is_alone { count } else { 1 }, window);
        }
        self.turn = Turn::Back;
        self.take_new(1, window)
    }

    fn take_new(&mut self, count: u32, window: i64) -> Option<Run> {
        if let Some(run) = take_front(&mut self.memory, count, window) {
            self.memory_len -= run.len() as usize;
            return Some(run);
        }
        let log = self.log.as_mut()?;
        let run = take_front(&mut log.staged, count, window)?;
        log.staged_len -= run.len() as usize;
        log.staged_bytes -= bytes_in(&run);
        Some(run)
    }

    /// Whether a message that came back was delivered last, and no new one is at hand whose turn it is.
    pub(crate) fn is_owed(&self) -> bool {
        self.turn == Turn::Owed && self.new_at_hand() == 0
    }

    /// Whether [too much](Returned::is_crowded) has come back; what is read now would only be more.
    pub(crate) fn is_crowded(&self, capacity: usize) -> bool {
        self.returned.is_crowded(capacity)
    }

    /// Appends what came back last to the log, if it is [too much](Self::is_crowded). One append at a time: until it is completed
    /// its messages are in memory.
    pub(crate) fn put_back(&mut self, now: Instant, capacity: usize, durability: Durability, out: &mut Outbox) {
        let Some(log) = self.log.as_mut().filter(|log| !log.putting_back && !log.given_up) else { return };
        if log.put_back_after.is_some_and(|at| now < at) {
            return;
        }
        log.putting_back = true;
        let runs = self.returned.split_excess(capacity);
        self.append(runs, durability, Ticket::NOBODY, OnFailure::Return, out);
    }

    /// Reads on if the log has more and there is place for it. Called while somebody wants messages.
    pub(crate) fn read_ahead(&mut self, out: &mut Outbox) {
        let Some(log) = &mut self.log else { return };
        let may_read = log.unread > 0 && !log.reading && log.retry_at.is_none() && !log.given_up;
        if may_read && log.staged_bytes < STAGE_BYTES_MAX / 2 {
            log.reading = true;
            out.store(&log.id, StorageEffect::Read { bytes_max: READ_BYTES });
        }
    }

    /// The message that stood at `origin` is done with.
    pub(crate) fn finish(&mut self, now: Instant, origin: u64, out: &mut Outbox) {
        if origin == 0 {
            return;
        }
        if let Some(log) = &mut self.log {
            log.finish(now, origin, out);
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
        if let Some(append) = append.as_ref().filter(|append| append.writes_anew()) {
            log.putting_back &= append.on_failure != OnFailure::Return;
            if done.result.is_ok() {
                let runs = append.runs.iter();
                let origins = runs.flat_map(|run| (run.from..run.to).map(|index| run.origin_of(index)));
                origins.for_each(|origin| log.finish(now, origin, out));
            }
            if append.closes {
                log.close(out);
            }
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
                    OnFailure::Retry | OnFailure::Keep | OnFailure::Return if log.given_up => {
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
                    OnFailure::Return => {
                        log.put_back_after = Some(now + APPEND_RETRY_DELAY);
                        arrival.returned = if current { append.runs } else { Vec::new() };
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
        self.memory_len = 0;
        self.returned = Returned::default();
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
        others.extend(self.returned.drain());
        others.extend(self.memory.drain(..));
        self.memory_len = 0;
        let Some(log) = &mut self.log else { return false };
        if others.is_empty() {
            // What is being written anew is released at its old place before the log closes.
            if let Some(append) = log.appends.iter_mut().find(|append| append.on_failure == OnFailure::Return) {
                (append.ticket, append.closes) = (ticket, true);
                return true;
            }
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

impl Append {
    /// Whether its messages may be on the log already, to be released there once it is completed.
    fn writes_anew(&self) -> bool {
        self.closes || self.on_failure == OnFailure::Return
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

    /// The message that stood at `origin` is done with.
    fn finish(&mut self, now: Instant, origin: u64, out: &mut Outbox) {
        self.ledger.finish(origin);
        match self.ledger.unreleased() {
            0 => {}
            RELEASE_BATCH.. => self.release(out),
            _ => _ = self.release_at.get_or_insert(now + RELEASE_DELAY),
        }
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

/// Takes up to `count` messages of the front run, stopping after the message that uses up `window` body bytes.
pub(super) fn take_front(runs: &mut VecDeque<Run>, count: u32, window: i64) -> Option<Run> {
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
