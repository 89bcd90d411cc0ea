//! The command line, by the rules of Go's `flag` package.
//!
//! - `-x` and `--x` are the same. `-x=v` and `-x v` too, except that a switch only takes `-x=v`.
//! - The first word that is no flag ends the flags, and so do `-` and `--`. What follows is reported, not read:
//!   nsqd drops it silently, which turns `--snappy false --tls-required` into a daemon without TLS.
//! - Given twice, the last one counts; lists grow.

use super::flags::{all_flags, find_flag, suggest};
use super::number::parse_bool;
use super::{Builtin, Flag, OptionSet, OptionValue, Role, Source, UsageError};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the command line says.
#[derive(Debug, Default)]
pub(super) struct CommandLine<O> {
    /// Options, with the flags given applied to the defaults.
    pub(super) options: O,
    /// `--config`.
    pub(super) config: PathBuf,
    /// What to print instead of running.
    pub(super) print: Option<Print>,
    /// The words after the last flag.
    pub(super) ignored: Vec<String>,
}

/// Something to print instead of running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Print {
    Help,
    Version,
    Completions(Shell),
    Man,
}

/// Reads the arguments after the program's name.
///
/// As in Go, `-h` ends the reading: what follows it cannot be wrong any more.
pub(super) fn parse<O: OptionSet>(args: impl Iterator<Item = OsString>) -> Result<CommandLine<O>, UsageError> {
    let mut line = CommandLine { options: O::default(), config: PathBuf::new(), print: None, ignored: Vec::new() };
    let args = args
        .map(|arg| arg.into_string().map_err(|arg| UsageError::NotUtf8(arg.to_string_lossy().into_owned())))
        .collect::<Result<Vec<_>, _>>()?;
    let mut args = args.into_iter().peekable();

    while let Some(word) = args.next_if(|word| word.len() > 1 && word.starts_with('-')) {
        if word == "--" {
            break;
        }
        let (name, value) = split_flag(&word)?;
        let Some(flag) = find_flag::<O>(name) else {
            if matches!(name, "h" | "help") {
                line.print = Some(Print::Help);
                return Ok(line);
            }
            let suggestion = suggest(&name.replace('_', "-"), all_flags::<O>().map(|flag| flag.name.to_owned()));
            return Err(UsageError::Undefined { name: name.to_owned(), suggestion });
        };
        let value = match value {
            Some(value) => value.to_owned(),
            None if is_switch(flag, &line.options) => "true".to_owned(),
            None => args.next().ok_or(UsageError::MissingValue(flag.name))?,
        };
        line.apply(flag, &value)?;
        if line.print == Some(Print::Help) {
            return Ok(line);
        }
    }
    line.ignored = args.collect();
    Ok(line)
}

/// `-name`, `--name`, `--name=value`.
fn split_flag(word: &str) -> Result<(&str, Option<&str>), UsageError> {
    let body = word.strip_prefix("--").or_else(|| word.strip_prefix('-')).unwrap_or(word);
    if body.is_empty() || body.starts_with(['-', '=']) {
        return Err(UsageError::Syntax(word.to_owned()));
    }
    Ok(match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    })
}

/// The flag never takes the next word.
fn is_switch<O>(flag: &Flag<O>, options: &O) -> bool {
    match flag.role {
        Role::Builtin(builtin) => builtin.is_switch(),
        Role::Option { get, .. } => get(options).kind().switch,
    }
}

impl<O: OptionSet> CommandLine<O> {
    fn apply(&mut self, flag: &'static Flag<O>, value: &str) -> Result<(), UsageError> {
        match flag.role {
            Role::Option { get_mut, .. } => {
                let field = get_mut(&mut self.options);
                field.set_text(value).map_err(|reason| bad_value(flag, &*field, value, &reason))?;
                self.options.sources_mut().note(flag.name, Source::Flag);
            }
            Role::Builtin(Builtin::Config) => self.config = value.into(),
            Role::Builtin(Builtin::Completions) => self.print = Some(Print::Completions(parse_shell(flag, value)?)),
            Role::Builtin(Builtin::Help) => self.print = parse_switch(flag, value)?.then_some(Print::Help),
            Role::Builtin(Builtin::Version) => self.print = parse_switch(flag, value)?.then_some(Print::Version),
            Role::Builtin(Builtin::Man) => self.print = parse_switch(flag, value)?.then_some(Print::Man),
            Role::Builtin(Builtin::Deprecated) => drop(parse_switch(flag, value)?),
        }
        Ok(())
    }
}

fn bad_value<O>(flag: &Flag<O>, field: &dyn OptionValue, value: &str, reason: &impl ToString) -> UsageError {
    let kind = field.kind();
    UsageError::BadValue {
        name: flag.name,
        switch: kind.switch,
        value: value.to_owned(),
        reason: reason.to_string(),
        accepts: kind.accepts.into_owned(),
    }
}

fn parse_switch<O>(flag: &Flag<O>, value: &str) -> Result<bool, UsageError> {
    parse_bool(value).ok_or_else(|| bad_value(flag, &false, value, &"not a boolean"))
}

fn parse_shell<O>(flag: &Flag<O>, value: &str) -> Result<Shell, UsageError> {
    match value {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err(UsageError::BadValue {
            name: flag.name,
            switch: false,
            value: value.to_owned(),
            reason: "no such shell".to_owned(),
            accepts: "bash, zsh, fish".to_owned(),
        }),
    }
}
