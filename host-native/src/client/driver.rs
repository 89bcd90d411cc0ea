//! Runs one of the core's client machines: opens the connections it asks for, carries bytes between them and it, calls it
//! when it wants to be called. One task waits for deadlines, one task reads and writes each connection.
//!
//! Where a machine wants the stream of a connection changed, to TLS or compression, its task stops reading at once, so that
//! everything from there on is read through the new layer, writes what it had begun to write, and goes on above that layer.
//!
//! The machine sits behind a lock that is never held across an await. Whoever has changed it either carries out what it
//! wants at once ([`Driver::with`]) or leaves that to the driver's task ([`Driver::with_later`]), so that a thousand
//! messages that are finished one after the other are written together.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use sansq_core::client::PeerId;
use sansq_core::time::Instant;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::change::{Change, Layers};
use super::lookup;
use super::outbox::Outbox;
use crate::config::ListenAddress;
use crate::node::Clock;
use crate::streams::Stream;
use crate::tls;

/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;
/// How long the end of a connection is read, so that what was written last arrives and what the broker says last is heard.
const LINGER: Duration = Duration::from_secs(1);

/// What a machine wants done.
pub(super) enum Action {
    Connect { peer: PeerId, address: Arc<str> },
    Send { peer: PeerId, bytes: Vec<u8> },
    Change { peer: PeerId, change: Change },
    Close { peer: PeerId },
    Lookup(Box<lookup::Question>),
}

/// A client machine with what surrounds it.
pub(super) trait Machine: Send + 'static {
    fn handle_connected(&mut self, now: Instant, peer: PeerId);
    fn handle_bytes(&mut self, now: Instant, peer: PeerId, bytes: Bytes);
    fn handle_disconnected(&mut self, now: Instant, peer: PeerId, reason: &str);
    fn handle_producers(&mut self, now: Instant, answer: Result<Vec<String>, String>);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_timeout(&self) -> Option<Instant>;
    /// The next thing to do; what does not concern connections is done meanwhile.
    fn poll_action(&mut self) -> Option<Action>;
    /// Nothing will be done any more.
    fn is_over(&self) -> bool;
}

/// The times a connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) dial: Duration,
    pub(super) write: Duration,
    pub(super) lookup: Duration,
}

struct State<M> {
    machine: M,
    /// The writing ends of connections. Dropping one closes it, once written.
    links: HashMap<PeerId, mpsc::UnboundedSender<Vec<u8>>>,
    /// Changes of streams whose connections' tasks have not looked yet; they do at once.
    changes: HashMap<PeerId, Change>,
    /// What the driver's task waits for.
    sleeps_until: Option<Instant>,
}

/// See the [module](self).
pub(super) struct Driver<M> {
    state: Mutex<State<M>>,
    clock: Clock,
    patience: Patience,
    layers: Layers,
    changed: Notify,
}

impl<M: Machine> Driver<M> {
    /// Starts driving `machine` on the runtime of the caller.
    pub(super) fn start(machine: M, patience: Patience, layers: Layers) -> Arc<Self> {
        let state = State { machine, links: HashMap::new(), changes: HashMap::new(), sleeps_until: None };
        let (state, clock) = (Mutex::new(state), Clock::start());
        let driver = Arc::new(Self { state, clock, patience, layers, changed: Notify::new() });
        tokio::spawn(Arc::clone(&driver).keep_time());
        driver
    }

    /// Changes the machine, and carries out what it wants then.
    pub(super) fn with<T>(self: &Arc<Self>, change: impl FnOnce(&mut M, Instant) -> T) -> T {
        let now = self.clock.now().mono;
        let mut state = self.state.lock();
        let result = change(&mut state.machine, now);
        self.carry_out(&mut state);
        result
    }

    /// Changes the machine; what it wants then is carried out soon, with what else there is by then.
    pub(super) fn with_later<T>(&self, change: impl FnOnce(&mut M, Instant) -> T) -> T {
        let now = self.clock.now().mono;
        let result = change(&mut self.state.lock().machine, now);
        self.changed.notify_one();
        result
    }

    /// Looks at the machine.
    pub(super) fn look<T>(&self, look: impl FnOnce(&M) -> T) -> T {
        look(&self.state.lock().machine)
    }

    async fn keep_time(self: Arc<Self>) {
        loop {
            let deadline = {
                let now = self.clock.now().mono;
                let mut state = self.state.lock();
                state.machine.handle_timeout(now);
                self.carry_out(&mut state);
                if state.machine.is_over() {
                    return;
                }
                state.sleeps_until = state.machine.poll_timeout();
                state.sleeps_until
            };
            match deadline {
                Some(at) => {
                    drop(tokio::time::timeout_at(self.clock.deadline(at), self.changed.notified()).await);
                }
                None => self.changed.notified().await,
            }
        }
    }

    fn carry_out(self: &Arc<Self>, state: &mut State<M>) {
        while let Some(action) = state.machine.poll_action() {
            match action {
                Action::Connect { peer, address } => {
                    let (sender, receiver) = mpsc::unbounded_channel();
                    state.links.insert(peer, sender);
                    tokio::spawn(Arc::clone(self).connect(peer, address, receiver));
                }
                Action::Send { peer, bytes } => {
                    if let Some(link) = state.links.get(&peer) {
                        // Its task is gone only if the connection has ended, which the machine is told.
                        drop(link.send(bytes));
                    }
                }
                Action::Change { peer, change } => {
                    state.changes.insert(peer, change);
                }
                Action::Close { peer } => {
                    state.links.remove(&peer);
                }
                Action::Lookup(question) => {
                    tokio::spawn(Arc::clone(self).ask(question));
                }
            }
        }
        let wanted = state.machine.poll_timeout();
        let sooner = wanted.is_some_and(|at| state.sleeps_until.is_none_or(|until| at < until));
        if sooner || state.machine.is_over() {
            self.changed.notify_one();
        }
    }

    async fn ask(self: Arc<Self>, question: Box<lookup::Question>) {
        let answer = match timeout(self.patience.lookup, lookup::ask(&question)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("{}: no answer within {:?}", question.url(), self.patience.lookup)),
        };
        self.with(|machine, now| machine.handle_producers(now, answer));
    }

    /// A connection, from dialling to its end.
    async fn connect(self: Arc<Self>, peer: PeerId, address: Arc<str>, outgoing: mpsc::UnboundedReceiver<Vec<u8>>) {
        let (Ok(reason) | Err(reason)) =
            self.converse(peer, &address, Outbox::new(outgoing, self.patience.write)).await;
        let mut state = self.state.lock();
        state.links.remove(&peer);
        state.changes.remove(&peer);
        let now = self.clock.now().mono;
        state.machine.handle_disconnected(now, peer, &reason);
        self.carry_out(&mut state);
    }

    /// Carries bytes through whatever the stream becomes, until it ends: why it did.
    async fn converse(self: &Arc<Self>, peer: PeerId, address: &str, mut outbox: Outbox) -> Result<String, String> {
        let (mut stream, host) = dial(address, self.patience.dial).await?;
        self.with(|machine, now| machine.handle_connected(now, peer));
        loop {
            match self.carry(peer, &mut stream, &mut outbox).await {
                End::Over(reason) => return Ok(reason),
                End::Change(change) => {
                    outbox.finish(&mut stream).await?;
                    stream = self.layers.put_on(stream, &host, change).await?;
                }
            }
        }
    }

    /// Carries bytes both ways.
    async fn carry(self: &Arc<Self>, peer: PeerId, stream: &mut Box<dyn Stream>, outbox: &mut Outbox) -> End {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = outbox.write_all_there_is(&mut writer);
        let read = async {
            let mut buffer = BytesMut::new();
            loop {
                buffer.reserve(READ_BYTES);
                match reader.read_buf(&mut buffer).await {
                    Ok(0) => return End::closed(),
                    Ok(_) => {
                        if let Some(change) = self.handle_bytes(peer, buffer.split().freeze()) {
                            return End::Change(change);
                        }
                    }
                    // TLS says so where the other side did not say that this is the end. Frames say where they end.
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => return End::closed(),
                    Err(error) => return End::Over(tls::explain(&error, tls::Role::Server)),
                }
            }
        };
        tokio::pin!(write, read);
        tokio::select! {
            end = &mut read => end,
            reason = &mut write => {
                drop(timeout(LINGER, read).await);
                End::Over(reason)
            }
        }
    }

    /// Hands the machine what was read: how the stream changes with it, if it does.
    fn handle_bytes(self: &Arc<Self>, peer: PeerId, bytes: Bytes) -> Option<Change> {
        let now = self.clock.now().mono;
        let mut state = self.state.lock();
        state.machine.handle_bytes(now, peer, bytes);
        self.carry_out(&mut state);
        state.changes.remove(&peer)
    }
}

/// Why a stream carries nothing more as it is.
enum End {
    /// For people.
    Over(String),
    Change(Change),
}

impl End {
    fn closed() -> Self {
        Self::Over("the broker closed the connection".to_owned())
    }
}

/// A connection, and the name that its certificate has to have.
async fn dial(address: &str, patience: Duration) -> Result<(Box<dyn Stream>, String), String> {
    #[cfg(test)]
    if let Some(stream) = crate::scripted::dial(address) {
        return stream
            .map(|end| (Box::new(end) as Box<dyn Stream>, "localhost".to_owned()))
            .map_err(|it| it.to_string());
    }
    let parsed = ListenAddress::parse(address).map_err(|error| error.to_string())?;
    let connecting = async {
        match parsed {
            ListenAddress::Tcp { host, port } => {
                let host = if host.is_empty() { "127.0.0.1".to_owned() } else { host };
                let socket = TcpStream::connect((host.as_str(), port)).await?;
                socket.set_nodelay(true)?;
                Ok((Box::new(socket) as Box<dyn Stream>, host))
            }
            ListenAddress::Unix(path) => {
                let socket = UnixStream::connect(&path).await.map_err(|error| no_socket(&path, error))?;
                Ok((Box::new(socket) as Box<dyn Stream>, "localhost".to_owned()))
            }
        }
    };
    match timeout(patience, connecting).await {
        Ok(connected) => connected.map_err(|error: std::io::Error| error.to_string()),
        Err(_) => Err(format!("cannot connect within {patience:?}")),
    }
}

/// Why there is no connection to the Unix socket at `path`: as a rule, a host was meant.
fn no_socket(path: &Path, error: io::Error) -> io::Error {
    if error.kind() != ErrorKind::NotFound || path.components().count() > 1 {
        return error;
    }
    io::Error::new(error.kind(), "no port is given, as in HOST:PORT, and there is no Unix socket of this name")
}
