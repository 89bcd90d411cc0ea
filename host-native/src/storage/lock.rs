//! One nsqd per data path: an exclusive lock on the directory itself, as the reference takes it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Holds the lock until dropped, or until the process ends, however it does.
#[derive(Debug)]
pub struct DataPathLock(#[allow(dead_code)] File);

/// Why a data path cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It is not there, or not to be opened.
    #[error(
        "failed to lock data-path: cannot open directory {path} - {error}; create it, or name another with --data-path"
    )]
    Open {
        /// The directory.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Somebody has it.
    #[error(
        "failed to lock data-path: cannot flock directory {path} - resource temporarily unavailable (possibly in use by another instance of nsqd)"
    )]
    Held {
        /// The directory.
        path: PathBuf,
    },
    /// The lock cannot be taken.
    #[error("failed to lock data-path: cannot flock directory {path} - {error}")]
    Lock {
        /// The directory.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

impl DataPathLock {
    /// Takes the lock on `path`, a directory.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let open = || {
            let directory = File::open(path)?;
            if directory.metadata()?.is_dir() { Ok(directory) } else { Err(std::io::ErrorKind::NotADirectory.into()) }
        };
        let directory = open().map_err(|error| LockError::Open { path: path.to_owned(), error })?;
        match directory.try_lock() {
            Ok(()) => Ok(Self(directory)),
            Err(TryLockError::WouldBlock) => Err(LockError::Held { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(LockError::Lock { path: path.to_owned(), error }),
        }
    }
}
