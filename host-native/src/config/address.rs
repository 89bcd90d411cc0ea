//! Where a daemon listens: a TCP host and port, or the path of a Unix socket.

use super::{BadValue, Kind, OptionValue};
use std::fmt;
use std::path::PathBuf;
use thiserror::Error;

/// An address to listen on. What does not read as `host:port` is a path, as in nsqd (`internal/util/unix_socket.go`).
///
/// The host stays a name: it is resolved when the socket is bound, and an empty one means every interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address; port 0 lets the system choose.
    Tcp {
        /// Name or number, without the brackets of an IPv6 address. May be empty.
        host: String,
        /// Port, 0 for any free one.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// Why a text is no listen address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadListenAddress {
    /// Nothing was given.
    #[error("address is empty")]
    Empty,
    /// `host:port` whose port is no number up to 65535.
    #[error("{0:?} is not a port number")]
    Port(String),
}

impl ListenAddress {
    /// Reads `host:port`, `:port`, `[v6]:port` or a path.
    pub fn parse(text: &str) -> Result<Self, BadListenAddress> {
        if text.is_empty() {
            return Err(BadListenAddress::Empty);
        }
        let Some((host, port)) = split_host_port(text) else {
            return Ok(Self::Unix(text.into()));
        };
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        match port.parse() {
            Ok(port) if digits => Ok(Self::Tcp { host: host.to_owned(), port }),
            _ => Err(BadListenAddress::Port(port.to_owned())),
        }
    }

    /// A TCP address.
    pub fn tcp(host: &str, port: u16) -> Self {
        Self::Tcp { host: host.to_owned(), port }
    }
}

/// Go's `net.SplitHostPort`, without its reasons for saying no.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').map(|host| (host, port)),
        None if host.contains([':', '[', ']']) => None,
        None => Some((host, port)),
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

fn kind(accepts: &'static str) -> Kind {
    Kind { placeholder: "ADDRESS", ..Kind::new(accepts) }
}

impl OptionValue for ListenAddress {
    fn kind(&self) -> Kind {
        kind("host:port, or the path of a Unix socket")
    }

    fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
        *self = Self::parse(text).map_err(BadValue::new)?;
        Ok(())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// An address that an empty text turns off.
impl OptionValue for Option<ListenAddress> {
    fn kind(&self) -> Kind {
        kind("host:port, the path of a Unix socket, or nothing to turn it off")
    }

    fn set_text(&mut self, text: &str) -> Result<(), BadValue> {
        *self = match text {
            "" => None,
            text => Some(ListenAddress::parse(text).map_err(BadValue::new)?),
        };
        Ok(())
    }

    fn show(&self) -> String {
        self.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_tcp_from_paths() {
        for (text, host, port) in [
            ("0.0.0.0:4150", "0.0.0.0", 4150),
            (":0", "", 0),
            ("[::1]:4150", "::1", 4150),
            ("db.example:1", "db.example", 1),
        ] {
            assert_eq!(ListenAddress::parse(text), Ok(ListenAddress::tcp(host, port)));
            assert_eq!(ListenAddress::tcp(host, port).to_string(), text);
        }
        for text in ["/run/nsqd.sock", "nsqd.sock", "::1", "[::1]"] {
            assert_eq!(ListenAddress::parse(text), Ok(ListenAddress::Unix(text.into())));
        }
    }

    #[test]
    fn refuses_bad_ports() {
        assert_eq!(ListenAddress::parse(""), Err(BadListenAddress::Empty));
        for port in ["", "65536", "-1", "+1", "http"] {
            assert_eq!(ListenAddress::parse(&format!("h:{port}")), Err(BadListenAddress::Port(port.into())));
        }
    }
}
