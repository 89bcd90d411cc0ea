//! Handshakes in memory, with certificates made here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};
use sansq_tests::certificates::{Certificates, Pair, rcgen, version_1};

use super::*;

fn certificates() -> Certificates {
    Certificates::new("a test").unwrap()
}

/// What a handshake of `client` with a server that has this certificate comes to, for `localhost`.
fn shake(client: &ClientTls, server: &Pair) -> Result<(), String> {
    meet(client, &serving(server, ClientCertificates::Ignored, None)).map_err(|Refused { said, .. }| said)
}

/// A server with this certificate.
fn serving(Pair { cert, key }: &Pair, clients: ClientCertificates, root_ca_file: Option<&PathBuf>) -> ServerTls {
    let (cert, key, root_ca_file) = (cert.clone(), key.clone(), root_ca_file.cloned());
    ServerTls { cert, key, root_ca_file, clients, min_version: MinVersion::default() }
}

/// Who ended a handshake, and why, in the words of the log.
#[derive(Debug)]
struct Refused {
    by: Role,
    said: String,
}

/// What a handshake of the two comes to, for `localhost`, in any version of TLS.
fn meet(client: &ClientTls, server: &ServerTls) -> Result<(), Refused> {
    meet_with(&rustls::version::TLS12, client, server)?;
    meet_with(&rustls::version::TLS13, client, server)
}

fn meet_with(
    version: &'static SupportedProtocolVersion,
    client: &ClientTls,
    server: &ServerTls,
) -> Result<(), Refused> {
    meet_as(client.config_with(&[version]).unwrap(), server)
}

fn meet_as(client: rustls::ClientConfig, server: &ServerTls) -> Result<(), Refused> {
    let refused =
        |by, shown| move |error: rustls::Error| Refused { by, said: explain(&io::Error::other(error), shown) };
    let mut server = ServerConnection::new(Arc::new(server.config().unwrap())).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut io::Cursor::new(std::mem::take(&mut wire))).unwrap();
        server.process_new_packets().map_err(refused(Role::Server, Role::Client))?;
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut io::Cursor::new(std::mem::take(&mut wire))).unwrap();
        client.process_new_packets().map_err(refused(Role::Client, Role::Server))?;
    }
    Ok(())
}

fn trusting(path: &Path) -> ClientTls {
    ClientTls { root_ca_file: Some(path.to_owned()), ..ClientTls::default() }
}

#[test]
fn a_server_is_known_by_its_authority_and_its_name() {
    let files = certificates();
    let (good, other) = (files.issue("good", "localhost").unwrap(), files.issue("other", "elsewhere").unwrap());
    let client = trusting(&files.root());
    assert_eq!(shake(&client, &good), Ok(()));
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
    assert!(unknown.contains("the server's certificate is an authority's, and neither it nor"), "{unknown}");
    let old = files.sign_itself("old", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1)).unwrap();
    let said = shake(&trusting(&old.cert), &old).unwrap_err();
    assert!(said.contains("certificate expired"), "{said}");
    let elsewhere = files.sign_itself("elsewhere", |params| params.subject_alt_names.clear()).unwrap();
    let said = shake(&trusting(&elsewhere.cert), &elsewhere).unwrap_err();
    assert!(said.contains("not valid for any names"), "{said}");
}

/// A client that shows this certificate, and trusts anybody.
fn showing(pair: &Pair) -> ClientTls {
    let (cert, key) = (Some(pair.cert.clone()), Some(pair.key.clone()));
    ClientTls { cert, key, insecure_skip_verify: true, ..ClientTls::default() }
}

/// What it comes to when a client shows this to a server that takes those of `root` only.
fn verified(shown: &Pair, root: &PathBuf) -> Result<(), String> {
    let files = certificates();
    let server = serving(&files.issue("server", "localhost").unwrap(), ClientCertificates::Signed, Some(root));
    meet(&showing(shown), &server).map_err(|Refused { by, said }| {
        assert_eq!(by, Role::Server);
        said
    })
}

/// Both sides may have one.
#[test]
fn certificates_of_version_1_work_where_nobody_verifies() {
    let old = version_1();
    for pair in [&old.signed, &old.rsa, &old.alone] {
        let server = serving(pair, ClientCertificates::Any, None);
        meet(&showing(pair), &server).unwrap();
    }
}

/// Where nobody verifies, a client still has the key of what it shows.
#[test]
fn a_client_without_the_key_of_its_certificate_is_refused() {
    let (files, old) = (certificates(), version_1());
    let mine = files.issue("mine", "localhost").unwrap();
    let key = || provider().key_provider.load_private_key(pem::key(&mine.key).unwrap()).unwrap();
    for theirs in [&old.signed.cert, &old.rsa.cert, &files.issue("theirs", "localhost").unwrap().cert] {
        let shown = rustls::sign::CertifiedKey::new(pem::certificates(theirs).unwrap(), key());
        let server = serving(&mine, ClientCertificates::Any, None);
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let mut client = showing(&mine).config_with(&[version]).unwrap();
            client.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(shown.clone()));
            let refused = meet_as(client, &server).unwrap_err();
            assert_eq!(refused.by, Role::Server, "{}", refused.said);
        }
    }
}

/// As Go: the version makes no difference if the authority itself has signed it, and its period is looked at.
#[test]
fn certificates_of_version_1_are_verified_by_who_signed_them() {
    let old = version_1();
    assert_eq!(verified(&old.signed, &old.root), Ok(()));
    assert_eq!(verified(&old.rsa, &old.root), Ok(()));
    assert_eq!(verified(&old.alone, &old.alone.cert), Ok(()));
    for (shown, root) in
        [(&old.alone, &old.root), (&old.signed, &old.alone.cert), (&old.signed, &certificates().root())]
    {
        let said = verified(shown, root).unwrap_err();
        assert!(
            said.starts_with("the client's certificate has X.509 version 1, and none of the authorities"),
            "{said}"
        );
        assert!(said.contains("openssl x509 -req … -extfile FILE"), "{said}");
    }
}

#[test]
fn a_server_whose_certificate_is_of_version_1_is_told_why_nobody_trusts_it() {
    let old = version_1();
    for root in [&old.root, &old.signed.cert] {
        let said = shake(&trusting(root), &old.signed).unwrap_err();
        assert!(said.starts_with("the server's certificate has X.509 version 1, which has no room for"), "{said}");
        assert!(said.contains("-extfile FILE") && said.contains("subjectAltName=DNS:NAME"), "{said}");
    }
}

/// What `openssl req -x509` makes calls itself an authority, also with `-CA`.
#[test]
fn authorities_may_be_clients_and_servers_if_they_are_known() {
    let files = certificates();
    let own = files.sign_itself("own", |_| {}).unwrap();
    assert_eq!(verified(&own, &own.cert), Ok(()));
    let said = verified(&own, &files.root()).unwrap_err();
    assert!(said.starts_with("the client's certificate is an authority's, and neither it nor who signed it"), "{said}");

    let authority = |params: &mut rcgen::CertificateParams| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    };
    let below = files.issue_with("below", authority).unwrap();
    assert_eq!(verified(&below, &files.root()), Ok(()));
    assert_eq!(shake(&trusting(&files.root()), &below), Ok(()));
    let elsewhere = files.issue_with("elsewhere", |params| {
        authority(params);
        params.subject_alt_names.clear();
    });
    let said = shake(&trusting(&files.root()), &elsewhere.unwrap()).unwrap_err();
    assert!(said.contains("not valid for any names"), "{said}");
    let for_servers = files.issue_with("for-servers", |params| {
        authority(params);
        params.extended_key_usages.push(rcgen::ExtendedKeyUsagePurpose::ServerAuth);
    });
    let for_servers = for_servers.unwrap();
    assert_eq!(shake(&trusting(&files.root()), &for_servers), Ok(()));
    let said = verified(&for_servers, &files.root()).unwrap_err();
    assert!(said.starts_with("the client's certificate is refused: "), "{said}");
    let expired = files.sign_itself("expired", |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1)).unwrap();
    let said = verified(&expired, &expired.cert).unwrap_err();
    assert!(said.contains("the client's certificate is refused: ") && said.contains("expired"), "{said}");
}

#[test]
fn an_authority_with_the_right_name_and_another_key_vouches_for_nobody() {
    let stranger = Certificates::new("an authority of version 1 tests").unwrap();
    let said = verified(&version_1().signed, &stranger.root()).unwrap_err();
    assert!(said.contains("none of the authorities"), "{said}");
}

/// As in Go, which adds what it can read.
#[test]
fn what_is_no_certificate_among_authorities_is_passed_over() {
    let files = certificates();
    let good = files.issue("good", "localhost").unwrap();
    let root = std::fs::read_to_string(files.root()).unwrap();
    let fake = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let both = files.write("both.pem", &format!("{fake}{root}")).unwrap();
    assert_eq!(shake(&trusting(&both), &good), Ok(()));
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
