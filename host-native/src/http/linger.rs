//! A stream that is closed so that the peer gets to read what was last written.
//!
//! A TCP socket that is closed with unread input answers more of it with a reset, and a reset throws away what the peer
//! has not read yet: the very response that says why its request was cut off. So after such a response the writing side
//! is closed first, and input is read and forgotten until the peer closes its own, or has had its time.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long the peer has to read a last response.
const LINGER: Duration = Duration::from_secs(1);

/// A stream that lingers.
pub(super) struct Lingering<S> {
    stream: S,
    /// The last read brought something, so there may be more.
    unread: bool,
    closing: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    /// Lets `stream` linger when it is shut down.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, unread: false, closing: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.unread = matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() > before;
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.unread {
                return Poll::Ready(Ok(()));
            }
        }
        let deadline = this.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0; 4096];
        // A peer that sends without end must not keep the thread, so each turn has one.
        for _ in 0..16 {
            let mut scratch = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut scratch))?;
            if scratch.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test(start_paused = true)]
    async fn unread_input_is_waited_for() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        theirs.write_all(b"12345678").await.unwrap();
        let mut stream = Lingering::new(ours);
        stream.read_u8().await.unwrap();
        let peer = tokio::spawn(async move {
            theirs.write_all(&[0; 100_000]).await.unwrap();
            let mut last = String::new();
            theirs.shutdown().await.unwrap();
            theirs.read_to_string(&mut last).await.unwrap();
            last
        });
        stream.write_all(b"refused").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(peer.await.unwrap(), "refused");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_not_waited_for_long() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut stream = Lingering::new(ours);
        let started = tokio::time::Instant::now();
        theirs.write_all(b"1").await.unwrap();
        stream.read_u8().await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(started.elapsed().as_millis() / 100, 10);
        let (ours, _theirs) = tokio::io::duplex(8);
        Lingering::new(ours).shutdown().await.unwrap();
        assert_eq!(started.elapsed().as_millis() / 100, 10);
    }
}
