//! A running nsqlookupd, and what speaks to it as an nsqd does.
//!
//! `SANSQ_NSQLOOKUPD` is the command of the program under test; without it, the newest `nsqlookupd` built in this workspace
//! is taken. `SANSQ_OTHER_NSQLOOKUPD` is another one, for mixed clusters.

use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::bytes::show;
use crate::child::Process;
use crate::client::PATIENCE;
use crate::http;
use crate::nsqd::newest_build;

/// An nsqlookupd. Dropping it kills it.
#[derive(Debug)]
pub struct Lookupd {
    words: Vec<String>,
    flags: Vec<String>,
    process: Process,
    /// Where nsqd register.
    pub tcp: SocketAddr,
    /// Where consumers ask.
    pub http: SocketAddr,
}

impl Lookupd {
    /// Starts the program under test on free ports with `flags`.
    pub fn start(flags: &[&str]) -> Result<Lookupd> {
        let words = match env::var("SANSQ_NSQLOOKUPD") {
            Ok(command) => command.split_whitespace().map(str::to_owned).collect(),
            Err(_) => vec![newest_build("nsqlookupd")?.to_string_lossy().into_owned()],
        };
        Lookupd::launch(words, flags.iter().map(ToString::to_string).collect())
    }

    /// Starts the other program, if there is one: `SANSQ_OTHER_NSQLOOKUPD`, or the reference's on PATH.
    pub fn other(flags: &[&str]) -> Result<Option<Lookupd>> {
        let on_path = || {
            let output = Command::new("nsqlookupd").arg("--version").output().ok()?;
            String::from_utf8_lossy(&output.stdout).contains("built w/go").then(|| "nsqlookupd".to_owned())
        };
        let Some(command) = env::var("SANSQ_OTHER_NSQLOOKUPD").ok().or_else(on_path) else { return Ok(None) };
        let words = command.split_whitespace().map(str::to_owned).collect();
        Lookupd::launch(words, flags.iter().map(ToString::to_string).collect()).map(Some)
    }

    fn launch(words: Vec<String>, flags: Vec<String>) -> Result<Lookupd> {
        let mut command = Command::new(words.first().context("the command that starts nsqlookupd is empty")?);
        command.args(&words[1..]);
        command.args(["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0", "--broadcast-address=127.0.0.1"]);
        let mut process = Process::spawn({
            command.args(&flags);
            command
        })?;
        let (tcp, http) = process.listening()?;
        Ok(Lookupd { words, flags, process, tcp, http })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Sends a signal and waits for the end: the exit status.
    pub fn end(mut self, signal: Signal) -> Result<ExitStatus> {
        self.process.signal(signal)?;
        self.process.wait_exit()
    }

    /// Kills it; started again, it is where it was.
    pub fn kill(mut self) -> Result<Killed> {
        self.process.signal(Signal::KILL)?;
        self.process.wait_exit()?;
        let Lookupd { words, mut flags, tcp, http, .. } = self;
        flags.extend([format!("--tcp-address={tcp}"), format!("--http-address={http}")]);
        Ok(Killed { words, flags })
    }

    /// Waits until a logged line contains `text`.
    pub fn wait_log(&self, text: &str) -> Result<()> {
        self.process.wait_log(text)
    }

    /// A GET that must succeed: its JSON.
    pub fn ask(&self, target: &str) -> Result<Value> {
        let response = http::get(self.http, target)?;
        ensure!(response.status == 200, "{target}: {} {}", response.status, show(&response.body));
        Ok(serde_json::from_slice(&response.body)?)
    }

    /// A GET or POST: the status, and the body as text.
    pub fn send(&self, method: &str, target: &str) -> Result<(u16, String)> {
        let request = http::Request { method: method.into(), target: target.into(), ..http::Request::default() };
        let response = http::send(self.http, &request)?;
        Ok((response.status, String::from_utf8(response.body)?))
    }

    /// The TCP ports of those that have `topic`, sorted; none if it is not known.
    pub fn producers(&self, topic: &str) -> Vec<u64> {
        let found = self.ask(&format!("/lookup?topic={topic}")).unwrap_or_default();
        let ports = found["producers"].as_array().into_iter().flatten().filter_map(|it| it["tcp_port"].as_u64());
        let mut ports: Vec<u64> = ports.collect();
        ports.sort_unstable();
        ports
    }

    /// The channels of `topic`, sorted.
    pub fn channels(&self, topic: &str) -> Vec<String> {
        let found = self.ask(&format!("/channels?topic={topic}")).unwrap_or_default();
        let names = found["channels"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        names
    }
}

/// An nsqlookupd that was killed.
#[derive(Debug)]
pub struct Killed {
    words: Vec<String>,
    flags: Vec<String>,
}

impl Killed {
    /// Starts it again, at the same addresses.
    pub fn start(self) -> Result<Lookupd> {
        Lookupd::launch(self.words, self.flags)
    }
}

/// The nsqd's end of a V1 connection, as bytes.
#[derive(Debug)]
pub struct Registrar {
    stream: TcpStream,
}

impl Registrar {
    /// Connects and sends nothing.
    pub fn open(lookupd: &Lookupd) -> Result<Registrar> {
        let stream = TcpStream::connect(lookupd.tcp)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Registrar { stream })
    }

    /// Connects, sends the magic, and says that it is the nsqd with these ports at 127.0.0.1.
    pub fn identified(lookupd: &Lookupd, tcp_port: u16) -> Result<Registrar> {
        let mut registrar = Registrar::open(lookupd)?;
        registrar.send(b"  V1");
        let http_port = tcp_port + 1;
        let info = format!(
            r#"{{"broadcast_address":"127.0.0.1","hostname":"h","tcp_port":{tcp_port},"http_port":{http_port},"version":"1.3.0"}}"#
        );
        registrar.send(&identify(&info));
        registrar.response()?.context("the connection was closed")?;
        Ok(registrar)
    }

    /// Sends `bytes`. A connection that is closed swallows them: what was received tells the story.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a line and returns the response to it; nothing if the connection is closed.
    pub fn say(&mut self, line: &str) -> Result<Option<String>> {
        self.send(format!("{line}\n").as_bytes());
        self.response()
    }

    /// Tells that nothing more will be sent.
    pub fn finish_sending(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next response; nothing if the connection is closed.
    pub fn response(&mut self) -> Result<Option<String>> {
        let mut size = [0; 4];
        if let Err(error) = self.stream.read_exact(&mut size) {
            return match error.kind() {
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => Ok(None),
                _ => Err(error).context("cannot read from the connection"),
            };
        }
        let mut text = vec![0; u32::from_be_bytes(size) as usize];
        self.stream.read_exact(&mut text)?;
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }
}

/// An IDENTIFY command.
pub fn identify(json: &str) -> Vec<u8> {
    let size = u32::try_from(json.len()).unwrap_or(u32::MAX);
    [b"IDENTIFY\n", &size.to_be_bytes()[..], json.as_bytes()].concat()
}
