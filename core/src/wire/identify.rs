//! The JSON of IDENTIFY and AUTH, read and written as Go's `encoding/json` does: keys match in any case, the last of two
//! equal keys counts, `null` leaves the default, unknown keys are ignored, integers must be written as integers and
//! fit. What the values may be is [`session`](crate::session)'s to judge.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// What a client says of itself and asks for. Absent is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are the JSON keys.
pub struct Identify {
    pub client_id: String,
    pub hostname: String,
    pub user_agent: String,
    pub feature_negotiation: bool,
    /// Milliseconds.
    pub heartbeat_interval: i64,
    /// Milliseconds.
    pub output_buffer_timeout: i64,
    /// Bytes.
    pub output_buffer_size: i64,
    pub sample_rate: i32,
    /// Milliseconds.
    pub msg_timeout: i64,
    pub tls_v1: bool,
    pub snappy: bool,
    pub deflate: bool,
    pub deflate_level: i64,
    pub topology_region: String,
    pub topology_zone: String,
}

impl Identify {
    /// The body of an IDENTIFY command; `None` if it is not a JSON object, or null, with values of the right types.
    pub fn decode(body: &[u8]) -> Option<Self> {
        // Go takes bytes that are not UTF-8, in strings, for U+FFFD.
        serde_json::from_str(&String::from_utf8_lossy(body)).ok()
    }
}

impl<'de> Deserialize<'de> for Identify {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdentifyVisitor)
    }
}

struct IdentifyVisitor;

impl<'de> Visitor<'de> for IdentifyVisitor {
    type Value = Identify;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<Identify, E> {
        Ok(Identify::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Identify, A::Error> {
        let mut identify = Identify::default();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match fold(&key).as_str() {
                "client_id" => set(&mut identify.client_id, &mut map)?,
                "hostname" => set(&mut identify.hostname, &mut map)?,
                "user_agent" => set(&mut identify.user_agent, &mut map)?,
                "feature_negotiation" => set(&mut identify.feature_negotiation, &mut map)?,
                "heartbeat_interval" => set(&mut identify.heartbeat_interval, &mut map)?,
                "output_buffer_timeout" => set(&mut identify.output_buffer_timeout, &mut map)?,
                "output_buffer_size" => set(&mut identify.output_buffer_size, &mut map)?,
                "sample_rate" => set(&mut identify.sample_rate, &mut map)?,
                "msg_timeout" => set(&mut identify.msg_timeout, &mut map)?,
                "tls_v1" => set(&mut identify.tls_v1, &mut map)?,
                "snappy" => set(&mut identify.snappy, &mut map)?,
                "deflate" => set(&mut identify.deflate, &mut map)?,
                "deflate_level" => set(&mut identify.deflate_level, &mut map)?,
                "topology_region" => set(&mut identify.topology_region, &mut map)?,
                "topology_zone" => set(&mut identify.topology_zone, &mut map)?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(identify)
    }
}

/// Takes the next value of `map` for `field`; `null` leaves it as it is.
pub(crate) fn set<'de, T: Deserialize<'de>, A: MapAccess<'de>>(field: &mut T, map: &mut A) -> Result<(), A::Error> {
    if let Some(value) = map.next_value::<Option<T>>()? {
        *field = value;
    }
    Ok(())
}

/// `key` in lower case by Unicode's simple folding, in which two letters outside ASCII are equal to letters inside.
pub(crate) fn fold(key: &str) -> String {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).collect()
}

/// The response to IDENTIFY with feature negotiation.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The fields are the JSON keys.
pub struct IdentifyReply<'a> {
    pub max_rdy_count: u32,
    pub version: &'a str,
    /// Milliseconds.
    pub max_msg_timeout: u128,
    /// Milliseconds.
    pub msg_timeout: u128,
    pub tls_v1: bool,
    pub deflate: bool,
    pub deflate_level: i64,
    pub max_deflate_level: i64,
    pub snappy: bool,
    pub sample_rate: u8,
    pub auth_required: bool,
    /// Bytes.
    pub output_buffer_size: i64,
    /// Milliseconds.
    pub output_buffer_timeout: u128,
    /// The broker's, not the client's.
    pub topology_region: &'a str,
    /// The broker's, not the client's.
    pub topology_zone: &'a str,
}

impl fmt::Display for IdentifyReply<'_> {
    /// Compact JSON, keys in the reference's order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"max_rdy_count":{},"version":{},"#, self.max_rdy_count, Quoted(self.version))?;
        write!(f, r#""max_msg_timeout":{},"msg_timeout":{},"#, self.max_msg_timeout, self.msg_timeout)?;
        write!(f, r#""tls_v1":{},"deflate":{},"#, self.tls_v1, self.deflate)?;
        write!(f, r#""deflate_level":{},"max_deflate_level":{},"#, self.deflate_level, self.max_deflate_level)?;
        write!(f, r#""snappy":{},"sample_rate":{},"#, self.snappy, self.sample_rate)?;
        write!(f, r#""auth_required":{},"output_buffer_size":{},"#, self.auth_required, self.output_buffer_size)?;
        write!(f, r#""output_buffer_timeout":{},"#, self.output_buffer_timeout)?;
        let (region, zone) = (Quoted(self.topology_region), Quoted(self.topology_zone));
        write!(f, r#""topology_region":{region},"topology_zone":{zone}}}"#)
    }
}

/// The response to AUTH.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // The fields are the JSON keys.
pub struct AuthReply<'a> {
    pub identity: &'a str,
    pub identity_url: &'a str,
    pub permission_count: usize,
}

impl fmt::Display for AuthReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (identity, url) = (Quoted(self.identity), Quoted(self.identity_url));
        write!(f, r#"{{"identity":{identity},"identity_url":{url},"permission_count":{}}}"#, self.permission_count)
    }
}

/// A JSON string as Go's encoder writes it by default: what could end a script element is escaped too.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => write!(f, "\\u{:04x}", c as u32)?,
                _ => fmt::Write::write_char(f, c)?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_body_is_an_object_or_null() {
        for good in ["{}", "null", " \t\r\n{} \n", r#"{"unknown":[{"a":1e999}],"short_id":"x"}"#] {
            assert_eq!(Identify::decode(good.as_bytes()), Some(Identify::default()), "{good}");
        }
        for bad in ["", " ", "[]", "1", "\"x\"", "true", "{}{}", "{} x", "{", "nul", r#"{"a":}"#, r#"{"a":1,}"#] {
            assert_eq!(Identify::decode(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn fields_are_found_in_any_case_and_the_last_one_counts() {
        let body = r#"{"CLIENT_ID":"a","client_id":"b","Snappy":true,"ho\u017ftname":"h","client_id":null}"#;
        let identify = Identify::decode(body.as_bytes()).unwrap();
        assert_eq!((identify.client_id.as_str(), identify.hostname.as_str(), identify.snappy), ("b", "h", true));
    }

    #[test]
    fn types_are_strict() {
        for bad in [
            r#"{"client_id":1}"#,
            r#"{"snappy":"true"}"#,
            r#"{"snappy":1}"#,
            r#"{"msg_timeout":"1000"}"#,
            r#"{"msg_timeout":1.5}"#,
            r#"{"msg_timeout":1000.0}"#,
            r#"{"heartbeat_interval":1e3}"#,
            r#"{"msg_timeout":9223372036854775808}"#,
            r#"{"sample_rate":2147483648}"#,
            r#"{"topology_zone":{}}"#,
        ] {
            assert_eq!(Identify::decode(bad.as_bytes()), None, "{bad}");
        }
        let wide = Identify::decode(br#"{"msg_timeout":-9223372036854775808,"sample_rate":2147483647}"#).unwrap();
        assert_eq!((wide.msg_timeout, wide.sample_rate), (i64::MIN, i32::MAX));
    }

    #[test]
    fn strings_need_not_be_utf8() {
        assert_eq!(Identify::decode(b"{\"client_id\":\"a\xff\"}").unwrap().client_id, "a\u{fffd}");
    }

    #[test]
    fn replies_are_go_s_json() {
        let reply = AuthReply { identity: "a\"\\<b>&\u{2028}\x01\n", identity_url: "é", permission_count: 2 };
        let json = r#"{"identity":"a\"\\\u003cb\u003e\u0026\u2028\u0001\n","identity_url":"é","permission_count":2}"#;
        assert_eq!(reply.to_string(), json);
    }
}
