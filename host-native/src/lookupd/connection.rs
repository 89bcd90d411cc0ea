//! The task of a connection from an nsqd: bytes to its session and back.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use sansq_core::lookup::{Event, Session};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::State;
use crate::tcp::Accepted;
use crate::workers::Workers;

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;
/// How long a peer may take no answers. Nothing of it is read meanwhile.
const WRITE_TIME_MAX: Duration = Duration::from_secs(5);

/// Serves `socket` on a worker thread.
pub(super) fn serve(socket: Accepted, remote_address: String, state: &Arc<State>, workers: &Workers) {
    tracing::info!("TCP: new client({remote_address})");
    let connection = Connection::new(remote_address, state);
    workers.spawn(async move {
        let address = connection.remote_address.clone();
        let served = match socket {
            Accepted::Tcp(socket) => match TcpStream::from_std(socket) {
                Ok(socket) => connection.run(socket).await,
                Err(error) => Err(error),
            },
            Accepted::Unix(socket) => match UnixStream::from_std(socket) {
                Ok(socket) => connection.run(socket).await,
                Err(error) => Err(error),
            },
        };
        match served {
            Ok(()) => tracing::info!("CLIENT({address}): closing"),
            Err(error) => tracing::info!("CLIENT({address}): closing - {error}"),
        }
    });
}

pub(super) struct Connection {
    session: Session,
    state: Arc<State>,
    remote_address: String,
    /// Answers not yet written.
    out: Vec<u8>,
}

impl Connection {
    pub(super) fn new(remote_address: String, state: &Arc<State>) -> Self {
        Self { session: state.session(remote_address.clone()), state: state.clone(), remote_address, out: Vec::new() }
    }

    /// Serves the stream until it ends, and takes back what was registered on it.
    pub(super) async fn run(mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        let served = self.converse(&mut stream).await;
        if served.is_err() {
            self.session.handle_eof(&mut self.state.registry.write(), &mut self.out);
        }
        served
    }

    async fn converse(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<()> {
        while !self.session.is_closed() {
            self.take_input(stream).await?;
            while let Some(event) = self.session.poll_event() {
                self.tell(event);
            }
            if !self.out.is_empty() {
                tokio::time::timeout(WRITE_TIME_MAX, stream.write_all(&self.out)).await??;
                self.out = Vec::new();
            }
            // One that always has something to say is not the only one of its thread.
            tokio::task::yield_now().await;
        }
        stream.shutdown().await
    }

    /// Waits for bytes, the end of the stream or the session's deadline, and hands it in.
    async fn take_input(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
        let deadline = self.session.poll_timeout().map(|at| self.state.clock.deadline(at));
        let timeout = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let Self { session, state, out, .. } = self;
        let read = poll_fn(|cx| {
            // On the stack: an idle connection has no buffer.
            let mut space = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            let mut registry = state.registry.write();
            match buffer.filled() {
                [] => session.handle_eof(&mut registry, out),
                bytes => session.handle_bytes(state.clock.now(), bytes, &mut registry, out),
            }
            Poll::Ready(Ok(()))
        });
        tokio::select! {
            result = read => return result,
            () = timeout => {}
        }
        self.session.handle_timeout(self.state.clock.now(), &mut self.state.registry.write());
        Ok(())
    }

    fn tell(&self, event: Event) {
        let address = &self.remote_address;
        match event {
            Event::Identified(info) => tracing::info!(
                "CLIENT({address}): IDENTIFY Address:{} TCP:{} HTTP:{} Version:{}",
                info.broadcast_address,
                info.tcp_port,
                info.http_port,
                info.version
            ),
            Event::Registered(topic, None) => tracing::info!("DB: client({address}) REGISTER topic:{topic}"),
            Event::Registered(topic, Some(channel)) => {
                tracing::info!("DB: client({address}) REGISTER topic:{topic} channel:{channel}");
            }
            Event::Unregistered(topic, None) => tracing::info!("DB: client({address}) UNREGISTER topic:{topic}"),
            Event::Unregistered(topic, Some(channel)) => {
                tracing::info!("DB: client({address}) UNREGISTER topic:{topic} channel:{channel}");
            }
            Event::Failed(error) => tracing::error!("CLIENT({address}): {error:?}"),
            Event::TimedOut => tracing::warn!("CLIENT({address}): has said nothing for too long"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Context;

    use futures::poll;
    use sansq_core::lookup::{Lifetimes, Registry, Server};

    use super::*;
    use crate::node::Clock;

    /// A peer that never stops sending, and takes all it is sent.
    #[derive(Default)]
    struct Endless {
        reads: usize,
    }

    impl AsyncRead for Endless {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            let bytes: &[u8] = if self.reads == 0 { b"  V1" } else { b"PING\n" };
            buf.put_slice(bytes);
            self.reads += 1;
            assert!(self.reads < 1000, "one poll reads on and on");
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Endless {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_one_read() {
        let state = State {
            registry: Registry::new(Lifetimes {
                inactive_producer_timeout: Duration::from_secs(300),
                tombstone_lifetime: Duration::from_secs(45),
            })
            .into(),
            clock: Clock::start(),
            server: Arc::new(Server {
                broadcast_address: "lookup.example".to_owned(),
                hostname: "lookup".to_owned(),
                http_port: 4161,
                tcp_port: 4160,
                version: "1.3.0".to_owned(),
            }),
            idle_timeout: None,
            last_conn: Default::default(),
        };
        let session = state.session("a test".to_owned());
        let mut connection =
            Connection { session, state: Arc::new(state), remote_address: "a test".to_owned(), out: Vec::new() };
        let mut stream = Endless::default();
        {
            let mut conversation = pin!(connection.converse(&mut stream));
            for _ in 0..10 {
                assert!(poll!(&mut conversation).is_pending());
            }
        }
        assert_eq!(stream.reads, 10);
    }
}
