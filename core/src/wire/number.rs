//! Decimal numbers in command lines, as the reference reads them (`internal/protocol/byte_base10.go`).

/// The number `digits` spells: digits only, none at all is 0, and what exceeds 64 bits wraps. `None` for anything else.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn numbers_are_digits_that_wrap() {
        for (digits, value) in [
            ("", Some(0)),
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", Some(0)),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1 ", None),
            ("\u{663}", None),
        ] {
            assert_eq!(decimal(digits.as_bytes()), value, "{digits:?}");
        }
    }
}
