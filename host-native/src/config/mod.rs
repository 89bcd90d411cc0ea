//! Options of the daemons and tools: one table per program, everything else derived from it.
//!
//! A program states its options once, with `options!`: name, type, default and help text of each flag, in
//! groups. From that table come the typed struct, command-line parsing (`args`), the config file (`file`), the
//! `--help` page (`help`), `GET /config/:opt` ([`read_option`]) and shell completions (`command`). The table of
//! nsqd is in [`nsqd`], those of nsqlookupd and nsqadmin in [`nsqlookupd`] and [`nsqadmin`]; nothing outside them knows a flag
//! of theirs.
//!
//! Precedence is command line, then config file, then default. No environment variable sets an option.
//!
//! # Why clap does not parse
//!
//! The flags must mean what Go's `flag` package makes of them: `-x` is `--x`, a bare word ends the flags, a boolean
//! never takes the next word, a value may begin with a dash, `--` may be a value. Bending clap to that takes a pre-pass
//! that is already the whole parser (`args` is about a hundred lines), so clap only gets a description made from
//! the table, for completions and man pages.

mod address;
mod args;
mod command;
mod duration;
mod error;
mod file;
mod flags;
mod help;
mod load;
pub mod nsqadmin;
pub mod nsqd;
pub mod nsqlookupd;
mod number;
mod value;

pub use address::{BadListenAddress, ListenAddress};
pub use command::{completion_script, completions, describe, man_page, manual};
pub use duration::{BadDuration, format_duration, format_duration_seconds, parse_duration};
pub use error::{ConfigError, FileError, UsageError};
pub use flags::{Builtin, Flag, Group, OptionSet, Program, Role, Source, Sources, find_flag, read_option};
pub(crate) use flags::{options, suggest};
pub use help::{help_page, usage_page};
pub use load::{Loaded, Outcome, load, load_or_exit, start_logging};
pub use nsqadmin::NsqadminOptions;
pub use nsqd::NsqdOptions;
pub use nsqlookupd::NsqlookupdOptions;
pub use value::{BadValue, Choice, Kind, OptionValue, Percentiles};

/// The NSQ release whose behaviour the daemons have, and the version they report.
pub const NSQ_VERSION: &str = "1.3.0";

/// What `--version` prints, in nsqd's form: `nsqd v1.3.0 (built w/sansq 0.1.0)`. The tools have no more than `nsq_tail v1.3.0`.
pub fn version_text(program: &str) -> String {
    if program.contains('_') {
        return format!("{program} v{NSQ_VERSION}");
    }
    format!("{program} v{NSQ_VERSION} (built w/sansq {})", env!("CARGO_PKG_VERSION"))
}

/// The host's name, as the system says it.
pub(crate) fn hostname() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}
