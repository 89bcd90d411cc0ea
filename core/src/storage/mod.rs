//! What the core asks of a disk, and how it is answered. A topic emits numbered [`StorageOp`]s; a host has them carried
//! out and hands back one [`StorageCompletion`] for each. Operations on one log are carried out in the order given, so
//! an implementation may merge all that is outstanding into one write and one sync; between logs there is no order.
//!
//! A log is one queue on disk (a topic's own or a channel's), read once from front to back. Its records are counted,
//! never addressed: `Read` moves a cursor over unread records, `Release` moves the persisted read position over records
//! that are consumed for good. What was read and not released is read again after a crash.
//!
//! [`Store`] carries the operations out on the reference's file format, over the few blocking file primitives of
//! [`Files`]; a host decides on which thread.

mod disk_queue;
mod due_times;
mod files;
mod memory_files;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub use files::{FileError, Files};
pub use memory_files::MemoryFiles;
pub use store::{Store, StoreEvent, StoreOptions, SyncJob};

use crate::message::Run;
use crate::name::LogId;

/// Number of an operation, unique and rising within one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// An operation to carry out.
#[derive(Clone, Debug)]
pub struct StorageOp {
    /// To match the completion.
    pub op: OpId,
    /// The queue concerned.
    pub log: LogId,
    /// What to do.
    pub effect: StorageEffect,
}

/// How far an append must get before it is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Handed to the operating system.
    #[default]
    Written,
    /// On the device.
    Synced,
}

/// What to do with a log.
#[derive(Clone, Debug)]
pub enum StorageEffect {
    /// Open or create it. Answer: [`StorageReply::Opened`]. Comes before any other operation on the log, and again if it
    /// failed.
    Open,
    /// Add `runs` at its end, all or nothing. Each message is stored with its id, timestamp, attempts, due time and body.
    /// `taken`: the topic keeps the messages, so the cursor passes them as if they had been read; only given while
    /// nothing is unread. Answer: [`StorageReply::Appended`].
    Append {
        /// What to store.
        runs: Vec<Run>,
        /// When it counts as stored.
        durability: Durability,
        /// Move the cursor past them.
        taken: bool,
    },
    /// Read on from the cursor: at least one record if there is one, then up to about `bytes_max`.
    /// Answer: [`StorageReply::Records`].
    Read {
        /// Stop after the record that reaches this many bytes.
        bytes_max: u32,
    },
    /// The oldest `count` records passed by the cursor and not yet released are consumed. Answer: [`StorageReply::Done`].
    Release {
        /// How many.
        count: u64,
    },
    /// Throw away all records; the log stays usable. They are gone also if their files cannot be removed just now, or if
    /// this fails. Answer: [`StorageReply::Done`].
    Empty,
    /// Throw away all records and files. The same holds; a log that is opened later under this name is empty.
    /// Answer: [`StorageReply::Done`].
    Delete,
    /// Sync and close it. Answer: [`StorageReply::Done`].
    Close,
}

/// What a carried-out operation answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageReply {
    /// The log is open.
    Opened {
        /// Records past the cursor, which starts at the oldest unreleased record.
        unread: u64,
    },
    /// The append is complete.
    Appended,
    /// Records passed by the cursor.
    Records {
        /// In log order; origins are the topic's to number.
        runs: Vec<Run>,
        /// Records past the cursor now. Corruption can make it less than what was appended.
        unread: u64,
    },
    /// Nothing to tell.
    Done,
}

/// Why an operation failed. The log is as it was before, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// No room on the device.
    #[error("{file}: {NO_SPACE}")]
    Full {
        /// The file, with its whole path where there is one.
        file: String,
    },
    /// Anything else the operating system says.
    #[error("{file}: {reason}")]
    Io {
        /// The file, with its whole path where there is one.
        file: String,
        /// The operating system's words.
        reason: String,
    },
}

const NO_SPACE: &str = "no space left on device";

impl StorageError {
    /// Why, without the file: clients need not know where a broker keeps its files.
    pub fn reason(&self) -> &str {
        match self {
            Self::Full { .. } => NO_SPACE,
            Self::Io { reason, .. } => reason,
        }
    }
}

/// The answer to one operation.
#[derive(Clone, Debug)]
pub struct StorageCompletion {
    /// Which operation.
    pub op: OpId,
    /// Which queue.
    pub log: LogId,
    /// What came of it.
    pub result: Result<StorageReply, StorageError>,
}
