//! TLS of a server: how it shows who it is, and what it wants to know of clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};

use super::checks::{self, Authorities, Role};
use super::{MinVersion, TlsError, pem, provider};

/// How a server does TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// Its certificate, PEM, with those in between it and its authority.
    pub cert: PathBuf,
    /// The key of that certificate, PEM.
    pub key: PathBuf,
    /// Certificates of the authorities that sign those of clients, PEM.
    pub root_ca_file: Option<PathBuf>,
    /// What clients have to show.
    pub clients: ClientCertificates,
    /// The oldest version of TLS.
    pub min_version: MinVersion,
}

/// What clients have to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing.
    Ignored,
    /// A certificate, whoever signed it.
    Any,
    /// A certificate that one of the authorities signed.
    Signed,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// If a file is missing, or not what it should be, or nobody is named who signs the certificates of clients.
    pub fn config(&self) -> Result<ServerConfig, TlsError> {
        // A file that cannot be read is a mistake even where it makes no difference.
        let signed = self.root_ca_file.as_deref().map(signed_by).transpose()?;
        let verifier = match self.clients {
            ClientCertificates::Ignored => WebPkiClientVerifier::no_client_auth(),
            ClientCertificates::Any => Arc::new(Client { signed: None, algorithms: algorithms() }),
            ClientCertificates::Signed => signed.ok_or(TlsError::NoAuthority)?,
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.min_version.versions())
            .expect("ring speaks 1.2 and 1.3")
            .with_client_cert_verifier(verifier);
        let pair = checks::pair(pem::certificates(&self.cert)?, pem::key(&self.key)?);
        let pair = pair.map_err(|error| pem::not_a_pair(&self.cert, &self.key, &error))?;
        Ok(builder.with_cert_resolver(pair))
    }
}

/// Takes whom the authorities in the file at `path` have signed, and themselves.
fn signed_by(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let authorities = pem::authorities(path)?;
    match WebPkiClientVerifier::builder_with_provider(authorities.roots.clone(), provider()).build() {
        Ok(webpki) => Ok(Arc::new(Client { signed: Some((webpki, authorities)), algorithms: algorithms() })),
        Err(error) => Err(pem::unusable(path, "certificate", &error)),
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// Takes clients that have the key of their certificate.
#[derive(Debug)]
struct Client {
    /// Who has to have signed it, if that matters.
    signed: Option<(Arc<dyn ClientCertVerifier>, Authorities)>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Client {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.as_ref().map_or(&[], |(webpki, _)| webpki.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let Some((webpki, authorities)) = &self.signed else { return Ok(ClientCertVerified::assertion()) };
        webpki.verify_client_cert(end_entity, intermediates, now).or_else(|refusal| {
            authorities.look_again(end_entity, Role::Client, now, refusal)?;
            Ok(ClientCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        checks::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        checks::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
