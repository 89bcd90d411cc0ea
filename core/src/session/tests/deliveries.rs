//! Messages, and the window they open and close.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::message::{Batch, Message, MessageId, Run};
use crate::protocol::WINDOW_BYTES;

fn run(bodies: &[&[u8]], attempts: u16) -> Run {
    let mut builder = BatchBuilder::default();
    for (index, body) in bodies.iter().enumerate() {
        let (id, timestamp) = (MessageId(index as u64 + 1), Timestamp::from_nanos(7));
        builder.push_stored(Message { id, timestamp, attempts, due: None, body });
    }
    Run::whole(Arc::new(builder.finish().remove(0)))
}

fn deliver(peer: &mut Peer, run: Run) -> &mut Peer {
    let mut runs = vec![run];
    peer.session.handle_deliveries(&mut runs, &mut peer.out);
    assert!(runs.is_empty());
    peer
}

#[test]
fn a_message_has_been_tried_once_more_when_it_is_read() {
    let mut peer = Peer::subscribed();
    let mut part = run(&[b"a", b"bc", b"d"], 0);
    part.from = 1;
    deliver(&mut peer, part).recv(&["message 1 0000000000000002 bc", "message 1 0000000000000003 d"]);
    deliver(&mut peer, run(&[b"x"], u16::MAX)).recv(&["message 0 0000000000000001 x"]);
}

#[test]
fn messages_do_not_wait_for_replies() {
    let mut peer = Peer::subscribed().unobliging();
    peer.send(publish("t", "a"));
    deliver(&mut peer, run(&[b"x"], 0)).recv(&["message 1 0000000000000001 x"]);
    peer.published(2, Ok(())).recv(&["OK"]);
}

#[test]
fn the_window_opens_in_quarters_as_the_socket_takes_bodies() {
    let mut peer = Peer::subscribed();
    let quarter = WINDOW_BYTES as usize / 4;
    let body = vec![b'x'; quarter - 1];
    let message = Batch::single(Message { body: &body, due: None, ..run(&[b""], 0).batch.message(0) });
    let whole = Run::whole(Arc::new(message));
    deliver(&mut peer, whole.clone()).asks(&[]).flushed().asks(&[]);
    deliver(&mut peer, run(&[b"y"], 0)).asks(&[]).flushed().asks(&[&format!("credit {quarter}")]);
    peer.flushed().asks(&[]);
    deliver(&mut peer, whole.clone());
    deliver(&mut peer, whole).flushed().asks(&[&format!("credit {}", 2 * quarter - 2)]);
}

#[test]
fn a_session_that_ends_delivers_nothing() {
    let mut peer = Peer::subscribed().unobliging();
    peer.send(publish("t", "a")).send("FOO\n");
    deliver(&mut peer, run(&[b"x"], 0)).recv(&[]);
    peer.published(2, Ok(())).recv(&["OK", "E_INVALID invalid command FOO"]).closed();
    deliver(&mut peer, run(&[b"x"], 0)).recv(&[]);
}
