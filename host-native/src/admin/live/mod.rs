//! Pages that are live: `GET /api/live`, Server-Sent Events. One poller asks the cluster, at most one poll at a time, and what it
//! found last is what all watchers are shown; it also keeps the last minutes of it.
//!
//! A watcher is a stream of which its connection takes the next event when its socket has room. So one that is slow misses
//! polls, keeps nothing but the event it has not taken, and holds up nobody. There are [`WATCHERS_MAX`] at most.
//!
//! | event | when | data |
//! |---|---|---|
//! | `state` | at once, then after each poll | `at` (Unix ms), `message`, `view`, and what the view is of |
//! | `trouble` | instead, if there is nothing to show | `at`, `message`, `status`: 404 or 502 |
//! | a comment | after 15 s without an event | |
//!
//! The first event says everything. Of `view=topics` later ones are `partial`: topics that changed, the names of those
//! `removed`, and how many `samples` time has gone on by, of which each topic has the new ones in `append`; a topic that is not
//! named goes on as it was. All other views are complete each time.

mod poll;
#[cfg(test)]
mod scenes;
mod views;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use hyper::StatusCode;
use parking_lot::Mutex;
use sansq_core::cluster::{History, Snapshot, TopicSummary};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::upstream::Upstream;
use crate::config::NsqadminOptions;
use crate::http::respond::Failure;
use poll::Poller;
use views::Shown;
pub(super) use views::View;

/// Pages that watch at the same time.
const WATCHERS_MAX: usize = 512;
/// The time between polls when nobody watches: they are for histories only.
const IDLE_INTERVAL: Duration = Duration::from_secs(15);
/// A connection that has nothing to say for longer says that.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// What the last poll found.
struct State {
    /// Unix time, milliseconds.
    at: i64,
    /// What was wrong.
    message: String,
    /// Why there is nothing.
    found: Result<Found, Failure>,
}

struct Found {
    snapshot: Snapshot,
    /// Of all topics.
    topics: Vec<TopicSummary>,
}

/// What the poller and the watchers share.
pub(super) struct Live {
    interval: Duration,
    last: watch::Sender<Option<Arc<State>>>,
    history: Mutex<History>,
    seats: Arc<Semaphore>,
    /// Watchers that look at clients.
    close_watchers: AtomicUsize,
    /// A poll is wanted at once.
    wanted: Notify,
    /// Somebody came.
    arrived: Notify,
    stopped: watch::Receiver<bool>,
}

impl Live {
    /// `interval`: the time between polls while somebody watches. Watchers end when `stopped` becomes true.
    pub(super) fn new(interval: Duration, stopped: watch::Receiver<bool>) -> Arc<Self> {
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        Arc::new(Self {
            interval,
            last: watch::Sender::new(None),
            history: Mutex::new(History::new(interval_ms)),
            seats: Arc::new(Semaphore::new(WATCHERS_MAX)),
            close_watchers: AtomicUsize::new(0),
            wanted: Notify::new(),
            arrived: Notify::new(),
            stopped,
        })
    }

    /// Polls for ever.
    pub(super) async fn poll(self: Arc<Self>, upstream: Upstream, options: watch::Receiver<NsqadminOptions>) {
        let mut poller = Poller::new(upstream, self.interval);
        loop {
            let started = Instant::now();
            let current = options.borrow().clone();
            let state = poller.poll(&current, self.close_watchers.load(Ordering::Relaxed) > 0).await;
            self.history
                .lock()
                .record(poller.elapsed_ms(started), state.found.as_ref().ok().map(|found| &found.snapshot));
            let before = self.last.send_replace(Some(Arc::new(state)));
            self.log_change(before.as_deref());
            loop {
                let watched = self.seats.available_permits() < WATCHERS_MAX;
                let pause = if watched { self.interval } else { IDLE_INTERVAL.max(self.interval) };
                tokio::select! {
                    () = sleep_until(started + pause) => break,
                    () = self.wanted.notified() => break,
                    () = self.arrived.notified() => {}
                }
            }
        }
    }

    /// What is wrong is logged when it changes: polls are many.
    fn log_change(&self, before: Option<&State>) {
        let last = self.last.borrow();
        let Some(state) = last.as_deref() else { return };
        if before.map_or("", |before| &before.message) == state.message {
            return;
        }
        match state.message.as_str() {
            "" => tracing::info!("LIVE: everybody answers"),
            message => tracing::warn!("LIVE: {message}"),
        }
    }

    /// Something was changed: what there is now will be polled at once.
    pub(super) fn want(&self) {
        self.wanted.notify_one();
    }

    /// The events of a view, until the daemon stops. `TOO_MANY_WATCHERS` if there are.
    pub(super) fn watch(self: &Arc<Self>, view: View) -> Result<impl Stream<Item = Bytes> + use<>, Failure> {
        const FULL: Failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, "TOO_MANY_WATCHERS");
        let seat = self.seats.clone().try_acquire_owned().map_err(|_| FULL)?;
        let mut last = self.last.subscribe();
        let enough = last.borrow().as_deref().is_some_and(|state| view.is_content_with(state));
        // What was polled without clients would show none.
        if enough {
            last.mark_changed()
        } else {
            self.want()
        }
        if view.is_close() {
            self.close_watchers.fetch_add(1, Ordering::Relaxed);
        }
        self.arrived.notify_one();
        let watcher =
            Watcher { live: self.clone(), shown: Shown::new(view), last, stopped: self.stopped.clone(), _seat: seat };
        Ok(futures::stream::unfold(watcher, async |mut watcher| Some((watcher.next().await?, watcher))))
    }
}

/// A page that watches.
struct Watcher {
    live: Arc<Live>,
    shown: Shown,
    last: watch::Receiver<Option<Arc<State>>>,
    stopped: watch::Receiver<bool>,
    _seat: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next event; nothing when the daemon stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            tokio::select! {
                changed = self.last.changed() => changed.ok()?,
                _ = self.stopped.wait_for(|stopped| *stopped) => return None,
                () = sleep(SILENCE_MAX) => return Some(Bytes::from_static(b":\n\n")),
            }
            let state = self.last.borrow_and_update().clone();
            if let Some(event) = state.and_then(|state| self.shown.event(state, &self.live.history)) {
                return Some(event);
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if self.shown.view().is_close() {
            self.live.close_watchers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
