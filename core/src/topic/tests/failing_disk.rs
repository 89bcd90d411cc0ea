//! What a disk that fails may cost, and what not. Each of these was found by the simulator.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Published before there was a channel, so on the topic's log; then the disk is full, and a consumer comes.
pub(super) fn backlog_on_a_full_disk(publish_ack: PublishAck, due: Option<Duration>) -> Rig {
    let mut rig = Rig::new(Config { publish_ack, ..without_memory() });
    let due = due.map(|delay| rig.now.wall + delay);
    rig.publish_due(&["x"], due);
    rig.answers.clear();
    assert_eq!(rig.logs["t"].records.len(), 1);
    rig.disk_full = true;
    rig.subscribe(A, "c", 10);
    rig
}

/// A channel with a message of an earlier process on its log, which cannot be opened just now, and a consumer.
fn unopened(publish_ack: PublishAck) -> Rig {
    let mut rig = Rig::new(Config { publish_ack, ..Config::default() });
    rig.held = Some(VecDeque::new());
    rig.subscribe(A, "c", 10);
    let open = rig.held.take().and_then(|mut held| held.pop_front()).unwrap();
    let mut builder = BatchBuilder::default();
    builder.push(b"old", None);
    let mut batch = builder.finish().remove(0);
    batch.stamp(rig.now.wall, || MessageId(1));
    let records = [Run::whole(Arc::new(batch))].into();
    rig.logs.insert("t:c".to_owned(), FakeLog { records, ..FakeLog::default() });
    let result = Err(StorageError::Io { file: "t".to_owned(), reason: "input/output error".to_owned() });
    rig.topic.handle_completion(rig.now, StorageCompletion { op: open.op, log: open.log, result });
    rig.settle();
    rig
}

#[test]
fn a_backlog_that_cannot_be_opened_at_first_is_opened_later() {
    let mut rig = unopened(PublishAck::Accepted);
    rig.pass(Duration::from_millis(999));
    assert!(rig.delivered().is_empty());
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.delivered(), ["A:old/1"]);
    assert_eq!(rig.counts("c"), (0, 1, 0));
}

#[test]
fn what_is_appended_meanwhile_does_not_step_over_it() {
    let mut rig = unopened(PublishAck::Synced);
    rig.publish(&["new"]);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.delivered(), ["A:old/1", "A:new/1"]);
    assert_eq!(rig.counts("c"), (0, 2, 0));
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
