//! Who may be the server: whom the system trusts, whom a file names, or anybody.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::checks::{self, Authorities, Role};
use super::{TlsError, pem, provider};

/// Whom a client trusts.
#[derive(Debug)]
pub(super) enum Trust {
    /// Whom the system trusts.
    System,
    /// The authorities of a file, and the servers whose very certificates are in it.
    Named { verifier: Arc<WebPkiServerVerifier>, authorities: Authorities },
    /// Whoever is there, as it was told to.
    Anybody,
}

impl Trust {
    /// The authorities in the file at `path`.
    pub(super) fn named(path: &Path) -> Result<Self, TlsError> {
        let authorities = pem::authorities(path)?;
        match WebPkiServerVerifier::builder_with_provider(authorities.roots.clone(), provider()).build() {
            Ok(verifier) => Ok(Self::Named { verifier, authorities }),
            Err(error) => Err(pem::unusable(path, "certificate", &error)),
        }
    }
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
        let verify =
            |by: &WebPkiServerVerifier| by.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        match &self.trust {
            Trust::Anybody => Ok(ServerCertVerified::assertion()),
            Trust::System => verify(system()?).map_err(|refusal| checks::explained(end_entity, Role::Server, refusal)),
            Trust::Named { verifier, authorities } => verify(verifier).or_else(|refusal| {
                authorities.look_again(end_entity, Role::Server, now, refusal)?;
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }),
        }
    }

    /// With anybody trusted, signatures are not looked at either: whoever stands between signs with a key of their own, and
    /// keys that are too weak to be read are what that is used for.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.trust {
            Trust::Anybody => Ok(HandshakeSignatureValid::assertion()),
            Trust::System | Trust::Named { .. } => checks::verify_tls12_signature(message, cert, dss, &self.algorithms),
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
            Trust::System | Trust::Named { .. } => checks::verify_tls13_signature(message, cert, dss, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
