//! One executable that is every program: it looks at the name that it was called by. `nsqd` is a link to `sansq`, or a copy of it
//! under that name; `sansq nsqd` is the same. So the code that all programs share is linked, optimised and shipped once.
//!
//! `sansq install DIRECTORY` makes the names.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Command;

use crate::config::{NsqadminOptions, NsqdOptions, NsqlookupdOptions, describe};
use crate::tools::{self, nsq_stat, nsq_tail, nsq_to_file, nsq_to_http, nsq_to_nsq, to_nsq};
use crate::{admin, daemon, lookupd, one_command};

/// One of NSQ's programs.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name that it is called by.
    pub name: &'static str,
    /// Runs it with the words behind its name, to its exit code.
    pub(crate) run: fn(Vec<OsString>) -> ExitCode,
    /// Describes its flags, for completions.
    pub(crate) describe: fn() -> Command,
}

/// All but `sansq` itself: the daemons, then the tools.
pub const PROGRAMS: [Program; 9] = [
    Program { name: "nsqd", run: daemon::main, describe: describe::<NsqdOptions> },
    Program { name: "nsqlookupd", run: lookupd::main, describe: describe::<NsqlookupdOptions> },
    Program { name: "nsqadmin", run: admin::main, describe: describe::<NsqadminOptions> },
    Program {
        name: "nsq_stat",
        run: |args| tools::main(args, nsq_stat::run),
        describe: describe::<nsq_stat::NsqStatOptions>,
    },
    Program {
        name: "nsq_tail",
        run: |args| tools::main(args, nsq_tail::run),
        describe: describe::<nsq_tail::NsqTailOptions>,
    },
    Program {
        name: "nsq_to_file",
        run: |args| tools::main(args, nsq_to_file::run),
        describe: describe::<nsq_to_file::NsqToFileOptions>,
    },
    Program {
        name: "nsq_to_http",
        run: |args| tools::main(args, nsq_to_http::run),
        describe: describe::<nsq_to_http::NsqToHttpOptions>,
    },
    Program {
        name: "nsq_to_nsq",
        run: |args| tools::main(args, nsq_to_nsq::run),
        describe: describe::<nsq_to_nsq::NsqToNsqOptions>,
    },
    Program { name: "to_nsq", run: |args| tools::main(args, to_nsq::run), describe: describe::<to_nsq::ToNsqOptions> },
];

/// The process. `args`: the name that it was called by, and the words behind it.
pub fn main(args: Vec<OsString>) -> ExitCode {
    match args.first().and_then(|name| called(name)) {
        Some(program) => (program.run)(args[1..].to_vec()),
        None => one_command::main(args),
    }
}

/// The program of exactly this name.
pub(crate) fn named(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == name)
}

/// The program that is meant by a process's name: a path whose last part is a program's name, or begins with one and goes on with
/// something that is no letter (`/opt/nsqd-1.3`, `nsqd.new`). `None` is `sansq`.
fn called(name: &OsStr) -> Option<&'static Program> {
    let name = Path::new(name).file_name()?.to_str()?;
    PROGRAMS.iter().find(|program| {
        let rest = name.strip_prefix(program.name);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides() {
        let name_of = |name: &str| called(OsStr::new(name)).map(|program| program.name);
        for (name, program) in [
            ("nsqd", Some("nsqd")),
            ("/usr/local/bin/nsqlookupd", Some("nsqlookupd")),
            ("./nsq_to_nsq", Some("nsq_to_nsq")),
            ("nsqd-1.3", Some("nsqd")),
            ("nsqd.new", Some("nsqd")),
            ("sansq", None),
            ("/nsqd/sansq", None),
            ("nsqdx", None),
            ("nsqd_old", None),
            ("", None),
            ("/", None),
        ] {
            assert_eq!(name_of(name), program, "{name}");
        }
    }
}
