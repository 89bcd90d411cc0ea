//! `sansq`, the one command: a broker on this machine and the two commands that put a first message through it.
//!
//! `sansq` alone is nsqd with other defaults, and nsqlookupd and nsqadmin beside it (`broker`): loopback only, a data directory of its
//! own, and words instead of log lines. `sansq pub` and `sansq tail` are small clients, for a newcomer who has no other.
//! `sansq ping` is for health checks, `sansq sim` is the simulator, `sansq install` makes the names of NSQ's programs; `sansq nsqd`
//! and its like are those programs themselves ([`crate::programs`]). Nothing here decides what a broker does.

mod broker;
mod connect;
mod describe;
mod discovery;
mod install;
mod ping;
mod publish;
mod screen;
mod sim;
mod tail;
mod words;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::process::ExitCode;

use crate::config::version_text;
use crate::programs;
use crate::terminal::{Paint, wants_colours};
use words::Misuse;

/// What a command that did not do its work ends with.
#[derive(Debug)]
enum Failure {
    /// The words make no sense.
    Misuse(Misuse),
    /// The words are fine, the world is not.
    Failed(anyhow::Error),
    /// Everything is said.
    Said(ExitCode),
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// The sansq process. `args`: its name, and the words after it.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let words = args.get(1..).unwrap_or_default();
    let rest = || words[1..].to_vec();
    let result = match words.first().and_then(|word| word.to_str()) {
        Some("pub") => publish::run(rest()),
        Some("tail") => tail::run(rest()),
        Some("ping") => ping::run(rest()),
        Some("sim") => sim::run(rest()),
        Some("install") => install::run(rest()),
        Some("help" | "-h" | "-help" | "--help") => {
            print(&screen::help(Paint(wants_colours(&std::io::stdout()))));
            Ok(())
        }
        Some("-version" | "--version") => {
            print(&format!("{}\n", version_text("sansq")));
            Ok(())
        }
        Some("-man" | "--man") => {
            print(&describe::man_page());
            Ok(())
        }
        Some("-completions" | "--completions") => {
            describe::completions(words.get(1)).map(|script| print(&script)).map_err(Failure::from)
        }
        Some(word) if !word.starts_with('-') => match programs::named(word) {
            Some(program) => return (program.run)(rest()),
            None => Err(Misuse::no_such_command(word).into()),
        },
        Some(_) | None => broker::run(words.to_vec()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Said(code)) => code,
        Err(Failure::Misuse(misuse)) => {
            complain(&misuse);
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            complain(&format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output. A reader that went away (`| head`) is no failure.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// A line for who looks on, beside what a command is for. Nobody may be there.
fn remark(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

fn complain(what: &dyn std::fmt::Display) {
    drop(writeln!(std::io::stderr(), "sansq: {what}"));
}

/// How this program is called again from the same shell: by the name that was used if the shell found it, and else by its
/// path, from here if it is below here.
fn own_command() -> String {
    let named = std::env::args_os().next().unwrap_or_default();
    if !named.is_empty() && !named.as_encoded_bytes().contains(&b'/') {
        return quoted(&named);
    }
    let Ok(path) = std::env::current_exe() else { return quoted(&named) };
    match std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()) {
        Some(below) => quoted(std::path::Path::new(".").join(below).as_os_str()),
        None => quoted(path.as_os_str()),
    }
}

/// `word` as a shell takes it for one word.
fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for (word, expected) in [
            ("./target/release/sansq", "./target/release/sansq"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("[::1]:4150", "'[::1]:4150'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(OsStr::new(word)), expected);
        }
    }
}
