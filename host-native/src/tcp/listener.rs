//! Sockets that are listened on, TCP or Unix: binding them, and accepting who comes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};

use super::unix_socket::UnixSocket;
use crate::config::ListenAddress;

/// How long to wait for a descriptor to come free when there is none.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Connections the kernel may hold ready until they are accepted; it allows fewer if `somaxconn` says so. All clients of a
/// daemon that was restarted come at once, and one that finds no place tries again a second later.
const BACKLOG: i32 = 4096;

/// After this much silence a peer is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A bound listener.
pub enum Listener {
    /// On a TCP port.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(UnixSocket),
}

/// An accepted socket, not yet on any runtime.
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("listen ({address}) failed - {error}")]
pub struct ListenError {
    /// As it was asked for.
    pub address: String,
    /// Why not.
    pub error: std::io::Error,
}

/// Where a listener is.
pub(crate) struct Bound {
    /// `ip:port`, or the path of a Unix socket.
    pub(crate) address: String,
    /// `None` for a Unix socket.
    pub(crate) port: Option<u16>,
}

impl Listener {
    /// Listens on `address`. Fails with a [`ListenError`].
    pub(crate) async fn bind(address: &ListenAddress) -> Result<(Self, Bound)> {
        let failed = |error| ListenError { address: address.to_string(), error };
        match address {
            ListenAddress::Tcp { host, port } => {
                let host = if host.is_empty() { "0.0.0.0" } else { host };
                let listener = TcpListener::bind((host, *port)).await.map_err(failed)?;
                SockRef::from(&listener).listen(BACKLOG).map_err(failed)?;
                let local = listener.local_addr()?;
                Ok((Self::Tcp(listener), Bound { address: local.to_string(), port: Some(local.port()) }))
            }
            ListenAddress::Unix(path) => {
                let socket = UnixSocket::bind(path).await.map_err(failed)?;
                SockRef::from(socket.listener()).listen(BACKLOG).map_err(failed)?;
                Ok((Self::Unix(socket), Bound { address: path.display().to_string(), port: None }))
            }
        }
    }

    /// Hands every client to `serve`, with its address (`@` on a Unix socket), for ever. Out of descriptors, it waits and
    /// goes on: those connected are served meanwhile. `protocol` is for the log.
    pub(crate) async fn accept_all(&self, protocol: &str, mut serve: impl FnMut(Accepted, String)) {
        let mut refusing = false;
        loop {
            match self.accept().await {
                Ok((socket, remote_address)) => {
                    if std::mem::take(&mut refusing) {
                        tracing::info!("{protocol}: accepting again");
                    }
                    serve(socket, remote_address);
                }
                Err(error) => {
                    // Said once, not ten times a second.
                    if !std::mem::replace(&mut refusing, true) {
                        tracing::error!(
                            "{protocol}: cannot accept clients: {error}; raise the open-file limit or close some"
                        );
                    }
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    async fn accept(&self) -> std::io::Result<(Accepted, String)> {
        match self {
            Self::Tcp(listener) => {
                let (socket, remote) = listener.accept().await?;
                prepare(&socket);
                // Who comes by IPv4 to a socket of both is known by that address.
                let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
                Ok((Accepted::Tcp(socket.into_std()?), remote.to_string()))
            }
            Self::Unix(socket) => Ok((Accepted::Unix(socket.accept().await?.into_std()?), "@".to_owned())),
        }
    }
}

/// Sees to small writes going out at once, and to peers being found out that are gone without having said so: a client may
/// have no heartbeats. The connection works without either, so failures are let go.
fn prepare(socket: &TcpStream) {
    _ = socket.set_nodelay(true);
    _ = SockRef::from(socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
}
