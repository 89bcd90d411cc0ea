//! Handshakes in memory, with certificates made here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConfig, ServerConnection};
use sansq_tests::certificates::{Certificates, Pair, rcgen};

use super::*;

fn certificates() -> Certificates {
    Certificates::new("a test").unwrap()
}

/// What a handshake of `client` with a server that has this certificate comes to, for `localhost`.
fn shake(client: &ClientTls, Pair { cert, key }: &Pair) -> Result<rustls::ProtocolVersion, String> {
    let explained = |error: rustls::Error| explain(&io::Error::other(error));
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(pem::certificates(cert).unwrap(), pem::key(key).unwrap())
        .unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(client.config().unwrap()), name).unwrap();
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut io::Cursor::new(std::mem::take(&mut wire))).unwrap();
        server.process_new_packets().map_err(explained)?;
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut io::Cursor::new(std::mem::take(&mut wire))).unwrap();
        client.process_new_packets().map_err(explained)?;
    }
    Ok(client.protocol_version().unwrap())
}

fn trusting(path: &Path) -> ClientTls {
    ClientTls { root_ca_file: Some(path.to_owned()), ..ClientTls::default() }
}

#[test]
fn a_server_is_known_by_its_authority_and_its_name() {
    let files = certificates();
    let (good, other) = (files.issue("good", "localhost").unwrap(), files.issue("other", "elsewhere").unwrap());
    let client = trusting(&files.root());
    assert_eq!(shake(&client, &good), Ok(rustls::ProtocolVersion::TLSv1_3));
    let said = shake(&client, &other).unwrap_err();
    assert!(said.contains("certificate not valid for name \"localhost\""), "{said}");
    let said = shake(&trusting(&Certificates::new("a stranger").unwrap().root()), &good).unwrap_err();
    assert!(said.contains("signed by nobody that is trusted"), "{said}");
    let anybody = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
    assert!(shake(&anybody, &other).is_ok());
}

#[test]
fn a_certificate_that_is_trusted_itself_may_call_itself_an_authority() {
    let files = certificates();
    let own = files.sign_itself("own", |_| {}).unwrap();
    assert!(shake(&trusting(&own.cert), &own).is_ok());
    let unknown = shake(&trusting(&files.root()), &own).unwrap_err();
    assert!(unknown.contains("signed itself, and is not among those"), "{unknown}");
    let old = files.sign_itself("old", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1)).unwrap();
    let said = shake(&trusting(&old.cert), &old).unwrap_err();
    assert!(said.contains("certificate expired"), "{said}");
    let elsewhere = files.sign_itself("elsewhere", |params| params.subject_alt_names.clear()).unwrap();
    let said = shake(&trusting(&elsewhere.cert), &elsewhere).unwrap_err();
    assert!(said.contains("not valid for any names"), "{said}");
}

#[test]
fn what_is_wrong_with_files_is_said() {
    let files = certificates();
    let Pair { cert, key } = files.issue("good", "localhost").unwrap();
    let other_key = files.issue("other", "localhost").unwrap().key;
    let empty = files.write("empty.pem", "nothing here\n").unwrap();
    let broken = files.write("broken.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
    let fake = files.write("fake.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let none = files.path("none.pem");
    let said = |root: Option<&PathBuf>, cert: Option<&PathBuf>, key: Option<&PathBuf>| {
        let (root_ca_file, cert, key) = (root.cloned(), cert.cloned(), key.cloned());
        let text = ClientTls { root_ca_file, cert, key, ..ClientTls::default() }.config().unwrap_err().to_string();
        text.replace(&format!("{}/", files.directory().display()), "")
    };
    assert_eq!(said(Some(&none), None, None), "none.pem: No such file or directory (os error 2)");
    assert_eq!(said(Some(&empty), None, None), "empty.pem: there is no certificate in it, in PEM form");
    assert!(said(Some(&broken), None, None).starts_with("broken.pem: not a usable certificate: "));
    assert!(said(Some(&fake), None, None).starts_with("fake.pem: not a usable certificate: "));
    assert_eq!(said(None, Some(&cert), None), "a certificate was given without its key");
    assert_eq!(said(None, None, Some(&key)), "a key was given without its certificate");
    assert_eq!(
        said(None, Some(&cert), Some(&cert)),
        "good.pem: there is no private key (without a passphrase) in it, in PEM form"
    );
    assert_eq!(said(None, Some(&cert), Some(&other_key)), "other.key is not the key of the certificate in good.pem");
    assert!(said(None, Some(&fake), Some(&key)).starts_with("fake.pem: not a usable certificate: "));

    let server = |root_ca_file: Option<&PathBuf>, key: &PathBuf| {
        let (cert, key, root_ca_file) = (cert.clone(), key.clone(), root_ca_file.cloned());
        let (clients, min_version) = (ClientCertificates::Signed, MinVersion::default());
        ServerTls { cert, key, root_ca_file, clients, min_version }.config().err()
    };
    assert_eq!(server(Some(&files.root()), &key), None);
    assert_eq!(server(None, &key), Some(TlsError::NoAuthority));
    assert!(matches!(server(Some(&none), &key), Some(TlsError::Unreadable { .. })));
    assert!(matches!(server(Some(&files.root()), &other_key), Some(TlsError::NotAPair { .. })));
}

/// Its options begin at 1.0, as the reference's.
#[test]
fn nsqd_speaks_no_tls_before_1_2() {
    use crate::config::nsqd::{NsqdOptions, TlsVersion};
    let files = certificates();
    let Pair { cert, key } = files.issue("good", "localhost").unwrap();
    for (asked, spoken) in [
        (TlsVersion::Tls10, MinVersion::Tls12),
        (TlsVersion::Tls12, MinVersion::Tls12),
        (TlsVersion::Tls13, MinVersion::Tls13),
    ] {
        let (tls_cert, tls_key) = (cert.clone(), key.clone());
        let options = NsqdOptions { tls_cert, tls_key, tls_min_version: asked, ..NsqdOptions::default() };
        assert_eq!(options.tls().unwrap().min_version, spoken);
    }
    assert_eq!(NsqdOptions::default().tls(), None);
}

#[test]
fn versions_are_known_by_name() {
    for (name, version) in [
        ("ssl3.0", Some(MinVersion::Tls12)),
        ("tls1.2", Some(MinVersion::Tls12)),
        ("tls1.3", Some(MinVersion::Tls13)),
        ("tls1.4", None),
        ("", None),
    ] {
        assert_eq!(MinVersion::parse(name), version, "{name}");
    }
}
