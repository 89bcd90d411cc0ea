//! Virtual time as JavaScript has it: milliseconds in a float. Exact to the nanosecond for the first 104 days.

use sansq_core::time::Instant;

/// The instant as milliseconds since the start.
pub(crate) fn to_ms(instant: Instant) -> f64 {
    instant.as_nanos() as f64 / 1e6
}

/// The instant nearest to `ms`. Saturates: a negative number is the start, infinity the end of time. NaN is the start.
pub(crate) fn from_ms(ms: f64) -> Instant {
    Instant::from_nanos((ms * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nanosecond_comes_back() {
        for nanos in [0, 1, 999_999, 1_234_567, 3_600_000_000_001, 8_000_000_000_000_001] {
            let instant = Instant::from_nanos(nanos);
            assert_eq!(from_ms(to_ms(instant)), instant);
        }
        assert_eq!(from_ms(-1.0), Instant::ZERO);
        assert_eq!(from_ms(f64::NAN), Instant::ZERO);
        assert_eq!(from_ms(f64::INFINITY).as_nanos(), u64::MAX);
    }
}
