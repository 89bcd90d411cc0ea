//! `to_nsq`: publishes what comes in on standard input, one message for each line, to every nsqd that is named.
//!
//! Messages go out in the order they came in; up to [`WINDOW`] of them wait for answers at a time. The first that is not
//! accepted ends the tool, as does the end of the input once all are accepted.

use std::io::{self, BufRead, BufReader, Read as _};
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::{BoxFuture, try_join_all};
use futures::stream::FuturesOrdered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::info;

use super::{Misuse, client_options, terminations};
use crate::client::{Error, Producer};
use crate::config::{Program, options};

/// Messages that wait for their answers.
const WINDOW: usize = 1000;
/// The longest message that is read into memory.
const MESSAGE_BYTES_MAX: u64 = 256 * 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;

const PROGRAM: Program = Program {
    name: "to_nsq",
    title: "publishes lines of standard input",
    about: "\
        Each line of standard input becomes a message of a topic; empty lines are skipped. With several nsqds, each of \
        them gets every message. The tool ends when the input does and all messages are accepted, and with exit code 1 \
        as soon as one is not.",
    examples: &[
        ("echo hello | to_nsq --topic=greetings --nsqd-tcp-address=127.0.0.1:4150", "Publishes one message."),
        (
            "tail -F access.log | to_nsq --topic=access --rate=100 --nsqd-tcp-address=queue1:4150",
            "No more than 100 lines a second.",
        ),
    ],
};

options! {
    /// Everything `to_nsq` can be told.
    pub struct ToNsqOptions for PROGRAM;

    group "Flags": "What to publish, and where." {
        builtin "help" = Help, "Prints this page.";
        builtin "version" = Version, "Prints the version.";
        builtin "man" = Man, "Prints a page for man. Try to_nsq --man | man -l -.";
        builtin "completions" <"SHELL"> = Completions, "Prints a completion script (bash, zsh, fish). Try source <(to_nsq --completions bash).";
        "topic" <"TOPIC"> => topic: String = String::new(),
            "The topic to publish to.";
        "nsqd-tcp-address" <"HOST:PORT"> => nsqd_tcp_addresses: Vec<String> = Vec::new(),
            "An nsqd to publish to. Each that is named gets every message.";
        "delimiter" <"BYTE"> => delimiter: String = "\n".to_owned(),
            "The byte that ends a message in the input. A new line if not said.";
        "rate" <"N"> => rate: i64 = 0,
            "The most messages to publish in a second. 0 is unlimited.";
        "producer-opt" <"NAME,VALUE"> => producer_opts: Vec<String> = Vec::new(),
            "An option of the client, such as dial_timeout,5s. Its name alone means true.";
    }
}

/// Runs it until the end of the input, or a signal.
pub async fn run(options: ToNsqOptions, _: &[String]) -> Result<()> {
    if options.topic.is_empty() {
        bail!(Misuse("--topic required"));
    }
    let &[delimiter] = options.delimiter.as_bytes() else { bail!(Misuse("--delimiter must be a single byte")) };
    if options.nsqd_tcp_addresses.is_empty() {
        bail!(Misuse("--nsqd-tcp-address required"));
    }
    let client = client_options("to_nsq", "producer-opt", &options.producer_opts)?;
    let start = |address: &String| Producer::builder().nsqd(address).options(client.clone()).start();
    let producers = options.nsqd_tcp_addresses.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let throttle = Throttle::new(options.rate);
    if options.rate >= 1 {
        info!("Throttling messages rate to max:{}/second", options.rate);
    }
    let mut publisher = Publisher { topic: options.topic, producers, throttle, under_way: FuturesOrdered::new() };
    let mut signals = terminations()?;
    let mut input = read_input(delimiter);
    loop {
        tokio::select! {
            _ = signals.next() => break,
            message = input.recv() => match message {
                Some(message) => publisher.publish(message.context("cannot read standard input")?).await?,
                None => break,
            },
            Some(outcome) = publisher.under_way.next() => outcome?,
        }
    }
    publisher.finish().await
}

/// The messages in standard input, read by a thread of its own: reading cannot be called off.
fn read_input(delimiter: u8) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, messages) = mpsc::channel(WINDOW);
    std::thread::spawn(move || {
        let mut input = BufReader::with_capacity(READ_BYTES, io::stdin().lock());
        while let Some(message) = read_message(&mut input, delimiter).transpose() {
            let failed = message.is_err();
            if sender.blocking_send(message).is_err() || failed {
                return;
            }
        }
    });
    messages
}

/// The next message that is not empty. The last one need not be ended by the delimiter.
fn read_message(input: &mut impl BufRead, delimiter: u8) -> io::Result<Option<Vec<u8>>> {
    loop {
        let mut message = Vec::new();
        let length = input.by_ref().take(MESSAGE_BYTES_MAX).read_until(delimiter, &mut message)?;
        if length == 0 {
            return Ok(None);
        }
        if message.last() == Some(&delimiter) {
            message.pop();
        } else if length as u64 == MESSAGE_BYTES_MAX {
            return Err(io::Error::other(format!("a message is longer than {MESSAGE_BYTES_MAX} bytes")));
        }
        if !message.is_empty() {
            return Ok(Some(message));
        }
    }
}

struct Publisher {
    topic: String,
    producers: Vec<Producer>,
    throttle: Throttle,
    /// In the order they were sent.
    under_way: FuturesOrdered<BoxFuture<'static, Result<(), Error>>>,
}

impl Publisher {
    /// Sends a message, once there is room and the rate allows it.
    async fn publish(&mut self, message: Vec<u8>) -> Result<()> {
        while self.under_way.len() >= WINDOW {
            self.next_answer().await?;
        }
        self.throttle.wait().await;
        let (producers, topic) = (self.producers.clone(), self.topic.clone());
        let publish = async move {
            try_join_all(producers.iter().map(|producer| producer.publish(&topic, &message))).await.map(drop)
        };
        // Begun here and now, so that messages go out in their order.
        let mut publish = publish.boxed();
        match futures::poll!(&mut publish) {
            Poll::Ready(outcome) => outcome?,
            Poll::Pending => self.under_way.push_back(publish),
        }
        Ok(())
    }

    async fn next_answer(&mut self) -> Result<()> {
        self.under_way.next().await.transpose()?;
        Ok(())
    }

    /// Waits for all answers.
    async fn finish(mut self) -> Result<()> {
        while !self.under_way.is_empty() {
            self.next_answer().await?;
        }
        Ok(())
    }
}

/// Lets so many through in a second: what was not used within a second is lost.
struct Throttle {
    /// None is unlimited.
    every: Option<Duration>,
    next: Instant,
}

impl Throttle {
    fn new(rate: i64) -> Self {
        let rate = u32::try_from(rate).ok().filter(|rate| *rate > 0);
        Self { every: rate.map(|rate| Duration::from_secs(1) / rate), next: Instant::now() }
    }

    async fn wait(&mut self) {
        let Some(every) = self.every else { return };
        tokio::time::sleep_until(self.next).await;
        self.next = self.next.max(Instant::now() - Duration::from_secs(1)) + every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_with_the_delimiter_or_the_input() {
        let read = |mut input: &[u8], delimiter| {
            let mut messages = Vec::new();
            while let Some(message) = read_message(&mut input, delimiter).unwrap() {
                messages.push(String::from_utf8(message).unwrap());
            }
            messages
        };
        assert_eq!(read(b"one\n\ntwo\nthree", b'\n'), ["one", "two", "three"]);
        assert_eq!(read(b",x,y,", b','), ["x", "y"]);
        assert!(read(b"", b'\n').is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept() {
        let start = Instant::now();
        let mut throttle = Throttle::new(10);
        for _ in 0..31 {
            throttle.wait().await;
        }
        assert_eq!(start.elapsed().as_millis() / 10, 300);
        let mut unlimited = Throttle::new(0);
        (0..1000).for_each(|_| assert!(unlimited.wait().now_or_never().is_some()));
    }
}
