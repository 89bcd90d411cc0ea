//! Certificates for a test, made by the test: an authority, what it signs, and what signs itself, as PEM files in a directory
//! that goes when they are dropped.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

pub use rcgen;

/// An authority and a directory for what it signs.
pub struct Certificates {
    directory: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

/// Certificates of X.509 version 1, which are recorded. `tests/fixtures/certificates/README.md` says what is in them.
#[derive(Clone, Debug)]
pub struct Version1 {
    /// The certificate of the authority that signed the first two.
    pub root: PathBuf,
    /// Signed by the authority; its common name is `old but known`.
    pub signed: Pair,
    /// The same with RSA; its common name is `old and RSA`.
    pub rsa: Pair,
    /// Signed by itself; its common name is `old and alone`.
    pub alone: Pair,
}

/// Those of the fixtures.
pub fn version_1() -> Version1 {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/certificates");
    let pair =
        |name: &str| Pair { cert: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}.key")) };
    Version1 {
        root: directory.join("root.pem"),
        signed: pair("version-1"),
        rsa: pair("version-1-rsa"),
        alone: pair("version-1-self"),
    }
}

/// The files of a certificate and of its key.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificates {
    /// An authority of this name; its certificate is in [`root`](Self::root).
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let files = Self { directory: TempDir::new()?, authority };
        files.write("root.pem", &files.authority.pem())?;
        Ok(files)
    }

    /// The authority's own certificate.
    pub fn root(&self) -> PathBuf {
        self.path("root.pem")
    }

    /// A file among the others, whether it is there or not.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file among the others.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// A certificate for `host`, a name or an IP address, signed by the authority: `NAME.pem` and `NAME.key`.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn issue(&self, name: &str, host: &str) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let cert = CertificateParams::new([host.to_owned()])?.signed_by(&key, &self.authority)?;
        self.write_pair(name, &cert.pem(), &key)
    }

    /// One for `localhost` that signed itself, and calls itself an authority.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn sign_itself(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        self.write_pair(name, &params.self_signed(&key)?.pem(), &key)
    }

    /// A certificate of this name for `localhost` that the authority signed, changed before.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        change(&mut params);
        self.write_pair(name, &params.signed_by(&key, &self.authority)?.pem(), &key)
    }

    fn write_pair(&self, name: &str, cert: &str, key: &KeyPair) -> Result<Pair> {
        let cert = self.write(&format!("{name}.pem"), cert)?;
        Ok(Pair { cert, key: self.write(&format!("{name}.key"), &key.serialize_pem())? })
    }
}
