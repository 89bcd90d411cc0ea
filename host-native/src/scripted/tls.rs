//! TLS between tasks of a scene, with one certificate for all. Nothing is resumed, so that a scene does not depend on those
//! before it.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use sansq_tests::certificates::Certificates;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::tls::{ClientCertificates, ClientTls, MinVersion, ServerTls};

struct Ends {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    root: PathBuf,
    _files: Certificates,
}

static ENDS: LazyLock<Ends> = LazyLock::new(|| {
    let files = Certificates::new("a scene").expect("certificates");
    let pair = files.issue("server", "localhost").expect("a certificate");
    let server = ServerTls {
        cert: pair.cert,
        key: pair.key,
        root_ca_file: None,
        clients: ClientCertificates::Ignored,
        min_version: MinVersion::default(),
    };
    let trusting = ClientTls { root_ca_file: Some(files.root()), ..ClientTls::default() };
    let mut client = trusting.config().expect("a client");
    client.resumption = Resumption::disabled();
    Ends {
        acceptor: TlsAcceptor::from(Arc::new(server.config().expect("a server"))),
        connector: TlsConnector::from(Arc::new(client)),
        root: files.root(),
        _files: files,
    }
});

/// What nsqd does TLS with.
pub(crate) fn acceptor() -> TlsAcceptor {
    ENDS.acceptor.clone()
}

/// What a peer of it does TLS with, for `localhost`.
pub(crate) fn connector() -> TlsConnector {
    ENDS.connector.clone()
}

/// What a client is told of TLS. Scenes have no names, so it takes any.
pub(crate) fn client_tls() -> ClientTls {
    ClientTls { root_ca_file: Some(ENDS.root.clone()), insecure_skip_verify: true, ..ClientTls::default() }
}
