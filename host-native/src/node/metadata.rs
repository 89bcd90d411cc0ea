//! Keeping `nsqd.dat` true: written soon after a topic or channel comes or goes, at once on pause, and on exit.

use std::sync::Arc;
use std::time::Duration;

use sansq_core::metadata::{Metadata, RememberedTopic};
use sansq_core::name::{ChannelName, TopicName};
use sansq_core::storage::StorageError;
use sansq_core::topic::Topic;
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

    /// Creates the topics and channels that the file names, and those that only have queue files: a crash can come between
    /// the first message of a topic and the file.
    pub fn load_metadata(self: &Arc<Self>) -> Result<(), LoadError> {
        let logs = self.storage.unopened()?;
        self.load_named()?;
        for log in logs {
            let (topic, channel) = match log.split_once(':') {
                Some((topic, channel)) => (topic, Some(channel)),
                None => (log.as_str(), None),
            };
            let channel = channel.map(ChannelName::parse).transpose();
            let (Ok(topic), Ok(channel)) = (TopicName::parse(topic), channel) else { continue };
            let known = self.topic(&topic).is_some_and(|cell| {
                cell.view(|topic| channel.as_ref().is_none_or(|channel| topic.has_channel(channel)))
            });
            if !known {
                tracing::warn!("DISKQUEUE({log}): has messages, and nsqd.dat does not name it; taking it up again");
                let cell = self.ensure_topic(&topic);
                if let Some(channel) = channel {
                    self.step(&cell, |topic, now| topic.handle_create_channel(now, &channel));
                }
            }
        }
        Ok(())
    }

    fn load_named(self: &Arc<Self>) -> Result<(), LoadError> {
        let Some(json) = self.storage.read_metadata()? else { return Ok(()) };
        let remembered = Metadata::decode(&json)?.remembered();
        for name in remembered.invalid {
            tracing::warn!("skipping creation of invalid name {name:?} in nsqd.dat");
        }
        for topic in remembered.topics {
            let cell = self.ensure_topic(&topic.name);
            self.step(&cell, |state, now| {
                state.handle_pause(now, topic.paused);
                for (name, paused) in &topic.channels {
                    state.handle_create_channel(now, name);
                    state.handle_pause_channel(now, name, *paused);
                }
            });
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
            let remembered = topics.iter().map(|cell: &Arc<TopicCell>| cell.view(remember));
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

fn remember(topic: &Topic) -> RememberedTopic {
    RememberedTopic {
        name: topic.name().clone(),
        paused: topic.is_paused(),
        channels: topic.channels().map(|(name, paused)| (name.clone(), paused)).collect(),
    }
}
