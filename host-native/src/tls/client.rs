//! TLS of a client: whom it trusts, and how it shows who it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, SupportedProtocolVersion};

use super::verify::{Trust, Verifier};
use super::{MinVersion, TlsError, checks, pem, provider};

/// How a client does TLS. By default it trusts the authorities that the system trusts, and shows no certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Certificates of the authorities to trust, PEM, instead of the system's. A server's own certificate may be among them.
    pub root_ca_file: Option<PathBuf>,
    /// The client's certificate, PEM, with those in between it and its authority.
    pub cert: Option<PathBuf>,
    /// The key of that certificate, PEM.
    pub key: Option<PathBuf>,
    /// Takes any certificate for any server's: what is sent can be read by whoever stands between.
    pub insecure_skip_verify: bool,
    /// The oldest version of TLS.
    pub min_version: MinVersion,
}

impl ClientTls {
    /// What flags give; a path that is empty was not given.
    pub fn of_flags(root_ca_file: &Path, cert: &Path, key: &Path, insecure_skip_verify: bool) -> Self {
        let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_owned());
        let (root_ca_file, cert, key) = (given(root_ca_file), given(cert), given(key));
        Self { root_ca_file, cert, key, insecure_skip_verify, min_version: MinVersion::default() }
    }

    /// Reads the files. The system's authorities are not looked at before the first connection.
    ///
    /// # Errors
    /// If a file is missing, or not what it should be, or a certificate comes without its key or a key without its
    /// certificate.
    pub fn config(&self) -> Result<ClientConfig, TlsError> {
        self.config_with(self.min_version.versions())
    }

    /// As [`config`](Self::config), with these versions of TLS.
    pub(super) fn config_with(&self, versions: &[&'static SupportedProtocolVersion]) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("ring speaks 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(self.verifier()?);
        let Some((cert_path, key_path)) = self.pair()? else {
            return Ok(builder.with_no_client_auth());
        };
        let pair = checks::pair(pem::certificates(cert_path)?, pem::key(key_path)?);
        let pair = pair.map_err(|error| pem::not_a_pair(cert_path, key_path, &error))?;
        Ok(builder.with_client_cert_resolver(pair))
    }

    /// The files of the client's certificate and of its key, if it has them.
    ///
    /// # Errors
    /// If there is one without the other.
    fn pair(&self) -> Result<Option<(&PathBuf, &PathBuf)>, TlsError> {
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
            (Some(_), None) => Err(TlsError::Half("certificate", "key")),
            (None, Some(_)) => Err(TlsError::Half("key", "certificate")),
            (None, None) => Ok(None),
        }
    }

    /// A file that cannot be read is a mistake even where it makes no difference.
    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        let named = self.root_ca_file.as_deref().map(Trust::named).transpose()?;
        let trust = if self.insecure_skip_verify { Trust::Anybody } else { named.unwrap_or(Trust::System) };
        Ok(Arc::new(Verifier::new(trust)))
    }
}
