//! Looking at messages where they are, and being told where they go.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Where the messages of channel `c` are: place and body.
fn places(rig: &Rig, limit: usize) -> Vec<String> {
    let mut seen = Vec::new();
    rig.topic.peek(Some(&ChannelName::parse("c").unwrap()), limit, |peeked| {
        let body = std::str::from_utf8(peeked.message.body).unwrap();
        let place = match peeked.place {
            Place::Queued => "queued".to_owned(),
            Place::InFlight { conn, deadline } => format!("with {} until {}", conn.0, deadline.as_nanos()),
            Place::Deferred { due } => format!("deferred until {}", due.as_nanos()),
        };
        seen.push(format!("{body} {place}"));
    });
    seen
}

#[test]
fn every_place_is_seen_and_nothing_is_taken() {
    let mut rig = Rig::new(Config::default());
    let options = ConsumerOptions { msg_timeout: Duration::from_nanos(50), ..OPTIONS };
    rig.subscribe_with(A, "c", options).unwrap();
    rig.command(A, ConsumerCommand::Ready { count: 2 });
    rig.publish(&["a", "b", "c", "d"]);
    rig.publish_due(&["e"], Some(rig.now.wall + Duration::from_nanos(7)));
    let id = rig.deliveries[0].1;
    rig.command(A, ConsumerCommand::Touch { id, msg_timeout: Duration::from_nanos(60) });
    let all = ["c queued", "d queued", "b with 10 until 50", "a with 10 until 60", "e deferred until 7"];
    assert_eq!(places(&rig, 9), all);
    assert_eq!(places(&rig, 1), [all[0], all[2], all[4]]);
    let stats = rig.stats("c");
    assert_eq!((stats.depth, stats.in_flight_count, stats.deferred_count), (2, 2, 1));
}

/// What was told of channel `c` since the last call.
fn moves(rig: &mut Rig) -> Vec<(Moved, String)> {
    let told = std::mem::take(&mut rig.events).into_iter().filter_map(|event| match event {
        Event::Moved { how, run, .. } => {
            let bodies = run.messages().map(|message| String::from_utf8_lossy(message.body).into_owned());
            Some((how, bodies.collect::<Vec<_>>().join(" ")))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn who_asks_is_told_of_moves() {
    let mut rig = Rig::new(Config { tell_moves: true, mem_queue_size: 2, ..Config::default() });
    rig.subscribe(A, "c#ephemeral", 0);
    rig.publish(&["a", "b", "c"]);
    assert_eq!(moves(&mut rig), [(Moved::Dropped, "c".to_owned())]);
    rig.publish_due(&["e"], Some(rig.now.wall + Duration::from_secs(1)));
    rig.pass(Duration::from_secs(1));
    assert_eq!(moves(&mut rig), [(Moved::Due, "e".to_owned())]);
    rig.command(A, ConsumerCommand::Ready { count: 1 });
    rig.pass(OPTIONS.msg_timeout);
    assert_eq!(moves(&mut rig), [(Moved::TimedOut, "a".to_owned())]);

    let mut untold = Rig::new(Config { mem_queue_size: 0, ..Config::default() });
    untold.topic.handle_create_channel(untold.now, &ChannelName::parse("c#ephemeral").unwrap());
    untold.publish(&["a"]);
    assert_eq!(moves(&mut untold), []);
}
