//! Listening for HTTP, and the connections: HTTP/1, kept alive.
//!
//! A connection that says nothing for long, or sends a request's head drop by drop, is closed. A peer that is gone without
//! having said so is found out by TCP's keepalive, in the middle of a body too.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection;
use super::input::{Input, Transport};
use super::linger::Lingering;
use super::service::Service;
use crate::tcp::{Accepted, Listener};
use crate::tls;
use crate::workers::Workers;

/// What requests under way are given to end at shutdown.
const GRACE: Duration = Duration::from_secs(2);
/// How long a TLS handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// `ip:port`, or `@` on a Unix socket.
    pub(crate) address: String,
    /// The stream is in TLS.
    pub(crate) secure: bool,
    /// It came to a loopback address, so it is on this machine.
    pub(crate) loopback: bool,
}

/// The connections of a listener: each on one of the worker threads, all to be ended together.
pub(crate) struct Connections<S> {
    service: Arc<S>,
    workers: Arc<Workers>,
    ending: watch::Sender<bool>,
}

impl<S: Service> Connections<S> {
    /// None yet.
    pub(crate) fn new(service: Arc<S>, workers: Arc<Workers>) -> Self {
        Self { service, workers, ending: watch::Sender::new(false) }
    }

    /// Serves the stream that `open` makes on the connection's thread, where a socket must be registered and where a
    /// handshake keeps nobody else waiting.
    pub(crate) fn serve<T>(&self, peer: Peer, open: impl Future<Output = std::io::Result<T>> + Send + 'static)
    where
        T: Transport + 'static,
    {
        let (service, ending) = (self.service.clone(), self.ending.subscribe());
        self.workers.spawn(async move {
            match open.await {
                Ok(stream) => {
                    let input = Input::new(Lingering::new(stream));
                    if let Err(error) = connection::serve(input, &peer, &service, ending).await {
                        tracing::debug!("HTTP: client({}) - {error}", peer.address);
                    }
                }
                Err(error) => {
                    let reason = tls::explain(&error, tls::Role::Client);
                    tracing::error!("HTTP: client({}) cannot be served: {reason}", peer.address);
                }
            }
        });
    }

    fn accept(&self, socket: Accepted, address: String, tls: Option<TlsAcceptor>) {
        let loopback = match &socket {
            Accepted::Tcp(socket) => socket.local_addr().is_ok_and(|local| local.ip().to_canonical().is_loopback()),
            Accepted::Unix(_) => false,
        };
        let peer = Peer { address, secure: tls.is_some(), loopback };
        match (socket, tls) {
            (Accepted::Tcp(socket), None) => self.serve(peer, async { TcpStream::from_std(socket) }),
            (Accepted::Unix(socket), None) => self.serve(peer, async { UnixStream::from_std(socket) }),
            (Accepted::Tcp(socket), Some(tls)) => {
                self.serve(peer, async move { shake(&tls, TcpStream::from_std(socket)?).await });
            }
            (Accepted::Unix(socket), Some(tls)) => {
                self.serve(peer, async move { shake(&tls, UnixStream::from_std(socket)?).await });
            }
        }
    }

    /// Lets requests under way end, for a short while; idle connections end at once.
    pub(crate) async fn close(self) {
        self.ending.send_replace(true);
        // Those that take longer find the node exiting.
        _ = tokio::time::timeout(GRACE, self.ending.closed()).await;
    }
}

/// Serves plain HTTP on `listener` until `shutdown`. Out of descriptors, it waits and goes on.
pub(crate) async fn serve<S: Service>(
    listener: Listener,
    service: Arc<S>,
    workers: Arc<Workers>,
    shutdown: impl Future<Output = ()>,
) {
    serve_as("HTTP", listener, None, service, workers, shutdown).await;
}

/// As [`serve`], HTTPS.
pub(crate) async fn serve_tls<S: Service>(
    listener: Listener,
    tls: TlsAcceptor,
    service: Arc<S>,
    workers: Arc<Workers>,
    shutdown: impl Future<Output = ()>,
) {
    serve_as("HTTPS", listener, Some(tls), service, workers, shutdown).await;
}

async fn serve_as<S: Service>(
    protocol: &str,
    listener: Listener,
    tls: Option<TlsAcceptor>,
    service: Arc<S>,
    workers: Arc<Workers>,
    shutdown: impl Future<Output = ()>,
) {
    let address = local_address(&listener);
    tracing::info!("{protocol}: listening on {address}");
    let connections = Connections::new(service, workers);
    tokio::select! {
        () = shutdown => {}
        () = listener.accept_all(protocol, |socket, address| connections.accept(socket, address, tls.clone())) => {}
    }
    drop(listener);
    connections.close().await;
    tracing::info!("{protocol}: closing {address}");
}

/// The handshake of a client.
async fn shake<T: AsyncRead + AsyncWrite + Unpin>(tls: &TlsAcceptor, stream: T) -> std::io::Result<TlsStream<T>> {
    match tokio::time::timeout(HANDSHAKE_TIME_MAX, tls.accept(stream)).await {
        Ok(shaken) => shaken,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

fn local_address(listener: &Listener) -> String {
    match listener {
        Listener::Tcp(listener) => listener.local_addr().map_or_else(|error| error.to_string(), |at| at.to_string()),
        Listener::Unix(socket) => socket.path().display().to_string(),
    }
}
