//! The daemon under test: started here with the ordinary flags in a fresh data directory, or already running elsewhere.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::{prctl, signal::Signal};
use sansq_tests::network::{DAEMONS, Network};
use tempfile::TempDir;

use super::proc::Process;

const START_PATIENCE: Duration = Duration::from_secs(60);
const LOG_LINES_KEPT: usize = 5;

/// Where a side of the comparison comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A command line; the bench adds NSQ's flags, and starts and kills it for every measurement.
    Command(Vec<String>),
    /// A daemon that runs already. Its flags, CPU time and memory are out of reach.
    Address(SocketAddr),
}

impl Source {
    /// `host:port`, or else a command whose words are separated by white space.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some(address) = text.to_socket_addrs().ok().and_then(|mut found| found.next()) {
            return Ok(Self::Address(address));
        }
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        anyhow::ensure!(!words.is_empty(), "an empty command");
        Ok(Self::Command(words))
    }
}

/// Where daemons are started.
pub(crate) struct Host {
    address: Ipv4Addr,
    /// What comes before their commands.
    before: Vec<String>,
}

impl Host {
    /// Here.
    pub(crate) fn loopback() -> Self {
        Self { address: Ipv4Addr::LOCALHOST, before: Vec::new() }
    }

    /// On the other side of a network.
    pub(crate) fn across(network: &Network) -> Self {
        Self { address: DAEMONS, before: network.among_daemons() }
    }
}

/// Which daemon.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The one that was named.
    Nsqd,
    /// The one beside it: `/usr/bin/nsqlookupd` for `/usr/bin/nsqd`, `sansq nsqlookupd` for `sansq nsqd`.
    Nsqlookupd,
}

impl Program {
    /// The command that starts it, for one that starts nsqd.
    fn command(self, nsqd: &[String]) -> Result<Vec<String>> {
        let mut words = nsqd.to_vec();
        if self == Self::Nsqlookupd {
            let word = words.iter_mut().rfind(|word| word.ends_with("nsqd")).context("a command that ends in nsqd")?;
            word.truncate(word.len() - "nsqd".len());
            word.push_str("nsqlookupd");
        }
        Ok(words)
    }
}

/// What a scenario asks of the daemon it runs on.
#[derive(Clone, Copy)]
pub(crate) struct NodeOptions {
    /// Which one.
    pub(crate) program: Program,
    /// Flags beyond the data path and the addresses.
    pub(crate) flags: &'static [&'static str],
    /// Channels that exist before the start, 100 to a topic. They come from a prepared `nsqd.dat`: created one by one, the
    /// metadata file would be written once for each.
    pub(crate) channels: usize,
    /// With a certificate, made for the occasion.
    pub(crate) tls: bool,
}

/// A daemon ready for clients. A started one is killed when this is dropped, and its data removed.
pub(crate) struct Node {
    /// Its TCP address.
    pub(crate) address: SocketAddr,
    /// Where its HTTP API is, if it was started here.
    pub(crate) http: Option<SocketAddr>,
    started: Option<Started>,
}

struct Started {
    child: Child,
    log: Log,
    _data: TempDir,
}

impl Node {
    /// Starts `source` on `host` with its data below `dir`, or refers to the running one.
    pub(crate) fn start(source: &Source, options: NodeOptions, host: &Host, dir: &Path) -> Result<Self> {
        match source {
            Source::Address(address) => Ok(Self { address: *address, http: None, started: None }),
            Source::Command(words) => start(&options.program.command(words)?, options, host, dir),
        }
    }

    /// The process, unless the daemon runs elsewhere.
    pub(crate) fn process(&self) -> Option<Process> {
        self.started.as_ref().map(|started| Process::new(started.child.id()))
    }

    /// The last lines it logged, to explain a failure.
    pub(crate) fn log(&self) -> String {
        self.started.as_ref().map(|started| started.log.to_string()).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(started) = &mut self.started {
            // Killed, not asked: a graceful exit would write a million messages to a directory that is about to go.
            let _ = started.child.kill();
            let _ = started.child.wait();
        }
    }
}

fn start(words: &[String], options: NodeOptions, host: &Host, dir: &Path) -> Result<Node> {
    let data =
        TempDir::with_prefix_in("bench-", dir).with_context(|| format!("a data directory in {}", dir.display()))?;
    if options.channels > 0 {
        std::fs::write(data.path().join("nsqd.dat"), metadata(options.channels))?;
    }
    let words = [&host.before[..], words].concat();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    if options.program == Program::Nsqd {
        command.arg("--data-path").arg(data.path());
    }
    let address = format!("{}:0", host.address);
    command.args(["--tcp-address", &address, "--http-address", &address]).args(options.flags);
    if options.tls {
        let (certificate, key) = (data.path().join("bench.crt"), data.path().join("bench.key"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).context("make a certificate")?;
        std::fs::write(&certificate, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        command.arg("--tls-cert").arg(certificate).arg("--tls-key").arg(key);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // SAFETY: the closure runs in the child between fork and exec and makes one system call, which allocates nothing.
    unsafe {
        // A bench that is killed must not leave a daemon behind.
        command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
    }
    let mut child = command.spawn().with_context(|| format!("start {}", words[0]))?;
    let stderr = child.stderr.take().context("standard error of the daemon")?;
    let log = Log::default();
    let addresses = follow(stderr, log.clone()).recv_timeout(START_PATIENCE);
    match addresses {
        Ok((address, http)) => {
            Ok(Node { address, http: Some(http), started: Some(Started { child, log, _data: data }) })
        }
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            anyhow::bail!(
                "{} did not say `TCP: listening on` and `HTTP: listening on`; it said:\n{log}",
                words.join(" ")
            )
        }
    }
}

/// Reads the log to its end; sends the addresses for TCP and HTTP when both have come by.
fn follow(stderr: ChildStderr, log: Log) -> mpsc::Receiver<(SocketAddr, SocketAddr)> {
    let (addresses_found, addresses) = mpsc::channel();
    thread::spawn(move || {
        let (mut tcp, mut http) = (None, None);
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let found =
                |before| line.split_once(before).and_then(|(_, address): (_, &str)| address.trim().parse().ok());
            tcp = tcp.or_else(|| found("TCP: listening on "));
            http = http.or_else(|| found("HTTP: listening on "));
            log.push(line);
            if let Some(both) = tcp.zip(http) {
                // Received once; nobody listens to the repetitions.
                let _ = addresses_found.send(both);
            }
        }
    });
    addresses
}

/// The last lines of a daemon's log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LOG_LINES_KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// An `nsqd.dat` with this many channels.
fn metadata(channels: usize) -> String {
    let topics = (0..channels.div_ceil(100)).map(|topic| {
        let channels: Vec<_> = (0..100.min(channels - topic * 100))
            .map(|channel| serde_json::json!({"name": format!("c{channel}"), "paused": false}))
            .collect();
        serde_json::json!({"name": format!("preloaded{topic}"), "paused": false, "channels": channels})
    });
    serde_json::json!({"topics": topics.collect::<Vec<_>>(), "version": "1.3.0"}).to_string()
}
