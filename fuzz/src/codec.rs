//! The parts of the wire codec, each against a slower way to say the same. The first byte picks the part.

use sansq_core::message::MessageId;
use sansq_core::name::TopicName;
use sansq_core::wire::{
    FrameType, Identify, Line, MpubScan, Scanned, decimal, mpub_messages, put_frame, quote, read_frame,
};
use serde_json::Value;

pub fn run(data: &[u8]) {
    let Some((part, data)) = data.split_first() else { return };
    match part % 8 {
        0 => identify(data),
        1 => assert_eq!(unquote(&quote(data)), data),
        2 => numbers(data),
        3 => ids(data),
        4 => names(data),
        5 => frames(data),
        6 => many(data),
        _ => lines(data),
    }
}

/// Only objects and null are taken; an empty one, whatever its spelling, always.
fn identify(data: &[u8]) {
    let json = serde_json::from_str(&String::from_utf8_lossy(data));
    match Identify::decode(data) {
        Some(identify) => match json {
            Ok(Value::Null) => assert_eq!(identify, Identify::default()),
            Ok(json) => assert!(json.is_object()),
            // Values nobody reads may be too large for a number.
            Err(error) => assert!(error.to_string().contains("number out of range"), "{error}"),
        },
        None => match json {
            Ok(Value::Object(object)) => assert!(!object.is_empty()),
            Ok(json) => assert!(!json.is_null()),
            Err(_) => {}
        },
    }
}

/// The inverse of quoting, which exists: quoting loses nothing. Panics on what quoting never gives.
fn unquote(quoted: &str) -> Vec<u8> {
    assert!(!quoted.chars().any(char::is_control));
    let mut rest = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).expect("quotes");
    let mut raw = Vec::new();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            assert_ne!(c, '"');
            raw.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let (escape, tail) = rest.split_at(1);
        let digits = match escape {
            "x" => 2,
            "u" => 4,
            "U" => 8,
            _ => 0,
        };
        rest = &tail[digits..];
        let hex = || u32::from_str_radix(&tail[..digits], 16).expect("hex digits");
        match escape {
            "x" => raw.push(hex() as u8),
            "u" | "U" => raw.extend(char::from_u32(hex()).expect("a scalar").encode_utf8(&mut [0; 4]).as_bytes()),
            other => {
                let at = "abfnrtv\\\"".find(other).expect("a known escape");
                raw.push(b"\x07\x08\x0c\n\r\t\x0b\\\""[at]);
            }
        }
    }
    raw
}

fn numbers(data: &[u8]) {
    let digits = data.iter().all(u8::is_ascii_digit);
    assert_eq!(decimal(data).is_some(), digits);
    if digits && data.len() <= 38 {
        let value = std::str::from_utf8(data).expect("digits").parse::<u128>().unwrap_or(0);
        assert_eq!(decimal(data), Some(value as u64));
    }
}

fn ids(data: &[u8]) {
    if let Some(bytes) = data.first_chunk() {
        let id = MessageId(u64::from_be_bytes(*bytes));
        assert_eq!(id.to_hex(), *id.to_string().as_bytes());
        assert_eq!(MessageId::parse(&id.to_hex()), Some(id));
    }
    if let Some(id) = MessageId::parse(data) {
        assert_eq!(id.to_hex(), data);
    }
}

fn names(data: &[u8]) {
    let stem = data.strip_suffix(b"#ephemeral").unwrap_or(data);
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let valid = !stem.is_empty() && data.len() <= 64 && stem.iter().all(legal);
    let name = TopicName::parse(data);
    assert_eq!(name.is_ok(), valid);
    if let Ok(name) = name {
        assert_eq!((name.as_str().as_bytes(), name.is_ephemeral()), (data, stem.len() < data.len()));
    }
}

fn frames(data: &[u8]) {
    if let Some((kind, body, len)) = read_frame(data) {
        let mut again = Vec::new();
        put_frame(&mut again, kind, &[body]);
        assert_eq!(again, data[..len]);
    }
    let mut frame = Vec::new();
    put_frame(&mut frame, FrameType::Message, &[data, b"x", data]);
    assert_eq!(read_frame(&frame).map(|(_, body, len)| (body.len(), len)), Some((2 * data.len() + 1, frame.len())));
    assert_eq!(read_frame(&frame[..frame.len() - 1]), None);
}

/// A body judged byte by byte is judged as the whole is, and at the first byte that decides.
fn many(data: &[u8]) {
    let Some((declared, body)) = data.split_first() else { return };
    let (declared, max_msg, max_body) = (usize::from(*declared) + 1, 50, 200);
    let whole = MpubScan::default().advance(body, declared, max_msg, max_body);
    let mut scan = MpubScan::default();
    let mut need = 0;
    let mut piecewise = Ok(Scanned::More { need });
    for end in 0..=body.len() {
        piecewise = scan.advance(&body[..end], declared, max_msg, max_body);
        match piecewise {
            Ok(Scanned::More { need: next }) => {
                assert!(end < next && next <= declared && need <= next);
                need = next;
            }
            _ => {
                assert!(end >= need);
                break;
            }
        }
    }
    assert_eq!(piecewise, whole);
    if whole == Ok(Scanned::Whole) {
        let body = &body[..declared];
        let messages: Vec<_> = mpub_messages(body).collect();
        assert_eq!(messages.len(), scan.messages() as usize);
        assert_eq!(messages.iter().map(|message| message.len() + 4).sum::<usize>() + 4, declared);
    }
}

fn lines(data: &[u8]) {
    let mut line = Line::parse(data);
    let mut tokens = vec![line.name];
    tokens.extend(std::iter::from_fn(|| line.param()));
    let trimmed = data.strip_suffix(b"\r").unwrap_or(data);
    assert_eq!(tokens, trimmed.split(|&byte| byte == b' ').collect::<Vec<_>>());
}
