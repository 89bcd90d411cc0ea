//! What signals come to, in each program: which end it in order, and which do nothing. The table is in
//! `host-native/src/process.rs`, and for operators in `docs/deploy/README.md`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;

use rustix::process::{Pid, Signal, kill_process};
use sansq_tests::client::{self, eventually};
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http;
use sansq_tests::lookupd::Lookupd;
use sansq_tests::nsqadmin::Admin;
use sansq_tests::nsqd::{Nsqd, newest_build};
use sansq_tests::process::sighup_is_ignored;
use sansq_tests::tool::Tool;

/// What ends no program, though it would end one that does not handle it.
const MEANINGLESS: [Signal; 10] = [
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::IO,
    Signal::POWER,
    Signal::XCPU,
    Signal::XFSZ,
    Signal::PIPE,
];

fn send(child: &Child, signal: Signal) {
    kill_process(i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap(), signal).unwrap();
}

/// A daemon whose output somebody reads, as at a terminal.
struct AtATerminal {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What it printed and logged until it ran.
    lines: Vec<String>,
}

impl AtATerminal {
    /// Starts it and reads up to a line with `last`.
    fn start(program: &str, flags: &[&str], last: &'static str) -> AtATerminal {
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(newest_build(program).unwrap()).args(flags);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (sender, read) = channel();
        std::thread::spawn(move || {
            let mut lines: Vec<String> = Vec::new();
            while !lines.last().is_some_and(|line| line.contains(last)) {
                let mut line = String::new();
                if out.read_line(&mut line).unwrap() == 0 {
                    break;
                }
                lines.push(line);
            }
            // Nobody waits any longer for one that took too long.
            _ = sender.send((out, lines));
        });
        let Ok((out, lines)) = read.recv_timeout(client::PATIENCE) else {
            child.kill().unwrap();
            panic!("{program} does not start");
        };
        AtATerminal { child, out, lines }
    }

    /// Closes the terminal: nobody reads what is written from now on, and SIGHUP comes.
    fn close(self) -> ExitStatus {
        let AtATerminal { mut child, out, .. } = self;
        drop(out);
        send(&child, Signal::HUP);
        if !eventually(|| child.try_wait().unwrap().is_some()) {
            child.kill().unwrap();
        }
        child.wait().unwrap()
    }
}

fn http_address(lines: &[String], before: &str) -> SocketAddr {
    let line = lines.iter().find_map(|line| Some(line.split_once(before)?.1)).unwrap();
    line.trim().parse().unwrap()
}

fn depth(data: &Path) -> u64 {
    let nsqd = Setup::new().unwrap().copy_in(data).unwrap().start().unwrap();
    let stats = client::stats(&nsqd, "t").unwrap();
    stats["depth"].as_u64().unwrap()
}

#[test]
fn closing_the_terminal_loses_nothing() {
    if sighup_is_ignored().unwrap() {
        println!("skipped: SIGHUP is ignored here");
        return;
    }
    let ports = ["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"];
    for (program, last, before) in
        [("nsqd", "HTTP: listening on ", "HTTP: listening on "), ("sansq", "Ctrl-C", "HTTP        http://")]
    {
        let data = tempfile::tempdir().unwrap();
        let data_path = format!("--data-path={}", data.path().display());
        let daemon = AtATerminal::start(program, &[&data_path, ports[0], ports[1]], last);
        let http = http_address(&daemon.lines, before);
        for _ in 0..5 {
            assert_eq!(http::post(http, "/pub?topic=t", b"one").unwrap().status, 200);
        }
        let status = daemon.close();
        assert!(status.success(), "{program}: {status}");
        assert_eq!(depth(data.path()), 5, "{program}");
    }
}

#[test]
fn a_hang_up_ends_the_other_daemons_in_order() {
    if sighup_is_ignored().unwrap() {
        println!("skipped: SIGHUP is ignored here");
        return;
    }
    assert!(Lookupd::start(&[]).unwrap().end(Signal::HUP).unwrap().success());
    let admin = Admin::start(&["--nsqd-http-address=127.0.0.1:1".to_owned()]).unwrap();
    assert!(admin.end(Signal::HUP).unwrap().success());
}

/// The tools that run until they are told to end, at an nsqd.
fn tools(nsqd: &Daemon, directory: &Path) -> Vec<(Tool, &'static str)> {
    let (tcp, http) = (nsqd.tcp, nsqd.http);
    let from = format!("--nsqd-tcp-address={tcp}");
    let start = |name: &'static str, flags: &[&str]| (Tool::start(name, flags).unwrap(), name);
    vec![
        start("nsq_tail", &["--topic=t", "--channel=tail", &from]),
        start(
            "nsq_to_nsq",
            &[
                "--topic=t",
                "--channel=nsq",
                &from,
                "--destination-topic=u",
                &format!("--destination-nsqd-tcp-address={tcp}"),
            ],
        ),
        start("nsq_to_http", &["--topic=t", "--channel=http", &from, &format!("--post=http://{http}/pub?topic=v")]),
        start("nsq_to_file", &["--topic=t", "--channel=file", &from, &format!("--output-dir={}", directory.display())]),
    ]
}

/// Waits until a channel has this many consumers.
fn wait_consumers(nsqd: &Daemon, count: usize) {
    let consumers = || {
        let stats = client::stats(nsqd, "t").unwrap();
        let channels = stats["channels"].as_array().cloned().unwrap_or_default();
        channels.iter().filter(|channel| channel["clients"].as_array().is_some_and(|all| all.len() == 1)).count()
    };
    assert!(eventually(|| consumers() == count), "{} of {count} consume", consumers());
}

#[test]
fn a_hang_up_ends_the_tools_in_order() {
    if sighup_is_ignored().unwrap() {
        println!("skipped: SIGHUP is ignored here");
        return;
    }
    let nsqd = Daemon::start(&[]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let tools = tools(&nsqd, directory.path());
    wait_consumers(&nsqd, tools.len());
    for (tool, name) in tools {
        tool.signal(Signal::HUP).unwrap();
        if name == "nsq_to_file" {
            // There it closes files.
            wait_consumers(&nsqd, 1);
            tool.signal(Signal::TERM).unwrap();
        }
        let ended = tool.finish().unwrap();
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

#[test]
fn signals_that_mean_nothing_end_nothing() {
    let nsqd = Daemon::start(&[]).unwrap();
    let lookupd = Lookupd::start(&[]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let tools = tools(&nsqd, directory.path());
    wait_consumers(&nsqd, tools.len());
    for signal in MEANINGLESS {
        nsqd.signal(signal).unwrap();
        lookupd.signal(signal).unwrap();
        tools.iter().for_each(|(tool, _)| tool.signal(signal).unwrap());
    }
    // Stopped and on again, as by Ctrl-Z and `fg`.
    nsqd.signal(Signal::TSTP).unwrap();
    nsqd.signal(Signal::CONT).unwrap();
    assert_eq!(http::post(nsqd.http, "/pub?topic=t", b"one").unwrap().status, 200);
    assert_eq!(lookupd.send("GET", "/ping").unwrap().0, 200);
    for (tool, name) in tools {
        if name == "nsq_tail" {
            assert_eq!(tool.line().unwrap(), "one");
        }
        tool.signal(Signal::TERM).unwrap();
        let ended = tool.finish().unwrap();
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    nsqd.stop().unwrap();
}

/// A write beyond `ulimit -f` fails, and SIGXFSZ comes with it.
#[test]
fn a_limit_on_the_size_of_files_is_a_full_disk() {
    let nsqd = Nsqd::under_test().unwrap().after("ulimit -f 16");
    let nsqd = Setup::of(&nsqd).unwrap().flag("--mem-queue-size=0").start().unwrap();
    let refused = http::post(nsqd.http, "/pub?topic=t", &[b'x'; 100_000]).unwrap();
    assert_eq!(refused.status, 503, "{}", nsqd.log());
    assert_eq!(http::post(nsqd.http, "/pub?topic=t", b"one").unwrap().status, 200, "{}", nsqd.log());
}

/// `nohup` has SIGHUP ignored, and so it stays: no handler takes its place.
#[test]
fn nohup_outlives_the_terminal() {
    let nsqd = Nsqd::under_test().unwrap().with("nohup");
    let nsqd = Setup::of(&nsqd).unwrap().start().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", nsqd.pid())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    assert_eq!(u64::from_str_radix(mask, 16).unwrap() & 1, 1, "SIGHUP is not ignored any more");
    nsqd.signal(Signal::HUP).unwrap();
    assert_eq!(http::get(nsqd.http, "/ping").unwrap().status, 200);
    nsqd.stop().unwrap();
}
