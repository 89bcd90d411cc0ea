//! Pages that are live: `GET /api/live`, Server-Sent Events. One poller asks the cluster, at most one poll at a time, and what it
//! found last is what all watchers are shown; it also keeps the last minutes of it.
//!
//! A watcher is a stream of which its connection takes the next event when its socket has room. So one that is slow misses
//! polls, keeps nothing but the event it has not taken, and holds up nobody; polls of a large cluster wait for it, 5 s at most. There are [`WATCHERS_MAX`] at most.
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

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use hyper::StatusCode;
use parking_lot::Mutex;
use sansq_core::cluster::{ChannelStats, History, Snapshot, TopicStats, TopicSummary};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::upstream::Upstream;
use crate::config::NsqadminOptions;
use crate::http::respond::Failure;
use poll::Poller;
pub(super) use views::View;
use views::{Event, Shown};

/// Pages that watch at the same time.
const WATCHERS_MAX: usize = 512;
/// The time between polls when nobody watches: they are for histories only.
const IDLE_INTERVAL: Duration = Duration::from_secs(15);
/// A connection that has nothing to say for longer says that.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Topics, channels and clients of all nsqds together that are many: about 5 MB.
const LARGE: usize = 10_000;

/// How long the next poll waits for those that still read a large state.
const READING_TIME_MAX: Duration = Duration::from_secs(5);

/// What the last poll found.
struct State {
    /// Unix time, milliseconds.
    at: i64,
    /// What was wrong.
    message: String,
    /// Why there is nothing.
    found: Result<Found, Failure>,
    /// Told when it is let go.
    gone: Arc<Notify>,
}

impl Drop for State {
    fn drop(&mut self) {
        self.gone.notify_one();
    }
}

struct Found {
    snapshot: Snapshot,
    /// Of all topics. Watchers keep what they were shown last, and not the rest with it.
    topics: OnceLock<Arc<Vec<TopicSummary>>>,
}

impl Found {
    fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, topics: OnceLock::new() }
    }

    /// Made for the first who looks at them.
    fn topics(&self) -> &Arc<Vec<TopicSummary>> {
        self.topics.get_or_init(|| Arc::new(self.snapshot.summaries()))
    }
}

impl State {
    fn is_large(&self) -> bool {
        let Ok(found) = &self.found else { return false };
        let topics = found.snapshot.nodes.iter().flat_map(|node| node.topics.iter().flatten());
        let clients = |channel: &ChannelStats| 1 + channel.clients.as_ref().map_or(0, Vec::len);
        let count = |topic: &TopicStats| 1 + topic.channels.iter().map(clients).sum::<usize>();
        topics.map(count).sum::<usize>() > LARGE
    }
}

/// What is wrong is logged when it changes: polls are many.
fn log_change(before: &str, now: &str) {
    match now {
        same if same == before => {}
        "" => tracing::info!("LIVE: everybody answers"),
        message => tracing::warn!("LIVE: {message}"),
    }
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
    /// The thread that polls, on which events are written, too: what is large takes room on one thread.
    pub(super) thread: Handle,
}

impl Live {
    /// `interval`: the time between polls while somebody watches. Watchers end when `stopped` becomes true. `thread`: the
    /// one that polls.
    pub(super) fn new(interval: Duration, stopped: watch::Receiver<bool>, thread: Handle) -> Arc<Self> {
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
            thread,
        })
    }

    /// Polls for ever.
    pub(super) async fn poll(self: Arc<Self>, upstream: Upstream, options: watch::Receiver<NsqadminOptions>) {
        let mut poller = Poller::new(upstream, self.interval);
        let mut message = String::new();
        loop {
            let started = Instant::now();
            let current = options.borrow().clone();
            self.make_room().await;
            let state = poller.poll(&current, self.close_watchers.load(Ordering::Relaxed) > 0).await;
            self.history
                .lock()
                .record(poller.elapsed_ms(started), state.found.as_ref().ok().map(|found| &found.snapshot));
            log_change(&message, &state.message);
            message.clone_from(&state.message);
            // Nobody may look at it before the next poll, and who comes has one made.
            let kept = self.is_watched() || !state.is_large();
            self.last.send_replace(kept.then(|| Arc::new(state)));
            loop {
                let watched = self.is_watched();
                let pause = if watched { self.interval } else { IDLE_INTERVAL.max(self.interval) };
                tokio::select! {
                    () = sleep_until(started + pause) => break,
                    () = self.wanted.notified() => break,
                    () = self.arrived.notified() => {}
                }
            }
        }
    }

    fn is_watched(&self) -> bool {
        self.seats.available_permits() < WATCHERS_MAX
    }

    /// Lets the last state go if it is large: what the next poll finds takes its room. Pages that are opened meanwhile wait
    /// for that; it waits for those that read the last one, for a while.
    async fn make_room(&self) {
        let mut large = None;
        self.last.send_if_modified(|last| {
            if last.as_deref().is_some_and(State::is_large) {
                large = last.take().map(|state| (Arc::downgrade(&state), state.gone.clone()));
            }
            // Nobody is to look.
            false
        });
        let Some((state, gone)) = large else { return };
        let read = async {
            while state.strong_count() > 0 {
                gone.notified().await;
            }
        };
        // Who is slower keeps it longer, and others see news.
        _ = timeout(READING_TIME_MAX, read).await;
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
        let is_close = view.is_close();
        if is_close {
            self.close_watchers.fetch_add(1, Ordering::Relaxed);
        }
        self.arrived.notify_one();
        let watcher = Watcher {
            live: self.clone(),
            shown: Arc::new(Mutex::new(Shown::new(view))),
            event: Event::default(),
            is_close,
            last,
            stopped: self.stopped.clone(),
            _seat: seat,
        };
        Ok(futures::stream::unfold(watcher, async |mut watcher| Some((watcher.next().await?, watcher))))
    }
}

/// A page that watches.
struct Watcher {
    live: Arc<Live>,
    shown: Arc<Mutex<Shown>>,
    /// What is left of the last event.
    event: Event,
    is_close: bool,
    last: watch::Receiver<Option<Arc<State>>>,
    stopped: watch::Receiver<bool>,
    _seat: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next piece of an event; nothing when the daemon stops.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.event.take() {
                return Some(piece);
            }
            tokio::select! {
                changed = self.last.changed() => changed.ok()?,
                _ = self.stopped.wait_for(|stopped| *stopped) => return None,
                () = sleep(SILENCE_MAX) => return Some(Bytes::from_static(b":\n\n")),
            }
            let Some(state) = self.last.borrow_and_update().clone() else { continue };
            let (shown, live) = (self.shown.clone(), self.live.clone());
            let mut writing = JoinSet::new();
            writing.spawn_on(async move { shown.lock().event(state, &live.history) }, &self.live.thread);
            // An error means that it panicked, which was logged, or that the daemon is gone.
            if let Some(event) = writing.join_next().await?.ok()? {
                self.event = event;
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if self.is_close {
            self.live.close_watchers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
