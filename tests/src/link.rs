//! What lies between a test's clients and its daemons: a real [`network`](crate::network) where one can be made, else
//! loopback with [`narrow`] connections.

use std::net::SocketAddr;

use anyhow::Result;

use crate::daemon::{Daemon, Setup};
use crate::disk::skip;
use crate::narrow::{self, Relay};
use crate::network::{DAEMONS, Network};
use crate::nsqd::Nsqd;
use crate::wire::Connection;

/// Slow enough that senders wait for the wire, fast enough for tests.
const MEGABITS_PER_SECOND: u32 = 400;

/// A link.
#[derive(Debug)]
pub enum Link {
    /// Daemons and clients are hosts of their own.
    Network(Network),
    /// Both are on loopback, and connections are narrow.
    Narrow,
}

impl Link {
    /// The best that this user may have here. Where that is no network, a line says why; with `CI=true` it is an error.
    pub fn make() -> Result<Link> {
        match Network::make() {
            Ok(network) => {
                if let Err(why) = network.limit(MEGABITS_PER_SECOND) {
                    skip(&format!("{why:#}; the wire is as fast as can be instead"))?;
                }
                Ok(Link::Network(network))
            }
            Err(why) => skip(&format!("{why:#}; narrow sockets over loopback instead")).map(|()| Link::Narrow),
        }
    }

    /// Starts the nsqd under test on the daemons' side.
    pub fn daemon(&self, flags: &[&str]) -> Result<Daemon> {
        let setup = match self {
            Link::Narrow => Setup::new()?,
            Link::Network(network) => {
                let nsqd = Nsqd::under_test()?.with(&network.among_daemons().join(" "));
                Setup::of(&nsqd)?
                    .flags(["tcp", "http"].map(|port| format!("--{port}-address={DAEMONS}:0")))
                    .flag(format!("--broadcast-address={DAEMONS}"))
            }
        };
        setup.flags(flags.iter().copied()).start()
    }

    /// Runs a test's clients: the sockets, threads and processes of `work` are on their side.
    pub fn clients<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        match self {
            Link::Network(network) => network.as_client(work),
            Link::Narrow => Ok(work()),
        }
    }

    /// Where a program that is a client connects to.
    pub fn address(&self, daemon: &Daemon) -> Result<SocketAddr> {
        match self {
            Link::Network(_) => Ok(daemon.tcp),
            Link::Narrow => Ok(Relay::to(daemon.tcp, narrow::ETHERNET)?.address),
        }
    }

    /// A connection that has sent its magic. To be called among the [clients](Link::clients).
    pub fn open_v2(&self, daemon: &Daemon) -> Result<Connection> {
        match self {
            Link::Network(_) => Connection::open_v2(daemon.tcp),
            Link::Narrow => narrow::ETHERNET.open_v2(daemon.tcp),
        }
    }
}
