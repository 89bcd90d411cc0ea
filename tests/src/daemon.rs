//! A running nsqd: started on free loopback ports with a data directory of its own, and gone when dropped.
//!
//! The ports come from the lines that nsqd logs when it listens, so nothing is guessed and daemons can run
//! side by side. Everything the daemon writes to stderr is kept and can be waited on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::child::Process;
use crate::nsqd::{Face, Nsqd};

/// The reference handles signals only a moment after it has begun to listen, and nothing outside shows when.
const REFERENCE_SETTLES: Duration = Duration::from_millis(150);

/// What a daemon is started with. The data directory belongs to this value: it can be started again on it.
#[derive(Debug)]
pub struct Setup {
    nsqd: Nsqd,
    flags: Vec<String>,
    data: TempDir,
}

impl Setup {
    /// The program under test, no flags, an empty data directory.
    pub fn new() -> Result<Setup> {
        Setup::of(Nsqd::under_test()?)
    }

    /// As [`Setup::new`], for the program given.
    pub fn of(nsqd: &Nsqd) -> Result<Setup> {
        let data = tempfile::Builder::new().prefix("sansq-test-").tempdir().context("no temporary directory")?;
        Ok(Setup { nsqd: nsqd.clone(), flags: Vec::new(), data })
    }

    /// Adds a flag. `--tcp-address`, `--http-address` and `--data-path` are given already; a repeated one wins.
    pub fn flag(mut self, flag: impl Into<String>) -> Setup {
        self.flags.push(flag.into());
        self
    }

    /// Adds flags.
    pub fn flags<S: Into<String>>(mut self, flags: impl IntoIterator<Item = S>) -> Setup {
        self.flags.extend(flags.into_iter().map(Into::into));
        self
    }

    /// Puts another program in charge of the same data directory.
    pub fn hand_over(mut self, nsqd: &Nsqd) -> Setup {
        self.nsqd = nsqd.clone();
        self
    }

    /// Copies the files of `from` into the data directory.
    pub fn copy_in(self, from: &Path) -> Result<Setup> {
        for entry in from.read_dir().with_context(|| format!("no directory {}", from.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                std::fs::copy(entry.path(), self.data.path().join(entry.file_name()))?;
            }
        }
        Ok(self)
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Starts the daemon and waits until it listens. Fails if it exits first, with its last words.
    pub fn start(self) -> Result<Daemon> {
        let mut process = Process::spawn(self.command())?;
        let (tcp, http) = process.listening()?;
        Ok(Daemon { setup: self, process, tcp, http, listening_since: Instant::now() })
    }

    /// Starts the daemon in the expectation that it exits by itself: its status and all that it logged.
    pub fn run_to_exit(&self) -> Result<(ExitStatus, String)> {
        let mut process = Process::spawn(self.command())?;
        let status = process.wait_exit()?;
        Ok((status, process.log()))
    }

    fn command(&self) -> Command {
        let mut command = self.nsqd.command();
        command
            .args(["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"])
            .arg(format!("--data-path={}", self.data.path().display()))
            .args(&self.flags);
        command
    }
}

/// A daemon that listens. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    setup: Setup,
    process: Process,
    /// Where it takes the V2 protocol.
    pub tcp: SocketAddr,
    /// Where it takes HTTP.
    pub http: SocketAddr,
    listening_since: Instant,
}

impl Daemon {
    /// Starts the program under test with `flags`.
    pub fn start(flags: &[&str]) -> Result<Daemon> {
        Setup::new()?.flags(flags.iter().copied()).start()
    }

    /// Which answers are expected.
    pub fn face(&self) -> Face {
        self.setup.nsqd.face
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        self.setup.data()
    }

    /// The path of a file in the data directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What the daemon has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until a logged line contains `text`.
    pub fn wait_log(&self, text: &str) -> Result<()> {
        self.process.wait_log(text)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.face() == Face::Reference && signal != Signal::KILL {
            std::thread::sleep(REFERENCE_SETTLES.saturating_sub(self.listening_since.elapsed()));
        }
        self.process.signal(signal)
    }

    /// Waits until the daemon has exited by itself.
    pub fn wait_exit(&mut self) -> Result<ExitStatus> {
        self.process.wait_exit()
    }

    /// Stops the daemon with SIGTERM. Fails unless it exits with status 0.
    pub fn stop(mut self) -> Result<Setup> {
        self.signal(Signal::TERM)?;
        let status = self.wait_exit()?;
        if !status.success() {
            bail!("{status} after SIGTERM:\n{}", self.process.tail());
        }
        Ok(self.setup)
    }

    /// Kills the daemon with SIGKILL, as a crash would.
    pub fn kill(mut self) -> Result<Setup> {
        self.signal(Signal::KILL)?;
        self.wait_exit()?;
        Ok(self.setup)
    }

    /// What a daemon that has exited leaves: it can be started again.
    pub fn stopped(self) -> Setup {
        self.setup
    }

    /// Stops it and starts it again on the same data, with the same flags (on other ports).
    pub fn restart(self) -> Result<Daemon> {
        self.stop()?.start()
    }
}
