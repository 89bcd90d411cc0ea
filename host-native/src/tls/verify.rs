//! Who may be the server: whom the system trusts, whom a file names, or anybody.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{TlsError, pem, provider};

/// Whom a client trusts.
#[derive(Debug)]
pub(super) enum Trust {
    /// Whom the system trusts.
    System,
    /// The authorities of a file, and the servers whose very certificates are in it.
    Named { verifier: Arc<WebPkiServerVerifier>, certificates: Vec<CertificateDer<'static>> },
    /// Whoever is there, as it was told to.
    Anybody,
}

impl Trust {
    /// The authorities in the file at `path`.
    pub(super) fn named(path: &Path) -> Result<Self, TlsError> {
        let certificates = pem::certificates(path)?;
        let roots = roots(path, &certificates)?;
        match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build() {
            Ok(verifier) => Ok(Self::Named { verifier, certificates }),
            Err(error) => Err(pem::unusable(path, "certificate", &error)),
        }
    }
}

/// These certificates, which are those of the file at `path`, as authorities.
pub(super) fn roots(path: &Path, certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).map_err(|error| pem::unusable(path, "certificate", &error))?;
    }
    Ok(roots)
}

/// The authorities of the system, read when the first server is met: most programs that could use TLS never do.
fn system() -> Result<&'static WebPkiServerVerifier, Error> {
    static VERIFIER: OnceLock<Result<Arc<WebPkiServerVerifier>, String>> = OnceLock::new();
    let load = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Some of those that systems carry are older than today's rules.
        if let (0, _) = roots.add_parsable_certificates(found.certs) {
            let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(format!(
                "the system has no certificates of authorities; name a file of them {}",
                reasons.join(", ")
            ));
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        verifier.map_err(|error| error.to_string())
    };
    match VERIFIER.get_or_init(load) {
        Ok(verifier) => Ok(verifier),
        Err(reason) => Err(Error::General(reason.clone())),
    }
}

/// Looks at servers' certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(trust: Trust) -> Self {
        Self { trust, algorithms: provider().signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Anybody => Ok(ServerCertVerified::assertion()),
            Trust::System => system()?.verify_server_cert(end_entity, intermediates, name, ocsp_response, now),
            Trust::Named { verifier, certificates } => {
                let verified = verifier.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
                if !verified.as_ref().is_err_and(is_authority) || !certificates.iter().any(|it| it == end_entity) {
                    return verified;
                }
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
        }
    }

    /// With anybody trusted, signatures are not looked at either: whoever stands between signs with a key of their own, and
    /// old certificates, which webpki does not read, are what that is used for.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.trust {
            Trust::Anybody => Ok(HandshakeSignatureValid::assertion()),
            Trust::System | Trust::Named { .. } => verify_tls12_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.trust {
            Trust::Anybody => Ok(HandshakeSignatureValid::assertion()),
            Trust::System | Trust::Named { .. } => verify_tls13_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The one thing wrong with a certificate is that it calls itself an authority. What `openssl req -x509` makes does, and is
/// used as a server's certificate all the same. Go takes it when it is itself among those to trust, webpki never. webpki has
/// looked at its time by then, and at nothing that would say more of a certificate that is trusted by itself.
pub(super) fn is_authority(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::Other(error)) => {
            matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}
