//! TLS 1.2 and 1.3, on rustls: of clients, for nsqd and HTTPS servers, and of nsqd. Certificates and keys come from PEM files;
//! what is wrong with them is said with the file's name, before anything is connected to.
//!
//! Does not know sockets: [`ClientTls::config`] and [`ServerTls::config`] make what `tokio-rustls` and `hyper-rustls` want.
//!
//! The cryptography is ring's: it builds with a C compiler and nothing else.

mod checks;
mod client;
mod pem;
mod server;
mod verify;
mod x509;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, SupportedProtocolVersion};
use thiserror::Error;

pub(crate) use checks::{Role, common_name};
pub use client::ClientTls;
pub use server::{ClientCertificates, ServerTls};

/// Why there is no TLS.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("{}: {reason}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why, as the system says it.
        reason: String,
    },
    /// A file without what it was named for.
    #[error("{}: there is no {what} in it, in PEM form", .path.display())]
    Nothing {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// What is in a file cannot be used.
    #[error("{}: not a usable {what}: {reason}", .path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What it was named for.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate is of no use without its key, and the other way round.
    #[error("a {0} was given without its {1}")]
    Half(&'static str, &'static str),
    /// Clients have to show certificates, and nobody is named who signs them.
    #[error("certificates of clients are to be verified, and no file has the authority that signs them")]
    NoAuthority,
    /// Two files that do not go together.
    #[error("{} is not the key of the certificate in {}", .key.display(), .cert.display())]
    NotAPair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// 1.2 or 1.3. What is older is not spoken at all.
    #[default]
    Tls12,
    /// 1.3 only.
    Tls13,
}

impl MinVersion {
    /// By the names of NSQ's options. Those of versions that are older than any spoken are satisfied by 1.2.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ssl3.0" | "tls1.0" | "tls1.1" | "tls1.2" => Some(Self::Tls12),
            "tls1.3" => Some(Self::Tls13),
            _ => None,
        }
    }

    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static TLS13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];
        match self {
            Self::Tls12 => rustls::ALL_VERSIONS,
            Self::Tls13 => &TLS13,
        }
    }
}

/// What went wrong with a connection, in words. Those of rustls are for people who know it. `shown`: who shows the certificate
/// that is looked at, the other side.
pub(crate) fn explain(error: &io::Error, shown: Role) -> String {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<io::Error>()) {
        return explain(error, shown);
    }
    let Some(error) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) else { return error.to_string() };
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            format!("the {shown}'s certificate is signed by nobody that is trusted")
        }
        error if checks::is_authority(error) => {
            format!("the {shown}'s certificate is an authority's, and neither it nor who signed it is trusted")
        }
        rustls::Error::InvalidCertificate(reason) => match checks::old_version(error) {
            Some(old) => format!("the {shown}'s certificate {old}"),
            None => format!("the {shown}'s certificate is refused: {reason}"),
        },
        rustls::Error::NoCertificatesPresented => format!("the {shown} shows no certificate"),
        error => error.to_string(),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

#[cfg(test)]
mod tests;
