//! TLS of a server: how it shows who it is, and what it wants to know of clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme};

use super::{MinVersion, TlsError, pem, provider, verify};

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
            ClientCertificates::Any => Arc::new(AnyClient(provider().signature_verification_algorithms)),
            ClientCertificates::Signed => signed.ok_or(TlsError::NoAuthority)?,
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.min_version.versions())
            .expect("ring speaks 1.2 and 1.3")
            .with_client_cert_verifier(verifier);
        let (certs, key) = (pem::certificates(&self.cert)?, pem::key(&self.key)?);
        builder.with_single_cert(certs, key).map_err(|error| pem::not_a_pair(&self.cert, &self.key, &error))
    }
}

fn signed_by(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = verify::roots(path, &pem::certificates(path)?)?;
    match WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(pem::unusable(path, "certificate", &error)),
    }
}

/// Takes any certificate, if the client has its key.
#[derive(Debug)]
struct AnyClient(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
