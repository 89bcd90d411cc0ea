//! Daemons that listen on Unix sockets: what becomes of the files when they end, in order or not, and when they start.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sansq_tests::client::{PATIENCE, eventually};
use sansq_tests::nsqd::newest_build;

/// A daemon that listens on Unix sockets; killed when dropped.
struct Daemon(Child);

impl Daemon {
    /// Starts it, and waits until somebody listens on all of `sockets`.
    fn start(program: &str, flags: &[String], sockets: &[PathBuf]) -> Daemon {
        let mut daemon = Daemon(command(program, flags).stderr(Stdio::null()).spawn().unwrap());
        let listens = |path: &PathBuf| UnixStream::connect(path).is_ok();
        assert!(eventually(|| daemon.0.try_wait().unwrap().is_some() || sockets.iter().all(listens)));
        assert_eq!(daemon.0.try_wait().unwrap(), None, "{program} has ended");
        daemon
    }

    fn end(mut self, signal: Signal) {
        kill_process(i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).unwrap(), signal).unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Either may fail when it has ended already, which is as good.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn command(program: &str, flags: &[String]) -> Command {
    let mut command = Command::new(newest_build(program).unwrap());
    command.args(flags).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Each daemon with its flags, and the sockets that these name in `directory`.
fn daemons(directory: &Path) -> [(&'static str, Vec<String>, Vec<PathBuf>); 3] {
    let [tcp, http] = ["tcp.sock", "http.sock"].map(|name| directory.join(name));
    let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let both = vec![flag("tcp-address", &tcp), flag("http-address", &http)];
    let nsqd = [both.clone(), vec![flag("data-path", directory)]].concat();
    let nsqadmin = vec!["--nsqd-http-address=127.0.0.1:1".to_owned(), flag("http-address", &http)];
    [
        ("nsqd", nsqd, vec![tcp.clone(), http.clone()]),
        ("nsqlookupd", both, vec![tcp, http.clone()]),
        ("nsqadmin", nsqadmin, vec![http]),
    ]
}

fn ping(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn sockets_go_at_the_end_and_are_taken_over_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    for (program, flags, sockets) in daemons(directory.path()) {
        Daemon::start(program, &flags, &sockets).end(Signal::KILL);
        assert!(sockets.iter().all(|path| path.exists()), "{program}: a crash leaves the sockets");
        let daemon = Daemon::start(program, &flags, &sockets);
        let answer = ping(sockets.last().unwrap());
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("OK"), "{program}: {answer}");
        daemon.end(Signal::TERM);
        assert!(sockets.iter().all(|path| !path.exists()), "{program}: its end leaves sockets");
    }
}

#[test]
fn what_is_in_the_way_stays_and_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for (program, flags, sockets) in daemons(directory.path()) {
        let refused = |reason: &str| {
            let start = command(program, &flags);
            // One that starts all the same is ended, with 124.
            let mut limited = Command::new("timeout");
            limited.arg("10").arg(start.get_program()).args(start.get_args());
            let output = limited.stdin(Stdio::null()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{program}: {said}");
            let path = sockets[0].display();
            assert!(said.contains(&format!("listen ({path}) failed - {reason}")), "{program}: {said}");
        };
        fs::write(&sockets[0], "precious").unwrap();
        refused("there is a file which is not a socket");
        assert_eq!(fs::read_to_string(&sockets[0]).unwrap(), "precious");
        fs::remove_file(&sockets[0]).unwrap();
        // Two nsqd have two data paths, and may still be given one socket.
        let others = tempfile::tempdir().unwrap();
        let mut theirs = flags.clone();
        if program == "nsqd" {
            theirs.push(format!("--data-path={}", others.path().display()));
        }
        let alive = Daemon::start(program, &theirs, &sockets);
        refused("another process listens there");
        assert!(UnixStream::connect(&sockets[0]).is_ok());
        alive.end(Signal::TERM);
    }
}
