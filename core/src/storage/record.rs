//! The reference's record: a 4-byte length, then the message as on the wire, all big-endian.

use crate::message::{Message, MessageId};
use crate::time::Timestamp;

/// Bytes of the length before a record.
pub(super) const LENGTH_BYTES: usize = 4;
/// Bytes of a message before its body: timestamp, attempts, id.
pub(super) const HEAD_BYTES: usize = 26;

/// Bytes a message takes in the file.
pub(super) fn encoded_len(message: &Message<'_>) -> usize {
    LENGTH_BYTES + HEAD_BYTES + message.body.len()
}

/// Appends a record.
pub(super) fn encode(message: &Message<'_>, out: &mut Vec<u8>) {
    let mut head = [0; LENGTH_BYTES + HEAD_BYTES];
    head[..4].copy_from_slice(&((HEAD_BYTES + message.body.len()) as u32).to_be_bytes());
    head[4..12].copy_from_slice(&message.timestamp.as_nanos().to_be_bytes());
    head[12..14].copy_from_slice(&message.attempts.to_be_bytes());
    head[14..].copy_from_slice(&message.id.to_hex());
    out.extend_from_slice(&head);
    out.extend_from_slice(message.body);
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded<'a> {
    /// A record.
    Record {
        /// The message; its due time is elsewhere.
        message: Message<'a>,
        /// Bytes of the record.
        len: usize,
    },
    /// The beginning of a record that takes this many bytes.
    Partial(usize),
    /// No record.
    Damaged,
}

/// Reads the record at the start of `bytes`. `room` is how many bytes there are up to the end of the file's data.
pub(super) fn decode(bytes: &[u8], room: u64) -> Decoded<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return if room < LENGTH_BYTES as u64 { Decoded::Damaged } else { Decoded::Partial(LENGTH_BYTES) };
    };
    let length = i32::from_be_bytes(*length);
    let Some(length) = usize::try_from(length).ok().filter(|&length| length >= HEAD_BYTES) else {
        return Decoded::Damaged;
    };
    let len = LENGTH_BYTES + length;
    if len as u64 > room {
        return Decoded::Damaged;
    }
    let Some(payload) = rest.get(..length) else { return Decoded::Partial(len) };
    let (head, body) = payload.split_at(HEAD_BYTES);
    let Some(id) = MessageId::parse(&head[10..]) else { return Decoded::Damaged };
    let timestamp = head.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
    let attempts = u16::from_be_bytes([head[8], head[9]]);
    let message = Message { id, timestamp: Timestamp::from_nanos(timestamp), attempts, due: None, body };
    Decoded::Record { message, len }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_record_is_the_references_bytes() {
        let timestamp = Timestamp::from_nanos(0x0102_0304_0506_0708);
        let message = Message { id: MessageId(0xabc), timestamp, attempts: 2, due: None, body: b"hello" };
        let mut bytes = Vec::new();
        encode(&message, &mut bytes);
        assert_eq!(bytes, b"\0\0\0\x1f\x01\x02\x03\x04\x05\x06\x07\x08\0\x020000000000000abchello");
        assert_eq!(decode(&bytes, 35), Decoded::Record { message, len: 35 });
        assert_eq!(decode(&bytes, 34), Decoded::Damaged);
        assert_eq!(decode(&bytes[..20], 99), Decoded::Partial(35));
        assert_eq!(decode(&bytes[..3], 99), Decoded::Partial(4));
        assert_eq!(decode(&bytes[..3], 3), Decoded::Damaged);
        assert_eq!(decode(b"\0\0\0\x19xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 99), Decoded::Damaged, "too short");
        assert_eq!(decode(b"\xff\xff\xff\xff", 99), Decoded::Damaged, "negative");
        bytes[14] = b'G';
        assert_eq!(decode(&bytes, 35), Decoded::Damaged, "an id is lower-case hex");
    }
}
