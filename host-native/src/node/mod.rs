//! A running nsqd without its sockets: the topics, each behind its own lock, the clients, the storage, and what keeps
//! them together (lazy creation, deletion, metadata, health, exit). TCP and HTTP are built on this and know no other way
//! to a topic.
//!
//! The message path takes one lock, its topic's. The registry's lock is taken when a connection first meets a topic.

mod alarms;
mod clients;
mod clock;
mod lookups;
mod mailbox;
mod metadata;
mod pace;
mod topic_cell;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use sansq_core::config::Config;
use sansq_core::message::Batch;
use sansq_core::name::{ChannelName, LogId, TopicName};
use sansq_core::protocol::{Answer, PublishError, RequestId};
use sansq_core::storage::{StorageCompletion, StorageError};
use sansq_core::topic::{Event, Topic, TopicStats};
use tokio::sync::Notify;

use alarms::Alarms;
pub use clients::{Client, Clients, Identity, Profile, TlsInfo};
pub use clock::Clock;
use lookups::Lookups;
pub use mailbox::{Mail, Mailbox};
pub use metadata::LoadError;
pub use topic_cell::{Stepped, TopicCell};

use crate::storage::StorageHandle;

/// A disk that takes longer to write a small file is not healthy.
const PROBE_TIME_MAX: Duration = Duration::from_secs(5);

/// The node. One per daemon.
pub struct Node {
    /// Limits and defaults.
    pub config: Arc<Config>,
    /// Its time.
    pub clock: Clock,
    /// Who is connected.
    pub clients: Clients,
    /// When it started, Unix seconds.
    pub start_time: i64,
    /// Who is told of topics and channels.
    pub(crate) lookups: Lookups,
    storage: StorageHandle,
    topics: RwLock<BTreeMap<TopicName, Arc<TopicCell>>>,
    generations: AtomicU32,
    seed: u64,
    alarms: Alarms,
    dirty: metadata::Dirty,
    persisting: Mutex<()>,
    exiting: AtomicBool,
    /// The first failure of the storage since it began.
    unsaved: Mutex<Option<Unsaved>>,
    settled: Notify,
}

/// What keeps an exiting node from having everything on disk.
#[derive(Clone, Debug)]
pub struct Unsaved {
    /// The queue concerned, the first one if there are several.
    pub log: LogId,
    /// What the disk says.
    pub error: StorageError,
}

impl Node {
    /// A node without topics on `storage`, and the thread that calls them at their deadlines. `seed` is for chance in
    /// topics.
    pub fn new(config: Config, storage: StorageHandle, seed: u64) -> std::io::Result<Arc<Self>> {
        Self::with_clock(config, storage, seed, Clock::start())
    }

    /// As [`new`](Self::new), by this clock.
    pub(crate) fn with_clock(
        config: Config,
        storage: StorageHandle,
        seed: u64,
        clock: Clock,
    ) -> std::io::Result<Arc<Self>> {
        let known = Arc::new(OnceLock::new());
        let alarms = Alarms::start(clock, known.clone())?;
        let node = Arc::new(Self {
            config: Arc::new(config),
            start_time: clock.now().wall.as_nanos() / 1_000_000_000,
            clock,
            clients: Clients::default(),
            lookups: Lookups::default(),
            storage,
            topics: RwLock::default(),
            generations: AtomicU32::new(0),
            seed,
            alarms,
            dirty: metadata::Dirty::default(),
            persisting: Mutex::new(()),
            exiting: AtomicBool::new(false),
            unsaved: Mutex::default(),
            settled: Notify::new(),
        });
        _ = known.set(Arc::downgrade(&node));
        Ok(node)
    }

    /// The storage this node writes to.
    pub fn storage(&self) -> &StorageHandle {
        &self.storage
    }

    /// The topic, if it exists.
    pub fn topic(&self, name: &TopicName) -> Option<Arc<TopicCell>> {
        self.topics.read().get(name).cloned()
    }

    /// The topic, created if it is missing.
    pub fn ensure_topic(self: &Arc<Self>, name: &TopicName) -> Arc<TopicCell> {
        if let Some(cell) = self.topic(name) {
            return cell;
        }
        let mut topics = self.topics.write();
        if let Some(cell) = topics.get(name) {
            return cell.clone();
        }
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let seed = self.seed ^ u64::from(generation) << 32;
        let topic = Topic::new(name.clone(), self.config.clone(), seed, generation);
        let cell = TopicCell::new(generation, topic, self.clock, self.storage.clone(), self.alarms.clone());
        topics.insert(name.clone(), cell.clone());
        let servers = self.servers_to_ask();
        // Its log opens before anybody else can submit an operation on it: the registry is still locked.
        cell.step(None, &mut Stepped::default(), |topic, now| topic.handle_hold(now, !servers.is_empty()));
        drop(topics);
        tracing::info!("TOPIC({name}): created");
        self.metadata_changed(name.is_ephemeral());
        self.lookups.came(name, None);
        if !servers.is_empty() {
            self.find_channels(cell.clone(), servers);
        }
        cell
    }

    /// Deletes the topic, its channels and files; `false` if there is none.
    pub fn delete_topic(&self, name: &TopicName) -> bool {
        let mut topics = self.topics.write();
        let Some(cell) = topics.remove(name) else { return false };
        let mut stepped = Stepped::default();
        // Still under the registry's lock, so that a successor's operations on its logs come after.
        cell.step(None, &mut stepped, |topic, now| topic.handle_delete(now));
        drop(topics);
        tracing::info!("TOPIC({name}): deleted");
        self.metadata_changed(name.is_ephemeral());
        for event in stepped.events {
            if let Event::ChannelDeleted(channel) = event {
                self.lookups.went(name, Some(&channel));
            }
        }
        self.lookups.went(name, None);
        true
    }

    /// Lets the topic handle one input, on behalf of nobody, and sees to what follows from it.
    pub fn step<T>(
        self: &Arc<Self>,
        cell: &TopicCell,
        handle: impl FnOnce(&mut Topic, sansq_core::time::Now) -> T,
    ) -> T {
        let mut stepped = Stepped::default();
        let result = cell.step(None, &mut stepped, handle);
        self.see_to(cell, stepped.events);
        result
    }

    /// Sees to the events of a step.
    pub fn see_to(self: &Arc<Self>, cell: &TopicCell, events: Vec<Event>) {
        for event in events {
            let topic = cell.view(|topic| topic.name().clone());
            match event {
                Event::ChannelCreated(channel) => {
                    tracing::info!("TOPIC({topic}): new channel({channel})");
                    self.lookups.came(&topic, Some(&channel));
                    self.metadata_changed(topic.is_ephemeral() || channel.is_ephemeral());
                }
                Event::ChannelDeleted(channel) => {
                    tracing::info!("TOPIC({topic}): deleted channel({channel})");
                    self.lookups.went(&topic, Some(&channel));
                    self.metadata_changed(topic.is_ephemeral() || channel.is_ephemeral());
                }
                Event::Unused => {
                    if cell.view(|topic| topic.channels().next().is_none()) {
                        self.delete_topic(&topic);
                    }
                }
                // Not asked for.
                Event::Moved { .. } => {}
                Event::StorageFailed { log, action, error } => {
                    tracing::error!("DISKQUEUE({log}): failed to {action} - {error}");
                    if self.is_exiting() {
                        self.unsaved.lock().get_or_insert(Unsaved { log, error });
                    }
                }
            }
        }
    }

    /// Publishes `batches`; returns when they are as safe as [`Config::publish_ack`] wants.
    pub async fn publish(self: &Arc<Self>, name: &TopicName, batches: Vec<Batch>) -> Result<(), PublishError> {
        let conn = self.clients.next_id();
        let mailbox = Arc::new(Mailbox::default());
        let mut stepped = Stepped::default();
        let mut batches = Some(batches);
        let cell = loop {
            let cell = self.ensure_topic(name);
            cell.attach(conn, &mailbox);
            let exiting = self.is_exiting();
            cell.step(Some(conn), &mut stepped, |topic, now| {
                // Deleted since we looked: the next look makes it anew. At exit the topic refuses by itself.
                if exiting || !topic.is_exiting() {
                    topic.handle_publish(now, conn, RequestId(0), batches.take().unwrap_or_default());
                }
            });
            self.see_to(&cell, std::mem::take(&mut stepped.events));
            if batches.is_none() {
                break cell;
            }
        };
        let answer = match stepped.answers.pop() {
            Some(answer) => Some(answer),
            None => mailbox.next_answer().await,
        };
        cell.detach(conn);
        match answer {
            Some(Answer::Published { result, .. }) => result,
            _ => Err(PublishError::Exiting),
        }
    }

    /// Whether the disk can be written now, found out by writing.
    pub async fn health(self: &Arc<Self>) -> Result<(), String> {
        let storage = self.storage.clone();
        let probe = tokio::task::spawn_blocking(move || storage.probe());
        match tokio::time::timeout(PROBE_TIME_MAX, probe).await {
            Ok(Ok(result)) => result.map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the disk has not answered for {} s", PROBE_TIME_MAX.as_secs())),
        }
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<Arc<TopicCell>> {
        self.topics.read().values().cloned().collect()
    }

    /// Counts of all topics, or of `topic` only; of all their channels, or of `channel` only.
    pub fn stats(
        &self,
        topic: Option<&TopicName>,
        channel: Option<&ChannelName>,
        with_consumers: bool,
    ) -> Vec<TopicStats> {
        let cells = match topic {
            Some(name) => self.topic(name).into_iter().collect(),
            None => self.topics(),
        };
        let now = self.clock.now();
        cells.iter().map(|cell| cell.view(|topic| topic.stats(now, channel, with_consumers))).collect()
    }

    /// Hands in what the storage did. Called on the storage's thread.
    pub fn complete(self: &Arc<Self>, completions: impl IntoIterator<Item = StorageCompletion>) {
        for done in completions {
            if let Some(cell) = self.topic(&done.log.topic) {
                self.step(&cell, |topic, now| topic.handle_completion(now, done));
            }
        }
        self.settled.notify_one();
    }

    /// Tells all connections to close.
    pub fn close_clients(&self) {
        for client in self.clients.all() {
            if let Some(waker) = client.mailbox.post(|mail| mail.close = true) {
                waker.wake();
            }
        }
    }

    /// Waits until every log known so far is open.
    pub async fn opened(&self) {
        self.poll_until(|topic| !topic.is_opening()).await;
    }

    /// Writes what is only in memory to disk. Publishes fail from now on. The sockets should be closed already.
    pub async fn exit(self: &Arc<Self>) {
        self.exiting.store(true, Ordering::Release);
        for cell in self.topics() {
            self.step(&cell, Topic::handle_exit);
        }
        self.poll_until(|topic| !topic.is_settling()).await;
    }

    /// Why not everything is on disk, once the storage has stopped; `None` if it is.
    pub fn unsaved(&self) -> Option<Unsaved> {
        self.unsaved.lock().clone()
    }

    /// Whether [`exit`](Self::exit) has begun.
    pub fn is_exiting(&self) -> bool {
        self.exiting.load(Ordering::Acquire)
    }

    async fn poll_until(&self, reached: impl Fn(&Topic) -> bool) {
        for cell in self.topics() {
            while !cell.view(&reached) {
                self.settled.notified().await;
            }
        }
    }
}
