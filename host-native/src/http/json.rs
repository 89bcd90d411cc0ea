//! JSON as Go's `encoding/json` writes it: compact, with `<`, `>`, `&` and two line separators escaped, so that a body
//! that ends up in a page is no markup. A float that is a whole number has no fraction.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// `value` as JSON, without a line feed at its end.
pub(crate) fn encode(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(512);
    encode_to(&mut body, value)?;
    Ok(body)
}

/// The same, at the end of what there is.
pub(crate) fn encode_to(to: &mut impl io::Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(to, GoFormatter(CompactFormatter)))
}

struct GoFormatter(CompactFormatter);

impl Formatter for GoFormatter {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        /// Beyond this, Go writes an exponent.
        const PLAIN_MAX: f64 = 1e21;
        if value.fract() == 0.0 && value.abs() < PLAIN_MAX {
            write!(writer, "{value}")
        } else {
            self.0.write_f64(writer, value)
        }
    }

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
    fn whole_numbers_have_no_fraction() {
        assert_eq!(
            encode(&[1.0, 0.0, 0.99, 1.5e9, 1e20, 1e-7]).unwrap(),
            b"[1,0,0.99,1500000000,100000000000000000000,1e-7]"
        );
    }

    #[test]
    fn markup_is_escaped() {
        let value = serde_json::json!({"a<": ["<&>", "é\u{2028}\"\\\n\u{1}", 1, null, true, {}, []]});
        let expected = r#"{"a\u003c":["\u003c\u0026\u003e","é\u2028\"\\\n\u0001",1,null,true,{},[]]}"#;
        assert_eq!(String::from_utf8(encode(&value).unwrap()).unwrap(), expected);
    }
}
