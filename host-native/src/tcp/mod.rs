//! The TCP side of nsqd, on TCP or Unix sockets: accepts connections and gives each a task on a worker thread.

mod connection;
mod listener;
#[cfg(test)]
pub(crate) mod scenes;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn_tests;
mod unix_socket;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sansq_core::session::{Features, Session, State};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::auth::AuthServers;
use crate::node::{Client, Node, Profile};
use crate::workers::Workers;
use connection::Connection;
pub(crate) use listener::{Accepted, Bound};
pub use listener::{ListenError, Listener};
pub use unix_socket::UnixSocket;

/// What clients may have, and must.
#[derive(Clone)]
pub(crate) struct Terms {
    /// Without `tls` and `auth`, which follow from there being an acceptor and servers.
    pub(crate) features: Features,
    pub(crate) tls: Option<TlsAcceptor>,
    /// Who decides what clients may do; without, everybody may do all.
    pub(crate) auth: Option<AuthServers>,
}

/// Accepts clients for ever.
pub(crate) async fn accept(listener: Listener, terms: Terms, node: Arc<Node>, workers: Arc<Workers>) {
    let accepted = |socket, remote_address| {
        tracing::info!("TCP: new client({remote_address})");
        serve(socket, remote_address, &terms, &node, &workers);
    };
    listener.accept_all("TCP", accepted).await;
}

fn serve(socket: Accepted, remote_address: String, terms: &Terms, node: &Arc<Node>, workers: &Workers) {
    let client = client(node, remote_address);
    let Terms { features, tls, auth } = terms.clone();
    let features = Features { tls: tls.is_some(), auth: auth.is_some(), ..features };
    let session = Session::new(node.clock.now(), node.config.clone(), features);
    let node = node.clone();
    workers.spawn(async move {
        // A socket is registered with the poller of the thread it is served on. The connection is a task by itself: inside
        // of this one it would be stored twice.
        let refuse = |error| refuse(&node, &client, &error);
        match socket {
            Accepted::Tcp(socket) => match TcpStream::from_std(socket) {
                Ok(socket) => drop(tokio::spawn(Connection::new(socket, session, node, client, tls, auth))),
                Err(error) => refuse(error),
            },
            Accepted::Unix(socket) => match tokio::net::UnixStream::from_std(socket) {
                Ok(socket) => drop(tokio::spawn(Connection::new(socket, session, node, client, tls, auth))),
                Err(error) => refuse(error),
            },
        }
    });
}

/// Enters a client that has said nothing yet.
fn client(node: &Node, remote_address: String) -> Arc<Client> {
    let client = Arc::new(Client {
        conn: node.clients.next_id(),
        remote_address,
        connect_ts: node.clock.now().wall.as_nanos() / 1_000_000_000,
        mailbox: Arc::default(),
        profile: Mutex::new(Profile {
            info: None,
            state: State::Init,
            tls: None,
            authorized: None,
            published: BTreeMap::new(),
        }),
    });
    node.clients.enter(client.clone());
    client
}

fn refuse(node: &Node, client: &Client, error: &std::io::Error) {
    tracing::error!("TCP: client({}) cannot be served: {error}", client.remote_address);
    node.clients.leave(client.conn);
}
