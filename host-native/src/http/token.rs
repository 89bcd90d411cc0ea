//! A bearer token from a file: nsqd wants it of those who look into messages, nsqadmin shows it.
//!
//! It is read once, at the start. It stands in no log line, no error and no answer, and what is shown in its stead is compared
//! in a time that does not depend on how much of it is right.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use thiserror::Error;

/// Bytes of a token's file at most.
const FILE_BYTES_MAX: u64 = 4096;
const SCHEME: &[u8] = b"Bearer ";

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(Vec<u8>);

/// Why there is no token in a file. The file's name is the caller's to say.
#[derive(Debug, Error)]
pub(crate) enum BadToken {
    #[error("{0}")]
    Unreadable(std::io::Error),
    #[error("the file is empty; it has to hold a token, such as `openssl rand -hex 32` makes")]
    Empty,
    #[error(
        "the file holds more than one word of printable ASCII; it has to hold a token, such as `openssl rand -hex 32` makes"
    )]
    Malformed,
}

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The token.
    Right,
    /// Something else.
    Wrong,
    /// Nothing.
    Nothing,
}

impl Token {
    /// Reads the token in `file`. Blanks and line ends around it do not count.
    pub(crate) fn read(file: &Path) -> Result<Self, BadToken> {
        let mut bytes = Vec::new();
        let mut opened = std::fs::File::open(file).map_err(BadToken::Unreadable)?.take(FILE_BYTES_MAX + 1);
        opened.read_to_end(&mut bytes).map_err(BadToken::Unreadable)?;
        let token = bytes.trim_ascii();
        if token.is_empty() {
            return Err(BadToken::Empty);
        }
        let printable = token.iter().all(u8::is_ascii_graphic);
        if !printable || bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(BadToken::Malformed);
        }
        Ok(Self(token.to_vec()))
    }

    /// The value of `Authorization` that shows it.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_bytes(&[SCHEME, &self.0].concat()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// What a request with `headers` shows.
    pub(crate) fn shown_by(&self, headers: &HeaderMap) -> Shown {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Shown::Nothing,
            (Some(value), None) if self.is(value.as_bytes()) => Shown::Right,
            (Some(_), _) => Shown::Wrong,
        }
    }

    /// Whether `value`, of `Authorization`, is this token. Whoever measures how long this takes learns its length at most.
    fn is(&self, value: &[u8]) -> bool {
        let Some((scheme, token)) = value.split_at_checked(SCHEME.len()) else { return false };
        let different = self.0.iter().zip(token).fold(0, |different, (own, other)| {
            // Hidden from the optimizer, which could end the loop at the first difference.
            std::hint::black_box(different | (own ^ other))
        });
        scheme.eq_ignore_ascii_case(SCHEME) && token.len() == self.0.len() && different == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Token, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Token::read(file.path()).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_file_holds_one_word() {
        assert_eq!(read(b" secret=\r\n\n").unwrap().0, b"secret=");
        for empty in [&b""[..], b"\n", b" \t\r\n"] {
            assert!(read(empty).unwrap_err().contains("is empty"), "{empty:?}");
        }
        for bad in [&b"a b"[..], b"a\nb", b"\xc3\xa9", b"a\0", &[b'a'; 5000], &[b"a", &[b' '; 5000][..]].concat()] {
            let said = read(bad).unwrap_err();
            assert!(said.contains("more than one word") && !said.contains("aaa"), "{said}");
        }
        let missing = Token::read(Path::new("/nowhere/token")).unwrap_err();
        assert_eq!(missing.to_string(), "No such file or directory (os error 2)");
        assert!(matches!(Token::read(Path::new("/")).unwrap_err(), BadToken::Unreadable(_)));
    }

    #[test]
    fn only_the_whole_token_is_right() {
        let token = Token(b"secret".to_vec());
        let shown = |values: &[&'static str]| {
            let headers = values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value)));
            let mut map = HeaderMap::new();
            headers.for_each(|(name, value)| _ = map.append(name, value));
            token.shown_by(&map)
        };
        assert_eq!(shown(&[]), Shown::Nothing);
        assert_eq!(shown(&["Bearer secret"]), Shown::Right);
        assert_eq!(shown(&["bearer secret"]), Shown::Right);
        for wrong in
            ["", "secret", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Bearer Secret", "Basic secret"]
        {
            assert_eq!(shown(&[wrong]), Shown::Wrong, "{wrong}");
        }
        assert_eq!(shown(&["Bearer secret", "Bearer secret"]), Shown::Wrong);
    }

    #[test]
    fn it_is_not_printed() {
        let token = Token(b"secret".to_vec());
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert_eq!(format!("{:?}", token.header().unwrap()), "Sensitive");
        assert_eq!(token.header().unwrap().as_bytes(), b"Bearer secret");
    }
}
