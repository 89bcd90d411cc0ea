//! Tests of the values that options take.

use super::*;
use crate::config::nsqd::{TlsRequired, TlsVersion};
use crate::log::LogLevel;

/// The value read from a flag, as it prints; or the reason.
fn text<T: OptionValue>(mut start: T, given: &str) -> Result<String, String> {
    start.set_text(given).map(|()| start.show()).map_err(|e| e.to_string())
}

/// The same from a config file.
fn file<T: OptionValue>(mut start: T, given: &str) -> Result<String, String> {
    let table: toml::Table = format!("value = {given}").parse().unwrap();
    start.set_toml(&table["value"]).map(|()| start.show()).map_err(|e| e.to_string())
}

fn ok(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn err(text: &str) -> Result<String, String> {
    Err(text.to_owned())
}

#[test]
fn booleans() {
    assert_eq!(text(false, "T"), ok("true"));
    assert_eq!(text(true, "banana"), err("not a boolean"));
    assert_eq!(text(true, ""), err("not a boolean"));
    assert_eq!(file(false, "true"), ok("true"));
    assert_eq!(file(false, "'t'"), ok("true"));
    assert_eq!(file(false, "1"), ok("true"), "nsqd has it inverted");
    assert_eq!(file(true, "0"), ok("false"), "nsqd has it inverted");
    assert_eq!(file(true, "2"), err("an integer found"));
    assert_eq!(file(true, "1.5"), err("a float found"));
}

#[test]
fn integers() {
    assert_eq!(text(0_u64, "0x10"), ok("16"));
    assert_eq!(text(0_u64, "-1"), err("value is too small"));
    assert_eq!(text(0_u64, "99999999999999999999"), err("value out of range"));
    assert_eq!(text(0_i64, "-1"), ok("-1"));
    assert_eq!(text(0_u16, "65536"), err("value is too large"));
    assert_eq!(file(0_u64, "5"), ok("5"));
    assert_eq!(file(0_u64, "'5'"), ok("5"));
    assert_eq!(file(0_u64, "'abc'"), err("not a whole number"));
    assert_eq!(file(0_u64, "true"), err("a boolean found"));
    assert_eq!(file(0_u64, "1.5"), err("a float found"));
}

#[test]
fn durations() {
    assert_eq!(text(Duration::ZERO, "90s"), ok("1m30s"));
    assert_eq!(text(Duration::ZERO, "5"), err("missing unit in duration"));
    assert_eq!(text(Duration::ZERO, "-5s"), err("duration must not be negative"));
    assert_eq!(file(Duration::ZERO, "5000"), ok("5s"), "a number means milliseconds");
    assert_eq!(file(Duration::ZERO, "'1h'"), ok("1h0m0s"));
    assert_eq!(file(Duration::ZERO, "'250'"), err("missing unit in duration"));
    assert_eq!(file(Duration::ZERO, "-1"), err("duration must not be negative"));
    assert_eq!(file(Duration::ZERO, "1.5"), err("a float found"));
    assert_eq!(Duration::from_secs(60).encode(), "60000000000");
}

#[test]
fn texts_and_paths() {
    assert_eq!(file(String::new(), "'x'"), ok("x"));
    assert_eq!(file(String::new(), "5"), err("an integer found"), "nsqd stores %!s(int64=5)");
    assert_eq!(file(PathBuf::new(), "'/x'"), ok("/x"));
    assert_eq!(file(PathBuf::new(), "['/x']"), err("an array found"));
}

#[test]
fn lists_of_texts() {
    let mut list = Vec::<String>::new();
    for address in ["a:1", "b:2"] {
        list.set_text(address).unwrap();
    }
    assert_eq!(list.encode(), r#"["a:1","b:2"]"#);
    assert_eq!(Vec::<String>::new().encode(), "[]");
    assert_eq!(file(list.clone(), "['c:3']"), ok("c:3"), "the file replaces");
    assert_eq!(file(list.clone(), "'c:3,d:4'"), ok("c:3,d:4"));
    assert_eq!(file(list.clone(), "''"), ok(""));
    assert_eq!(file(list.clone(), "[1, 2]"), err("an integer found"), "nsqd panics");
    assert_eq!(file(list, "5"), err("an integer found"));
}

#[test]
fn percentiles_are_sorted_largest_first() {
    let mut percentiles = Percentiles::default();
    percentiles.set_text("0.5,0.99").unwrap();
    percentiles.set_text("1").unwrap();
    assert_eq!(percentiles.encode(), "[1,0.99,0.5]");
    assert_eq!(text(percentiles.clone(), "x"), err("\"x\" is not a number"));
    assert_eq!(file(percentiles.clone(), "[0.5, 1]"), ok("1,0.5"), "nsqd panics at whole numbers");
    assert_eq!(file(percentiles.clone(), "'0.5, 0.9'"), ok("0.9,0.5"));
    assert_eq!(file(percentiles.clone(), "0.5"), ok("0.5"), "nsqd drops it");
    assert_eq!(file(percentiles, "[true]"), err("a boolean found"));
}

#[test]
fn choices() {
    assert_eq!(text(LogLevel::Info, "WARN"), ok("warn"));
    assert_eq!(text(LogLevel::Info, "warning"), err("no such choice"));
    assert_eq!(text(LogLevel::Info, ""), err("no such choice"));
    assert_eq!(file(LogLevel::Info, "3"), err("an integer found"));
    assert_eq!(LogLevel::Fatal.kind().accepts, "debug, info, warn, error, fatal");

    assert_eq!(text(TlsVersion::Tls12, ""), ok("tls1.0"));
    assert_eq!(text(TlsVersion::Tls10, "TLS1.3"), ok("tls1.3"));
    assert_eq!(text(TlsVersion::Tls10, "ssl3.0"), err("no such choice"));

    for (given, expected) in [("true", "true"), ("1", "true"), ("0", "false"), ("'TCP-HTTPS'", "tcp-https")] {
        assert_eq!(file(TlsRequired::No, given), ok(expected));
    }
    assert_eq!(text(TlsRequired::No, "foo"), err("no such choice"));
}
