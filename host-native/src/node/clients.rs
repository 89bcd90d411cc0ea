//! Who is connected: what `/stats` shows of a client besides its channel's counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sansq_core::name::TopicName;
use sansq_core::protocol::ConnId;
use sansq_core::session::{ClientInfo, State};

use super::mailbox::Mailbox;

/// One connection, as others see it.
#[derive(Debug)]
pub struct Client {
    /// Its number.
    pub conn: ConnId,
    /// `ip:port` of the peer, or `@` on a Unix socket.
    pub remote_address: String,
    /// When it came, Unix seconds.
    pub connect_ts: i64,
    /// Where to reach its task.
    pub mailbox: Arc<Mailbox>,
    /// What changes while it is connected.
    pub profile: Mutex<Profile>,
}

impl Client {
    /// The peer's address without brackets, and its port; both empty on a Unix socket.
    pub fn host_and_port(&self) -> (&str, &str) {
        split_address(&self.remote_address)
    }
}

fn split_address(address: &str) -> (&str, &str) {
    let (host, port) = address.rsplit_once(':').unwrap_or_default();
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// What a client told us and did.
#[derive(Clone, Debug)]
pub struct Profile {
    /// From IDENTIFY; empty strings mean the peer's address.
    pub info: Option<Arc<ClientInfo>>,
    /// Protocol state.
    pub state: State,
    /// What TLS came to, if the stream is in it.
    pub tls: Option<TlsInfo>,
    /// What an auth server said of it, if it was asked.
    pub authorized: Option<Identity>,
    /// Messages published, by topic.
    pub published: BTreeMap<TopicName, u64>,
}

/// What a TLS handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLS1.2` or `TLS1.3`.
    pub version: &'static str,
    /// As it is registered: `TLS_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// Of the subject of the client's certificate; empty without.
    pub common_name: String,
}

/// Who a client is, for an auth server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The client's name.
    pub name: String,
    /// Where to read about it.
    pub url: String,
}

/// The connections of a node.
#[derive(Debug, Default)]
pub struct Clients {
    last_id: AtomicU64,
    table: Mutex<BTreeMap<ConnId, Arc<Client>>>,
}

impl Clients {
    /// A number for a connection, or for a caller that publishes without one.
    pub fn next_id(&self) -> ConnId {
        ConnId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Enters a connection.
    pub fn enter(&self, client: Arc<Client>) {
        self.table.lock().insert(client.conn, client);
    }

    /// The connection is gone.
    pub fn leave(&self, conn: ConnId) {
        self.table.lock().remove(&conn);
    }

    /// The connection `conn`.
    pub fn client(&self, conn: ConnId) -> Option<Arc<Client>> {
        self.table.lock().get(&conn).cloned()
    }

    /// All connections, in the order they came.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.table.lock().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_apart() {
        assert_eq!(split_address("127.0.0.1:5"), ("127.0.0.1", "5"));
        assert_eq!(split_address("[::1]:5"), ("::1", "5"));
        assert_eq!(split_address("@"), ("", ""));
    }
}
