//! Conversations with an nsqlookupd, byte by byte. The answers are the reference's, but where `docs/differences.md` says so.

use super::*;
use crate::lookup::Lifetimes;
use crate::time::Timestamp;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const IDLE: Duration = Duration::from_secs(600);
const REPLY: &str = r#"{"broadcast_address":"l","hostname":"host","http_port":4161,"tcp_port":4160,"version":"1.3.0"}"#;
const INFO: &str = r#"{"broadcast_address":"n","tcp_port":4150,"http_port":4151,"version":"1.3.0"}"#;

fn at(seconds: u64) -> Now {
    let wall = Timestamp::from_nanos(1_000_000_000 * (1_700_000_000 + seconds as i64));
    Now { mono: Instant::from_millis(seconds * 1000), wall }
}

struct Talk {
    session: Session,
    registry: Registry,
}

impl Talk {
    fn new() -> Self {
        let server = Server {
            broadcast_address: "l".into(),
            hostname: "host".into(),
            http_port: 4161,
            tcp_port: 4160,
            version: "1.3.0".into(),
        };
        let lifetimes = Lifetimes {
            inactive_producer_timeout: Duration::from_secs(300),
            tombstone_lifetime: Duration::from_secs(45),
        };
        Self {
            session: Session::new(at(0), ConnId(1), "127.0.0.1:9".into(), Arc::new(server), Some(IDLE)),
            registry: Registry::new(lifetimes),
        }
    }

    fn identified() -> Self {
        let mut talk = Self::new();
        assert_eq!(talk.say(b"  V1"), [""; 0]);
        assert_eq!(talk.say(&identify(INFO)), [REPLY]);
        talk
    }

    /// The responses to `bytes`.
    fn say(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        self.session.handle_bytes(at(0), bytes, &mut self.registry, &mut out);
        responses(&out)
    }

    fn end(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        self.session.handle_eof(&mut self.registry, &mut out);
        responses(&out)
    }
}

fn responses(mut out: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some((size, rest)) = out.split_first_chunk() {
        let (text, rest) = rest.split_at(u32::from_be_bytes(*size) as usize);
        found.push(String::from_utf8_lossy(text).into_owned());
        out = rest;
    }
    assert!(out.is_empty());
    found
}

fn identify(json: &str) -> Vec<u8> {
    [b"IDENTIFY\n", &(json.len() as u32).to_be_bytes()[..], json.as_bytes()].concat()
}

#[test]
fn the_magic_comes_first() {
    let mut talk = Talk::new();
    assert_eq!(talk.say(b"  V2PING\n"), ["E_BAD_PROTOCOL"]);
    assert!(talk.session.is_closed());
    assert_eq!(talk.say(b"PING\n"), [""; 0]);
}

#[test]
fn ping_needs_no_introduction() {
    let mut talk = Talk::new();
    assert_eq!(talk.say(b"  V1PING\n  PING x y \r\n"), ["OK", "OK"]);
    assert_eq!(talk.say(b"ping\n"), ["E_INVALID invalid command ping"]);
    assert!(talk.session.is_closed());
}

#[test]
fn what_is_wrong_is_said_in_the_references_words() {
    for (line, expected) in [
        (&b"\n"[..], "E_INVALID invalid command "),
        (b"REGISTER\n", "E_INVALID REGISTER insufficient number of params"),
        (b"UNREGISTER \n", "E_INVALID UNREGISTER insufficient number of params"),
        (b"REGISTER a$ c\n", "E_BAD_TOPIC REGISTER topic name 'a$' is not valid"),
        (b"REGISTER  c\n", "E_BAD_TOPIC REGISTER topic name '' is not valid"),
        (b"UNREGISTER t c$\n", "E_BAD_CHANNEL UNREGISTER channel name 'c$' is not valid"),
        (b"REGISTER * c\n", "E_BAD_TOPIC REGISTER topic name '*' is not valid"),
    ] {
        let mut talk = Talk::identified();
        assert_eq!(talk.say(line), [expected]);
        assert!(talk.session.is_closed());
    }
    for line in [&b"REGISTER a\n"[..], b"UNREGISTER a b\n", b"REGISTER\n"] {
        let mut talk = Talk::new();
        talk.say(b"  V1");
        assert_eq!(talk.say(line), ["E_INVALID client must IDENTIFY"]);
    }
}

#[test]
fn identify_is_checked() {
    for (json, expected) in [
        ("", "E_BAD_BODY IDENTIFY failed to decode JSON body"),
        ("[]", "E_BAD_BODY IDENTIFY failed to decode JSON body"),
        (r#"{"tcp_port":"4150"}"#, "E_BAD_BODY IDENTIFY failed to decode JSON body"),
        ("{}", "E_BAD_BODY IDENTIFY missing fields"),
        (r#"{"broadcast_address":"n","tcp_port":1,"http_port":1}"#, "E_BAD_BODY IDENTIFY missing fields"),
        (r#"{"broadcast_address":"n","tcp_port":0,"http_port":1,"version":"1"}"#, "E_BAD_BODY IDENTIFY missing fields"),
    ] {
        let mut talk = Talk::new();
        talk.say(b"  V1");
        assert_eq!(talk.say(&identify(json)), [expected], "{json}");
        assert!(talk.session.is_closed());
    }
    let mut talk = Talk::identified();
    assert_eq!(talk.say(b"IDENTIFY\n"), ["E_INVALID cannot IDENTIFY again"]);
}

#[test]
fn a_bad_length_is_an_error_and_nothing_else() {
    for (size, expected) in [
        (-1i32, "E_BAD_BODY IDENTIFY invalid body size -1"),
        (i32::MIN, "E_BAD_BODY IDENTIFY invalid body size -2147483648"),
        (i32::MAX, "E_BAD_BODY IDENTIFY body too big 2147483647 > 65536"),
    ] {
        let mut talk = Talk::new();
        talk.say(b"  V1");
        assert_eq!(talk.say(&[b"IDENTIFY\n", &size.to_be_bytes()[..]].concat()), [expected]);
    }
}

#[test]
fn a_line_is_bounded() {
    let mut talk = Talk::new();
    talk.say(b"  V1");
    assert_eq!(talk.say(&[b'x'; LINE_BYTES_MAX - 1]), [""; 0]);
    assert_eq!(talk.say(b"x"), ["E_INVALID line too long"]);
    assert_eq!(talk.session.partial.capacity(), 0);
}

#[test]
fn commands_come_in_any_pieces() {
    let whole = [b"  V1", &identify(INFO)[..], b"REGISTER t c\nREGISTER t  \nUNREGISTER t c\nPING\n"].concat();
    for size in [1, 2, 3, 7, 64, whole.len()] {
        let mut talk = Talk::new();
        let said: Vec<String> = whole.chunks(size).flat_map(|piece| talk.say(piece)).collect();
        assert_eq!(said, [REPLY, "OK", "OK", "OK", "OK"], "in pieces of {size}");
        let events: Vec<Event> = std::iter::from_fn(|| talk.session.poll_event()).collect();
        let [Event::Identified(info), Event::Registered(topic, Some(channel)), Event::Unregistered(..)] = &events[..]
        else {
            panic!("{events:?}");
        };
        assert_eq!((info.node().as_str(), info.remote_address.as_str()), ("n:4151", "127.0.0.1:9"));
        assert_eq!((topic.as_str(), channel.as_str()), ("t", "c"));
    }
}

#[test]
fn an_end_inside_of_identify_is_told() {
    for (sent, expected) in [
        (&b"IDENTIFY\n"[..], &["E_BAD_BODY IDENTIFY failed to read body size"][..]),
        (b"IDENTIFY\n\0\0\0", &["E_BAD_BODY IDENTIFY failed to read body size"]),
        (b"IDENTIFY\n\0\0\0\x05ab", &["E_BAD_BODY IDENTIFY failed to read body"]),
        (b"PIN", &[]),
        (b"", &[]),
    ] {
        let mut talk = Talk::new();
        talk.say(b"  V1");
        talk.say(sent);
        assert_eq!(talk.end(), expected);
        assert!(talk.session.is_closed());
    }
}

#[test]
fn registrations_end_with_the_connection() {
    let topic = TopicName::parse("t").unwrap();
    for end in [&b""[..], b"nonsense\n"] {
        let mut talk = Talk::identified();
        talk.say(b"REGISTER t c\n");
        assert_eq!(talk.registry.lookup(at(1), &topic).unwrap().producers.len(), 1);
        talk.say(end);
        talk.end();
        assert_eq!(talk.registry.lookup(at(1), &topic).unwrap().producers.len(), 0);
        assert_eq!(talk.registry.nodes(at(1)), []);
    }
}

#[test]
fn silent_peers_are_given_up() {
    let mut talk = Talk::new();
    assert_eq!(talk.session.poll_timeout(), Some(Instant::ZERO + MAGIC_TIMEOUT));
    talk.say(b"  V1");
    talk.say(&identify(INFO));
    assert_eq!(talk.session.poll_timeout(), Some(Instant::ZERO + IDLE));

    // What is no command yet is no sign of life.
    talk.session.handle_bytes(at(599), b"PIN", &mut talk.registry, &mut Vec::new());
    assert_eq!(talk.session.poll_timeout(), Some(Instant::ZERO + IDLE));
    talk.session.handle_bytes(at(599), b"G\n", &mut talk.registry, &mut Vec::new());
    talk.session.handle_timeout(at(600), &mut talk.registry);
    assert!(!talk.session.is_closed());
    talk.session.handle_timeout(at(1199), &mut talk.registry);
    assert!(talk.session.is_closed());
    assert_eq!(talk.registry.nodes(at(599)), []);
    assert_eq!(talk.session.poll_timeout(), None);
}
