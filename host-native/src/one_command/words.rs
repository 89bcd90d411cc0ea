//! The words of the small commands: flags that take a value, anywhere before `--`, and the rest. nsqd's own flags are read
//! by [`crate::config`], by Go's rules; these are ours, and few.

use std::collections::BTreeMap;
use std::ffi::OsString;

use thiserror::Error;

use crate::config::suggest;
use crate::programs::PROGRAMS;

/// Words that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Misuse {
    #[error(
        "there is no command {word:?}{}: it starts a broker, or takes {COMMANDS}. `sansq --help` explains each",
        meant("", suggestion)
    )]
    NoSuchCommand { word: String, suggestion: Option<String> },
    #[error(
        "{command} has no flag {flag}{}{}. See `sansq {command} --help`",
        meant("--", suggestion),
        after_dashes(command)
    )]
    NoSuchFlag { command: &'static str, flag: String, suggestion: Option<String> },
    #[error("--{0} needs a value")]
    NoValue(&'static str),
    #[error("{value:?} does not do for {what}: {why}")]
    BadValue { what: &'static str, value: String, why: String },
    #[error("{command} needs {what}: sansq {usage}")]
    NoWord { command: &'static str, what: &'static str, usage: &'static str },
    #[error("{0:?} is one word too many")]
    TooMany(String),
    /// A flag of nsqd that it does not take.
    #[error("{0}\n`sansq nsqd --help` explains every flag")]
    Nsqd(String),
}

/// What `sansq` takes, for whoever mistyped.
const COMMANDS: &str = "pub, tail, ping, sim, install, or the name of one of NSQ's programs, such as nsqd";
/// The commands that are ours, for whoever mistyped one.
const OWN_COMMANDS: [&str; 5] = ["pub", "tail", "ping", "sim", "install"];

fn meant(dashes: &str, suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!(" (did you mean {dashes}{name}?)")).unwrap_or_default()
}

/// What else may have been meant by a word with a dash.
fn after_dashes(command: &str) -> &'static str {
    if command == "pub" { "; a message that begins with a dash goes after `--`" } else { "" }
}

impl Misuse {
    /// `word` is not the name of a command.
    pub(super) fn no_such_command(word: &str) -> Self {
        let commands = OWN_COMMANDS.into_iter().chain(PROGRAMS.map(|program| program.name));
        Self::NoSuchCommand { word: word.to_owned(), suggestion: suggest(word, commands.map(str::to_owned)) }
    }
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
                let flag = arg.to_string_lossy().into_owned();
                let suggestion = suggest(name, known.iter().map(|&known| known.to_owned()));
                return Err(Misuse::NoSuchFlag { command, flag, suggestion });
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
        let said = |text| sort(text).unwrap_err().to_string();
        assert_eq!(said("--chanel c"), "tail has no flag --chanel (did you mean --channel?). See `sansq tail --help`");
        assert_eq!(said("-x"), "tail has no flag -x. See `sansq tail --help`");
        let said = |word| Misuse::no_such_command(word).to_string();
        assert!(
            said("tial")
                .starts_with("there is no command \"tial\" (did you mean tail?): it starts a broker, or takes ")
        );
        assert!(said("frobnicate").starts_with("there is no command \"frobnicate\": "));
        assert!(sort("--help").unwrap().help);
    }
}
