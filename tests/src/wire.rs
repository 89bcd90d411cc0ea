//! The client's end of a V2 connection, as bytes: it sends what it is told and splits what it receives into
//! frames. It answers no heartbeats, keeps no state and checks nothing else.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bytes::show;

/// What a client sends first.
pub const MAGIC: &[u8] = b"  V2";

/// What a server sends.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// Frame type 0.
    Response(Vec<u8>),
    /// Frame type 1.
    Error(Vec<u8>),
    /// Frame type 2.
    Message(Message),
    /// Any other type, which is a mistake of the server.
    Unknown(u32, Vec<u8>),
}

/// A message as delivered.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Nanoseconds since the Unix epoch.
    pub timestamp: i64,
    /// 1 on the first delivery.
    pub attempts: u16,
    /// 16 hexadecimal digits.
    pub id: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// Decodes the layout shared by message frames and disk records; `None` if it is too short or the id is not text.
    pub fn decode(data: &[u8]) -> Option<Message> {
        let (timestamp, rest) = data.split_first_chunk::<8>()?;
        let (attempts, rest) = rest.split_first_chunk::<2>()?;
        let (id, body) = rest.split_first_chunk::<16>()?;
        Some(Message {
            timestamp: i64::from_be_bytes(*timestamp),
            attempts: u16::from_be_bytes(*attempts),
            id: String::from_utf8(id.to_vec()).ok()?,
            body: body.to_vec(),
        })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Message { timestamp, attempts, id, body } = self;
        write!(f, "message attempts={attempts} body={} id={id} timestamp={timestamp}", show(body))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Response(body) => write!(f, "response {}", show(body)),
            Frame::Error(body) => write!(f, "error {}", show(body)),
            Frame::Message(message) => message.fmt(f),
            Frame::Unknown(kind, body) => write!(f, "frame of type {kind} {}", show(body)),
        }
    }
}

/// What waiting for a frame came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole frame.
    Frame(Frame),
    /// The server closed the connection (or reset it) between frames.
    Closed,
    /// Nothing whole arrived in time.
    Nothing,
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    closed: bool,
}

impl Connection {
    /// Connects and sends nothing.
    pub fn open(address: SocketAddr) -> Result<Connection> {
        Connection::on(TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?)
    }

    /// A connection on a socket that was prepared, such as a [narrow](crate::narrow) one. Sends nothing.
    pub fn on(stream: TcpStream) -> Result<Connection> {
        stream.set_nodelay(true)?;
        Ok(Connection { stream, unread: Vec::new(), closed: false })
    }

    /// Connects and sends the magic.
    pub fn open_v2(address: SocketAddr) -> Result<Connection> {
        let mut connection = Connection::open(address)?;
        connection.send(MAGIC);
        Ok(connection)
    }

    /// Sends `bytes`. A connection that the server has closed swallows them: what it received tells the story.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a command that has a body: the line, the body's length, the body.
    pub fn send_with_body(&mut self, line: &str, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.send(&[line.as_bytes(), &length.to_be_bytes(), body].concat());
    }

    /// The socket, for what is done to sockets and not said in frames.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Tells the server that nothing more will be sent; what it sends can still be read.
    pub fn finish_sending(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next frame, waited for until `patience` has passed.
    pub fn receive(&mut self, patience: Duration) -> Result<Received> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Received::Frame(frame));
            }
            if self.closed {
                if self.unread.is_empty() {
                    return Ok(Received::Closed);
                }
                bail!("the connection was closed inside a frame: {}", show(&self.unread));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Received::Nothing);
            }
            self.fill(left)?;
        }
    }

    /// The next frame, which must come within `patience`.
    pub fn expect_frame(&mut self, patience: Duration) -> Result<Frame> {
        match self.receive(patience)? {
            Received::Frame(frame) => Ok(frame),
            other => bail!("expected a frame within {patience:?}, got: {other:?}"),
        }
    }

    /// The next frame, which must be a message.
    pub fn expect_message(&mut self, patience: Duration) -> Result<Message> {
        match self.expect_frame(patience)? {
            Frame::Message(message) => Ok(message),
            other => bail!("expected a message, got: {other:?}"),
        }
    }

    /// The next frame, which must be the response `text`.
    pub fn expect_response(&mut self, text: &str, patience: Duration) -> Result<()> {
        match self.expect_frame(patience)? {
            Frame::Response(body) if body == text.as_bytes() => Ok(()),
            other => bail!("expected the response {text:?}, got: {other:?}"),
        }
    }

    fn fill(&mut self, patience: Duration) -> Result<()> {
        let mut chunk = [0; 16384];
        self.stream.set_read_timeout(Some(patience))?;
        match self.stream.read(&mut chunk) {
            Ok(0) => self.closed = true,
            Ok(count) => self.unread.extend_from_slice(&chunk[..count]),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                // A server that closes with our bytes unread resets the connection; to a client that is a close.
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => self.closed = true,
                _ => return Err(error).context("cannot read from the connection"),
            },
        }
        Ok(())
    }

    fn take_frame(&mut self) -> Result<Option<Frame>> {
        let Some(head) = self.unread.first_chunk::<8>() else { return Ok(None) };
        let [s0, s1, s2, s3, t0, t1, t2, t3] = *head;
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        if size < 4 {
            bail!("a frame of size {size}: {}", show(&self.unread));
        }
        if self.unread.len() < 4 + size {
            return Ok(None);
        }
        let data = self.unread[8..4 + size].to_vec();
        self.unread.drain(..4 + size);
        Ok(Some(match u32::from_be_bytes([t0, t1, t2, t3]) {
            0 => Frame::Response(data),
            1 => Frame::Error(data),
            2 => match Message::decode(&data) {
                Some(message) => Frame::Message(message),
                None => bail!("a message frame that holds no message: {}", show(&data)),
            },
            kind => Frame::Unknown(kind, data),
        }))
    }
}
