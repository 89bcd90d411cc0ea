//! What comes back and what was never delivered take turns, wherever they wait, and neither keeps the other waiting.

use super::*;
use crate::message::Message;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// What a consumer does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    Finish,
    Requeue,
    Nothing,
}

/// A topic whose channel has a log of an earlier process with these bodies, unread, and A as its consumer. A read brings three.
fn backlog(config: Config, bodies: &[String], ready: u32) -> Rig {
    let mut rig = Rig::new(config);
    rig.held = Some(VecDeque::new());
    rig.subscribe(A, "c", ready);
    let mut builder = BatchBuilder::default();
    for (index, body) in bodies.iter().enumerate() {
        let (id, timestamp) = (MessageId(index as u64 + 1), Timestamp::default());
        builder.push_stored(Message { id, timestamp, attempts: 0, due: None, body: body.as_bytes() });
    }
    let runs: Vec<Run> = builder.finish().into_iter().map(|batch| Run::whole(Arc::new(batch))).collect();
    rig.logs.entry("t:c".to_owned()).or_default().records.extend(singles(&runs));
    rig.let_disk_go_on();
    rig
}

fn letters(count: u8) -> Vec<String> {
    (0..count).map(|index| char::from(b'a' + index).to_string()).collect()
}

fn numbers(count: u32) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// Lets A do what it does with the next `count` deliveries, one after the other: the bodies, in order. Times are up after each.
fn work(rig: &mut Rig, count: usize, mut say: impl FnMut(&str) -> Say) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < count && !rig.deliveries.is_empty() {
        let (conn, id, _, body) = rig.deliveries.remove(0);
        match say(&body) {
            Say::Finish => rig.finish(conn, id),
            Say::Requeue => rig.requeue(conn, id, Duration::ZERO),
            Say::Nothing => rig.pass(OPTIONS.msg_timeout),
        }
        bodies.push(body);
    }
    bodies
}

/// How many deliveries it takes until each of `bodies` was delivered; panics if `most` are not enough.
#[track_caller]
fn reaches_all(rig: &mut Rig, bodies: &[String], most: usize, say: impl FnMut(&str) -> Say) -> usize {
    let delivered = work(rig, most, say);
    let first = |body| delivered.iter().position(|other| other == body);
    let firsts: Option<Vec<usize>> = bodies.iter().map(first).collect();
    let firsts = firsts.unwrap_or_else(|| panic!("not all in {most}: {delivered:?}"));
    assert!(firsts.is_sorted(), "what was never delivered keeps its order: {delivered:?}");
    firsts.last().map_or(0, |last| last + 1)
}

fn at_hand(rig: &Rig) -> Vec<String> {
    let mut bodies = Vec::new();
    rig.topic.peek(Some(&ChannelName::parse("c").unwrap()), usize::MAX, |peeked| {
        if peeked.place == Place::Queued {
            bodies.push(String::from_utf8(peeked.message.body.to_vec()).unwrap());
        }
    });
    bodies
}

fn only(body: &'static str) -> impl Fn(&str) -> Say {
    move |other| if other == body { Say::Requeue } else { Say::Finish }
}

#[test]
fn a_message_that_always_comes_back_takes_turns_with_the_rest_wherever_that_is() {
    let turns = ["a", "b", "a", "c", "a", "d", "a", "e", "a", "a", "a"];
    let mut unread = backlog(without_memory(), &letters(5), 1);
    assert_eq!(work(&mut unread, 11, only("a")), turns, "unread on the log");
    for config in [without_memory(), in_memory(2), in_memory(5)] {
        let mut rig = Rig::new(config);
        rig.subscribe(A, "c", 1);
        rig.publish(&["a", "b", "c", "d", "e"]);
        assert_eq!(work(&mut rig, 11, only("a")), turns);
    }
}

#[test]
fn as_many_as_ready_allows_that_always_come_back_take_turns_with_the_rest() {
    let bodies = numbers(40);
    let mut rig = backlog(without_memory(), &bodies, 3);
    let poison = |body: &str| if ["0", "1", "2"].contains(&body) { Say::Requeue } else { Say::Finish };
    let deliveries = reaches_all(&mut rig, &bodies, 100, poison);
    // A read brings three here: now and then what came back has gone on while there was one.
    assert!(deliveries <= 40 + 40 + 40 / 3, "{deliveries}");
}

#[test]
fn who_gives_everything_back_reaches_the_whole_backlog() {
    let bodies = numbers(60);
    for ready in [1, 2, 7] {
        let mut rig = backlog(without_memory(), &bodies, ready);
        reaches_all(&mut rig, &bodies, 160, |_| Say::Requeue);
        assert_eq!(rig.counts("c").0 + rig.counts("c").1, 60, "nothing is lost");
    }
}

#[test]
fn what_times_out_takes_turns_with_the_rest() {
    let mut rig = backlog(without_memory(), &letters(8), 1);
    let bodies = work(&mut rig, 12, |_| Say::Nothing);
    assert_eq!(bodies, ["a", "b", "a", "c", "b", "d", "a", "e", "c", "f", "b", "g"]);
}

#[test]
fn what_is_due_takes_turns_with_the_rest_and_with_what_came_back() {
    let mut rig = backlog(without_memory(), &letters(6), 1);
    rig.defer("x", Duration::from_secs(1));
    rig.defer("y", Duration::from_secs(1));
    rig.pass(Duration::from_secs(1));
    let bodies = work(&mut rig, 12, only("b"));
    assert_eq!(bodies, ["a", "b", "x", "c", "y", "d", "b", "e", "b", "f", "b", "b"]);
}

#[test]
fn what_came_back_does_not_wait_for_a_long_backlog() {
    let mut rig = backlog(in_memory(10), &numbers(1000), 1);
    assert_eq!(
        work(&mut rig, 500, |body| if body == "3" { Say::Requeue } else { Say::Finish })[3..9],
        ["3", "4", "3", "5", "3", "6"]
    );
}

#[test]
fn what_was_peeked_is_what_comes_in_that_order() {
    let mut rig = Rig::new(in_memory(2));
    rig.subscribe(A, "c", 4);
    rig.publish(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    for body in ["a", "b", "c"] {
        let (conn, id, ..) = rig.deliveries.iter().find(|delivery| delivery.3 == body).unwrap().clone();
        rig.command(A, ConsumerCommand::Ready { count: 1 });
        rig.requeue(conn, id, Duration::ZERO);
    }
    let seen = at_hand(&rig);
    assert_eq!(seen, ["e", "a", "f", "b", "g", "c", "h", "i"]);
    rig.deliveries.retain(|delivery| delivery.3 == "d");
    assert_eq!(work(&mut rig, 1 + seen.len(), |_| Say::Finish)[1..], seen);
}

#[test]
fn nothing_is_read_for_a_turn_that_nobody_could_take() {
    let passed = |rig: &Rig| rig.logs["t:c"].passed;
    let channel = ChannelName::parse("c").unwrap();
    let mut rig = backlog(without_memory(), &numbers(30), 1);
    assert_eq!(work(&mut rig, 5, only("0")), ["0", "1", "0", "2", "0"]);
    let before = passed(&rig);
    assert_eq!(rig.counts("c").1, 1);
    // It is out with A, one new message is at hand at most, and time goes by.
    rig.pass(Duration::from_secs(1));
    assert_eq!(passed(&rig), before);
    rig.topic.handle_pause_channel(rig.now, &channel, true);
    rig.pass(OPTIONS.msg_timeout * 3);
    assert_eq!((passed(&rig), rig.counts("c").1), (before, 0), "paused");
    rig.topic.handle_disconnect(rig.now, A);
    rig.topic.handle_pause_channel(rig.now, &channel, false);
    rig.settle();
    rig.publish(&["more"]);
    rig.pass(OPTIONS.msg_timeout * 3);
    assert_eq!(passed(&rig), before, "nobody is there");
}

#[test]
fn what_came_back_to_an_ephemeral_channel_is_not_dropped_for_what_is_new() {
    let mut rig = Rig::new(in_memory(2));
    rig.subscribe(A, "c#ephemeral", 3);
    rig.publish(&["a", "b", "c"]);
    let ids: Vec<MessageId> = rig.deliveries.drain(..).map(|delivery| delivery.1).collect();
    rig.command(A, ConsumerCommand::Ready { count: 0 });
    ids.iter().for_each(|&id| rig.requeue(A, id, Duration::ZERO));
    rig.publish(&["dropped"]);
    rig.command(A, ConsumerCommand::Ready { count: 1 });
    let bodies = work(&mut rig, 9, |_| Say::Finish);
    assert_eq!((bodies, rig.stats("c#ephemeral").dropped_count), (letters(3), 1));
}

/// A backlog of bodies so large that not many may come back: how many there are, and what of it is in memory at most.
const LARGE: (u32, usize) = (120, 16 + 16);

fn large_backlog() -> (Rig, Vec<String>) {
    let bodies: Vec<String> = (0..LARGE.0).map(|number| format!("{number:065000}")).collect();
    (backlog(without_memory(), &bodies, 5), bodies)
}

/// Has A give everything back `count` times; opens its window, as a host does that has written what is delivered.
#[track_caller]
fn give_back(rig: &mut Rig, count: usize) {
    for _ in 0..count {
        let Some(delivery) = rig.deliveries.first() else { panic!("nothing was delivered") };
        let bytes = delivery.3.len() as u64;
        rig.command(A, ConsumerCommand::Credit { bytes });
        assert_eq!(work(rig, 1, |_| Say::Requeue).len(), 1);
        let in_memory = at_hand(rig).len();
        assert!(in_memory <= LARGE.1, "{in_memory} in memory");
    }
}

/// Has A finish everything: each of `bodies` once.
#[track_caller]
fn finishes_each(rig: &mut Rig, bodies: &[String]) {
    let mut finished = Vec::new();
    while let Some(delivery) = rig.deliveries.first() {
        let bytes = delivery.3.len() as u64;
        rig.command(A, ConsumerCommand::Credit { bytes });
        finished.extend(work(rig, 1, |_| Say::Finish));
    }
    finished.sort();
    assert_eq!(finished.len(), bodies.len());
    assert!(finished == bodies, "each once");
    rig.pass(Duration::from_secs(1));
    assert_eq!((rig.counts("c"), rig.logs["t:c"].records.len()), ((0, 0, 0), 0));
}

#[test]
fn what_comes_back_does_not_bring_the_backlog_to_memory() {
    let (mut rig, bodies) = large_backlog();
    let mut attempts = BTreeMap::new();
    for _ in 0..900 {
        let (_, _, tried, body) = rig.deliveries.first().unwrap().clone();
        let before = attempts.insert(body, tried);
        assert_eq!(before.unwrap_or(0) + 1, tried, "attempts are kept");
        give_back(&mut rig, 1);
    }
    assert_eq!(attempts.len(), bodies.len(), "all are reached");
    assert_eq!(rig.counts("c").0 + rig.counts("c").1, u64::from(LARGE.0));
    finishes_each(&mut rig, &bodies);
}

#[test]
fn a_full_disk_keeps_what_came_back_and_reads_no_more_than_that() {
    let (mut rig, bodies) = large_backlog();
    rig.disk_full = true;
    give_back(&mut rig, 300);
    let failures = |rig: &Rig| rig.events.iter().filter(|event| matches!(event, Event::StorageFailed { .. })).count();
    assert_eq!(failures(&rig), 1, "it is not tried again at once");
    rig.pass(Duration::from_secs(1));
    give_back(&mut rig, 10);
    assert_eq!(failures(&rig), 2);
    rig.disk_full = false;
    rig.pass(Duration::from_secs(1));
    let before = rig.logs["t:c"].passed;
    give_back(&mut rig, 300);
    assert!(rig.logs["t:c"].passed > before, "it goes on");
    finishes_each(&mut rig, &bodies);
}

/// A backlog some of which came back and is on its way to the log.
fn putting_back() -> (Rig, Vec<String>) {
    let (mut rig, bodies) = large_backlog();
    rig.held = Some(VecDeque::new());
    while rig.stats("c").appending_count == 0 {
        give_back(&mut rig, 1);
        while let Some(op) =
            rig.held.as_mut().and_then(|held| held.pop_front_if(|op| matches!(op.effect, StorageEffect::Read { .. })))
        {
            let done = rig.execute(op);
            rig.topic.handle_completion(rig.now, done);
            rig.settle();
        }
    }
    (rig, bodies)
}

#[test]
fn what_is_on_its_way_back_to_the_log_at_an_exit_is_there_once() {
    for finished in [false, true] {
        let (mut rig, bodies) = putting_back();
        if finished {
            // Nothing but what is on its way, and what is unread.
            rig.command(A, ConsumerCommand::Credit { bytes: 1 << 30 });
            while !rig.deliveries.is_empty() {
                work(&mut rig, 1, |_| Say::Finish);
            }
            assert_eq!(at_hand(&rig).len(), 0);
        }
        let left = rig.counts("c").0 + rig.counts("c").1 + rig.stats("c").appending_count;
        rig.topic.handle_exit(rig.now);
        rig.let_disk_go_on();
        assert!(!rig.topic.is_settling() && rig.logs["t:c"].closed);
        let records = rig.logs["t:c"].records.iter().flat_map(Run::messages);
        let mut stored: Vec<Vec<u8>> = records.map(|message| message.body.to_vec()).collect();
        stored.sort();
        stored.dedup();
        assert_eq!((stored.len() as u64, rig.logs["t:c"].records.len() as u64), (left, left));
        assert!(finished || left == bodies.len() as u64);
    }
}

#[test]
fn what_is_on_its_way_back_to_the_log_goes_when_all_goes() {
    for disk_full in [false, true] {
        let (mut rig, _) = putting_back();
        assert!(rig.topic.handle_empty_channel(rig.now, &ChannelName::parse("c").unwrap()));
        rig.disk_full = disk_full;
        rig.let_disk_go_on();
        assert_eq!((rig.counts("c"), rig.stats("c").appending_count), ((0, 0, 0), 0));
        rig.deliveries.clear();
        rig.disk_full = false;
        rig.publish(&["new"]);
        assert_eq!(rig.delivered(), ["A:new/1"]);
    }
}
