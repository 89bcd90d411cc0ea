//! What a terminal can show: whether colours are wanted, and the few that are used.

use std::io::IsTerminal;

/// Whether text written to `stream` may have colours: it is a terminal, and `NO_COLOR` does not say otherwise.
pub fn wants_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Paints words, or leaves them as they are.
#[derive(Clone, Copy, Debug)]
pub struct Paint(pub bool);

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The title of a section.
    pub fn heading(self, text: &str) -> String {
        self.wrap("1;33", text)
    }

    /// Something to type.
    pub fn flag(self, text: &str) -> String {
        self.wrap("1;36", text)
    }

    /// Something beside the point.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }
}
