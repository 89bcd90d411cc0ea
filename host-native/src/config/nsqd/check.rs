//! What must hold between nsqd's options, and what may change while it runs.

use super::{NsqdOptions, TlsClientAuthPolicy, TlsRequired, TlsVersion};
use crate::config::Choice;
use crate::log::LogLevel;
use crate::tls::{ClientCertificates, ClientTls, MinVersion, ServerTls};
use std::path::Path;
use std::time::Duration;
use thiserror::Error;

/// Options that nsqd cannot start with. The texts are nsqd's where it has one (`nsqd/nsqd.go`, `New`).
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InvalidOptions {
    /// Beyond 1 to 9.
    #[error("--max-deflate-level must be [1,9]")]
    MaxDeflateLevel,
    /// Beyond 0 to 1023.
    #[error("--node-id must be [0,1024)")]
    NodeId,
    /// TLS wanted, but nothing to do it with.
    #[error("cannot require TLS client connections without TLS key and cert")]
    TlsWithoutCertificate,
    /// A certificate without its key, or the other way round.
    #[error("failed to build TLS config - --{given} was given without --{missing}")]
    HalfCertificate {
        /// The flag that was given.
        given: &'static str,
        /// The one that was not.
        missing: &'static str,
    },
    /// Neither `get` nor `post`.
    #[error("--auth-http-request-method must be post or get")]
    AuthMethod,
    /// Not above 0 and up to 1.
    #[error("invalid E2E processing latency percentile: {0}")]
    Percentile(f64),
    /// A period of no length. nsqd dies of these when they are first used.
    #[error("--{0} must be longer than 0s")]
    ZeroDuration(&'static str),
    /// A protection was asked for where flags are not read any more.
    #[error("--{flag} stands after {first:?}, where flags end, and would be ignored")]
    IgnoredProtection {
        /// The flag.
        flag: &'static str,
        /// The word that ended the flags.
        first: String,
    },
}

/// The experiment that there is.
const TOPOLOGY_AWARE_CONSUMPTION: &str = "topology-aware-consumption";

/// Flags of which every use is meant to close a door.
const PROTECTIONS: [&str; 6] =
    ["tls-cert", "tls-key", "tls-required", "tls-client-auth-policy", "auth-http-address", "http-token-file"];

/// Why `PUT /config/:opt` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PutError {
    /// No option of that name can be changed.
    #[error("INVALID_OPTION")]
    Option,
    /// The option cannot have that value.
    #[error("INVALID_VALUE")]
    Value,
}

impl NsqdOptions {
    /// The options, if nsqd can start with them. `--tls-client-auth-policy` has then become `--tls-required`.
    pub fn checked(mut self) -> Result<Self, InvalidOptions> {
        if !(1..=9).contains(&self.max_deflate_level) {
            return Err(InvalidOptions::MaxDeflateLevel);
        }
        if !(0..1024).contains(&self.id) {
            return Err(InvalidOptions::NodeId);
        }
        self.check_tls()?;
        if !matches!(self.auth_http_request_method.as_str(), "get" | "post") {
            return Err(InvalidOptions::AuthMethod);
        }
        if let Some(bad) = self.e2e_processing_latency_percentiles.0.iter().find(|p| !(**p > 0.0 && **p <= 1.0)) {
            return Err(InvalidOptions::Percentile(*bad));
        }
        if self.sync_timeout == Duration::ZERO {
            return Err(InvalidOptions::ZeroDuration("sync-timeout"));
        }
        if self.statsd_interval == Duration::ZERO && !self.statsd_address.is_empty() {
            return Err(InvalidOptions::ZeroDuration("statsd-interval"));
        }
        Ok(self)
    }

    fn check_tls(&mut self) -> Result<(), InvalidOptions> {
        if self.tls_client_auth_policy != TlsClientAuthPolicy::None && self.tls_required == TlsRequired::No {
            self.tls_required = TlsRequired::Yes;
        }
        let half = |given, missing| Err(InvalidOptions::HalfCertificate { given, missing });
        match (self.tls_cert.as_os_str().is_empty(), self.tls_key.as_os_str().is_empty()) {
            (false, true) => half("tls-cert", "tls-key"),
            (true, false) => half("tls-key", "tls-cert"),
            (true, true) if self.tls_required != TlsRequired::No => Err(InvalidOptions::TlsWithoutCertificate),
            (true, true) | (false, false) => Ok(()),
        }
    }

    /// How TLS is done, if it is.
    pub fn tls(&self) -> Option<ServerTls> {
        let given = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_owned());
        Some(ServerTls {
            cert: given(&self.tls_cert)?,
            key: given(&self.tls_key)?,
            root_ca_file: given(&self.tls_root_ca_file),
            clients: match self.tls_client_auth_policy {
                TlsClientAuthPolicy::None => ClientCertificates::Ignored,
                TlsClientAuthPolicy::Require => ClientCertificates::Any,
                TlsClientAuthPolicy::RequireVerify => ClientCertificates::Signed,
            },
            min_version: self.min_tls_version(),
        })
    }

    /// How TLS is done with auth servers.
    pub fn client_tls(&self) -> ClientTls {
        let none = Path::new("");
        let tls = ClientTls::of_flags(&self.tls_root_ca_file, none, none, false);
        ClientTls { min_version: self.min_tls_version(), ..tls }
    }

    /// The oldest version of TLS that is spoken, with clients and with auth servers.
    pub fn min_tls_version(&self) -> MinVersion {
        match self.tls_min_version {
            TlsVersion::Tls10 | TlsVersion::Tls11 | TlsVersion::Tls12 => MinVersion::Tls12,
            TlsVersion::Tls13 => MinVersion::Tls13,
        }
    }

    /// Experiments that were enabled and that do not exist; nsqd says nothing about them.
    pub fn unknown_experiments(&self) -> impl Iterator<Item = &str> {
        self.enable_experiment.iter().map(String::as_str).filter(|name| *name != TOPOLOGY_AWARE_CONSUMPTION)
    }

    /// Whether consumers near by are preferred.
    pub fn is_topology_aware(&self) -> bool {
        self.enable_experiment.iter().any(|name| name == TOPOLOGY_AWARE_CONSUMPTION)
    }

    /// Fills in what is only known once the sockets are bound: ports to broadcast, and the host in the statsd prefix.
    ///
    /// A port is `None` for a Unix socket or a listener that is off; the broadcast port then stays 0.
    pub fn complete(&mut self, tcp_port: Option<u16>, http_port: Option<u16>) {
        if self.broadcast_tcp_port == 0 {
            self.broadcast_tcp_port = tcp_port.unwrap_or(0);
        }
        if self.broadcast_http_port == 0 {
            self.broadcast_http_port = http_port.unwrap_or(0);
        }
        if !self.statsd_prefix.is_empty() {
            let host = &self.broadcast_address;
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            let host = format!("{host}:{}", self.broadcast_http_port).replace(['.', ':'], "_");
            self.statsd_prefix = self.statsd_prefix.replace("%s", &host);
            if !self.statsd_prefix.ends_with('.') {
                self.statsd_prefix.push('.');
            }
        }
    }

    /// Applies the body of `PUT /config/:opt` (the caller has checked its size). The caller then acts on the new
    /// value: `log_level` goes to [`crate::log::LogHandle::set_level`].
    pub fn put(&mut self, key: &str, body: &[u8]) -> Result<(), PutError> {
        match key {
            "log_level" => {
                let text = std::str::from_utf8(body).map_err(|_| PutError::Value)?;
                self.log_level = LogLevel::parse(text).ok_or(PutError::Value)?;
            }
            "nsqlookupd_tcp_addresses" => {
                let addresses: Option<Vec<String>> = serde_json::from_slice(body).map_err(|_| PutError::Value)?;
                self.lookupd_tcp_addresses = addresses.unwrap_or_default();
            }
            _ => return Err(PutError::Option),
        }
        Ok(())
    }
}

/// Refuses words after the flags that were meant as protection: nsqd would run open.
pub(super) fn check_ignored(ignored: &[String]) -> Result<(), InvalidOptions> {
    for word in ignored {
        let Some(name) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            continue;
        };
        let name = name.split('=').next().unwrap_or_default();
        if let Some(flag) = PROTECTIONS.into_iter().find(|protection| *protection == name) {
            let first = ignored.first().cloned().unwrap_or_default();
            return Err(InvalidOptions::IgnoredProtection { flag, first });
        }
    }
    Ok(())
}
