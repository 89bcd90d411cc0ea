//! A connection to an nsqlookupd, as seen by it: the V1 protocol, bytes in, registrations and bytes out.
//!
//! What holds:
//! - Commands are answered in order, each at once: nothing here waits for anybody.
//! - Every error ends the session; nothing behind it is read. What the peer registered goes with it.
//! - No more is stored than one line or one IDENTIFY that has not arrived whole, both bounded.
//! - A peer that sends no whole command for [`the time it is given`](Session::new) is given up, and so is one that does not
//!   name its protocol within [`MAGIC_TIMEOUT`]. An nsqd sends PING every 15 s.
//!
//! Where this departs from nsqlookupd (`nsqlookupd/lookup_protocol_v1.go`), `docs/differences.md` says so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::registry::Registry;
use super::wire::{IDENTIFY_BYTES_MAX, MAGIC, PeerInfo, Server, put_response};
use crate::name::{ChannelName, TopicName};
use crate::protocol::ConnId;
use crate::time::{Instant, Now};
use crate::wire::{CommandError, ErrorCode, LINE_BYTES_MAX, Line, Verb};

/// How long a new connection may take to name its protocol.
const MAGIC_TIMEOUT: Duration = Duration::from_secs(30);

/// Something that happened, for the log and for simulations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer said who it is.
    Identified(Arc<PeerInfo>),
    /// It registered something that was not known of it.
    Registered(TopicName, Option<ChannelName>),
    /// It took a registration back.
    Unregistered(TopicName, Option<ChannelName>),
    /// It made a mistake, and the session ends.
    Failed(CommandError),
    /// It said nothing for too long, and the session ends.
    TimedOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Magic,
    /// Takes commands.
    Open,
    Closed,
}

/// What comes next in the stream.
enum Step {
    /// So many bytes were taken.
    Taken(usize),
    /// It is not there whole.
    More,
}

/// One connection. See the [module](self) for what holds.
#[derive(Clone, Debug)]
pub struct Session {
    conn: ConnId,
    remote_address: String,
    server: Arc<Server>,
    /// How long the peer may say nothing; `None` for any time.
    idle_timeout: Option<Duration>,
    phase: Phase,
    identified: bool,
    /// What has arrived of an unfinished command.
    partial: Vec<u8>,
    /// When it took the last command.
    idle_since: Instant,
    events: VecDeque<Event>,
}

impl Session {
    /// A connection that has sent nothing yet. `conn` is its number in the registry, `server` what it is told in answer to
    /// IDENTIFY. `idle_timeout`: how long it may stay without sending a command; `None` for any time.
    pub fn new(
        now: Now,
        conn: ConnId,
        remote_address: String,
        server: Arc<Server>,
        idle_timeout: Option<Duration>,
    ) -> Self {
        Self {
            conn,
            remote_address,
            server,
            idle_timeout,
            phase: Phase::Magic,
            identified: false,
            partial: Vec::new(),
            idle_since: now.mono,
            events: VecDeque::new(),
        }
    }

    /// Whether nothing more will be written: the host writes what is left of `out` and closes.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Carries out the commands in `input`, which continues the stream.
    pub fn handle_bytes(&mut self, now: Now, input: &[u8], registry: &mut Registry, out: &mut Vec<u8>) {
        if self.is_closed() {
            return;
        }
        let mut stored = std::mem::take(&mut self.partial);
        let bytes = if stored.is_empty() {
            input
        } else {
            stored.extend_from_slice(input);
            &stored
        };
        let mut at = 0;
        loop {
            match self.step(now, &bytes[at..], registry, out) {
                Ok(Step::Taken(len)) => {
                    at += len;
                    self.idle_since = now.mono;
                }
                Ok(Step::More) => break,
                Err(error) => return self.fail(error, registry, out),
            }
        }
        self.partial = if stored.is_empty() {
            input[at..].to_vec()
        } else {
            stored.drain(..at);
            stored
        };
    }

    /// The stream has ended, or broke.
    pub fn handle_eof(&mut self, registry: &mut Registry, out: &mut Vec<u8>) {
        match self.cut_off() {
            Some(error) if !self.is_closed() => self.fail(error, registry, out),
            _ => self.close(registry),
        }
    }

    /// Gives the peer up if its time is over; otherwise changes nothing.
    pub fn handle_timeout(&mut self, now: Now, registry: &mut Registry) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now.mono) {
            self.events.push_back(Event::TimedOut);
            self.close(registry);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let patience = match self.phase {
            Phase::Magic => Some(MAGIC_TIMEOUT),
            Phase::Open => self.idle_timeout,
            Phase::Closed => None,
        };
        patience.map(|patience| self.idle_since + patience)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn step(
        &mut self,
        now: Now,
        bytes: &[u8],
        registry: &mut Registry,
        out: &mut Vec<u8>,
    ) -> Result<Step, CommandError> {
        if self.phase == Phase::Magic {
            return self.on_magic(bytes);
        }
        let Some(end) = bytes.iter().take(LINE_BYTES_MAX).position(|&byte| byte == b'\n') else {
            return match bytes.len() {
                LINE_BYTES_MAX.. => Err(CommandError::new(ErrorCode::Invalid, "line too long")),
                _ => Ok(Step::More),
            };
        };
        let mut line = Line::parse(bytes[..end].trim_ascii());
        let behind = &bytes[end + 1..];
        let body = match line.name {
            b"PING" => {
                registry.ping(now, self.conn);
                put_response(out, &[b"OK"]);
                0
            }
            b"IDENTIFY" => match self.on_identify(now, behind, registry, out)? {
                Step::Taken(len) => len,
                Step::More => return Ok(Step::More),
            },
            b"REGISTER" => {
                let (topic, channel) = self.registration("REGISTER", &mut line)?;
                if registry.register(self.conn, &topic, channel.as_ref()) {
                    self.events.push_back(Event::Registered(topic, channel));
                }
                put_response(out, &[b"OK"]);
                0
            }
            b"UNREGISTER" => {
                let (topic, channel) = self.registration("UNREGISTER", &mut line)?;
                if registry.unregister(self.conn, &topic, channel.as_ref()) {
                    self.events.push_back(Event::Unregistered(topic, channel));
                }
                put_response(out, &[b"OK"]);
                0
            }
            other => return Err(CommandError::new(ErrorCode::Invalid, [b"invalid command ", other].concat())),
        };
        Ok(Step::Taken(end + 1 + body))
    }

    fn on_magic(&mut self, bytes: &[u8]) -> Result<Step, CommandError> {
        match bytes.first_chunk() {
            Some(&MAGIC) => self.phase = Phase::Open,
            Some(_) => return Err(CommandError::new(ErrorCode::BadProtocol, "")),
            None => return Ok(Step::More),
        }
        Ok(Step::Taken(MAGIC.len()))
    }

    /// IDENTIFY, whose length and body are at the front of `bytes`: how many bytes these are.
    fn on_identify(
        &mut self,
        now: Now,
        bytes: &[u8],
        registry: &mut Registry,
        out: &mut Vec<u8>,
    ) -> Result<Step, CommandError> {
        if self.identified {
            return Err(CommandError::new(ErrorCode::Invalid, "cannot IDENTIFY again"));
        }
        let Some((size, rest)) = bytes.split_first_chunk() else { return Ok(Step::More) };
        let bytes_declared = match i32::from_be_bytes(*size) {
            // Allowed as a size, and no JSON.
            0 => 0,
            size => Verb::Identify.check_body_size(size, IDENTIFY_BYTES_MAX)?,
        };
        let Some(body) = rest.get(..bytes_declared) else { return Ok(Step::More) };
        let bad = |detail: &str| CommandError::new(ErrorCode::BadBody, format!("IDENTIFY {detail}"));
        let info = PeerInfo::decode(body).ok_or_else(|| bad("failed to decode JSON body"))?;
        if !info.is_complete() {
            return Err(bad("missing fields"));
        }
        let info = PeerInfo { remote_address: self.remote_address.clone(), ..info };
        self.events.push_back(Event::Identified(Arc::new(info.clone())));
        registry.identify(now, self.conn, info);
        self.identified = true;
        put_response(out, &[&self.server.encode()]);
        Ok(Step::Taken(size.len() + bytes_declared))
    }

    /// What REGISTER and UNREGISTER name.
    fn registration(&self, verb: &str, line: &mut Line<'_>) -> Result<(TopicName, Option<ChannelName>), CommandError> {
        if !self.identified {
            return Err(CommandError::new(ErrorCode::Invalid, "client must IDENTIFY"));
        }
        let Some(topic) = line.param() else {
            return Err(CommandError::new(ErrorCode::Invalid, format!("{verb} insufficient number of params")));
        };
        let bad = |code, what: &str, name: &[u8]| {
            CommandError::new(code, [format!("{verb} {what} name '").as_bytes(), name, b"' is not valid"].concat())
        };
        let name = TopicName::parse(topic).map_err(|_| bad(ErrorCode::BadTopic, "topic", topic))?;
        let channel = line.param().filter(|channel| !channel.is_empty());
        let channel = channel
            .map(|channel| ChannelName::parse(channel).map_err(|_| bad(ErrorCode::BadChannel, "channel", channel)));
        Ok((name, channel.transpose()?))
    }

    /// What to tell a peer whose stream ended inside an IDENTIFY.
    fn cut_off(&self) -> Option<CommandError> {
        let end = self.partial.iter().position(|&byte| byte == b'\n')?;
        let sized = self.partial.len() - end > size_of::<i32>();
        Some(if sized { Verb::Identify.body_missing() } else { Verb::Identify.body_size_missing() })
    }

    fn fail(&mut self, error: CommandError, registry: &mut Registry, out: &mut Vec<u8>) {
        put_response(out, &error.text());
        self.events.push_back(Event::Failed(error));
        self.close(registry);
    }

    fn close(&mut self, registry: &mut Registry) {
        self.phase = Phase::Closed;
        self.partial = Vec::new();
        registry.disconnect(self.conn);
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
