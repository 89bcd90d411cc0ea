//! Keeping `nsqd.dat` true: written soon after a topic or channel comes or goes, at once on pause, and on exit.

use std::sync::Arc;
use std::time::Duration;

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
        "failed to parse metadata in nsqd.dat - {0}; restore the file, or move it away: topics and channels that have queue files are taken up again, pauses are not"
    )]
    Parse(#[from] serde_json::Error),
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
        let mut remembered = match self.storage.read_metadata()? {
            Some(json) => Metadata::decode(&json)?.remembered(),
            None => Remembered::default(),
        };
        remembered.take_up(logs.iter().map(String::as_str));
        for name in remembered.invalid {
            tracing::warn!("skipping creation of invalid name {name:?} in nsqd.dat");
        }
        for log in remembered.taken_up {
            tracing::warn!("DISKQUEUE({log}): has messages, and nsqd.dat does not name it; taking it up again");
        }
        for topic in remembered.topics {
            let cell = self.ensure_topic(&topic.name);
            self.step(&cell, |state, now| topic.restore(now, state));
        }
        Ok(())
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
            Err(error) => Err(StorageError::Io { message: format!("nsqd.dat: {error}") }),
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
