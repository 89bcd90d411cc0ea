//! Throwing all records of a log away. They are gone at once, whatever the disk says: the log goes on in a file behind
//! theirs. Files that cannot be removed stay until they can be; positions behind them are written, so that a restart does
//! not bring their records back, unless that cannot be done either.

use crate::storage::StorageError;
use crate::storage::files::Files;

use super::{DiskQueue, Position};

impl DiskQueue {
    /// Throws all records away.
    pub(in crate::storage) fn empty(&mut self, files: &mut impl Files) {
        let last = self.torn.take().unwrap_or(0).max(self.write.file);
        let next = Position::start_of(last + 1);
        (self.released, self.cursor, self.write) = (next, next, next);
        self.passed.clear();
        self.damaged.clear();
        self.unread = 0;
        self.due_times.forget();
        self.unsynced.clear();
        (self.operations, self.sync_failed) = (0, false);
        let again = std::mem::replace(&mut self.littered, true);
        let name = self.metadata_name();
        // Without records there is nothing to know of positions.
        let removed = self.tidy(files).and_then(|()| files.remove(&name).map_err(|error| error.about(files, &name)));
        self.littered = removed.is_err();
        let Err(error) = removed else { return };
        let written = self.sync().run(files);
        if again {
            return;
        }
        let comes_back = if written.is_err() { "; it comes back if nsqd ends before that succeeds" } else { "" };
        self.tell(format!(
            "cannot remove what was thrown away - {error}; it is not delivered any more, and removing it is tried \
             again{comes_back}"
        ));
    }

    /// Whether there are files of records that were thrown away.
    pub(in crate::storage) fn is_littered(&self) -> bool {
        self.littered
    }

    /// Tries again to remove the files of records that were thrown away.
    pub(in crate::storage) fn tidy(&mut self, files: &mut impl Files) -> Result<(), StorageError> {
        if !self.littered {
            return Ok(());
        }
        let mut removed = Ok(());
        let end = self.released.file;
        for file in std::mem::replace(&mut self.oldest, end)..end {
            let name = self.data_name(file);
            if let Err(error) = files.remove(&name) {
                self.oldest = self.oldest.min(file);
                removed = removed.and(Err(error.about(files, &name)));
            }
        }
        let removed = removed.and(self.due_times.tidy(&self.due_name(), files));
        self.littered = removed.is_err();
        removed
    }
}

/// Removes all files of the log `stem`, without a look into them. `found`: numbers of its data files.
pub(in crate::storage) fn remove_files(
    stem: &str,
    found: impl Iterator<Item = u64>,
    files: &mut impl Files,
) -> Result<(), StorageError> {
    let parts = found.map(|number| format!("{number:06}")).chain(["due", "meta"].map(str::to_owned));
    for part in parts {
        let name = format!("{stem}.diskqueue.{part}.dat");
        files.remove(&name).map_err(|error| error.about(files, &name))?;
    }
    Ok(())
}
