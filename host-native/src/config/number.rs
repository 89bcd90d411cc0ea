//! Whole numbers and booleans as Go's `strconv` reads them.
//!
//! The reference reads base prefixes (`0x10`) on the command line and only decimals in strings of the config file;
//! here both places take both.

/// Parses a whole number: decimal, `0x`, `0o` (or a leading `0`), `0b`, with `_` between digits.
///
/// The error says what is wrong, without the text itself.
pub(super) fn parse_integer(text: &str) -> Result<i64, &'static str> {
    const SYNTAX: &str = "not a whole number";
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // A separator may follow the prefix (0x_10), never end the number or stand twice.
    let digits = if lower.starts_with('0') { digits.strip_prefix('_').unwrap_or(digits) } else { digits };
    let mut magnitude: i128 = 0;
    for group in digits.split('_') {
        if group.is_empty() {
            return Err(SYNTAX);
        }
        for c in group.chars() {
            let digit = c.to_digit(radix).ok_or(SYNTAX)?;
            magnitude = magnitude.saturating_mul(radix.into()).saturating_add(digit.into());
        }
    }
    let value = if negative { -magnitude } else { magnitude };
    i64::try_from(value).map_err(|_| "value out of range")
}

/// Parses a boolean: the words `strconv.ParseBool` takes.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, expected) in [
            ("0", 0),
            ("-4", -4),
            ("+4", 4),
            ("0x10", 16),
            ("0X1f", 31),
            ("0o17", 15),
            ("017", 15),
            ("0b11", 3),
            ("1_000", 1000),
            ("0x_10", 16),
            ("0_17", 15),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_integer(text), Ok(expected), "{text}");
        }
        for text in ["", "-", "abc", "1.5", "1__0", "_1", "1_", "0x", "08", "1 ", "--1", "+-1"] {
            assert_eq!(parse_integer(text), Err("not a whole number"), "{text}");
        }
        for text in ["9223372036854775808", "99999999999999999999999999999999999999999999999"] {
            assert_eq!(parse_integer(text), Err("value out of range"), "{text}");
        }
    }

    #[test]
    fn booleans() {
        assert_eq!(parse_bool("T"), Some(true));
        assert_eq!(parse_bool("False"), Some(false));
        for text in ["", "yes", "tRUE", "2"] {
            assert_eq!(parse_bool(text), None, "{text}");
        }
    }
}
