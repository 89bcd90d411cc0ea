//! What a connection reads from and writes to: its socket, or what IDENTIFY made of it.

use std::future::Future as _;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustls::{ProtocolVersion, ServerConnection};
use sansq_core::protocol::Upgrade;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsAcceptor, server};

use crate::node::TlsInfo;
use crate::streams::{Compressed, Deflate, Prefixed, Snappy, Stream};
use crate::tls;

/// Bytes read from a socket at a time.
pub(super) const READ_BYTES: usize = 256 * 1024;
/// Bytes taken from a layer at a time. To decrypt or decompress so many takes some 100 µs, and a few bytes of the socket may
/// become as many.
const LAYERED_BYTES: usize = 64 * 1024;

type Below = Prefixed<Box<dyn Stream>>;

/// See the [module](self).
pub(super) enum Wire<S> {
    /// As most are.
    Plain(S),
    /// TLS, compression, or one on the other.
    Layered(Box<dyn Stream>),
    /// Nothing can be written or read before the handshake is over.
    Shaking(Box<server::FallibleAccept<Below>>),
    /// Between one and another.
    Nothing,
}

impl<S: Stream + 'static> Wire<S> {
    /// Begins to put a layer on, of which `rest` was read already. [`poll_put_on`](Self::poll_put_on) ends it.
    pub(super) fn put_on(&mut self, upgrade: Upgrade, rest: Bytes, tls: Option<&TlsAcceptor>) {
        let below: Box<dyn Stream> = match std::mem::replace(self, Self::Nothing) {
            Self::Plain(stream) => Box::new(stream),
            Self::Layered(stream) => stream,
            Self::Shaking(_) | Self::Nothing => return,
        };
        *self = match (upgrade, tls) {
            (Upgrade::Tls, Some(tls)) => {
                Self::Shaking(Box::new(tls.accept(Prefixed::new(below, rest)).into_fallible()))
            }
            // Not granted without.
            (Upgrade::Tls, None) => Self::Nothing,
            (Upgrade::Deflate { level }, _) => {
                Self::Layered(Box::new(Compressed::new(below, Deflate::new(level), rest)))
            }
            (Upgrade::Snappy, _) => Self::Layered(Box::new(Compressed::new(below, Snappy::new(), rest))),
        };
    }

    /// Whether the layer is on: what is known of it, if it is TLS. If it failed, for a reason in words, what is below is there
    /// again.
    pub(super) fn poll_put_on(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<TlsInfo>, String>> {
        let Self::Shaking(shaking) = self else { return Poll::Ready(Ok(None)) };
        match ready!(Pin::new(shaking).poll(cx)) {
            Ok(stream) => {
                let info = info(stream.get_ref().1);
                *self = Self::Layered(Box::new(stream));
                Poll::Ready(Ok(Some(info)))
            }
            Err((error, below)) => {
                *self = Self::Layered(Box::new(below));
                Poll::Ready(Err(tls::explain(&error, tls::Role::Client)))
            }
        }
    }

    /// The room to offer to [`poll_read`](Self::poll_read).
    pub(super) fn read_bytes(&self) -> usize {
        match self {
            Self::Plain(_) => READ_BYTES,
            Self::Layered(_) | Self::Shaking(_) | Self::Nothing => LAYERED_BYTES,
        }
    }

    /// Of a socket, what one read brings; of layers, which cut it into small pieces, all there is for now.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = match self {
            Self::Plain(stream) => return Pin::new(stream).poll_read(cx, buf),
            Self::Layered(stream) => stream,
            Self::Shaking(_) | Self::Nothing => return Poll::Pending,
        };
        let begin = buf.filled().len();
        loop {
            let before = buf.filled().len();
            let read = match Pin::new(&mut *stream).poll_read(cx, buf) {
                // TLS says so where the other side did not say that this is the end. Commands say where they end.
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                read => read,
            };
            let more = matches!(read, Poll::Ready(Ok(()))) && buf.filled().len() > before;
            if !more || buf.remaining() == 0 {
                // An end or an error comes again.
                return if buf.filled().len() > begin { Poll::Ready(Ok(())) } else { read };
            }
        }
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Layered(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Shaking(_) | Self::Nothing => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Layered(stream) => Pin::new(stream).poll_flush(cx),
            Self::Shaking(_) | Self::Nothing => Poll::Ready(Ok(())),
        }
    }
}

/// What a handshake came to, by the names of the registry of TLS.
fn info(connection: &ServerConnection) -> TlsInfo {
    let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    TlsInfo {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS1.3",
            _ => "",
        },
        cipher_suite: suite.replacen("TLS13_", "TLS_", 1),
        common_name: connection.peer_certificates().and_then(tls::common_name).unwrap_or_default(),
    }
}
