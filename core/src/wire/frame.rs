//! Frames, server to client: `[4 bytes size][4 bytes type][data]`, big-endian, size counting type and data.

use crate::message::Message;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// The answer to a command, or a heartbeat.
    Response = 0,
    /// An error code and its description.
    Error = 1,
    /// A message.
    Message = 2,
}

/// Bytes of a frame before its data.
pub const FRAME_HEAD_BYTES: usize = 8;
/// Bytes of a message before its body: timestamp, attempts, id.
pub const MESSAGE_HEAD_BYTES: usize = 26;

const OK: &[u8] = b"\0\0\0\x06\0\0\0\0OK";

/// Appends one frame whose data is `parts` joined.
pub fn put_frame(out: &mut Vec<u8>, kind: FrameType, parts: &[&[u8]]) {
    let data: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(FRAME_HEAD_BYTES + data);
    out.extend_from_slice(&(data as u32 + 4).to_be_bytes());
    out.extend_from_slice(&(kind as u32).to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Appends `count` times the response `OK`.
pub fn put_ok(out: &mut Vec<u8>, count: u32) {
    out.reserve(OK.len() * count as usize);
    for _ in 0..count {
        out.extend_from_slice(OK);
    }
}

/// Appends a heartbeat.
pub fn put_heartbeat(out: &mut Vec<u8>) {
    put_frame(out, FrameType::Response, &[b"_heartbeat_"]);
}

/// Appends the response to CLS.
pub fn put_close_wait(out: &mut Vec<u8>) {
    put_frame(out, FrameType::Response, &[b"CLOSE_WAIT"]);
}

/// Appends `message` as a frame that says it was delivered `attempts` times, this time included.
#[inline]
pub fn put_message(out: &mut Vec<u8>, message: &Message<'_>, attempts: u16) {
    const HEAD: usize = FRAME_HEAD_BYTES + MESSAGE_HEAD_BYTES;
    let mut head = [0; HEAD];
    let size = (4 + MESSAGE_HEAD_BYTES + message.body.len()) as u32;
    head[..4].copy_from_slice(&size.to_be_bytes());
    head[7] = FrameType::Message as u8;
    head[8..16].copy_from_slice(&message.timestamp.as_nanos().to_be_bytes());
    head[16..18].copy_from_slice(&attempts.to_be_bytes());
    head[18..].copy_from_slice(&message.id.to_hex());
    out.reserve(HEAD + message.body.len());
    out.extend_from_slice(&head);
    out.extend_from_slice(message.body);
}

/// The first frame of `bytes`: its type, its data, and how many bytes it took. `None` if it is not there whole, or not a
/// frame. For the client's side of tests and simulations.
pub fn read_frame(bytes: &[u8]) -> Option<(FrameType, &[u8], usize)> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let size = usize::try_from(i32::from_be_bytes(*size)).ok()?;
    let (kind, data) = rest.get(..size)?.split_first_chunk::<4>()?;
    let kind = match u32::from_be_bytes(*kind) {
        0 => FrameType::Response,
        1 => FrameType::Error,
        2 => FrameType::Message,
        _ => return None,
    };
    Some((kind, data, 4 + size))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use crate::message::MessageId;
    use crate::time::Timestamp;

    #[test]
    fn frames_are_sized_and_typed() {
        let mut out = Vec::new();
        put_frame(&mut out, FrameType::Error, &[b"E_INVALID", b" x"]);
        assert_eq!(out, b"\0\0\0\x0f\0\0\0\x01E_INVALID x");
        assert_eq!(read_frame(&out), Some((FrameType::Error, &b"E_INVALID x"[..], out.len())));
        assert_eq!(read_frame(&out[..out.len() - 1]), None);
        out.clear();
        put_ok(&mut out, 2);
        assert_eq!(out, b"\0\0\0\x06\0\0\0\0OK\0\0\0\x06\0\0\0\0OK");
    }

    #[test]
    fn a_message_frame_has_the_layout_of_the_spec() {
        let message = Message {
            id: MessageId(0x0abc_def0_1234_5678),
            timestamp: Timestamp::from_nanos(0x0102_0304_0506_0708),
            attempts: 0,
            due: None,
            body: b"hello",
        };
        let mut out = Vec::new();
        put_message(&mut out, &message, 258);
        assert_eq!(out, b"\0\0\0\x23\0\0\0\x02\x01\x02\x03\x04\x05\x06\x07\x08\x01\x020abcdef012345678hello");
    }

    #[test]
    fn what_is_not_a_frame_is_not_read() {
        for bad in [&b""[..], b"\0\0\0\x03\0\0\0", b"\xff\xff\xff\xff\0\0\0\0", b"\0\0\0\x04\0\0\0\x03"] {
            assert_eq!(read_frame(bad), None);
        }
    }
}
