//! `sansq tail`: prints the messages of a topic as they come, each on a line, and finishes them once they are printed.

use std::ffi::OsString;
use std::io::{BufWriter, ErrorKind, Write};

use anyhow::{Result, bail};
use sansq_core::name::ChannelName;
use sansq_core::wire::MESSAGE_HEAD_BYTES;

use super::client::{ADDRESS_FLAG, Client, Frame, Heartbeats};
use super::publish::topic_named;
use super::words::{Misuse, Words};
use super::{Failure, print, screen};

/// Most messages asked for at a time.
const READY_MAX: u64 = 200;
const USAGE: &str = "tail TOPIC [--channel CHANNEL] [-n COUNT]";

pub(super) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    let words = Words::sort("tail", &["channel", "n", ADDRESS_FLAG], args)?;
    if words.help {
        print(&screen::tail_help());
        return Ok(());
    }
    let [topic, rest @ ..] = words.others.as_slice() else {
        return Err(Misuse::NoTopic { command: "tail", usage: USAGE }.into());
    };
    if let Some(word) = rest.first() {
        return Err(Misuse::TooMany(word.to_string_lossy().into_owned()).into());
    }
    let topic = topic_named(&topic.to_string_lossy())?;
    let channel = match words.flags.get("channel") {
        Some(name) => channel_named(name)?,
        None => channel_named(&format!("tail{}#ephemeral", chance() % 1_000_000))?,
    };
    let count = match words.flags.get("n") {
        None => u64::MAX,
        Some(text) => text.parse().ok().filter(|count| *count > 0).ok_or_else(|| Misuse::BadValue {
            what: "-n",
            value: text.clone(),
            why: "it is a number of messages, 1 or more".to_owned(),
        })?,
    };
    let address = words.flags.get(ADDRESS_FLAG).map_or(screen::TCP_ADDRESS, String::as_str);

    let mut client = Client::connect(address, Heartbeats::On)?;
    client.send(&format!("SUB {topic} {channel}"));
    client.expect_response()?;
    eprintln!("Reading topic {topic} through channel {channel}; Ctrl-C ends.");
    let mut tail = Tail { client, out: BufWriter::new(std::io::stdout().lock()), left: count, ready: 0 };
    match tail.follow() {
        Err(error) if is_gone(&error) => Ok(()),
        result => Ok(result?),
    }
}

fn channel_named(text: &str) -> Result<ChannelName, Misuse> {
    ChannelName::parse(text).map_err(|rule| Misuse::BadValue {
        what: "a channel",
        value: text.to_owned(),
        why: rule.to_string(),
    })
}

/// A number nobody else is likely to draw.
fn chance() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id())
}

/// Whoever read standard output has gone away (`| head`): not a failure.
fn is_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

struct Tail<W> {
    client: Client,
    out: W,
    /// Messages still to print.
    left: u64,
    /// RDY as it was last sent.
    ready: u64,
}

impl<W: Write> Tail<W> {
    /// Prints until there is nothing left to print.
    fn follow(&mut self) -> Result<()> {
        self.want();
        while self.left > 0 {
            match self.client.next_received()? {
                Some(Frame::Message(message)) => self.print(&message)?,
                Some(Frame::Response(_)) => {}
                Some(Frame::Error(error)) if error.starts_with("E_FIN_FAILED") => {
                    eprintln!("sansq: a message was printed too late and comes again: {error}");
                }
                Some(Frame::Error(error)) => bail!("the broker says {error}"),
                None => {
                    // Finished is what was really written.
                    self.out.flush()?;
                    self.client.exchange()?;
                }
            }
        }
        self.out.flush()?;
        // Its answer means that the last FIN has arrived too.
        self.client.send("CLS");
        while self.client.expect_response()? != b"CLOSE_WAIT" {}
        Ok(())
    }

    /// Asks for no more than is left to print, so that nobody else's messages are held back.
    fn want(&mut self) {
        let ready = self.left.min(READY_MAX);
        if ready != self.ready {
            self.ready = ready;
            self.client.send(&format!("RDY {ready}"));
        }
    }

    fn print(&mut self, message: &[u8]) -> Result<()> {
        let Some((head, body)) = message.split_at_checked(MESSAGE_HEAD_BYTES) else {
            bail!("the broker sent half a message");
        };
        let id = String::from_utf8_lossy(&head[10..]);
        self.out.write_all(body)?;
        self.out.write_all(b"\n")?;
        self.left -= 1;
        // Before FIN, which makes room for one more.
        self.want();
        self.client.send(&format!("FIN {id}"));
        Ok(())
    }
}
