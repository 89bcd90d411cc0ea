//! One command: what it needs, in the reference's order of checks, and what it does. Publishes are in
//! [`publish`](super::publish).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::auth::{Auth, SECRET_BYTES_MAX};
use super::client::ClientInfo;
use super::partial::{Lack, Want};
use super::publish::Turn;
use super::timers::UPGRADE_TIMEOUT;
use super::{Phase, Session, State, refused};
use crate::message::MessageId;
use crate::name::{ChannelName, TopicName};
use crate::protocol::{ConsumerCommand, ConsumerOptions, ConsumerVerb, Locality, RefusedWhy, Request, Subscribe};
use crate::time::{Now, Timestamp};
use crate::wire::{
    CommandError, ErrorCode, FrameType, Identify, LINE_BYTES_MAX, Line, MAGIC, Verb, decimal, put_close_wait,
    put_frame, put_ok, quote,
};

/// What came of looking at a command.
pub(super) enum Step {
    /// It took this many bytes.
    Taken(usize),
    /// It was stored, and its bytes end with a message to be taken out without a copy.
    TakenLarge { body: Range<usize>, due: Option<Timestamp> },
    /// It is not whole.
    More(Want),
    /// It waits for the answer to something before it, and is to be looked at again.
    Stalled,
}

/// The bytes of a command: its line, and what of the stream there is behind it.
pub(super) struct Command<'a> {
    bytes: &'a [u8],
    /// With the `\n`.
    line_len: usize,
    /// The bytes are this command's only, in a buffer of the session.
    pub(super) stored: bool,
}

/// A body of known size.
pub(super) enum Body<'a> {
    Whole(&'a [u8]),
    More(Want),
}

const SIZE_BYTES: usize = 4;

impl<'a> Command<'a> {
    /// Where the body begins, behind its size.
    pub(super) fn body_start(&self) -> usize {
        self.line_len + SIZE_BYTES
    }

    /// The stream behind the body's size.
    pub(super) fn after_body_size(&self) -> &'a [u8] {
        self.bytes.get(self.body_start()..).unwrap_or_default()
    }

    /// The body's size, 1..=`max`; `None` if it has not arrived.
    pub(super) fn body_size(&self, verb: Verb, max: usize) -> Result<Option<usize>, CommandError> {
        match self.bytes[self.line_len..].first_chunk::<SIZE_BYTES>() {
            Some(size) => verb.check_body_size(i32::from_be_bytes(*size), max).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn want_body_size(&self, verb: Verb) -> Want {
        Want::bytes(Lack::BodySize(verb), self.body_start())
    }

    pub(super) fn body(&self, verb: Verb, max: usize) -> Result<Body<'a>, CommandError> {
        let Some(size) = self.body_size(verb, max)? else {
            return Ok(Body::More(self.want_body_size(verb)));
        };
        Ok(match self.after_body_size().get(..size) {
            Some(body) => Body::Whole(body),
            None => Body::More(Want::bytes(Lack::Body(verb), self.body_start() + size)),
        })
    }
}

impl Session {
    /// Looks at the command that `bytes` begin with; they are not empty.
    #[inline]
    pub(super) fn step(&mut self, turn: &mut Turn<'_>, bytes: &[u8]) -> Result<Step, CommandError> {
        if let Some(step) = self.publish_again(turn, bytes).or_else(|| self.finish_again(turn, bytes)) {
            return Ok(step);
        }
        self.step_any(turn, bytes, false)
    }

    /// Looks at the stored command, of which enough has arrived.
    pub(super) fn step_stored(&mut self, turn: &mut Turn<'_>) -> Result<Step, CommandError> {
        let bytes = self.partial.take();
        let step = self.step_any(turn, &bytes, true)?;
        match &step {
            Step::Taken(_) => self.partial.reset(),
            Step::TakenLarge { body, due } => {
                self.partial.reset();
                turn.push_owned(Bytes::from(bytes).slice(body.clone()), *due);
            }
            Step::More(want) => self.partial.put_back(bytes, Some(*want)),
            Step::Stalled => self.partial.put_back(bytes, None),
        }
        Ok(step)
    }

    /// The commonest command of a consumer: FIN, whole, with an id that may be one of ours. `None` if it is anything else.
    #[inline]
    fn finish_again(&mut self, turn: &mut Turn<'_>, bytes: &[u8]) -> Option<Step> {
        const LEN: usize = "FIN ".len() + MessageId::LEN + 1;
        let line: &[u8; LEN] = bytes.first_chunk()?;
        if !line.starts_with(b"FIN ") || line[LEN - 1] != b'\n' || self.state == State::Init {
            return None;
        }
        let id = MessageId::parse(&line[4..LEN - 1])?;
        self.send_publish(turn);
        turn.requests.push(Request::Consumer(ConsumerCommand::Finish { id }));
        Some(Step::Taken(LEN))
    }

    fn step_any(&mut self, turn: &mut Turn<'_>, bytes: &[u8], stored: bool) -> Result<Step, CommandError> {
        if self.phase == Phase::Magic {
            return self.on_magic(turn.now, bytes);
        }
        let searched = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
        let Some(end) = searched.iter().position(|&byte| byte == b'\n') else {
            if searched.len() < LINE_BYTES_MAX {
                return Ok(Step::More(Want::LINE));
            }
            // nsqd closes without a word.
            return Err(CommandError::new(ErrorCode::Invalid, "line too long"));
        };
        let line = Line::parse(&bytes[..end]);
        self.on_command(turn, Command { bytes, line_len: end + 1, stored }, line)
    }

    fn on_magic(&mut self, now: Now, bytes: &[u8]) -> Result<Step, CommandError> {
        match bytes.first_chunk::<4>() {
            None => Ok(Step::More(Want::MAGIC)),
            Some(magic) if *magic == MAGIC => {
                self.phase = Phase::Open;
                self.start_heartbeats(now);
                Ok(Step::Taken(MAGIC.len()))
            }
            Some(_) => Err(CommandError::new(ErrorCode::BadProtocol, "")),
        }
    }

    fn on_command(&mut self, turn: &mut Turn<'_>, command: Command<'_>, line: Line<'_>) -> Result<Step, CommandError> {
        let verb = Verb::parse(line.name);
        if self.features.tls_required && verb != Some(Verb::Identify) && !self.client.as_ref().is_some_and(|c| c.tls) {
            let detail = [b"cannot ", line.name, b" in current state (TLS required)"].concat();
            return Err(CommandError::new(ErrorCode::Invalid, detail));
        }
        let Some(verb) = verb else {
            return Err(CommandError::new(ErrorCode::Invalid, [b"invalid command ", line.name].concat()));
        };
        let line_len = command.line_len;
        match verb {
            Verb::Publish | Verb::PublishDeferred => return self.on_publish(turn, &command, verb, line),
            Verb::PublishMany => return self.on_publish_many(turn, &command, line),
            Verb::Identify => return self.on_identify(turn, &command),
            Verb::Authorize => return self.on_authorize(turn, &command, line),
            Verb::Subscribe => return self.on_subscribe(turn, line_len, line),
            Verb::Nop => {}
            Verb::Ready => self.on_ready(turn, line)?,
            Verb::Finish => self.on_consumer(turn, ConsumerVerb::Finish, line)?,
            Verb::Requeue => self.on_consumer(turn, ConsumerVerb::Requeue, line)?,
            Verb::Touch => self.on_consumer(turn, ConsumerVerb::Touch, line)?,
            Verb::StartClose => self.on_start_close(turn)?,
        }
        Ok(Step::Taken(line_len))
    }

    /// A second IDENTIFY replaces the first, also in what nsqd's delivery loop takes from the first only.
    fn on_identify(&mut self, turn: &mut Turn<'_>, command: &Command<'_>) -> Result<Step, CommandError> {
        let verb = Verb::Identify;
        self.require(verb, self.state == State::Init)?;
        let body = match command.body(verb, self.config.max_body_size)? {
            Body::Whole(body) => body,
            Body::More(want) => return Ok(Step::More(want)),
        };
        if self.is_awaited(turn) {
            return Ok(Step::Stalled);
        }
        let Some(wanted) = Identify::decode(body) else {
            let detail = format!("{verb} failed to decode JSON body");
            return Err(CommandError::new(ErrorCode::BadBody, detail));
        };
        let negotiates = wanted.feature_negotiation;
        let mut client = self.client.take().unwrap_or_else(|| Arc::new(ClientInfo::new(&self.config)));
        Arc::make_mut(&mut client).negotiate(wanted, &self.config, self.features)?;
        self.heartbeat_interval = client.heartbeat_interval;
        self.changed = true;
        self.start_heartbeats(turn.now);
        if negotiates {
            let reply = client.reply(&self.config, self.features).to_string();
            put_frame(turn.out, FrameType::Response, &[reply.as_bytes()]);
            self.client = Some(client);
            self.start_upgrade(turn.now, turn.requests);
        } else {
            self.client = Some(client);
            put_ok(turn.out, 1);
        }
        Ok(Step::Taken(command.body_start() + body.len()))
    }

    /// Asks for the next change of the stream that was granted, or goes on.
    pub(super) fn start_upgrade(&mut self, now: Now, requests: &mut Vec<Request>) {
        match self.client.as_ref().and_then(|client| client.next_upgrade()) {
            Some(upgrade) => {
                self.phase = Phase::Upgrading { upgrade, deadline: now.mono + UPGRADE_TIMEOUT };
                requests.push(Request::Upgrade(upgrade));
            }
            None => {
                self.phase = Phase::Open;
                self.start_heartbeats(now);
            }
        }
    }

    fn start_heartbeats(&mut self, now: Now) {
        self.next_heartbeat = now.mono + self.heartbeat_interval.unwrap_or_default();
    }

    fn on_authorize(
        &mut self,
        turn: &mut Turn<'_>,
        command: &Command<'_>,
        mut line: Line<'_>,
    ) -> Result<Step, CommandError> {
        let verb = Verb::Authorize;
        self.require(verb, self.state == State::Init)?;
        if line.param().is_some() {
            return Err(CommandError::new(ErrorCode::Invalid, format!("{verb} invalid number of parameters")));
        }
        let secret = match command.body(verb, self.config.max_body_size.min(SECRET_BYTES_MAX))? {
            Body::Whole(body) => body.to_vec(),
            Body::More(want) => return Ok(Step::More(want)),
        };
        if self.auth.is_some() {
            return Err(CommandError::new(ErrorCode::Invalid, format!("{verb} already set")));
        }
        if !self.features.auth {
            return Err(CommandError::new(ErrorCode::AuthDisabled, format!("{verb} disabled")));
        }
        if self.is_awaited(turn) {
            return Ok(Step::Stalled);
        }
        let len = secret.len();
        self.phase = Phase::Authorizing;
        turn.requests.push(Request::Authorize { secret: secret.clone() });
        self.auth = Some(Box::new(Auth::asked(secret)));
        Ok(Step::Taken(command.body_start() + len))
    }

    /// Whether the client may do it. `false`: only the auth server knows, and is being asked.
    pub(super) fn check_permission(
        &mut self,
        turn: &mut Turn<'_>,
        verb: Verb,
        topic: &TopicName,
        channel: Option<&ChannelName>,
    ) -> Result<bool, CommandError> {
        if !self.features.auth {
            return Ok(true);
        }
        let Some(auth) = &self.auth else {
            return Err(CommandError::new(ErrorCode::AuthFirst, format!("AUTH required before {verb}")));
        };
        if auth.expires <= turn.now.mono {
            self.phase = Phase::Renewing;
            turn.requests.push(Request::Authorize { secret: auth.secret.clone() });
            return Ok(false);
        }
        auth.check(verb, topic.as_str(), channel.map(ChannelName::as_str))?;
        Ok(true)
    }

    fn on_subscribe(&mut self, turn: &mut Turn<'_>, line_len: usize, mut line: Line<'_>) -> Result<Step, CommandError> {
        let verb = Verb::Subscribe;
        self.require(verb, self.state == State::Init)?;
        if self.heartbeat_interval.is_none() {
            let detail = format!("cannot {verb} with heartbeats disabled");
            return Err(CommandError::new(ErrorCode::Invalid, detail));
        }
        let (Some(topic), Some(channel)) = (line.param(), line.param()) else {
            return Err(insufficient_parameters(verb));
        };
        let bad = |code, what, raw| CommandError::new(code, format!("{verb} {what} name {} is not valid", quote(raw)));
        let topic = TopicName::parse(topic).map_err(|_| bad(ErrorCode::BadTopic, "topic", topic))?;
        let channel = ChannelName::parse(channel).map_err(|_| bad(ErrorCode::BadChannel, "channel", channel))?;
        if self.is_awaited(turn) || !self.check_permission(turn, verb, &topic, Some(&channel))? {
            return Ok(Step::Stalled);
        }
        let (counted_as, served_as) = self.localities();
        let options = ConsumerOptions {
            msg_timeout: self.msg_timeout(),
            sample_rate: self.client.as_ref().map_or(0, |client| client.sample_rate),
            counted_as,
            served_as,
        };
        let id = self.next_request();
        self.phase = Phase::Subscribing(id);
        turn.requests.push(Request::Subscribe(Subscribe { id, topic, channel, options }));
        Ok(Step::Taken(line_len))
    }

    fn on_ready(&mut self, turn: &mut Turn<'_>, mut line: Line<'_>) -> Result<(), CommandError> {
        let verb = Verb::Ready;
        if self.state == State::Closing {
            return Ok(());
        }
        self.require(verb, self.state == State::Subscribed)?;
        let count = match line.param() {
            None => 1,
            Some(raw) => decimal(raw).ok_or_else(|| could_not_parse(verb, "count", raw))? as i64,
        };
        match u32::try_from(count) {
            Ok(count) if count <= self.config.max_rdy_count => {
                self.consume(turn, ConsumerCommand::Ready { count });
                Ok(())
            }
            _ => {
                let max = self.config.max_rdy_count;
                Err(CommandError::new(ErrorCode::Invalid, format!("{verb} count {count} out of range 0-{max}")))
            }
        }
    }

    /// FIN, REQ and TOUCH.
    fn on_consumer(
        &mut self,
        turn: &mut Turn<'_>,
        consumer_verb: ConsumerVerb,
        mut line: Line<'_>,
    ) -> Result<(), CommandError> {
        let verb = match consumer_verb {
            ConsumerVerb::Finish => Verb::Finish,
            ConsumerVerb::Requeue => Verb::Requeue,
            ConsumerVerb::Touch => Verb::Touch,
        };
        self.require(verb, self.state != State::Init)?;
        let insufficient = || CommandError::new(ErrorCode::Invalid, format!("{verb} insufficient number of params"));
        let raw = line.param().ok_or_else(insufficient)?;
        let delay = if verb == Verb::Requeue { line.param().ok_or_else(insufficient)? } else { b"" };
        if raw.len() != MessageId::LEN {
            return Err(CommandError::new(ErrorCode::Invalid, "invalid message ID"));
        }
        let delay = decimal(delay).ok_or_else(|| could_not_parse(verb, "timeout", delay))?;
        let Some(id) = MessageId::parse(raw) else {
            // No message has such an id, so nobody else need be asked.
            self.send_publish(turn);
            let error = refused(consumer_verb, raw, RefusedWhy::NotInFlight);
            self.replies.put(turn.out, |out| error.put(out));
            return Ok(());
        };
        let command = match consumer_verb {
            ConsumerVerb::Finish => ConsumerCommand::Finish { id },
            ConsumerVerb::Requeue => {
                let delay = millis(delay).unwrap_or_default().min(self.config.max_req_timeout);
                ConsumerCommand::Requeue { id, delay }
            }
            ConsumerVerb::Touch => ConsumerCommand::Touch { id, msg_timeout: self.msg_timeout() },
        };
        self.consume(turn, command);
        Ok(())
    }

    fn on_start_close(&mut self, turn: &mut Turn<'_>) -> Result<(), CommandError> {
        self.require(Verb::StartClose, self.state == State::Subscribed)?;
        self.state = State::Closing;
        self.changed = true;
        self.consume(turn, ConsumerCommand::StartClose);
        self.replies.put(turn.out, put_close_wait);
        Ok(())
    }

    fn consume(&mut self, turn: &mut Turn<'_>, command: ConsumerCommand) {
        self.send_publish(turn);
        turn.requests.push(Request::Consumer(command));
    }

    /// Whether something before this command is not answered.
    fn is_awaited(&self, turn: &Turn<'_>) -> bool {
        turn.has_publish() || !self.replies.is_empty()
    }

    fn require(&self, verb: Verb, holds: bool) -> Result<(), CommandError> {
        if holds {
            Ok(())
        } else {
            Err(CommandError::new(ErrorCode::Invalid, format!("cannot {verb} in current state")))
        }
    }

    /// As what a consumer is counted and served, by where it says it is.
    fn localities(&self) -> (Locality, Locality) {
        let aware = self.config.topology_aware_consumption;
        let Some(client) = self.client.as_ref().filter(|_| aware) else { return Default::default() };
        let (our_zone, our_region) = (&self.config.topology_zone, &self.config.topology_region);
        let (zone, region) = (client.topology_zone == *our_zone, client.topology_region == *our_region);
        let near = Locality::of(zone && !our_zone.is_empty(), region && !our_region.is_empty());
        (Locality::of(zone, region), near)
    }

    fn msg_timeout(&self) -> Duration {
        self.client.as_ref().map_or(self.config.msg_timeout, |client| client.msg_timeout)
    }
}

pub(super) fn insufficient_parameters(verb: Verb) -> CommandError {
    CommandError::new(ErrorCode::Invalid, format!("{verb} insufficient number of parameters"))
}

fn could_not_parse(verb: Verb, what: &str, raw: &[u8]) -> CommandError {
    let prefix = format!("{verb} could not parse {what} ");
    CommandError::new(ErrorCode::Invalid, [prefix.as_bytes(), raw].concat())
}

/// A number of milliseconds as Go makes a duration of it: in signed nanoseconds that wrap. `None` if that is negative.
pub(super) fn millis(ms: u64) -> Option<Duration> {
    u64::try_from(ms.wrapping_mul(1_000_000) as i64).ok().map(Duration::from_nanos)
}
