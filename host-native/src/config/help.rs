//! The `--help` page, and the short text that goes with a usage error.
//!
//! Written to teach: groups in the order of an operator's questions, each flag with what it does to the daemon and
//! its default. Colours are the caller's decision ([`super::load()`] asks the terminal and `NO_COLOR`).

use super::{Builtin, Flag, OptionSet, OptionValue, Role, find_flag};
use crate::terminal::Paint;

const WIDTH: usize = 88;
const INDENT: &str = "      ";

/// The whole page.
pub fn help_page<O: OptionSet>(colours: bool) -> String {
    let paint = Paint(colours);
    let program = O::PROGRAM;
    let defaults = O::default();
    let mut page = format!("{} - {}\n\n", paint.flag(program.name), program.title);
    for paragraph in program.about.split("\n\n") {
        wrap_into(&mut page, paragraph, "");
        page.push('\n');
    }
    page += &format!("{}\n  {} [flags]\n\n", paint.heading("Usage"), program.name);
    if !program.examples.is_empty() {
        page += &format!("{}\n", paint.heading("Examples"));
        for (command, does) in program.examples {
            page += &format!("  {}\n", paint.flag(command));
            wrap_into(&mut page, does, INDENT);
        }
        page.push('\n');
    }
    for group in O::groups() {
        page += &format!("{}\n", paint.heading(group.title));
        wrap_into(&mut page, group.intro, "  ");
        page.push('\n');
        for flag in group.flags {
            describe_flag(&mut page, flag, &defaults, paint);
        }
        page.push('\n');
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// A few lines for someone who mistyped; if it is known which flag they meant to use, with its explanation.
pub fn usage_page<O: OptionSet>(flag: Option<&str>) -> String {
    let name = O::PROGRAM.name;
    let mut page = format!("Usage of {name}:\n");
    if let Some(flag) = flag.and_then(find_flag::<O>) {
        describe_flag(&mut page, flag, &O::default(), Paint(false));
    }
    page += &format!("  {name} [flags], where {name} --help explains every flag\n");
    page
}

fn describe_flag<O: OptionSet>(page: &mut String, flag: &Flag<O>, defaults: &O, paint: Paint) {
    *page += "  ";
    if matches!(flag.role, Role::Builtin(Builtin::Help)) {
        *page += &paint.flag("-h");
        *page += ", ";
    }
    *page += &paint.flag(&format!("--{}", flag.name));
    match flag.role {
        Role::Builtin(builtin) if builtin.is_switch() => {}
        Role::Builtin(_) => *page += &format!(" {}", flag.placeholder.unwrap_or("TEXT")),
        Role::Option { get, .. } => *page += &describe_value(flag, get(defaults), paint),
    }
    page.push('\n');
    wrap_into(page, flag.help, INDENT);
    if let Some(key) = flag.key {
        wrap_into(page, &format!("In the config file: {key}."), INDENT);
    }
}

/// What follows the name of a flag: its value, whether it may be repeated, its default.
fn describe_value<O>(flag: &Flag<O>, field: &dyn OptionValue, paint: Paint) -> String {
    let kind = field.kind();
    let value = match (flag.placeholder, kind.choices.as_slice()) {
        (Some(placeholder), _) => placeholder.to_owned(),
        (None, []) => kind.placeholder.to_owned(),
        (None, choices) => choices.join("|"),
    };
    let mut text = if kind.switch { format!("[={value}]") } else { format!(" {value}") };
    if kind.repeatable {
        text += &paint.dim("  (may be repeated)");
    }
    let default = shown_default(&field.show());
    if !default.is_empty() {
        text += &paint.dim(&format!("  (default {default})"));
    }
    text
}

/// A default worth showing: not "nothing". Texts that end in white space get quotes.
fn shown_default(text: &str) -> String {
    if text.ends_with(char::is_whitespace) { format!("{text:?}") } else { text.to_owned() }
}

/// Appends `text` in lines of at most [`WIDTH`], each starting with `indent`.
fn wrap_into(page: &mut String, text: &str, indent: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            page.push('\n');
            column = 0;
        }
        let gap = if column == 0 { indent } else { " " };
        *page += gap;
        *page += word;
        column += gap.len() + length;
    }
    page.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::NsqdOptions;
    use super::*;
    use crate::config::flags::all_flags;

    #[test]
    fn every_flag_is_explained_within_the_width() {
        let page = help_page::<NsqdOptions>(false);
        for flag in all_flags::<NsqdOptions>() {
            assert!(page.contains(&format!("--{}", flag.name)), "{}", flag.name);
            assert!(flag.help.ends_with('.') && flag.help.len() > 15, "{}", flag.name);
        }
        for line in page.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
            assert!(!line.contains('\x1b'));
        }
        assert!(page.contains("--msg-timeout DURATION  (default 1m0s)"));
        assert!(page.contains("--snappy[=BOOL]  (default true)"));
        assert!(page.contains("(default \"[nsqd] \")"));
    }

    #[test]
    fn white_space_is_quoted() {
        assert_eq!(["[nsqd] ", "\n", "5s", ""].map(shown_default), ["\"[nsqd] \"", "\"\\n\"", "5s", ""]);
    }

    #[test]
    fn colours_only_on_request() {
        assert!(help_page::<NsqdOptions>(true).contains("\x1b[1;36m--msg-timeout\x1b[0m"));
    }

    #[test]
    fn usage_explains_the_flag_at_fault() {
        let usage = usage_page::<NsqdOptions>(Some("node-id"));
        assert!(usage.starts_with("Usage of nsqd:\n  --node-id N"), "{usage}");
        assert!(usage.contains("nsqd --help"));
    }
}
