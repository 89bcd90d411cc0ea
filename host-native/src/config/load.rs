//! From arguments to options: defaults, config file, flags; or a text to print; or an error with its exit code.

use super::args::{self, CommandLine};
use super::{ConfigError, OptionSet, file, usage_page};
use crate::log::{self, LogFormat, LogHandle, LogLevel};
use crate::terminal;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Options as they were given, not yet checked for sense.
#[derive(Debug)]
pub struct Loaded<O> {
    /// The options.
    pub options: O,
    /// What to tell the operator once logging works.
    pub warnings: Vec<String>,
    /// Words on the command line that come after the flags and mean nothing.
    pub ignored: Vec<String>,
}

/// What the arguments ask for.
#[derive(Debug)]
pub enum Outcome<O> {
    /// Run with these options.
    Run(Box<Loaded<O>>),
    /// Print this on standard output and end with success.
    Print(String),
}

/// Reads the arguments after the program's name, and the config file they name.
///
/// `colours`: whether a help page may have them.
pub fn load<O: OptionSet>(args: impl IntoIterator<Item = OsString>, colours: bool) -> Result<Outcome<O>, ConfigError> {
    let CommandLine { mut options, config, print, ignored } = args::parse::<O>(args.into_iter())?;
    if let Some(print) = print {
        return Ok(Outcome::Print(print.text::<O>(colours)));
    }
    let mut warnings = if config.as_os_str().is_empty() { Vec::new() } else { file::load(&config, &mut options)? };
    if let Some(first) = ignored.first() {
        let rest = ignored.len();
        warnings.push(format!(
            "{rest} argument(s) from {first:?} on are ignored: flags end at the first word that is none \
             (a switch takes its value only as --switch=value)"
        ));
    }
    Ok(Outcome::Run(Box::new(Loaded { options, warnings, ignored })))
}

/// [`load`] for a `main`: everything but a run is already printed. The error is the exit code to end with.
///
/// `log_prefix`: what the line about an unusable config file starts with.
pub fn load_or_exit<O: OptionSet>(
    args: impl IntoIterator<Item = OsString>,
    log_prefix: &str,
) -> Result<Loaded<O>, ExitCode> {
    match load::<O>(args, terminal::wants_colours(&std::io::stdout())) {
        Ok(Outcome::Run(loaded)) => Ok(*loaded),
        Ok(Outcome::Print(text)) => {
            // A reader that went away (`| head`) is no failure.
            drop(std::io::stdout().write_all(text.as_bytes()));
            Err(ExitCode::SUCCESS)
        }
        Err(error) => {
            match &error {
                ConfigError::Usage(usage) => {
                    let text = format!("{usage}\n{}", usage_page::<O>(usage.flag()));
                    drop(std::io::stderr().write_all(text.as_bytes()));
                }
                ConfigError::File(file) => log::fatal_line(log_prefix, &file.to_string()),
            }
            Err(ExitCode::from(error.exit_code()))
        }
    }
}

/// Starts logging, first what there is to warn of. The error is the exit code to end with; why is said.
pub fn start_logging(
    prefix: &str,
    level: LogLevel,
    format: LogFormat,
    warnings: &[String],
) -> Result<LogHandle, ExitCode> {
    let log = log::init(prefix, level, format).map_err(|error| {
        log::fatal_line(prefix, &error.to_string());
        ExitCode::FAILURE
    })?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(log)
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
