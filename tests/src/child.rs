//! A child process whose standard error is kept line by line, and can be waited on.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// The address behind the first `before` in a line, in a text or in JSON.
fn address(lines: &Lines, before: &str) -> Option<SocketAddr> {
    lines.seen.iter().find_map(|line| line.split_once(before)?.1.split(['"', ' ']).next()?.parse().ok())
}

/// A child process with its log; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    command: String,
    child: Child,
    log: Arc<Log>,
}

impl Process {
    /// Starts it.
    pub(crate) fn spawn(mut command: Command) -> Result<Process> {
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
        Ok(Process { command: format!("{command:?}"), child, log })
    }

    /// Waits until it says where it listens, for TCP and for HTTP. Fails if it exits first, with its last words.
    pub(crate) fn listening(&mut self) -> Result<(SocketAddr, SocketAddr)> {
        let ports = self.log.wait(PATIENCE, |lines| {
            Some((address(lines, "TCP: listening on ")?, address(lines, "HTTP: listening on ")?))
        });
        let Some(ports) = ports else {
            let exit = self.child.try_wait()?;
            bail!("{} did not start ({exit:?}):\n{}", self.command, self.tail());
        };
        Ok(ports)
    }

    /// The same, for one that listens for HTTP only.
    pub(crate) fn listening_http(&mut self) -> Result<SocketAddr> {
        let Some(port) = self.log.wait(PATIENCE, |lines| address(lines, "HTTP: listening on ")) else {
            let exit = self.child.try_wait()?;
            bail!("{} did not start ({exit:?}):\n{}", self.command, self.tail());
        };
        Ok(port)
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Its last words.
    pub(crate) fn tail(&self) -> String {
        self.log.tail(20)
    }

    /// Waits until a logged line contains `text`.
    pub(crate) fn wait_log(&self, text: &str) -> Result<()> {
        let found = |lines: &Lines| lines.seen.iter().any(|line| line.contains(text)).then_some(());
        self.log.wait(PATIENCE, found).ok_or_else(|| anyhow!("{text:?} was not logged:\n{}", self.tail()))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw).context("not a process id")?;
        kill_process(pid, signal).context("cannot signal the daemon")
    }

    /// Waits until it has exited by itself, and its log has ended.
    pub(crate) fn wait_exit(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                self.log.wait(PATIENCE, |lines| lines.closed.then_some(()));
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
