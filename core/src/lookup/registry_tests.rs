//! What is known, and for how long.

use super::*;
use crate::time::{Instant, Timestamp};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn at(seconds: u64) -> Now {
    let wall = Timestamp::from_nanos(1_000_000_000 * (1_700_000_000 + seconds as i64));
    Now { mono: Instant::from_millis(seconds * 1000), wall }
}

fn topic(name: &str) -> TopicName {
    TopicName::parse(name).unwrap()
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

/// A registry that knows nsqds 1 to `count`.
fn with_nodes(count: u64) -> Registry {
    let mut registry = Registry::new(Lifetimes {
        inactive_producer_timeout: Duration::from_secs(300),
        tombstone_lifetime: Duration::from_secs(45),
    });
    for conn in 1..=count {
        let info = PeerInfo {
            remote_address: format!("10.0.0.{conn}:5000"),
            broadcast_address: format!("n{conn}"),
            tcp_port: 4150,
            http_port: 4151,
            ..PeerInfo::default()
        };
        registry.identify(at(0), ConnId(conn), info);
    }
    registry
}

/// Who is shown for topic `t`.
fn shown(registry: &Registry, now: Now) -> Vec<String> {
    let found = registry.lookup(now, &topic("t")).unwrap();
    found.producers.iter().map(|info| info.broadcast_address.clone()).collect()
}

fn channels(registry: &Registry, name: &str) -> Vec<String> {
    registry.channels(&topic(name)).map(ToString::to_string).collect()
}

#[test]
fn producers_are_found_by_topic() {
    let mut registry = with_nodes(2);
    assert!(registry.register(ConnId(1), &topic("t"), Some(&channel("c"))));
    assert!(registry.register(ConnId(2), &topic("t"), None));
    assert!(!registry.register(ConnId(2), &topic("t"), None));
    assert!(!registry.register(ConnId(3), &topic("t"), None), "not identified");
    assert_eq!(shown(&registry, at(1)), ["n1", "n2"]);
    assert_eq!(channels(&registry, "t"), ["c"]);
    assert_eq!(registry.lookup(at(1), &topic("nope")), None);
    assert_eq!(channels(&registry, "nope"), [""; 0]);
}

#[test]
fn a_topic_that_is_being_deleted_does_not_come_back() {
    let names = |registry: &Registry| registry.topics().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
    let mut registry = with_nodes(2);
    let t = topic("t");
    registry.register(ConnId(1), &t, Some(&channel("c")));
    // Somebody deletes it here, then at the nsqd, which has registered it again in between.
    assert!(registry.delete_topic(&t));
    assert!(registry.register(ConnId(1), &t, Some(&channel("c"))));
    assert_eq!((names(&registry), shown(&registry, at(1))), (vec!["t".to_owned()], vec!["n1".to_owned()]));
    assert!(registry.unregister(ConnId(1), &t, None));
    assert_eq!(names(&registry), [""; 0]);
    // What is made anew is as any other, and so is what somebody else has or wants.
    registry.register(ConnId(1), &t, None);
    registry.unregister(ConnId(1), &t, None);
    assert_eq!(names(&registry), ["t"]);
    for another in [
        (|registry, t| _ = registry.register(ConnId(2), t, None)) as fn(&mut Registry, &TopicName),
        |registry, t| registry.create_topic(t),
        |registry, t| registry.create_channel(t, &channel("d")),
    ] {
        registry.register(ConnId(1), &t, None);
        registry.delete_topic(&t);
        registry.register(ConnId(1), &t, None);
        another(&mut registry, &t);
        registry.unregister(ConnId(1), &t, None);
        assert_eq!(names(&registry), ["t"]);
        registry.unregister(ConnId(2), &t, None);
        registry.delete_topic(&t);
    }
}

#[test]
fn a_repeated_registration_leaves_a_tombstone() {
    let mut registry = with_nodes(1);
    registry.register(ConnId(1), &topic("t"), None);
    assert_eq!(registry.tombstone(at(0), &topic("t"), "n1:4151"), 1);
    assert!(!registry.register(ConnId(1), &topic("t"), None));
    assert_eq!((shown(&registry, at(44)), shown(&registry, at(45))), (Vec::new(), vec!["n1".to_owned()]));
}

#[test]
fn names_stay_when_producers_go_unless_they_are_ephemeral() {
    let mut registry = with_nodes(1);
    for (name, of) in [("t", "c"), ("t", "e#ephemeral"), ("x#ephemeral", "c")] {
        registry.register(ConnId(1), &topic(name), Some(&channel(of)));
    }
    registry.create_channel(&topic("t"), &channel("made#ephemeral"));
    registry.disconnect(ConnId(1));
    assert_eq!(registry.topics().map(TopicName::as_str).collect::<Vec<_>>(), ["t"]);
    assert_eq!(channels(&registry, "t"), ["c", "made#ephemeral"]);
    assert_eq!(shown(&registry, at(0)), [""; 0]);
}

#[test]
fn ephemeral_channels_go_with_their_last_producer() {
    let mut registry = with_nodes(2);
    for conn in [1, 2] {
        registry.register(ConnId(conn), &topic("t"), Some(&channel("c")));
        registry.register(ConnId(conn), &topic("t"), Some(&channel("e#ephemeral")));
    }
    assert!(registry.unregister(ConnId(1), &topic("t"), Some(&channel("e#ephemeral"))));
    assert_eq!(channels(&registry, "t"), ["c", "e#ephemeral"]);
    assert!(registry.unregister(ConnId(2), &topic("t"), Some(&channel("e#ephemeral"))));
    assert!(registry.unregister(ConnId(2), &topic("t"), Some(&channel("c"))));
    assert_eq!(channels(&registry, "t"), ["c"]);
    assert!(!registry.unregister(ConnId(2), &topic("t"), Some(&channel("zz"))));
    assert_eq!(shown(&registry, at(0)), ["n1", "n2"], "topics are another matter");
}

#[test]
fn unregistering_a_topic_takes_its_channels_along() {
    let mut registry = with_nodes(2);
    for conn in [1, 2] {
        registry.register(ConnId(conn), &topic("t"), Some(&channel("c")));
    }
    assert!(registry.unregister(ConnId(1), &topic("t"), None));
    assert!(!registry.unregister(ConnId(1), &topic("t"), Some(&channel("c"))), "gone with its topic");
    assert_eq!(shown(&registry, at(0)), ["n2"]);
    assert_eq!(channels(&registry, "t"), ["c"]);
}

#[test]
fn who_says_nothing_is_hidden_until_it_does() {
    let mut registry = with_nodes(2);
    registry.register(ConnId(1), &topic("t"), None);
    registry.register(ConnId(2), &topic("t"), None);
    registry.ping(at(100), ConnId(2));
    assert_eq!(shown(&registry, at(300)), ["n1", "n2"]);
    assert_eq!(shown(&registry, at(301)), ["n2"]);
    assert_eq!(registry.nodes(at(301)).len(), 1);
    // A registration is no sign of life.
    registry.register(ConnId(1), &topic("t2"), None);
    assert_eq!(shown(&registry, at(301)), ["n2"]);
    registry.ping(at(302), ConnId(1));
    assert_eq!(shown(&registry, at(302)), ["n1", "n2"]);
}

#[test]
fn tombstones_hide_one_node_from_one_topic_for_a_while() {
    let mut registry = with_nodes(2);
    for name in ["t", "u"] {
        registry.register(ConnId(1), &topic(name), None);
        registry.register(ConnId(2), &topic(name), None);
    }
    assert_eq!(registry.tombstone(at(10), &topic("t"), "n1:9"), 0);
    assert_eq!(registry.tombstone(at(10), &topic("nope"), "n1:4151"), 0);
    assert_eq!(registry.tombstone(at(10), &topic("t"), "n1:4151"), 1);
    registry.register(ConnId(1), &topic("t"), None);
    assert_eq!(shown(&registry, at(54)), ["n2"], "a registration does not lift it");
    let marks = |now| -> Vec<bool> { registry.nodes(now)[0].1.iter().map(|topic| topic.tombstoned).collect() };
    assert_eq!((marks(at(54)), marks(at(55))), (vec![true, false], vec![false, false]));
    assert_eq!(shown(&registry, at(55)), ["n1", "n2"]);

    registry.tombstone(at(60), &topic("t"), "n1:4151");
    registry.unregister(ConnId(1), &topic("t"), None);
    registry.register(ConnId(1), &topic("t"), None);
    assert_eq!(shown(&registry, at(61)), ["n1", "n2"], "a registration anew does");
}

#[test]
fn what_an_operator_deletes_is_forgotten() {
    let mut registry = with_nodes(1);
    registry.register(ConnId(1), &topic("t"), Some(&channel("c")));
    assert!(registry.delete_channel(&topic("t"), &channel("c")));
    assert!(!registry.delete_channel(&topic("t"), &channel("c")));
    assert!(!registry.delete_channel(&topic("nope"), &channel("c")));
    assert!(registry.delete_topic(&topic("t")));
    assert!(!registry.delete_topic(&topic("t")));
    assert_eq!(registry.lookup(at(0), &topic("t")), None);
    assert_eq!(registry.nodes(at(0))[0].1, []);
    // The nsqd may come back with it.
    registry.register(ConnId(1), &topic("t"), Some(&channel("c")));
    assert_eq!((shown(&registry, at(0)), channels(&registry, "t")), (vec!["n1".to_owned()], vec!["c".to_owned()]));
}

#[test]
fn everything_can_be_shown() {
    let mut registry = with_nodes(1);
    registry.register(ConnId(1), &topic("t"), Some(&channel("c")));
    registry.create_topic(&topic("empty"));
    registry.create_topic(&topic("t"));
    registry.tombstone(at(2), &topic("t"), "n1:4151");
    let mut keys = Vec::new();
    registry.debug(at(3), |category, key, subkey, entries| {
        let marks: Vec<_> = entries.iter().map(|entry| (entry.tombstoned, entry.tombstoned_at)).collect();
        keys.push((format!("{category}:{key}:{subkey}"), marks));
        assert!(
            entries.iter().all(|entry| entry.id == "10.0.0.1:5000" && entry.last_update == 1_700_000_000_000_000_000)
        );
    });
    let never = (false, NEVER);
    assert_eq!(
        keys,
        [
            ("channel:t:c".to_owned(), vec![never]),
            ("client::".to_owned(), vec![never]),
            ("topic:t:".to_owned(), vec![(true, 1_700_000_002_000_000_000)]),
        ]
    );
}
