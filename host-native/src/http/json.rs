//! JSON as Go's `encoding/json` writes it: compact, with `<`, `>`, `&` and two line separators escaped, so that a body
//! that ends up in a page is no markup.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// `value` as JSON, without a line feed at its end.
pub(super) fn encode(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(512);
    value.serialize(&mut Serializer::with_formatter(&mut body, GoFormatter(CompactFormatter)))?;
    Ok(body)
}

struct GoFormatter(CompactFormatter);

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let escaped = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some(at) = rest.find(escaped) {
            self.0.write_string_fragment(writer, &rest[..at])?;
            let mut tail = rest[at..].chars();
            if let Some(c) = tail.next() {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = tail.as_str();
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        let value = serde_json::json!({"a<": ["<&>", "é\u{2028}\"\\\n\u{1}", 1, null, true, {}, []]});
        let expected = r#"{"a\u003c":["\u003c\u0026\u003e","é\u2028\"\\\n\u0001",1,null,true,{},[]]}"#;
        assert_eq!(String::from_utf8(encode(&value).unwrap()).unwrap(), expected);
    }
}
