//! Durations as Go writes them: `1h30m`, `250ms`, `1.5s`.
//!
//! Owns text to [`Duration`] and back. Negative durations are understood and refused: no option means anything with
//! one. The longest duration is Go's, 2^63 - 1 nanoseconds (292 years).

use std::time::Duration;
use thiserror::Error;

const NANOS_MAX: u128 = i64::MAX as u128;

/// Units by name, in nanoseconds. `ms` must be found before `m`, so names are compared whole.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadDuration {
    /// Nothing that could be a duration.
    #[error("not a duration")]
    Syntax,
    /// A number without a unit: `5`.
    #[error("missing unit in duration")]
    NoUnit,
    /// A unit nobody knows: `5x`.
    #[error("unknown unit {0:?} in duration")]
    UnknownUnit(String),
    /// Below zero.
    #[error("duration must not be negative")]
    Negative,
    /// Above 292 years.
    #[error("duration is too long")]
    TooLong,
}

/// Parses a duration: one or more decimal numbers, each with a unit, largest first or in any order. `0` needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(BadDuration::Syntax);
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (term, tail) = parse_term(rest)?;
        nanos += term; // at most one term per two characters, each within NANOS_MAX: no overflow of u128
        if nanos > NANOS_MAX {
            return Err(BadDuration::TooLong);
        }
        rest = tail;
    }
    match (negative, nanos) {
        (true, 1..) => Err(BadDuration::Negative),
        _ => Ok(from_nanos(nanos)),
    }
}

/// One number and its unit from the front of `text`, in nanoseconds, and what follows it.
fn parse_term(text: &str) -> Result<(u128, &str), BadDuration> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => split_digits(after),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(BadDuration::Syntax);
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    if name.is_empty() {
        return Err(BadDuration::NoUnit);
    }
    let unit = UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, nanos)| *nanos);
    let unit = unit.ok_or_else(|| BadDuration::UnknownUnit(name.to_owned()))?;

    let whole: u128 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| BadDuration::TooLong)?,
    };
    let whole = whole.checked_mul(unit).filter(|nanos| *nanos <= NANOS_MAX).ok_or(BadDuration::TooLong)?;
    Ok((whole + fraction_of(fraction, unit), rest))
}

/// The part of `unit` that the decimal digits after the point stand for, rounded down.
fn fraction_of(digits: &str, unit: u128) -> u128 {
    // An hour has 3.6e12 ns: digits after the 18th cannot add a nanosecond.
    let digits = &digits[..digits.len().min(18)];
    let scale = 10_u128.pow(digits.len() as u32);
    digits.parse::<u128>().unwrap_or(0) * unit / scale
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn from_nanos(nanos: u128) -> Duration {
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}

/// Writes a duration as Go does: `0s`, `25ms`, `1.5s`, `1m0s`, `1h0m0s`.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}\u{b5}s", decimal(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanos, 1_000_000)),
        _ => {
            let minutes = duration.as_secs() / 60;
            let seconds = decimal(nanos - u128::from(minutes) * 60_000_000_000, 1_000_000_000);
            match minutes {
                0 => format!("{seconds}s"),
                1..60 => format!("{minutes}m{seconds}s"),
                _ => format!("{}h{}m{seconds}s", minutes / 60, minutes % 60),
            }
        }
    }
}

/// Writes a duration as Go does, without what is below a second: the form of the text page of `/stats`.
pub fn format_duration_seconds(duration: Duration) -> String {
    format_duration(Duration::from_secs(duration.as_secs()))
}

/// `nanos / unit` as a decimal without trailing zeros. `unit` is a power of ten.
fn decimal(nanos: u128, unit: u128) -> String {
    let digits = unit.ilog10() as usize;
    let text = format!("{}.{:0digits$}", nanos / unit, nanos % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Result<u128, BadDuration> {
        parse_duration(text).map(|d| d.as_nanos())
    }

    #[test]
    fn parses_what_go_parses() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("+5s", 5_000_000_000),
            ("5s", 5_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("250ms", 250_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1us", 1_000),
            ("1\u{b5}s", 1_000),
            ("1\u{3bc}s", 1_000),
            ("3ns", 3),
            ("0.5ns", 0),
            ("1m1m", 120_000_000_000),
            ("9223372036854775807ns", i64::MAX as u128),
            ("0.0000000000000000000000001h", 0),
        ] {
            assert_eq!(nanos(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        for (text, expected) in [
            ("", BadDuration::Syntax),
            ("-", BadDuration::Syntax),
            (".s", BadDuration::Syntax),
            ("s", BadDuration::Syntax),
            (" 5s", BadDuration::Syntax),
            ("5", BadDuration::NoUnit),
            ("5s3", BadDuration::NoUnit),
            ("5x", BadDuration::UnknownUnit("x".into())),
            ("5s ", BadDuration::UnknownUnit("s ".into())),
            ("1m-5s", BadDuration::UnknownUnit("m-".into())),
            ("-1s", BadDuration::Negative),
            ("9223372036854775808ns", BadDuration::TooLong),
            ("9999999999999999999999999999999999999999999h", BadDuration::TooLong),
            ("290y", BadDuration::UnknownUnit("y".into())),
            ("2562047h2562047h", BadDuration::TooLong),
        ] {
            assert_eq!(nanos(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn prints_what_go_prints() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1\u{b5}s"),
            (25_000_000, "25ms"),
            (2_200_000, "2.2ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (900_000_000_000, "15m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (3_661_000_000_001, "1h1m1.000000001s"),
            (i64::MAX as u128, "2562047h47m16.854775807s"),
        ] {
            assert_eq!(format_duration(from_nanos(nanos)), expected);
        }
        assert_eq!(format_duration_seconds(Duration::from_millis(61_999)), "1m1s");
        assert_eq!(format_duration_seconds(Duration::from_millis(999)), "0s");
    }
}
