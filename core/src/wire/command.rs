//! Commands, client to server: a line of tokens separated by single spaces, then for some a body. This file has the words
//! and what each command calls the defects of its body; the bodies themselves are in [`identify`](super::identify) and
//! [`mpub`](super::mpub).

use std::fmt;

use super::error::{CommandError, ErrorCode};

/// What a V2 client sends first.
pub const MAGIC: [u8; 4] = *b"  V2";

/// Longest line, its `\n` included.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// The commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names are their documentation; `as_str` has the wire's.
pub enum Verb {
    Identify,
    Authorize,
    Subscribe,
    Ready,
    Finish,
    Requeue,
    Touch,
    StartClose,
    Publish,
    PublishMany,
    PublishDeferred,
    Nop,
}

impl Verb {
    /// The command called `name`, if there is one.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"IDENTIFY" => Self::Identify,
            b"AUTH" => Self::Authorize,
            b"SUB" => Self::Subscribe,
            b"RDY" => Self::Ready,
            b"FIN" => Self::Finish,
            b"REQ" => Self::Requeue,
            b"TOUCH" => Self::Touch,
            b"CLS" => Self::StartClose,
            b"PUB" => Self::Publish,
            b"MPUB" => Self::PublishMany,
            b"DPUB" => Self::PublishDeferred,
            b"NOP" => Self::Nop,
            _ => return None,
        })
    }

    /// Its word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identify => "IDENTIFY",
            Self::Authorize => "AUTH",
            Self::Subscribe => "SUB",
            Self::Ready => "RDY",
            Self::Finish => "FIN",
            Self::Requeue => "REQ",
            Self::Touch => "TOUCH",
            Self::StartClose => "CLS",
            Self::Publish => "PUB",
            Self::PublishMany => "MPUB",
            Self::PublishDeferred => "DPUB",
            Self::Nop => "NOP",
        }
    }

    /// The body is one message, which has error texts of its own.
    const fn carries_a_message(self) -> bool {
        matches!(self, Self::Publish | Self::PublishDeferred)
    }

    const fn bad_body(self) -> ErrorCode {
        if self.carries_a_message() { ErrorCode::BadMessage } else { ErrorCode::BadBody }
    }

    /// The body's size as declared, in bytes: 1..=`max`.
    pub fn check_body_size(self, declared: i32, max: usize) -> Result<usize, CommandError> {
        let message = self.carries_a_message();
        match usize::try_from(declared) {
            Ok(size) if size > max => {
                let what = if message { "message" } else { "body" };
                Err(CommandError::new(self.bad_body(), format!("{self} {what} too big {size} > {max}")))
            }
            Ok(size) if size > 0 => Ok(size),
            _ => {
                let what = if message { "message body" } else { "body" };
                Err(CommandError::new(self.bad_body(), format!("{self} invalid {what} size {declared}")))
            }
        }
    }

    /// The stream ended, or fell silent, where the body's size should be.
    pub fn body_size_missing(self) -> CommandError {
        let what = if self.carries_a_message() { "message body" } else { "body" };
        CommandError::new(self.bad_body(), format!("{self} failed to read {what} size"))
    }

    /// The stream ended, or fell silent, inside the body.
    pub fn body_missing(self) -> CommandError {
        let what = if self.carries_a_message() { "message body" } else { "body" };
        CommandError::new(self.bad_body(), format!("{self} failed to read {what}"))
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A command line in its tokens.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The first token; empty for an empty line.
    pub name: &'a [u8],
    params: Option<&'a [u8]>,
}

impl<'a> Line<'a> {
    /// Splits `line`, given without its `\n`. One `\r` at its end is not part of it.
    pub fn parse(line: &'a [u8]) -> Self {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (name, params) = split_token(line);
        Self { name, params }
    }

    /// The next parameter. Two spaces in a row have an empty one between them.
    pub fn param(&mut self) -> Option<&'a [u8]> {
        let (token, rest) = split_token(self.params?);
        self.params = rest;
        Some(token)
    }
}

fn split_token(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == b' ') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn tokens(line: &str) -> Vec<&str> {
        let mut line = Line::parse(line.as_bytes());
        let mut tokens = vec![line.name];
        tokens.extend(std::iter::from_fn(|| line.param()));
        tokens.into_iter().map(|token| std::str::from_utf8(token).unwrap()).collect()
    }

    #[test]
    fn every_space_separates() {
        assert_eq!(tokens(""), [""]);
        assert_eq!(tokens("NOP"), ["NOP"]);
        assert_eq!(tokens("NOP\r"), ["NOP"]);
        assert_eq!(tokens("NOP\r\r"), ["NOP\r"]);
        assert_eq!(tokens("RDY "), ["RDY", ""]);
        assert_eq!(tokens("SUB  a b"), ["SUB", "", "a", "b"]);
        assert_eq!(tokens(" "), ["", ""]);
    }

    #[test]
    fn verbs_are_spelled_one_way() {
        for name in ["IDENTIFY", "AUTH", "SUB", "RDY", "FIN", "REQ", "TOUCH", "CLS", "PUB", "MPUB", "DPUB", "NOP"] {
            assert_eq!(Verb::parse(name.as_bytes()).unwrap().as_str(), name);
            assert_eq!(Verb::parse(name.to_lowercase().as_bytes()), None);
        }
    }

    #[test]
    fn body_sizes_have_each_command_s_own_words() {
        let error = |verb: Verb, size| format!("{:?}", verb.check_body_size(size, 10).unwrap_err());
        assert_eq!(Verb::Publish.check_body_size(10, 10), Ok(10));
        assert_eq!(error(Verb::Publish, 0), "E_BAD_MESSAGE PUB invalid message body size 0");
        assert_eq!(error(Verb::PublishDeferred, 11), "E_BAD_MESSAGE DPUB message too big 11 > 10");
        assert_eq!(error(Verb::PublishMany, -1), "E_BAD_BODY MPUB invalid body size -1");
        assert_eq!(error(Verb::Identify, 11), "E_BAD_BODY IDENTIFY body too big 11 > 10");
        assert_eq!(format!("{:?}", Verb::Authorize.body_missing()), "E_BAD_BODY AUTH failed to read body");
        assert_eq!(
            format!("{:?}", Verb::Publish.body_size_missing()),
            "E_BAD_MESSAGE PUB failed to read message body size"
        );
    }
}
