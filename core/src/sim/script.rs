//! Scripts: what a run is made of besides its seed. A line is an entry; `#` begins a comment.
//!
//! ```text
//! seed 7
//! title A slow consumer
//! until 30s
//! node n1 mem-queue-size=100
//! at 2s publish web count=3
//! at 5s expect n1/orders/work depth >= 1
//! ```
//!
//! The same actions are given by hand while a run goes on, and stand in links.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::name::{ChannelName, TopicName};
use crate::time::Instant;

use super::observe::Checks;
use super::options::{ConsumerOptions, DiskOptions, NetworkOptions, NodeOptions, ProducerOptions, PublishOptions};
use super::values::{Options, time};

/// An action, or a script, that says nothing that can be done; the text names the problem and what there is instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ActionError(pub(super) String);

/// What a run is made of. See the [module](self) for how it is written.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Feeds all chance.
    pub seed: u64,
    /// For people.
    pub title: String,
    /// Where the guided part ends.
    pub until: Option<Instant>,
    /// How closely it is watched, unless somebody says otherwise.
    pub checks: Checks,
    pub(super) entries: Vec<(Instant, Action)>,
    /// As it was written.
    text: String,
    /// The built-in scenario it is.
    pub(super) scenario: Option<&'static str>,
}

impl Script {
    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it does by itself, in order.
    pub fn actions(&self) -> impl Iterator<Item = (Instant, &Action)> {
        self.entries.iter().map(|(at, action)| (*at, action))
    }
}

impl FromStr for Script {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let mut script = Self { text: text.to_owned(), ..Self::default() };
        for (index, line) in text.lines().enumerate() {
            let line = if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default().trim() };
            if !line.is_empty() {
                script.read_line(line).map_err(|error| ActionError(format!("line {}: {}", index + 1, error.0)))?;
            }
        }
        // The order of lines at one time stays.
        script.entries.sort_by_key(|(at, _)| *at);
        Ok(script)
    }
}

impl Script {
    fn read_line(&mut self, line: &str) -> Result<(), ActionError> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match verb {
            "seed" => {
                self.seed = rest.parse().map_err(|_| ActionError(format!("{rest:?} is not a seed: 0 to 2^64-1")))?
            }
            "title" => self.title = rest.to_owned(),
            "checks" => {
                self.checks = match rest {
                    "full" => Checks::Full,
                    "light" => Checks::Light,
                    _ => return Err(ActionError(format!("{rest:?} is not a level of checks: full or light"))),
                }
            }
            "until" => self.until = Some(Instant::ZERO + read_time(rest)?),
            "at" => {
                let (at, action) = rest.split_once(' ').unwrap_or((rest, ""));
                self.entries.push((Instant::ZERO + read_time(at)?, action.parse()?));
            }
            _ => self.entries.push((Instant::ZERO, line.parse()?)),
        }
        Ok(())
    }
}

fn read_time(text: &str) -> Result<Duration, ActionError> {
    time(text).ok_or_else(|| ActionError(format!("{text:?} is not a time such as 1.5s, 200ms, 3us, 10ns, 2m or 1h")))
}

/// Something done to the simulated world.
#[derive(Clone, Debug)]
pub struct Action {
    text: String,
    pub(super) kind: Kind,
}

impl fmt::Display for Action {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where in a broker: one node or all, a topic, perhaps a channel.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `*`: every node.
    pub(super) node: String,
    pub(super) topic: TopicName,
    pub(super) channel: Option<ChannelName>,
}

/// What is done to a topic or channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admin {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

/// What happens between a client and a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireFault {
    Cut,
    Mute,
    Slow(Duration),
    Heal,
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeChange {
    Kill,
    Stop,
    Start,
    FillDisk,
    FreeDisk,
}

/// What happens to a client program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientChange {
    Stall,
    Resume,
    Crash,
    Connect,
}

/// A claim about the world.
#[derive(Clone, Debug)]
pub(super) struct Expectation {
    pub(super) subject: String,
    pub(super) metric: String,
    pub(super) operator: Operator,
    pub(super) value: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Node { name: String, words: Vec<String> },
    Producer { name: String, words: Vec<String> },
    Consumer { name: String, words: Vec<String> },
    Set { name: String, words: Vec<String> },
    Remove { name: String },
    Admin { admin: Admin, target: Target },
    Publish { producer: String, options: PublishOptions },
    Client { name: String, change: ClientChange },
    Wire { client: String, node: String, fault: WireFault },
    Partition { clients: Vec<String> },
    Network { words: Vec<String> },
    Change { node: String, change: NodeChange },
    Disk { node: String, options: DiskOptions },
    Say { text: String },
    Expect(Expectation),
}

/// Every verb and what follows it.
const VERBS: [(&str, &str); 30] = [
    ("node", "NAME [key=value...]"),
    ("topic", "NODE TOPIC"),
    ("channel", "NODE TOPIC CHANNEL"),
    ("delete", "NODE TOPIC [CHANNEL]"),
    ("empty", "NODE TOPIC [CHANNEL]"),
    ("pause", "NODE TOPIC [CHANNEL]"),
    ("unpause", "NODE TOPIC [CHANNEL]"),
    ("producer", "NAME topic=TOPIC [key=value...]"),
    ("consumer", "NAME topic=TOPIC channel=CHANNEL [key=value...]"),
    ("set", "NAME key=value..."),
    ("remove", "NAME"),
    ("publish", "PRODUCER [key=value...]"),
    ("stall", "NAME"),
    ("resume", "NAME"),
    ("crash", "NAME"),
    ("connect", "NAME"),
    ("cut", "CLIENT NODE"),
    ("mute", "CLIENT NODE"),
    ("slow", "CLIENT NODE latency=TIME"),
    ("heal", "CLIENT NODE, or *"),
    ("partition", "CLIENT..."),
    ("network", "[latency=TIME] [jitter=TIME]"),
    ("kill", "NODE"),
    ("stop", "NODE"),
    ("start", "NODE"),
    ("fill-disk", "NODE"),
    ("free-disk", "NODE"),
    ("disk", "NODE [latency=TIME] [errors=PERCENT]"),
    ("say", "TEXT"),
    ("expect", "NODE/TOPIC/CHANNEL METRIC OPERATOR NUMBER, or CLIENT METRIC OPERATOR NUMBER"),
];

/// The words of an action, with the verb's usage at hand for errors.
struct Words<'a> {
    verb: &'a str,
    usage: &'static str,
    left: std::str::SplitWhitespace<'a>,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a str, ActionError> {
        let (verb, usage) = (self.verb, self.usage);
        self.left.next().ok_or_else(|| ActionError(format!("there is something missing; it is: {verb} {usage}")))
    }

    /// A new name.
    fn name(&mut self) -> Result<String, ActionError> {
        let name = self.next()?;
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !name.bytes().all(legal) {
            return Err(ActionError(format!("{name:?} is not a name: letters, digits, dots, dashes and underscores")));
        }
        Ok(name.to_owned())
    }

    fn one(&mut self) -> Result<String, ActionError> {
        self.next().map(str::to_owned)
    }

    fn topic(&mut self) -> Result<TopicName, ActionError> {
        let name = self.next()?;
        TopicName::parse(name).map_err(|error| ActionError(format!("topic {name:?}: {error}")))
    }

    fn channel(&mut self) -> Result<ChannelName, ActionError> {
        let name = self.next()?;
        ChannelName::parse(name).map_err(|error| ActionError(format!("channel {name:?}: {error}")))
    }

    fn rest(&mut self) -> Vec<String> {
        self.left.by_ref().map(str::to_owned).collect()
    }

    fn options<T: Options + Default>(&mut self) -> Result<T, ActionError> {
        let mut options = T::default();
        options.set_all(self.left.by_ref())?;
        Ok(options)
    }

    /// Options that are checked here and set later, on what there is then.
    fn checked<T: Options + Default>(&mut self) -> Result<Vec<String>, ActionError> {
        let words = self.rest();
        T::default().set_all(words.iter().map(String::as_str))?;
        Ok(words)
    }

    fn end(mut self) -> Result<(), ActionError> {
        match self.left.next() {
            None => Ok(()),
            Some(word) => {
                let Self { verb, usage, .. } = self;
                Err(ActionError(format!("{word:?} is one word too many; it is: {verb} {usage}")))
            }
        }
    }
}

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let text = text.trim();
        let (verb, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if verb == "say" {
            return Ok(Self { text: text.to_owned(), kind: Kind::Say { text: rest.trim().to_owned() } });
        }
        let Some(&(_, usage)) = VERBS.iter().find(|(known, _)| *known == verb) else {
            let verbs: Vec<&str> = VERBS.iter().map(|(verb, _)| *verb).collect();
            return Err(ActionError(format!("there is no action {verb:?}; there are {}", verbs.join(", "))));
        };
        // A body is the rest of its line.
        let (rest, body) = match rest.split_once("body=").filter(|_| verb == "publish") {
            Some((rest, body)) => (rest, Some(body)),
            None => (rest, None),
        };
        let mut words = Words { verb, usage, left: rest.split_whitespace() };
        let mut kind = read(&mut words)?;
        words.end()?;
        if let (Kind::Publish { options, .. }, Some(body)) = (&mut kind, body) {
            options.body = body.to_owned();
        }
        Ok(Self { text: text.to_owned(), kind })
    }
}

fn read(words: &mut Words<'_>) -> Result<Kind, ActionError> {
    Ok(match words.verb {
        "node" => Kind::Node { name: words.name()?, words: words.checked::<NodeOptions>()? },
        "producer" => Kind::Producer { name: words.name()?, words: words.checked::<ProducerOptions>()? },
        "consumer" => Kind::Consumer { name: words.name()?, words: words.checked::<ConsumerOptions>()? },
        "set" => Kind::Set { name: words.one()?, words: words.rest() },
        "remove" => Kind::Remove { name: words.one()? },
        "topic" => Kind::Admin { admin: Admin::Create, target: target(words, Some(false))? },
        "channel" => Kind::Admin { admin: Admin::Create, target: target(words, Some(true))? },
        "delete" => Kind::Admin { admin: Admin::Delete, target: target(words, None)? },
        "empty" => Kind::Admin { admin: Admin::Empty, target: target(words, None)? },
        "pause" => Kind::Admin { admin: Admin::Pause, target: target(words, None)? },
        "unpause" => Kind::Admin { admin: Admin::Unpause, target: target(words, None)? },
        "publish" => Kind::Publish { producer: words.one()?, options: words.options()? },
        "stall" => Kind::Client { name: words.one()?, change: ClientChange::Stall },
        "resume" => Kind::Client { name: words.one()?, change: ClientChange::Resume },
        "crash" => Kind::Client { name: words.one()?, change: ClientChange::Crash },
        "connect" => Kind::Client { name: words.one()?, change: ClientChange::Connect },
        "cut" => wire(words, WireFault::Cut)?,
        "mute" => wire(words, WireFault::Mute)?,
        "heal" => wire(words, WireFault::Heal)?,
        "slow" => {
            let (client, node) = (words.one()?, words.one()?);
            let latency = words.next()?;
            let latency = latency.strip_prefix("latency=").unwrap_or(latency);
            Kind::Wire { client, node, fault: WireFault::Slow(read_time(latency)?) }
        }
        "partition" => Kind::Partition { clients: words.rest() },
        "network" => Kind::Network { words: words.checked::<NetworkOptions>()? },
        "kill" => Kind::Change { node: words.one()?, change: NodeChange::Kill },
        "stop" => Kind::Change { node: words.one()?, change: NodeChange::Stop },
        "start" => Kind::Change { node: words.one()?, change: NodeChange::Start },
        "fill-disk" => Kind::Change { node: words.one()?, change: NodeChange::FillDisk },
        "free-disk" => Kind::Change { node: words.one()?, change: NodeChange::FreeDisk },
        "disk" => Kind::Disk { node: words.one()?, options: words.options()? },
        _ => Kind::Expect(expectation(words)?),
    })
}

/// `channel`: whether one must be named; `None`: as it likes.
fn target(words: &mut Words<'_>, channel: Option<bool>) -> Result<Target, ActionError> {
    let (node, topic) = (words.one()?, words.topic()?);
    let named = match channel {
        Some(named) => named,
        None => words.left.clone().next().is_some(),
    };
    Ok(Target { node, topic, channel: if named { Some(words.channel()?) } else { None } })
}

fn wire(words: &mut Words<'_>, fault: WireFault) -> Result<Kind, ActionError> {
    let client = words.one()?;
    let node = if client == "*" { "*".to_owned() } else { words.one()? };
    Ok(Kind::Wire { client, node, fault })
}

fn expectation(words: &mut Words<'_>) -> Result<Expectation, ActionError> {
    let (subject, metric) = (words.one()?, words.one()?);
    let operator = match words.next()? {
        "==" | "=" => Operator::Equal,
        "!=" => Operator::Unequal,
        "<" => Operator::Less,
        "<=" => Operator::AtMost,
        ">" => Operator::More,
        ">=" => Operator::AtLeast,
        other => return Err(ActionError(format!("{other:?} does not compare; there are ==, !=, <, <=, > and >="))),
    };
    let value = words.next()?;
    let value = value.parse().map_err(|_| ActionError(format!("{value:?} is not a number")))?;
    Ok(Expectation { subject, metric, operator, value })
}

impl Expectation {
    /// Whether `found` is what was expected.
    pub(super) fn holds(&self, found: u64) -> bool {
        match self.operator {
            Operator::Equal => found == self.value,
            Operator::Unequal => found != self.value,
            Operator::Less => found < self.value,
            Operator::AtMost => found <= self.value,
            Operator::More => found > self.value,
            Operator::AtLeast => found >= self.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_script_is_lines() {
        let text =
            "# all\nseed 9\ntitle Two #ephemeral ones\nuntil 3s # soon\n\nat 2s say b\nnode n1\nat 1s say a # no\n";
        let script: Script = text.parse().unwrap();
        assert_eq!((script.seed, script.title.as_str()), (9, "Two"));
        assert_eq!(script.until, Some(Instant::from_millis(3000)));
        let actions: Vec<String> = script.actions().map(|(at, action)| format!("{} {action}", at.as_nanos())).collect();
        assert_eq!(actions, ["0 node n1", "1000000000 say a", "2000000000 say b"]);
    }

    #[test]
    fn what_cannot_be_done_is_said_with_what_can() {
        let complaint = |text: &str| text.parse::<Action>().unwrap_err().to_string();
        assert!(complaint("nod n1").starts_with("there is no action \"nod\"; there are node, topic, "));
        assert!(
            complaint("node n1 memory=3").starts_with("there is no option \"memory\" here; it takes mem-queue-size, ")
        );
        assert_eq!(
            complaint("node n1 disk-size=big"),
            "disk-size=big does not say a value: it takes a number of bytes, or unlimited"
        );
        assert_eq!(complaint("kill"), "there is something missing; it is: kill NODE");
        assert_eq!(complaint("kill a b"), "\"b\" is one word too many; it is: kill NODE");
        assert!(complaint("topic n1 a$").contains("not valid"));
        assert!(complaint("expect n1/t depth ~ 1").contains("does not compare"));
        assert_eq!(
            "node n1\nkil n1".parse::<Script>().unwrap_err().to_string().split(';').next(),
            Some("line 2: there is no action \"kil\"")
        );
    }

    #[test]
    fn a_body_is_the_rest_of_the_line() {
        let action: Action = "publish p count=2 body=two words, and = signs".parse().unwrap();
        let Kind::Publish { options, .. } = &action.kind else { panic!("{action:?}") };
        assert_eq!((options.count, options.body.as_str()), (2, "two words, and = signs"));
        assert_eq!(action.to_string(), "publish p count=2 body=two words, and = signs");
    }
}
