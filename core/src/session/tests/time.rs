//! Heartbeats and deadlines.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use crate::session::TimerKind;

fn every_second() -> Peer {
    let mut peer = Peer::new();
    peer.send(with_body("IDENTIFY", r#"{"heartbeat_interval":1000}"#)).recv(&["OK"]);
    peer
}

#[test]
fn the_magic_must_come() {
    let mut peer = Peer::with(Config::default(), Features::default());
    peer.send("  V");
    assert_eq!(peer.session.poll_timeout(), Some((at(30_000).mono, TimerKind::Magic)));
    peer.until(29_999).open().until(30_000).recv(&[]).closed();
    assert_eq!(peer.session.poll_timeout(), None);
}

#[test]
fn without_a_magic_timeout_there_is_any_time() {
    let mut peer = Peer::with(Config { magic_timeout: Duration::ZERO, ..Config::default() }, Features::default());
    peer.send("  V").until(86_400_000).open().send("2NOP\n").open();
    assert_eq!(peer.session.poll_timeout().map(|(_, kind)| kind), Some(TimerKind::Heartbeat));
}

#[test]
fn a_silent_client_gets_two_heartbeats_and_is_closed() {
    let mut peer = every_second();
    peer.until(999).recv(&[]).until(1000).recv(&["_heartbeat_"]).until(1999).open();
    peer.until(2000).recv(&["_heartbeat_"]).closed();
    let mut peer = Peer::new();
    peer.until(60_000).recv(&["_heartbeat_"; 2]).closed();
}

#[test]
fn any_command_keeps_the_connection_and_half_of_one_does_not() {
    let mut peer = every_second();
    peer.until(1900).send("NOP\n").until(3899).open().recv(&["_heartbeat_"; 3]);
    peer.until(3900).recv(&[]).closed();
    let mut peer = every_second();
    peer.until(1900).send("NO").until(1999).recv(&["_heartbeat_"]).open().until(2000).recv(&["_heartbeat_"]).closed();
}

#[test]
fn heartbeats_keep_their_rhythm_under_traffic() {
    let mut peer = every_second();
    for ms in (100..=3500).step_by(100) {
        peer.until(ms).send("NOP\n");
    }
    peer.recv(&["_heartbeat_"; 3]);
}

#[test]
fn a_body_that_does_not_come_is_told() {
    let mut peer = every_second();
    peer.send("PUB t\n\0\0\0\x05he").until(1999).recv(&["_heartbeat_"]).send("l").until(2000);
    peer.recv(&["_heartbeat_", "E_BAD_MESSAGE PUB failed to read message body"]).closed();
}

#[test]
fn waiting_for_an_answer_is_not_the_client_s_silence() {
    let mut peer = every_second().unobliging();
    peer.send("SUB t c\n").until(5000).recv(&["_heartbeat_"; 5]).open();
    peer.answer(Answer::Subscribed { id: RequestId(1), result: Ok(()) }).recv(&["OK"]);
    peer.until(6999).open().until(7000).recv(&["_heartbeat_"; 2]).closed();
}

#[test]
fn heartbeats_can_be_disabled() {
    let mut peer = Peer::new();
    peer.send(with_body("IDENTIFY", r#"{"heartbeat_interval":-1}"#)).recv(&["OK"]);
    assert_eq!(peer.session.poll_timeout(), None);
    peer.send("SUB t c\n").recv(&["E_INVALID cannot SUB with heartbeats disabled"]).closed();
}

#[test]
fn a_peer_that_reads_nothing_is_given_up() {
    let mut peer = every_second();
    peer.until(100).session.handle_blocked(at(100), 5);
    assert_eq!(peer.session.poll_timeout(), Some((at(1000).mono, TimerKind::Heartbeat)));
    peer.until(600).session.handle_blocked(at(600), 0);
    peer.until(1099).open().until(1100).recv(&[]).closed();

    let mut peer = every_second();
    peer.until(900).session.handle_blocked(at(900), 0);
    peer.until(1800).session.handle_blocked(at(1800), 1);
    // The client could not be heard while nothing was read from it.
    peer.until(2700).flushed().until(3799).open().until(3800).closed_after_heartbeats();

    // One that takes everything a little late is as silent as others.
    let mut peer = every_second();
    for ms in [500, 1000, 1900] {
        peer.until(ms).session.handle_blocked(at(ms), 0);
        peer.flushed();
    }
    peer.until(1999).open().until(2000).closed_after_heartbeats();

    let mut peer = Peer::new();
    peer.send(with_body("IDENTIFY", r#"{"heartbeat_interval":-1}"#)).session.handle_blocked(at(0), 0);
    assert_eq!(peer.session.poll_timeout(), Some((at(30_000).mono, TimerKind::Write)));
}

impl Peer {
    fn closed_after_heartbeats(&mut self) {
        assert!(frames(&std::mem::take(&mut self.out)).iter().all(|frame| frame == "_heartbeat_" || frame == "OK"));
        self.closed();
    }
}

#[test]
fn late_hosts_send_one_heartbeat() {
    let mut peer = every_second().unobliging();
    peer.send("SUB t c\n");
    peer.session.handle_timeout(at(10_500), &mut peer.out);
    peer.recv(&["_heartbeat_"]);
    assert_eq!(peer.session.poll_timeout(), Some((at(11_500).mono, TimerKind::Heartbeat)));
}
