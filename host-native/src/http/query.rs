//! The parts of a request's target, decoded as strictly as Go's `net/url` does.
//!
//! Values stay bytes: whether they are UTF-8, a topic's name or a number is for whoever asks.

use super::respond::Failure;

/// The parameters of a query string.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(Vec<u8>, Vec<u8>)>);

/// The query has a bad `%` escape, or a `;`, which Go takes for an attempt at a second separator.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadQuery;

impl Query {
    /// The parameters in `raw`, what follows the target's `?`.
    pub(crate) fn parse(raw: Option<&str>) -> Result<Self, BadQuery> {
        let pairs = raw.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                if pair.contains(';') {
                    return Err(BadQuery);
                }
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                let decode = |text: &str| decode(text, Plus::IsSpace).ok_or(BadQuery);
                Ok((decode(key)?, decode(value)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// [`parse`](Self::parse), with the reference's word for a bad query.
    pub(crate) fn of(raw: Option<&str>) -> Result<Self, Failure> {
        Self::parse(raw).map_err(|_| Failure::INVALID_REQUEST)
    }

    /// The first value of `key`; empty if it has no `=`.
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.iter().find(|(own, _)| own == key.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// The switch `key`: `true`, `1`, `false` or `0`; `None` for anything else and when it is missing.
    pub(crate) fn switch(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            b"true" | b"1" => Some(true),
            b"false" | b"0" => Some(false),
            _ => None,
        }
    }
}

/// What a `+` stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    /// In queries.
    IsSpace,
    /// In paths.
    IsPlus,
}

fn decode(text: &str, plus: Plus) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit()?, digit()?);
                (high * 16 + low) as u8
            }
            b'+' if plus == Plus::IsSpace => b' ',
            other => other,
        });
    }
    Some(decoded)
}

/// The path `raw` decoded; `None` if an escape is bad. What is not UTF-8 then matches no route.
pub(crate) fn decode_path(raw: &str) -> Option<String> {
    decode(raw, Plus::IsPlus).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// One segment of a path, fit to stand in a header or a page.
pub(crate) fn encode_segment(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(raw: &str, key: &str) -> Option<Vec<u8>> {
        Query::parse(Some(raw)).unwrap().get(key).map(<[u8]>::to_vec)
    }

    #[test]
    fn the_first_of_equal_keys_counts() {
        assert_eq!(get("topic=a&topic=b", "topic").unwrap(), b"a");
        assert_eq!(get("&&topic=a=b&", "topic").unwrap(), b"a=b");
        assert_eq!(get("Topic=a", "topic"), None);
        assert!(Query::parse(None).unwrap().get("topic").is_none());
    }

    #[test]
    fn a_key_without_a_value_is_there() {
        assert_eq!(get("topic", "topic").unwrap(), b"");
        assert_eq!(get("topic&x", "x").unwrap(), b"");
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(get("t%6fpic=%2B+%c3%A9%00", "topic").unwrap(), b"+ \xc3\xa9\0");
    }

    #[test]
    fn bad_queries_are_refused_as_a_whole() {
        for raw in ["a;b", "topic=a;b", "%zz", "topic=%z0", "topic=%2", "topic=%", "topic=a&%zz=1", "a=%+1"] {
            assert_eq!(Query::parse(Some(raw)).unwrap_err(), BadQuery, "{raw}");
        }
    }

    #[test]
    fn switches_know_four_words() {
        let query = Query::parse(Some("a=true&b=1&c=false&d=0&e=no&f&g=True")).unwrap();
        let values = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|key| query.switch(key));
        let expected = [Some(true), Some(true), Some(false), Some(false), None, None, None, None];
        assert_eq!(values, expected);
    }

    #[test]
    fn paths_keep_their_plus() {
        assert_eq!(decode_path("/p%69ng+").unwrap(), "/ping+");
        assert_eq!(decode_path("/%zz"), None);
        assert_eq!(encode_segment("a b/\r\n<é"), "a%20b%2F%0D%0A%3C%C3%A9");
    }
}
