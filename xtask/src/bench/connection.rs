//! One blocking connection to the daemon: commands are queued and written together, frames are taken from big reads.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::wire::{self, Frame};

/// Small, since a scenario may hold thousands of connections; it doubles while reads fill it.
const READ_BUFFER_BYTES: usize = 1 << 10;
const READ_BUFFER_BYTES_MAX: usize = 1 << 20;

/// A client connection. Heartbeats are answered by [`Connection::read_frames`], never shown.
pub(crate) struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    out: Vec<u8>,
}

impl Connection {
    /// Connects and queues the magic bytes.
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: vec![0; READ_BUFFER_BYTES], filled: 0, out: wire::MAGIC.to_vec() })
    }

    /// Connects and identifies. `settings` is IDENTIFY's JSON without braces; empty for the defaults.
    pub(crate) fn identified(address: SocketAddr, settings: &str) -> Result<Self> {
        let mut connection = Self::open(address)?;
        let comma = if settings.is_empty() { "" } else { "," };
        let json = format!(r#"{{"client_id":"bench","hostname":"bench","user_agent":"bench"{comma}{settings}}}"#);
        wire::identify(connection.queue(), &json);
        connection.expect(b"OK")?;
        Ok(connection)
    }

    /// Connects and has the stream changed by IDENTIFY as `settings` ask for; the socket, as it is from there on. The daemon
    /// says `OK` on it, in the new form.
    pub(crate) fn negotiated(address: SocketAddr, settings: &str) -> Result<TcpStream> {
        let mut connection = Self::open(address)?;
        let json = format!(r#"{{"client_id":"bench","feature_negotiation":true,{settings}}}"#);
        wire::identify(connection.queue(), &json);
        connection.flush()?;
        let mut is_answered = false;
        while !is_answered {
            connection.read_frames(|frame, _| {
                is_answered = matches!(frame, Frame::Response(_));
                Ok(())
            })?;
        }
        Ok(connection.into_socket())
    }

    /// The socket. What was read and not handed over is lost.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.stream
    }

    /// Connects, identifies and subscribes; nothing is delivered before [`wire::ready`].
    pub(crate) fn subscribed(address: SocketAddr, settings: &str, topic: &str, channel: &str) -> Result<Self> {
        let mut connection = Self::identified(address, settings)?;
        wire::subscribe(connection.queue(), topic, channel);
        connection.expect(b"OK")?;
        Ok(connection)
    }

    /// Where commands are appended; [`Connection::flush`] sends them.
    pub(crate) fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Writes all queued commands.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    /// Writes `bytes` past the queue, for buffers built beforehand.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.flush()?;
        Ok(self.stream.write_all(bytes)?)
    }

    /// Flushes, then waits for one response, which has to be `answer`.
    pub(crate) fn expect(&mut self, answer: &[u8]) -> Result<()> {
        self.flush()?;
        let mut found = false;
        while !found {
            self.read_frames(|frame, _| {
                match frame {
                    Frame::Response(text) if text == answer => found = true,
                    Frame::Response(text) => bail!("unexpected answer {}", String::from_utf8_lossy(text)),
                    // Deliveries may come until the answer does, for example before CLOSE_WAIT.
                    Frame::Message(_) => {}
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// How long [`Connection::read_frames`] may wait; `None` for as long as it takes.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        Ok(self.stream.set_read_timeout(timeout)?)
    }

    /// One read; hands every whole frame to `on_frame` together with the queue, so that it can answer. Nothing is handed over
    /// when the read timeout passes.
    pub(crate) fn read_frames(
        &mut self,
        mut on_frame: impl FnMut(Frame<'_>, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => bail!("the daemon closed the connection"),
            Ok(bytes) => self.filled += bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut start = 0;
        while let Some((frame, bytes)) = wire::next_frame(&self.input[start..self.filled])? {
            match frame {
                Frame::Response(b"_heartbeat_") => self.out.extend_from_slice(b"NOP\n"),
                frame => on_frame(frame, &mut self.out)?,
            }
            start += bytes;
        }
        let was_full = self.filled == self.input.len();
        self.input.copy_within(start..self.filled, 0);
        self.filled -= start;
        if was_full && self.input.len() < READ_BUFFER_BYTES_MAX {
            self.input.resize(self.input.len() * 2, 0);
        }
        Ok(())
    }

    /// Takes what has arrived without waiting, and counts the responses.
    pub(crate) fn take_responses(&mut self) -> Result<usize> {
        let mut responses = 0;
        self.stream.set_nonblocking(true)?;
        self.read_frames(|_, _| {
            responses += 1;
            Ok(())
        })?;
        self.stream.set_nonblocking(false)?;
        Ok(responses)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
