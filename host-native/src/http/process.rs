//! What the operating system says about this process, read from `/proc`. Where there is none, nothing is known, and what
//! is not known is left out or shown as zero. These files are made while they are read, which can take milliseconds for a
//! large process, so nothing here is for a thread that serves connections.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// The unit of processor times in `/proc`: `USER_HZ`, which Linux fixes at 100 for programs.
const TICKS_PER_SECOND: u64 = 100;

/// The `memory` block of `/stats`, with the keys of a process that has a garbage collector. Here nothing is idle, nothing
/// waits to be collected and nobody pauses, so one of them says something.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Memory {
    heap_objects: u64,
    heap_idle_bytes: u64,
    /// Memory that is resident.
    heap_in_use_bytes: u64,
    heap_released_bytes: u64,
    gc_pause_usec_100: u64,
    gc_pause_usec_99: u64,
    gc_pause_usec_95: u64,
    next_gc_bytes: u64,
    gc_total_runs: u64,
}

impl Memory {
    /// Names and values, in the order of the keys.
    pub(crate) fn lines(&self) -> [(&'static str, u64); 9] {
        [
            ("heap_objects", self.heap_objects),
            ("heap_idle_bytes", self.heap_idle_bytes),
            ("heap_in_use_bytes", self.heap_in_use_bytes),
            ("heap_released_bytes", self.heap_released_bytes),
            ("gc_pause_usec_100", self.gc_pause_usec_100),
            ("gc_pause_usec_99", self.gc_pause_usec_99),
            ("gc_pause_usec_95", self.gc_pause_usec_95),
            ("next_gc_bytes", self.next_gc_bytes),
            ("gc_total_runs", self.gc_total_runs),
        ]
    }
}

/// The `memory` block.
pub(crate) fn memory() -> Memory {
    let resident = status_bytes(&read("/proc/self/status"), "VmRSS");
    Memory { heap_in_use_bytes: resident.unwrap_or(0), ..Memory::default() }
}

/// What the process uses of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// On all processors, since it started.
    pub(super) cpu: Option<Duration>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
    pub(super) threads: Option<u64>,
}

/// What is used now.
pub(super) fn usage() -> Usage {
    let status = read("/proc/self/status");
    Usage {
        cpu: cpu_times(&read("/proc/self/stat")).map(|(user, system)| user + system),
        resident_bytes: status_bytes(&status, "VmRSS"),
        virtual_bytes: status_bytes(&status, "VmSize"),
        open_fds: fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
        max_fds: max_fds(&read("/proc/self/limits")),
        threads: status_field(&status, "Threads").and_then(|threads| threads.parse().ok()),
    }
}

/// A thread of the process.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    pub(super) id: u64,
    pub(super) name: String,
    /// One letter: R runs, S sleeps, D waits for a disk.
    pub(super) state: String,
    pub(super) user: Duration,
    pub(super) system: Duration,
    /// Times it gave up its processor to wait.
    pub(super) waits: u64,
    /// Times its processor was taken from it.
    pub(super) preemptions: u64,
    /// Where in the kernel it sleeps, if the kernel tells.
    pub(super) wait_channel: String,
}

/// The threads of the process, oldest first.
pub(super) fn threads() -> Vec<Thread> {
    let ids = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut ids: Vec<u64> = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    ids.into_iter().filter_map(thread).collect()
}

/// `None` if the thread is gone.
fn thread(id: u64) -> Option<Thread> {
    let file = |name: &str| read(&format!("/proc/self/task/{id}/{name}"));
    let status = file("status");
    let (user, system) = cpu_times(&file("stat"))?;
    let count = |key| status_field(&status, key).and_then(|count| count.parse().ok()).unwrap_or(0);
    let wait_channel = file("wchan");
    Some(Thread {
        id,
        name: status_field(&status, "Name")?.to_owned(),
        state: status_field(&status, "State")?.chars().take(1).collect(),
        user,
        system,
        waits: count("voluntary_ctxt_switches"),
        preemptions: count("nonvoluntary_ctxt_switches"),
        wait_channel: if wait_channel == "0" { String::new() } else { wait_channel },
    })
}

/// What the kernel says of the process's memory, in its own words.
pub(super) fn memory_report() -> String {
    let status = read("/proc/self/status");
    let sizes = status.lines().filter(|line| line.starts_with("Vm") || line.starts_with("Rss"));
    let mut report: String = sizes.flat_map(|line| [line, "\n"]).collect();
    // The first line is an address range.
    report.extend(read("/proc/self/smaps_rollup").lines().skip(1).flat_map(|line| [line, "\n"]));
    report
}

fn read(path: &str) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn status_field<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
}

fn status_bytes(status: &str, key: &str) -> Option<u64> {
    let kibibytes: u64 = status_field(status, key)?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// User and system time. A name may hold spaces and brackets, so fields are counted from its last one.
fn cpu_times(stat: &str) -> Option<(Duration, Duration)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(|ticks| {
        ticks.parse::<u64>().ok().map(|ticks| Duration::from_millis(ticks.saturating_mul(1000 / TICKS_PER_SECOND)))
    });
    Some((fields.next()??, fields.next()??))
}

fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_understood() {
        let status = "Name:\tnsqd\nVmSize:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n";
        assert_eq!(status_bytes(status, "VmRSS"), Some(1024 * 1024));
        assert_eq!(status_bytes(status, "VmSwap"), None);
        assert_eq!(status_field(status, "Threads"), Some("7"));
        let stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 4 0 1000 0 0";
        assert_eq!(cpu_times(stat), Some((Duration::from_millis(1500), Duration::from_millis(250))));
        assert_eq!(cpu_times(""), None);
        assert_eq!(max_fds("Limit  Soft Limit\nMax open files            1024      524288    files\n"), Some(1024));
        assert_eq!(max_fds("Max open files            unlimited unlimited files\n"), None);
    }
}
