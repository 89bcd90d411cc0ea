//! A run as a string: `seed=N&s=SCENARIO&b=BEHAVIOUR&e=STEP@NS ACTION;STEP@NS ACTION&at=STEP@NS&h=HASH`, or `script=` with a
//! whole script in place of `s=`. What a URL's fragment cannot hold is percent-encoded; reading takes it with or without.

use std::fmt::Write;

use crate::time::Instant;

use super::scenario::scenario;
use super::script::{Action, ActionError, Script};

/// Which course runs take. It is raised when the same script, seed and edits give another run than before: because brokers or clients
/// do something else, or a scenario or what a seed draws has changed. A link tells which one it was made with. History:
///
/// 1. (Links of then do not tell.)
/// 2. What comes back takes turns with what was never delivered; seeds draw consumers that give everything back.
pub const BEHAVIOUR: u32 = 2;

/// What a link was made with that does not tell.
const BEHAVIOUR_UNTOLD: u32 = 1;

/// An action from outside, and where in the run it was applied.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) position: Position,
    pub(super) action: Action,
}

/// Between two steps, at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) step: u64,
    pub(super) at: Instant,
}

/// A link, read.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    pub(super) script: Script,
    pub(super) edits: Vec<Edit>,
    pub(super) at: Option<Position>,
    pub(super) hash: Option<u64>,
    /// What it was made with, if it tells.
    pub(super) behaviour: Option<u32>,
}

fn wrong(text: String) -> ActionError {
    ActionError(text)
}

impl Position {
    fn parse(text: &str) -> Result<Self, ActionError> {
        let parsed = text.split_once('@').and_then(|(step, nanos)| {
            Some(Self { step: step.parse().ok()?, at: Instant::from_nanos(nanos.parse().ok()?) })
        });
        parsed.ok_or_else(|| wrong(format!("{text:?} is not a position: STEP@NANOSECONDS")))
    }

    fn put(self, out: &mut String) {
        // Writing to a string cannot fail.
        _ = write!(out, "{}@{}", self.step, self.at.as_nanos());
    }
}

impl Link {
    pub(super) fn parse(text: &str) -> Result<Self, ActionError> {
        let mut link = Self::default();
        let mut seed = None;
        let mut name = None;
        for part in text.trim_start_matches('#').split('&').filter(|part| !part.is_empty()) {
            let Some((key, value)) = part.split_once('=') else {
                return Err(wrong(format!("{part:?} in a link is not key=value")));
            };
            match key {
                "seed" => seed = Some(value.parse().map_err(|_| wrong(format!("{value:?} is not a seed")))?),
                "s" => name = Some(decode(value)?),
                "script" => link.script = decode(value)?.parse()?,
                "e" => link.edits = edits(value)?,
                "at" => link.at = Some(Position::parse(&decode(value)?)?),
                "h" => {
                    let hash = u64::from_str_radix(value, 16);
                    link.hash = Some(hash.map_err(|_| wrong(format!("{value:?} is not a hash")))?);
                }
                "b" => {
                    let number = value.parse().map_err(|_| wrong(format!("{value:?} is not a behaviour: a number")))?;
                    link.behaviour = Some(number);
                }
                _ => return Err(wrong(format!("a link has no {key:?}: it has seed, s or script, b, e, at and h"))),
            }
        }
        if let Some(name) = name {
            link.script = scenario(&name, seed)?;
        }
        link.script.seed = seed.unwrap_or(link.script.seed);
        Ok(link)
    }

    /// What it was made with, if that is not [`BEHAVIOUR`] and matters: it tells more than how a run begins.
    pub(super) fn other_behaviour(&self) -> Option<u32> {
        let is_of_a_run = self.hash.is_some() || self.at.is_some() || !self.edits.is_empty();
        Some(self.behaviour.unwrap_or(BEHAVIOUR_UNTOLD)).filter(|&made_with| made_with != BEHAVIOUR && is_of_a_run)
    }

    pub(super) fn put(&self) -> String {
        let mut out = format!("seed={}", self.script.seed);
        match self.script.scenario {
            Some(name) => {
                out.push_str("&s=");
                encode(name, &mut out);
            }
            None => {
                out.push_str("&script=");
                encode(self.script.text(), &mut out);
            }
        }
        if let Some(behaviour) = self.behaviour {
            _ = write!(out, "&b={behaviour}");
        }
        for (index, edit) in self.edits.iter().enumerate() {
            out.push_str(if index == 0 { "&e=" } else { ";" });
            edit.position.put(&mut out);
            out.push_str("%20");
            encode(&edit.action.to_string(), &mut out);
        }
        if let Some(at) = self.at {
            out.push_str("&at=");
            at.put(&mut out);
        }
        if let Some(hash) = self.hash {
            _ = write!(out, "&h={hash:016x}");
        }
        out
    }
}

fn edits(value: &str) -> Result<Vec<Edit>, ActionError> {
    let parts = value.split(';').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let part = decode(part)?;
            let (position, action) = part.split_once(' ').unwrap_or((&part, ""));
            Ok(Edit { position: Position::parse(position)?, action: action.parse()? })
        })
        .collect()
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'~'
            | b'='
            | b'*'
            | b'/'
            | b':'
            | b','
            | b'@' => {
                out.push(char::from(byte));
            }
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
}

fn decode(text: &str) -> Result<String, ActionError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
                return Err(wrong("a % in a link is followed by two hex digits".to_owned()));
            };
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong("a link is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let script = "seed 3\nnode n1\nproducer p topic=t # é\n".parse().unwrap();
        let edit = |step, action: &str| Edit {
            position: Position { step, at: Instant::from_nanos(step * 10) },
            action: action.parse().unwrap(),
        };
        let edits = vec![edit(4, "publish p body=a;b&c=d 100%"), edit(9, "kill n1")];
        let at = Some(Position { step: 12, at: Instant::from_nanos(34) });
        let text = Link { script, edits, at, hash: Some(0xabc), behaviour: Some(7) }.put();
        let read = Link::parse(&text).unwrap();
        assert_eq!(read.put(), text);
        assert_eq!(read.edits[0].action.to_string(), "publish p body=a;b&c=d 100%");
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        let by_hand = Link::parse("#seed=5&s=first-message&e=2@7 kill n1").unwrap();
        assert_eq!((by_hand.script.seed, by_hand.edits[0].position.step), (5, 2));
    }

    #[test]
    fn a_link_of_another_behaviour_is_known_by_its_number_or_by_having_none() {
        let other = |text: &str| Link::parse(text).unwrap().other_behaviour();
        assert_eq!(other("seed=5&s=first-message&h=abc"), Some(1));
        assert_eq!(other("seed=5&s=first-message&b=1&at=3@4"), Some(1));
        assert_eq!(other("seed=5&s=first-message&b=4000000000&e=2@7 kill n1"), Some(4_000_000_000));
        assert_eq!(other(&format!("seed=5&s=first-message&b={BEHAVIOUR}&h=abc")), None);
        assert_eq!(other("seed=5&s=first-message"), None, "it only names a beginning");
    }

    #[test]
    fn what_is_no_link_is_refused() {
        for bad in [
            "seed",
            "seed=x",
            "s=nothing",
            "e=1 kill n1",
            "e=1@2 nothing",
            "at=5",
            "h=xyz",
            "b=-1",
            "b=",
            "x=1",
            "s=%zz",
        ] {
            assert!(Link::parse(bad).is_err(), "{bad}");
        }
    }
}
