//! A description of the program for clap, made from the table: source of shell completions and man pages.
//!
//! clap never parses with it; see the module above for why.

use super::args::Print;
use super::{Builtin, Flag, OptionSet, Role, version_text};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::Shell;

/// The program as clap would declare it.
pub fn describe<O: OptionSet>() -> Command {
    let defaults = O::default();
    let program = O::PROGRAM;
    let mut command = Command::new(program.name)
        .about(program.title)
        .long_about(program.about)
        .version(version_text(program.name))
        .disable_help_flag(true)
        .disable_version_flag(true);
    for group in O::groups() {
        command = command.next_help_heading(group.title);
        for flag in group.flags {
            command = command.arg(describe_flag(flag, &defaults));
        }
    }
    command
}

fn describe_flag<O>(flag: &'static Flag<O>, defaults: &O) -> Arg {
    let arg = Arg::new(flag.name).long(flag.name).help(first_sentence(flag.help)).long_help(flag.help);
    match flag.role {
        Role::Builtin(Builtin::Config) => arg.value_hint(ValueHint::FilePath),
        Role::Builtin(Builtin::Completions) => arg.value_parser(PossibleValuesParser::new(["bash", "zsh", "fish"])),
        Role::Builtin(Builtin::Help | Builtin::Version | Builtin::Man | Builtin::Deprecated) => {
            arg.action(ArgAction::SetTrue)
        }
        Role::Option { get, .. } => {
            let kind = get(defaults).kind();
            let arg = arg.value_name(flag.placeholder.unwrap_or(kind.placeholder));
            let arg = match kind.choices.as_slice() {
                [] if kind.switch => arg.value_parser(PossibleValuesParser::new(["true", "false"])),
                [] => arg,
                choices => arg.value_parser(PossibleValuesParser::new(choices.to_vec())),
            };
            let arg = if kind.switch { arg.num_args(0..=1).require_equals(true) } else { arg };
            let arg = if kind.path { arg.value_hint(ValueHint::AnyPath) } else { arg };
            if kind.repeatable { arg.action(ArgAction::Append) } else { arg }
        }
    }
}

/// Up to the first full stop that ends a sentence.
pub(super) fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}

/// The completion script of the program for `shell`.
pub fn completions<O: OptionSet>(shell: Shell) -> String {
    completion_script(describe::<O>(), shell)
}

/// The completion script of any program for `shell`.
pub fn completion_script(mut command: Command, shell: Shell) -> String {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The page for `man` of the program, as roff.
pub fn man_page<O: OptionSet>() -> String {
    let program = O::PROGRAM;
    let examples: Vec<_> =
        program.examples.iter().map(|(command, does)| format!("  {command}\n      {does}")).collect();
    let mut command = describe::<O>();
    if !examples.is_empty() {
        command = command.after_help(format!("Examples:\n\n{}", examples.join("\n")));
    }
    manual(command)
}

/// The page for `man` of any program, as roff.
pub fn manual(command: Command) -> String {
    let mut page = Vec::new();
    // Writing to memory does not fail.
    drop(clap_mangen::Man::new(command).render(&mut page));
    String::from_utf8_lossy(&page).into_owned()
}

impl Print {
    /// What to print on standard output.
    pub(super) fn text<O: OptionSet>(self, colours: bool) -> String {
        match self {
            Self::Help => super::help_page::<O>(colours),
            Self::Version => version_text(O::PROGRAM.name) + "\n",
            Self::Completions(shell) => completions::<O>(shell),
            Self::Man => man_page::<O>(),
        }
    }
}
