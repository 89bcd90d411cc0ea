//! The V1 protocol as bytes: the magic, responses, and the JSON of IDENTIFY in both directions. Command lines are those of
//! [`crate::wire`].

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::wire::{fold, set};

/// What an nsqd sends first.
pub const MAGIC: [u8; 4] = *b"  V1";

/// Longest body of IDENTIFY.
pub const IDENTIFY_BYTES_MAX: usize = 64 * 1024;

/// Appends a response, or an error: the protocol does not tell them apart.
pub(super) fn put_response(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(&(bytes as u32).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// What is known of an nsqd: what it told in IDENTIFY, and the address it came from. As JSON it is a producer of `/lookup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerInfo {
    /// Where its connection came from, `ip:port`.
    pub remote_address: String,
    /// Its host's name.
    pub hostname: String,
    /// The name or address to connect to.
    pub broadcast_address: String,
    /// The port for clients.
    pub tcp_port: i64,
    /// The port for HTTP.
    pub http_port: i64,
    /// Its version.
    pub version: String,
    /// Where it is, narrowly.
    pub topology_zone: String,
    /// Where it is, widely.
    pub topology_region: String,
}

impl PeerInfo {
    /// The body of IDENTIFY; `None` if it is not a JSON object, or null, with values of the right types. Keys match as in
    /// [`Identify`](crate::wire::Identify).
    pub fn decode(body: &[u8]) -> Option<Self> {
        serde_json::from_str(&String::from_utf8_lossy(body)).ok()
    }

    /// The body of IDENTIFY, keys in alphabetical order.
    pub fn encode(&self) -> Vec<u8> {
        let Self { hostname, broadcast_address, tcp_port, http_port, version, .. } = self;
        let (zone, region) = (&self.topology_zone, &self.topology_region);
        let json = serde_json::json!({
            "broadcast_address": broadcast_address, "hostname": hostname, "http_port": http_port, "tcp_port": tcp_port,
            "topology_region": region, "topology_zone": zone, "version": version,
        });
        json.to_string().into_bytes()
    }

    /// Whether all is there that a consumer needs.
    pub(super) fn is_complete(&self) -> bool {
        !self.broadcast_address.is_empty() && !self.version.is_empty() && self.tcp_port != 0 && self.http_port != 0
    }

    /// How `/topic/tombstone` and nsqadmin name it: `broadcast_address:http_port`.
    pub fn node(&self) -> String {
        format!("{}:{}", self.broadcast_address, self.http_port)
    }
}

impl<'de> Deserialize<'de> for PeerInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeerInfoVisitor)
    }
}

struct PeerInfoVisitor;

impl<'de> Visitor<'de> for PeerInfoVisitor {
    type Value = PeerInfo;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<PeerInfo, E> {
        Ok(PeerInfo::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PeerInfo, A::Error> {
        let mut info = PeerInfo::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match fold(&key).as_str() {
                "remote_address" => set(&mut info.remote_address, &mut map)?,
                "hostname" => set(&mut info.hostname, &mut map)?,
                "broadcast_address" => set(&mut info.broadcast_address, &mut map)?,
                "tcp_port" => set(&mut info.tcp_port, &mut map)?,
                "http_port" => set(&mut info.http_port, &mut map)?,
                "version" => set(&mut info.version, &mut map)?,
                "topology_zone" => set(&mut info.topology_zone, &mut map)?,
                "topology_region" => set(&mut info.topology_region, &mut map)?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(info)
    }
}

/// What an nsqlookupd tells of itself in answer to IDENTIFY, keys in the reference's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// The name or address it is known by.
    pub broadcast_address: String,
    /// Its host's name.
    pub hostname: String,
    /// The port it answers HTTP on.
    pub http_port: u16,
    /// The port it takes registrations on.
    pub tcp_port: u16,
    /// Its version.
    pub version: String,
}

impl Server {
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always encode")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn identify_goes_there_and_comes_back() {
        let info = PeerInfo {
            hostname: "h".into(),
            broadcast_address: "b".into(),
            tcp_port: 4150,
            http_port: 4151,
            version: "1.3.0".into(),
            topology_zone: "z".into(),
            topology_region: "r".into(),
            ..PeerInfo::default()
        };
        let json = r#"{"broadcast_address":"b","hostname":"h","http_port":4151,"tcp_port":4150,"topology_region":"r","topology_zone":"z","version":"1.3.0"}"#;
        assert_eq!(String::from_utf8(info.encode()).unwrap(), json);
        assert_eq!(PeerInfo::decode(json.as_bytes()), Some(info));
    }

    #[test]
    fn keys_match_in_any_case_and_types_are_strict() {
        let info = PeerInfo::decode(br#"{"Broadcast_Address":"a","TCP_PORT":1,"new":[{}],"version":null}"#).unwrap();
        assert_eq!((info.broadcast_address.as_str(), info.tcp_port, info.version.as_str()), ("a", 1, ""));
        for bad in ["", "[]", "1", r#"{"tcp_port":"1"}"#, r#"{"tcp_port":1.5}"#, r#"{"version":1}"#, "{"] {
            assert_eq!(PeerInfo::decode(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(PeerInfo::decode(b"null"), Some(PeerInfo::default()));
    }
}
