//! One topic's way into its files. A message is finished when it is on disk, not before: when the file is synced, at the
//! sync interval, when as many messages wait as may be in flight, when the broker can send no more, at the end.
//!
//! Runs on a thread of its own: writing and syncing block it and nobody else.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{FutureExt as _, StreamExt as _};
use jiff::Zoned;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::file::{File, Settings};
use super::name::NameFormat;
use crate::client::{Consumer, Message};

/// What the process was told since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Orders {
    /// SIGHUP: files are to be closed.
    pub(super) hang_ups: u64,
    /// SIGTERM, SIGINT.
    pub(super) stop: bool,
}

/// See the [module](self).
pub(super) struct Archive {
    pub(super) settings: Settings,
    pub(super) names: NameFormat,
    pub(super) max_in_flight: usize,
    pub(super) sync_interval: Duration,
    pub(super) skip_empty_files: bool,
    pub(super) file: Option<File>,
    /// Written, and not finished.
    pub(super) pending: Vec<Message>,
}

impl Archive {
    /// Archives until the consumer has stopped.
    pub(super) async fn run(mut self, mut consumer: Consumer, mut orders: watch::Receiver<Orders>) -> Result<()> {
        let control = consumer.control();
        let mut ticks = tokio::time::interval(self.sync_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        ticks.tick().await;
        let (mut stopping, mut hang_ups) = (false, 0);
        loop {
            tokio::select! {
                message = consumer.next() => {
                    let Some(message) = message else { break };
                    self.take(message)?;
                    while let Some(Some(message)) = consumer.next().now_or_never() {
                        self.take(message)?;
                    }
                    if stopping || control.is_starved() {
                        self.sync()?;
                    }
                }
                _ = ticks.tick() => self.on_tick()?,
                Ok(()) = orders.changed() => {
                    let now = *orders.borrow_and_update();
                    if now.stop && !stopping {
                        stopping = true;
                        control.stop();
                        self.sync()?;
                    }
                    if now.hang_ups != hang_ups {
                        hang_ups = now.hang_ups;
                        self.close()?;
                    }
                }
            }
        }
        self.close()
    }

    fn take(&mut self, message: Message) -> Result<()> {
        let time = Zoned::now();
        if self.file.as_ref().is_some_and(|file| file.is_over(&self.settings, &self.names, &time)) {
            self.close()?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.settings, &self.names, &time)?),
        };
        let written = file.write(&self.settings, &message.body);
        written.with_context(|| format!("cannot write to {}", file.path().display()))?;
        self.pending.push(message);
        if self.pending.len() >= self.max_in_flight {
            self.sync()?;
        }
        Ok(())
    }

    /// Finishes what was written, once it is on disk.
    fn sync(&mut self) -> Result<()> {
        if let Some(file) = self.file.as_mut().filter(|_| !self.pending.is_empty()) {
            file.sync().with_context(|| format!("cannot sync {}", file.path().display()))?;
            self.pending.drain(..).for_each(Message::finish);
        }
        Ok(())
    }

    /// Finishes what was written before the file is moved: to another file system that may take longer than a message
    /// may be in flight.
    fn close(&mut self) -> Result<()> {
        self.sync()?;
        match self.file.take() {
            Some(file) => file.close(&self.settings),
            None => Ok(()),
        }
    }

    /// So that a file for each hour is there even if nothing comes, unless nobody wants that.
    fn on_tick(&mut self) -> Result<()> {
        let time = Zoned::now();
        self.sync()?;
        if self.file.as_ref().is_some_and(|file| file.is_over(&self.settings, &self.names, &time)) {
            self.close()?;
        }
        if self.file.is_none() && !self.skip_empty_files {
            self.file = Some(File::open(&self.settings, &self.names, &time)?);
        }
        Ok(())
    }
}
