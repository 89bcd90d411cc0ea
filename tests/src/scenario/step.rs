//! One line of a scenario, understood.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::text::{Item, Template, Token, duration, items, starts_item, tokens};

/// A line to carry out.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Its number in the file.
    pub(super) line: usize,
    /// As written.
    pub(super) source: String,
    /// What to do.
    pub(super) action: Action,
}

/// What a line says. The first field of connection actions is the connection's name.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Connect { connection: String, magic: bool },
    Close(String),
    FinishSending(String),
    Send(String, Vec<Item>),
    Expect(String, Expect),
    Nothing(String, Duration),
    Http(Exchange),
    Header(String, Option<Text>),
    Json(String, Template),
    Stats(Place, Vec<(String, Template)>),
    Gone(Place),
    File(Template, FileIs),
    MakeDirectory(Template),
    RemoveDirectory(Template),
    Mark,
    Elapsed(RangeInclusive<Duration>),
    Wait(Duration),
    Stop,
    Kill,
    Start,
    Exits(i32, Option<Template>),
}

impl Action {
    /// Whether the whole process is concerned, so that nobody else may use it.
    pub(super) fn concerns_the_process(&self) -> bool {
        matches!(self, Action::Stop | Action::Kill | Action::Start | Action::Exits(..) | Action::Stats(Place::Node, _))
    }

    /// Whether the data directory must be at hand.
    pub(super) fn touches_files(&self) -> bool {
        matches!(self, Action::File(..) | Action::MakeDirectory(_) | Action::RemoveDirectory(_))
    }
}

/// A frame (or the end) that must come.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    Response(Text),
    Error(Text),
    /// A response or an error that may come before what follows, or not.
    Maybe(Box<Expect>),
    Message {
        fields: Vec<(String, Template)>,
        name: Option<String>,
    },
    /// Messages with these bodies in any order.
    Messages {
        fields: Vec<(String, Template)>,
        bodies: Vec<Item>,
        name: Option<String>,
    },
    Closed,
}

/// What a text must be.
#[derive(Clone, Debug)]
pub(super) enum Text {
    /// These bytes.
    Exactly(Vec<Item>),
    /// Bytes that fit a pattern.
    Like(Template),
}

/// An HTTP request and what must come back.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) method: String,
    pub(super) target: Template,
    pub(super) chunked: bool,
    pub(super) body: Vec<Item>,
    pub(super) status: u16,
    pub(super) answer: Option<Text>,
}

/// What statistics are about.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The whole of /stats.
    Node,
    Topic(Template),
    Channel(Template, Template),
}

/// What a file must become.
#[derive(Clone, Debug)]
pub(super) enum FileIs {
    Absent,
    Size(u64),
    Content(Text),
}

/// Reads one line.
pub(super) fn parse(line: &str) -> Result<Action> {
    if let Some((connection, sent)) = traffic(line, '>') {
        return Ok(Action::Send(connection, bytes(sent)?));
    }
    if let Some((connection, received)) = traffic(line, '<') {
        if let Some(time) = received.strip_prefix("nothing ") {
            return Ok(Action::Nothing(connection, duration(time)?));
        }
        return Ok(Action::Expect(connection, expect(received)?));
    }
    let words: Vec<&str> = line.split(' ').collect();
    match *words.as_slice() {
        ["connect"] | [_, "connect"] => return Ok(Action::Connect { connection: named(&words), magic: true }),
        ["connect", "raw"] => return Ok(Action::Connect { connection: String::new(), magic: false }),
        [name, "connect", "raw"] => return Ok(Action::Connect { connection: name.to_owned(), magic: false }),
        ["close"] | [_, "close"] => return Ok(Action::Close(named(&words))),
        ["finish-sending"] | [_, "finish-sending"] => return Ok(Action::FinishSending(named(&words))),
        ["mark"] => return Ok(Action::Mark),
        ["elapsed", range] => {
            let (from, to) = range.split_once("..").context("elapsed FROM..TO")?;
            return Ok(Action::Elapsed(duration(from)?..=duration(to)?));
        }
        ["wait", time] => return Ok(Action::Wait(duration(time)?)),
        ["stop"] => return Ok(Action::Stop),
        ["kill"] => return Ok(Action::Kill),
        ["start"] => return Ok(Action::Start),
        _ => {}
    }
    let (verb, rest) = line.split_once(' ').with_context(|| format!("{line} says nothing"))?;
    let rest = tokens(rest)?;
    match (verb, rest.as_slice()) {
        ("http", rest) => Ok(Action::Http(exchange(rest)?)),
        ("header", [Token::Word(name), Token::Word(absent)]) if absent == "absent" => {
            Ok(Action::Header(name.clone(), None))
        }
        ("header", [Token::Word(name), value @ ..]) => Ok(Action::Header(name.clone(), Some(text(value)?))),
        ("json", [Token::Word(path), value]) => Ok(Action::Json(path.clone(), template(value)?)),
        ("node", pairs) => Ok(Action::Stats(Place::Node, fields(pairs)?)),
        ("stats", [topic, channel @ Token::Word(_), pairs @ ..]) => {
            Ok(Action::Stats(Place::Channel(template(topic)?, template(channel)?), fields(pairs)?))
        }
        ("stats", [topic, pairs @ ..]) => Ok(Action::Stats(Place::Topic(template(topic)?), fields(pairs)?)),
        ("gone", [topic]) => Ok(Action::Gone(Place::Topic(template(topic)?))),
        ("gone", [topic, channel]) => Ok(Action::Gone(Place::Channel(template(topic)?, template(channel)?))),
        ("file", [name, is @ ..]) => Ok(Action::File(template(name)?, file(is)?)),
        ("mkdir", [name]) => Ok(Action::MakeDirectory(template(name)?)),
        ("rmdir", [name]) => Ok(Action::RemoveDirectory(template(name)?)),
        ("exits", [Token::Word(status), said @ ..]) => {
            let said = said.first().map(template).transpose()?;
            Ok(Action::Exits(status.parse().context("exits STATUS")?, said))
        }
        _ => bail!("unknown line: {line}"),
    }
}

/// `NAME> rest`: the connection's name (empty for `> rest`) and the rest.
fn traffic(line: &str, sign: char) -> Option<(String, &str)> {
    let (name, rest) = line.split_once(sign)?;
    let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    Some((name.to_owned(), rest.strip_prefix(' ')?)).filter(|_| is_name)
}

/// The name before a connection verb; none means the nameless connection.
fn named(words: &[&str]) -> String {
    if words.len() > 1 { words[0].to_owned() } else { String::new() }
}

fn bytes(source: &str) -> Result<Vec<Item>> {
    match starts_item(source) {
        true => items(&tokens(source)?),
        false => Ok(vec![Item::Text(Template::parse(source, true)?, 1)]),
    }
}

fn text(tokens: &[Token]) -> Result<Text> {
    match tokens {
        [Token::Word(like), pattern] if like == "like" => Ok(Text::Like(template(pattern)?)),
        _ => Ok(Text::Exactly(items(tokens)?)),
    }
}

fn answer(source: &str) -> Result<Text> {
    match source.starts_with("like ") {
        true => text(&tokens(source)?),
        false => Ok(Text::Exactly(bytes(source)?)),
    }
}

fn expect(source: &str) -> Result<Expect> {
    if source == "closed" {
        return Ok(Expect::Closed);
    }
    let (kind, rest) = source.split_once(' ').unwrap_or((source, ""));
    Ok(match kind {
        "error" => Expect::Error(answer(rest)?),
        "maybe" => Expect::Maybe(Box::new(expect(rest)?)),
        "message" => {
            let (rest, name) = name(tokens(rest)?)?;
            Expect::Message { fields: fields(&rest)?, name }
        }
        "messages" => {
            let (rest, name) = name(tokens(rest)?)?;
            let pairs = rest.iter().take_while(|token| matches!(token, Token::Pair(..))).count();
            Expect::Messages { fields: fields(&rest[..pairs])?, bodies: items(&rest[pairs..])?, name }
        }
        _ => Expect::Response(answer(source)?),
    })
}

/// Takes `as NAME` off the end.
fn name(mut tokens: Vec<Token>) -> Result<(Vec<Token>, Option<String>)> {
    if let [rest @ .., Token::Word(word), Token::Word(name)] = tokens.as_slice()
        && word == "as"
    {
        let (length, name) = (rest.len(), name.clone());
        tokens.truncate(length);
        return Ok((tokens, Some(name)));
    }
    Ok((tokens, None))
}

fn fields(tokens: &[Token]) -> Result<Vec<(String, Template)>> {
    let pair = |token: &Token| match token {
        Token::Pair(key, value) => Ok((key.clone(), value.clone())),
        other => bail!("{other:?} is not key=value"),
    };
    tokens.iter().map(pair).collect()
}

fn template(token: &Token) -> Result<Template> {
    match token {
        Token::Word(word) => Template::parse(word, false),
        Token::Text(text) => Ok(text.clone()),
        Token::Pair(key, _) => bail!("{key}=… is not expected here"),
    }
}

fn exchange(tokens: &[Token]) -> Result<Exchange> {
    let is_arrow = |token: &Token| matches!(token, Token::Word(word) if word == "->");
    let arrow = tokens.iter().position(is_arrow).context("http METHOD TARGET … -> STATUS")?;
    let [Token::Word(method), target, body @ ..] = &tokens[..arrow] else { bail!("http METHOD TARGET …") };
    let [Token::Word(status), answer @ ..] = &tokens[arrow + 1..] else { bail!("-> STATUS …") };
    let is_chunked = |token: &Token| matches!(token, Token::Word(word) if word == "chunked");
    let chunked = body.first().is_some_and(is_chunked);
    Ok(Exchange {
        method: method.clone(),
        target: template(target)?,
        chunked,
        body: items(&body[usize::from(chunked)..])?,
        status: status.parse().context("-> STATUS")?,
        answer: if answer.is_empty() { None } else { Some(text(answer)?) },
    })
}

fn file(tokens: &[Token]) -> Result<FileIs> {
    match tokens {
        [Token::Word(word)] if word == "absent" => Ok(FileIs::Absent),
        [Token::Word(word), Token::Word(size)] if word == "size" => Ok(FileIs::Size(size.parse()?)),
        [Token::Word(word), content @ ..] if word == "holds" => Ok(FileIs::Content(text(content)?)),
        _ => bail!("file NAME absent | size N | holds BYTES"),
    }
}
