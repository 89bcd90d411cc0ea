//! A real network on one machine: two network namespaces joined by a veth pair, with Ethernet's MTU and nothing that would
//! hide its segments. Daemons run in one, clients in the other.
//!
//! The kernel treats the two as different hosts: packets of 1,500 bytes, a window that opens with the acknowledgements, writes
//! that are taken in part. Offloads are off, or packets of 64 KiB would pass the pair. All of it is inside the namespaces, so
//! networks of parallel runs may have the same addresses, and nothing of them is seen outside.
//!
//! [`Network::limit`] gives the wire a speed: a pair by itself is as fast as memory, and buffers hardly fill.
//!
//! Needs root, `ip` (with its `tc`) and `ethtool`. A network goes when it is dropped. One that a killed run left behind goes when the next is
//! made: names carry the process that made them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where daemons listen.
pub const DAEMONS: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 1);
/// Where clients are.
pub const CLIENTS: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 2);

const NAMESPACES: &str = "/run/netns";
/// What namespaces made here are called: this, the process's number and start, a number of our own, the side.
const PREFIX: &str = "sansq-net-";
/// The name of the interface in either namespace.
const INTERFACE: &str = "wire";
/// Whatever joins segments into larger ones, or leaves checksums out.
const OFFLOADS: [&str; 7] = ["tso", "gso", "gro", "lro", "sg", "tx", "rx"];

/// Two hosts and the wire between them.
#[derive(Debug)]
pub struct Network {
    daemons: Namespace,
    clients: Namespace,
}

impl Network {
    /// Makes one. The error says what is missing for it.
    pub fn make() -> Result<Network> {
        ensure!(geteuid().is_root(), "a network of its own needs root");
        for (tool, package) in [("ip", "iproute2"), ("ethtool", "ethtool")] {
            let found = Command::new(tool).arg("--version").output();
            found.map_err(|_| anyhow!("a network of its own needs {tool}, which is in the package {package}"))?;
        }
        sweep();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stem = format!("{PREFIX}{}-{}-{number}", id(), start_of(id()).context("no start time of this process")?);
        let network = Network {
            daemons: Namespace::make(format!("{stem}-daemons"))?,
            clients: Namespace::make(format!("{stem}-clients"))?,
        };
        network.connect()?;
        Ok(network)
    }

    /// The words before a command that make it run on the daemons' side: they become the command, so the process stays the one
    /// to signal and to measure.
    pub fn among_daemons(&self) -> Vec<String> {
        self.daemons.words()
    }

    /// The same for the clients' side.
    pub fn among_clients(&self) -> Vec<String> {
        self.clients.words()
    }

    /// Runs `work` on the daemons' side: its sockets, and the threads and processes that it starts.
    pub fn as_daemon<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.daemons.run(work)
    }

    /// Runs `work` on the clients' side.
    pub fn as_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.clients.run(work)
    }

    /// Makes the wire as fast as this in either direction, and no faster. Needs a kernel with the queueing discipline `tbf`.
    pub fn limit(&self, megabits_per_second: u32) -> Result<()> {
        let rate = format!("{megabits_per_second}mbit");
        for name in [&self.daemons.name, &self.clients.name] {
            let mut command = Command::new("tc");
            command.args(["-n", name, "qdisc", "replace", "dev", INTERFACE, "root", "tbf", "rate", &rate]);
            // Twenty packets at once; more than 50 ms behind, they are dropped.
            run(command.args(["burst", "30kb", "latency", "50ms"]))?;
        }
        Ok(())
    }

    /// Joins the two.
    fn connect(&self) -> Result<()> {
        let (daemons, clients) = (&self.daemons.name, &self.clients.name);
        // Both ends are born where they belong: the machine's own network never has them.
        ip(&[
            "-n", daemons, "link", "add", INTERFACE, "mtu", "1500", "type", "veth", "peer", "name", INTERFACE, "mtu",
            "1500", "netns", clients,
        ])?;
        for (namespace, address) in [(&self.daemons, DAEMONS), (&self.clients, CLIENTS)] {
            let name = &namespace.name;
            ip(&["-n", name, "address", "add", &format!("{address}/30"), "dev", INTERFACE])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
            ip(&["-n", name, "link", "set", INTERFACE, "up"])?;
            namespace.without_offloads()?;
        }
        Ok(())
    }
}

/// A namespace with a name; gone when dropped. What still runs in it keeps it alive without the name.
#[derive(Debug)]
struct Namespace {
    name: String,
}

impl Namespace {
    fn make(name: String) -> Result<Namespace> {
        ip(&["netns", "add", &name])?;
        Ok(Namespace { name })
    }

    fn path(&self) -> PathBuf {
        Path::new(NAMESPACES).join(&self.name)
    }

    fn words(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={}", self.path().display())]
    }

    /// A thread of its own is moved: the calling one may have sockets to open elsewhere.
    fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let namespace = File::open(self.path()).with_context(|| format!("cannot open {}", self.path().display()))?;
        thread::scope(|scope| {
            let moved = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .with_context(|| format!("cannot enter the network namespace {}", self.name))?;
                Ok(work())
            });
            moved.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn without_offloads(&self) -> Result<()> {
        let mut command = Command::new("nsenter");
        command.args(&self.words()[1..]).args(["ethtool", "-K", INTERFACE]);
        // A kernel that does not have one of them says so and goes on; whether they are off is looked at.
        run(command.args(OFFLOADS.iter().flat_map(|name| [*name, "off"])))?;
        let mut command = Command::new("nsenter");
        let features = run(command.args(&self.words()[1..]).args(["ethtool", "-k", INTERFACE]))?;
        for feature in ["tcp-segmentation-offload", "generic-segmentation-offload", "generic-receive-offload"] {
            ensure!(features.contains(&format!("{feature}: off")), "{feature} of the wire stays on:\n{features}");
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        _ = ip(&["netns", "delete", &self.name]);
    }
}

/// Takes away what processes that are no more have left: namespaces, and the daemons in them.
fn sweep() {
    let Ok(entries) = fs::read_dir(NAMESPACES) else { return };
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let Some((maker, start)) = maker(&name) else { continue };
        if start_of(maker) == Some(start) {
            continue;
        }
        // Another run may be sweeping, too: what fails here has been done by it.
        for process in ip(&["netns", "pids", &name]).unwrap_or_default().lines() {
            if let Some(process) = process.parse().ok().and_then(Pid::from_raw) {
                _ = kill_process(process, Signal::KILL);
            }
        }
        _ = ip(&["netns", "delete", &name]);
    }
}

/// The process that made a namespace of this name, and when that started; nothing if the name is not one of ours.
fn maker(namespace: &str) -> Option<(u32, u64)> {
    let mut words = namespace.strip_prefix(PREFIX)?.split('-');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// When a process started, in ticks since the machine did: a process number alone is given out again.
fn start_of(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything; after it, the start is the 20th word.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

fn ip<S: AsRef<OsStr>>(words: &[S]) -> Result<String> {
    run(Command::new("ip").args(words))
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;
    use crate::disk::skip;

    #[test]
    fn names_tell_their_maker() {
        assert_eq!(maker("sansq-net-12-345-0-daemons"), Some((12, 345)));
        assert_eq!(maker("sansq-net-x-345-0-daemons"), None);
        assert_eq!(maker("somebody-elses"), None);
        assert!(start_of(id()).is_some());
    }

    /// A network, or nothing and a line that says why.
    fn network() -> Option<Network> {
        match Network::make() {
            Ok(network) => Some(network),
            Err(why) => {
                skip(&format!("{why:#}")).unwrap();
                None
            }
        }
    }

    #[test]
    fn the_wire_has_the_segments_of_ethernet() {
        let Some(network) = network() else { return };
        let listener = network.as_daemon(|| TcpListener::bind((DAEMONS, 0)).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_err(), "it is seen from outside");
        let stream = network.as_client(|| TcpStream::connect(address).unwrap()).unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), CLIENTS);
        for stream in [&stream, &accepted] {
            assert_eq!(socket2::SockRef::from(stream).tcp_mss().unwrap(), 1448);
        }
    }

    #[test]
    fn what_a_killed_run_left_is_taken_away() {
        let Some(_) = network() else { return };
        let mut maker = Command::new("true").spawn().unwrap();
        maker.wait().unwrap();
        let left = Namespace::make(format!("{PREFIX}{}-1-0-daemons", maker.id())).unwrap();
        let words = left.words();
        let mut daemon = Command::new(&words[0]).args(&words[1..]).args(["sleep", "600"]).spawn().unwrap();
        // It is in the namespace once it is what it was to become.
        while fs::read_to_string(format!("/proc/{}/comm", daemon.id())).unwrap().trim() != "sleep" {
            thread::sleep(Duration::from_millis(1));
        }
        sweep();
        assert!(!left.path().exists());
        assert!(!daemon.wait().unwrap().success(), "it ran to its end");
    }
}
