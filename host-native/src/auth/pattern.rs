//! The regular expressions of auth servers. They are written for Go's: what is read in another way here is put right, and what
//! is an error there is one here, so that nobody is granted what the reference would not.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ast::{
    self, Ast, ClassSetBinaryOp, ClassSetItem, Flag, Flags, FlagsItemKind, HexLiteralKind, LiteralKind,
};
use thiserror::Error;

/// The most that one may take, compiled.
const BYTES_MAX: usize = 10 * 1024 * 1024;

/// Why an expression cannot be used.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum BadPattern {
    #[error("{0}")]
    Syntax(String),
    #[error("{0} is none in Go")]
    NotGo(&'static str),
    #[error("it is too large")]
    Size,
}

/// The expression, which matches anywhere in a name. Names are ASCII, so its classes need no more unless they say so.
pub(super) fn compile(pattern: &str) -> Result<Regex, BadPattern> {
    let ours = translated(pattern);
    let parsed = ast::parse::Parser::new().parse(&ours);
    let parsed = parsed.map_err(|error| BadPattern::Syntax(error.kind().to_string()))?;
    ast::visit(&parsed, OnlyGo)?;
    let build = |unicode| RegexBuilder::new(&ours).unicode(unicode).size_limit(BYTES_MAX).build();
    build(false).or_else(|_| build(true)).map_err(|_| BadPattern::Size)
}

/// Finds what Go's parser refuses and ours does not.
struct OnlyGo;

impl ast::Visitor for OnlyGo {
    type Output = ();
    type Err = BadPattern;

    fn finish(self) -> Result<(), BadPattern> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), BadPattern> {
        match ast {
            Ast::Repetition(outer) if matches!(*outer.ast, Ast::Repetition(_)) => {
                Err(BadPattern::NotGo("a repetition of a repetition"))
            }
            Ast::Flags(set) => known(&set.flags),
            Ast::Group(group) => group.flags().map_or(Ok(()), known),
            Ast::Literal(literal) => is_go(literal),
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), BadPattern> {
        match item {
            ClassSetItem::Literal(literal) => is_go(literal),
            ClassSetItem::Range(range) => is_go(&range.start).and_then(|()| is_go(&range.end)),
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ClassSetBinaryOp) -> Result<(), BadPattern> {
        Err(BadPattern::NotGo("an operation on classes"))
    }
}

fn known(flags: &Flags) -> Result<(), BadPattern> {
    let known = |kind: &FlagsItemKind| {
        !matches!(kind, FlagsItemKind::Flag(Flag::IgnoreWhitespace | Flag::Unicode | Flag::CRLF))
    };
    if flags.items.iter().all(|item| known(&item.kind)) { Ok(()) } else { Err(BadPattern::NotGo("a flag x, u or R")) }
}

fn is_go(literal: &ast::Literal) -> Result<(), BadPattern> {
    match &literal.kind {
        LiteralKind::HexFixed(kind) | LiteralKind::HexBrace(kind) if *kind != HexLiteralKind::X => {
            Err(BadPattern::NotGo("\\u"))
        }
        _ => Ok(()),
    }
}

/// The expression in our words: what is a character there, and would be more here, is escaped.
fn translated(pattern: &str) -> String {
    let mut ours = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        rest = match next {
            '\\' => escape(after, &mut ours),
            '[' => class(after, &mut ours),
            '{' if !is_count(after) => {
                ours.push_str("\\{");
                after
            }
            _ => {
                ours.push(next);
                after
            }
        };
    }
    ours
}

/// Whether this is behind the bracket of a count: `{2}`, `{2,}`, `{2,3}`.
fn is_count(after: &str) -> bool {
    let Some((inside, _)) = after.split_once('}') else { return false };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    !least.is_empty() && least.bytes().chain(most.bytes()).all(|byte| byte.is_ascii_digit())
}

/// What follows a backslash. What follows that.
fn escape<'a>(after: &'a str, ours: &mut String) -> &'a str {
    if let Some(quoted) = after.strip_prefix('Q') {
        let (text, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
        ours.push_str(&regex_syntax::escape(text));
        return rest;
    }
    let Some(what) = after.chars().next() else {
        ours.push('\\');
        return after;
    };
    // Ends of words here.
    if !matches!(what, '<' | '>') {
        ours.push('\\');
    }
    ours.push(what);
    let rest = &after[what.len_utf8()..];
    match rest.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
        // The name of a class, or a number.
        Some((inside, rest)) if matches!(what, 'p' | 'P' | 'x') => {
            ours.extend(["{", inside, "}"]);
            rest
        }
        _ => rest,
    }
}

/// What follows the bracket of a class, up to its end. What follows that.
fn class<'a>(after: &'a str, ours: &mut String) -> &'a str {
    ours.push('[');
    let mut rest = after;
    if let Some(negated) = rest.strip_prefix('^') {
        ours.push('^');
        rest = negated;
    }
    let mut is_first = true;
    while let Some(next) = rest.chars().next() {
        let after = &rest[next.len_utf8()..];
        let named = if next == '[' && after.starts_with(':') { after.split_once(":]") } else { None };
        rest = match (next, named) {
            (']', _) if !is_first => {
                ours.push(']');
                return after;
            }
            (_, Some((name, rest))) => {
                ours.extend(["[", name, ":]"]);
                rest
            }
            ('[' | ']' | '&' | '~', _) => {
                ours.extend(['\\', next]);
                after
            }
            ('\\', _) => {
                let is_class = after.starts_with(['d', 'D', 's', 'S', 'w', 'W', 'p', 'P']);
                let rest = escape(after, ours);
                match rest.strip_prefix('-') {
                    // No range begins with a class.
                    Some(after) if is_class => {
                        ours.push_str("\\-");
                        after
                    }
                    _ => rest,
                }
            }
            _ => {
                ours.push(next);
                after
            }
        };
        is_first = false;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(name.as_bytes())
    }

    #[test]
    fn expressions_are_read_as_go_reads_them() {
        for (pattern, yes, no) in [
            ("", "t", "-"),
            ("t", "xtx", "x"),
            (r"^\w{1,64}$", "a_1", "a-1"),
            (r"^[\w.-]{1,64}$", "a.b-c", "a#"),
            (r"^[\w-.]+$", "a.b-c", "a#"),
            (r"^\pL+$", "abc", "a1"),
            (r"^[[:alpha:]-]+$", "a-b", "a1"),
            (r"^[[t]$", "t", "u"),
            (r"^[]a]+$", "a", "b"),
            (r"^[^]a]+$", "b", "a"),
            (r"^[a-z&&b]+$", "xyz", "1"),
            (r"^\Qa.b\E$", "a.b", "axb"),
            (r"^t{2}$", "tt", "t"),
            (r"(?i)^T$", "t", "x"),
            (r"^(a|b)+?$", "ab", "c"),
            (r"^\x74\x{74}$", "tt", "t"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(no == "-" || !matches(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn nobody_gets_what_go_would_not_grant() {
        // Characters there, which no name has.
        for pattern in [r"\<t", r"t\>", r"\b{start}t", "t{", "t{,3}", "t{a}"] {
            assert!(!matches(pattern, "t"), "{pattern}");
        }
        for pattern in
            ["t++", "t**", "(?x)t", "(?u)t", "(?-u:t)", "(?R)t", r"\u{74}", r"[\u0074]", "(", r"\164", "[a--b]"]
        {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
        assert_eq!(compile("((a{999}){99}){99}").unwrap_err(), BadPattern::Size);
        assert_eq!(compile("(").unwrap_err().to_string(), "unclosed group");
    }
}
