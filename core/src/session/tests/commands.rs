//! Each command's checks, in order, with their texts.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ID: &str = "0123456789abcdef";

/// What one command does to a connection in a state.
fn refused(mut peer: Peer, command: impl AsRef<[u8]>, error: &str) {
    peer.send(command).recv(&[error]).closed().asks(&[]);
}

#[test]
fn the_magic_is_four_bytes() {
    Peer::with(Config::default(), Features::default()).send("  V9").recv(&["E_BAD_PROTOCOL"]).closed();
    Peer::with(Config::default(), Features::default()).send("  V").open().eof().closed();
    Peer::new().open().recv(&[]);
}

#[test]
fn unknown_commands_are_named() {
    let mut peer = Peer::new();
    peer.send("NOP\r\n").send("FOO\r\n").recv(&["E_INVALID invalid command FOO"]).closed();
    refused(Peer::new(), "\n", "E_INVALID invalid command ");
    refused(Peer::new(), "nop\n", "E_INVALID invalid command nop");
    refused(Peer::new(), " NOP\n", "E_INVALID invalid command ");
    refused(Peer::new(), b"\xff x\n", "E_INVALID invalid command \u{fffd}");
}

#[test]
fn states_are_checked_first() {
    let closing = || {
        let mut peer = Peer::subscribed();
        peer.send("CLS\n").recv(&["CLOSE_WAIT"]).asks(&["CLS"]);
        peer
    };
    for command in ["RDY x", "FIN", "REQ", "TOUCH", "CLS"] {
        let verb = command.split(' ').next().unwrap();
        refused(Peer::new(), format!("{command}\n"), &format!("E_INVALID cannot {verb} in current state"));
    }
    for command in ["IDENTIFY", "AUTH x", "SUB"] {
        let verb = command.split(' ').next().unwrap();
        let error = format!("E_INVALID cannot {verb} in current state");
        refused(Peer::subscribed(), format!("{command}\n"), &error);
        refused(closing(), format!("{command}\n"), &error);
    }
    refused(closing(), "CLS\n", "E_INVALID cannot CLS in current state");
    closing().send("RDY x\nRDY\n").recv(&[]).open().asks(&[]);
    closing().send(format!("FIN {ID}\nTOUCH {ID}\n")).asks(&[&format!("FIN {ID}"), &format!("TOUCH {ID} 60000ms")]);
    closing().send(publish("t", "x")).recv(&["OK"]).asks(&["PUB t x"]);
}

#[test]
fn states_have_the_numbers_of_stats() {
    let mut peer = Peer::new();
    assert_eq!(peer.session.state() as u8, 0);
    peer.send("SUB t c\n");
    assert_eq!(peer.session.state() as u8, 3);
    peer.send("CLS\n");
    assert_eq!(peer.session.state() as u8, 4);
}

#[test]
fn sub() {
    for (command, error) in [
        ("SUB\n", "E_INVALID SUB insufficient number of parameters"),
        ("SUB a\n", "E_INVALID SUB insufficient number of parameters"),
        ("SUB  a b\n", r#"E_BAD_TOPIC SUB topic name "" is not valid"#),
        ("SUB a \n", r#"E_BAD_CHANNEL SUB channel name "" is not valid"#),
        ("SUB a$ b$\n", r#"E_BAD_TOPIC SUB topic name "a$" is not valid"#),
    ] {
        refused(Peer::new(), command, error);
    }
    refused(Peer::new(), b"SUB \xff\x01\"\\ b\n", r#"E_BAD_TOPIC SUB topic name "\xff\x01\"\\" is not valid"#);
    Peer::new().send("SUB a b extra\r\n").recv(&["OK"]).asks(&["SUB a b 60000ms 0%"]);
}

#[test]
fn sub_failures_are_fatal() {
    let limit = SubscribeError::TooManyConsumers {
        topic: crate::name::TopicName::parse("t").unwrap(),
        channel: crate::name::ChannelName::parse("c").unwrap(),
        limit: 2,
    };
    for (error, text) in [
        (limit, "E_SUB_FAILED SUB failed consumers for t:c exceeds limit of 2"),
        (SubscribeError::Exiting, "E_SUB_FAILED SUB failed exiting"),
    ] {
        let mut peer = Peer::new().unobliging();
        peer.send("SUB t c\nRDY 1\n").asks(&["SUB t c 60000ms 0%"]);
        peer.refuse_subscription(1, error).recv(&[text]).closed().asks(&[]);
    }
}

#[test]
fn publish_checks() {
    for (command, error) in [
        ("PUB\n", "E_INVALID PUB insufficient number of parameters"),
        ("PUB a$\n", r#"E_BAD_TOPIC PUB topic name "a$" is not valid"#),
        ("PUB t\n\0\0\0\0", "E_BAD_MESSAGE PUB invalid message body size 0"),
        ("PUB t\n\0\x10\0\x01", "E_BAD_MESSAGE PUB message too big 1048577 > 1048576"),
        ("MPUB\n", "E_INVALID MPUB insufficient number of parameters"),
        ("MPUB a$\n", r#"E_BAD_TOPIC E_BAD_TOPIC MPUB topic name "a$" is not valid"#),
        ("MPUB t\n\0\0\0\0", "E_BAD_BODY MPUB invalid body size 0"),
        ("MPUB t\n\0\x50\0\x01", "E_BAD_BODY MPUB body too big 5242881 > 5242880"),
        ("MPUB t\n\0\x50\0\0\0\x10\0\0", "E_BAD_BODY MPUB invalid message count 1048576"),
        ("MPUB t\n\0\0\0\x09\0\0\0\x01\0\0\0\0", "E_BAD_MESSAGE MPUB invalid message(0) body size 0"),
        ("MPUB t\n\0\0\0\x09\0\0\0\x01\0\0\0\x02", "E_BAD_BODY MPUB body size 9 does not match its messages"),
        ("MPUB t\n\0\0\0\x01", "E_BAD_BODY MPUB body size 1 does not match its messages"),
        ("DPUB t\n", "E_INVALID DPUB insufficient number of parameters"),
        ("DPUB a$ x\n", r#"E_BAD_TOPIC DPUB topic name "a$" is not valid"#),
        ("DPUB t x\n", "E_INVALID DPUB could not parse timeout x"),
        ("DPUB t -1\n", "E_INVALID DPUB could not parse timeout -1"),
        ("DPUB t 3600001\n", "E_INVALID DPUB timeout 3600001 out of range 0-3600000"),
        ("DPUB t 1\n\0\0\0\0", "E_BAD_MESSAGE DPUB invalid message body size 0"),
    ] {
        refused(Peer::new(), command, error);
    }
    refused(Peer::new(), b"PUB t\n\xff\xff\xff\xff", "E_BAD_MESSAGE PUB invalid message body size -1");
    Peer::new().send(b"MPUB t\n\0\x50\0\0\0\x0f\xff\xff").recv(&[]).open();
}

#[test]
fn publishes_are_messages() {
    let mut peer = Peer::new();
    peer.send(publish("t", "a")).recv(&["OK"]).asks(&["PUB t a"]);
    peer.send(publish_many("t", &[b"b", b"cd"])).recv(&["OK"]).asks(&["PUB t b", "PUB t cd"]);
    peer.send(publish("u extra", "\n\r\0")).recv(&["OK"]).asks(&[r"PUB u \n\r\x00"]);
    let counts: Vec<_> = peer.session.pub_counts().map(|(topic, count)| (topic.as_str(), count)).collect();
    assert_eq!(counts, [("t", 3), ("u", 1)]);
}

#[test]
fn deferred_publishes_have_a_due_time() {
    let mut peer = Peer::new();
    peer.until(500);
    let commands = ["DPUB t 3600000", "DPUB t 1", "DPUB t ", "DPUB t 18446744073709551616"].map(|l| with_body(l, "x"));
    peer.send(commands.concat()).recv(&["OK"; 4]);
    peer.asks(&["PUB t x at 3600500ms", "PUB t x at 501ms", "PUB t x", "PUB t x"]);
}

#[test]
fn publish_failures_are_fatal_and_named_by_their_command() {
    for (command, code) in [
        (publish("t", "x"), "E_PUB_FAILED PUB"),
        (publish_many("t", &[b"x"]), "E_MPUB_FAILED MPUB"),
        (with_body("DPUB t 5", "x"), "E_DPUB_FAILED DPUB"),
    ] {
        let mut peer = Peer::new().unobliging();
        peer.send(command).published(1, Err(PublishError::Exiting));
        peer.recv(&[&format!("{code} failed exiting")]).closed();
    }
}

#[test]
fn rdy() {
    for (command, count) in
        [("RDY 2500", 2500), ("RDY", 1), ("RDY ", 0), ("RDY 18446744073709551616", 0), ("RDY 7 x", 7)]
    {
        Peer::subscribed().send(format!("{command}\n")).recv(&[]).asks(&[&format!("RDY {count}")]);
    }
    for (command, error) in [
        ("RDY -1", "E_INVALID RDY could not parse count -1"),
        ("RDY 2501", "E_INVALID RDY count 2501 out of range 0-2500"),
        ("RDY 9223372036854775808", "E_INVALID RDY count -9223372036854775808 out of range 0-2500"),
    ] {
        refused(Peer::subscribed(), format!("{command}\n"), error);
    }
}

#[test]
fn fin_req_touch() {
    for (command, asks) in [
        (format!("FIN {ID}"), format!("FIN {ID}")),
        (format!("FIN {ID} extra\r"), format!("FIN {ID}")),
        (format!("TOUCH {ID}"), format!("TOUCH {ID} 60000ms")),
        (format!("REQ {ID} 0"), format!("REQ {ID} 0ms")),
        (format!("REQ {ID} "), format!("REQ {ID} 0ms")),
        (format!("REQ {ID} 1500 x"), format!("REQ {ID} 1500ms")),
        (format!("REQ {ID} 3600001"), format!("REQ {ID} 3600000ms")),
        // Negative, as the reference counts: 2^63 milliseconds, and 2^63 nanoseconds.
        (format!("REQ {ID} 9223372036854775808"), format!("REQ {ID} 0ms")),
        (format!("REQ {ID} 9223372036855"), format!("REQ {ID} 0ms")),
    ] {
        Peer::subscribed().send(format!("{command}\n")).recv(&[]).asks(&[&asks]).open();
    }
    for (command, error) in [
        ("FIN".to_owned(), "E_INVALID FIN insufficient number of params"),
        ("TOUCH".to_owned(), "E_INVALID TOUCH insufficient number of params"),
        ("REQ".to_owned(), "E_INVALID REQ insufficient number of params"),
        (format!("REQ {ID}"), "E_INVALID REQ insufficient number of params"),
        ("FIN abc".to_owned(), "E_INVALID invalid message ID"),
        ("FIN ".to_owned(), "E_INVALID invalid message ID"),
        ("TOUCH 0123456789abcdef0".to_owned(), "E_INVALID invalid message ID"),
        ("REQ abc x".to_owned(), "E_INVALID invalid message ID"),
        (format!("REQ {ID} x"), "E_INVALID REQ could not parse timeout x"),
        (format!("REQ {ID} -5"), "E_INVALID REQ could not parse timeout -5"),
    ] {
        refused(Peer::subscribed(), format!("{command}\n"), error);
    }
    Peer::subscribed().send(format!("REQ {ID} 99999999999999999999\n")).recv(&[]).open();
}

#[test]
fn refused_fin_req_touch_leave_the_connection_open() {
    use crate::message::MessageId;
    use crate::protocol::{ConsumerVerb, RefusedWhy};
    let mut peer = Peer::subscribed();
    let id = MessageId(0x0123_4567_89ab_cdef);
    for (verb, why, text) in [
        (ConsumerVerb::Finish, RefusedWhy::NotInFlight, "E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight"),
        (
            ConsumerVerb::Touch,
            RefusedWhy::NotOwner,
            "E_TOUCH_FAILED TOUCH 0123456789abcdef failed client does not own message",
        ),
        (ConsumerVerb::Requeue, RefusedWhy::Exiting, "E_REQ_FAILED REQ 0123456789abcdef failed exiting"),
    ] {
        peer.answer(Answer::Refused { verb, id, why }).recv(&[text]).open();
    }
}

#[test]
fn ids_that_are_not_ours_are_echoed_as_they_came() {
    let mut peer = Peer::subscribed();
    peer.send("FIN 0123456789ABCDEF\n").recv(&["E_FIN_FAILED FIN 0123456789ABCDEF failed ID not in flight"]);
    peer.send("REQ ................ 5\n").recv(&["E_REQ_FAILED REQ ................ failed ID not in flight"]);
    peer.send("TOUCH zzzzzzzzzzzzzzzz\n").recv(&["E_TOUCH_FAILED TOUCH zzzzzzzzzzzzzzzz failed ID not in flight"]);
    peer.asks(&[]).send(b"FIN \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\n");
    assert!(peer.out.windows(16).any(|bytes| bytes == [0xff; 16]));
    peer.open();
}

#[test]
fn tls_can_be_required() {
    let required = || {
        let features = Features { tls: true, tls_required: true, ..Features::default() };
        let mut peer = Peer::with(Config::default(), features);
        peer.send("  V2");
        peer
    };
    refused(required(), "NOP\n", "E_INVALID cannot NOP in current state (TLS required)");
    refused(required(), "\n", "E_INVALID cannot  in current state (TLS required)");
    refused(required(), "FOO x\n", "E_INVALID cannot FOO in current state (TLS required)");
    let mut peer = required();
    peer.send(with_body("IDENTIFY", r#"{"feature_negotiation":true,"tls_v1":true}"#)).asks(&["Tls"]);
    peer.out.clear();
    peer.upgraded(Ok(())).recv(&["OK"]).send(publish("t", "x")).recv(&["OK"]);
}
