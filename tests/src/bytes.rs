//! How bytes appear in failure messages, and the `*` patterns that expectations may use.

/// Longest run of bytes shown in full by [`show`].
const SHOWN_MAX: usize = 600;

/// `bytes` as a quoted string: printable ASCII as is, `\r \n \t \" \\` escaped, the rest as `\xNN`.
pub fn show(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for &byte in bytes.iter().take(SHOWN_MAX) {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(byte as char),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    if bytes.len() > SHOWN_MAX {
        out.push_str(&format!(" ({} bytes in all)", bytes.len()));
    }
    out
}

/// Whether `text` fits `pattern`, in which each `*` stands for any run of bytes.
pub fn fits(pattern: &[u8], text: &[u8]) -> bool {
    // The usual greedy match: on a mismatch, let the latest `*` swallow one byte more.
    let (mut p, mut t, mut retry) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((star, from)) = retry {
            (p, t) = (star + 1, from + 1);
            retry = Some((star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_is_not_printable() {
        assert_eq!(show(b"a\n\"\\\x00\xff"), r#""a\n\"\\\x00\xff""#);
    }

    #[test]
    fn star_stands_for_any_run() {
        assert!(fits(b"a*c", b"abbc"));
        assert!(fits(b"a*c*", b"acbcd"));
        assert!(fits(b"*", b""));
        assert!(!fits(b"a*c", b"acb"));
        assert!(!fits(b"", b"x"));
    }
}
