//! What a disk that fails may cost, and what not. Each of these was found by the simulator.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Published before there was a channel, so on the topic's log; then the disk is full, and a consumer comes.
fn backlog_on_a_full_disk(publish_ack: PublishAck, due: Option<Duration>) -> Rig {
    let mut rig = Rig::new(Config { publish_ack, ..without_memory() });
    let due = due.map(|delay| rig.now.wall + delay);
    rig.publish_due(&["x"], due);
    rig.answers.clear();
    assert_eq!(rig.logs["t"].records.len(), 1);
    rig.disk_full = true;
    rig.subscribe(A, "c", 10);
    rig
}

#[test]
fn what_cannot_be_moved_to_the_channels_log_keeps_its_due_time() {
    let mut rig = backlog_on_a_full_disk(PublishAck::Accepted, Some(Duration::from_secs(5)));
    rig.pass(Duration::from_millis(4_999));
    assert!(rig.delivered().is_empty());
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.delivered(), ["A:x/1"]);
}

#[test]
fn what_was_answered_as_durable_stays_on_the_topics_log_until_the_channels_has_it() {
    let mut rig = backlog_on_a_full_disk(PublishAck::Synced, None);
    rig.pass(Duration::from_secs(3));
    assert!(rig.delivered().is_empty());
    assert_eq!((rig.logs["t"].records.len(), rig.stats("c").appending_count), (1, 1));
    rig.disk_full = false;
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.delivered(), ["A:x/1"]);
    rig.pass(Duration::from_secs(1));
    assert_eq!((rig.logs["t"].records.len(), rig.logs["t:c"].records.len()), (0, 1));
}

#[test]
fn an_exit_does_not_wait_for_what_cannot_be_moved() {
    let mut rig = backlog_on_a_full_disk(PublishAck::Synced, None);
    rig.topic.handle_exit();
    rig.settle();
    assert!(!rig.topic.is_settling());
    assert_eq!(rig.logs["t"].records.len(), 1);
}

#[test]
fn an_exit_that_cannot_write_leaves_on_the_log_what_was_there() {
    let mut rig = Rig::new(without_memory());
    rig.subscribe(A, "c", 2);
    rig.publish(&["x", "y", "z"]);
    rig.disk_full = true;
    rig.topic.handle_exit();
    rig.settle();
    assert!(!rig.topic.is_settling() && rig.logs["t:c"].closed);
    assert_eq!(rig.logs["t:c"].records.len(), 3);
}

#[test]
fn an_exit_syncs_what_was_answered_as_synced() {
    let mut rig = Rig::new(Config { publish_ack: PublishAck::Synced, ..Config::default() });
    rig.subscribe(A, "c", 1);
    rig.publish(&["x"]);
    rig.held = Some(VecDeque::new());
    rig.topic.handle_exit();
    rig.settle();
    let appends = rig.held.iter().flatten().filter_map(|op| match op.effect {
        StorageEffect::Append { durability, .. } => Some(durability),
        _ => None,
    });
    assert_eq!(appends.collect::<Vec<_>>(), [Durability::Synced]);
}
