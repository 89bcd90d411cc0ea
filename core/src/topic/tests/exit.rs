//! What an exit leaves on the logs, whatever it finds under way.

use super::failing_disk::backlog_on_a_full_disk;
use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The bodies on a log, in order.
fn bodies(rig: &Rig, log: &str) -> Vec<String> {
    let messages = rig.logs[log].records.iter().flat_map(|run| run.messages());
    messages.map(|message| String::from_utf8(message.body.to_vec()).unwrap()).collect()
}

/// Has the node exit, and the disk carry out what it has, but for appends to the logs `failing`.
fn exit(rig: &mut Rig, failing: &[&str]) {
    rig.topic.handle_exit(rig.now);
    rig.settle();
    while let Some(op) = rig.held.as_mut().and_then(VecDeque::pop_front) {
        rig.disk_full = failing.contains(&op.log.to_string().as_str());
        let done = rig.execute(op);
        rig.topic.handle_completion(rig.now, done);
        rig.settle();
    }
    assert!(!rig.topic.is_settling(), "nobody waits for more");
    assert!(rig.logs.values().all(|log| log.closed));
    assert_eq!(rig.topic.poll_timeout(), None);
}

/// What was published before there was a channel is on its way from the topic's log to that of its first, on a disk that has
/// done nothing of it yet.
fn moving(publish_ack: PublishAck) -> Rig {
    let mut rig = Rig::new(Config { publish_ack, ..without_memory() });
    rig.publish(&["x", "y"]);
    rig.held = Some(VecDeque::new());
    rig.subscribe(A, "c", 0);
    rig
}

#[test]
fn what_an_exit_finds_on_its_way_to_a_channel_is_there_and_not_in_the_topic() {
    for publish_ack in [PublishAck::Accepted, PublishAck::Written, PublishAck::Synced] {
        let mut rig = moving(publish_ack);
        exit(&mut rig, &[]);
        assert_eq!(
            (bodies(&rig, "t").len(), bodies(&rig, "t:c")),
            (0, vec!["x".into(), "y".into()]),
            "{publish_ack:?}"
        );
    }
}

#[test]
fn what_cannot_be_moved_any_more_stays_in_the_topic_and_the_exit_ends() {
    for publish_ack in [PublishAck::Accepted, PublishAck::Written, PublishAck::Synced] {
        let mut rig = moving(publish_ack);
        exit(&mut rig, &["t:c"]);
        assert_eq!(
            (bodies(&rig, "t"), bodies(&rig, "t:c").len()),
            (vec!["x".into(), "y".into()], 0),
            "{publish_ack:?}"
        );
    }
}

#[test]
fn what_was_in_the_topics_memory_goes_to_its_log_if_it_cannot_be_moved() {
    let mut rig = Rig::new(in_memory(2));
    rig.subscribe(A, "c", 0);
    rig.publish(&["v", "w"]);
    rig.topic.handle_pause(rig.now, true);
    rig.publish(&["x", "y"]);
    rig.held = Some(VecDeque::new());
    rig.topic.handle_pause(rig.now, false);
    rig.settle();
    exit(&mut rig, &["t:c"]);
    assert_eq!((bodies(&rig, "t"), bodies(&rig, "t:c").len()), (vec!["x".into(), "y".into()], 0));
}

#[test]
fn one_channel_that_cannot_take_it_over_keeps_a_message_in_the_topic() {
    let mut rig = Rig::new(Config { publish_ack: PublishAck::Synced, ..without_memory() });
    rig.topic.handle_pause(rig.now, true);
    rig.publish(&["x"]);
    rig.subscribe(A, "c", 0);
    rig.subscribe(B, "d", 0);
    rig.held = Some(VecDeque::new());
    rig.topic.handle_pause(rig.now, false);
    rig.settle();
    exit(&mut rig, &["t:c"]);
    assert_eq!((bodies(&rig, "t"), bodies(&rig, "t:d")), (vec!["x".into()], vec!["x".into()]));
    assert!(bodies(&rig, "t:c").is_empty());
}

#[test]
fn a_publish_that_an_exit_finds_under_way_is_refused_if_it_fails() {
    let mut rig = Rig::new(Config { publish_ack: PublishAck::Synced, ..Config::default() });
    rig.subscribe(A, "c", 0);
    rig.held = Some(VecDeque::new());
    let id = rig.publish_due(&["x"], None);
    exit(&mut rig, &["t:c"]);
    let refused =
        Answer::Published { id, result: Err(PublishError::Storage(StorageError::Full { file: "t".to_owned() })) };
    assert_eq!(rig.answers, [(PRODUCER, refused)]);
    assert!(bodies(&rig, "t:c").is_empty());
}

#[test]
fn exit_writes_everything_with_attempts_and_due_times() {
    let mut rig = Rig::new(Config::default());
    rig.subscribe(A, "c", 1);
    rig.publish(&["flying", "queued"]);
    rig.defer("deferred", Duration::from_secs(5));
    let due = rig.now.wall + Duration::from_secs(5);
    rig.topic.handle_exit(rig.now);
    rig.settle();
    assert!(!rig.topic.is_settling() && rig.logs["t:c"].closed);
    let stored: Vec<(&[u8], u16, Option<Timestamp>)> = rig.logs["t:c"]
        .records
        .iter()
        .flat_map(|run| run.messages())
        .map(|message| (message.body, message.attempts, message.due))
        .collect();
    assert_eq!(stored, [(&b"flying"[..], 1, None), (b"deferred", 0, Some(due)), (b"queued", 0, None)]);
}

#[test]
fn exit_releases_what_it_writes_anew() {
    let mut rig = Rig::new(without_memory());
    rig.subscribe(A, "c", 2);
    rig.publish(&["x", "y", "z"]);
    rig.topic.handle_exit(rig.now);
    rig.settle();
    let mut bodies: Vec<&[u8]> =
        rig.logs["t:c"].records.iter().flat_map(|run| run.messages()).map(|message| message.body).collect();
    bodies.sort();
    assert_eq!(bodies, [b"x", b"y", b"z"], "each once");
}

#[test]
fn an_exit_does_not_wait_for_what_cannot_be_moved() {
    let mut rig = backlog_on_a_full_disk(PublishAck::Synced, None);
    rig.topic.handle_exit(rig.now);
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
    rig.topic.handle_exit(rig.now);
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
    rig.topic.handle_exit(rig.now);
    rig.settle();
    let appends = rig.held.iter().flatten().filter_map(|op| match op.effect {
        StorageEffect::Append { durability, .. } => Some(durability),
        _ => None,
    });
    assert_eq!(appends.collect::<Vec<_>>(), [Durability::Synced]);
}
