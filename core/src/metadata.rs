//! `nsqd.dat`: the topics and channels a node has, and which are paused. Compact JSON, the reference's keys. Ephemeral
//! ones are not in it.

use serde::{Deserialize, Serialize};

use crate::name::{ChannelName, LogId, TopicName};
use crate::time::Now;
use crate::topic::Topic;

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// `null` when empty, as Go writes an empty list.
    #[serde(default)]
    topics: Option<Vec<TopicEntry>>,
    #[serde(default)]
    version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TopicEntry {
    #[serde(default)]
    name: String,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    channels: Option<Vec<ChannelEntry>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ChannelEntry {
    #[serde(default)]
    name: String,
    #[serde(default)]
    paused: bool,
}

/// A topic as remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedTopic {
    /// Its name.
    pub name: TopicName,
    /// Whether it is paused.
    pub paused: bool,
    /// Its channels, and whether they are paused.
    pub channels: Vec<(ChannelName, bool)>,
}

/// What [`Metadata::remembered`] finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Topics with valid names.
    pub topics: Vec<RememberedTopic>,
    /// Names that are not valid and were left out.
    pub invalid: Vec<String>,
    /// Logs that [`take_up`](Self::take_up) found to be named nowhere.
    pub taken_up: Vec<LogId>,
}

impl RememberedTopic {
    /// What is to be remembered of a topic.
    pub fn of(topic: &Topic) -> Self {
        let channels = topic.channels().map(|(name, paused)| (name.clone(), paused)).collect();
        Self { name: topic.name().clone(), paused: topic.is_paused(), channels }
    }

    /// Gives a new topic what is remembered of it.
    pub fn restore(&self, now: Now, topic: &mut Topic) {
        topic.handle_pause(now, self.paused);
        for (name, paused) in &self.channels {
            topic.handle_create_channel(now, name);
            topic.handle_pause_channel(now, name, *paused);
        }
    }
}

impl Remembered {
    /// Adds the topics and channels that only have queue files: a crash can come between the first message of a topic and
    /// `nsqd.dat`. `stems`: of the names of the files there are.
    pub fn take_up<'a>(&mut self, stems: impl IntoIterator<Item = &'a str>) {
        for log in stems.into_iter().filter_map(LogId::parse) {
            let known = self.topics.iter().position(|topic| topic.name == log.topic);
            let index = known.unwrap_or_else(|| {
                self.topics.push(RememberedTopic { name: log.topic.clone(), paused: false, channels: Vec::new() });
                self.topics.len() - 1
            });
            let channels = &mut self.topics[index].channels;
            let missing = log.channel.clone().filter(|channel| channels.iter().all(|(name, _)| name != channel));
            if known.is_none() || missing.is_some() {
                self.taken_up.push(log);
            }
            channels.extend(missing.map(|channel| (channel, false)));
        }
    }
}

impl Metadata {
    /// The content for these topics. Ephemeral topics and channels are left out.
    pub fn new(topics: impl IntoIterator<Item = RememberedTopic>) -> Self {
        let channel_entry =
            |(name, paused): (ChannelName, bool)| ChannelEntry { name: name.as_str().to_owned(), paused };
        let topics: Vec<_> = topics
            .into_iter()
            .filter(|topic| !topic.name.is_ephemeral())
            .map(|topic| TopicEntry {
                name: topic.name.as_str().to_owned(),
                paused: topic.paused,
                channels: non_empty(
                    topic.channels.into_iter().filter(|(name, _)| !name.is_ephemeral()).map(channel_entry).collect(),
                ),
            })
            .collect();
        Self { topics: non_empty(topics), version: crate::NSQ_VERSION.to_owned() }
    }

    /// Reads the file's content. Unknown keys are ignored.
    pub fn decode(json: &[u8]) -> Result<Self, serde_json::Error> {
        // serde would take a list for the values of the fields, in order.
        if json.trim_ascii_start().starts_with(b"[") {
            return Err(serde::de::Error::invalid_type(serde::de::Unexpected::Seq, &"an object"));
        }
        serde_json::from_slice(json)
    }

    /// The file's content.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, booleans and lists always encode")
    }

    /// The topics in it, names checked.
    pub fn remembered(&self) -> Remembered {
        let mut remembered = Remembered::default();
        for entry in self.topics.iter().flatten() {
            let Ok(name) = TopicName::parse(&entry.name) else {
                remembered.invalid.push(entry.name.clone());
                continue;
            };
            let mut channels = Vec::new();
            for channel in entry.channels.iter().flatten() {
                match ChannelName::parse(&channel.name) {
                    Ok(name) => channels.push((name, channel.paused)),
                    Err(_) => remembered.invalid.push(format!("{}:{}", entry.name, channel.name)),
                }
            }
            remembered.topics.push(RememberedTopic { name, paused: entry.paused, channels });
        }
        remembered
    }
}

fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn topic(name: &str, channels: &[(&str, bool)]) -> RememberedTopic {
        let channels = channels.iter().map(|(name, paused)| (ChannelName::parse(name).unwrap(), *paused)).collect();
        RememberedTopic { name: TopicName::parse(name).unwrap(), paused: false, channels }
    }

    #[test]
    fn the_reference_reads_what_we_write() {
        let metadata = Metadata::new([topic("t", &[("c", true), ("e#ephemeral", false)]), topic("x#ephemeral", &[])]);
        let json =
            r#"{"topics":[{"name":"t","paused":false,"channels":[{"name":"c","paused":true}]}],"version":"1.3.0"}"#;
        assert_eq!(String::from_utf8(metadata.encode()).unwrap(), json);
        assert_eq!(Metadata::new([]).encode(), br#"{"topics":null,"version":"1.3.0"}"#);
    }

    #[test]
    fn queue_files_bring_their_topics_back() {
        let mut remembered = Metadata::new([topic("t", &[("c", true)])]).remembered();
        remembered.take_up(["t", "t:c", "t:d", "u:e", "u", "not:a:queue"]);
        assert_eq!(remembered.topics, [topic("t", &[("c", true), ("d", false)]), topic("u", &[("e", false)])]);
        let taken_up: Vec<_> = remembered.taken_up.iter().map(LogId::to_string).collect();
        assert_eq!(taken_up, ["t:d", "u:e"]);
    }

    #[test]
    fn invalid_names_are_told_and_the_rest_kept() {
        let json = br#"{"topics":[{"name":"b$"},{"name":"t","channels":[{"name":"c"},{"name":""}],"new":1}]}"#;
        let remembered = Metadata::decode(json).unwrap().remembered();
        assert_eq!(remembered.invalid, ["b$", "t:"]);
        assert_eq!(remembered.topics, [topic("t", &[("c", false)])]);
        for bad in [&b""[..], b"{", b"[]", b" [[]]", b"{\"topics\":5}"] {
            assert!(Metadata::decode(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
