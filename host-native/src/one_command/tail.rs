//! `sansq tail`: prints the messages of a topic as they come, each on a line, and finishes them once they are printed.

use std::ffi::OsString;

use sansq_core::name::ChannelName;

use super::connect::{ADDRESS_FLAG, check, explained, options, runtime};
use super::publish::topic_named;
use super::words::{Misuse, Words};
use super::{Failure, print, remark, screen};
use crate::client::Consumer;
use crate::tools::{Messages, nsq_tail, random_channel};

/// Most messages asked for at a time.
const READY_MAX: u32 = 200;
pub(super) const FLAGS: [&str; 3] = ["channel", "n", ADDRESS_FLAG];
const USAGE: &str = "tail TOPIC [--channel CHANNEL] [-n COUNT]";

pub(super) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    let words = Words::sort("tail", &FLAGS, args)?;
    if words.help {
        print(&screen::tail_help());
        return Ok(());
    }
    let [topic, rest @ ..] = words.others.as_slice() else {
        return Err(Misuse::NoWord { command: "tail", what: "a topic", usage: USAGE }.into());
    };
    if let Some(word) = rest.first() {
        return Err(Misuse::TooMany(word.to_string_lossy().into_owned()).into());
    }
    let topic = topic_named(&topic.to_string_lossy())?;
    let channel = channel_named(words.flags.get("channel").unwrap_or(&random_channel()))?;
    let count = match words.flags.get("n") {
        None => 0,
        Some(text) => text.parse().ok().filter(|count| *count > 0).ok_or_else(|| Misuse::BadValue {
            what: "-n",
            value: text.clone(),
            why: "it is a number of messages, 1 or more".to_owned(),
        })?,
    };
    let address = words.flags.get(ADDRESS_FLAG).map_or(screen::TCP_ADDRESS, String::as_str);
    check(address)?;

    let most = if count == 0 { READY_MAX } else { u32::try_from(count).unwrap_or(READY_MAX).min(READY_MAX) };
    let builder = Consumer::builder(topic.as_str(), channel.as_str()).nsqd(address);
    runtime()?.block_on(async {
        let consumer = builder.options(options()).max_in_flight(most).connect().await.map_err(explained)?;
        remark(&format!("Reading topic {topic} through channel {channel}; Ctrl-C ends."));
        let mut messages = Messages::new();
        messages.add(consumer);
        Ok(nsq_tail::print(messages, &[], count, most, futures::stream::pending()).await?)
    })
}

fn channel_named(text: &str) -> Result<ChannelName, Misuse> {
    ChannelName::parse(text).map_err(|rule| Misuse::BadValue {
        what: "a channel",
        value: text.to_owned(),
        why: rule.to_string(),
    })
}
