//! The TCP side of nsqd, on TCP or Unix sockets: accepts connections and gives each a task on a worker thread.

mod connection;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sansq_core::session::{Features, Session, State};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::node::{Client, Node, Profile};
use crate::workers::Workers;
use connection::Connection;

/// A bound listener.
pub enum Listener {
    /// On a TCP port.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(UnixListener),
}

/// An accepted socket, not yet on any runtime.
enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// How long to wait for a descriptor to come free when there is none.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Connections the kernel may hold ready until they are accepted; it allows fewer if `somaxconn` says so. All clients of a
/// daemon that was restarted come at once, and one that finds no place tries again a second later.
pub const BACKLOG: i32 = 4096;

/// After this much silence a peer is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Sees to small writes going out at once, and to peers being found out that are gone without having said so: a client may
/// have no heartbeats. The connection works without either, so failures are let go.
pub(crate) fn prepare(socket: &TcpStream) {
    _ = socket.set_nodelay(true);
    _ = SockRef::from(socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE));
}

/// Accepts clients for ever. Out of descriptors, it waits and goes on: those connected are served meanwhile.
pub async fn accept(listener: Listener, node: Arc<Node>, workers: Arc<Workers>) {
    let mut refusing = false;
    loop {
        match accept_one(&listener).await {
            Ok((socket, remote_address)) => {
                if std::mem::take(&mut refusing) {
                    tracing::info!("TCP: accepting again");
                }
                tracing::info!("TCP: new client({remote_address})");
                serve(socket, remote_address, &node, &workers);
            }
            Err(error) => {
                // Said once, not ten times a second.
                if !std::mem::replace(&mut refusing, true) {
                    tracing::error!("TCP: cannot accept clients: {error}; raise the open-file limit or close some");
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn accept_one(listener: &Listener) -> std::io::Result<(Accepted, String)> {
    match listener {
        Listener::Tcp(listener) => {
            let (socket, remote) = listener.accept().await?;
            prepare(&socket);
            Ok((Accepted::Tcp(socket.into_std()?), remote.to_string()))
        }
        Listener::Unix(listener) => {
            let (socket, _) = listener.accept().await?;
            Ok((Accepted::Unix(socket.into_std()?), "@".to_owned()))
        }
    }
}

fn serve(socket: Accepted, remote_address: String, node: &Arc<Node>, workers: &Workers) {
    let now = node.clock.now();
    let client = Arc::new(Client {
        conn: node.clients.next_id(),
        remote_address,
        connect_ts: now.wall.as_nanos() / 1_000_000_000,
        mailbox: Arc::default(),
        profile: Mutex::new(Profile { info: None, state: State::Init, published: BTreeMap::new() }),
    });
    node.clients.enter(client.clone());
    let session = Session::new(now, node.config.clone(), Features::default());
    let node = node.clone();
    workers.spawn(async move {
        // A socket is registered with the poller of the thread it is served on. The connection is a task by itself: inside
        // of this one it would be stored twice.
        let refuse = |error| refuse(&node, &client, &error);
        match socket {
            Accepted::Tcp(socket) => match TcpStream::from_std(socket) {
                Ok(socket) => drop(tokio::spawn(Connection::new(socket, session, node, client))),
                Err(error) => refuse(error),
            },
            Accepted::Unix(socket) => match tokio::net::UnixStream::from_std(socket) {
                Ok(socket) => drop(tokio::spawn(Connection::new(socket, session, node, client))),
                Err(error) => refuse(error),
            },
        }
    });
}

fn refuse(node: &Node, client: &Client, error: &std::io::Error) {
    tracing::error!("TCP: client({}) cannot be served: {error}", client.remote_address);
    node.clients.leave(client.conn);
}
