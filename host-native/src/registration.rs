//! nsqd's registration with nsqlookupds: one task for each, so that one that hangs delays nobody. What is said, and when, is
//! the core's [`Peer`]; these tasks wait for it.

#[cfg(test)]
mod scenes;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use sansq_core::lookup::{Peer, PeerEvent, PeerInfo, Registration, Renewal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split};
use tokio::net::TcpStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout_at};

use crate::config::{NSQ_VERSION, NsqdOptions, hostname};
use crate::node::Node;
use crate::streams::Stream;

/// Bytes of answers read at a time.
const READ_BYTES: usize = 4096;
/// How long an nsqlookupd may take no commands.
const WRITE_TIME_MAX: Duration = Duration::from_secs(5);

/// Keeps `node` registered with the nsqlookupds that `options` name at any time, for ever.
pub(crate) async fn keep_registered(node: Arc<Node>, mut options: watch::Receiver<NsqdOptions>) {
    let mut tasks: BTreeMap<String, Task> = BTreeMap::new();
    loop {
        let (wanted, info) = {
            let options = options.borrow_and_update();
            (options.lookupd_tcp_addresses.iter().cloned().collect::<BTreeSet<_>>(), info(&options))
        };
        tasks.retain(|address, _| {
            let stays = wanted.contains(address);
            if !stays {
                tracing::info!("LOOKUPD({address}): removing peer");
                node.lookups.set_server(address, None);
            }
            stays
        });
        for address in wanted {
            tasks.entry(address.clone()).or_insert_with(|| {
                tracing::info!("LOOKUPD({address}): adding peer");
                let peer = Peer::new(node.clock.now().mono, info.clone());
                Task(tokio::spawn(Registrar { node: node.clone(), address, peer, last_reason: String::new() }.run()))
            });
        }
        if options.changed().await.is_err() {
            return;
        }
    }
}

fn info(options: &NsqdOptions) -> PeerInfo {
    PeerInfo {
        remote_address: String::new(),
        hostname: hostname(),
        broadcast_address: options.broadcast_address.clone(),
        tcp_port: options.broadcast_tcp_port.into(),
        http_port: options.broadcast_http_port.into(),
        version: NSQ_VERSION.to_owned(),
        topology_zone: options.topology_zone.clone(),
        topology_region: options.topology_region.clone(),
    }
}

async fn connect(address: &str) -> io::Result<Box<dyn Stream>> {
    #[cfg(test)]
    if let Some(stream) = crate::scripted::dial(address) {
        return stream.map(|end| Box::new(end) as Box<dyn Stream>);
    }
    let stream = TcpStream::connect(address).await?;
    // Without it commands are a little late.
    _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Who registers with one nsqlookupd.
struct Registrar {
    node: Arc<Node>,
    address: String,
    peer: Peer,
    /// Why the last attempt failed, which is said once.
    last_reason: String,
}

impl Registrar {
    async fn run(mut self) {
        loop {
            sleep_until(self.node.clock.deadline(self.peer.poll_timeout())).await;
            self.peer.handle_timeout(self.node.clock.now().mono);
            while let Some(event) = self.peer.poll_event() {
                if event == PeerEvent::Connect {
                    let reason = self.attempt().await;
                    self.node.lookups.set_server(&self.address, None);
                    if self.last_reason != reason {
                        tracing::error!("LOOKUPD({}): {reason}; trying again", self.address);
                        self.last_reason = reason;
                    }
                }
            }
        }
    }

    /// One connection: why it ended, or was not made.
    async fn attempt(&mut self) -> String {
        let deadline = self.node.clock.deadline(self.peer.poll_timeout());
        match timeout_at(deadline, connect(&self.address)).await {
            Ok(Ok(stream)) => {
                self.peer.handle_connected(self.node.clock.now().mono);
                self.converse(stream).await
            }
            Ok(Err(error)) => {
                self.fail(format!("cannot connect: {error}"));
                self.failure()
            }
            Err(_) => {
                self.peer.handle_timeout(self.node.clock.now().mono);
                self.failure()
            }
        }
    }

    /// Reads while it writes: an nsqlookupd that is answering reads nothing before its answers are taken, so with small
    /// buffers in between one would wait for the other.
    async fn converse(&mut self, stream: Box<dyn Stream>) -> String {
        let (mut reader, mut writer) = split(stream);
        let mut changes = self.node.lookups.changes();
        let mut renewal = Renewal::new();
        // Topics to register again, when there is nothing else to tell.
        let mut due = Vec::new();
        let mut buffer = [0; READ_BYTES];
        let mut unwritten = BytesMut::new();
        let mut taken_at = self.node.clock.now().mono;
        loop {
            while let Some(event) = self.peer.poll_event() {
                match event {
                    PeerEvent::Failed(reason) => return reason,
                    PeerEvent::Connect => {}
                    PeerEvent::Identified(server) => {
                        // What changes while everything is handed in is told again.
                        changes = self.node.lookups.changes();
                        // Counted before, so that what is published meanwhile is told once too often and not missed.
                        let published = self.node.published();
                        published.iter().for_each(|(topic, messages)| renewal.on_registered(topic, *messages));
                        self.introduce(server);
                    }
                    PeerEvent::Renew => due = renewal.due(self.node.published()),
                }
            }
            if unwritten.is_empty() {
                while self.peer.is_through()
                    && let Some(topic) = due.pop()
                {
                    self.register(self.node.registrations_of_topic(&topic));
                }
                taken_at = self.node.clock.now().mono;
            }
            unwritten.extend_from_slice(&self.peer.take_output());
            let writes = !unwritten.is_empty();
            let deadline = self.node.clock.deadline(self.peer.poll_timeout());
            tokio::select! {
                read = reader.read(&mut buffer) => match read {
                    Ok(0) => self.fail("it closed the connection".to_owned()),
                    Ok(len) => self.peer.handle_bytes(self.node.clock.now().mono, &buffer[..len]),
                    Err(error) => self.fail(format!("the connection broke: {error}")),
                },
                written = writer.write_buf(&mut unwritten), if writes => match written {
                    Ok(_) => taken_at = self.node.clock.now().mono,
                    Err(error) => self.fail(format!("the connection broke: {error}")),
                },
                () = sleep_until(self.node.clock.deadline(taken_at + WRITE_TIME_MAX)), if writes => self.fail("it takes no commands".to_owned()),
                change = changes.recv(), if !writes && self.peer.wants_registrations() => match change {
                    Ok(change) => {
                        if let Some(messages) = self.node.published_to(change.topic()) {
                            renewal.on_registered(change.topic(), messages);
                        }
                        self.register(self.node.registrations_after(change));
                    }
                    Err(RecvError::Lagged(_)) => self.fail("too many changes at once, telling all anew".to_owned()),
                    Err(RecvError::Closed) => self.fail("the node is gone".to_owned()),
                },
                () = sleep_until(deadline) => self.peer.handle_timeout(self.node.clock.now().mono),
            }
        }
    }

    /// Hands in everything there is.
    fn introduce(&mut self, server: Option<sansq_core::lookup::ServerAddress>) {
        tracing::info!("LOOKUPD({}): peer info {server:?}", self.address);
        self.last_reason.clear();
        self.node.lookups.set_server(&self.address, server);
        self.register(self.node.registrations());
    }

    fn register(&mut self, registrations: Vec<Registration>) {
        let now = self.node.clock.now().mono;
        for registration in registrations {
            self.peer.handle_registration(now, registration);
        }
    }

    fn fail(&mut self, reason: String) {
        self.peer.handle_failure(self.node.clock.now().mono, reason);
    }

    /// The failure that was just noticed.
    fn failure(&mut self) -> String {
        match self.peer.poll_event() {
            Some(PeerEvent::Failed(reason)) => reason,
            _ => String::new(),
        }
    }
}
