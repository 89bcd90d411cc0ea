//! Conversations with a session. [`Peer`] is the client and the host at once: `send` is what the client writes, `recv` what
//! it must read, `asks` what the session must have asked its host.

mod auth;
mod commands;
mod deliveries;
mod identify;
mod input;
mod order;
mod time;

use std::sync::Arc;

use super::{Features, Grant, Session};
use crate::config::Config;
use crate::message::BatchBuilder;
use crate::protocol::{Answer, ConsumerCommand, PublishError, Request, RequestId, SubscribeError};
use crate::time::{Instant, Now, Timestamp};
use crate::wire::{FrameType, read_frame};

/// A client and its host.
pub(super) struct Peer {
    pub(super) session: Session,
    pub(super) now: Now,
    builder: BatchBuilder,
    requests: Vec<Request>,
    /// Sent and not consumed.
    input: Vec<u8>,
    pub(super) out: Vec<u8>,
    /// Answer publishes and subscriptions at once, and well.
    obliging: bool,
    asked: Vec<String>,
}

impl Peer {
    /// A connection that sent its magic, to an obliging host.
    pub(super) fn new() -> Self {
        let mut peer = Self::with(Config::default(), Features::default());
        peer.send("  V2");
        peer
    }

    /// A connection that sent nothing.
    pub(super) fn with(config: Config, features: Features) -> Self {
        let now = at(0);
        Self {
            session: Session::new(now, Arc::new(config), features),
            now,
            builder: BatchBuilder::default(),
            requests: Vec::new(),
            input: Vec::new(),
            out: Vec::new(),
            obliging: true,
            asked: Vec::new(),
        }
    }

    /// A subscribed client.
    pub(super) fn subscribed() -> Self {
        let mut peer = Self::new();
        peer.send("SUB t c\n").recv(&["OK"]).asks(&["SUB t c 60000ms 0%"]);
        peer
    }

    /// Leaves the answering to the test.
    pub(super) fn unobliging(mut self) -> Self {
        self.obliging = false;
        self
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.input.extend_from_slice(bytes.as_ref());
        self.run()
    }

    /// Offers the session what it has not consumed, until it takes and asks nothing more.
    fn run(&mut self) -> &mut Self {
        loop {
            let len = self.input.len();
            let (requests, out) = (&mut self.requests, &mut self.out);
            let taken = self.session.handle_bytes(self.now, &self.input, &mut self.builder, requests, out);
            assert!(taken <= len && self.builder.is_empty());
            self.input.drain(..taken);
            let asked = !self.requests.is_empty();
            for request in std::mem::take(&mut self.requests) {
                self.note(request);
            }
            if !asked {
                return self;
            }
        }
    }

    fn note(&mut self, request: Request) {
        match request {
            Request::Publish { id, topic, batches } => {
                if !self.obliging {
                    self.asked.push(format!("publish {}", id.0));
                }
                for batch in &batches {
                    for index in 0..batch.len() {
                        let message = batch.message(index);
                        let body = message.body.escape_ascii();
                        self.asked.push(match message.due {
                            None => format!("PUB {topic} {body}"),
                            Some(due) => format!("PUB {topic} {body} at {}ms", due.as_nanos() / 1_000_000),
                        });
                    }
                }
                if self.obliging {
                    self.answer(Answer::Published { id, result: Ok(()) });
                }
            }
            Request::Subscribe(subscribe) => {
                let (topic, channel, options) = (&subscribe.topic, &subscribe.channel, subscribe.options);
                let (ms, rate) = (options.msg_timeout.as_millis(), options.sample_rate);
                let mut asked = format!("SUB {topic} {channel} {ms}ms {rate}%");
                if (options.counted_as, options.served_as) != Default::default() {
                    asked += &format!(", {:?} as {:?}", options.counted_as, options.served_as);
                }
                self.asked.push(asked);
                if self.obliging {
                    self.answer(Answer::Subscribed { id: subscribe.id, result: Ok(()) });
                }
            }
            Request::Consumer(command) => self.asked.push(match command {
                ConsumerCommand::Ready { count } => format!("RDY {count}"),
                ConsumerCommand::Finish { id } => format!("FIN {id}"),
                ConsumerCommand::Requeue { id, delay } => format!("REQ {id} {}ms", delay.as_millis()),
                ConsumerCommand::Touch { id, msg_timeout } => format!("TOUCH {id} {}ms", msg_timeout.as_millis()),
                ConsumerCommand::StartClose => "CLS".to_owned(),
                ConsumerCommand::Credit { bytes } => format!("credit {bytes}"),
            }),
            Request::Upgrade(upgrade) => self.asked.push(format!("{upgrade:?}")),
            Request::Authorize { secret } => self.asked.push(format!("AUTH {}", secret.escape_ascii())),
        }
    }

    pub(super) fn answer(&mut self, answer: Answer) -> &mut Self {
        self.session.handle_answer(self.now, answer, &mut self.out);
        self.run()
    }

    pub(super) fn published(&mut self, id: u64, result: Result<(), PublishError>) -> &mut Self {
        self.answer(Answer::Published { id: RequestId(id), result })
    }

    pub(super) fn refuse_subscription(&mut self, id: u64, error: SubscribeError) -> &mut Self {
        self.answer(Answer::Subscribed { id: RequestId(id), result: Err(error) })
    }

    pub(super) fn upgraded(&mut self, result: Result<(), &str>) -> &mut Self {
        let result = result.map_err(str::to_owned);
        self.session.handle_upgraded(self.now, result, &mut self.requests, &mut self.out);
        for request in std::mem::take(&mut self.requests) {
            self.note(request);
        }
        self.run()
    }

    pub(super) fn authorized(&mut self, grant: Option<Grant>) -> &mut Self {
        self.session.handle_authorized(self.now, grant.ok_or(super::AuthFailed), &mut self.out);
        self.run()
    }

    pub(super) fn flushed(&mut self) -> &mut Self {
        self.session.handle_flushed(self.now, &mut self.requests);
        for request in std::mem::take(&mut self.requests) {
            self.note(request);
        }
        self
    }

    pub(super) fn eof(&mut self) -> &mut Self {
        assert!(self.input.is_empty(), "the host keeps the end of the stream until all of it is consumed");
        self.session.handle_eof(&mut self.out);
        self.run()
    }

    /// Lets time pass up to `ms` after the start, waking the session whenever it wants.
    pub(super) fn until(&mut self, ms: u64) -> &mut Self {
        while let Some((deadline, _)) = self.session.poll_timeout()
            && deadline <= at(ms).mono
        {
            self.now = Now { mono: deadline, wall: Timestamp::from_nanos(deadline.as_nanos() as i64) };
            self.session.handle_timeout(self.now, &mut self.out);
            assert_ne!(
                self.session.poll_timeout().map(|(next, _)| next),
                Some(deadline),
                "a timer that does not advance"
            );
        }
        self.now = at(ms);
        self
    }

    /// The frames written since the last call, all of them.
    pub(super) fn recv(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(frames(&std::mem::take(&mut self.out)), expected);
        self
    }

    /// The requests made since the last call, all of them.
    pub(super) fn asks(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.asked), expected);
        self
    }

    pub(super) fn closed(&mut self) -> &mut Self {
        assert!(self.session.is_closed());
        assert_eq!(frames(&self.out), [""; 0], "all that was written has been read");
        self
    }

    pub(super) fn open(&mut self) -> &mut Self {
        assert!(!self.session.is_closed());
        self
    }
}

/// The time `ms` after the start, on both clocks.
pub(super) fn at(ms: u64) -> Now {
    let mono = Instant::from_millis(ms);
    Now { mono, wall: Timestamp::from_nanos(mono.as_nanos() as i64) }
}

/// The frames in `out`, which must be whole.
pub(super) fn frames(mut out: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while !out.is_empty() {
        let (kind, data, len) = read_frame(out).expect("whole frames");
        frames.push(match kind {
            FrameType::Response => String::from_utf8(data.to_vec()).unwrap(),
            FrameType::Error => {
                assert!(data.starts_with(b"E_"));
                String::from_utf8_lossy(data).into_owned()
            }
            FrameType::Message => {
                let attempts = u16::from_be_bytes([data[8], data[9]]);
                format!("message {attempts} {} {}", data[10..26].escape_ascii(), data[26..].escape_ascii())
            }
        });
        out = &out[len..];
    }
    frames
}

/// A command with a body.
pub(super) fn with_body(line: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [line.as_bytes(), b"\n", &(body.len() as u32).to_be_bytes(), body].concat()
}

pub(super) fn publish(topic: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    with_body(&format!("PUB {topic}"), body)
}

/// The body of MPUB.
pub(super) fn many(bodies: &[&[u8]]) -> Vec<u8> {
    let mut body = (bodies.len() as u32).to_be_bytes().to_vec();
    for message in bodies {
        body.extend((message.len() as u32).to_be_bytes());
        body.extend_from_slice(message);
    }
    body
}

pub(super) fn publish_many(topic: &str, bodies: &[&[u8]]) -> Vec<u8> {
    with_body(&format!("MPUB {topic}"), many(bodies))
}
