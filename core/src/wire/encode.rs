//! Commands, client to server, as bytes. Each function appends one command; the names and bodies are the caller's to have
//! right ([`name`](crate::name) for names), for a broker closes the connection on a command that is not.

use std::time::Duration;

use crate::message::MessageId;
use crate::name::{ChannelName, TopicName};

use super::Verb;

/// Decimal digits of the largest number on a line.
const DIGITS_MAX: usize = 20;

/// Appends a command that is a JSON or secret behind a bare line: IDENTIFY, AUTH.
pub fn put_with_body(out: &mut Vec<u8>, verb: Verb, body: &[u8]) {
    out.extend_from_slice(verb.as_str().as_bytes());
    out.push(b'\n');
    put_sized(out, body);
}

/// Appends a command that is its word alone: CLS, NOP.
pub fn put_bare(out: &mut Vec<u8>, verb: Verb) {
    out.extend_from_slice(verb.as_str().as_bytes());
    out.push(b'\n');
}

/// Appends SUB.
pub fn put_subscribe(out: &mut Vec<u8>, topic: &TopicName, channel: &ChannelName) {
    for part in ["SUB ", topic.as_str(), " ", channel.as_str(), "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends RDY.
pub fn put_ready(out: &mut Vec<u8>, count: u32) {
    out.extend_from_slice(b"RDY ");
    put_decimal(out, u64::from(count));
    out.push(b'\n');
}

/// Appends FIN.
#[inline]
pub fn put_finish(out: &mut Vec<u8>, id: MessageId) {
    let mut line = *b"FIN 0000000000000000\n";
    line[4..20].copy_from_slice(&id.to_hex());
    out.extend_from_slice(&line);
}

/// Appends TOUCH.
pub fn put_touch(out: &mut Vec<u8>, id: MessageId) {
    let mut line = *b"TOUCH 0000000000000000\n";
    line[6..22].copy_from_slice(&id.to_hex());
    out.extend_from_slice(&line);
}

/// Appends REQ; the delay goes out in whole milliseconds.
pub fn put_requeue(out: &mut Vec<u8>, id: MessageId, delay: Duration) {
    out.extend_from_slice(b"REQ ");
    out.extend_from_slice(&id.to_hex());
    out.push(b' ');
    put_decimal(out, millis(delay));
    out.push(b'\n');
}

/// Appends the publishing of `bodies`: PUB for one, MPUB for several, DPUB for one that is deferred (whole milliseconds).
/// Several bodies cannot be deferred together: the protocol has no command for it, and each becomes a DPUB of its own.
/// The answer is one `OK` for each command, whose number is returned. No body, no command.
pub fn put_publish<B: AsRef<[u8]>>(out: &mut Vec<u8>, topic: &TopicName, bodies: &[B], defer: Duration) -> usize {
    match (bodies, millis(defer)) {
        ([], _) => 0,
        ([body], 0) => {
            put_topic_line(out, Verb::Publish, topic);
            out.push(b'\n');
            put_sized(out, body.as_ref());
            1
        }
        (several, 0) => {
            put_topic_line(out, Verb::PublishMany, topic);
            out.push(b'\n');
            let bytes: usize = several.iter().map(|body| 4 + body.as_ref().len()).sum();
            out.reserve(8 + bytes);
            put_size(out, 4 + bytes);
            put_size(out, several.len());
            several.iter().for_each(|body| put_sized(out, body.as_ref()));
            1
        }
        (deferred, millis) => {
            for body in deferred {
                put_topic_line(out, Verb::PublishDeferred, topic);
                out.push(b' ');
                put_decimal(out, millis);
                out.push(b'\n');
                put_sized(out, body.as_ref());
            }
            deferred.len()
        }
    }
}

fn put_topic_line(out: &mut Vec<u8>, verb: Verb, topic: &TopicName) {
    for part in [verb.as_str(), " ", topic.as_str()] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn put_sized(out: &mut Vec<u8>, body: &[u8]) {
    out.reserve(4 + body.len());
    put_size(out, body.len());
    out.extend_from_slice(body);
}

/// A size that does not fit becomes the largest there is, which every broker refuses.
fn put_size(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&i32::try_from(size).unwrap_or(i32::MAX).to_be_bytes());
}

fn put_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; DIGITS_MAX];
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn topic() -> TopicName {
        TopicName::parse("t").unwrap()
    }

    #[test]
    fn lines_are_spelled_as_the_protocol_wants() {
        let mut out = Vec::new();
        put_subscribe(&mut out, &topic(), &ChannelName::parse("c").unwrap());
        put_ready(&mut out, 0);
        put_ready(&mut out, u32::MAX);
        put_finish(&mut out, MessageId(0xab));
        put_touch(&mut out, MessageId(1));
        put_requeue(&mut out, MessageId(2), Duration::from_micros(90_000_999));
        put_bare(&mut out, Verb::StartClose);
        let expected = "SUB t c\nRDY 0\nRDY 4294967295\nFIN 00000000000000ab\nTOUCH 0000000000000001\n\
                        REQ 0000000000000002 90000\nCLS\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn publishing_is_pub_mpub_or_dpub() {
        let publish = |bodies: &[&str], defer| {
            let mut out = Vec::new();
            let commands = put_publish(&mut out, &topic(), bodies, defer);
            (commands, out)
        };
        assert_eq!(publish(&["ab"], Duration::ZERO), (1, b"PUB t\n\0\0\0\x02ab".to_vec()));
        let many = b"MPUB t\n\0\0\0\x0f\0\0\0\x02\0\0\0\x01a\0\0\0\x02bc".to_vec();
        assert_eq!(publish(&["a", "bc"], Duration::ZERO), (1, many));
        assert_eq!(publish(&["a"], Duration::from_millis(1500)), (1, b"DPUB t 1500\n\0\0\0\x01a".to_vec()));
        assert_eq!(publish(&["a", "b"], Duration::from_secs(1)).0, 2);
        assert_eq!(publish(&[], Duration::ZERO), (0, Vec::new()));
    }
}
