//! The few file operations the queue files need. A host implements them on its disk, tests and simulations in memory.
//! They block, and are called on whichever thread the host runs its store. Names are relative to the data path.

use super::StorageError;

/// Why a file operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// There is no such file.
    NotFound,
    /// No room on the device.
    Full,
    /// Anything else, in the operating system's words. Never taken for damage to the file: it may pass.
    Other(String),
}

impl FileError {
    /// As a storage error about the file `name` of `files`.
    pub(super) fn about(self, files: &impl Files, name: &str) -> StorageError {
        let file = files.path(name);
        match self {
            FileError::Full => StorageError::Full { file },
            FileError::NotFound => StorageError::Io { file, reason: "no such file".to_owned() },
            FileError::Other(reason) => StorageError::Io { file, reason },
        }
    }
}

/// File operations. Implementations keep handles as they like.
pub trait Files {
    /// Fills `buf` from `offset` on; less only where the file ends. How many bytes.
    fn read_at(&mut self, name: &str, offset: u64, buf: &mut [u8]) -> Result<usize, FileError>;
    /// Writes all of `bytes` at `offset`, creating the file if it is missing. After an error any part may be written.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FileError>;
    /// Cuts the file to `len` bytes.
    fn truncate(&mut self, name: &str, len: u64) -> Result<(), FileError>;
    /// The file's size in bytes.
    fn size(&mut self, name: &str) -> Result<u64, FileError>;
    /// Puts the file's content, and its name, on the device.
    fn sync(&mut self, name: &str) -> Result<(), FileError>;
    /// Renames, replacing `to`. A crash of the machine may undo it.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError>;
    /// Removes the file; a missing one is no error.
    fn remove(&mut self, name: &str) -> Result<(), FileError>;
    /// All file names.
    fn list(&mut self) -> Result<Vec<String>, FileError>;
    /// What people call the file, in the log: its whole path where there is one. That of the data path for an empty name.
    fn path(&self, name: &str) -> String {
        if name.is_empty() { "data path".to_owned() } else { name.to_owned() }
    }
}

/// Replaces the content of `name` so that a crash leaves the old or the new one.
pub(super) fn replace(files: &mut impl Files, name: &str, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = format!("{name}.tmp");
    let written = (|| {
        files.remove(&temporary)?;
        files.write_at(&temporary, 0, bytes)?;
        files.sync(&temporary)?;
        files.rename(&temporary, name)
    })();
    if written.is_err() {
        // Best effort: a stray temporary file is replaced by the next attempt.
        _ = files.remove(&temporary);
    }
    written
}
