//! PUB, MPUB and DPUB. The publishes of one read that follow each other to one topic become one request: their bodies are
//! packed together, their topic is found once, they are answered once.

use std::time::Duration;

use bytes::Bytes;

use super::Session;
use super::commands::{Body, Command, Step, insufficient_parameters, millis};
use super::partial::{Lack, Want};
use super::replies::Sent;
use crate::message::{BLOCK_BYTES_MAX, BatchBuilder};
use crate::name::TopicName;
use crate::protocol::{Request, RequestId};
use crate::time::{Now, Timestamp};
use crate::wire::{CommandError, ErrorCode, Line, MpubScan, Scanned, Verb, decimal, mpub_messages, quote};

/// A body of this size that arrived in pieces keeps its buffer instead of being copied out of it.
const LARGE_BODY_BYTES: usize = 64 * 1024;
/// Most topics whose publishes are counted for one client.
const COUNTED_TOPICS_MAX: usize = 10_000;

/// What one call of `handle_bytes` works with.
pub(super) struct Turn<'a> {
    pub(super) now: Now,
    pub(super) requests: &'a mut Vec<Request>,
    pub(super) out: &'a mut Vec<u8>,
    builder: &'a mut BatchBuilder,
    open: Option<Open>,
}

/// Publishes taken and not yet sent; their messages are in the builder.
struct Open {
    topic: TopicName,
    verb: Verb,
    commands: u32,
    messages: u64,
    bytes: usize,
}

impl Open {
    /// Adds a command of `messages` messages in `bytes`.
    #[inline]
    fn add(&mut self, messages: u32, bytes: usize) {
        self.commands += 1;
        self.messages += u64::from(messages);
        self.bytes += bytes;
    }
}

impl<'a> Turn<'a> {
    pub(super) fn new(
        now: Now,
        builder: &'a mut BatchBuilder,
        requests: &'a mut Vec<Request>,
        out: &'a mut Vec<u8>,
    ) -> Self {
        debug_assert!(builder.is_empty());
        Self { now, requests, out, builder, open: None }
    }

    /// Whether publishes wait to be sent.
    pub(super) fn has_publish(&self) -> bool {
        self.open.is_some()
    }

    /// Adds a message to the open publish.
    #[inline]
    fn push(&mut self, body: &[u8], due: Option<Timestamp>) {
        if body.len() > BLOCK_BYTES_MAX {
            // Packing it would copy it twice.
            self.builder.push_owned(Bytes::copy_from_slice(body), due);
        } else {
            self.builder.push(body, due);
        }
    }

    /// Adds a message that is alone in its buffer to the open publish.
    pub(super) fn push_owned(&mut self, body: Bytes, due: Option<Timestamp>) {
        self.builder.push_owned(body, due);
    }
}

impl Session {
    /// The commonest command of a producer: PUB, whole, to the topic of the publish before. `None` if this is anything else.
    #[inline]
    pub(super) fn publish_again(&self, turn: &mut Turn<'_>, bytes: &[u8]) -> Option<Step> {
        let open = turn.open.as_mut()?;
        let rest = bytes.strip_prefix(b"PUB ")?.strip_prefix(open.topic.as_str().as_bytes())?;
        let (size, rest) = rest.strip_prefix(b"\n")?.split_first_chunk::<4>()?;
        let size = u32::from_be_bytes(*size) as usize;
        if size == 0 || size > self.config.max_msg_size {
            return None;
        }
        let body = rest.get(..size)?;
        open.add(1, size);
        turn.push(body, None);
        Some(Step::Taken(bytes.len() - rest.len() + size))
    }

    /// PUB and DPUB. As in nsqd, DPUB's line is judged before the body and permission is asked for after it.
    pub(super) fn on_publish(
        &mut self,
        turn: &mut Turn<'_>,
        command: &Command<'_>,
        verb: Verb,
        mut line: Line<'_>,
    ) -> Result<Step, CommandError> {
        let (raw, defer) = match (verb, line.param(), line.param()) {
            (Verb::PublishDeferred, Some(topic), Some(defer)) => (topic, Some(defer)),
            (Verb::Publish, Some(topic), _) => (topic, None),
            _ => return Err(insufficient_parameters(verb)),
        };
        let topic = self.publish_topic(turn, verb, raw)?;
        let due = match defer {
            Some(raw) => self.due(turn.now, raw)?,
            None => None,
        };
        let body = match command.body(verb, self.config.max_msg_size)? {
            Body::Whole(body) => body,
            Body::More(want) => return Ok(Step::More(want)),
        };
        if !self.check_permission(turn, verb, &topic, None)? {
            return Ok(Step::Stalled);
        }
        self.open_publish(turn, topic, verb).add(1, body.len());
        let end = command.body_start() + body.len();
        if command.stored && body.len() >= LARGE_BODY_BYTES {
            return Ok(Step::TakenLarge { body: command.body_start()..end, due });
        }
        turn.push(body, due);
        Ok(Step::Taken(end))
    }

    /// MPUB. nsqd creates the topic before it has read the body; here a command that is refused leaves nothing behind.
    pub(super) fn on_publish_many(
        &mut self,
        turn: &mut Turn<'_>,
        command: &Command<'_>,
        mut line: Line<'_>,
    ) -> Result<Step, CommandError> {
        let verb = Verb::PublishMany;
        let raw = line.param().ok_or_else(|| insufficient_parameters(verb))?;
        let topic = self.publish_topic(turn, verb, raw)?;
        if !self.check_permission(turn, verb, &topic, None)? {
            return Ok(Step::Stalled);
        }
        let (max_body, max_msg) = (self.config.max_body_size, self.config.max_msg_size);
        let Some(declared) = command.body_size(verb, max_body)? else {
            return Ok(Step::More(command.want_body_size(verb)));
        };
        let start = command.body_start();
        match self.partial.scan.advance(command.after_body_size(), declared, max_msg, max_body)? {
            Scanned::More { need } => {
                let lack = Lack::PublishMany { body: start };
                return Ok(Step::More(Want { lack, need: start + need, whole: start + declared }));
            }
            Scanned::Whole => {}
        }
        let body = &command.after_body_size()[..declared];
        let messages = self.partial.scan.messages();
        self.partial.scan = MpubScan::default();
        self.open_publish(turn, topic, verb).add(messages, declared);
        for message in mpub_messages(body) {
            turn.push(message, None);
        }
        Ok(Step::Taken(start + declared))
    }

    /// The topic called `raw`. Topics this client has published to are found, not made.
    fn publish_topic(&self, turn: &Turn<'_>, verb: Verb, raw: &[u8]) -> Result<TopicName, CommandError> {
        if let Some(open) = &turn.open
            && open.topic.as_str().as_bytes() == raw
        {
            return Ok(open.topic.clone());
        }
        let known = std::str::from_utf8(raw).ok().and_then(|raw| self.pub_counts.get_key_value(raw));
        if let Some((topic, _)) = known {
            return Ok(topic.clone());
        }
        TopicName::parse(raw).map_err(|_| {
            // nsqd says the code twice for MPUB.
            let again = if verb == Verb::PublishMany { "E_BAD_TOPIC " } else { "" };
            CommandError::new(ErrorCode::BadTopic, format!("{again}{verb} topic name {} is not valid", quote(raw)))
        })
    }

    /// When a message deferred by `raw` milliseconds is due; `None` is at once.
    fn due(&self, now: Now, raw: &[u8]) -> Result<Option<Timestamp>, CommandError> {
        let verb = Verb::PublishDeferred;
        let Some(ms) = decimal(raw) else {
            let detail = [verb.as_str().as_bytes(), b" could not parse timeout ", raw].concat();
            return Err(CommandError::new(ErrorCode::Invalid, detail));
        };
        match millis(ms) {
            Some(Duration::ZERO) => Ok(None),
            Some(defer) if defer <= self.config.max_req_timeout => Ok(Some(now.wall + defer)),
            _ => {
                let max = self.config.max_req_timeout.as_millis();
                Err(CommandError::new(ErrorCode::Invalid, format!("{verb} timeout {ms} out of range 0-{max}")))
            }
        }
    }

    /// Makes the publish to `topic` the open one.
    fn open_publish<'t>(&mut self, turn: &'t mut Turn<'_>, topic: TopicName, verb: Verb) -> &'t mut Open {
        if turn.open.as_ref().is_none_or(|open| open.topic != topic) {
            self.send_publish(turn);
        }
        turn.open.get_or_insert(Open { topic, verb, commands: 0, messages: 0, bytes: 0 })
    }

    /// Sends the open publish, if there is one.
    pub(super) fn send_publish(&mut self, turn: &mut Turn<'_>) {
        let Some(Open { topic, verb, commands, messages, bytes }) = turn.open.take() else { return };
        let id = self.next_request();
        self.replies.expect(Sent { id, commands, bytes, verb });
        if let Some(count) = self.pub_counts.get_mut(topic.as_str()) {
            *count += messages;
        } else if self.pub_counts.len() < COUNTED_TOPICS_MAX {
            self.pub_counts.insert(topic.clone(), messages);
        }
        turn.requests.push(Request::Publish { id, topic, batches: turn.builder.finish() });
    }

    pub(super) fn next_request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }
}
