//! What webpki does not do: signatures of handshakes by keys whose certificate it does not read, keys that belong to such
//! certificates, and a second look at what it refuses though Go takes it.
//!
//! webpki reads X.509 version 3 only, and takes no authority for a server or a client. Both are in use: `openssl x509 -req`
//! without `-extfile` makes version 1, and `openssl req -x509` makes authorities, also with `-CA`.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, InconsistentKeys, OtherError, PeerMisbehaved, RootCertStore,
};
use thiserror::Error as ThisError;
use webpki::RawPublicKeyEntity;

use super::provider;
use super::x509::{Certificate, oid};

/// Who shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// To clients.
    Server,
    /// To a server.
    Client,
}

impl Role {
    fn usage(self) -> &'static [u8] {
        match self {
            Self::Server => oid::SERVER_AUTH,
            Self::Client => oid::CLIENT_AUTH,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

/// A certificate of version 1 or 2 where its version is why it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub(super) enum OldVersion {
    /// It has no names, and a client looks for one.
    #[error(
        "has X.509 version {0}, which has no room for the names of a server: make it version 3, with \
         `openssl x509 -req … -extfile FILE`, where FILE has the line subjectAltName=DNS:NAME or subjectAltName=IP:ADDRESS"
    )]
    Nameless(u8),
    /// No authority that is trusted has signed it itself.
    #[error(
        "has X.509 version {0}, and none of the authorities that are trusted has signed it itself: have one of them sign it, \
         or make it version 3, with `openssl x509 -req … -extfile FILE`"
    )]
    NotSigned(u8),
}

impl From<OldVersion> for Error {
    fn from(old: OldVersion) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(old))))
    }
}

fn read<'a>(certificate: &'a CertificateDer<'_>) -> Result<Certificate<'a>, Error> {
    Certificate::parse(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// The common name in the first certificate of a chain.
pub(crate) fn common_name(chain: &[CertificateDer<'_>]) -> Option<String> {
    Certificate::parse(chain.first()?)?.common_name()
}

/// A chain, of which the first certificate may have any version, with the key of that.
///
/// # Errors
/// If either is not what it should be, or they do not go together.
pub(super) fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<SingleCertAndKey>, Error> {
    let key = provider().key_provider.load_private_key(key)?;
    let certificate = read(chain.first().ok_or(Error::NoCertificatesPresented)?)?;
    if key.public_key().is_some_and(|public| public.as_ref() != certificate.public_key) {
        return Err(InconsistentKeys::KeyMismatch.into());
    }
    Ok(Arc::new(CertifiedKey::new(chain, key).into()))
}

/// Whether the key of a certificate of any version has signed `message`, in TLS 1.2.
pub(super) fn verify_tls12_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let spki = SubjectPublicKeyInfoDer::from(read(certificate)?.public_key);
    let key = RawPublicKeyEntity::try_from(&spki).map_err(|_| CertificateError::BadEncoding)?;
    let schemes = algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
    let (_, candidates) = schemes.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    // A scheme of TLS 1.2 does not name the curve: one of them fits the key.
    if candidates.iter().any(|algorithm| key.verify_signature(*algorithm, message, dss.signature()).is_ok()) {
        return Ok(HandshakeSignatureValid::assertion());
    }
    Err(Error::InvalidCertificate(CertificateError::BadSignature))
}

/// Whether the key of a certificate of any version has signed `message`, in TLS 1.3.
pub(super) fn verify_tls13_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let spki = SubjectPublicKeyInfoDer::from(read(certificate)?.public_key);
    verify_tls13_signature_with_raw_key(message, &spki, dss, algorithms)
}

/// The certificates of a file that names whom to trust.
#[derive(Clone, Debug)]
pub(super) struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    /// The same, for webpki.
    pub(super) roots: Arc<RootCertStore>,
}

impl Authorities {
    /// Those that are certificates. As in Go, others among them are passed over.
    ///
    /// # Errors
    /// What is wrong with the first one, if none is.
    pub(super) fn new(found: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        let (mut roots, mut certificates, mut first_error) = (RootCertStore::empty(), Vec::new(), None);
        for certificate in found {
            match roots.add(certificate.clone()) {
                Ok(()) => certificates.push(certificate),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            Some(error) if certificates.is_empty() => Err(error),
            Some(_) | None => Ok(Self { certificates, roots: Arc::new(roots) }),
        }
    }

    /// Looks at a certificate that webpki has refused. What it gets wrong is told from what is wrong:
    ///
    /// - An authority as a server's or client's own certificate: Go takes it if it is listed, or signed by one that is.
    /// - A certificate of version 1 or 2: Go takes it from clients, under the same conditions. Servers need names.
    ///
    /// # Errors
    /// Why it stays refused: `refusal`, or a better reason.
    pub(super) fn look_again(
        &self,
        shown: &CertificateDer<'_>,
        role: Role,
        now: UnixTime,
        refusal: Error,
    ) -> Result<(), Error> {
        let certificate = read(shown)?;
        let is_old = certificate.version < 3;
        if is_old && role == Role::Server {
            return Err(OldVersion::Nameless(certificate.version).into());
        }
        if !is_old && !is_authority(&refusal) {
            return Err(refusal);
        }
        let is_listed = self.certificates.iter().any(|listed| listed == shown);
        if !is_listed && !self.has_signed(&certificate) {
            return Err(if is_old { OldVersion::NotSigned(certificate.version).into() } else { refusal });
        }
        certificate.check_time(now)?;
        if !certificate.may_be_used_for(role.usage()) {
            return Err(Error::InvalidCertificate(CertificateError::InvalidPurpose));
        }
        Ok(())
    }

    /// Whether one of them has signed it, with nobody in between. One that may sign some names only is left to webpki, which
    /// knows how to compare them.
    fn has_signed(&self, certificate: &Certificate<'_>) -> bool {
        let candidates = self.certificates.iter().filter_map(|listed| Certificate::parse(listed));
        candidates
            .filter(|it| it.is_authority() && it.extension(oid::NAME_CONSTRAINTS).is_none())
            .any(|authority| authority.subject == certificate.issuer && signed_by(certificate, authority.public_key))
    }
}

/// The same for who has no authorities to ask: the reason, if the version is it.
pub(super) fn explained(shown: &CertificateDer<'_>, role: Role, refusal: Error) -> Error {
    match (Certificate::parse(shown), role) {
        (Some(Certificate { version: version @ 1..=2, .. }), Role::Server) => OldVersion::Nameless(version).into(),
        (Some(Certificate { version: version @ 1..=2, .. }), Role::Client) => OldVersion::NotSigned(version).into(),
        (Some(_) | None, Role::Server | Role::Client) => refusal,
    }
}

fn signed_by(certificate: &Certificate<'_>, public_key: &[u8]) -> bool {
    let spki = SubjectPublicKeyInfoDer::from(public_key);
    let Ok(key) = RawPublicKeyEntity::try_from(&spki) else { return false };
    let algorithms = provider().signature_verification_algorithms.all.iter();
    algorithms
        .filter(|algorithm| algorithm.signature_alg_id().as_ref() == certificate.algorithm)
        .any(|algorithm| key.verify_signature(*algorithm, certificate.signed, certificate.signature).is_ok())
}

/// The one thing wrong with a certificate is that it calls itself an authority. What `openssl req -x509` makes does, and is
/// used as a server's or client's certificate all the same. Go does not mind, webpki does always. webpki has looked at the time
/// and at extensions that it does not know by then, but not yet at the usage, the signature and the names.
pub(super) fn is_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(error)) => {
            matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// A certificate was refused for its version.
pub(super) fn old_version(error: &Error) -> Option<OldVersion> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(error)) => error.0.downcast_ref().copied(),
        _ => None,
    }
}
