//! `nsq_to_nsq`: copies messages from topics to nsqds elsewhere, all of them or those whose JSON says so, whole or in part.
//!
//! A message is finished when its copy was accepted, and comes again later if it was not: copies can be made twice, and
//! none is lost.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::Bytes;
use futures::StreamExt as _;
use sansq_core::name::{ChannelName, TopicName};
use serde_json::{Map, Value};
use tracing::warn;

use super::pool::{Mode, Pool, Statuses};
use super::{Misuse, Source, client_options, terminations, unless_told_to_end};
use crate::client::{Consumer, Message, Producer};
use crate::config::{Program, options};

const PROGRAM: Program = Program {
    name: "nsq_to_nsq",
    title: "copies messages to other nsqds",
    about: "\
        Reads topics and publishes each message again, to one of the destinations: under the same topic or another, whole \
        or with some of its JSON fields. A message is finished when a destination has accepted its copy.",
    examples: &[
        (
            "nsq_to_nsq --topic=orders --nsqd-tcp-address=queue1:4150 --destination-nsqd-tcp-address=backup:4150",
            "A second copy, elsewhere.",
        ),
        (
            "nsq_to_nsq --topic=clicks --destination-topic=clicks-de --require-json-field=country --require-json-value=de --lookupd-http-address=find1:4161 --destination-nsqd-tcp-address=queue2:4150",
            "Only some of them.",
        ),
    ],
};

options! {
    /// Everything `nsq_to_nsq` can be told.
    pub struct NsqToNsqOptions for PROGRAM;

    group "Where to": "Nsqds, and what they get." {
        builtin "help" = Help, "Prints this page.";
        builtin "version" = Version, "Prints the version.";
        builtin "man" = Man, "Prints a page for man. Try nsq_to_nsq --man | man -l -.";
        builtin "completions" <"SHELL"> = Completions, "Prints a completion script (bash, zsh, fish). Try source <(nsq_to_nsq --completions bash).";
        "destination-nsqd-tcp-address" <"HOST:PORT"> => destinations: Vec<String> = Vec::new(),
            "An nsqd to publish to.";
        "destination-topic" <"TOPIC"> => destination_topic: String = String::new(),
            "The topic to publish to. The one that was read if not said.";
        "mode" <"MODE"> => mode: String = "hostpool".to_owned(),
            "Which destination is next: round-robin, hostpool (those that work, in turn) or epsilon-greedy (mostly the fastest).";
        "require-json-field" <"FIELD"> => require_json_field: String = String::new(),
            "Copies only messages whose JSON has this field; others are finished.";
        "require-json-value" <"VALUE"> => require_json_value: String = String::new(),
            "Copies only messages in which that field has this value.";
        "whitelist-json-field" <"FIELD"> => whitelist_json_fields: Vec<String> = Vec::new(),
            "Copies this field of the JSON, and none that is not named.";
        "status-every" => status_every: u64 = 250,
            "Says how long copying takes after so many messages. 0 says nothing.";
        "producer-opt" <"NAME,VALUE"> => producer_opts: Vec<String> = Vec::new(),
            "An option of the publishing client, such as dial_timeout,5s. Its name alone means true.";
    }

    group "Where from": "Topics, and either nsqds or nsqlookupds that know them." {
        "topic" <"TOPIC"> => topics: Vec<String> = Vec::new(),
            "A topic to copy.";
        "channel" <"CHANNEL"> => channel: String = "nsq_to_nsq".to_owned(),
            "The channel to read from.";
        "nsqd-tcp-address" <"HOST:PORT"> => nsqd_tcp_addresses: Vec<String> = Vec::new(),
            "An nsqd to read from.";
        "lookupd-http-address" <"HOST:PORT"> => lookupd_http_addresses: Vec<String> = Vec::new(),
            "An nsqlookupd to ask for nsqds.";
        "max-in-flight" => max_in_flight: u64 = 200,
            "The most messages to have at once.";
        "consumer-opt" <"NAME,VALUE"> => consumer_opts: Vec<String> = Vec::new(),
            "An option of the reading client, such as max_attempts,0. Its name alone means true.";
    }
}

impl NsqToNsqOptions {
    fn check(&self) -> Result<Mode> {
        ensure!(!self.topics.is_empty(), Misuse("--topic required"));
        ensure!(!self.channel.is_empty(), Misuse("--channel required"));
        ensure!(!self.destinations.is_empty(), Misuse("--destination-nsqd-tcp-address required"));
        for topic in self.topics.iter().chain(Some(&self.destination_topic).filter(|it| !it.is_empty())) {
            ensure!(TopicName::parse(topic).is_ok(), "--topic is invalid: {topic:?}");
        }
        ensure!(ChannelName::parse(&self.channel).is_ok(), "--channel is invalid: {:?}", self.channel);
        self.source().check()?;
        let filtered = !self.require_json_field.is_empty();
        ensure!(
            filtered || self.require_json_value.is_empty(),
            Misuse("--require-json-value needs --require-json-field")
        );
        Mode::parse(&self.mode)
            .with_context(|| format!("--mode {:?}: it is round-robin, hostpool or epsilon-greedy", self.mode))
    }

    fn source(&self) -> Source<'_> {
        Source { nsqds: &self.nsqd_tcp_addresses, lookupds: &self.lookupd_http_addresses }
    }

    fn filter(&self) -> Filter {
        let text = |text: &String| Some(text.clone()).filter(|it| !it.is_empty());
        Filter {
            field: text(&self.require_json_field),
            value: text(&self.require_json_value),
            fields: self.whitelist_json_fields.clone(),
        }
    }
}

/// Runs it until a signal.
pub async fn run(options: NsqToNsqOptions, _: &[String]) -> Result<()> {
    let mode = options.check()?;
    let mut client = client_options("nsq_to_nsq", "consumer-opt", &options.consumer_opts)?;
    client.client_mut().max_in_flight = u32::try_from(options.max_in_flight).unwrap_or(u32::MAX);
    let publishing = client_options("nsq_to_nsq", "producer-opt", &options.producer_opts)?;
    let start = |address: &String| Producer::builder().nsqd(address).options(publishing.clone()).start();
    let copier = Copier {
        filter: options.filter(),
        producers: options.destinations.iter().map(start).collect::<Result<_, _>>()?,
        pool: RefCell::new(Pool::new(mode, options.destinations.len(), Instant::now(), crate::client::seed())),
        statuses: RefCell::new(Statuses::new(&options.destinations, options.status_every)),
    };
    let mut signals = terminations()?;
    let mut consumers = Vec::new();
    for topic in &options.topics {
        let source = options.source();
        let connecting = source.consumer(topic, &options.channel, &client);
        let Some(consumer) = unless_told_to_end(&mut signals, connecting).await? else { return Ok(()) };
        consumers.push((topic, consumer));
    }
    let controls: Vec<_> = consumers.iter().map(|(_, consumer)| consumer.control()).collect();
    let concurrency = usize::try_from(options.max_in_flight).unwrap_or(usize::MAX).max(1);
    let copying = futures::future::join_all(consumers.into_iter().map(|(topic, consumer)| {
        let to = if options.destination_topic.is_empty() { topic } else { &options.destination_topic };
        copier.copy_all(consumer, to, concurrency)
    }));
    let stopping = async {
        signals.next().await;
        controls.iter().for_each(|control| control.stop());
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = copying => Ok(()),
        () = stopping => Ok(()),
    }
}

struct Copier {
    filter: Filter,
    producers: Vec<Producer>,
    // One thread, and no borrow outlives a statement.
    pool: RefCell<Pool>,
    statuses: RefCell<Statuses>,
}

impl Copier {
    async fn copy_all(&self, consumer: Consumer, topic: &str, concurrency: usize) {
        consumer.run(concurrency, async |message| self.copy(message, topic).await).await;
    }

    async fn copy(&self, message: &Message, topic: &str) -> Result<()> {
        let Some(body) = self.filter.apply(&message.body)? else { return Ok(()) };
        let began = Instant::now();
        let destination = self.pool.borrow_mut().choose(began);
        let published = self.producers[destination].publish(topic, &body).await;
        let took: Duration = began.elapsed();
        self.pool.borrow_mut().report(Instant::now(), destination, took, published.is_ok());
        published.map_err(|error| anyhow!(error))?;
        self.statuses.borrow_mut().add(destination, took);
        Ok(())
    }
}

/// Which messages are copied, and what of them.
struct Filter {
    field: Option<String>,
    value: Option<String>,
    fields: Vec<String>,
}

impl Filter {
    /// What to publish; `None` if the message is to be finished and no more. An error makes it come again.
    fn apply(&self, body: &Bytes) -> Result<Option<Bytes>> {
        if self.field.is_none() && self.fields.is_empty() {
            return Ok(Some(body.clone()));
        }
        let object: Map<String, Value> = match serde_json::from_slice(body) {
            Ok(object) => object,
            Err(error) => {
                warn!("a message is dropped that is no JSON object: {error}");
                return Ok(None);
            }
        };
        if let Some(field) = &self.field {
            match (object.get(field), &self.value) {
                (None, None) => return Ok(None),
                (None, Some(_)) => bail!("a message has no field {field:?}"),
                (Some(found), Some(wanted)) if !matches(found, wanted) => return Ok(None),
                (Some(_), _) => {}
            }
        }
        if self.fields.is_empty() {
            return Ok(Some(body.clone()));
        }
        let kept = self.fields.iter().filter_map(|field| Some((field.clone(), plain(object.get(field)?))));
        // In the order of their names, whatever the order of a map.
        let kept: std::collections::BTreeMap<String, Value> = kept.collect();
        Ok(Some(serde_json::to_vec(&kept)?.into()))
    }
}

/// Texts are compared as they are, numbers as numbers, nothing else is equal to anything.
fn matches(found: &Value, wanted: &str) -> bool {
    match found {
        Value::String(text) => text == wanted,
        Value::Number(number) => wanted.parse().is_ok_and(|wanted: f64| number.as_f64() == Some(wanted)),
        _ => false,
    }
}

/// Numbers without a fraction are written without one.
fn plain(value: &Value) -> Value {
    /// Up to here a float holds every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.as_f64() {
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() <= EXACT => Value::from(number as i64),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(field: &str, value: &str, fields: &[&str]) -> Filter {
        let text = |text: &str| Some(text.to_owned()).filter(|it| !it.is_empty());
        Filter { field: text(field), value: text(value), fields: fields.iter().map(|it| it.to_string()).collect() }
    }

    fn apply(filter: &Filter, body: &str) -> Result<Option<String>> {
        let copied = filter.apply(&Bytes::copy_from_slice(body.as_bytes()))?;
        Ok(copied.map(|body| String::from_utf8(body.to_vec()).unwrap()))
    }

    #[test]
    fn messages_are_copied_by_what_their_json_says() {
        let all = filter("", "", &[]);
        assert_eq!(apply(&all, "no JSON").unwrap().as_deref(), Some("no JSON"));
        let field = filter("a", "", &[]);
        assert_eq!(apply(&field, r#"{"a": null }"#).unwrap().as_deref(), Some(r#"{"a": null }"#));
        for dropped in ["no JSON", "[]", r#"{"b":1}"#] {
            assert_eq!(apply(&field, dropped).unwrap(), None, "{dropped}");
        }
        let value = filter("a", "1.0", &[]);
        assert!(apply(&value, r#"{"a":1}"#).unwrap().is_some());
        assert!(apply(&value, r#"{"a":"1.0"}"#).unwrap().is_some());
        for other in [r#"{"a":2}"#, r#"{"a":"1"}"#, r#"{"a":true}"#] {
            assert_eq!(apply(&value, other).unwrap(), None, "{other}");
        }
        assert!(apply(&value, "{}").is_err());
    }

    #[test]
    fn fields_are_copied_in_the_order_of_their_names() {
        let some = filter("", "", &["b", "a", "x"]);
        let copied = apply(&some, r#"{"c":3,"b":{"z":1.5},"a":1.0}"#).unwrap();
        assert_eq!(copied.as_deref(), Some(r#"{"a":1,"b":{"z":1.5}}"#));
    }
}
