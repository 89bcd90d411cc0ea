//! Pages of nsqadmin that are live: what they are told, when, and that none of them holds up another.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::Write;
use std::net::TcpStream;

use rustix::process::Signal;
use sansq_tests::client::{connect, consumer, eventually, publish};
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http;
use sansq_tests::lookupd::Lookupd;
use sansq_tests::nsqadmin::Admin;
use serde_json::{Value, json};

fn start(flags: &[&str]) -> (Lookupd, Daemon, Admin) {
    let lookupd = Lookupd::start(&[]).unwrap();
    let nsqd = nsqd_of(&lookupd);
    let mut words = vec![format!("--lookupd-http-address={}", lookupd.http)];
    words.extend(flags.iter().map(ToString::to_string));
    let admin = Admin::start(&words).unwrap();
    (lookupd, nsqd, admin)
}

fn nsqd_of(lookupd: &Lookupd) -> Daemon {
    let flags = ["--broadcast-address=127.0.0.1".to_owned(), format!("--lookupd-tcp-address={}", lookupd.tcp)];
    Setup::new().unwrap().flags(flags).start().unwrap()
}

/// Creates the topic, and its channel `c`.
fn create(nsqd: &Daemon, topic: &str) {
    for target in [format!("/topic/create?topic={topic}"), format!("/channel/create?topic={topic}&channel=c")] {
        assert_eq!(http::post(nsqd.http, &target, b"").unwrap().status, 200, "{target}");
    }
}

/// The same; returns when it is known.
fn channel(lookupd: &Lookupd, nsqd: &Daemon, topic: &str) {
    create(nsqd, topic);
    assert!(eventually(|| lookupd.producers(topic).len() == 1));
}

fn publish_to(nsqd: &Daemon, topic: &str, count: usize) {
    let mut connection = connect(nsqd, "").unwrap();
    for _ in 0..count {
        publish(&mut connection, topic, b"x").unwrap();
    }
}

#[test]
fn topics_are_listed_and_then_what_changes() {
    let (lookupd, nsqd, admin) = start(&["--live-interval=100ms"]);
    channel(&lookupd, &nsqd, "t");
    channel(&lookupd, &nsqd, "quiet");
    let mut events = admin.watch("topics").unwrap();
    let (name, first) = events.next_event().unwrap();
    assert_eq!((name.as_str(), &first["view"], &first["partial"]), ("state", &json!("topics"), &Value::Null));
    events.until(|_, state| state["topics"].to_string().contains("\"quiet\"")).unwrap();
    publish_to(&nsqd, "t", 3);
    let changed = |topic: &str, depth: i64| {
        let topic = topic.to_owned();
        move |_: &str, state: &Value| {
            let topics = state["topics"].as_array().unwrap();
            topics.iter().any(|own| own["topic_name"] == topic.as_str() && own["depth"] == depth)
        }
    };
    let state = events.until(changed("t", 3)).unwrap();
    assert_eq!((&state["partial"], state["topics"].as_array().unwrap().len()), (&json!(true), 1), "{state}");
    let topic = &state["topics"][0];
    assert_eq!(topic["worst"], json!({"channel_name": "c", "node": nsqd.http.to_string(), "depth": 3}));
    assert_eq!((&topic["channels"], &topic["nodes"], &topic["message_count"]), (&json!(1), &json!(1), &json!(3)));
    assert_eq!(topic["append"]["depth"].as_array().unwrap().len(), state["samples"].as_u64().unwrap() as usize);
    assert!(topic["rate"].as_f64().unwrap() > 0.0, "{topic}");
    assert_eq!(admin.send("DELETE", "/api/topics/t", "").unwrap().0, 200);
    let state = events.until(|_, state| state["removed"] == json!(["t"])).unwrap();
    assert_eq!(state["message"], "");
}

#[test]
fn an_action_is_seen_at_once() {
    let (lookupd, nsqd, admin) = start(&["--live-interval=1h"]);
    channel(&lookupd, &nsqd, "t");
    publish_to(&nsqd, "t", 1);
    // What was polled when it started knows nothing of this, and the next poll by itself is an hour away.
    let act = |action: &str| {
        let body = json!({"action": action}).to_string();
        assert_eq!(admin.send("POST", "/api/topics/t/c", &body).unwrap(), (200, json!({"message": ""})));
    };
    let mut events = admin.watch("topic&topic=t").unwrap();
    act("pause");
    let state = events.until(|name, state| name == "state" && state["topic"]["channels"][0]["paused"] == true).unwrap();
    assert_eq!(state["topic"]["message_count"], 1);
    act("empty");
    events.until(|_, state| state["topic"]["channels"][0]["depth"] == 0).unwrap();
}

#[test]
fn every_view_has_rates_and_a_history() {
    let (lookupd, nsqd, admin) = start(&["--live-interval=100ms"]);
    channel(&lookupd, &nsqd, "t");
    let _consumer = consumer(&nsqd, "t", "c", 0).unwrap();
    let samples = |of: &Value| of["history"]["depth"].as_array().is_some_and(|depths| depths.len() >= 2);
    let known = |of: &Value| samples(of) && of["rate"].is_number() && of["history"]["interval_ms"] == 100;
    let watch = |view: &str| admin.watch(view).unwrap();
    let topic = watch("topic&topic=t").until(|_, state| known(&state["topic"])).unwrap();
    let topic = &topic["topic"];
    assert!(samples(&topic["channels"][0]) && topic["nodes"][0]["rate"].is_number(), "{topic}");
    assert!(topic["channels"][0]["out"].is_number(), "{topic}");
    let channel = watch("channel&topic=t&channel=c").until(|_, state| known(&state["channel"])).unwrap();
    assert_eq!(channel["channel"]["clients"].as_array().unwrap().len(), 1);
    let nodes = watch("nodes").until(|_, state| known(&state["nodes"][0])).unwrap();
    let node = &nodes["nodes"][0];
    assert_eq!((&node["reachable"], &node["error"], &node["client_count"]), (&json!(true), &json!(""), &json!(1)));
    let node = watch(&format!("node&node={}", nsqd.http)).until(|_, state| known(state)).unwrap();
    assert_eq!((&node["total_clients"], &node["topics"][0]["topic_name"]), (&json!(1), &json!("t")));
    let counter = watch("counter").until(|_, state| known(state)).unwrap();
    assert_eq!(counter["stats"][format!("t:c:{}", nsqd.http)]["message_count"], 0);
    for (view, said) in [
        ("topic&topic=nope", "TOPIC_NOT_FOUND"),
        ("channel&topic=t&channel=nope", "CHANNEL_NOT_FOUND"),
        ("node&node=nope:1", "NODE_NOT_FOUND"),
    ] {
        let (name, trouble) = watch(view).next_event().unwrap();
        assert_eq!((name.as_str(), &trouble["message"], &trouble["status"]), ("trouble", &json!(said), &json!(404)));
    }
    for (view, said) in [("x", "INVALID_ARG_VIEW"), ("topic", "MISSING_ARG_TOPIC"), ("node", "MISSING_ARG_NODE")] {
        let answer = admin.send("GET", &format!("/api/live?view={view}"), "").unwrap();
        assert_eq!(answer, (400, json!({"message": said})));
    }
}

#[test]
fn an_nsqd_that_does_not_answer_is_shown_so_until_it_does() {
    let (lookupd, nsqd, admin) = start(&["--live-interval=100ms", "--http-client-request-timeout=300ms"]);
    let other = nsqd_of(&lookupd);
    channel(&lookupd, &nsqd, "t");
    let mut nodes = admin.watch("nodes").unwrap();
    let reachable = |state: &Value, nsqd: &Daemon| {
        let nodes = state["nodes"].as_array().cloned().unwrap_or_default();
        nodes.iter().any(|node| node["http_port"] == nsqd.http.port() && node["reachable"] == true)
    };
    nodes.until(|_, state| reachable(state, &nsqd) && reachable(state, &other)).unwrap();
    nsqd.signal(Signal::STOP).unwrap();
    let state = nodes.until(|_, state| reachable(state, &other) && !reachable(state, &nsqd)).unwrap();
    assert!(state["message"].as_str().unwrap().starts_with("WARNING: "), "{state}");
    let (name, trouble) = admin.watch("topic&topic=t").unwrap().next_event().unwrap();
    assert_eq!((name.as_str(), &trouble["status"]), ("trouble", &json!(502)), "{trouble}");
    nsqd.signal(Signal::CONT).unwrap();
    let state = nodes.until(|_, state| reachable(state, &nsqd)).unwrap();
    assert_eq!(state["message"], "");
}

#[test]
fn the_stream_outlives_the_cluster() {
    let (lookupd, nsqd, admin) = start(&["--live-interval=100ms", "--http-client-request-timeout=300ms"]);
    channel(&lookupd, &nsqd, "t");
    let mut events = admin.watch("topics").unwrap();
    events.until(|_, state| state["topics"][0]["topic_name"] == "t").unwrap();
    let killed = lookupd.kill().unwrap();
    let trouble = events.until(|name, _| name == "trouble").unwrap();
    assert!(trouble["message"].as_str().unwrap().starts_with("UPSTREAM_ERROR: failed to query any nsqlookupd: "));
    assert_eq!(trouble["status"], 502);
    let _lookupd = killed.start().unwrap();
    // What follows a trouble is everything again.
    let state = events.until(|name, _| name == "state").unwrap();
    assert_eq!(state["partial"], Value::Null);
    events.until(|_, state| state["topics"][0]["topic_name"] == "t").unwrap();
}

#[test]
fn watchers_that_do_not_read_hold_up_nobody() {
    let (lookupd, nsqd, admin) = start(&["--live-interval=100ms"]);
    for number in 0..200 {
        create(&nsqd, &format!("a-topic-whose-name-is-rather-long-{number:020}"));
    }
    channel(&lookupd, &nsqd, "t");
    let request = |stream: &mut TcpStream| write!(stream, "GET /api/live?view=counter HTTP/1.1\r\nHost: a\r\n\r\n");
    let stalled: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = TcpStream::connect(admin.http).unwrap();
            request(&mut stream).unwrap();
            stream
        })
        .collect();
    let mut events = admin.watch("counter").unwrap();
    for _ in 0..10 {
        assert_eq!(events.next_event().unwrap().0, "state");
    }
    drop(stalled);
    assert!(admin.end(Signal::TERM).unwrap().success());
    assert!(events.ended(), "streams end with the daemon");
}
