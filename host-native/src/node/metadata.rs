//! Keeping `nsqd.dat` true: written soon after a topic or channel comes or goes, at once on pause, and on exit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sansq_core::metadata::{Metadata, Remembered, RememberedTopic};
use sansq_core::storage::StorageError;
use tokio::sync::Notify;

use super::{Node, TopicCell};

/// How long after a failure to write the file again.
const RETRY: Duration = Duration::from_secs(1);

/// Whether the file is behind.
#[derive(Debug, Default)]
pub(super) struct Dirty(Notify);

/// The file cannot be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It is not what nsqd writes.
    #[error(
        "failed to parse metadata in {} - {error}; restore the file, or move it away: topics and channels that have queue files are taken up again, pauses are not",
        .path.display()
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// A file that a version before 1.0 wrote. The order is that of what is known to be right: the last is taken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OldMetadata {
    /// It is of the node's own id.
    is_own: bool,
    modified: SystemTime,
    name: String,
}

/// The files `nsqd.ID.dat` in `data_path`, in order. Symbolic links lead to what is read anyway.
fn old_metadata(data_path: &Path, node_id: u16) -> Vec<OldMetadata> {
    let entries = std::fs::read_dir(data_path).into_iter().flatten().flatten();
    let old = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let id = name.strip_prefix("nsqd.")?.strip_suffix(".dat")?;
        let id: u64 = id.bytes().all(|digit| digit.is_ascii_digit()).then(|| id.parse().ok())??;
        let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some(OldMetadata { is_own: id == u64::from(node_id), modified, name })
    });
    let mut old: Vec<_> = old.collect();
    old.sort();
    old
}

impl Node {
    /// A topic or channel came or went; `ephemeral` ones are not in the file.
    pub(super) fn metadata_changed(&self, ephemeral: bool) {
        if !ephemeral {
            self.dirty.0.notify_one();
        }
    }

    /// Creates the topics and channels that the file names, and those that only have queue files.
    pub fn load_metadata(self: &Arc<Self>) -> Result<(), LoadError> {
        let logs = self.storage.unopened()?;
        let (path, json) = self.read_metadata()?;
        let mut remembered = match json.map(|json| Metadata::decode(&json)).transpose() {
            Ok(metadata) => metadata.map_or_else(Remembered::default, |metadata| metadata.remembered()),
            Err(error) => return Err(LoadError::Parse { path, error }),
        };
        remembered.take_up(logs.iter().map(String::as_str));
        let path = path.display();
        for name in remembered.invalid {
            tracing::warn!("skipping creation of invalid name {name:?} in {path}");
        }
        for log in remembered.taken_up {
            tracing::warn!("DISKQUEUE({log}): has messages, and {path} does not name it; taking it up again");
        }
        for topic in remembered.topics {
            let cell = self.ensure_topic(&topic.name);
            self.step(&cell, |state, now| topic.restore(now, state));
        }
        Ok(())
    }

    /// What is in the file, and where that was read: without a `nsqd.dat`, in that of a version before 1.0, whose name had the
    /// node's id in it. Version 1.0 took such a file over, and left a symbolic link in its place.
    fn read_metadata(&self) -> Result<(PathBuf, Option<Vec<u8>>), LoadError> {
        let path = self.storage.metadata_path();
        let found = self.storage.read_metadata()?;
        let mut old = old_metadata(self.storage.data_path(), self.config.node_id);
        if found.is_some() {
            for OldMetadata { name, .. } in old {
                tracing::info!("{name}, of a version before 1.0, is not read: there is {}", path.display());
            }
            return Ok((path, found));
        }
        let Some(chosen) = old.pop() else { return Ok((path, None)) };
        let OldMetadata { name, .. } = chosen;
        let chosen = self.storage.data_path().join(&name);
        tracing::info!("reading {}, of a version before 1.0, as nsqd.dat", chosen.display());
        for OldMetadata { name, .. } in old {
            let path = self.storage.data_path().join(name);
            tracing::warn!("{} is not read: topics and channels that only it names are not there", path.display());
        }
        Ok((chosen, self.storage.read_file(&name)?))
    }

    /// Writes the file now.
    pub async fn persist_metadata(self: &Arc<Self>) -> Result<(), StorageError> {
        let node = self.clone();
        let written = tokio::task::spawn_blocking(move || {
            // One at a time, and each with the state of its turn: the last one written is the newest.
            let _turn = node.persisting.lock();
            let topics = node.topics();
            let remembered = topics.iter().map(|cell: &Arc<TopicCell>| cell.view(RememberedTopic::of));
            node.storage.put_metadata(&Metadata::new(remembered).encode())
        });
        match written.await {
            Ok(result) => result,
            Err(error) => {
                let file = self.storage.metadata_path().display().to_string();
                Err(StorageError::Io { file, reason: error.to_string() })
            }
        }
    }

    /// Writes the file whenever it is behind, for ever. While it cannot be written, tries again.
    pub async fn keep_metadata(self: Arc<Self>) {
        let mut failing = false;
        loop {
            if failing {
                tokio::time::sleep(RETRY).await;
            } else {
                self.dirty.0.notified().await;
            }
            match self.persist_metadata().await {
                Ok(()) => failing = false,
                Err(error) => {
                    // Said once, not every second.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!("failed to persist metadata - {error}");
                    }
                }
            }
        }
    }
}
