//! Go's `%q`: how the reference prints a name that is not valid.

use std::fmt::Write;

/// `raw` in double quotes. `"`, `\` and control characters are escaped, bytes that are not UTF-8 become `\xNN`, code
/// points without a glyph `\uNNNN` or `\UNNNNNNNN`.
pub fn quote(raw: &[u8]) -> String {
    let mut quoted = String::with_capacity(raw.len() + 2);
    quoted.push('"');
    for chunk in raw.utf8_chunks() {
        for c in chunk.valid().chars() {
            put_char(&mut quoted, c);
        }
        for byte in chunk.invalid() {
            put_byte(&mut quoted, *byte);
        }
    }
    quoted.push('"');
    quoted
}

fn put_char(quoted: &mut String, c: char) {
    match c {
        '"' | '\\' => quoted.extend(['\\', c]),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        ' '..='~' => quoted.push(c),
        '\0'..='\x7f' => put_byte(quoted, c as u8),
        _ if is_printable(c) => quoted.push(c),
        // Writing to a string cannot fail.
        '\u{80}'..='\u{ffff}' => _ = write!(quoted, "\\u{:04x}", c as u32),
        _ => _ = write!(quoted, "\\U{:08x}", c as u32),
    }
}

fn put_byte(quoted: &mut String, byte: u8) {
    _ = write!(quoted, "\\x{byte:02x}");
}

/// Whether std would print `c` as itself. Asked behind another character because std escapes a leading combining mark,
/// which Go does not.
fn is_printable(c: char) -> bool {
    let mut pair = [b'a'; 5];
    c.encode_utf8(&mut pair[1..]);
    std::str::from_utf8(&pair[..1 + c.len_utf8()]).is_ok_and(|pair| pair.escape_debug().count() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn quotes_like_go() {
        for (raw, quoted) in [
            (&b""[..], r#""""#),
            (b"a$", r#""a$""#),
            (b"\xff\x01\"\\", r#""\xff\x01\"\\""#),
            (b"\x07\x08\x0c\n\r\t\x0b\0\x7f'", r#""\a\b\f\n\r\t\v\x00\x7f'""#),
            ("é世😀\u{301}".as_bytes(), "\"é世😀\u{301}\""),
            ("\u{a0}\u{ad}\u{200b}\u{e000}".as_bytes(), r#""\u00a0\u00ad\u200b\ue000""#),
            ("\u{e0001}".as_bytes(), r#""\U000e0001""#),
            ("\u{fffd}".as_bytes(), "\"\u{fffd}\""),
            (b"\xe4\xb8", r#""\xe4\xb8""#),
        ] {
            assert_eq!(quote(raw), quoted);
        }
    }
}
