//! The daemons that scenarios share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow};

use super::Scenario;
use crate::daemon::{Daemon, Setup};
use crate::nsqd::Nsqd;

type Shared = Arc<OnceLock<Result<Daemon, String>>>;

/// Daemons by their flags, started when first needed.
#[derive(Debug)]
pub struct Pool {
    nsqd: Nsqd,
    fixtures: PathBuf,
    /// A daemon that runs already, used for everything.
    running: Option<(SocketAddr, SocketAddr)>,
    started: Mutex<BTreeMap<Vec<String>, Shared>>,
}

/// The daemon of one scenario.
#[derive(Debug)]
pub(super) enum Lease {
    /// One that runs elsewhere: its TCP and HTTP addresses.
    Running(SocketAddr, SocketAddr),
    /// One that others use too.
    Shared(Shared),
    /// One that is its own; `None` while it is stopped.
    Own(Option<Daemon>),
    /// Its own, stopped.
    Stopped(Option<Setup>),
}

impl Pool {
    /// Daemons run `nsqd`; `fixtures` holds the data directories that scenarios name.
    pub fn new(nsqd: &Nsqd, fixtures: PathBuf) -> Pool {
        Pool { nsqd: nsqd.clone(), fixtures, running: None, started: Mutex::default() }
    }

    /// Scenarios use the daemon that listens at these addresses, given as `tcp,http`.
    pub fn with_running(mut self, addresses: &str) -> Result<Pool> {
        let (tcp, http) = addresses.split_once(',').context("SANSQ_NSQD_ADDRESS=tcp,http")?;
        self.running = Some((tcp.parse()?, http.parse()?));
        Ok(self)
    }

    /// Stops every shared daemon.
    pub fn close(&self) {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn lease(&self, scenario: &Scenario) -> Result<Lease> {
        if let Some((tcp, http)) = self.running {
            return Ok(Lease::Running(tcp, http));
        }
        let setup = || Ok::<_, anyhow::Error>(Setup::of(&self.nsqd)?.flags(scenario.flags.iter().cloned()));
        if scenario.private {
            let setup = match &scenario.fixture {
                Some(name) => setup()?.copy_in(&self.fixtures.join(name))?,
                None => setup()?,
            };
            return Ok(Lease::Stopped(Some(setup)));
        }
        let slot = {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(started.entry(scenario.flags.clone()).or_default())
        };
        slot.get_or_init(|| setup().and_then(Setup::start).map_err(|error| format!("{error:#}")));
        Ok(Lease::Shared(slot))
    }
}

impl Lease {
    /// TCP and HTTP addresses; fails while the daemon is stopped.
    pub(super) fn addresses(&self) -> Result<(SocketAddr, SocketAddr)> {
        match self {
            Lease::Running(tcp, http) => Ok((*tcp, *http)),
            _ => self.daemon().map(|daemon| (daemon.tcp, daemon.http)),
        }
    }

    /// The daemon, if it is one that we started and that runs.
    pub(super) fn daemon(&self) -> Result<&Daemon> {
        match self {
            Lease::Running(..) => Err(anyhow!("only for a daemon that the tests have started")),
            Lease::Shared(slot) => match slot.get() {
                Some(Ok(daemon)) => Ok(daemon),
                Some(Err(error)) => Err(anyhow!("{error}")),
                None => Err(anyhow!("the shared daemon is not started")),
            },
            Lease::Own(daemon) => daemon.as_ref().context("the daemon is stopped"),
            Lease::Stopped(_) => Err(anyhow!("the daemon is stopped")),
        }
    }

    /// The data directory of a daemon that we started, whether it runs or not.
    pub(super) fn data(&self) -> Result<&Path> {
        match self {
            Lease::Stopped(Some(setup)) => Ok(setup.data()),
            _ => self.daemon().map(Daemon::data),
        }
    }

    /// Starts it, if it is stopped.
    pub(super) fn start(&mut self) -> Result<()> {
        if let Lease::Stopped(setup) = self {
            let setup = setup.take().context("the daemon did not start")?;
            *self = Lease::Own(Some(setup.start()?));
        }
        Ok(())
    }

    /// Stops it by `how`.
    pub(super) fn stop(&mut self, how: impl FnOnce(Daemon) -> Result<Setup>) -> Result<()> {
        let Lease::Own(daemon) = self else { return Err(anyhow!("it does not run")) };
        let daemon = daemon.take().context("it does not run")?;
        *self = Lease::Stopped(Some(how(daemon)?));
        Ok(())
    }
}
