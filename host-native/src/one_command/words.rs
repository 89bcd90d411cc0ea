//! The words of the small commands: flags that take a value, anywhere before `--`, and the rest. nsqd's own flags are read
//! by [`crate::config`], by Go's rules; these are ours, and few.

use std::collections::BTreeMap;
use std::ffi::OsString;

use thiserror::Error;

/// Words that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Misuse {
    #[error(
        "there is no command {0:?}: it starts a broker, or takes pub, tail, ping, sim, nsqd, nsqlookupd or nsqadmin. `sansq --help` explains each"
    )]
    NoSuchCommand(String),
    #[error(
        "{command} has no flag {flag}; a message that begins with a dash goes after `--`. See `sansq {command} --help`"
    )]
    NoSuchFlag { command: &'static str, flag: String },
    #[error("--{0} needs a value")]
    NoValue(&'static str),
    #[error("{value:?} does not do for {what}: {why}")]
    BadValue { what: &'static str, value: String, why: String },
    #[error("{command} needs a topic: sansq {usage}")]
    NoTopic { command: &'static str, usage: &'static str },
    #[error("{0:?} is one word too many")]
    TooMany(String),
    /// A flag of nsqd that it does not take.
    #[error("{0}\n`sansq nsqd --help` explains every flag")]
    Nsqd(String),
}

/// A command's words, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// What was given for each flag, the last time it was given.
    pub(super) flags: BTreeMap<&'static str, String>,
    /// Words that are no flags, in order.
    pub(super) others: Vec<OsString>,
    /// `--help` is among them.
    pub(super) help: bool,
}

impl Words {
    /// Sorts the words of `command`, whose flags are `known`. One letter is a flag with one dash or two.
    pub(super) fn sort(command: &'static str, known: &[&'static str], args: Vec<OsString>) -> Result<Self, Misuse> {
        let mut words = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let flag = match arg.to_str() {
                Some("--") => {
                    words.others.extend(args);
                    break;
                }
                Some(text) if text.len() > 1 => {
                    text.strip_prefix('-').map(|flag| flag.strip_prefix('-').unwrap_or(flag))
                }
                _ => None,
            };
            let Some(flag) = flag else {
                words.others.push(arg);
                continue;
            };
            let (name, value) =
                flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value.to_owned())));
            if matches!(name, "h" | "help") {
                words.help = true;
                continue;
            }
            let Some(&name) = known.iter().find(|known| **known == name) else {
                return Err(Misuse::NoSuchFlag { command, flag: arg.to_string_lossy().into_owned() });
            };
            let value = match value {
                Some(value) => value,
                None => args.next().and_then(|arg| arg.into_string().ok()).ok_or(Misuse::NoValue(name))?,
            };
            words.flags.insert(name, value);
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(text: &str) -> Result<Words, Misuse> {
        Words::sort("tail", &["channel", "n"], text.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn flags_may_stand_anywhere_before_two_dashes() {
        let words = sort("greetings --channel=c -n 3 - -- --channel").unwrap();
        assert_eq!(words.flags, BTreeMap::from([("channel", "c".to_owned()), ("n", "3".to_owned())]));
        assert_eq!(words.others, ["greetings", "-", "--channel"]);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(sort("t -n"), Err(Misuse::NoValue("n")));
        assert_eq!(sort("--chanel c"), Err(Misuse::NoSuchFlag { command: "tail", flag: "--chanel".to_owned() }));
        assert!(sort("--help").unwrap().help);
    }
}
