//! A stream that is compressed on another one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Codec;

/// Compressed bytes read at a time.
const READ_BYTES: usize = 16 * 1024;
/// So many reads in a row may bring nothing; then others get their turn. A stream can consist of nothing but empty blocks.
const EMPTY_READS_MAX: u32 = 4;
/// Compressed bytes that may wait to be written; and bytes compressed at a time.
const WRITE_BYTES: usize = 64 * 1024;

/// Compresses what is written, decompresses what is read.
#[derive(Debug)]
pub(crate) struct Compressed<S, C> {
    inner: S,
    codec: C,
    /// Compressed, read and not decompressed.
    input: BytesMut,
    /// Compressed and not written, from `written` on.
    output: Vec<u8>,
    written: usize,
    /// The codec holds something back.
    unflushed: bool,
    /// Nothing more can be read.
    ended: bool,
}

impl<S, C> Compressed<S, C> {
    /// On `inner`, of which `rest` was read already.
    pub(crate) fn new(inner: S, codec: C, rest: Bytes) -> Self {
        let (input, output) = (BytesMut::from(rest), Vec::new());
        Self { inner, codec, input, output, written: 0, unflushed: false, ended: false }
    }
}

impl<S: AsyncWrite + Unpin, C: Codec> Compressed<S, C> {
    /// Writes what is compressed.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let output = &self.output[self.written..];
            match ready!(Pin::new(&mut self.inner).poll_write(cx, output))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.output.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin, C: Codec> AsyncRead for Compressed<S, C> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut reads = 0;
        while !this.ended && buf.remaining() > 0 {
            let progress = this.codec.decompress(&this.input, buf.initialize_unfilled())?;
            this.input.advance(progress.taken);
            this.ended |= progress.ended;
            if progress.given > 0 {
                buf.advance(progress.given);
                break;
            }
            if progress.taken == 0 {
                if reads == EMPTY_READS_MAX {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                reads += 1;
                this.ended |= ready!(poll_fill(&mut this.inner, cx, &mut this.input))? == 0;
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Appends to `buffer` what can be read: how much.
fn poll_fill<S: AsyncRead + Unpin>(
    inner: &mut S,
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let begin = buffer.len();
    buffer.resize(begin + READ_BYTES, 0);
    let mut read = ReadBuf::new(&mut buffer[begin..]);
    let polled = Pin::new(inner).poll_read(cx, &mut read);
    let count = read.filled().len();
    buffer.truncate(begin + count);
    polled.map_ok(|()| count)
}

impl<S: AsyncWrite + Unpin, C: Codec> AsyncWrite for Compressed<S, C> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.output.len() >= WRITE_BYTES {
            ready!(this.poll_drain(cx))?;
        }
        let count = buf.len().min(WRITE_BYTES);
        this.codec.compress(&buf[..count], &mut this.output)?;
        this.unflushed = true;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.unflushed) {
            this.codec.flush(&mut this.output)?;
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
