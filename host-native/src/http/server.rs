//! Listening for HTTP, and the connections: HTTP/1, kept alive.
//!
//! A connection that says nothing for long, or sends a request's head drop by drop, is closed. A peer that is gone without
//! having said so is found out by TCP's keepalive, in the middle of a body too.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Api;
use super::linger::Lingering;
use crate::tcp::{self, Listener};
use crate::workers::Workers;

/// How long a connection may take to send the head of its next request. Longer than clients keep an idle connection for
/// later use (Go's do for 90 s), so that none is closed just when it is used.
const HEAD_TIME_MAX: Duration = Duration::from_secs(120);
/// Bytes of a request's head at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long to wait for a descriptor to come free when there is none.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// What requests under way are given to end at shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `ip:port`, or `@` on a Unix socket.
    pub address: String,
    /// The stream is in TLS.
    pub secure: bool,
}

/// The connections of a listener: each on one of the worker threads, all to be ended together.
pub struct Connections {
    api: Arc<Api>,
    workers: Arc<Workers>,
    ending: GracefulShutdown,
}

impl Connections {
    /// None yet.
    pub fn new(api: Arc<Api>, workers: Arc<Workers>) -> Self {
        Self { api, workers, ending: GracefulShutdown::new() }
    }

    /// Serves the stream that `open` makes on the connection's thread, where a socket must be registered and where a
    /// handshake keeps nobody else waiting.
    pub fn serve<S>(&self, peer: Peer, open: impl Future<Output = std::io::Result<S>> + Send + 'static)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (api, watcher) = (self.api.clone(), self.ending.watcher());
        self.workers.spawn(async move {
            match open.await {
                Ok(stream) => serve_stream(stream, peer, api, watcher).await,
                Err(error) => tracing::error!("HTTP: client({}) cannot be served: {error}", peer.address),
            }
        });
    }

    /// Lets requests under way end, for a short while; idle connections end at once.
    pub async fn close(self) {
        // Those that take longer find the node exiting.
        _ = tokio::time::timeout(GRACE, self.ending.shutdown()).await;
    }
}

/// Serves plain HTTP on `listener` until `shutdown`. Out of descriptors, it waits and goes on.
pub async fn serve(listener: Listener, api: Arc<Api>, workers: Arc<Workers>, shutdown: impl Future<Output = ()>) {
    let address = local_address(&listener);
    tracing::info!("HTTP: listening on {address}");
    let connections = Connections::new(api, workers);
    tokio::select! {
        () = shutdown => {}
        () = accept(&listener, &connections) => {}
    }
    drop(listener);
    connections.close().await;
    tracing::info!("HTTP: closing {address}");
}

async fn accept(listener: &Listener, connections: &Connections) {
    let mut refusing = false;
    loop {
        match accept_one(listener, connections).await {
            Ok(()) => {
                if std::mem::take(&mut refusing) {
                    tracing::info!("HTTP: accepting again");
                }
            }
            Err(error) => {
                // Said once, not ten times a second.
                if !std::mem::replace(&mut refusing, true) {
                    tracing::error!("HTTP: cannot accept clients: {error}; raise the open-file limit or close some");
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn accept_one(listener: &Listener, connections: &Connections) -> std::io::Result<()> {
    match listener {
        Listener::Tcp(listener) => {
            let (stream, from) = listener.accept().await?;
            tcp::prepare(&stream);
            let stream = stream.into_std()?;
            let peer = Peer { address: from.to_string(), secure: false };
            connections.serve(peer, async { TcpStream::from_std(stream) });
        }
        Listener::Unix(listener) => {
            let stream = listener.accept().await?.0.into_std()?;
            let peer = Peer { address: "@".to_owned(), secure: false };
            connections.serve(peer, async { UnixStream::from_std(stream) });
        }
    }
    Ok(())
}

fn local_address(listener: &Listener) -> String {
    match listener {
        Listener::Tcp(listener) => listener.local_addr().map_or_else(|error| error.to_string(), |at| at.to_string()),
        Listener::Unix(listener) => {
            let path = listener.local_addr().ok().and_then(|at| Some(at.as_pathname()?.display().to_string()));
            path.unwrap_or_default()
        }
    }
}

/// Serves one connection until it ends.
async fn serve_stream<S>(stream: S, peer: Peer, api: Arc<Api>, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let address = peer.address.clone();
    let service = service_fn(move |request| {
        let (api, peer) = (api.clone(), peer.clone());
        async move { Ok::<_, Infallible>(super::answer(&api, &peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        // A client may close its side when it has sent its request, as `nc` does.
        .half_close(true)
        // `Content-Length`, not `content-length`: there are clients that look for the former.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(Lingering::new(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!("HTTP: client({address}) - {error}");
    }
}
