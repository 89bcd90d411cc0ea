//! What can be wrong with the options before the program has looked at what they mean.

use super::BadValue;
use std::io;
use thiserror::Error;

/// The command line does not parse. Printed with a short usage text, exit code 2.
///
/// The first line of each text is the one of Go's `flag` package, as scripts may look for it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsageError {
    /// Something with a dash that is no flag: `---x`, `-=x`.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// No such flag.
    #[error("flag provided but not defined: -{name}{}", did_you_mean(.suggestion))]
    Undefined {
        /// As it was given.
        name: String,
        /// The flag it was probably meant to be.
        suggestion: Option<String>,
    },
    /// The last word is a flag that wants a value.
    #[error("flag needs an argument: -{0}")]
    MissingValue(&'static str),
    /// A value that the flag does not take.
    #[error("invalid {}value {value:?} for {}-{name}: {reason}; accepted: {accepts}",
        if *.switch { "boolean " } else { "" }, if *.switch { "" } else { "flag " })]
    BadValue {
        /// The flag.
        name: &'static str,
        /// The flag is a switch: Go words that differently.
        switch: bool,
        /// What was given.
        value: String,
        /// Why not.
        reason: String,
        /// What it takes.
        accepts: String,
    },
    /// An argument that is no text.
    #[error("argument is not valid UTF-8: {0}")]
    NotUtf8(String),
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!("\ndid you mean --{name}?")).unwrap_or_default()
}

impl UsageError {
    /// The flag that was given a value it does not take.
    pub fn flag(&self) -> Option<&'static str> {
        match self {
            Self::BadValue { name, .. } | Self::MissingValue(name) => Some(name),
            Self::Syntax(_) | Self::Undefined { .. } | Self::NotUtf8(_) => None,
        }
    }
}

/// The config file cannot be used. Logged as FATAL, exit code 1.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("failed to load config file {path} - open {path}: {}", plain_io_error(.source))]
    Read {
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// It is no TOML.
    #[error("failed to load config file {path} - line {line}: {message}")]
    Syntax {
        /// The file.
        path: String,
        /// Where, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// An option has a value that it does not take.
    #[error("failed parsing {key} {value} - {reason}; accepted: {accepts} (in {path})")]
    BadValue {
        /// The file.
        path: String,
        /// The option's name in the file.
        key: String,
        /// What was given.
        value: String,
        /// Why not.
        reason: BadValue,
        /// What it takes.
        accepts: String,
    },
}

/// The system's reason without Rust's trailing number: `no such file or directory`.
fn plain_io_error(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Options could not be loaded.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// From the command line.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// From the config file.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ConfigError {
    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::File(_) => 1,
        }
    }
}
