//! The client's half of the V2 protocol, reduced to what a load generator needs: commands are appended to a byte buffer the
//! caller reuses, frames are borrowed from the read buffer. Independent of the project's own codec on purpose: a generator that
//! shared it would share its mistakes, and the bench also has to run against other daemons.

use std::time::Duration;

use anyhow::{Result, bail};

/// First bytes of every connection.
pub(crate) const MAGIC: &[u8] = b"  V2";

/// Appends `IDENTIFY` with a JSON body.
pub(crate) fn identify(out: &mut Vec<u8>, json: &str) {
    out.extend_from_slice(b"IDENTIFY\n");
    body(out, json.as_bytes());
}

/// Appends `SUB`.
pub(crate) fn subscribe(out: &mut Vec<u8>, topic: &str, channel: &str) {
    out.extend_from_slice(format!("SUB {topic} {channel}\n").as_bytes());
}

/// Appends `RDY`.
pub(crate) fn ready(out: &mut Vec<u8>, count: u32) {
    out.extend_from_slice(format!("RDY {count}\n").as_bytes());
}

/// Appends `PUB`.
pub(crate) fn publish(out: &mut Vec<u8>, topic: &str, message: &[u8]) {
    out.extend_from_slice(b"PUB ");
    out.extend_from_slice(topic.as_bytes());
    out.push(b'\n');
    body(out, message);
}

/// Appends `DPUB`; `delay` is cut to whole milliseconds.
pub(crate) fn publish_deferred(out: &mut Vec<u8>, topic: &str, delay: Duration, message: &[u8]) {
    out.extend_from_slice(format!("DPUB {topic} {}\n", delay.as_millis()).as_bytes());
    body(out, message);
}

/// Appends `MPUB` with `count` copies of `message`.
pub(crate) fn publish_many(out: &mut Vec<u8>, topic: &str, message: &[u8], count: usize) {
    out.extend_from_slice(format!("MPUB {topic}\n").as_bytes());
    out.extend_from_slice(&((4 + count * (4 + message.len())) as u32).to_be_bytes());
    out.extend_from_slice(&(count as u32).to_be_bytes());
    for _ in 0..count {
        body(out, message);
    }
}

/// Appends `FIN`.
pub(crate) fn finish(out: &mut Vec<u8>, id: &[u8]) {
    out.extend_from_slice(b"FIN ");
    out.extend_from_slice(id);
    out.push(b'\n');
}

fn body(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// One frame from the daemon. An error frame is not here: [`next_frame`] turns it into an `Err`, no scenario expects one.
#[derive(Clone, Copy)]
pub(crate) enum Frame<'a> {
    /// `OK`, `CLOSE_WAIT`, `_heartbeat_` or the answer to `IDENTIFY`.
    Response(&'a [u8]),
    /// A delivery.
    Message(Message<'a>),
}

/// A delivered message.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    /// 1 at the first delivery.
    pub(crate) attempts: u16,
    /// 16 bytes of hex.
    pub(crate) id: &'a [u8],
    /// What was published.
    pub(crate) body: &'a [u8],
}

/// The frame at the start of `bytes` and how many bytes it takes, or `None` until all of it is there.
pub(crate) fn next_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>> {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let [s0, s1, s2, s3, k0, k1, k2, k3] = *head;
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    let Some(data_bytes) = size.checked_sub(4) else { bail!("frame of {size} bytes") };
    let Some(data) = rest.get(..data_bytes) else { return Ok(None) };
    let frame = match u32::from_be_bytes([k0, k1, k2, k3]) {
        0 => Frame::Response(data),
        1 => bail!("the daemon answered {}", String::from_utf8_lossy(data)),
        2 if data.len() >= 26 => Frame::Message(Message {
            attempts: u16::from_be_bytes([data[8], data[9]]),
            id: &data[10..26],
            body: &data[26..],
        }),
        kind => bail!("frame of type {kind} with {data_bytes} bytes"),
    };
    Ok(Some((frame, 4 + size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_when_all_of_it_is_there() {
        let mut bytes = b"\0\0\0\x06\0\0\0\0OK".to_vec();
        assert!(next_frame(&bytes[..9]).unwrap().is_none());
        bytes.extend_from_slice(b"rest");
        let (frame, taken) = next_frame(&bytes).unwrap().unwrap();
        assert!(matches!(frame, Frame::Response(b"OK")));
        assert_eq!(taken, 10);
    }

    #[test]
    fn a_message_has_attempts_id_and_body() {
        let bytes = b"\0\0\0\x1f\0\0\0\x02\0\0\0\0\0\0\0\x09\x01\x020123456789abcdefx";
        let Some((Frame::Message(message), 35)) = next_frame(bytes).unwrap() else { panic!("not a message") };
        assert_eq!((message.attempts, message.id, message.body), (0x102, &b"0123456789abcdef"[..], &b"x"[..]));
    }

    #[test]
    fn an_error_frame_is_an_error() {
        let error = next_frame(b"\0\0\0\x0d\0\0\0\x01E_INVALID").err().unwrap();
        assert!(error.to_string().contains("E_INVALID"));
    }
}
