//! What stands in the bytes on a wire: for showing, for counting what is under way, and for checking a node from outside.
//! Reads what well-behaved ends write; what it does not know is [`Item::Other`].

use std::fmt::Write;

use crate::message::MessageId;
use crate::wire::{FrameType, mpub_messages, read_frame};

/// Bytes of the number that every simulated message begins with.
pub(super) const NUMBER_BYTES: usize = 8;

/// A command or a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Magic,
    Identify(&'a [u8]),
    Subscribe {
        topic: &'a [u8],
        channel: &'a [u8],
    },
    /// PUB and DPUB: `body` is a message's. MPUB: it is that of the command.
    Publish {
        topic: &'a [u8],
        many: bool,
        defer_ms: u64,
        body: &'a [u8],
    },
    Ready {
        count: u32,
    },
    Finish {
        id: MessageId,
    },
    Requeue {
        id: MessageId,
        delay_ms: u64,
    },
    Touch {
        id: MessageId,
    },
    StartClose,
    Nop,
    Ok,
    Heartbeat,
    Response(&'a [u8]),
    Error(&'a [u8]),
    Message {
        id: MessageId,
        timestamp: i64,
        attempts: u16,
        body: &'a [u8],
    },
    Other(&'a [u8]),
}

/// The number of the message with this body; `None` if it is not one of a simulated producer's.
pub(super) fn number_of(body: &[u8]) -> Option<u64> {
    body.first_chunk().map(|number| u64::from_be_bytes(*number))
}

impl<'a> Item<'a> {
    /// The bodies of a publish.
    pub(super) fn bodies(self) -> impl Iterator<Item = &'a [u8]> {
        let (one, many) = match self {
            Item::Publish { many: true, body, .. } => (None, Some(body)),
            Item::Publish { body, .. } => (Some(body), None),
            _ => (None, None),
        };
        one.into_iter().chain(many.into_iter().flat_map(mpub_messages))
    }
}

/// The first command in `bytes`, and how many it takes; `None` if it is cut off.
pub(super) fn command(bytes: &[u8]) -> Option<(Item<'_>, usize)> {
    if bytes.starts_with(b"  V2") {
        return Some((Item::Magic, 4));
    }
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = &bytes[..end];
    let mut words = line.split(|&byte| byte == b' ');
    let verb = words.next().unwrap_or_default();
    let mut word = || words.next().unwrap_or_default();
    let after = end + 1;
    let item = match verb {
        b"FIN" => Item::Finish { id: MessageId::parse(word())? },
        b"REQ" => Item::Requeue { id: MessageId::parse(word())?, delay_ms: decimal(word()) },
        b"TOUCH" => Item::Touch { id: MessageId::parse(word())? },
        b"RDY" => Item::Ready { count: u32::try_from(decimal(word())).unwrap_or(u32::MAX) },
        b"SUB" => Item::Subscribe { topic: word(), channel: word() },
        b"NOP" => Item::Nop,
        b"CLS" => Item::StartClose,
        b"PUB" | b"MPUB" | b"DPUB" | b"IDENTIFY" => {
            let (size, rest) = bytes[after..].split_first_chunk::<4>()?;
            let body = rest.get(..u32::from_be_bytes(*size) as usize)?;
            let item = match verb {
                b"IDENTIFY" => Item::Identify(body),
                _ => Item::Publish { topic: word(), many: verb == b"MPUB", defer_ms: decimal(word()), body },
            };
            return Some((item, after + 4 + body.len()));
        }
        _ => Item::Other(line),
    };
    Some((item, after))
}

/// The first frame in `bytes`, and how many it takes; `None` if it is cut off.
pub(super) fn frame(bytes: &[u8]) -> Option<(Item<'_>, usize)> {
    let (kind, data, len) = read_frame(bytes)?;
    let item = match kind {
        FrameType::Response if data == b"OK" => Item::Ok,
        FrameType::Response if data == b"_heartbeat_" => Item::Heartbeat,
        FrameType::Response => Item::Response(data),
        FrameType::Error => Item::Error(data),
        FrameType::Message => message(data).unwrap_or(Item::Other(data)),
    };
    Some((item, len))
}

fn message(data: &[u8]) -> Option<Item<'_>> {
    let (timestamp, rest) = data.split_first_chunk::<8>()?;
    let (attempts, rest) = rest.split_first_chunk::<2>()?;
    let (id, body) = rest.split_first_chunk::<16>()?;
    Some(Item::Message {
        id: MessageId::parse(id)?,
        timestamp: i64::from_be_bytes(*timestamp),
        attempts: u16::from_be_bytes(*attempts),
        body,
    })
}

/// All whole items in `bytes`.
pub(super) fn items(bytes: &[u8], to_node: bool) -> impl Iterator<Item = Item<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (item, len) = if to_node { command(rest) } else { frame(rest) }?;
        rest = &rest[len..];
        Some(item)
    })
}

fn decimal(digits: &[u8]) -> u64 {
    crate::wire::decimal(digits).unwrap_or(0)
}

/// The item in a line of text.
pub(super) fn describe(item: Item<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    _ = match item {
        Item::Magic => write!(text, "V2"),
        Item::Identify(json) => write!(text, "IDENTIFY {}", String::from_utf8_lossy(json)),
        Item::Subscribe { topic, channel } => write!(text, "SUB {} {}", topic.escape_ascii(), channel.escape_ascii()),
        Item::Publish { topic, many, defer_ms, body } => {
            let topic = topic.escape_ascii();
            match (many, defer_ms) {
                (true, _) => {
                    let count = item.bodies().count();
                    let first = item.bodies().next().and_then(number_of).unwrap_or(0);
                    write!(text, "MPUB {topic} {count} messages from #{first}, {} bytes", body.len())
                }
                (false, 0) => write!(text, "PUB {topic} {}", body_text(body)),
                (false, _) => write!(text, "DPUB {topic} {defer_ms} ms {}", body_text(body)),
            }
        }
        Item::Ready { count } => write!(text, "RDY {count}"),
        Item::Finish { id } => write!(text, "FIN {id}"),
        Item::Requeue { id, delay_ms } => write!(text, "REQ {id} {delay_ms}"),
        Item::Touch { id } => write!(text, "TOUCH {id}"),
        Item::StartClose => write!(text, "CLS"),
        Item::Nop => write!(text, "NOP"),
        Item::Ok => write!(text, "OK"),
        Item::Heartbeat => write!(text, "heartbeat"),
        Item::Response(data) => write!(text, "{}", String::from_utf8_lossy(data)),
        Item::Error(data) => write!(text, "error {}", String::from_utf8_lossy(data)),
        Item::Message { id, attempts, body, .. } => {
            write!(text, "message {id} attempt {attempts} {}", body_text(body))
        }
        Item::Other(bytes) => write!(text, "{}", bytes.escape_ascii()),
    };
    text
}

/// `#12 "text", 40 bytes`: number, text if there is any, size.
fn body_text(body: &[u8]) -> String {
    let number = number_of(body).map_or("?".to_owned(), |number| number.to_string());
    let said = body.get(NUMBER_BYTES..).unwrap_or_default();
    let end = said.iter().position(|&byte| byte == 0).unwrap_or(said.len());
    let said = String::from_utf8_lossy(&said[..end.min(40)]);
    if said.is_empty() {
        format!("#{number}, {} bytes", body.len())
    } else {
        format!("#{number} {said:?}, {} bytes", body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn commands_are_told_apart() {
        let bytes = b"  V2SUB t c\nRDY 5\nFIN 0123456789abcdef\nREQ 0123456789abcdef 90\nPUB t\n\0\0\0\x0a\0\0\0\0\0\0\0\x07hiDPUB t 10\n\0\0\0\x08\0\0\0\0\0\0\0\x08NOP\nWHAT\nPUB t\n";
        let all: Vec<String> = items(bytes, true).map(describe).collect();
        let expected = [
            "V2",
            "SUB t c",
            "RDY 5",
            "FIN 0123456789abcdef",
            "REQ 0123456789abcdef 90",
            "PUB t #7 \"hi\", 10 bytes",
            "DPUB t 10 ms #8, 8 bytes",
            "NOP",
            "WHAT",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn frames_are_told_apart() {
        let mut bytes = Vec::new();
        crate::wire::put_ok(&mut bytes, 1);
        crate::wire::put_heartbeat(&mut bytes);
        let body = [0, 0, 0, 0, 0, 0, 0, 3];
        let message = crate::message::Message {
            id: MessageId(255),
            timestamp: Default::default(),
            attempts: 0,
            due: None,
            body: &body,
        };
        crate::wire::put_message(&mut bytes, &message, 2);
        bytes.extend(b"\0\0");
        let all: Vec<String> = items(&bytes, false).map(describe).collect();
        assert_eq!(all, ["OK", "heartbeat", "message 00000000000000ff attempt 2 #3, 8 bytes"]);
    }
}
