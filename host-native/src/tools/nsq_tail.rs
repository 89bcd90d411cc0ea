//! `nsq_tail`: prints messages as they come, each on a line, and finishes them once they are printed.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use anyhow::{Context as _, Result, bail};
use futures::{Stream, StreamExt as _};
use tracing::info;

use super::{
    Messages, Misuse, Source, client_options, is_reader_gone, random_channel, terminations, unless_told_to_end,
};
use crate::client::Message;
use crate::config::{Program, options};

const PROGRAM: Program = Program {
    name: "nsq_tail",
    title: "prints messages as they come",
    about: "\
        Subscribes to topics and prints each message on a line. Without --channel it has a channel of its own, which is \
        gone when the tool ends, so that it takes no messages from anybody.",
    examples: &[
        ("nsq_tail --topic=greetings --nsqd-tcp-address=127.0.0.1:4150", "What one nsqd has, as it comes."),
        (
            "nsq_tail --topic=greetings -n 10 --lookupd-http-address=find1:4161",
            "Ten messages from all nsqds of the topic.",
        ),
    ],
};

options! {
    /// Everything `nsq_tail` can be told.
    pub struct NsqTailOptions for PROGRAM;

    group "What to print": "Messages, and how many of them." {
        builtin "help" = Help, "Prints this page.";
        builtin "version" = Version, "Prints the version.";
        builtin "man" = Man, "Prints a page for man. Try nsq_tail --man | man -l -.";
        builtin "completions" <"SHELL"> = Completions, "Prints a completion script (bash, zsh, fish). Try source <(nsq_tail --completions bash).";
        "topic" <"TOPIC"> => topics: Vec<String> = Vec::new(),
            "A topic to print.";
        "channel" <"CHANNEL"> => channel: String = String::new(),
            "The channel to read from. One of its own, tail123456#ephemeral, if not said.";
        "n" => count: u64 = 0,
            "Ends after so many messages of a topic. 0 goes on for ever.";
        "print-topic" => print_topic: bool = false,
            "Prints the topic before each message.";
    }

    group "Where from": "Either nsqds, or nsqlookupds that know them." {
        "nsqd-tcp-address" <"HOST:PORT"> => nsqd_tcp_addresses: Vec<String> = Vec::new(),
            "An nsqd to read from.";
        "lookupd-http-address" <"HOST:PORT"> => lookupd_http_addresses: Vec<String> = Vec::new(),
            "An nsqlookupd to ask for nsqds.";
        "max-in-flight" => max_in_flight: u64 = 200,
            "The most messages to have at once.";
        "consumer-opt" <"NAME,VALUE"> => consumer_opts: Vec<String> = Vec::new(),
            "An option of the client, such as max_attempts,0. Its name alone means true.";
    }
}

/// Runs it until it has printed what it should, or a signal.
pub async fn run(options: NsqTailOptions, _: &[String]) -> Result<()> {
    let source = Source { nsqds: &options.nsqd_tcp_addresses, lookupds: &options.lookupd_http_addresses };
    source.check()?;
    if options.topics.is_empty() {
        bail!(Misuse("--topic required"));
    }
    let channel = if options.channel.is_empty() { random_channel() } else { options.channel.clone() };
    let mut client = client_options("nsq_tail", "consumer-opt", &options.consumer_opts)?;
    // No more than are to be printed, so that nobody else's are held back.
    let most = if options.count == 0 { options.max_in_flight } else { options.max_in_flight.min(options.count) };
    let max_in_flight = u32::try_from(most).unwrap_or(u32::MAX);
    client.client_mut().max_in_flight = max_in_flight;

    let mut signals = terminations()?;
    let mut messages = Messages::new();
    for topic in &options.topics {
        info!("Adding consumer for topic: {topic}");
        let connecting = source.consumer(topic, &channel, &client);
        let Some(consumer) = unless_told_to_end(&mut signals, connecting).await? else { return Ok(()) };
        messages.add(consumer);
    }
    let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
    let prefixes = if options.print_topic { topics } else { Vec::new() };
    print(messages, &prefixes, options.count, max_in_flight, signals).await
}

/// Prints messages until `count` came of some consumer (0 goes on for ever), or until `stop` says so. `prefixes`, by
/// consumer, stand before each; there may be none. Each consumer has at most `max_in_flight`. When whoever reads standard
/// output has gone away (`| head`), it ends, and what could not be printed is not finished.
pub(crate) async fn print(
    messages: Messages,
    prefixes: &[&str],
    count: u64,
    max_in_flight: u32,
    stop: impl Stream<Item = ()> + Unpin,
) -> Result<()> {
    match print_all(messages, prefixes, count, max_in_flight, stop).await {
        Err(error) if error.downcast_ref().is_some_and(is_reader_gone) => Ok(()),
        result => result,
    }
}

async fn print_all(
    mut messages: Messages,
    prefixes: &[&str],
    count: u64,
    max_in_flight: u32,
    mut stop: impl Stream<Item = ()> + Unpin,
) -> Result<()> {
    let mut printed =
        Printed { out: BufWriter::new(io::stdout().lock()), unfinished: Vec::new(), counts: BTreeMap::new() };
    'all: loop {
        let mut next = tokio::select! {
            _ = stop.next() => break,
            next = messages.next() => next,
        };
        if next.is_none() {
            break;
        }
        while let Some((consumer, message)) = next {
            let so_far = printed.print(consumer, prefixes.get(consumer).copied(), message)?;
            if count > 0 && count - so_far < u64::from(max_in_flight) {
                // Before it is finished, which makes room for one more: nobody else's messages are held back.
                messages.set_max_in_flight(consumer, (count - so_far) as u32);
            }
            if so_far == count {
                break 'all;
            }
            next = messages.next_now();
        }
        printed.finish()?;
    }
    printed.finish()?;
    messages.give_back().await;
    Ok(())
}

struct Printed<W> {
    out: W,
    unfinished: Vec<Message>,
    /// Messages printed, by consumer.
    counts: BTreeMap<usize, u64>,
}

impl<W: Write> Printed<W> {
    /// How many were printed of this consumer, with this one.
    fn print(&mut self, consumer: usize, prefix: Option<&str>, message: Message) -> Result<u64> {
        let mut print = || {
            if let Some(prefix) = prefix {
                write!(self.out, "{prefix} | ")?;
            }
            self.out.write_all(&message.body)?;
            self.out.write_all(b"\n")
        };
        print().context("cannot write to standard output")?;
        self.unfinished.push(message);
        let count = self.counts.entry(consumer).or_default();
        *count += 1;
        Ok(*count)
    }

    /// Finishes what was printed, once it is really written.
    fn finish(&mut self) -> Result<()> {
        self.out.flush().context("cannot write to standard output")?;
        self.unfinished.drain(..).for_each(Message::finish);
        Ok(())
    }
}
