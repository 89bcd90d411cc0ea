//! The target of a request: what stands between the method and the version, fit to be put into a URL again.
//!
//! Bytes that have no place in a URL are percent-encoded when it is read, as a client should have done. `#` is one of them:
//! the reference takes it for a part of the name it stands in, and parsers of URLs would cut it off with what follows.

/// A target: a path and a query, both percent-encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    encoded: String,
    /// Where the path ends: at the first `?`, or with the target.
    path_end: usize,
}

/// Where a request is to go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) target: Target,
    /// The host and port of a target that is a whole URL. They count more than the `Host` header.
    pub(super) authority: Option<Vec<u8>>,
}

impl Target {
    /// Reads `raw`: a path, perhaps with a query.
    pub(crate) fn new(raw: &[u8]) -> Self {
        let mut encoded = String::with_capacity(raw.len() + 8);
        for byte in raw {
            match byte {
                b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => {
                    encoded.push_str(&format!("%{byte:02X}"));
                }
                plain => encoded.push(char::from(*plain)),
            }
        }
        let path_end = encoded.find('?').unwrap_or(encoded.len());
        Self { encoded, path_end }
    }

    /// All of it.
    pub(crate) fn as_str(&self) -> &str {
        &self.encoded
    }

    /// What stands before the `?`.
    pub(crate) fn path(&self) -> &str {
        &self.encoded[..self.path_end]
    }

    /// What follows the `?`, if there is one.
    pub(crate) fn query(&self) -> Option<&str> {
        self.encoded.get(self.path_end + 1..)
    }
}

impl Destination {
    /// Reads `raw`: a path, `*`, or a URL as proxies are sent one; with `CONNECT` an address, which is no path of ours.
    /// `None` for anything else, and if there are control characters in it.
    pub(super) fn parse(raw: &[u8], connect: bool) -> Option<Self> {
        if raw.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return None;
        }
        let here = |raw: &[u8]| Self { target: Target::new(raw), authority: None };
        match raw {
            [b'/', ..] | b"*" => Some(here(raw)),
            [] => None,
            _ if connect => Some(here(b"")),
            _ => Self::of_url(raw),
        }
    }

    fn of_url(raw: &[u8]) -> Option<Self> {
        let scheme = [&b"http://"[..], b"https://"]
            .into_iter()
            .find(|scheme| raw.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
        let rest = &raw[scheme.len()..];
        let (authority, target) =
            rest.split_at(rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len()));
        // A user's name is nothing that we know what to do with.
        let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or(authority);
        if host.is_empty() {
            return None;
        }
        let target = if target.first() == Some(&b'/') { target.to_vec() } else { [b"/", target].concat() };
        Some(Self { target: Target::new(&target), authority: Some(host.to_vec()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &[u8]) -> Option<(String, Option<String>)> {
        let found = Destination::parse(raw, false)?.target;
        Some((found.path().to_owned(), found.query().map(str::to_owned)))
    }

    fn parts(path: &str, query: Option<&str>) -> Option<(String, Option<String>)> {
        Some((path.to_owned(), query.map(str::to_owned)))
    }

    #[test]
    fn nothing_of_a_name_is_lost() {
        assert_eq!(
            read(b"/topic/delete?topic=orders#ephemeral"),
            parts("/topic/delete", Some("topic=orders%23ephemeral"))
        );
        assert_eq!(read(b"/api/topics/feed#ephemeral"), parts("/api/topics/feed%23ephemeral", None));
        assert_eq!(read(b"/a#b?c=d#e&f=g?h"), parts("/a%23b", Some("c=d%23e&f=g?h")));
        assert_eq!(read(b"/a?"), parts("/a", Some("")));
        assert_eq!(read(b"/%23a%2"), parts("/%23a%2", None));
        assert_eq!(read(b"/\"<>\\^`{|}\xe9"), parts("/%22%3C%3E%5C%5E%60%7B%7C%7D%E9", None));
    }

    #[test]
    fn a_url_names_its_host_too() {
        for (raw, target, host) in [
            (&b"http://a:1/x?y#z"[..], "/x?y%23z", "a:1"),
            (b"HTTPS://ann:s@b", "/", "b"),
            (b"http://a?x", "/?x", "a"),
            (b"http://a#b/c", "/c", "a#b"),
        ] {
            let found = Destination::parse(raw, false).unwrap();
            assert_eq!((found.target.as_str(), found.authority.as_deref()), (target, Some(host.as_bytes())));
        }
        assert_eq!(Destination::parse(b"/x", false).unwrap().authority, None);
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for raw in
            [&b""[..], b"ping", b"http://", b"http:///x", b"ftp://a/", b"/a b", b"/a\tb", b"/\x7f", b"/\0", b"a:80"]
        {
            assert_eq!(Destination::parse(raw, false), None, "{raw:?}");
        }
        assert_eq!(Destination::parse(b"a:80", true).unwrap().target.as_str(), "");
        assert_eq!(Destination::parse(b"*", false).unwrap().target.as_str(), "*");
    }
}
