//! The client's end of one connection: bytes in, what they mean out. It introduces the client, has the stream changed to TLS
//! and compression as it was asked to and the broker grants, authenticates the client where the broker wants that, answers
//! heartbeats, and cuts the stream into frames.
//!
//! Does not decide what is sent otherwise: [`Consumer`](super::Consumer) and [`Producer`](super::Producer) do. Does not do
//! TLS or compression: its host changes the stream below when it is told to ([`Heard::Upgrade`]).
//!
//! Invariants: nothing is sent in the clear, but IDENTIFY, where TLS was asked for. A body is not copied, it is a slice of the bytes that were read, unless they brought only a part of its
//! frame; then the parts are joined once. At most one frame is stored, of no more than `frame_bytes_max`.

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;

use crate::message::MessageId;
use crate::protocol::Upgrade;
use crate::time::Timestamp;
use crate::wire::{FRAME_HEAD_BYTES, FrameType, MAGIC, MESSAGE_HEAD_BYTES, Verb, put_bare, put_with_body};

use super::ClientOptions;

/// The largest frame that is taken where nobody says otherwise: the largest message a broker can be told to allow is
/// far smaller.
pub const FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;
/// RDY that a broker takes if it does not say.
const MAX_RDY_COUNT: u32 = 2500;

/// What came over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The stream changes here: what is sent and read from now on goes through another layer, as its client.
    Upgrade {
        /// Which layer.
        upgrade: Upgrade,
        /// What was read already and belongs behind the change.
        rest: Bytes,
    },
    /// The broker knows the client; commands may be sent.
    Ready(Negotiated),
    /// The answer to a command: `OK`, `CLOSE_WAIT`.
    Response(Bytes),
    /// A command was refused. Unless it is about one message, the broker closes the connection.
    Error(ServerError),
    /// A message.
    Message(Message),
}

/// A message as it was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unique in its topic on its broker.
    pub id: MessageId,
    /// When it was published, by the broker's clock.
    pub timestamp: Timestamp,
    /// How often it was delivered, this time included.
    pub attempts: u16,
    /// What was published.
    pub body: Bytes,
}

/// An error that a broker sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ServerError(pub String);

impl ServerError {
    /// Whether it is about a message that the client does not hold any more. Such an error leaves the connection open.
    pub fn is_about_a_message(&self) -> bool {
        ["E_FIN_FAILED", "E_REQ_FAILED", "E_TOUCH_FAILED"].iter().any(|code| self.0.starts_with(code))
    }
}

/// What a broker says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Negotiated {
    /// The largest RDY.
    pub max_rdy_count: u32,
    /// The broker's version; empty if it does not negotiate.
    pub version: String,
    /// AUTH must come first.
    pub auth_required: bool,
    /// Milliseconds that a message may be held.
    pub msg_timeout: u64,
    /// TLS comes next.
    pub tls_v1: bool,
    /// Deflate comes next.
    pub deflate: bool,
    /// Snappy comes next.
    pub snappy: bool,
}

impl Default for Negotiated {
    fn default() -> Self {
        Self {
            max_rdy_count: MAX_RDY_COUNT,
            version: String::new(),
            auth_required: false,
            msg_timeout: 0,
            tls_v1: false,
            deflate: false,
            snappy: false,
        }
    }
}

/// Why a connection cannot go on. The caller closes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// An HTTP server answered.
    #[error("unexpected HTTP response, a nsqd TCP endpoint is required")]
    Http,
    /// A size below that of an empty frame.
    #[error("response msg size is negative: {0}")]
    NegativeSize(i32),
    /// A frame larger than was agreed to.
    #[error("a frame of {0} bytes is above the limit of {1}")]
    TooLarge(usize, usize),
    /// A frame that no broker sends.
    #[error("not a frame of nsqd")]
    BadFrame,
    /// IDENTIFY was refused.
    #[error("failed to IDENTIFY - {0}")]
    Identify(String),
    /// TLS was asked for, and the broker does not do it.
    #[error("the broker does not offer TLS (tls_v1)")]
    NoTls,
    /// The stream was changed, and what came through it is not what should have.
    #[error("invalid response from {} upgrade{}", layer(.0), said(.1))]
    Upgrade(Upgrade, String),
    /// The broker wants a secret, and there is none.
    #[error("Auth Required: the broker wants a secret (auth_secret)")]
    NoSecret,
    /// AUTH was refused.
    #[error("Error authenticating {0}")]
    Auth(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Identifying,
    /// The stream was changed; the broker says `OK` through it.
    Upgrading(Upgrade),
    Authorizing,
    Ready,
}

/// What the broker was asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    tls: bool,
    deflate: Option<u8>,
    snappy: bool,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Connection {
    phase: Phase,
    auth_secret: String,
    frame_bytes_max: usize,
    wanted: Wanted,
    negotiated: Negotiated,
    /// The beginning of a frame whose end has not come.
    partial: BytesMut,
    /// Bytes that `partial` must have before it is worth a look.
    need: usize,
    /// What is being read.
    input: Bytes,
}

impl Connection {
    /// A connection that has just been opened; what to send first is appended to `out`.
    pub fn open(options: &ClientOptions, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&MAGIC);
        put_with_body(out, Verb::Identify, &options.identity());
        Self {
            phase: Phase::Identifying,
            auth_secret: options.auth_secret.clone(),
            frame_bytes_max: if options.max_msg_size == 0 { FRAME_BYTES_MAX } else { options.max_msg_size },
            wanted: Wanted {
                tls: options.tls_v1,
                deflate: options.deflate.then_some(options.deflate_level),
                snappy: options.snappy,
            },
            negotiated: Negotiated::default(),
            partial: BytesMut::new(),
            need: 0,
            input: Bytes::new(),
        }
    }

    /// Whether commands may be sent.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Takes what was read. [`poll`](Self::poll) until there is nothing more before the next call.
    pub fn handle_bytes(&mut self, bytes: Bytes) {
        if self.partial.is_empty() {
            self.input = bytes;
            return;
        }
        self.partial.extend_from_slice(&bytes);
        if self.partial.len() >= self.need {
            self.input = self.partial.split().freeze();
        }
    }

    /// The next that came, if it came whole. What has to be answered at once is answered into `out`.
    pub fn poll(&mut self, out: &mut Vec<u8>) -> Result<Option<Heard>, ConnectionError> {
        while let Some((kind, data)) = self.next_frame()? {
            if kind == FrameType::Response && &data[..] == b"_heartbeat_" {
                put_bare(out, Verb::Nop);
                continue;
            }
            let heard = match (self.phase, kind) {
                (Phase::Identifying, FrameType::Response) => self.on_identified(&data, out),
                (Phase::Identifying, _) => Err(ConnectionError::Identify(text(&data))),
                (Phase::Upgrading(upgrade), FrameType::Response) if &data[..] == b"OK" => {
                    self.proceed(Some(upgrade), out)
                }
                (Phase::Upgrading(upgrade), _) => Err(ConnectionError::Upgrade(upgrade, text(&data))),
                (Phase::Authorizing, FrameType::Response) => Ok(Some(self.on_ready())),
                (Phase::Authorizing, _) => Err(ConnectionError::Auth(text(&data))),
                (Phase::Ready, FrameType::Response) => Ok(Some(Heard::Response(data))),
                (Phase::Ready, FrameType::Error) => Ok(Some(Heard::Error(ServerError(text(&data))))),
                (Phase::Ready, FrameType::Message) => message(data).map(|message| Some(Heard::Message(message))),
            };
            if !matches!(heard, Ok(None)) {
                return heard;
            }
        }
        Ok(None)
    }

    fn on_identified(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<Option<Heard>, ConnectionError> {
        // A broker that does not negotiate says OK.
        self.negotiated = serde_json::from_slice(data).unwrap_or_default();
        if self.wanted.tls && !self.negotiated.tls_v1 {
            return Err(ConnectionError::NoTls);
        }
        self.proceed(None, out)
    }

    /// What comes after IDENTIFY, or after the change `done`: the next change, AUTH, or commands.
    fn proceed(&mut self, done: Option<Upgrade>, out: &mut Vec<u8>) -> Result<Option<Heard>, ConnectionError> {
        if let Some(upgrade) = self.next_upgrade(done) {
            self.phase = Phase::Upgrading(upgrade);
            return Ok(Some(Heard::Upgrade { upgrade, rest: std::mem::take(&mut self.input) }));
        }
        if !self.negotiated.auth_required {
            return Ok(Some(self.on_ready()));
        }
        if self.auth_secret.is_empty() {
            return Err(ConnectionError::NoSecret);
        }
        put_with_body(out, Verb::Authorize, self.auth_secret.as_bytes());
        self.phase = Phase::Authorizing;
        Ok(None)
    }

    /// Of what was asked for and granted, what comes after `done`: TLS, deflate, snappy.
    fn next_upgrade(&self, done: Option<Upgrade>) -> Option<Upgrade> {
        let (wanted, granted) = (self.wanted, &self.negotiated);
        let tls = (wanted.tls && granted.tls_v1).then_some(Upgrade::Tls);
        let deflate = wanted.deflate.filter(|_| granted.deflate).map(|level| Upgrade::Deflate { level });
        let snappy = (wanted.snappy && granted.snappy).then_some(Upgrade::Snappy);
        match done {
            None => tls.or(deflate).or(snappy),
            Some(Upgrade::Tls) => deflate.or(snappy),
            Some(Upgrade::Deflate { .. }) => snappy,
            Some(Upgrade::Snappy) => None,
        }
    }

    fn on_ready(&mut self) -> Heard {
        self.phase = Phase::Ready;
        Heard::Ready(self.negotiated.clone())
    }

    #[inline]
    fn next_frame(&mut self) -> Result<Option<(FrameType, Bytes)>, ConnectionError> {
        if self.input.is_empty() {
            return Ok(None);
        }
        let Some(size) = self.input.first_chunk::<4>() else {
            self.keep(4);
            return Ok(None);
        };
        let size = self.check_size(*size)?;
        if self.input.len() < 4 + size {
            self.keep(4 + size);
            return Ok(None);
        }
        let kind = match self.input[4..FRAME_HEAD_BYTES] {
            [0, 0, 0, 0] => FrameType::Response,
            [0, 0, 0, 1] => FrameType::Error,
            [0, 0, 0, 2] => FrameType::Message,
            _ => return Err(ConnectionError::BadFrame),
        };
        self.input.advance(FRAME_HEAD_BYTES);
        Ok(Some((kind, self.input.split_to(size - 4))))
    }

    #[inline]
    fn check_size(&self, bytes: [u8; 4]) -> Result<usize, ConnectionError> {
        let size = i32::from_be_bytes(bytes);
        match usize::try_from(size) {
            _ if bytes == *b"HTTP" => Err(ConnectionError::Http),
            Err(_) => Err(ConnectionError::NegativeSize(size)),
            Ok(size) if size > self.frame_bytes_max => Err(ConnectionError::TooLarge(size, self.frame_bytes_max)),
            Ok(0..4) => Err(ConnectionError::BadFrame),
            Ok(size) => Ok(size),
        }
    }

    /// Stores what is left of the input until there are `need` bytes.
    fn keep(&mut self, need: usize) {
        self.partial.extend_from_slice(&self.input);
        self.input = Bytes::new();
        self.need = need;
    }
}

#[inline]
fn message(mut data: Bytes) -> Result<Message, ConnectionError> {
    if data.len() < MESSAGE_HEAD_BYTES {
        return Err(ConnectionError::BadFrame);
    }
    let id = MessageId::parse(&data[10..MESSAGE_HEAD_BYTES]).ok_or(ConnectionError::BadFrame)?;
    let timestamp = Timestamp::from_nanos(data.get_i64());
    let attempts = data.get_u16();
    data.advance(MessageId::LEN);
    Ok(Message { id, timestamp, attempts, body: data })
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// As go-nsq calls it.
fn layer(upgrade: &Upgrade) -> &'static str {
    match upgrade {
        Upgrade::Tls => "TLS",
        Upgrade::Deflate { .. } => "Deflate",
        Upgrade::Snappy => "Snappy",
    }
}

/// The end of a sentence that quotes `words`, if there are any.
fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}
