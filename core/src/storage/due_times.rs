//! When deferred records are due. The reference's record has no field for it, so it stands in a file beside the queue's,
//! which the reference does not know: `<stem>.diskqueue.due.dat`, entries of id, due time and a check sum. An entry is
//! written before its record, and dropped once the file its record is in is gone; what is damaged is ignored, and
//! costs the message its deferral, nothing else.

use std::collections::BTreeMap;

use crate::message::MessageId;
use crate::time::Timestamp;

use super::StorageError;
use super::files::{FileError, Files, replace};

const ENTRY_BYTES: usize = 24;

/// Due times of one log's records.
#[derive(Clone, Debug, Default)]
pub(super) struct DueTimes {
    /// With the number of the file the record is in.
    times: BTreeMap<MessageId, (Timestamp, u64)>,
    /// Entries in the file, stale ones among them.
    written: u64,
}

fn check(id: u64, due: i64) -> u64 {
    let mixed = (id ^ 0x5a4e_5351_4455_4531).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ due as u64;
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn encode<'a>(entries: impl Iterator<Item = (&'a MessageId, Timestamp)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (id, due) in entries {
        bytes.extend_from_slice(&id.0.to_be_bytes());
        bytes.extend_from_slice(&due.as_nanos().to_be_bytes());
        bytes.extend_from_slice(&check(id.0, due.as_nanos()).to_be_bytes());
    }
    bytes
}

impl DueTimes {
    /// Reads the file. `file`: where the records are taken to be, until a compaction tells better.
    pub(super) fn load(name: &str, file: u64, files: &mut impl Files) -> Result<Self, StorageError> {
        let size = match files.size(name) {
            Ok(size) => size,
            Err(FileError::NotFound) => return Ok(Self::default()),
            Err(error) => return Err(error.about(files, name)),
        };
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let len = files.read_at(name, 0, &mut bytes).map_err(|error| error.about(files, name))?;
        let mut loaded = Self { written: size / ENTRY_BYTES as u64, ..Self::default() };
        for entry in bytes[..len].chunks_exact(ENTRY_BYTES) {
            let word = |at: usize| entry[at..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            let (id, due) = (word(0), word(8) as i64);
            if check(id, due) == word(16) {
                loaded.times.insert(MessageId(id), (Timestamp::from_nanos(due), file));
            }
        }
        Ok(loaded)
    }

    /// Notes due times of records about to be written, each with the number of the file it will be in. Synced with them.
    pub(super) fn add(
        &mut self,
        name: &str,
        entries: &[(MessageId, Timestamp, u64)],
        files: &mut impl Files,
    ) -> Result<(), StorageError> {
        let bytes = encode(entries.iter().map(|(id, due, _)| (id, *due)));
        files.write_at(name, self.written * ENTRY_BYTES as u64, &bytes).map_err(|error| error.about(files, name))?;
        self.written += entries.len() as u64;
        self.times.extend(entries.iter().map(|&(id, due, file)| (id, (due, file))));
        Ok(())
    }

    /// When the record of `id` is due, if it was deferred.
    pub(super) fn due(&self, id: MessageId) -> Option<Timestamp> {
        self.times.get(&id).map(|&(due, _)| due)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Forgets records in files before `file`, and shrinks the file if it is mostly about those. Never fails: at worst the
    /// file stays as long as it is.
    pub(super) fn forget_before(&mut self, name: &str, file: u64, files: &mut impl Files) {
        self.times.retain(|_, (_, in_file)| *in_file >= file);
        if self.written > 1024 && self.written > 4 * self.times.len() as u64 {
            let bytes = encode(self.times.iter().map(|(id, &(due, _))| (id, due)));
            if replace(files, name, &bytes).is_ok() {
                self.written = self.times.len() as u64;
            }
        }
    }

    /// Forgets all records; the file is there still.
    pub(super) fn forget(&mut self) {
        self.times.clear();
    }

    /// Removes the file if no record in it is known.
    pub(super) fn tidy(&mut self, name: &str, files: &mut impl Files) -> Result<(), StorageError> {
        if self.times.is_empty() && !self.is_empty() {
            files.remove(name).map_err(|error| error.about(files, name))?;
            self.written = 0;
        }
        Ok(())
    }
}
