//! Replies come in the order of the commands, whatever the order of the answers.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::message::MessageId;
use crate::protocol::{ConsumerVerb, RefusedWhy};

#[test]
fn consecutive_publishes_to_a_topic_are_one_request() {
    let mut peer = Peer::new().unobliging();
    let commands = [publish("t", "a"), publish("t", "b"), publish_many("t", &[b"c", b"d"]), publish("u", "e")];
    peer.send(commands.concat()).recv(&[]);
    peer.asks(&["publish 1", "PUB t a", "PUB t b", "PUB t c", "PUB t d", "publish 2", "PUB u e"]);
    peer.published(1, Ok(())).recv(&["OK"; 3]).published(2, Ok(())).recv(&["OK"]);
}

#[test]
fn answers_out_of_order_are_written_in_order() {
    let mut peer = Peer::new().unobliging();
    peer.send([publish("t", "a"), publish("u", "b"), publish("t", "c"), publish("t", "d")].concat());
    peer.published(3, Ok(())).published(2, Ok(())).recv(&[]);
    peer.published(1, Ok(())).recv(&["OK"; 4]);
}

#[test]
fn a_failed_publish_waits_for_those_before_it_and_ends_those_behind() {
    let mut peer = Peer::new().unobliging();
    peer.send([publish("t", "a"), publish("u", "b"), publish("v", "c")].concat());
    peer.published(3, Ok(())).published(2, Err(PublishError::Exiting)).recv(&[]).open();
    peer.published(1, Ok(())).recv(&["OK", "E_PUB_FAILED PUB failed exiting"]).closed();
    peer.published(3, Ok(())).recv(&[]);
}

#[test]
fn other_replies_wait_for_the_publishes_before_them() {
    let mut peer = Peer::subscribed().unobliging();
    peer.send([publish("t", "a"), b"FIN ZZZZZZZZZZZZZZZZ\n".to_vec(), publish("t", "b"), b"CLS\n".to_vec()].concat());
    peer.asks(&["publish 2", "PUB t a", "publish 3", "PUB t b", "CLS"]);
    let (verb, why) = (ConsumerVerb::Touch, RefusedWhy::NotInFlight);
    peer.answer(Answer::Refused { verb, id: MessageId(1), why }).recv(&[]);
    peer.published(2, Ok(())).recv(&["OK", "E_FIN_FAILED FIN ZZZZZZZZZZZZZZZZ failed ID not in flight"]);
    let late = "E_TOUCH_FAILED TOUCH 0000000000000001 failed ID not in flight";
    peer.published(3, Ok(())).recv(&["OK", "CLOSE_WAIT", late]);
}

#[test]
fn publishes_before_a_fatal_error_still_count() {
    let mut peer = Peer::new().unobliging();
    peer.send([publish("t", "a"), publish("t", "b"), b"FOO\n".to_vec(), publish("t", "c")].concat());
    peer.asks(&["publish 1", "PUB t a", "PUB t b"]).recv(&[]).open();
    peer.published(1, Ok(())).recv(&["OK", "OK", "E_INVALID invalid command FOO"]).closed();
}

#[test]
fn what_changes_the_connection_waits_for_the_publishes_before_it() {
    let identify = with_body("IDENTIFY", "{}");
    for (command, reply) in [(b"SUB t c\n".to_vec(), &[][..]), (identify, &["OK"][..])] {
        // Offered again by the host, and, cut in two, kept by the session.
        for cut in [0, 3] {
            let mut peer = Peer::new().unobliging();
            peer.send([publish("t", "a"), command[..cut].to_vec()].concat()).asks(&["publish 1", "PUB t a"]);
            peer.send(&command[cut..]).asks(&[]);
            assert!(!peer.session.wants_input());
            let replies = [&["OK"], reply].concat();
            peer.published(1, Ok(())).recv(&replies);
        }
    }
}

#[test]
fn nothing_is_taken_until_sub_is_answered() {
    let mut peer = Peer::new().unobliging();
    peer.send("SUB t c\nRDY 1\n").asks(&["SUB t c 60000ms 0%"]);
    assert!(!peer.session.wants_input());
    peer.answer(Answer::Subscribed { id: RequestId(1), result: Ok(()) }).recv(&["OK"]).asks(&["RDY 1"]);
}

#[test]
fn a_session_stops_reading_when_too_much_is_unanswered() {
    let mut peer = Peer::new().unobliging();
    let big = publish("t", vec![b'x'; 1 << 20]);
    for id in 1..=4 {
        assert!(peer.session.wants_input());
        peer.send(&big);
        peer.asked.truncate(1);
        peer.asks(&[&format!("publish {id}")]);
    }
    peer.send(&big).asks(&[]);
    assert!(!peer.session.wants_input());
    peer.published(1, Ok(())).recv(&["OK"]);
    assert_eq!(peer.asked.len(), 2);

    let mut peer = Peer::new().unobliging();
    for _ in 0..600 {
        peer.send([publish("t", "x"), publish("u", "x")].concat());
    }
    assert!(!peer.session.wants_input());
    assert_eq!(peer.asked.iter().filter(|asked| asked.starts_with("publish")).count(), 1024);
}

#[test]
fn eviction_closes_without_a_frame() {
    let mut peer = Peer::subscribed().unobliging();
    peer.send(publish("t", "a")).answer(Answer::Evicted).recv(&[]).closed();
    peer.published(2, Ok(())).recv(&[]);
}

#[test]
fn the_end_of_the_stream_waits_for_the_answers() {
    let mut peer = Peer::new().unobliging();
    peer.send(publish("t", "a")).eof().open().published(1, Ok(())).recv(&["OK"]).closed();

    let mut peer = Peer::new().unobliging();
    peer.send(publish("t", "a")).send("SUB ").send("t c\n").eof().open();
    peer.published(1, Ok(())).recv(&["OK"]).open();
    peer.answer(Answer::Subscribed { id: RequestId(2), result: Ok(()) }).recv(&["OK"]).closed();
}
