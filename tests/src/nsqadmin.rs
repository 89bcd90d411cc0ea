//! A running nsqadmin, its API, and what a page that watches is told.
//!
//! `SANSQ_NSQADMIN` is the command of the program under test; without it, the newest `nsqadmin` built in this workspace is
//! taken. `SANSQ_OTHER_NSQADMIN` is another one, whose answers are compared with those of the first.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::bytes::show;
use crate::child::Process;
use crate::client::PATIENCE;
use crate::http::{self, Request, Response};
use crate::nsqd::newest_build;

/// An nsqadmin. Dropping it kills it.
#[derive(Debug)]
pub struct Admin {
    process: Process,
    /// Where its pages are.
    pub http: SocketAddr,
}

impl Admin {
    /// Starts the program under test on a free port with `flags`.
    pub fn start(flags: &[String]) -> Result<Admin> {
        Admin::launch(Admin::command()?, flags)
    }

    /// Starts the other program, if there is one: `SANSQ_OTHER_NSQADMIN`.
    pub fn other(flags: &[String]) -> Result<Option<Admin>> {
        let Ok(words) = env::var("SANSQ_OTHER_NSQADMIN") else { return Ok(None) };
        Admin::launch(of_words(&words)?, flags).map(Some)
    }

    /// Starts it in the expectation that it exits by itself: its status and all that it logged.
    pub fn run_to_exit(flags: &[&str]) -> Result<(ExitStatus, String)> {
        let mut command = Admin::command()?;
        command.arg("--http-address=127.0.0.1:0").args(flags);
        let mut process = Process::spawn(command)?;
        let status = process.wait_exit()?;
        Ok((status, process.log()))
    }

    fn command() -> Result<Command> {
        match env::var("SANSQ_NSQADMIN") {
            Ok(words) => of_words(&words),
            Err(_) => Ok(Command::new(newest_build("nsqadmin")?)),
        }
    }

    fn launch(mut command: Command, flags: &[String]) -> Result<Admin> {
        command.arg("--http-address=127.0.0.1:0").args(flags);
        let mut process = Process::spawn(command)?;
        let http = process.listening_http()?;
        Ok(Admin { process, http })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until a logged line contains `text`.
    pub fn wait_log(&self, text: &str) -> Result<()> {
        self.process.wait_log(text)
    }

    /// Sends a signal and waits for the end: the exit status.
    pub fn end(mut self, signal: Signal) -> Result<ExitStatus> {
        self.process.signal(signal)?;
        self.process.wait_exit()
    }

    /// A GET that must succeed: its JSON.
    pub fn ask(&self, target: &str) -> Result<Value> {
        let (status, answer) = self.send("GET", target, "")?;
        ensure!(status == 200, "{target}: {status} {answer}");
        Ok(answer)
    }

    /// Any request: the status, and the JSON of the answer, or its text where it is none.
    pub fn send(&self, method: &str, target: &str, body: &str) -> Result<(u16, Value)> {
        self.send_with(method, target, body, &[])
    }

    /// The same with these headers.
    pub fn send_with(&self, method: &str, target: &str, body: &str, headers: &[(&str, &str)]) -> Result<(u16, Value)> {
        let Response { status, body, .. } = self.exchange(method, target, body, headers)?;
        let text = || Value::from(String::from_utf8_lossy(&body).into_owned());
        Ok((status, serde_json::from_slice(&body).unwrap_or_else(|_| text())))
    }

    /// The same: all of the response.
    pub fn exchange(&self, method: &str, target: &str, body: &str, headers: &[(&str, &str)]) -> Result<Response> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request =
            Request { method: method.into(), target: target.into(), headers, body: body.into(), chunked: false };
        http::send(self.http, &request)
    }

    /// Watches a view: what follows `view=`.
    pub fn watch(&self, view: &str) -> Result<Events> {
        self.watch_on(TcpStream::connect(self.http)?, view)
    }

    /// The same on a socket that was prepared and is connected.
    pub fn watch_on(&self, mut stream: TcpStream, view: &str) -> Result<Events> {
        stream.set_read_timeout(Some(PATIENCE))?;
        // HTTP/1.0 has no chunks.
        write!(stream, "GET /api/live?view={view} HTTP/1.0\r\nHost: {}\r\n\r\n", self.http)?;
        let mut events = Events { lines: BufReader::new(stream) };
        let status = events.line()?;
        ensure!(status.contains(" 200 "), "{status}");
        while !events.line()?.is_empty() {}
        Ok(events)
    }
}

fn of_words(words: &str) -> Result<Command> {
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().context("the command that starts nsqadmin is empty")?);
    command.args(words);
    Ok(command)
}

/// What a page that watches is told.
#[derive(Debug)]
pub struct Events {
    lines: BufReader<TcpStream>,
}

impl Events {
    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.lines.read_until(b'\n', &mut line)?;
        ensure!(line.ends_with(b"\n"), "the stream ended after {}", show(&line));
        Ok(String::from_utf8(line)?.trim_end().to_owned())
    }

    /// The next event: its name and its data.
    pub fn next_event(&mut self) -> Result<(String, Value)> {
        let (name, data) = self.next_text()?;
        Ok((name, serde_json::from_str(&data)?))
    }

    /// The same with the data as they came.
    pub fn next_text(&mut self) -> Result<(String, String)> {
        loop {
            let line = self.line()?;
            if let Some(name) = line.strip_prefix("event: ") {
                let data = self.line()?;
                let Some(data) = data.strip_prefix("data: ") else { bail!("no data in {name}: {data}") };
                return Ok((name.to_owned(), data.to_owned()));
            }
            ensure!(line.is_empty() || line.starts_with(':'), "not an event: {line}");
        }
    }

    /// The first event from now on that is as it is wanted.
    pub fn until(&mut self, mut wanted: impl FnMut(&str, &Value) -> bool) -> Result<Value> {
        let deadline = std::time::Instant::now() + PATIENCE;
        let mut last = Value::Null;
        while std::time::Instant::now() < deadline {
            let (name, data) = self.next_event()?;
            if wanted(&name, &data) {
                return Ok(data);
            }
            last = data;
        }
        bail!("it did not come to this; the last event was {last}")
    }

    /// Whether nothing more comes, and the connection is closed.
    pub fn ended(mut self) -> bool {
        loop {
            match self.line() {
                Ok(_) => {}
                Err(error) => return error.to_string().contains("ended"),
            }
        }
    }
}
