//! The TCP side of nsqd, on TCP or Unix sockets: accepts connections and gives each a task on a worker thread.

mod connection;
mod listener;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sansq_core::session::{Features, Session, State};
use tokio::net::TcpStream;

use crate::node::{Client, Node, Profile};
use crate::workers::Workers;
use connection::Connection;
pub(crate) use listener::{Accepted, Bound};
pub use listener::{ListenError, Listener};

/// Accepts clients for ever.
pub(crate) async fn accept(listener: Listener, node: Arc<Node>, workers: Arc<Workers>) {
    let accepted = |socket, remote_address| {
        tracing::info!("TCP: new client({remote_address})");
        serve(socket, remote_address, &node, &workers);
    };
    listener.accept_all("TCP", accepted).await;
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
