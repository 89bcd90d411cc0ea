//! A session under a host and a client that do anything at any time, within what a host may do. The input is a script: each
//! step is a byte that says what happens, a byte that says how, and for some the bytes the client writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sansq_core::config::Config;
use sansq_core::message::{BatchBuilder, Message, MessageId, Run};
use sansq_core::protocol::{
    Answer, ConsumerCommand, ConsumerVerb, PublishError, RefusedWhy, Request, RequestId, SubscribeError, Upgrade,
};
use sansq_core::session::{AuthFailed, Features, Grant, Permissions, Session, State};
use sansq_core::time::{Now, Timestamp};
use sansq_core::wire::{FrameType, LINE_BYTES_MAX, read_frame};

const MAX_MSG: usize = 300;
const MAX_BODY: usize = 1000;

pub fn run(data: &[u8]) {
    let Some((switches, mut script)) = data.split_first() else { return };
    let mut host = Host::new(*switches);
    while let [what, how, rest @ ..] = script {
        script = rest;
        match what % 12 {
            // Half of all steps are the client's.
            0..6 => {
                let (bytes, rest) = script.split_at(usize::from(*how).min(script.len()));
                script = rest;
                host.read(bytes);
            }
            6 => host.answer(*how),
            7 => host.pass(Duration::from_millis(u64::from(*how) * u64::from(*how))),
            8 => host.deliver(*how),
            9 => host.write(*how),
            10 => host.change(*how),
            _ => match how % 8 {
                0 => host.end(),
                1 => host.tell(Answer::Evicted),
                _ => host.refuse(*how),
            },
        }
        host.check();
    }
}

/// A host as the session's documentation wants it, and what it knows the session may do.
struct Host {
    session: Session,
    features: Features,
    now: Now,
    builder: BatchBuilder,
    requests: Vec<Request>,
    /// Written by the client and not consumed.
    input: Vec<u8>,
    out: Vec<u8>,
    ended: bool,
    /// Publishes and how many messages each has; `None` once answered.
    publishes: BTreeMap<RequestId, Option<usize>>,
    subscribing: Option<RequestId>,
    subscribed: bool,
    upgrading: Option<Upgrade>,
    authorizing: bool,
    last_request: u64,
    /// Most responses `OK` that can have come, besides those to IDENTIFY.
    ok_due: usize,
    ok_seen: usize,
    /// All that the client wrote.
    stream: Vec<u8>,
    unflushed: u64,
    uncredited: u64,
    closing: bool,
    /// Found closed by a check.
    over: bool,
}

#[derive(Debug)]
struct ShortNames;

impl Permissions for ShortNames {
    fn allow(&self, topic: &str, _channel: Option<&str>) -> bool {
        topic.len() < 3
    }
}

impl Host {
    fn new(switches: u8) -> Self {
        let bit = |bit: u8| switches >> bit & 1 == 1;
        let features = Features { tls: bit(0), tls_required: bit(1), snappy: bit(2), deflate: bit(3), auth: bit(4) };
        let config = Config { max_msg_size: MAX_MSG, max_body_size: MAX_BODY, ..Config::default() };
        let now = Now::default();
        Self {
            session: Session::new(now, Arc::new(config), features),
            features,
            now,
            builder: BatchBuilder::default(),
            requests: Vec::new(),
            input: Vec::new(),
            out: Vec::new(),
            ended: false,
            publishes: BTreeMap::new(),
            subscribing: None,
            subscribed: false,
            upgrading: None,
            authorizing: false,
            last_request: 0,
            ok_due: 0,
            ok_seen: 0,
            stream: Vec::new(),
            unflushed: 0,
            uncredited: 0,
            closing: false,
            over: false,
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        if !self.ended {
            self.stream.extend_from_slice(bytes);
            self.input.extend_from_slice(bytes);
            self.offer();
        }
    }

    fn offer(&mut self) {
        let input = std::mem::take(&mut self.input);
        let (requests, out) = (&mut self.requests, &mut self.out);
        let taken = self.session.handle_bytes(self.now, &input, &mut self.builder, requests, out);
        assert!(self.builder.is_empty());
        assert!(taken == input.len() || !self.session.wants_input());
        self.input = input[taken..].to_vec();
        self.take_requests();
    }

    fn take_requests(&mut self) {
        for request in std::mem::take(&mut self.requests) {
            assert!(!self.over, "a closed session asks nothing");
            match request {
                Request::Publish { id, batches, .. } => {
                    self.rises(id);
                    assert!(!batches.is_empty());
                    let mut messages = 0;
                    for batch in &batches {
                        messages += batch.len() as usize;
                        for index in 0..batch.len() {
                            let message = batch.message(index);
                            assert!((1..=MAX_MSG).contains(&message.body.len()));
                            let latest = self.now.wall + Duration::from_secs(3600);
                            assert!(message.due.is_none_or(|due| self.now.wall < due && due <= latest));
                        }
                    }
                    self.publishes.insert(id, Some(messages));
                }
                Request::Subscribe(subscribe) => {
                    self.rises(subscribe.id);
                    assert!(!self.subscribed && self.subscribing.is_none());
                    assert!(self.publishes.values().all(Option::is_none), "SUB waits for publishes");
                    self.subscribing = Some(subscribe.id);
                }
                Request::Consumer(command) => {
                    assert!(self.subscribed);
                    self.check_consumer(command);
                }
                Request::Upgrade(upgrade) => {
                    assert!(self.upgrading.is_none() && !self.subscribed);
                    assert!(match upgrade {
                        Upgrade::Tls => self.features.tls,
                        Upgrade::Snappy => self.features.snappy,
                        Upgrade::Deflate { level } => self.features.deflate && (1..=6).contains(&level),
                    });
                    self.upgrading = Some(upgrade);
                }
                Request::Authorize { secret } => {
                    assert!(self.features.auth && !self.authorizing && !secret.is_empty());
                    self.authorizing = true;
                }
            }
        }
    }

    fn rises(&mut self, id: RequestId) {
        assert!(id.0 > self.last_request);
        self.last_request = id.0;
    }

    fn check_consumer(&mut self, command: ConsumerCommand) {
        match command {
            ConsumerCommand::Ready { count } => assert!(count <= 2500 && !self.closing),
            ConsumerCommand::Requeue { delay, .. } => assert!(delay <= Duration::from_secs(3600)),
            ConsumerCommand::Touch { msg_timeout, .. } => {
                assert!((Duration::from_secs(1)..=Duration::from_secs(900)).contains(&msg_timeout));
            }
            ConsumerCommand::StartClose => {
                assert!(!self.closing);
                self.closing = true;
            }
            ConsumerCommand::Finish { .. } => {}
            ConsumerCommand::Credit { bytes } => {
                self.uncredited = self.uncredited.checked_sub(bytes).expect("no more credit than was delivered");
            }
        }
    }

    /// Answers one of what is outstanding, in any order.
    fn answer(&mut self, how: u8) {
        let good = how & 1 == 0;
        let pick = usize::from(how >> 1);
        let waiting: Vec<_> = self.publishes.iter().filter_map(|(id, left)| left.map(|left| (*id, left))).collect();
        if !waiting.is_empty() {
            let (id, messages) = waiting[pick % waiting.len()];
            self.publishes.insert(id, None);
            let result = if good { Ok(()) } else { Err(PublishError::Exiting) };
            if good {
                // One command has one message at least.
                self.ok_due += messages;
            }
            return self.tell(Answer::Published { id, result });
        }
        if let Some(id) = self.subscribing.take() {
            let result = if good { Ok(()) } else { Err(SubscribeError::Exiting) };
            self.subscribed = good && !self.session.is_closed();
            self.ok_due += usize::from(good);
            self.tell(Answer::Subscribed { id, result });
        }
    }

    fn tell(&mut self, answer: Answer) {
        self.session.handle_answer(self.now, answer, &mut self.out);
        self.offer();
    }

    fn refuse(&mut self, how: u8) {
        if self.subscribed {
            let verb = [ConsumerVerb::Finish, ConsumerVerb::Requeue, ConsumerVerb::Touch][usize::from(how) % 3];
            self.tell(Answer::Refused { verb, id: MessageId(how.into()), why: RefusedWhy::NotOwner });
        }
    }

    /// Answers an upgrade or the auth server's question.
    fn change(&mut self, how: u8) {
        let good = how & 1 == 0;
        if self.upgrading.take().is_some() {
            let result = if good { Ok(()) } else { Err("no".to_owned()) };
            self.ok_due += usize::from(good);
            self.session.handle_upgraded(self.now, result, &mut self.requests, &mut self.out);
            self.take_requests();
        } else if std::mem::take(&mut self.authorizing) {
            let grant = Grant {
                identity: "me".to_owned(),
                identity_url: String::new(),
                permission_count: usize::from(how >> 1 & 1),
                ttl: Duration::from_secs(u64::from(how >> 4)),
                permissions: Arc::new(ShortNames),
            };
            let result = if good { Ok(grant) } else { Err(AuthFailed) };
            self.session.handle_authorized(self.now, result, &mut self.out);
        }
        self.offer();
    }

    fn deliver(&mut self, how: u8) {
        if !self.subscribed {
            return;
        }
        let mut builder = BatchBuilder::default();
        let body = vec![b'm'; usize::from(how) * 300 + 1];
        for id in 0..3 {
            let (id, timestamp) = (MessageId(id), Timestamp::default());
            builder.push_stored(Message { id, timestamp, attempts: u16::MAX, due: None, body: &body });
        }
        let mut runs: Vec<_> = builder.finish().into_iter().map(|batch| Run::whole(Arc::new(batch))).collect();
        let before = self.out.len();
        self.session.handle_deliveries(&mut runs, &mut self.out);
        assert!(runs.is_empty());
        if self.out.len() > before {
            self.unflushed += 3 * body.len() as u64;
        }
    }

    fn write(&mut self, how: u8) {
        if how & 1 == 0 {
            self.uncredited += std::mem::take(&mut self.unflushed);
            self.session.handle_flushed(self.now, &mut self.requests);
            self.take_requests();
        } else {
            self.session.handle_blocked(self.now, usize::from(how >> 1 & 1));
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        while let Some((deadline, _)) = self.session.poll_timeout()
            && deadline <= until
        {
            let passed = deadline.since(self.now.mono);
            self.now = Now { mono: self.now.mono + passed, wall: self.now.wall + passed };
            self.session.handle_timeout(self.now, &mut self.out);
            assert!(self.session.poll_timeout().is_none_or(|(next, _)| next > self.now.mono));
            self.check();
        }
        let passed = until.since(self.now.mono);
        self.now = Now { mono: until, wall: self.now.wall + passed };
    }

    fn end(&mut self) {
        if self.input.is_empty() && !self.ended {
            self.ended = true;
            self.session.handle_eof(&mut self.out);
            self.offer();
        }
    }

    /// Reads what was written, and holds it and the session against what the host knows.
    fn check(&mut self) {
        let out = std::mem::take(&mut self.out);
        assert!(out.is_empty() || !self.over, "a closed session writes nothing");
        let mut rest = out.as_slice();
        let mut fatal = false;
        while !rest.is_empty() {
            assert!(!fatal, "nothing follows a fatal error");
            let (kind, data, len) = read_frame(rest).expect("whole frames");
            rest = &rest[len..];
            match kind {
                FrameType::Response if data == b"OK" => self.ok_seen += 1,
                FrameType::Response => assert!(
                    data == b"_heartbeat_" || data == b"CLOSE_WAIT" && self.closing || data.starts_with(b"{"),
                    "{}",
                    data.escape_ascii()
                ),
                FrameType::Error => {
                    assert!(data.starts_with(b"E_"));
                    let recoverable =
                        [&b"E_FIN_"[..], b"E_REQ_", b"E_TOUCH_"].iter().any(|code| data.starts_with(code));
                    fatal = !recoverable;
                }
                FrameType::Message => assert!(self.subscribed && data.len() > 26),
            }
        }
        assert!(!fatal || self.session.is_closed());
        if self.ok_seen > self.ok_due {
            let identifies = self.stream.windows(8).filter(|word| word == b"IDENTIFY").count();
            assert!(self.ok_seen <= self.ok_due + identifies, "no OK without an answer");
        }
        assert!(self.session.stored_bytes() <= 2 * self.stream.len() + 512);
        assert!(self.session.stored_bytes() <= 2 * (LINE_BYTES_MAX + MAX_BODY));
        let state = self.session.state();
        assert_eq!(state == State::Closing, self.closing);
        assert!(!self.closing || self.subscribed);
        self.over = self.session.is_closed();
        assert!(!self.over || !self.session.wants_input());
    }
}
