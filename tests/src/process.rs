//! What a running process costs, read from `/proc`: memory, processor time, wake-ups, open files, TCP timers.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Resident memory of process `pid`, bytes.
pub fn memory(pid: u32) -> Result<u64> {
    Ok(field(&fs::read_to_string(format!("/proc/{pid}/status"))?, "VmRSS:")? * 1024)
}

/// The most resident memory that process `pid` had so far, bytes.
pub fn peak_memory(pid: u32) -> Result<u64> {
    Ok(field(&fs::read_to_string(format!("/proc/{pid}/status"))?, "VmHWM:")? * 1024)
}

/// Processor time that `pid` has used, all its threads together.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; after it, user and system time are the 12th and 13th word.
    let words: Vec<&str> = stat.rsplit_once(')').context("no name in stat")?.1.split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64> { Ok(words.get(index).context("stat is short")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / clock_ticks_per_second()))
}

/// How often threads of `pid` went to sleep, which is how often they woke, while `time` passed.
pub fn wake_ups(pid: u32, time: Duration) -> Result<u64> {
    let before = sleeps(pid)?;
    std::thread::sleep(time);
    // A thread that is gone meanwhile was idle for long; one that came has woken since.
    let woken = |(thread, count): (&PathBuf, &u64)| count - before.get(thread).copied().unwrap_or(0);
    Ok(sleeps(pid)?.iter().map(woken).sum())
}

/// How often each thread went to sleep so far.
fn sleeps(pid: u32) -> Result<BTreeMap<PathBuf, u64>> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path();
        // It may be gone by now.
        if let Ok(status) = fs::read_to_string(path.join("status")) {
            threads.insert(path, field(&status, "voluntary_ctxt_switches:")?);
        }
    }
    Ok(threads)
}

/// How many files, sockets among them, `pid` has open.
pub fn open_files(pid: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Whether SIGHUP is ignored here, as under `nohup`, and so in every process that is started from here.
pub fn sighup_is_ignored() -> Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).context("no SigIgn")?;
    Ok(u64::from_str_radix(ignored.trim(), 16)? & 1 != 0)
}

/// How many established connections the server at `address` (IPv4) has, and how many of them TCP's keepalive watches.
/// Both ends are in this network namespace, so the server's end is the one whose local address this is.
pub fn connections_at(address: SocketAddr) -> Result<(usize, usize)> {
    let port = format!(":{:04X}", address.port());
    let table = fs::read_to_string("/proc/net/tcp")?;
    let established = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (local, state, timer) = (words.get(1)?, words.get(3)?, words.get(5)?);
        (local.ends_with(&port) && *state == "01").then(|| timer.starts_with("02:"))
    });
    let timers: Vec<bool> = established.collect();
    Ok((timers.len(), timers.iter().filter(|watched| **watched).count()))
}

/// Lets this process, and those it starts from now on, have as many files open as the system allows: how many that is.
pub fn raise_file_limit() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

fn field(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    let number = line.split_whitespace().next().with_context(|| format!("{name} is empty"))?;
    Ok(number.parse()?)
}
