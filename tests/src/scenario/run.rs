//! Carries out a scenario against a daemon.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Scenario;
use super::check::{at, check_frame, check_message, mismatch, named, remember, which_body};
use super::pool::{Lease, Pool};
use super::step::{Action, Exchange, Expect, FileIs, Place, Step, Text};
use super::text::{Template, Variables, expand};
use crate::bytes::show;
use crate::daemon::Daemon;
use crate::http::{self, Request, Response};
use crate::wire::{Connection, Frame, Message, Received};

/// How long anything may take to become true.
const PATIENCE: Duration = Duration::from_secs(12);
/// How often statistics and files are looked at while waiting.
const POLL: Duration = Duration::from_millis(10);
/// How much of the conversation a failure shows.
const HISTORY: usize = 12;

/// Runs `scenario`. The failure says where, what was expected, what came, and what was said before.
pub fn run(scenario: &Scenario, pool: &Pool) -> Result<()> {
    let lease = pool.lease(scenario)?;
    let mut runner = Runner {
        lease,
        connections: BTreeMap::new(),
        variables: Variables::from([("t".to_owned(), fresh_topic().into_bytes())]),
        put_back: None,
        response: None,
        marked: Instant::now(),
        history: Vec::new(),
    };
    let begins_with_exit = matches!(scenario.steps.first().map(|step| &step.action), Some(Action::Exits(..)));
    if !begins_with_exit {
        runner.start()?;
    }
    for step in &scenario.steps {
        runner.step(step).with_context(|| runner.place(scenario, step))?;
    }
    Ok(())
}

/// A topic name that no other scenario uses, here or in an earlier run: always 12 characters.
fn fresh_topic() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    format!("t{:08x}{:03x}", millis & 0xffff_ffff, NEXT.fetch_add(1, Ordering::Relaxed) & 0xfff)
}

struct Runner {
    lease: Lease,
    connections: BTreeMap<String, Connection>,
    variables: Variables,
    /// What a connection received that was not what `maybe` awaited.
    put_back: Option<(String, Received)>,
    response: Option<Response>,
    marked: Instant,
    history: Vec<String>,
}

impl Runner {
    /// Where a step stands and what was said before it.
    fn place(&self, scenario: &Scenario, step: &Step) -> String {
        let mut place = format!("{}:{}: {}", scenario.file, step.line, step.source);
        if let Some(why) = &scenario.why {
            let _ = write!(place, "\n(differs by program: {why})");
        }
        for line in &self.history[self.history.len().saturating_sub(HISTORY)..] {
            let _ = write!(place, "\n    {line}");
        }
        place
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::Connect { connection, magic } => self.connect(connection, *magic),
            Action::Close(name) => {
                self.connections.remove(name).context("no such connection")?;
                Ok(())
            }
            Action::FinishSending(name) => {
                self.connection(name)?.finish_sending();
                Ok(())
            }
            Action::Send(name, items) => {
                let bytes = expand(items, &self.variables)?;
                self.history.push(format!("{name}> {}", show(&bytes)));
                self.connection(name)?.send(&bytes);
                Ok(())
            }
            Action::Expect(name, Expect::Closed) => self.expect_closed(name),
            Action::Expect(name, expect) => self.expect(name, expect),
            Action::Nothing(name, time) => match self.receive(name, *time)? {
                Received::Nothing => Ok(()),
                other => Err(mismatch(&format!("nothing for {time:?}"), &format!("{other:?}"))),
            },
            Action::Http(exchange) => self.exchange(exchange),
            Action::Header(name, expected) => self.header(name, expected.as_ref()),
            Action::Json(path, expected) => {
                let value: Value = serde_json::from_slice(&self.response()?.body).context("the body is no JSON")?;
                let expected = expected.expand_text(&self.variables)?;
                let got = at(&value, path);
                if got == expected { Ok(()) } else { Err(mismatch(&format!("{path}={expected}"), &got)) }
            }
            Action::Stats(place, pairs) => self.wait_for(|runner| runner.check_stats(place, pairs)),
            Action::Gone(place) => self.wait_for(|runner| match runner.look_up(place)? {
                None => Ok(()),
                Some(found) => Err(mismatch("nothing of that name", &found.to_string())),
            }),
            Action::File(name, is) => self.wait_for(|runner| runner.check_file(name, is)),
            Action::MakeDirectory(name) => {
                let name = name.expand_text(&self.variables)?;
                Ok(std::fs::create_dir(self.lease.daemon()?.file(&name))?)
            }
            Action::RemoveDirectory(name) => {
                let name = name.expand_text(&self.variables)?;
                Ok(std::fs::remove_dir(self.lease.daemon()?.file(&name))?)
            }
            Action::Mark => {
                self.marked = Instant::now();
                Ok(())
            }
            Action::Elapsed(range) => {
                let elapsed = self.marked.elapsed();
                if range.contains(&elapsed) {
                    Ok(())
                } else {
                    Err(mismatch(&format!("{range:?}"), &format!("{elapsed:?}")))
                }
            }
            Action::Wait(time) => {
                std::thread::sleep(*time);
                Ok(())
            }
            Action::Stop => self.stop(Daemon::stop),
            Action::Kill => self.stop(Daemon::kill),
            Action::Start => self.start(),
            Action::Exits(status, said) => self.exits(*status, said.as_ref()),
        }
    }

    fn start(&mut self) -> Result<()> {
        self.lease.start()?;
        let (tcp, http) = self.lease.addresses()?;
        self.variables.insert("tcp_port".to_owned(), tcp.port().to_string().into_bytes());
        self.variables.insert("http_port".to_owned(), http.port().to_string().into_bytes());
        Ok(())
    }

    fn connect(&mut self, name: &str, magic: bool) -> Result<()> {
        let (tcp, _) = self.lease.addresses()?;
        let connection = if magic { Connection::open_v2(tcp)? } else { Connection::open(tcp)? };
        self.connections.insert(name.to_owned(), connection);
        Ok(())
    }

    /// The connection called `name`, opened on first use.
    fn connection(&mut self, name: &str) -> Result<&mut Connection> {
        if !self.connections.contains_key(name) {
            self.connect(name, true)?;
        }
        self.connections.get_mut(name).context("it was just opened")
    }

    fn receive(&mut self, name: &str, patience: Duration) -> Result<Received> {
        if let Some((_, received)) = self.put_back.take_if(|(connection, _)| connection == name) {
            return Ok(received);
        }
        let received = self.connection(name)?.receive(patience)?;
        self.history.push(match &received {
            Received::Frame(frame) => format!("{name}< {frame:?}"),
            Received::Closed => format!("{name}< closed"),
            Received::Nothing => format!("{name}< nothing for {patience:?}"),
        });
        Ok(received)
    }

    /// The next frame on `name`; `expected` is what a failure says was awaited.
    fn frame(&mut self, name: &str, expected: &str) -> Result<Frame> {
        match self.receive(name, PATIENCE)? {
            Received::Frame(frame) => Ok(frame),
            other => Err(mismatch(expected, &format!("{other:?}"))),
        }
    }

    fn message(&mut self, name: &str, expected: &str) -> Result<Message> {
        match self.frame(name, expected)? {
            Frame::Message(message) => Ok(message),
            other => Err(mismatch(expected, &format!("{other:?}"))),
        }
    }

    fn expect_closed(&mut self, name: &str) -> Result<()> {
        match self.receive(name, PATIENCE)? {
            Received::Closed => Ok(()),
            other => Err(mismatch("the connection is closed", &format!("{other:?}"))),
        }
    }

    fn expect(&mut self, name: &str, expect: &Expect) -> Result<()> {
        let expected = expect.describe(&self.variables)?;
        match expect {
            Expect::Message { fields, name: alias } => {
                let message = self.message(name, &expected)?;
                check_message(fields, &message, &self.variables)?;
                if let Some(alias) = alias {
                    remember(alias, &message, &mut self.variables);
                }
                Ok(())
            }
            Expect::Messages { fields, bodies, name: alias } => {
                let mut taken = Vec::new();
                while taken.len() < bodies.len() {
                    let message = self.message(name, &expected)?;
                    check_message(fields, &message, &self.variables)?;
                    let index = which_body(bodies, &taken, &message, &self.variables)?;
                    taken.push(index);
                    if let Some(alias) = alias {
                        remember(&format!("{alias}{}", index + 1), &message, &mut self.variables);
                    }
                }
                Ok(())
            }
            Expect::Maybe(expect) => {
                let received = self.receive(name, PATIENCE)?;
                let came = match &received {
                    Received::Frame(frame) => check_frame(expect, frame, &self.variables).is_ok(),
                    Received::Closed | Received::Nothing => false,
                };
                if !came {
                    self.put_back = Some((name.to_owned(), received));
                }
                Ok(())
            }
            Expect::Response(_) | Expect::Error(_) | Expect::Closed => {
                let frame = self.frame(name, &expected)?;
                check_frame(expect, &frame, &self.variables)
            }
        }
    }

    fn exchange(&mut self, exchange: &Exchange) -> Result<()> {
        let (_, address) = self.lease.addresses()?;
        let request = Request {
            method: exchange.method.clone(),
            target: exchange.target.expand(&self.variables)?,
            headers: Vec::new(),
            body: expand(&exchange.body, &self.variables)?,
            chunked: exchange.chunked,
        };
        let response = http::send(address, &request)?;
        self.history.push(format!("{} {} -> {}", request.method, show(&request.target), response.status));
        if response.status != exchange.status {
            return Err(mismatch(
                &exchange.status.to_string(),
                &format!("{} {}", response.status, show(&response.body)),
            ));
        }
        if let Some(answer) = &exchange.answer {
            answer.check("body", &response.body, &self.variables)?;
        }
        self.response = Some(response);
        Ok(())
    }

    fn response(&self) -> Result<&Response> {
        self.response.as_ref().context("no HTTP response yet")
    }

    fn header(&self, name: &str, expected: Option<&Text>) -> Result<()> {
        match (self.response()?.header(name), expected) {
            (None, None) => Ok(()),
            (Some(got), Some(expected)) => expected.check(name, got.as_bytes(), &self.variables),
            (None, Some(expected)) => Err(mismatch(&expected.describe(name, &self.variables)?, "no such header")),
            (Some(got), None) => Err(mismatch("no such header", got)),
        }
    }

    /// Waits until `check` holds, and fails with its latest objection.
    fn wait_for(&mut self, check: impl Fn(&Runner) -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match check(self) {
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(POLL),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// What /stats says of `place` now.
    fn look_up(&self, place: &Place) -> Result<Option<Value>> {
        let topic = match place {
            Place::Node => String::new(),
            Place::Topic(topic) | Place::Channel(topic, _) => topic.expand_text(&self.variables)?,
        };
        let target = match place {
            Place::Node => "/stats?format=json".to_owned(),
            _ => format!("/stats?format=json&topic={}", topic.replace('#', "%23")),
        };
        let response = http::get(self.lease.addresses()?.1, &target)?;
        let stats: Value = serde_json::from_slice(&response.body).context("/stats is no JSON")?;
        if matches!(place, Place::Node) {
            return Ok(Some(stats));
        }
        let found = named(&stats["topics"], "topic_name", &topic);
        let Place::Channel(_, channel) = place else { return Ok(found.cloned()) };
        let channel = channel.expand_text(&self.variables)?;
        Ok(found.and_then(|topic| named(&topic["channels"], "channel_name", &channel)).cloned())
    }

    fn check_stats(&self, place: &Place, pairs: &[(String, Template)]) -> Result<()> {
        let found = self.look_up(place)?.context("no such topic or channel")?;
        for (path, expected) in pairs {
            let expected = expected.expand_text(&self.variables)?;
            let got = at(&found, path);
            if got != expected {
                return Err(mismatch(&format!("{path}={expected}"), &format!("{got} in {found}")));
            }
        }
        Ok(())
    }

    fn check_file(&self, name: &Template, is: &FileIs) -> Result<()> {
        let path = self.lease.data()?.join(name.expand_text(&self.variables)?);
        let content = std::fs::read(&path);
        match (is, content) {
            (FileIs::Absent, Err(_)) => Ok(()),
            (FileIs::Absent, Ok(content)) => Err(mismatch("no such file", &show(&content))),
            (_, Err(error)) => Err(mismatch("a file", &error.to_string())),
            (FileIs::Size(size), Ok(content)) => {
                ensure!(content.len() as u64 == *size, mismatch(&format!("{size} bytes"), &show(&content)));
                Ok(())
            }
            (FileIs::Content(text), Ok(content)) => text.check("file", &content, &self.variables),
        }
    }

    fn stop(&mut self, how: impl FnOnce(Daemon) -> Result<crate::daemon::Setup>) -> Result<()> {
        self.connections.clear();
        self.put_back = None;
        self.lease.stop(how)
    }

    fn exits(&mut self, status: i32, said: Option<&Template>) -> Result<()> {
        let (exit, log) = match &mut self.lease {
            Lease::Stopped(Some(setup)) => setup.run_to_exit()?,
            Lease::Own(Some(daemon)) => (daemon.wait_exit()?, daemon.log()),
            _ => bail!("only for a daemon of its own"),
        };
        if exit.code() != Some(status) {
            return Err(mismatch(&format!("exit status {status}"), &format!("{exit}\n{log}")));
        }
        match said {
            Some(said) => Text::Like(said.clone()).check("log", log.as_bytes(), &self.variables),
            None => Ok(()),
        }
    }
}
