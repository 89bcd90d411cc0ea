//! What happens in a broker, as JavaScript is told of it.

use sansq_core::broker::Output;
use sansq_core::message::Run;
use sansq_core::name::{ChannelName, TopicName};
use sansq_core::topic::{Event, Moved};
use serde::Serialize;

/// Something that happened. `kind` is the name of the event.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Happening {
    #[serde(rename = "type")]
    kind: &'static str,
    topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// Message ids, where the event is about messages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ids: Vec<String>,
}

impl Happening {
    /// What `output` tells, if it is of interest.
    pub(crate) fn of(output: Output) -> Option<Self> {
        match output {
            Output::TopicCreated(topic) => Some(Self::new("topicCreated", &topic, None)),
            Output::TopicDeleted(topic) => Some(Self::new("topicDeleted", &topic, None)),
            Output::Event { topic, event } => match event {
                Event::ChannelCreated(channel) => Some(Self::new("channelCreated", &topic, Some(&channel))),
                Event::ChannelDeleted(channel) => Some(Self::new("channelDeleted", &topic, Some(&channel))),
                Event::Moved { channel, how, run } => Self::moved(&topic, channel.as_ref(), how, &run),
                // The topic goes next, and says so. Files in memory do not fail.
                Event::Unused | Event::StorageFailed { .. } => None,
            },
            Output::Send { .. } | Output::Close { .. } | Output::Store(_) => None,
        }
    }

    fn new(kind: &'static str, topic: &TopicName, channel: Option<&ChannelName>) -> Self {
        let channel = channel.map(|channel| channel.as_str().to_owned());
        Self { kind, topic: topic.as_str().to_owned(), channel, ids: Vec::new() }
    }

    fn moved(topic: &TopicName, channel: Option<&ChannelName>, how: Moved, run: &Run) -> Option<Self> {
        let kind = match how {
            Moved::TimedOut => "timedOut",
            Moved::Due => "due",
            Moved::SampledOut => "sampledOut",
            Moved::Dropped => "dropped",
            // Only failing or crashed storage brings that about, and there is none.
            Moved::Refused | Moved::Repeated => return None,
        };
        let ids = run.messages().map(|message| String::from_utf8_lossy(&message.id.to_hex()).into_owned());
        Some(Self { ids: ids.collect(), ..Self::new(kind, topic, channel) })
    }
}

/// The list of them.
pub(crate) fn to_json(events: &[Happening]) -> String {
    // Keys are text and nothing in it can fail.
    serde_json::to_string(events).unwrap_or_default()
}
