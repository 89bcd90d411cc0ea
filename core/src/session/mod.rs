//! The V2 protocol, one [`Session`] per connection: bytes in, [`Request`]s out; answers in, bytes out. It owns what a
//! connection knows of itself: how far the stream was read, the client's state, what IDENTIFY and AUTH settled, the order
//! of replies, the deadlines. It does not know sockets, TLS, compression, topics or auth servers: its host does.
//!
//! What holds:
//! - A session with nothing to do owns no memory but itself, and what its client told of itself.
//! - Bytes are parsed where the host read them. Only a command that is cut off by the end of the input is stored, and
//!   never more of it than the protocol's limits allow.
//! - Replies come in the order of the commands, whatever the order of the answers (`Replies`). Heartbeats and
//!   messages come when they come.
//! - After a fatal error nothing more is parsed and nothing but the replies before it and its frame is written. A FIN, REQ
//!   or TOUCH has no reply when it succeeds, so the error does not wait to learn that one before it failed.
//! - Requests come in the order of the commands. SUB, AUTH and IDENTIFY change what the connection is: they are taken
//!   when every publish before them is answered, and nothing is taken until they are answered themselves.
//!
//! Where this departs from nsqd (`nsqd/protocol_v2.go`) the code says so; `docs/differences.md` has the list.

mod auth;
mod client;
mod commands;
mod partial;
mod publish;
mod replies;
mod timers;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use auth::{AuthFailed, Grant, Permissions};
pub use client::ClientInfo;
pub use timers::TimerKind;

use crate::config::Config;
use crate::message::{BatchBuilder, Run};
use crate::name::TopicName;
use crate::protocol::{Answer, ConsumerCommand, ConsumerVerb, RefusedWhy, Request, RequestId, Upgrade, WINDOW_BYTES};
use crate::time::{Instant, Now};
use crate::wire::{
    AuthReply, CommandError, ErrorCode, FRAME_HEAD_BYTES, FrameType, MESSAGE_HEAD_BYTES, Verb, put_frame, put_message,
    put_ok,
};

use auth::Auth;
use client::HEARTBEAT_INTERVAL;
use commands::Step;
use partial::Partial;
use publish::Turn;
use replies::Replies;

/// Body bytes of written deliveries that make a credit worth sending.
const CREDIT_BYTES: u64 = WINDOW_BYTES as u64 / 4;

/// What the host of a session can do, and insists on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Grants TLS.
    pub tls: bool,
    /// Refuses commands outside TLS.
    pub tls_required: bool,
    /// Grants snappy.
    pub snappy: bool,
    /// Grants deflate.
    pub deflate: bool,
    /// Asks an auth server: publishing and subscribing need a grant.
    pub auth: bool,
}

/// A client's state; the numbers are those of `/stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Connected.
    Init = 0,
    /// After SUB.
    Subscribed = 3,
    /// After CLS.
    Closing = 4,
}

/// What a session does with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits for the magic.
    Magic,
    /// Takes commands.
    Open,
    /// Takes none until SUB is answered.
    Subscribing(RequestId),
    /// Takes none until AUTH is answered.
    Authorizing,
    /// Takes none until an expired grant is renewed.
    Renewing,
    /// Takes none until the stream below is changed.
    Upgrading { upgrade: Upgrade, deadline: Instant },
    /// Takes none; what was taken is still answered.
    Draining,
    /// Takes and writes nothing.
    Closed,
}

/// The protocol of one connection. See the [module](self) for what holds.
///
/// The host calls [`handle_bytes`](Self::handle_bytes) with what it read, keeps what was not consumed, and offers it again,
/// with whatever followed, after each answer. It writes `out` as it fills, and calls
/// [`handle_flushed`](Self::handle_flushed) when all of it is written or [`handle_blocked`](Self::handle_blocked) when
/// the socket takes no more. When [`is_closed`](Self::is_closed), it writes what is left of `out` and closes.
#[derive(Clone, Debug)]
pub struct Session {
    config: Arc<Config>,
    features: Features,
    phase: Phase,
    state: State,
    /// A command that was taken must wait for an answer; it is offered again.
    stalled: bool,
    /// The stream has ended.
    ended: bool,
    /// State or client info changed since the host asked.
    changed: bool,
    partial: Partial,
    replies: Replies,
    next_request: u64,
    client: Option<Arc<ClientInfo>>,
    auth: Option<Box<Auth>>,
    pub_counts: BTreeMap<TopicName, u64>,
    /// `None`: heartbeats are disabled.
    heartbeat_interval: Option<Duration>,
    next_heartbeat: Instant,
    /// When the session began to wait for a command, or for the magic.
    idle_since: Instant,
    /// When the socket took bytes last, while it takes none.
    blocked_since: Option<Instant>,
    /// When it began to take none.
    blocked_from: Instant,
    unflushed_body_bytes: u64,
    uncredited_body_bytes: u64,
}

impl Session {
    /// A connection that has sent nothing yet.
    pub fn new(now: Now, config: Arc<Config>, features: Features) -> Self {
        Self {
            config,
            features,
            phase: Phase::Magic,
            state: State::Init,
            stalled: false,
            ended: false,
            changed: false,
            partial: Partial::new(),
            replies: Replies::default(),
            next_request: 0,
            client: None,
            auth: None,
            pub_counts: BTreeMap::new(),
            heartbeat_interval: Some(HEARTBEAT_INTERVAL),
            next_heartbeat: now.mono,
            idle_since: now.mono,
            blocked_since: None,
            blocked_from: now.mono,
            unflushed_body_bytes: 0,
            uncredited_body_bytes: 0,
        }
    }

    /// The client's state.
    pub fn state(&self) -> State {
        self.state
    }

    /// What the client told of itself; `None` before IDENTIFY, where nsqd shows the peer's address for both its names.
    pub fn info(&self) -> Option<&Arc<ClientInfo>> {
        self.client.as_ref()
    }

    /// Whether [`state`](Self::state), [`info`](Self::info) or [`grant`](Self::grant) changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What the auth server granted the client.
    pub fn grant(&self) -> Option<&Grant> {
        self.auth.as_deref().and_then(|auth| auth.grant.as_ref())
    }

    /// Messages published by topic, in order of the names. A publish counts when it is sent to its topic.
    pub fn pub_counts(&self) -> impl ExactSizeIterator<Item = (&TopicName, u64)> {
        self.pub_counts.iter().map(|(topic, count)| (topic, *count))
    }

    /// Memory held for a command that has not arrived whole, in bytes.
    pub fn stored_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// Whether nothing more will be written: the host writes what is left of `out` and closes.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether [`handle_bytes`](Self::handle_bytes) would take anything. While not, the host need not read.
    pub fn wants_input(&self) -> bool {
        matches!(self.phase, Phase::Magic | Phase::Open) && !self.stalled && !self.replies.is_full()
    }

    /// Carries out the commands in `input`, which continues the stream, and returns how many bytes it took. It takes all
    /// unless it has to wait for an answer (see [`wants_input`](Self::wants_input)) or closes. Called again, even
    /// with nothing, after each answer, since a command that had to wait may have been stored.
    ///
    /// `builder` is empty before and after; a host needs one per thread. A publish's messages are packed with it, and
    /// consecutive publishes to one topic are one request.
    pub fn handle_bytes(
        &mut self,
        now: Now,
        input: &[u8],
        builder: &mut BatchBuilder,
        requests: &mut Vec<Request>,
        out: &mut Vec<u8>,
    ) -> usize {
        self.handle_share(now, input, Share::ALL, builder, requests, out)
    }

    /// As [`handle_bytes`](Self::handle_bytes), but takes only as many commands as take a fraction of a millisecond to carry
    /// out, and the one that reaches the limit. For hosts that serve others on the same thread: they look at the clock
    /// between two calls.
    pub fn handle_some_bytes(
        &mut self,
        now: Now,
        input: &[u8],
        builder: &mut BatchBuilder,
        requests: &mut Vec<Request>,
        out: &mut Vec<u8>,
    ) -> usize {
        self.handle_share(now, input, Share::SOME, builder, requests, out)
    }

    fn handle_share(
        &mut self,
        now: Now,
        input: &[u8],
        share: Share,
        builder: &mut BatchBuilder,
        requests: &mut Vec<Request>,
        out: &mut Vec<u8>,
    ) -> usize {
        let mut turn = Turn::new(now, builder, requests, out);
        let (mut at, mut commands, first_request) = (0, 0, self.next_request);
        while self.wants_input()
            && at < share.bytes
            && commands < share.commands
            && self.next_request - first_request < share.requests
            && let Some(step) = self.next_step(&mut turn, input, &mut at)
        {
            commands += 1;
            match step {
                Ok(Step::Taken(_) | Step::TakenLarge { .. }) => self.idle_since = now.mono,
                Ok(Step::More(_)) => {}
                Ok(Step::Stalled) => self.stalled = true,
                Err(error) => {
                    self.send_publish(&mut turn);
                    self.fail(error, turn.out);
                }
            }
        }
        self.send_publish(&mut turn);
        if self.ended && at == input.len() && self.wants_input() {
            self.on_end(out);
        }
        at
    }

    /// Looks at the command that begins at `at`, or at the stored one once enough of it is there, and moves `at` past what
    /// was taken or stored. `None` if there is nothing to look at.
    #[inline]
    fn next_step(&mut self, turn: &mut Turn<'_>, input: &[u8], at: &mut usize) -> Option<Result<Step, CommandError>> {
        if !self.partial.is_empty() {
            let (taken, ready) = self.partial.fill(&input[*at..]);
            *at += taken;
            return ready.then(|| self.step_stored(turn));
        }
        let rest = &input[*at..];
        if rest.is_empty() {
            return None;
        }
        let step = self.step(turn, rest);
        match &step {
            Ok(Step::Taken(len)) => *at += len,
            Ok(Step::More(want)) => {
                self.partial.keep(rest, *want);
                *at = input.len();
            }
            Ok(Step::TakenLarge { .. } | Step::Stalled) | Err(_) => {}
        }
        Some(step)
    }

    /// The stream has ended, and every byte of it was consumed. What was taken is still answered.
    pub fn handle_eof(&mut self, out: &mut Vec<u8>) {
        self.ended = true;
        if self.wants_input() {
            self.on_end(out);
        }
    }

    fn on_end(&mut self, out: &mut Vec<u8>) {
        match self.partial.cut_off() {
            Some(error) => self.fail(error, out),
            None => self.drain(),
        }
    }

    /// Takes the answer to a request. Answers to requests that are not outstanding are ignored.
    pub fn handle_answer(&mut self, now: Now, answer: Answer, out: &mut Vec<u8>) {
        if self.phase == Phase::Closed {
            return;
        }
        match answer {
            Answer::Published { id, result } => {
                self.resume(now);
                match self.replies.on_published(id, result, out) {
                    Ok(()) => self.settle(),
                    Err(error) => self.fail(error, out),
                }
            }
            Answer::Subscribed { id, result } => {
                if self.phase != Phase::Subscribing(id) {
                    return;
                }
                self.resume(now);
                match result {
                    Ok(()) => {
                        self.phase = Phase::Open;
                        self.state = State::Subscribed;
                        self.changed = true;
                        put_ok(out, 1);
                    }
                    Err(error) => {
                        let detail = format!("{} failed {error}", Verb::Subscribe);
                        self.fail(CommandError::new(ErrorCode::SubscribeFailed, detail), out);
                    }
                }
            }
            Answer::Refused { verb, id, why } => {
                if self.phase != Phase::Draining {
                    let error = refused(verb, &id.to_hex(), why);
                    self.replies.put(out, |out| error.put(out));
                }
            }
            Answer::Evicted => self.close(),
        }
    }

    /// Takes the auth server's answer to [`Request::Authorize`].
    pub fn handle_authorized(&mut self, now: Now, result: Result<Grant, AuthFailed>, out: &mut Vec<u8>) {
        let renewing = match self.phase {
            Phase::Authorizing => false,
            Phase::Renewing => true,
            _ => return,
        };
        self.resume(now);
        let grant = match result {
            Ok(grant) => grant,
            Err(error) => return self.fail(CommandError::new(ErrorCode::AuthFailed, error.to_string()), out),
        };
        if !renewing && grant.permission_count == 0 {
            let detail = format!("{} no authorizations found", Verb::Authorize);
            return self.fail(CommandError::new(ErrorCode::Unauthorized, detail), out);
        }
        if !renewing {
            let Grant { identity, identity_url, permission_count, .. } = &grant;
            let reply = AuthReply { identity, identity_url, permission_count: *permission_count };
            put_frame(out, FrameType::Response, &[reply.to_string().as_bytes()]);
        }
        if let Some(auth) = &mut self.auth {
            auth.expires = now.mono + grant.ttl;
            auth.grant = Some(grant);
        }
        self.changed = true;
        self.phase = Phase::Open;
    }

    /// The stream below was changed as [`Request::Upgrade`] asked, or `Err` with the reason why not; then the error frame
    /// goes out on the stream as it was. Bytes consumed so far came before the change, `out` from here on goes after.
    pub fn handle_upgraded(
        &mut self,
        now: Now,
        result: Result<(), String>,
        requests: &mut Vec<Request>,
        out: &mut Vec<u8>,
    ) {
        let Phase::Upgrading { upgrade, .. } = self.phase else { return };
        if let Err(reason) = result {
            return self.fail(upgrade_failed(&reason), out);
        }
        put_ok(out, 1);
        if let Some(client) = &mut self.client {
            Arc::make_mut(client).on_upgraded(upgrade);
        }
        self.changed = true;
        self.resume(now);
        self.start_upgrade(now, requests);
    }

    /// Writes the messages of `runs`, and leaves it empty.
    pub fn handle_deliveries(&mut self, runs: &mut Vec<Run>, out: &mut Vec<u8>) {
        if matches!(self.phase, Phase::Draining | Phase::Closed) {
            runs.clear();
        }
        for run in runs.drain(..) {
            let bodies: usize = (run.from..run.to).map(|index| run.batch.body_len(index)).sum();
            out.reserve(bodies + run.len() as usize * (FRAME_HEAD_BYTES + MESSAGE_HEAD_BYTES));
            for message in run.messages() {
                put_message(out, &message, message.attempts.wrapping_add(1));
            }
            self.unflushed_body_bytes += bodies as u64;
        }
    }

    /// Everything in `out` so far was written to the socket. Opens the window for the deliveries among it.
    pub fn handle_flushed(&mut self, now: Now, requests: &mut Vec<Request>) {
        if self.blocked_since.take().is_some() {
            // For so long the client was not read from, so it could say nothing. What it was silent before still counts.
            self.idle_since = self.idle_since + now.mono.since(self.blocked_from);
        }
        self.uncredited_body_bytes += std::mem::take(&mut self.unflushed_body_bytes);
        if self.uncredited_body_bytes >= CREDIT_BYTES && self.phase != Phase::Closed {
            let bytes = std::mem::take(&mut self.uncredited_body_bytes);
            requests.push(Request::Consumer(ConsumerCommand::Credit { bytes }));
        }
    }

    /// The socket takes no more of `out` for now; it took `written` bytes of it since the last call. The write deadline runs
    /// from the last time it took any.
    pub fn handle_blocked(&mut self, now: Now, written: usize) {
        if self.blocked_since.is_none() {
            self.blocked_from = now.mono;
        }
        if written > 0 || self.blocked_since.is_none() {
            self.blocked_since = Some(now.mono);
        }
    }

    /// Takes no more input and closes once what was taken is answered.
    fn drain(&mut self) {
        self.phase = Phase::Draining;
        self.partial.reset();
        self.settle();
    }

    /// Answers with `error`, in its turn; a fatal one ends the session.
    fn fail(&mut self, error: CommandError, out: &mut Vec<u8>) {
        self.replies.put(out, |out| error.put(out));
        self.drain();
    }

    /// Ends the session, whatever is outstanding.
    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.partial.reset();
        self.replies.clear();
    }

    /// Something was answered: a draining session may be done.
    fn settle(&mut self) {
        if self.phase == Phase::Draining && self.replies.is_empty() {
            self.close();
        }
    }

    /// The session waited for an answer, not for its client.
    fn resume(&mut self, now: Now) {
        if !self.wants_input() {
            self.idle_since = now.mono;
            self.stalled = false;
        }
    }
}

/// How much one call handles at most.
#[derive(Clone, Copy)]
struct Share {
    bytes: usize,
    commands: u32,
    /// Of those that a topic answers: publishes that follow each other to one topic are one.
    requests: u64,
}

impl Share {
    const ALL: Self = Self { bytes: usize::MAX, commands: u32::MAX, requests: u64::MAX };
    /// What takes a fraction of a millisecond: 128 KiB or 1,024 commands are 0.2 ms (PUB of 200 bytes take 0.4 µs each, in MPUB
    /// half of that), and a publish to another topic than the one before takes some µs, or some ten if the topic is new. With
    /// 64 KiB a flood of MPUB needed two turns, and two writes, for a read of 256 KiB, and 5 % more processor time.
    const SOME: Self = Self { bytes: 128 * 1024, commands: 1024, requests: 64 };
}

/// The answer to a FIN, REQ or TOUCH whose message is not the client's, whose id is echoed as it was spelled.
fn refused(verb: ConsumerVerb, id: &[u8], why: RefusedWhy) -> CommandError {
    let (code, verb) = match verb {
        ConsumerVerb::Finish => (ErrorCode::FinishFailed, Verb::Finish),
        ConsumerVerb::Requeue => (ErrorCode::RequeueFailed, Verb::Requeue),
        ConsumerVerb::Touch => (ErrorCode::TouchFailed, Verb::Touch),
    };
    let why = why.to_string();
    CommandError::new(code, [verb.as_str().as_bytes(), b" ", id, b" failed ", why.as_bytes()].concat())
}

fn upgrade_failed(reason: &str) -> CommandError {
    CommandError::new(ErrorCode::IdentifyFailed, format!("{} failed {reason}", Verb::Identify))
}
