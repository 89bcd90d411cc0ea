//! A blocking client of the V2 protocol, as small as `sansq pub` and `sansq tail` need it: one connection, no discovery, no
//! reconnecting, no TLS. Commands are collected and written just before the next read, so what goes together is one write.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use sansq_core::wire::{FrameType, MAGIC, read_frame};
use serde_json::json;

use super::words::Misuse;
use super::{own_command, screen};
use crate::config::ListenAddress;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// A broker that says nothing for this long is gone: heartbeats come every 30 seconds, and an answer sooner.
const SILENCE_MAX: Duration = Duration::from_secs(90);
/// No broker sends larger frames: `--max-msg-size` is 1 MiB unless somebody wants more.
const FRAME_BYTES_MAX: usize = 1024 * 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// The flag that names the broker; the name is that of nsq_tail and to_nsq.
pub(super) const ADDRESS_FLAG: &str = "nsqd-tcp-address";

/// What a broker sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Response(Vec<u8>),
    Error(String),
    /// With its head: timestamp, attempts, id.
    Message(Vec<u8>),
}

/// Whether a client wants heartbeats: a consumer learns from them that its broker lives, a producer that waits for its
/// user could not answer them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heartbeats {
    On,
    Off,
}

trait Socket: Read + Write {}
impl<T: Read + Write> Socket for T {}

/// A connection.
pub(super) struct Client {
    socket: Box<dyn Socket>,
    address: String,
    /// Commands not written yet.
    unsent: Vec<u8>,
    /// What came in, from `taken` on not looked at.
    received: Vec<u8>,
    taken: usize,
}

impl Client {
    /// Connects to the broker at `address` and introduces itself.
    pub(super) fn connect(address: &str, heartbeats: Heartbeats) -> Result<Self, super::Failure> {
        let parsed = ListenAddress::parse(address).map_err(|error| Misuse::BadValue {
            what: "--nsqd-tcp-address",
            value: address.to_owned(),
            why: error.to_string(),
        })?;
        let socket = open(&parsed).map_err(|error| nobody_there(address, &error))?;
        let mut client =
            Self { socket, address: address.to_owned(), unsent: MAGIC.to_vec(), received: Vec::new(), taken: 0 };
        let identity = json!({
            "client_id": "sansq",
            "hostname": gethostname::gethostname().to_string_lossy(),
            "user_agent": concat!("sansq/", env!("CARGO_PKG_VERSION")),
            "feature_negotiation": true,
            "heartbeat_interval": match heartbeats { Heartbeats::On => 30_000, Heartbeats::Off => -1 },
        });
        client.send_with_body("IDENTIFY", identity.to_string().as_bytes());
        client.expect_response()?;
        Ok(client)
    }

    /// Sends a command line.
    pub(super) fn send(&mut self, line: &str) {
        self.unsent.extend_from_slice(line.as_bytes());
        self.unsent.push(b'\n');
    }

    /// Sends a command line and its body.
    pub(super) fn send_with_body(&mut self, line: &str, body: &[u8]) {
        self.send(line);
        self.unsent.extend_from_slice(&(body.len() as u32).to_be_bytes());
        self.unsent.extend_from_slice(body);
    }

    /// Waits for the response to the last command; an error is one.
    pub(super) fn expect_response(&mut self) -> Result<Vec<u8>> {
        loop {
            match self.next_received()? {
                Some(Frame::Response(response)) => return Ok(response),
                Some(Frame::Error(error)) => bail!("the broker says {error}"),
                Some(Frame::Message(_)) => {}
                None => self.exchange()?,
            }
        }
    }

    /// The next frame there is, if one has come whole. Heartbeats are answered and not shown.
    pub(super) fn next_received(&mut self) -> Result<Option<Frame>> {
        loop {
            let unread = &self.received[self.taken..];
            let Some((size, _)) = unread.split_first_chunk::<4>() else { return Ok(None) };
            let size = u32::from_be_bytes(*size) as usize;
            if unread.starts_with(b"HTTP") {
                bail!(
                    "{} answers in HTTP: it is the port for curl, the one for clients is 4150 as a rule",
                    self.address
                );
            }
            if !(4..=FRAME_BYTES_MAX).contains(&size) {
                bail!("{} does not speak the protocol of nsqd", self.address);
            }
            if unread.len() < 4 + size {
                return Ok(None);
            }
            let Some((kind, data, len)) = read_frame(unread) else {
                bail!("{} sent a frame that nsqd would not send", self.address);
            };
            self.taken += len;
            return Ok(Some(match kind {
                FrameType::Response if data == b"_heartbeat_" => {
                    self.unsent.extend_from_slice(b"NOP\n");
                    continue;
                }
                FrameType::Response => Frame::Response(data.to_vec()),
                FrameType::Error => Frame::Error(String::from_utf8_lossy(data).into_owned()),
                FrameType::Message => Frame::Message(data.to_vec()),
            }));
        }
    }

    /// Writes what was sent so far and waits for something to come in.
    pub(super) fn exchange(&mut self) -> Result<()> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let written = self.socket.write_all(&self.unsent).and_then(|()| self.socket.flush());
        self.unsent.clear();
        let mut chunk = [0; READ_BYTES];
        // Also when writing failed: a broker that closes says why first.
        let len = loop {
            match self.socket.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match (len, written) {
            (Ok(len @ 1..), _) => {
                self.received.extend_from_slice(&chunk[..len]);
                Ok(())
            }
            (Err(error), _) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("the broker at {} has said nothing for {} s", self.address, SILENCE_MAX.as_secs())
            }
            (_, Err(error)) | (Err(error), _) => bail!("the connection to {} broke: {error}", self.address),
            (Ok(_), Ok(())) => bail!("the broker at {} closed the connection", self.address),
        }
    }
}

fn open(address: &ListenAddress) -> std::io::Result<Box<dyn Socket>> {
    match address {
        ListenAddress::Unix(path) => {
            let socket = UnixStream::connect(path)?;
            socket.set_read_timeout(Some(SILENCE_MAX))?;
            Ok(Box::new(socket))
        }
        ListenAddress::Tcp { host, port } => {
            let host = if host.is_empty() { "127.0.0.1" } else { host };
            let mut failure = ErrorKind::NotFound.into();
            for address in (host, *port).to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, CONNECT_TIME_MAX) {
                    Ok(socket) => {
                        socket.set_nodelay(true)?;
                        socket.set_read_timeout(Some(SILENCE_MAX))?;
                        return Ok(Box::new(socket));
                    }
                    Err(error) => failure = error,
                }
            }
            Err(failure)
        }
    }
}

fn nobody_there(address: &str, error: &std::io::Error) -> anyhow::Error {
    let start = own_command();
    let elsewhere = if address == screen::TCP_ADDRESS {
        format!("or name the one you mean with --{ADDRESS_FLAG} HOST:PORT")
    } else {
        format!("which listens on {} unless told otherwise", screen::TCP_ADDRESS)
    };
    anyhow!("no broker answers at {address}: {error}\nStart one in another terminal with `{start}`, {elsewhere}.")
}
