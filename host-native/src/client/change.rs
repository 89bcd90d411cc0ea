//! The layers that a connection's stream gets after IDENTIFY: TLS, deflate, snappy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sansq_core::client::Upgrade;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::streams::{Compressed, Deflate, Prefixed, Snappy, Stream};
use crate::tls;

/// How long a TLS handshake may take; nsqd gives it as long.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A layer more, from here on.
pub(super) struct Change {
    pub(super) upgrade: Upgrade,
    /// What was read already, and belongs above it.
    pub(super) rest: Bytes,
}

/// What the layers need to be told.
#[derive(Clone)]
pub(super) struct Layers {
    tls: Option<TlsConnector>,
}

impl Layers {
    /// `tls`: for connections that ask for it.
    pub(super) fn new(tls: Option<ClientConfig>) -> Self {
        Self { tls: tls.map(|config| TlsConnector::from(Arc::new(config))) }
    }

    /// `stream` with a layer more. `host` is what the certificate of the other side has to be for. Fails with words for people.
    pub(super) async fn put_on(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
        Change { upgrade, rest }: Change,
    ) -> Result<Box<dyn Stream>, String> {
        Ok(match upgrade {
            Upgrade::Tls => self.encrypt(Prefixed::new(stream, rest), host).await.map_err(|it| format!("TLS: {it}"))?,
            Upgrade::Deflate { level } => Box::new(Compressed::new(stream, Deflate::new(level), rest)),
            Upgrade::Snappy => Box::new(Compressed::new(stream, Snappy::new(), rest)),
        })
    }

    async fn encrypt(&self, stream: impl Stream + 'static, host: &str) -> Result<Box<dyn Stream>, String> {
        let connector = self.tls.as_ref().ok_or("nobody asked for it")?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host:?}: {error}"))?;
        match timeout(HANDSHAKE, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(tls::explain(&error, tls::Role::Server)),
            Err(_) => Err(format!("no handshake within {HANDSHAKE:?}")),
        }
    }
}
