//! `sansq pub`: publishes its words, or the lines of standard input, each as a message.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, IsTerminal, Read};

use anyhow::{Context, Result, anyhow, bail};
use sansq_core::name::TopicName;
use tokio::runtime::Runtime;

use super::connect::{ADDRESS_FLAG, check, explained, options, runtime};
use super::words::{Misuse, Words};
use super::{Failure, print, remark, screen};
use crate::client::Producer;

/// Messages and bytes that go in one MPUB; its body has to stay below `--max-body-size`, 5 MiB by default.
const BATCH_MESSAGES_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The longest line that is read into memory.
const LINE_BYTES_MAX: u64 = 256 * 1024 * 1024;

const USAGE: &str = "pub TOPIC [MESSAGE...]";

pub(super) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    let words = Words::sort("pub", &[ADDRESS_FLAG], args)?;
    if words.help {
        print(&screen::pub_help());
        return Ok(());
    }
    let mut others = words.others.into_iter();
    let topic = others.next().ok_or(Misuse::NoWord { command: "pub", what: "a topic", usage: USAGE })?;
    let topic = topic_named(&topic.to_string_lossy())?;
    let address = words.flags.get(ADDRESS_FLAG).map_or(screen::TCP_ADDRESS, String::as_str);
    let messages: Vec<Vec<u8>> = others.map(OsString::into_encoded_bytes).collect();
    if messages.iter().any(Vec::is_empty) {
        return Err(Misuse::BadValue {
            what: "a message",
            value: String::new(),
            why: "a message has at least one byte".to_owned(),
        }
        .into());
    }

    check(address)?;
    let runtime = runtime()?;
    let connecting = async { Producer::builder().nsqd(address).options(options()).connect().await };
    let producer = runtime.block_on(connecting).map_err(explained)?;
    let mut publisher = Publisher { runtime, producer, topic, batch: Vec::new(), batch_bytes: 0, published: 0 };
    let result = match messages.is_empty() {
        false => messages.into_iter().try_for_each(|message| publisher.add(message)).and_then(|()| publisher.send()),
        true => publisher.add_lines(std::io::stdin().lock()),
    };
    let count = publisher.published;
    match result {
        Ok(()) => {
            let plural = if count == 1 { "" } else { "s" };
            print(&format!("{count} message{plural} published to {}\n", publisher.topic));
            Ok(())
        }
        Err(error) if count == 0 => Err(error.into()),
        Err(error) => Err(error.context(format!("{count} published, then")).into()),
    }
}

/// The topic `text`.
pub(super) fn topic_named(text: &str) -> Result<TopicName, Misuse> {
    TopicName::parse(text).map_err(|rule| Misuse::BadValue {
        what: "a topic",
        value: text.to_owned(),
        why: rule.to_string(),
    })
}

struct Publisher {
    runtime: Runtime,
    producer: Producer,
    topic: TopicName,
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
    published: u64,
}

impl Publisher {
    /// Publishes each line; a line that is there is not kept waiting for the next one.
    fn add_lines(&mut self, input: impl Read + IsTerminal) -> Result<()> {
        if input.is_terminal() {
            remark("Each line becomes a message; Ctrl-D ends.");
        }
        let mut input = BufReader::new(input);
        loop {
            let mut line = Vec::new();
            input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).context("cannot read standard input")?;
            if line.is_empty() {
                return self.send();
            }
            if line.len() as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
                bail!("a line of standard input is longer than {LINE_BYTES_MAX} bytes");
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if !line.is_empty() {
                self.add(line)?;
            }
            if !input.buffer().contains(&b'\n') {
                self.send()?;
            }
        }
    }

    fn add(&mut self, message: Vec<u8>) -> Result<()> {
        if self.batch.len() >= BATCH_MESSAGES_MAX || self.batch_bytes + message.len() > BATCH_BYTES_MAX {
            self.send()?;
        }
        self.batch_bytes += message.len();
        self.batch.push(message);
        Ok(())
    }

    /// Publishes what was added, all of it or nothing.
    fn send(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let publish = self.producer.multi_publish(self.topic.as_str(), &self.batch);
        self.runtime.block_on(publish).map_err(|error| anyhow!("the broker says {error}"))?;
        self.published += self.batch.len() as u64;
        self.batch.clear();
        self.batch_bytes = 0;
        Ok(())
    }
}
