//! What the kernel knows about a daemon: CPU time, memory, context switches. Everything is read from outside, so that any
//! daemon can be measured the same way.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// A process under measurement.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    pid: i32,
}

impl Process {
    /// The process with this id; it has to outlive the measurements, which fail otherwise.
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid: pid.cast_signed() }
    }

    /// User and system time of all its threads, ended ones included. The process's CPU clock counts nanoseconds where
    /// `/proc/PID/stat` counts ticks of 10 ms.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.pid)).context("CPU clock of the daemon")?;
        Ok(clock_gettime(clock)?.into())
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        Ok(field(&status, "VmRSS:").context("no VmRSS in /proc/PID/status")? * 1024)
    }

    /// Context switches so far, voluntary or not, by thread. An idle thread makes none, so each one beyond is a wake-up.
    pub(crate) fn context_switches(self) -> Result<BTreeMap<String, u64>> {
        let mut by_thread = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let task = task?;
            // A thread may end between the listing and the reading.
            let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
            let switches = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"]
                .map(|name| field(&status, name).unwrap_or(0));
            by_thread.insert(task.file_name().to_string_lossy().into_owned(), switches.iter().sum());
        }
        Ok(by_thread)
    }

    /// Waits until the process has come to rest: less than 2 % CPU over 100 ms, so that work it does after answering is counted
    /// and memory is looked at when it is done. Fails after `patience`.
    pub(crate) fn settle(self, patience: Duration) -> Result<()> {
        const WINDOW: Duration = Duration::from_millis(100);
        let begin = Instant::now();
        loop {
            let before = self.cpu()?;
            thread::sleep(WINDOW);
            if self.cpu()? - before < WINDOW / 50 {
                return Ok(());
            }
            if begin.elapsed() > patience {
                bail!("the daemon is still busy after {patience:?}");
            }
        }
    }
}

/// CPU time of the calling thread: what the load generator itself costs.
pub(crate) fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

fn field(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}
