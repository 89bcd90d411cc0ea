//! Values as scripts write them, and options as tables of keys: what a key sets, how it is shown, what to say when it is
//! not there. One table each for nodes, producers, consumers and single commands, so that parsing, errors and what a page
//! shows cannot differ.

use std::time::Duration;

use super::script::ActionError;

/// A `key=value` of some options.
pub(super) struct Key<T> {
    pub(super) name: &'static str,
    /// What a value looks like.
    pub(super) form: &'static str,
    /// `None`: not a value of that form.
    pub(super) set: fn(&mut T, &str) -> Option<()>,
    pub(super) show: fn(&T) -> String,
}

/// Options with a table of keys.
pub(super) trait Options: Clone + Sized + 'static {
    const KEYS: &'static [Key<Self>];

    /// Sets what `words` say, all of it or nothing.
    fn set_all<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) -> Result<(), ActionError> {
        let mut changed = self.clone();
        for word in words {
            let Some((name, value)) = word.split_once('=') else {
                return Err(ActionError(format!("{word:?} is not an option of the form key=value; {}", Self::help())));
            };
            let Some(key) = Self::KEYS.iter().find(|key| key.name == name) else {
                return Err(ActionError(format!("there is no option {name:?} here; {}", Self::help())));
            };
            if (key.set)(&mut changed, value).is_none() {
                return Err(ActionError(format!("{name}={value} does not say a value: it takes {}", key.form)));
            }
        }
        *self = changed;
        Ok(())
    }

    /// Keys and values, in the table's order.
    fn entries(&self) -> impl Iterator<Item = (&'static str, String)> {
        Self::KEYS.iter().map(|key| (key.name, (key.show)(self)))
    }

    /// The keys there are, for an error.
    fn help() -> String {
        if Self::KEYS.is_empty() {
            return "it takes no options".to_owned();
        }
        let keys: Vec<&str> = Self::KEYS.iter().map(|key| key.name).collect();
        format!("it takes {}", keys.join(", "))
    }
}

/// `1.5s`, `200ms`, `3us`, `10ns`, `2m`, `1h`; `0` needs no unit.
pub(super) fn time(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" if number == "0" => 1,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut nanos = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?) * place)?;
    }
    Some(Duration::from_nanos(nanos))
}

/// The shortest form that [`time`] reads back exactly.
pub(super) fn show_time(time: Duration) -> String {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let units =
        [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];
    for (name, unit) in units {
        if nanos > 0 && nanos.is_multiple_of(unit) {
            return format!("{}{name}", nanos / unit);
        }
    }
    if nanos == 0 { "0".to_owned() } else { format!("{nanos}ns") }
}

/// A number; `K`, `M` and `G` are powers of 1024.
pub(super) fn count(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// `0..=100`, with or without a percent sign.
pub(super) fn percent(text: &str) -> Option<u8> {
    text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|&percent| percent <= 100)
}

/// Messages in a second, `100/s`, as the time between two; zero for none.
pub(super) fn rate(text: &str) -> Option<Duration> {
    let rate = count(text.strip_suffix("/s").unwrap_or(text))?;
    (rate <= 1_000_000_000).then(|| Duration::from_nanos(1_000_000_000_u64.checked_div(rate).unwrap_or(0)))
}

/// What [`rate`] reads back.
pub(super) fn show_rate(every: Duration) -> String {
    let nanos = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
    format!("{}/s", 1_000_000_000_u64.checked_div(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn times_are_read_and_shown() {
        let texts = [("1.5s", 1_500_000_000), ("200ms", 200_000_000), ("3us", 3_000), ("10ns", 10), ("0", 0)];
        for (text, nanos) in texts {
            assert_eq!(time(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for nanos in [0, 1, 999, 1_000, 1_500_000, 60_000_000_000, 7_200_000_000_000, 1_000_000_001] {
            let shown = Duration::from_nanos(nanos);
            assert_eq!(time(&show_time(shown)), Some(shown));
        }
        for bad in ["", "1", "s", "1.2.3s", "-1s", "1S", "99999999999h", "1.as"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_have_units() {
        assert_eq!((count("12"), count("4K"), count("x"), count("")), (Some(12), Some(4096), None, None));
        assert_eq!((percent("5%"), percent("100"), percent("101")), (Some(5), Some(100), None));
        assert_eq!(rate("1000/s"), Some(Duration::from_millis(1)));
        assert_eq!(show_rate(Duration::from_millis(1)), "1000/s");
    }
}
