//! nsqlookupd over its sockets: what an nsqd registers, what a consumer is told, and that nobody can bring it down.
//!
//! With `SANSQ_NSQLOOKUPD` these run on another one; where it is the reference, those that `docs/differences.md` names fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sansq_tests::client::eventually;
use sansq_tests::http;
use sansq_tests::lookupd::{Lookupd, Registrar, identify};
use sansq_tests::nsqd::newest_build;
use sansq_tests::process;
use serde_json::json;

const OK: Option<&str> = Some("OK");

fn start(flags: &[&str]) -> Lookupd {
    Lookupd::start(flags).unwrap()
}

fn message(text: &str) -> String {
    format!(r#"{{"message":"{text}"}}"#)
}

#[test]
fn registrations_are_found() {
    let lookupd = start(&[]);
    let mut nsqd = Registrar::identified(&lookupd, 4150).unwrap();
    assert_eq!(nsqd.say("REGISTER t c").unwrap().as_deref(), OK);
    assert_eq!(nsqd.say("  REGISTER u \r").unwrap().as_deref(), OK);
    assert_eq!(lookupd.ask("/topics").unwrap(), json!({"topics": ["t", "u"]}));
    assert_eq!(lookupd.ask("/channels?topic=t").unwrap(), json!({"channels": ["c"]}));
    let found = lookupd.ask("/lookup?topic=t").unwrap();
    assert_eq!(found["channels"], json!(["c"]));
    let keys: Vec<&String> = found["producers"][0].as_object().unwrap().keys().collect();
    let producer = "remote_address hostname broadcast_address tcp_port http_port version topology_zone topology_region";
    assert_eq!(keys, producer.split(' ').collect::<Vec<_>>());
    let node = &lookupd.ask("/nodes").unwrap()["producers"][0];
    assert_eq!((&node["tombstones"], &node["topics"]), (&json!([false, false]), &json!(["t", "u"])));
    let debug = lookupd.ask("/debug").unwrap();
    let keys: Vec<&String> = debug.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["channel:t:c", "client::", "topic:t:", "topic:u:"]);
    assert_eq!(debug["topic:t:"][0]["tombstoned_at"], json!(-6_795_364_578_871_345_152_i64));
}

#[test]
fn the_protocol_is_named_first() {
    let lookupd = start(&[]);
    let mut other = Registrar::open(&lookupd).unwrap();
    other.send(b"  V2");
    assert_eq!(other.response().unwrap().as_deref(), Some("E_BAD_PROTOCOL"));
    assert_eq!(other.response().unwrap(), None);
    let mut nsqd = Registrar::open(&lookupd).unwrap();
    nsqd.send(b"  V1");
    assert_eq!(nsqd.say("PING").unwrap().as_deref(), OK);
    assert_eq!(nsqd.say("  PING \r").unwrap().as_deref(), OK);
    assert_eq!(nsqd.say("ping").unwrap().as_deref(), Some("E_INVALID invalid command ping"));
    assert_eq!(nsqd.response().unwrap(), None);
}

#[test]
fn mistakes_are_answered_and_end_the_connection() {
    let lookupd = start(&[]);
    for (introduced, line, expected) in [
        (false, "REGISTER a", "E_INVALID client must IDENTIFY"),
        (true, "IDENTIFY", "E_INVALID cannot IDENTIFY again"),
        (true, "REGISTER a$ c", "E_BAD_TOPIC REGISTER topic name 'a$' is not valid"),
        (true, "REGISTER a c$", "E_BAD_CHANNEL REGISTER channel name 'c$' is not valid"),
        (true, "UNREGISTER", "E_INVALID UNREGISTER insufficient number of params"),
    ] {
        let mut nsqd = if introduced {
            Registrar::identified(&lookupd, 4150).unwrap()
        } else {
            let mut nsqd = Registrar::open(&lookupd).unwrap();
            nsqd.send(b"  V1");
            nsqd
        };
        assert_eq!(nsqd.say(line).unwrap().as_deref(), Some(expected));
        assert_eq!(nsqd.response().unwrap(), None);
    }
    let mut nsqd = Registrar::open(&lookupd).unwrap();
    nsqd.send(b"  V1");
    nsqd.send(&identify(r#"{"broadcast_address":"a","tcp_port":1,"http_port":2}"#));
    assert_eq!(nsqd.response().unwrap().as_deref(), Some("E_BAD_BODY IDENTIFY missing fields"));
    let mut nsqd = Registrar::open(&lookupd).unwrap();
    nsqd.send(b"  V1IDENTIFY\n\0\0\0\x09{");
    nsqd.finish_sending();
    assert_eq!(nsqd.response().unwrap().as_deref(), Some("E_BAD_BODY IDENTIFY failed to read body"));
}

#[test]
fn a_negative_length_does_not_end_nsqlookupd() {
    let lookupd = start(&[]);
    let mut other = Registrar::identified(&lookupd, 4150).unwrap();
    for size in [&b"\xff\xff\xff\xff"[..], b"\x80\0\0\0", b"\x7f\xff\xff\xff"] {
        let mut nsqd = Registrar::open(&lookupd).unwrap();
        nsqd.send(b"  V1IDENTIFY\n");
        nsqd.send(size);
        let answer = nsqd.response().unwrap().unwrap();
        assert!(answer.starts_with("E_BAD_BODY IDENTIFY "), "{answer}");
        assert_eq!(nsqd.response().unwrap(), None);
    }
    assert_eq!(other.say("PING").unwrap().as_deref(), OK, "the others notice nothing");
}

#[test]
fn a_line_without_end_takes_no_memory() {
    let lookupd = start(&[]);
    let mut nsqd = Registrar::open(&lookupd).unwrap();
    nsqd.send(b"  V1");
    let before = process::memory(lookupd.pid()).unwrap();
    (0..256).for_each(|_| nsqd.send(&[b'x'; 64 * 1024]));
    let answer = nsqd.response();
    // The rest may have been on its way when the connection was closed, which can cost the answer.
    assert!(matches!(answer.unwrap().as_deref(), None | Some("E_INVALID line too long")));
    assert!(process::memory(lookupd.pid()).unwrap() < before + 4 * 1024 * 1024);
    assert_eq!(lookupd.send("GET", "/ping").unwrap(), (200, "OK".to_owned()));
}

#[test]
fn a_disconnected_nsqd_leaves_names() {
    let lookupd = start(&[]);
    let mut nsqd = Registrar::identified(&lookupd, 4150).unwrap();
    for line in ["REGISTER t c", "REGISTER t e#ephemeral", "REGISTER x#ephemeral c"] {
        assert_eq!(nsqd.say(line).unwrap().as_deref(), OK);
    }
    drop(nsqd);
    assert!(eventually(|| lookupd.producers("t").is_empty()));
    let found = lookupd.ask("/lookup?topic=t").unwrap();
    assert_eq!(found, json!({"channels": ["c"], "producers": []}));
    assert_eq!(lookupd.ask("/topics").unwrap(), json!({"topics": ["t"]}));
}

#[test]
fn ephemeral_channels_go_with_their_last_nsqd() {
    let lookupd = start(&[]);
    let mut nsqd = Registrar::identified(&lookupd, 4150).unwrap();
    for line in [
        "REGISTER t c",
        "REGISTER t e#ephemeral",
        "UNREGISTER t e#ephemeral",
        "UNREGISTER t c",
        "UNREGISTER zz c",
        "UNREGISTER zz",
    ] {
        assert_eq!(nsqd.say(line).unwrap().as_deref(), OK, "{line}");
    }
    assert_eq!(lookupd.channels("t"), ["c"]);
    assert_eq!(lookupd.producers("t"), [4150]);
}

#[test]
fn unknown_topics_are_told() {
    let lookupd = start(&[]);
    assert_eq!(lookupd.send("GET", "/lookup?topic=nope").unwrap(), (404, message("TOPIC_NOT_FOUND")));
    assert_eq!(lookupd.send("GET", "/channels?topic=nope").unwrap(), (200, r#"{"channels":[]}"#.to_owned()));
    assert_eq!(lookupd.send("POST", "/topic/delete?topic=nope").unwrap(), (200, String::new()));
    let absent = lookupd.send("POST", "/channel/delete?topic=t&channel=c").unwrap();
    assert_eq!(absent, (404, message("CHANNEL_NOT_FOUND")));
    for (method, target, status, text) in [
        ("GET", "/lookup", 400, "MISSING_ARG_TOPIC"),
        ("GET", "/lookup?topic=%zz", 400, "INVALID_REQUEST"),
        ("GET", "/channels", 400, "MISSING_ARG_TOPIC"),
        ("POST", "/topic/create", 400, "MISSING_ARG_TOPIC"),
        ("POST", "/topic/create?topic=b$", 400, "INVALID_ARG_TOPIC"),
        ("POST", "/channel/create?topic=t", 400, "MISSING_ARG_CHANNEL"),
        ("POST", "/channel/create?topic=t&channel=b$", 400, "INVALID_ARG_CHANNEL"),
        ("POST", "/topic/tombstone?topic=t", 400, "MISSING_ARG_NODE"),
        ("GET", "/topic/create", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/nope", 404, "NOT_FOUND"),
    ] {
        assert_eq!(lookupd.send(method, target).unwrap(), (status, message(text)), "{target}");
    }
    assert_eq!(lookupd.send("GET", "/info").unwrap(), (200, r#"{"version":"1.3.0"}"#.to_owned()));
    let headers = http::get(lookupd.http, "/topics").unwrap();
    assert_eq!(headers.header("X-NSQ-Content-Type"), Some("nsq; version=1.0"));
}

#[test]
fn topics_and_channels_can_be_made_and_forgotten() {
    let lookupd = start(&[]);
    assert_eq!(lookupd.send("POST", "/channel/create?topic=t&channel=c").unwrap(), (200, String::new()));
    assert_eq!(lookupd.send("POST", "/topic/create?topic=u").unwrap(), (200, String::new()));
    assert_eq!(lookupd.ask("/topics").unwrap(), json!({"topics": ["t", "u"]}));
    assert_eq!(lookupd.ask("/lookup?topic=t").unwrap(), json!({"channels": ["c"], "producers": []}));
    assert_eq!(lookupd.send("POST", "/channel/delete?topic=t&channel=c").unwrap().0, 200);
    assert_eq!(lookupd.send("POST", "/topic/delete?topic=t").unwrap().0, 200);
    assert_eq!(lookupd.ask("/topics").unwrap(), json!({"topics": ["u"]}));
}

#[test]
fn a_star_is_no_wildcard() {
    let lookupd = start(&[]);
    let mut nsqd = Registrar::identified(&lookupd, 4150).unwrap();
    nsqd.say("REGISTER t c").unwrap();
    for target in ["/topic/delete?topic=*", "/topic/tombstone?topic=*&node=127.0.0.1:4151"] {
        assert_eq!(lookupd.send("POST", target).unwrap(), (400, message("INVALID_ARG_TOPIC")));
    }
    assert_eq!(lookupd.send("GET", "/lookup?topic=*").unwrap(), (404, message("TOPIC_NOT_FOUND")));
    assert_eq!(lookupd.ask("/channels?topic=*").unwrap(), json!({"channels": []}));
    assert_eq!(lookupd.producers("t"), [4150]);
}

#[test]
fn a_tombstone_hides_for_a_while() {
    let lookupd = start(&["--tombstone-lifetime=1s"]);
    let mut nsqd = Registrar::identified(&lookupd, 4150).unwrap();
    nsqd.say("REGISTER t c").unwrap();
    assert_eq!(lookupd.send("POST", "/topic/tombstone?topic=t&node=127.0.0.1:9").unwrap().0, 200);
    assert_eq!(lookupd.producers("t"), [4150], "another node");
    let marked = Instant::now();
    assert_eq!(lookupd.send("POST", "/topic/tombstone?topic=t&node=127.0.0.1:4151").unwrap().0, 200);
    nsqd.say("REGISTER t c").unwrap();
    let (hidden, nodes) = (lookupd.producers("t").is_empty(), lookupd.ask("/nodes").unwrap());
    // On a machine that stood still the second is over.
    if marked.elapsed() < Duration::from_secs(1) {
        assert!(hidden, "a registration does not lift it");
        assert_eq!(nodes["producers"][0]["tombstones"], json!([true]));
    }
    assert!(eventually(|| lookupd.producers("t") == [4150]));
    assert!(marked.elapsed() >= Duration::from_secs(1));
}

#[test]
fn who_sends_no_ping_is_hidden_until_it_does() {
    let lookupd = start(&["--inactive-producer-timeout=500ms"]);
    let mut nsqd = Registrar::identified(&lookupd, 4150).unwrap();
    nsqd.say("REGISTER t c").unwrap();
    assert!(eventually(|| lookupd.producers("t").is_empty()));
    assert_eq!(lookupd.ask("/nodes").unwrap(), json!({"producers": []}));
    assert!(eventually(|| {
        assert_eq!(nsqd.say("PING").unwrap().as_deref(), OK);
        lookupd.producers("t") == [4150]
    }));
}

#[test]
fn an_idle_nsqd_is_disconnected() {
    let lookupd = start(&["--idle-timeout=500ms"]);
    let mut idle = Registrar::identified(&lookupd, 4150).unwrap();
    idle.say("REGISTER t c").unwrap();
    let silent = Instant::now();
    assert_eq!(idle.response().unwrap(), None);
    assert!(silent.elapsed() >= Duration::from_millis(400), "{:?}", silent.elapsed());
    assert_eq!(lookupd.ask("/nodes").unwrap(), json!({"producers": []}));
    lookupd.wait_log("has said nothing for too long").unwrap();
}

#[test]
fn a_peer_that_takes_no_answers_holds_nobody_up() {
    let lookupd = start(&[]);
    let mut deaf = TcpStream::connect(lookupd.tcp).unwrap();
    deaf.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    std::io::Write::write_all(&mut deaf, b"  V1").unwrap();
    // Until its answers fill the sockets.
    let pings = b"PING\n".repeat(10_000);
    while std::io::Write::write_all(&mut deaf, &pings).is_ok() {}
    let asked = Instant::now();
    let mut nsqd = Registrar::identified(&lookupd, 4150).unwrap();
    assert_eq!(nsqd.say("REGISTER t c").unwrap().as_deref(), OK);
    assert_eq!(lookupd.producers("t"), [4150]);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(process::memory(lookupd.pid()).unwrap() < 64 * 1024 * 1024);
}

#[test]
fn signals_end_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let lookupd = start(&[]);
        let mut nsqd = Registrar::identified(&lookupd, 4150).unwrap();
        assert!(lookupd.end(signal).unwrap().success());
        assert_eq!(nsqd.response().unwrap(), None);
    }
}

#[test]
fn what_is_wrong_at_the_start_is_said() {
    let lookupd = start(&[]);
    let run = |flags: &[&str]| {
        let output = std::process::Command::new(newest_build("nsqlookupd").unwrap()).args(flags).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said, _) = run(&["--http-address=127.0.0.1:0", &format!("--tcp-address={}", lookupd.tcp)]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&format!("FATAL: failed to instantiate nsqlookupd - listen ({}) failed", lookupd.tcp)),
        "{said}"
    );
    let (code, said, _) = run(&["--tombstone-lifetme=1s"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("tombstone-lifetime"), "{said}");
    let (code, said, _) = run(&["--config=/no/such/file"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("failed to load config file /no/such/file"), "{said}");
    let (code, _, shown) = run(&["--version"]);
    assert!(code == Some(0) && shown.starts_with("nsqlookupd v1.3.0 (built w/"), "{shown}");
    let (code, _, script) = run(&["--completions=bash"]);
    assert!(code == Some(0) && script.contains("--inactive-producer-timeout"));
}
