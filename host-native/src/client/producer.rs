//! A producer: publishes to one nsqd, or to whichever of several is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sansq_core::client::{self as core, PeerId, ProducerOutput, PublishError, Ticket};
use sansq_core::name::TopicName;
use sansq_core::time::Instant;
use tokio::sync::{Notify, oneshot};
use tracing::{debug, warn};

use super::Error;
use super::change::Change;
use super::driver::{Action, Driver, Machine};
use super::options::Options;

/// What a producer needs to be told.
#[derive(Clone, Debug)]
pub struct ProducerBuilder {
    nsqds: Vec<String>,
    options: Options,
}

impl ProducerBuilder {
    /// Publishes to this nsqd too, `host:port` or the path of a Unix socket. With several, they take turns, and one that
    /// cannot be reached is passed over.
    #[must_use]
    pub fn nsqd(mut self, address: impl Into<String>) -> Self {
        self.nsqds.push(address.into());
        self
    }

    /// How long a publish may take, connecting included. 30 s if not said.
    #[must_use]
    pub fn confirm_timeout(mut self, time: Duration) -> Self {
        self.options.client_mut().confirm_timeout = time;
        self
    }

    /// All options at once.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// A producer, on the runtime this is called on. It connects with the first publish.
    ///
    /// # Errors
    /// If an option makes no sense, or there is nobody to publish to.
    pub fn start(self) -> Result<Producer, Error> {
        self.options.check()?;
        if self.nsqds.is_empty() {
            return Err(Error::Nobody);
        }
        let (patience, layers) = (self.options.patience(), self.options.layers()?);
        let options = self.options.into_client();
        let start = |address: &String| {
            let room = Arc::new(Notify::new());
            let machine = ProducerMachine {
                machine: core::Producer::new(address, options.clone()),
                address: Arc::from(address.as_str()),
                callers: HashMap::new(),
                connecting: Vec::new(),
                room: Arc::clone(&room),
                stopped: false,
            };
            Link { driver: Driver::start(machine, patience, layers.clone()), room }
        };
        Ok(Producer {
            shared: Arc::new(Shared { links: self.nsqds.iter().map(start).collect(), turn: AtomicUsize::new(0) }),
        })
    }

    /// As [`start`](Self::start), and connects.
    ///
    /// # Errors
    /// As `start`, or if one of the nsqds cannot be reached.
    pub async fn connect(self) -> Result<Producer, Error> {
        let addresses = self.nsqds.clone();
        let producer = self.start()?;
        for (link, address) in producer.shared.links.iter().zip(addresses) {
            link.connect().await.map_err(|reason| Error::Connect { address, reason })?;
        }
        Ok(producer)
    }
}

struct Link {
    driver: Arc<Driver<ProducerMachine>>,
    /// A publish is over: there is room for another.
    room: Arc<Notify>,
}

struct Shared {
    links: Vec<Link>,
    turn: AtomicUsize,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.links.iter().for_each(Link::stop);
    }
}

/// Publishes messages. Cheap to clone, and used from as many tasks as one likes: what they publish at the same time travels
/// together. It reconnects by itself. Ends with its last clone.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

impl Producer {
    /// Begins to describe a producer.
    pub fn builder() -> ProducerBuilder {
        ProducerBuilder { nsqds: Vec::new(), options: Options::default() }
    }

    /// Publishes one message, and returns when the broker has accepted it.
    ///
    /// # Errors
    /// If it was refused, or could not be sent, or nobody knows (see [`PublishError`]).
    pub async fn publish(&self, topic: &str, body: impl AsRef<[u8]>) -> Result<(), Error> {
        self.send(topic, &[body.as_ref()], Duration::ZERO).await
    }

    /// Publishes several messages with one command: the broker takes all of them or, refusing, none.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn multi_publish<B: AsRef<[u8]>>(&self, topic: &str, bodies: &[B]) -> Result<(), Error> {
        self.send(topic, bodies, Duration::ZERO).await
    }

    /// Publishes one message that is delivered no sooner than `delay` from now, in whole milliseconds.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_deferred(&self, topic: &str, body: impl AsRef<[u8]>, delay: Duration) -> Result<(), Error> {
        self.send(topic, &[body.as_ref()], delay).await
    }

    async fn send<B: AsRef<[u8]>>(&self, topic: &str, bodies: &[B], defer: Duration) -> Result<(), Error> {
        let topic = TopicName::parse(topic).map_err(|_| Error::Topic(topic.to_owned()))?;
        let links = &self.shared.links;
        let first = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        let mut outcome = Err(PublishError::Stopped);
        for step in 0..links.len() {
            outcome = links[first.wrapping_add(step) % links.len()].publish(&topic, bodies, defer).await;
            // Only then is it sure that nobody has it.
            if !matches!(outcome, Err(PublishError::NotConnected(_))) {
                break;
            }
        }
        outcome.map_err(Error::Publish)
    }

    /// Publishes no more. What has been sent and not answered fails.
    pub fn stop(&self) {
        self.shared.links.iter().for_each(Link::stop);
    }
}

impl Link {
    async fn publish<B: AsRef<[u8]>>(
        &self,
        topic: &TopicName,
        bodies: &[B],
        defer: Duration,
    ) -> Result<(), PublishError> {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            let (sender, outcome) = oneshot::channel();
            let sent = self.driver.with_later(|machine, now| {
                let ticket = machine.machine.publish(now, topic, bodies, defer)?;
                machine.callers.insert(ticket, sender);
                Ok(())
            });
            match sent {
                Ok(()) => return outcome.await.unwrap_or(Err(PublishError::Stopped)),
                Err(PublishError::Full) => room.await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect(&self) -> Result<(), String> {
        let (sender, outcome) = oneshot::channel();
        self.driver.with(|machine, now| {
            machine.connecting.push(sender);
            machine.machine.connect(now);
        });
        outcome.await.unwrap_or_else(|_| Err("stopped".to_owned()))
    }

    fn stop(&self) {
        self.driver.with(|machine, now| {
            machine.stopped = true;
            machine.machine.stop(now);
        });
    }
}

struct ProducerMachine {
    machine: core::Producer,
    address: Arc<str>,
    callers: HashMap<Ticket, oneshot::Sender<Result<(), PublishError>>>,
    /// Who waits for a connection.
    connecting: Vec<oneshot::Sender<Result<(), String>>>,
    room: Arc<Notify>,
    stopped: bool,
}

impl ProducerMachine {
    fn on_link(&mut self, outcome: Result<(), String>) {
        match &outcome {
            Ok(()) => debug!("({}) connected", self.address),
            Err(reason) if !self.stopped => warn!("({}) {reason}", self.address),
            Err(_) => {}
        }
        for waiting in self.connecting.drain(..) {
            // Whoever does not wait any more does not want to know.
            drop(waiting.send(outcome.clone()));
        }
    }
}

impl Machine for ProducerMachine {
    fn handle_connected(&mut self, now: Instant, peer: PeerId) {
        self.machine.handle_connected(now, peer);
    }

    fn handle_bytes(&mut self, now: Instant, peer: PeerId, bytes: Bytes) {
        self.machine.handle_bytes(now, peer, bytes);
    }

    fn handle_disconnected(&mut self, now: Instant, peer: PeerId, reason: &str) {
        self.machine.handle_disconnected(now, peer, reason);
    }

    fn handle_producers(&mut self, _: Instant, _: Result<Vec<String>, String>) {}

    fn handle_timeout(&mut self, now: Instant) {
        self.machine.handle_timeout(now);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn poll_action(&mut self) -> Option<Action> {
        loop {
            match self.machine.poll_output()? {
                ProducerOutput::Connect { peer } => {
                    return Some(Action::Connect { peer, address: self.address.clone() });
                }
                ProducerOutput::Send { peer, bytes } => return Some(Action::Send { peer, bytes }),
                ProducerOutput::Upgrade { peer, upgrade, rest } => {
                    return Some(Action::Change { peer, change: Change { upgrade, rest } });
                }
                ProducerOutput::Close { peer } => return Some(Action::Close { peer }),
                ProducerOutput::Up => self.on_link(Ok(())),
                ProducerOutput::Down { reason } => self.on_link(Err(reason)),
                ProducerOutput::Done { ticket, result } => {
                    if let Some(caller) = self.callers.remove(&ticket) {
                        drop(caller.send(result));
                    }
                    self.room.notify_waiters();
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.stopped
    }
}
