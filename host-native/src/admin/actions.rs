//! What can be done: topics and channels created, emptied, paused and deleted, nsqds taken out of a topic. Everybody who is
//! concerned is told at once; who does not answer is in the answer's `message`.

use sansq_core::cluster::Producer;
use sansq_core::name::{ChannelName, TopicName};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::acl;
use super::api::done;
use super::discovery::{NSQD, NSQLOOKUPD};
use super::http::{Api, BODY_BYTES_MAX};
use super::notify::{Deed, Requester};
use super::upstream::{Gathered, Trouble, Warnings, gather, nobody, query};
use crate::http::body::{ReadError, RequestBody};
use crate::http::respond::{Failure, Outcome};

const INVALID_TOPIC: Failure = Failure::bad("INVALID_TOPIC");
const INVALID_CHANNEL: Failure = Failure::bad("INVALID_CHANNEL");

/// What is done to the messages of a topic or channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Pause,
    Unpause,
    Empty,
}

impl Change {
    /// What is told of it.
    fn deed(self, of_channel: bool) -> &'static str {
        match (self, of_channel) {
            (Self::Pause, false) => "pause_topic",
            (Self::Unpause, false) => "unpause_topic",
            (Self::Empty, false) => "empty_topic",
            (Self::Pause, true) => "pause_channel",
            (Self::Unpause, true) => "unpause_channel",
            (Self::Empty, true) => "empty_channel",
        }
    }

    /// Its name, in requests to nsqds, too.
    fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Empty => "empty",
        }
    }
}

/// A topic, or one of its channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) topic: &'a str,
    pub(super) channel: Option<&'a str>,
}

impl Target<'_> {
    /// Its kind in requests to nsqds and nsqlookupds.
    fn kind(self) -> &'static str {
        if self.channel.is_some() { "channel" } else { "topic" }
    }

    /// What to ask for to have `verb` done to it.
    pub(super) fn path(self, verb: &str) -> String {
        let pairs = [("topic", Some(self.topic)), ("channel", self.channel)];
        let pairs: Vec<(&str, &str)> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        format!("/{}/{verb}?{}", self.kind(), query(&pairs))
    }
}

impl Api {
    /// `POST /api/topics`: `{"topic", "channel"}`, the latter empty for none.
    pub(super) async fn create(&self, by: Requester<'_>, body: &mut RequestBody) -> Outcome {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Wanted {
            topic: String,
            channel: String,
        }
        acl::check(&self.options(), by.headers)?;
        let Wanted { topic, channel } = decoded(body).await?;
        TopicName::parse(topic.as_bytes()).map_err(|_| INVALID_TOPIC)?;
        if !channel.is_empty() {
            ChannelName::parse(channel.as_bytes()).map_err(|_| INVALID_CHANNEL)?;
        }
        let mut warnings = Warnings::default();
        let target = Target { topic: &topic, channel: None };
        self.create_topic(target, &mut warnings).await?;
        if !channel.is_empty() {
            self.create_channel(Target { channel: Some(&channel), ..target }, &mut warnings).await?;
        }
        self.note(by, "create_topic", target);
        if !channel.is_empty() {
            self.note(by, "create_channel", Target { channel: Some(&channel), ..target });
        }
        done(&warnings)
    }

    /// On every nsqlookupd, from which nsqds learn of it when they first need it; on every nsqd where there are none.
    async fn create_topic(&self, target: Target<'_>, warnings: &mut Warnings) -> Result<(), Failure> {
        let options = self.options();
        let path = target.path("create");
        if options.lookupd_http_addresses.is_empty() {
            let told = self.tell(&options.nsqd_http_addresses, &path).await;
            return told.settle(NSQD, warnings).map(drop);
        }
        self.tell(&options.lookupd_http_addresses, &path).await.settle(NSQLOOKUPD, warnings).map(drop)
    }

    /// On every nsqlookupd, and on every nsqd that has the topic.
    async fn create_channel(&self, target: Target<'_>, warnings: &mut Warnings) -> Result<(), Failure> {
        let options = self.options();
        let path = target.path("create");
        self.tell(&options.lookupd_http_addresses, &path).await.settle(NSQLOOKUPD, warnings)?;
        let producers = self.upstream.producers(&options, target.topic, warnings).await?;
        let told = self.tell(&addresses(&producers), &path).await;
        warnings.note(&told.troubles);
        Ok(())
    }

    /// `POST /api/topics/:topic` and `/api/topics/:topic/:channel`: `{"action"}`.
    pub(super) async fn change(&self, by: Requester<'_>, target: Target<'_>, body: &mut RequestBody) -> Outcome {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Wanted {
            action: String,
        }
        acl::check(&self.options(), by.headers)?;
        let Wanted { action } = decoded(body).await?;
        let changes = [Change::Pause, Change::Unpause, Change::Empty];
        let change = changes.into_iter().find(|change| change.name() == action);
        let change = change.ok_or(Failure::bad("INVALID_ACTION"))?;
        // Also if it fails, as in the reference: some may have done it.
        self.note(by, change.deed(target.channel.is_some()), target);
        let mut warnings = Warnings::default();
        let producers = self.upstream.producers(&self.options(), target.topic, &mut warnings).await?;
        let told = self.tell(&addresses(&producers), &target.path(change.name())).await;
        warnings.note(&told.troubles);
        done(&warnings)
    }

    /// `DELETE /api/topics/:topic` and `/api/topics/:topic/:channel`. Who has it is asked first: nsqlookupds forget it.
    pub(super) async fn delete(&self, by: Requester<'_>, target: Target<'_>) -> Outcome {
        acl::check(&self.options(), by.headers)?;
        let mut warnings = Warnings::default();
        let options = self.options();
        let producers = self.upstream.producers(&options, target.topic, &mut warnings).await?;
        let path = target.path("delete");
        warnings.note(&self.tell(&options.lookupd_http_addresses, &path).await.troubles);
        warnings.note(&self.tell(&addresses(&producers), &path).await.troubles);
        self.note(by, if target.channel.is_some() { "delete_channel" } else { "delete_topic" }, target);
        done(&warnings)
    }

    /// `DELETE /api/nodes/:node`: `{"topic"}`. The nsqlookupds hide the nsqd from who looks for the topic, and the nsqd deletes
    /// it. An nsqd that does not answer is hidden nevertheless.
    pub(super) async fn tombstone(&self, by: Requester<'_>, node: &str, body: &mut RequestBody) -> Outcome {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Wanted {
            topic: String,
        }
        acl::check(&self.options(), by.headers)?;
        let Wanted { topic } = decoded(body).await.map_err(|_| Failure::bad("INVALID_BODY"))?;
        TopicName::parse(topic.as_bytes()).map_err(|_| INVALID_TOPIC)?;
        let mut warnings = Warnings::default();
        let producer = self.find_node(node, &mut warnings).await?;
        let options = self.options();
        // nsqlookupds compare it with what they would write, which has no brackets.
        let name = format!("{}:{}", producer.broadcast_address, producer.http_port);
        let path = format!("/topic/tombstone?{}", query(&[("topic", &topic), ("node", &name)]));
        let told = self.tell(&options.lookupd_http_addresses, &path).await;
        let hidden = !told.found.is_empty();
        warnings.note(&told.troubles);
        let target = Target { topic: &topic, channel: None };
        let told = self.tell(&[node.to_owned()], &target.path("delete")).await;
        if told.found.is_empty() && !hidden {
            return Err(nobody(NSQD, &told.troubles));
        }
        warnings.note(&told.troubles);
        let deed = Deed { action: "tombstone_topic_producer", topic: &topic, node, ..Deed::default() };
        self.notifier.note(&options, deed, by);
        done(&warnings)
    }

    fn note(&self, by: Requester<'_>, action: &'static str, target: Target<'_>) {
        let channel = target.channel.unwrap_or_default();
        self.notifier.note(&self.options(), Deed { action, topic: target.topic, channel, node: "" }, by);
    }

    /// POSTs `path` to all. What comes of it will be on the pages at once.
    async fn tell(&self, addresses: &[String], path: &str) -> Gathered<()> {
        let tell = async |address: String| -> Result<(), Trouble> { self.upstream.post(&address, path).await };
        let told = gather(addresses, tell).await;
        self.live.want();
        told
    }
}

fn addresses(producers: &[Producer]) -> Vec<String> {
    producers.iter().map(Producer::http_address).collect()
}

/// The JSON of a body, with Go's words where it has some that are short. What follows the first value is left alone.
async fn decoded<T: DeserializeOwned>(body: &mut RequestBody) -> Result<T, Failure> {
    let body = body.read(BODY_BYTES_MAX).await.map_err(|error| match error {
        ReadError::TooLong => Failure::too_large("BODY_TOO_BIG"),
        ReadError::Broken => Failure::bad("unexpected EOF"),
    })?;
    match serde_json::Deserializer::from_slice(&body).into_iter().next() {
        Some(Ok(value)) => Ok(value),
        None => Err(Failure::bad("EOF")),
        Some(Err(error)) if error.is_eof() => Err(Failure::bad("unexpected EOF")),
        Some(Err(error)) => Err(Failure { message: error.to_string().into(), ..Failure::bad("") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_become_paths() {
        let topic = Target { topic: "t#ephemeral", channel: None };
        assert_eq!(topic.path("delete"), "/topic/delete?topic=t%23ephemeral");
        let channel = Target { channel: Some("c"), ..topic };
        assert_eq!(channel.path("empty"), "/channel/empty?topic=t%23ephemeral&channel=c");
    }
}
