//! The small pieces of a scenario line: texts with escapes and variables, tokens, and byte items.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Variables by name (`t`, `m.id`), expanded in texts as `$t`, `$m.id`.
pub(super) type Variables = BTreeMap<String, Vec<u8>>;

/// A text that may contain variables.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Bytes(Vec<u8>),
    Variable(String),
}

impl Template {
    /// Reads `source`, with backslash escapes when `escapes` is set. `$` starts a variable only before a lower-case letter.
    pub(super) fn parse(source: &str, escapes: bool) -> Result<Template> {
        let mut parts = Vec::new();
        let mut bytes = Vec::new();
        let mut rest = source;
        while let Some(first) = rest.chars().next() {
            let after = &rest[first.len_utf8()..];
            if first == '\\' && escapes {
                let (byte, length) = escape(after).with_context(|| format!("bad escape at \\{after}"))?;
                bytes.push(byte);
                rest = &after[length..];
            } else if first == '$' && after.starts_with(|c: char| c.is_ascii_lowercase()) {
                let name = variable_name(after);
                parts.push(Part::Bytes(std::mem::take(&mut bytes)));
                parts.push(Part::Variable(name.to_owned()));
                rest = &after[name.len()..];
            } else {
                bytes.extend_from_slice(&rest.as_bytes()[..first.len_utf8()]);
                rest = after;
            }
        }
        parts.push(Part::Bytes(bytes));
        Ok(Template(parts))
    }

    /// The bytes, with variables filled in.
    pub(super) fn expand(&self, variables: &Variables) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in &self.0 {
            bytes.extend_from_slice(match part {
                Part::Bytes(bytes) => bytes,
                Part::Variable(name) => variables.get(name).with_context(|| format!("${name} is not set"))?,
            });
        }
        Ok(bytes)
    }

    /// As [`Template::expand`], where only text makes sense.
    pub(super) fn expand_text(&self, variables: &Variables) -> Result<String> {
        Ok(String::from_utf8(self.expand(variables)?)?)
    }
}

/// `name` or `name.field` at the start of `text`.
fn variable_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let fields = [".id", ".timestamp", ".attempts", ".body"];
    let field = fields.into_iter().find(|field| text[end..].starts_with(field));
    &text[..end + field.map_or(0, str::len)]
}

/// The byte of an escape (without its backslash) and how much of `text` it takes.
fn escape(text: &str) -> Option<(u8, usize)> {
    Some(match text.bytes().next()? {
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'x' => (u8::from_str_radix(text.get(1..3)?, 16).ok()?, 3),
        byte @ (b'\\' | b'"') => (byte, 1),
        _ => return None,
    })
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A run without spaces or quotes.
    Word(String),
    /// `"…"` (with escapes) or `'…'` (without).
    Text(Template),
    /// `key=value`.
    Pair(String, Template),
}

/// Splits a line at spaces, minding quotes.
pub(super) fn tokens(line: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (token, after) = token(rest)?;
        ensure!(after.is_empty() || after.starts_with(' '), "no space before {after:?}");
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn token(rest: &str) -> Result<(Token, &str)> {
    if rest.starts_with(['"', '\'']) {
        let (text, after) = quoted(rest)?;
        return Ok((Token::Text(text), after));
    }
    let key = rest.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && c != '_' && c != '.');
    if let Some(end) = key.filter(|&end| end > 0 && rest[end..].starts_with('=')) {
        let value = &rest[end + 1..];
        let (value, after) = if value.starts_with(['"', '\'']) {
            quoted(value)?
        } else {
            let (word, after) = value.split_at(value.find(' ').unwrap_or(value.len()));
            (Template::parse(word, false)?, after)
        };
        return Ok((Token::Pair(rest[..end].to_owned(), value), after));
    }
    let (word, after) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
    Ok((Token::Word(word.to_owned()), after))
}

/// The quoted text at the start of `rest`, and what follows it.
fn quoted(rest: &str) -> Result<(Template, &str)> {
    let quote = rest.as_bytes()[0];
    let escapes = quote == b'"';
    let mut end = 1;
    while let Some(&byte) = rest.as_bytes().get(end) {
        if byte == quote {
            return Ok((Template::parse(&rest[1..end], escapes)?, &rest[end + 1..]));
        }
        end += if byte == b'\\' && escapes { 2 } else { 1 };
    }
    bail!("a quote is not closed")
}

/// A piece of a byte string.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// A text, so many times.
    Text(Template, usize),
    /// `hex 0a0b`.
    Hex(Vec<u8>),
    /// `i32 N`, big-endian.
    I32(Template),
    /// `i64 N`, big-endian.
    I64(Template),
    /// `len …`: the items, with their length before them.
    Len(Vec<Item>),
    /// `messages …`: the count, then each item with its length before it.
    Messages(Vec<Item>),
}

/// Whether `text` is to be read as items, not as a bare line.
pub(super) fn starts_item(text: &str) -> bool {
    let words = ["len ", "messages", "hex ", "i32 ", "i64 "];
    text.starts_with(['"', '\'']) || words.iter().any(|word| text.starts_with(word))
}

/// Reads the items of a byte string.
pub(super) fn items(tokens: &[Token]) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        let (item, after) = match (first, after) {
            (Token::Text(text), [Token::Word(star), Token::Word(count), after @ ..]) if star == "*" => {
                (Item::Text(text.clone(), count.parse().context("a count follows *")?), after)
            }
            (Token::Text(text), _) => (Item::Text(text.clone(), 1), after),
            (Token::Word(word), _) if word == "len" => (Item::Len(self::items(after)?), &[][..]),
            (Token::Word(word), _) if word == "messages" => (Item::Messages(self::items(after)?), &[][..]),
            (Token::Word(word), [Token::Word(value), after @ ..]) => match word.as_str() {
                "hex" => (Item::Hex(unhex(value)?), after),
                "i32" => (Item::I32(Template::parse(value, false)?), after),
                "i64" => (Item::I64(Template::parse(value, false)?), after),
                _ => bail!("{word} is no byte item"),
            },
            _ => bail!("{first:?} is no byte item"),
        };
        items.push(item);
        rest = after;
    }
    Ok(items)
}

fn unhex(digits: &str) -> Result<Vec<u8>> {
    ensure!(digits.len().is_multiple_of(2) && digits.is_ascii(), "an odd number of hex digits");
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&digits[at..at + 2], 16)?)).collect()
}

/// The bytes of `items`.
pub(super) fn expand(items: &[Item], variables: &Variables) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for item in items {
        match item {
            Item::Text(text, count) => bytes.extend(text.expand(variables)?.repeat(*count)),
            Item::Hex(hex) => bytes.extend_from_slice(hex),
            Item::I32(number) => bytes.extend(number.expand_text(variables)?.parse::<i32>()?.to_be_bytes()),
            Item::I64(number) => bytes.extend(number.expand_text(variables)?.parse::<i64>()?.to_be_bytes()),
            Item::Len(items) => with_length(&mut bytes, &expand(items, variables)?)?,
            Item::Messages(items) => {
                bytes.extend(u32::try_from(items.len())?.to_be_bytes());
                for item in items {
                    with_length(&mut bytes, &expand(std::slice::from_ref(item), variables)?)?;
                }
            }
        }
    }
    Ok(bytes)
}

fn with_length(bytes: &mut Vec<u8>, body: &[u8]) -> Result<()> {
    bytes.extend(u32::try_from(body.len())?.to_be_bytes());
    bytes.extend_from_slice(body);
    Ok(())
}

/// `250ms` or `2s`.
pub(super) fn duration(text: &str) -> Result<Duration> {
    let bad = || format!("{text} is no duration (250ms, 2s)");
    match text.strip_suffix("ms") {
        Some(number) => Ok(Duration::from_millis(number.parse().with_context(bad)?)),
        None => Ok(Duration::from_secs(text.strip_suffix('s').with_context(bad)?.parse().with_context(bad)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables::from([("t".to_owned(), b"topic".to_vec()), ("m.id".to_owned(), b"0123".to_vec())])
    }

    #[test]
    fn templates_expand_escapes_and_variables() {
        let text = |source| Template::parse(source, true).unwrap().expand(&variables()).unwrap();
        assert_eq!(text("PUB $t\\n"), b"PUB topic\n");
        assert_eq!(text("$t-b a$ \\xff$m.id."), b"topic-b a$ \xff0123.");
        assert!(Template::parse("\\q", true).is_err());
        assert!(Template::parse("$other", true).unwrap().expand(&variables()).is_err());
    }

    #[test]
    fn items_build_bytes() {
        let bytes = |line| expand(&items(&tokens(line).unwrap()).unwrap(), &variables()).unwrap();
        assert_eq!(bytes(r#"len "ab" 'c"'"#), b"\0\0\0\x04abc\"");
        assert_eq!(bytes(r#"len messages "a" "bc" * 2"#), b"\0\0\0\x11\0\0\0\x02\0\0\0\x01a\0\0\0\x04bcbc");
        assert_eq!(bytes("i32 -1 hex 0a0b"), b"\xff\xff\xff\xff\x0a\x0b");
    }

    #[test]
    fn pairs_are_told_from_words() {
        let split = tokens(r#"/pub?topic=$t depth=0 body="a b" -> 200"#).unwrap();
        assert!(matches!(&split[0], Token::Word(word) if word == "/pub?topic=$t"));
        assert!(matches!(&split[1], Token::Pair(key, _) if key == "depth"));
        assert!(
            matches!(&split[2], Token::Pair(key, text) if key == "body" && text.expand(&variables()).unwrap() == b"a b")
        );
        assert_eq!(split.len(), 5);
    }
}
