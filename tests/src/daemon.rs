//! A running nsqd: started on free loopback ports with a data directory of its own, and gone when dropped.
//!
//! The ports come from the lines that nsqd logs when it listens, so nothing is guessed and daemons can run
//! side by side. Everything the daemon writes to stderr is kept and can be waited on.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::nsqd::{Face, Nsqd};

/// How long a daemon may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);
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
        let ports = process.log.wait(PATIENCE, |lines| {
            Some((address(lines, "TCP: listening on ")?, address(lines, "HTTP: listening on ")?))
        });
        let Some((tcp, http)) = ports else {
            let exit = process.child.try_wait()?;
            bail!("{:?} did not start ({exit:?}):\n{}", self.command(), process.log.tail(20));
        };
        Ok(Daemon { setup: self, process, tcp, http, listening_since: Instant::now() })
    }

    /// Starts the daemon in the expectation that it exits by itself: its status and all that it logged.
    pub fn run_to_exit(&self) -> Result<(ExitStatus, String)> {
        let mut process = Process::spawn(self.command())?;
        let status = process.wait_exit()?;
        process.log.wait(PATIENCE, |lines| lines.closed.then_some(()));
        Ok((status, process.log.text()))
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

/// The address behind the first `before` in a line, in a text or in JSON.
fn address(lines: &Lines, before: &str) -> Option<SocketAddr> {
    lines.seen.iter().find_map(|line| line.split_once(before)?.1.split(['"', ' ']).next()?.parse().ok())
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
        self.process.child.id()
    }

    /// What the daemon has logged so far.
    pub fn log(&self) -> String {
        self.process.log.text()
    }

    /// Waits until a logged line contains `text`.
    pub fn wait_log(&self, text: &str) -> Result<()> {
        let found = |lines: &Lines| lines.seen.iter().any(|line| line.contains(text)).then_some(());
        let log = &self.process.log;
        log.wait(PATIENCE, found).ok_or_else(|| anyhow!("{text:?} was not logged:\n{}", log.tail(20)))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.face() == Face::Reference && signal != Signal::KILL {
            std::thread::sleep(REFERENCE_SETTLES.saturating_sub(self.listening_since.elapsed()));
        }
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("not a process id")?;
        kill_process(pid, signal).context("cannot signal the daemon")
    }

    /// Waits until the daemon has exited by itself.
    pub fn wait_exit(&mut self) -> Result<ExitStatus> {
        let status = self.process.wait_exit()?;
        self.process.log.wait(PATIENCE, |lines| lines.closed.then_some(()));
        Ok(status)
    }

    /// Stops the daemon with SIGTERM. Fails unless it exits with status 0.
    pub fn stop(mut self) -> Result<Setup> {
        self.signal(Signal::TERM)?;
        let status = self.wait_exit()?;
        if !status.success() {
            bail!("{status} after SIGTERM:\n{}", self.process.log.tail(20));
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

/// A child process with its log; killed when dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    log: Arc<Log>,
}

impl Process {
    fn spawn(mut command: Command) -> Result<Process> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let log = Arc::new(Log::default());
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                writer.push(String::from_utf8_lossy(&line).into_owned());
            }
            writer.close();
        });
        Ok(Process { child, log })
    }

    fn wait_exit(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("it is still running after {PATIENCE:?}:\n{}", self.log.tail(20))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either may fail when the process has exited already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, Default)]
struct Lines {
    seen: Vec<String>,
    closed: bool,
}

/// The lines a process has written to stderr.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Lines>,
    grown: Condvar,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        self.lock().seen.push(line);
        self.grown.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.grown.notify_all();
    }

    /// Waits until `find` finds something; gives up at the end of the log or after `patience`.
    fn wait<T>(&self, patience: Duration, find: impl Fn(&Lines) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut lines = self.lock();
        loop {
            if let Some(found) = find(&lines) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.closed || left.is_zero() {
                return None;
            }
            lines = self.grown.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn text(&self) -> String {
        self.lock().seen.join("\n")
    }

    fn tail(&self, count: usize) -> String {
        let lines = self.lock();
        lines.seen[lines.seen.len().saturating_sub(count)..].join("\n")
    }
}
