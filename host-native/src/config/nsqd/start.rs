//! The first steps of the nsqd process: options, logging, and whether to go on.

use super::check::check_ignored;
use super::{InvalidOptions, NsqdOptions};
use crate::config::{Loaded, load_or_exit, start_logging};
use crate::fatal;
use crate::log::LogHandle;
use std::ffi::OsString;
use std::process::ExitCode;
use tracing::warn;

/// Reads the options of nsqd from `args`, the words after the program's name, and goes on as [`begin`] does.
pub fn start(args: impl IntoIterator<Item = OsString>) -> Result<(NsqdOptions, LogHandle), ExitCode> {
    // nsqd says this before it has read --log-prefix, and so with the default.
    begin(load_or_exit::<NsqdOptions>(args, "[nsqd] ")?)
}

/// Starts logging, and checks that nsqd can run as asked.
///
/// If the process should end instead, everything is said and the error is its exit code.
pub fn begin(loaded: Loaded<NsqdOptions>) -> Result<(NsqdOptions, LogHandle), ExitCode> {
    let Loaded { options, warnings, ignored } = loaded;
    let log = start_logging(&options.log_prefix, options.log_level, options.log_format, &warnings)?;
    match check(options, &ignored) {
        Ok(options) => Ok((options, log)),
        Err(error) => {
            fatal!("failed to instantiate nsqd - {error}");
            Err(ExitCode::FAILURE)
        }
    }
}

/// All checks; what only deserves a warning is logged.
fn check(options: NsqdOptions, ignored: &[String]) -> Result<NsqdOptions, InvalidOptions> {
    check_ignored(ignored)?;
    let options = options.checked()?;
    for name in options.unknown_experiments() {
        warn!("--enable-experiment: there is no experiment {name:?}");
    }
    Ok(options)
}
