//! What `sansq` takes, all commands together, for shells that complete words and for `man`.

use std::ffi::OsString;

use clap::{Arg, Command};
use clap_complete::Shell;

use super::words::Misuse;
use super::{connect, screen, sim, tail};
use crate::config::{NsqdOptions, completion_script, describe, manual, version_text};
use crate::programs::PROGRAMS;
use crate::terminal::Paint;

/// The script for the shell of this name.
pub(super) fn completions(shell: Option<&OsString>) -> Result<String, Misuse> {
    let shell = shell.ok_or(Misuse::NoValue("completions"))?.to_string_lossy();
    let shell = match &*shell {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        other => {
            let why = "it takes bash, zsh or fish".to_owned();
            return Err(Misuse::BadValue { what: "--completions", value: other.to_owned(), why });
        }
    };
    Ok(completion_script(command().subcommands(commands()), shell))
}

/// The page for `man`, as roff.
pub(super) fn man_page() -> String {
    manual(command().long_about(screen::HOW_IT_WORKS).after_help(screen::commands(Paint(false))))
}

/// `sansq` alone: nsqd's flags.
fn command() -> Command {
    describe::<NsqdOptions>()
        .name("sansq")
        .about("a message queue: the NSQ broker, in one command")
        .version(version_text("sansq"))
        .disable_help_subcommand(true)
}

fn commands() -> impl Iterator<Item = Command> {
    let small = [
        ("pub", "Publishes messages", &[connect::ADDRESS_FLAG][..]),
        ("tail", "Prints messages as they come", &tail::FLAGS),
        ("ping", "Asks a daemon whether it is well", &[]),
        ("sim", "The simulator", &sim::FLAGS),
        ("install", "Makes NSQ's programs in a directory", &[]),
    ];
    let small = small.into_iter().map(|(name, about, flags)| {
        let command = Command::new(name).about(about).disable_help_flag(true).arg(flag("help"));
        command.args(flags.iter().map(|&name| flag(name).num_args(1)))
    });
    small.chain(PROGRAMS.map(|program| (program.describe)()))
}

fn flag(name: &'static str) -> Arg {
    let flag = Arg::new(name).num_args(0);
    match name.chars().next() {
        Some(letter) if name.len() == 1 => flag.short(letter),
        _ => flag.long(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_is_told_of_every_command() {
        for shell in ["bash", "zsh", "fish"] {
            let script = completions(Some(&shell.into())).unwrap();
            for word in ["tail", "install", "nsqlookupd", "nsq_to_file", "--channel", "--msg-timeout", "--scenario"] {
                assert!(script.contains(word.trim_start_matches('-')), "{shell}: {word}");
            }
        }
        assert_eq!(completions(None), Err(Misuse::NoValue("completions")));
        let said = completions(Some(&"tcsh".into())).unwrap_err().to_string();
        assert_eq!(said, "\"tcsh\" does not do for --completions: it takes bash, zsh or fish");
    }

    #[test]
    fn the_manual_is_of_this_program() {
        let page = man_page();
        assert!(page.contains(".TH sansq 1") && page.contains("sansq tail TOPIC"), "{page}");
    }
}
