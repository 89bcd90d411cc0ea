//! Certificates and keys out of PEM files.

use std::path::Path;

use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;
use super::checks::Authorities;

/// All certificates in a file, at least one, in their order.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WHAT: &str = "certificate";
    let text = read(path)?;
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::Nothing { path: path.to_owned(), what: WHAT }),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(path, WHAT, &error)),
    }
}

/// The certificates in a file, as those to trust.
pub(super) fn authorities(path: &Path) -> Result<Authorities, TlsError> {
    Authorities::new(certificates(path)?).map_err(|error| unusable(path, "certificate", &error))
}

/// The first private key in a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    match PrivateKeyDer::from_pem_slice(&read(path)?) {
        Ok(key) => Ok(key),
        Err(PemError::NoItemsFound) => {
            Err(TlsError::Nothing { path: path.to_owned(), what: "private key (without a passphrase)" })
        }
        Err(error) => Err(unusable(path, "private key", &error)),
    }
}

/// What is wrong with what a file was named for.
pub(super) fn unusable(path: &Path, what: &'static str, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Unusable { path: path.to_owned(), what, reason: error.to_string() }
}

/// Why a certificate and a key cannot be used, though each is one.
pub(super) fn not_a_pair(cert: &Path, key: &Path, error: &rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => TlsError::NotAPair { cert: cert.to_owned(), key: key.to_owned() },
        rustls::Error::InvalidCertificate(_) => unusable(cert, "certificate", &"it is not one of X.509"),
        error => unusable(key, "private key", error),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), reason: error.to_string() })
}
