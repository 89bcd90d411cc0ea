//! The enumerations among nsqd's options.

use crate::config::Choice;
use crate::config::number::parse_bool;
use crate::log::{LogFormat, LogLevel};

impl Choice for LogLevel {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("warn", Self::Warn),
        ("error", Self::Error),
        ("fatal", Self::Fatal),
    ];

    fn encode(self) -> String {
        (self as u8).to_string()
    }
}

impl Choice for LogFormat {
    const NAMES: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

/// Which clients must use TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsRequired {
    /// None.
    #[default]
    No,
    /// Those of the NSQ protocol; plain HTTP stays open.
    TcpHttps,
    /// All; plain HTTP is refused.
    Yes,
}

impl Choice for TlsRequired {
    const NAMES: &'static [(&'static str, Self)] =
        &[("true", Self::Yes), ("false", Self::No), ("tcp-https", Self::TcpHttps)];
    const SWITCH: bool = true;

    /// Also takes what a boolean flag takes: `1`, `t`, `F`.
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "tcp-https" => Some(Self::TcpHttps),
            text => parse_bool(text).map(|required| if required { Self::Yes } else { Self::No }),
        }
    }

    fn encode(self) -> String {
        match self {
            Self::No => "0",
            Self::TcpHttps => "1",
            Self::Yes => "2",
        }
        .to_owned()
    }
}

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.0.
    Tls10,
    /// 1.1.
    Tls11,
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

impl Choice for TlsVersion {
    const NAMES: &'static [(&'static str, Self)] =
        &[("tls1.0", Self::Tls10), ("tls1.1", Self::Tls11), ("tls1.2", Self::Tls12), ("tls1.3", Self::Tls13)];
    const EMPTY: Option<Self> = Some(Self::Tls10);

    /// The number on the wire, 0x0301 for 1.0.
    fn encode(self) -> String {
        match self {
            Self::Tls10 => "769",
            Self::Tls11 => "770",
            Self::Tls12 => "771",
            Self::Tls13 => "772",
        }
        .to_owned()
    }
}

/// What is asked of a client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsClientAuthPolicy {
    /// None is asked for.
    #[default]
    None,
    /// There must be one.
    Require,
    /// There must be one, signed by the authority of `--tls-root-ca-file`.
    RequireVerify,
}

impl Choice for TlsClientAuthPolicy {
    const NAMES: &'static [(&'static str, Self)] =
        &[("require", Self::Require), ("require-verify", Self::RequireVerify)];
    const EMPTY: Option<Self> = Some(Self::None);
}

/// When a publish is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublishAck {
    /// When the message is in its topic's queue, like nsqd.
    #[default]
    Accepted,
    /// When the message is written to the topic's file.
    Written,
    /// When the file is synced to the disk.
    Synced,
}

impl Choice for PublishAck {
    const NAMES: &'static [(&'static str, Self)] =
        &[("accepted", Self::Accepted), ("written", Self::Written), ("synced", Self::Synced)];
}
