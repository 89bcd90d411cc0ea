//! What comes by a connection, and the way back: bytes that were read and are not yet asked for stay here, so that a
//! request that was sent behind another is found where that one ends.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::head::{self, BadHead, Head};

/// Bytes of a request's head at most.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Room for one read, and for one of a long body.
const READ_BYTES: usize = 8 * 1024;
const LONG_READ_BYTES: usize = 64 * 1024;

/// A stream to a client, whatever it is made of.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection.
pub(super) struct Input {
    transport: Box<dyn Transport>,
    unread: BytesMut,
    ended: bool,
}

/// What comes next on a connection.
pub(super) enum Next {
    /// A request.
    Head(Box<Head>),
    /// Something that is none.
    Bad(BadHead),
    /// Nothing more, or not all of a head.
    End,
}

impl Input {
    pub(super) fn new(transport: impl Transport + 'static) -> Self {
        Self { transport: Box::new(transport), unread: BytesMut::new(), ended: false }
    }

    /// The next request's head.
    pub(super) async fn head(&mut self) -> io::Result<Next> {
        let (mut seen, mut before) = (0, 0);
        if self.unread.is_empty() {
            // What held a long body is not kept while nothing comes.
            self.unread = BytesMut::new();
        }
        loop {
            // Old clients send an empty line behind a body.
            let empty = self.unread.iter().take_while(|byte| b"\r\n".contains(byte)).count();
            if empty > 0 && seen == 0 {
                _ = self.unread.split_to(empty);
            }
            match head::end(&self.unread, &mut seen) {
                Some(length) if length <= HEAD_BYTES_MAX => {
                    let bytes = self.unread.split_to(length);
                    return Ok(Head::parse(&bytes).map_or_else(Next::Bad, |head| Next::Head(Box::new(head))));
                }
                None if self.unread.len() <= HEAD_BYTES_MAX => {
                    let line_is_there = self.unread[before..].contains(&b'\n');
                    if (before == 0 || line_is_there)
                        && let Some(bad) = head::refusal(&self.unread)
                    {
                        return Ok(Next::Bad(bad));
                    }
                    before = self.unread.len();
                }
                _ => return Ok(Next::Bad(BadHead::TOO_LARGE)),
            }
            if !self.fill(READ_BYTES).await? {
                return Ok(Next::End);
            }
        }
    }

    /// Up to `bytes_max` bytes that come next, at least one. `None` if there is none.
    pub(super) async fn take(&mut self, bytes_max: u64) -> Option<Bytes> {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        if self.unread.is_empty() {
            let room = bytes_max.clamp(READ_BYTES, LONG_READ_BYTES);
            self.fill(room).await.ok().filter(|filled| *filled)?;
        }
        let length = self.unread.len().min(bytes_max);
        Some(self.unread.split_to(length).freeze())
    }

    /// All that comes next down to a line feed, if that is at most `bytes_max` bytes.
    pub(super) async fn take_line(&mut self, bytes_max: usize) -> Option<Bytes> {
        let mut seen = 0;
        loop {
            let found = self.unread[seen..].iter().position(|byte| *byte == b'\n').map(|at| seen + at + 1);
            seen = self.unread.len();
            match found {
                Some(length) if length <= bytes_max => return Some(self.unread.split_to(length).freeze()),
                None if seen < bytes_max => {}
                _ => return None,
            }
            self.fill(READ_BYTES).await.ok().filter(|filled| *filled)?;
        }
    }

    /// Reads what has come, or waits for it. `false` at the end. Nothing is lost if it is dropped while it waits.
    async fn fill(&mut self, room: usize) -> io::Result<bool> {
        self.unread.reserve(room);
        self.ended = self.ended || self.transport.read_buf(&mut self.unread).await? == 0;
        Ok(!self.ended)
    }

    /// Waits until the client is gone, whose end of the connection may be closed for long. What it sends meanwhile is kept,
    /// up to a bound.
    pub(super) async fn gone(&mut self) {
        while !self.ended && self.unread.len() < HEAD_BYTES_MAX {
            if self.fill(READ_BYTES).await.is_err() {
                return;
            }
        }
        std::future::pending().await
    }

    /// Writes all of `bytes`.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.transport.write_all(bytes).await?;
        self.transport.flush().await
    }

    /// Writes `first`, and then `second`, with few system calls.
    pub(super) async fn write_both(&mut self, first: &[u8], second: Bytes) -> io::Result<()> {
        self.transport.write_all_buf(&mut bytes::Buf::chain(first, second)).await?;
        self.transport.flush().await
    }

    /// Closes the connection. Its client gets to read what was last written.
    pub(super) async fn close(mut self) {
        // A client that is gone need not be told.
        _ = self.transport.shutdown().await;
    }
}
