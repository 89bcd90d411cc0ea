//! Topic and channel names, valid by construction, and the name of a queue on disk.
//! Rule: 1 to 64 bytes of `[.a-zA-Z0-9_-]`, the literal suffix `#ephemeral` allowed and counted
//! (the reference's `internal/protocol/names.go`).

use std::fmt;
use std::sync::Arc;

const NAME_BYTES_MAX: usize = 64;
const EPHEMERAL: &str = "#ephemeral";

/// Not a valid topic or channel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("name is not valid: 1 to 64 of [.a-zA-Z0-9_-], optionally ending in #ephemeral")]
pub struct InvalidName;

fn parse(raw: &[u8]) -> Result<Arc<str>, InvalidName> {
    let text = std::str::from_utf8(raw).map_err(|_| InvalidName)?;
    let stem = text.strip_suffix(EPHEMERAL).unwrap_or(text);
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if stem.is_empty() || text.len() > NAME_BYTES_MAX || !stem.bytes().all(legal) {
        return Err(InvalidName);
    }
    Ok(Arc::from(text))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name in `raw`, or [`InvalidName`].
            pub fn parse(raw: impl AsRef<[u8]>) -> Result<Self, InvalidName> {
                parse(raw.as_ref()).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether the name ends in `#ephemeral`: never on disk, gone with its last user.
            pub fn is_ephemeral(&self) -> bool {
                self.0.ends_with(EPHEMERAL)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        // Sound because `Ord` and `Hash` are derived from the text alone.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// A valid topic name. Cheap to clone.
    TopicName
);
name_type!(
    /// A valid channel name. Cheap to clone.
    ChannelName
);

/// Names one disk queue: a topic's own, or one of its channels'.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The topic.
    pub topic: TopicName,
    /// The channel, or `None` for the topic's own queue.
    pub channel: Option<ChannelName>,
}

impl LogId {
    /// The log whose files have names of this stem; `None` if no queue of ours has.
    pub fn parse(stem: &str) -> Option<Self> {
        let (topic, channel) = match stem.split_once(':') {
            Some((topic, channel)) => (topic, Some(ChannelName::parse(channel).ok()?)),
            None => (stem, None),
        };
        Some(Self { topic: TopicName::parse(topic).ok()?, channel })
    }
}

impl fmt::Display for LogId {
    /// `topic` or `topic:channel`, the stem of the queue's file names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.channel {
            None => write!(f, "{}", self.topic),
            Some(channel) => write!(f, "{}:{channel}", self.topic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_follow_the_rule() {
        let stem54 = "a".repeat(54);
        for ok in ["a", ".", "a-b_c.D9", "x#ephemeral", &format!("{stem54}#ephemeral"), &"a".repeat(64)] {
            assert!(TopicName::parse(ok).is_ok(), "{ok}");
        }
        for bad in ["", "#ephemeral", "a b", "a$", "a#", "é", &"a".repeat(65), &format!("{stem54}a#ephemeral")] {
            assert!(TopicName::parse(bad).is_err(), "{bad}");
        }
        assert!(ChannelName::parse("c#ephemeral").unwrap().is_ephemeral());
    }

    #[test]
    fn log_names_are_file_stems() {
        let topic = TopicName::parse("t").unwrap();
        let channel = ChannelName::parse("c").ok();
        assert_eq!(LogId { topic: topic.clone(), channel: None }.to_string(), "t");
        let log = LogId { topic, channel };
        assert_eq!(log.to_string(), "t:c");
        assert_eq!(LogId::parse("t:c"), Some(log));
        for bad in ["", ":c", "t:", "t:c:d", "t$"] {
            assert_eq!(LogId::parse(bad), None, "{bad}");
        }
    }
}
