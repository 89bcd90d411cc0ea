//! A consumer: messages of one topic and channel from all nsqds that have the topic.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use sansq_core::client::{self as core, Event, Output, PeerId};
use sansq_core::message::MessageId;
use sansq_core::name::{ChannelName, TopicName};
use sansq_core::rng::Rng;
use sansq_core::time::{Instant, Timestamp};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::change::Change;
use super::driver::{Action, Driver, Machine};
use super::http::HttpClient;
use super::options::Options;
use super::{Error, lookup};

/// What is called with a message that is given up.
type Hook = Arc<dyn Fn(&core::Message) + Send + Sync>;

/// What a consumer needs to be told before it starts.
#[derive(Clone)]
pub struct ConsumerBuilder {
    topic: String,
    channel: String,
    nsqds: Vec<String>,
    lookupds: Vec<String>,
    options: Options,
    on_give_up: Option<Hook>,
}

impl ConsumerBuilder {
    /// Connects to this nsqd, `host:port` or the path of a Unix socket.
    #[must_use]
    pub fn nsqd(mut self, address: impl Into<String>) -> Self {
        self.nsqds.push(address.into());
        self
    }

    /// Asks this nsqlookupd, `host:port` of its HTTP side, which nsqds have the topic.
    #[must_use]
    pub fn lookupd(mut self, address: impl Into<String>) -> Self {
        self.lookupds.push(address.into());
        self
    }

    /// The most messages held at once. 1 if not said: enough for one after the other, too little for speed.
    #[must_use]
    pub fn max_in_flight(mut self, count: u32) -> Self {
        self.options.client_mut().max_in_flight = count;
        self
    }

    /// A message delivered more often is finished and not handed out; 0 for no limit. 5 if not said.
    #[must_use]
    pub fn max_attempts(mut self, count: u16) -> Self {
        self.options.client_mut().max_attempts = count;
        self
    }

    /// Called with each message that was delivered more than `max_attempts` times, before it is gone for good. It should be
    /// quick, and must not use the consumer: nothing else is done meanwhile.
    #[must_use]
    pub fn on_give_up(mut self, hook: impl Fn(&core::Message) + Send + Sync + 'static) -> Self {
        self.on_give_up = Some(Arc::new(hook));
        self
    }

    /// All options at once.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Starts connecting, on the runtime this is called on. What cannot be reached is tried again and again.
    ///
    /// # Errors
    /// If a name, an address or an option makes no sense, or there is nobody to connect to.
    pub fn start(self) -> Result<Consumer, Error> {
        self.start_with(None)
    }

    /// As [`start`](Self::start), and waits until each nsqd that was named is connected or has failed to.
    ///
    /// # Errors
    /// As `start`, or if one of them could not be reached or refused.
    pub async fn connect(self) -> Result<Consumer, Error> {
        let (sender, mut events) = mpsc::unbounded_channel();
        let mut missing = self.nsqds.clone();
        let consumer = self.start_with(Some(sender))?;
        while !missing.is_empty() {
            match events.recv().await {
                Some(Event::Connected(address)) => missing.retain(|it| **it != *address),
                Some(Event::Disconnected { address, reason }) => {
                    return Err(Error::Connect { address: address.to_string(), reason });
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(consumer)
    }

    fn start_with(mut self, events: Option<mpsc::UnboundedSender<Event>>) -> Result<Consumer, Error> {
        let topic = TopicName::parse(&self.topic).map_err(|_| Error::Topic(self.topic))?;
        let channel = ChannelName::parse(&self.channel).map_err(|_| Error::Channel(self.channel))?;
        self.options.check()?;
        if self.nsqds.is_empty() && self.lookupds.is_empty() {
            return Err(Error::Nobody);
        }
        let lookupds: Result<Vec<String>, Error> =
            self.lookupds.iter().map(|it| lookup::normalize(it).map_err(Error::Lookupd)).collect();
        let (lookupds, patience, layers) = (lookupds?, self.options.patience(), self.options.layers()?);
        let connect_timeout = patience.dial.max(Duration::from_secs(2));
        let http = HttpClient::with_tls(connect_timeout, patience.lookup, self.options.tls_mut())?;
        let options = self.options.into_client();
        let (sender, messages) = mpsc::unbounded_channel();
        let machine = ConsumerMachine {
            secret: options.auth_secret.clone(),
            machine: core::Consumer::new(topic, channel, options, Rng::new(super::seed())),
            http,
            messages: Some(sender),
            on_give_up: self.on_give_up,
            events,
            driver: Weak::new(),
            addresses: BTreeMap::new(),
            now: Instant::ZERO,
        };
        let driver = Driver::start(machine, patience, layers);
        driver.with(|machine, now| {
            machine.driver = Arc::downgrade(&driver);
            self.nsqds.iter().for_each(|address| machine.machine.add_nsqd(now, address));
            lookupds.iter().for_each(|address| machine.machine.add_lookupd(now, address));
        });
        Ok(Consumer { driver, messages })
    }
}

/// Messages of one topic and channel, as they come. A stream of them, or [`run`](Self::run) for a handler.
///
/// Each message has to be finished or requeued. Dropped, a consumer stops; messages that nobody took yet go back to
/// their broker at once.
pub struct Consumer {
    driver: Arc<Driver<ConsumerMachine>>,
    messages: mpsc::UnboundedReceiver<Message>,
}

impl Consumer {
    /// Begins to describe a consumer.
    pub fn builder(topic: impl Into<String>, channel: impl Into<String>) -> ConsumerBuilder {
        ConsumerBuilder {
            topic: topic.into(),
            channel: channel.into(),
            nsqds: Vec::new(),
            lookupds: Vec::new(),
            options: Options::default(),
            on_give_up: None,
        }
    }

    /// Hands every message to `handler`, up to `concurrency` at the same time, until the consumer has stopped. A message is
    /// finished if the handler returns `Ok`, and comes again later, with backoff, if it returns an error.
    pub async fn run<E: std::fmt::Display>(
        mut self,
        concurrency: usize,
        handler: impl AsyncFn(&Message) -> Result<(), E>,
    ) {
        let messages = futures::stream::poll_fn(|context| self.messages.poll_recv(context));
        let handled = messages.for_each_concurrent(concurrency.max(1), async |message| match handler(&message).await {
            Ok(()) => message.finish(),
            Err(error) => {
                warn!("message {} of {}: {error}", message.id, message.nsqd);
                message.requeue(None);
            }
        });
        handled.await;
    }

    /// A handle that can stop the consumer, and change and look at it, from anywhere.
    pub fn control(&self) -> ConsumerControl {
        ConsumerControl { driver: Arc::clone(&self.driver) }
    }
}

impl Stream for Consumer {
    type Item = Message;

    /// Ends when the consumer has stopped.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.poll_recv(context)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.control().stop();
        self.messages.close();
        while let Ok(mut message) = self.messages.try_recv() {
            message.answer(|machine, now, peer, id| machine.requeue(now, peer, id, Some(Duration::ZERO), false));
        }
    }
}

/// See [`Consumer::control`].
#[derive(Clone)]
pub struct ConsumerControl {
    driver: Arc<Driver<ConsumerMachine>>,
}

impl ConsumerControl {
    /// Asks for no more messages; the consumer ends when those it has are answered, after 30 seconds at the latest.
    pub fn stop(&self) {
        self.driver.with(|machine, now| machine.machine.stop(now));
    }

    /// The most messages held at once, from now on; 0 pauses.
    pub fn set_max_in_flight(&self, count: u32) {
        self.driver.with(|machine, now| machine.machine.set_max_in_flight(now, count));
    }

    /// Some connection has handed over nearly all that it may: whoever collects messages should finish some.
    pub fn is_starved(&self) -> bool {
        self.driver.look(|machine| machine.machine.is_starved())
    }

    /// Messages received, finished and requeued so far.
    pub fn stats(&self) -> core::ConsumerStats {
        self.driver.look(|machine| machine.machine.stats())
    }

    /// How many nsqds it is subscribed at.
    pub fn connections(&self) -> usize {
        self.driver.look(|machine| machine.machine.connections().count())
    }
}

/// A message. Finish it or requeue it; dropped, it is requeued as a failure.
pub struct Message {
    /// Unique in its topic on its nsqd.
    pub id: MessageId,
    /// When it was published, by the nsqd's clock.
    pub timestamp: Timestamp,
    /// How often it was delivered, this time included.
    pub attempts: u16,
    /// What was published.
    pub body: Bytes,
    /// Which nsqd it came from.
    pub nsqd: Arc<str>,
    peer: PeerId,
    driver: Weak<Driver<ConsumerMachine>>,
    answered: bool,
}

impl Message {
    /// It is handled.
    pub fn finish(mut self) {
        self.answer(|machine, now, peer, id| machine.finish(now, peer, id));
    }

    /// It could not be handled, and comes again after `delay`, or after a time that grows with its attempts. Leads to backoff.
    pub fn requeue(mut self, delay: Option<Duration>) {
        self.answer(|machine, now, peer, id| machine.requeue(now, peer, id, delay, true));
    }

    /// It is not for now: as [`requeue`](Self::requeue), without backoff.
    pub fn requeue_without_backoff(mut self, delay: Option<Duration>) {
        self.answer(|machine, now, peer, id| machine.requeue(now, peer, id, delay, false));
    }

    /// It needs more time: the broker counts its timeout from now again.
    pub fn touch(&self) {
        if let Some(driver) = self.driver.upgrade() {
            driver.with_later(|machine, now| machine.machine.touch(now, self.peer, self.id));
        }
    }

    fn answer(&mut self, say: impl FnOnce(&mut core::Consumer, Instant, PeerId, MessageId) -> bool) {
        if !std::mem::replace(&mut self.answered, true)
            && let Some(driver) = self.driver.upgrade()
        {
            driver.with_later(|machine, now| say(&mut machine.machine, now, self.peer, self.id));
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.answer(|machine, now, peer, id| machine.requeue(now, peer, id, None, true));
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (id, bytes) = (&self.id, self.body.len());
        write!(f, "Message({id}, attempt {}, {bytes} bytes, from {})", self.attempts, self.nsqd)
    }
}

struct ConsumerMachine {
    machine: core::Consumer,
    secret: String,
    http: HttpClient,
    /// Until the consumer has stopped.
    messages: Option<mpsc::UnboundedSender<Message>>,
    on_give_up: Option<Hook>,
    events: Option<mpsc::UnboundedSender<Event>>,
    driver: Weak<Driver<ConsumerMachine>>,
    addresses: BTreeMap<PeerId, Arc<str>>,
    /// Of the last call.
    now: Instant,
}

impl ConsumerMachine {
    fn hand_out(&mut self, peer: PeerId, message: core::Message) {
        let core::Message { id, timestamp, attempts, body } = message;
        let nsqd = self.addresses.get(&peer).cloned().unwrap_or_default();
        let driver = self.driver.clone();
        let message = Message { id, timestamp, attempts, body, nsqd, peer, driver, answered: false };
        if let Some(messages) = &self.messages
            && let Err(mpsc::error::SendError(mut message)) = messages.send(message)
        {
            // The consumer was dropped. The lock is held here, so the message must not answer for itself.
            message.answered = true;
            self.machine.requeue(self.now, peer, id, Some(Duration::ZERO), false);
        }
    }

    fn on_event(&mut self, event: Event) {
        let (topic, channel) = (self.machine.topic(), self.machine.channel());
        match &event {
            Event::Connected(address) => info!("[{topic}/{channel}] ({address}) connected"),
            Event::Closed(address) => info!("[{topic}/{channel}] ({address}) closed"),
            Event::Disconnected { address, reason } => warn!("[{topic}/{channel}] ({address}) {reason}"),
            Event::Refused { address, error } => warn!("[{topic}/{channel}] ({address}) the broker says {error}"),
            Event::LookupFailed(reason) => warn!("[{topic}/{channel}] error querying nsqlookupd: {reason}"),
            Event::Backoff { level, wait } => {
                warn!("[{topic}/{channel}] backing off for {wait:?} (backoff level {level}), setting all to RDY 0");
            }
            Event::Resumed => info!("[{topic}/{channel}] exiting backoff"),
            Event::Stopped => self.messages = None,
        }
        if self.events.as_ref().is_some_and(|events| events.send(event).is_err()) {
            self.events = None;
        }
    }
}

impl Machine for ConsumerMachine {
    fn handle_connected(&mut self, now: Instant, peer: PeerId) {
        self.now = now;
        self.machine.handle_connected(now, peer);
    }

    fn handle_bytes(&mut self, now: Instant, peer: PeerId, bytes: Bytes) {
        self.now = now;
        self.machine.handle_bytes(now, peer, bytes);
    }

    fn handle_disconnected(&mut self, now: Instant, peer: PeerId, reason: &str) {
        self.now = now;
        self.machine.handle_disconnected(now, peer, reason);
        self.addresses.remove(&peer);
    }

    fn handle_producers(&mut self, now: Instant, answer: Result<Vec<String>, String>) {
        self.machine.handle_producers(now, answer.as_deref().map_err(String::clone));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.machine.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn poll_action(&mut self) -> Option<Action> {
        loop {
            return Some(match self.machine.poll_output()? {
                Output::Connect { peer, address } => {
                    self.addresses.insert(peer, address.clone());
                    Action::Connect { peer, address }
                }
                Output::Send { peer, bytes } => Action::Send { peer, bytes },
                Output::Upgrade { peer, upgrade, rest } => Action::Change { peer, change: Change { upgrade, rest } },
                Output::Close { peer } => {
                    self.addresses.remove(&peer);
                    Action::Close { peer }
                }
                Output::Lookup { lookupd } => Action::Lookup(Box::new(lookup::Question {
                    client: self.http.clone(),
                    address: lookupd.to_string(),
                    topic: self.machine.topic().to_string(),
                    secret: self.secret.clone(),
                })),
                Output::Message { peer, message } => {
                    self.hand_out(peer, message);
                    continue;
                }
                Output::GaveUp { message, .. } => {
                    warn!("message {} attempted {} times, giving up", message.id, message.attempts);
                    if let Some(hook) = &self.on_give_up {
                        hook(&message);
                    }
                    continue;
                }
                Output::Event(event) => {
                    self.on_event(event);
                    continue;
                }
            });
        }
    }

    fn is_over(&self) -> bool {
        self.messages.is_none()
    }
}
