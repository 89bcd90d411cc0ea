//! What Sansq's nsqd has beyond the reference: `/metrics`, `--completions`, `--log-format`, peeking.
//!
//! Given the reference, each test checks that it has nothing of the kind, so the list stays true.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http;
use sansq_tests::nsqd::{Face, Nsqd};
use sansq_tests::wire::Connection;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the program under test to its end.
fn run(arguments: &[&str]) -> Output {
    Nsqd::under_test().unwrap().command().args(arguments).output().unwrap()
}

fn is_reference() -> bool {
    Nsqd::under_test().unwrap().face == Face::Reference
}

/// The reference does not know `flag`.
fn assert_unknown(flag: &str, argument: &str) {
    let output = run(&[argument]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with(&format!("flag provided but not defined: -{flag}\n")), "{text}");
}

/// A daemon with three messages published to `t`: one in flight from channel `c`, two waiting there.
fn busy_daemon() -> (Daemon, Connection) {
    let daemon = Daemon::start(&[]).unwrap();
    let post = |target: &str, body: &[u8]| assert_eq!(http::post(daemon.http, target, body).unwrap().status, 200);
    post("/topic/create?topic=t", b"");
    post("/channel/create?topic=t&channel=c", b"");
    post("/mpub?topic=t", b"one\ntwo\nthree");
    let mut consumer = Connection::open_v2(daemon.tcp).unwrap();
    consumer.send(b"SUB t c\nRDY 1\n");
    consumer.expect_response("OK", PATIENCE).unwrap();
    consumer.expect_message(PATIENCE).unwrap();
    (daemon, consumer)
}

#[test]
fn metrics_are_prometheus_text() {
    let (daemon, _consumer) = busy_daemon();
    let response = http::get(daemon.http, "/metrics").unwrap();
    if daemon.face() == Face::Reference {
        assert_eq!(response.status, 404);
        return;
    }
    assert_eq!(response.status, 200);
    assert_eq!(response.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(response.header("X-NSQ-Content-Type"), None);
    let text = String::from_utf8(response.body).unwrap();
    check_exposition(&text);
    for family in [
        "# HELP nsq_healthy 1 if the disk can be written, as /ping says.\n# TYPE nsq_healthy gauge\nnsq_healthy 1\n",
        "# HELP nsq_clients TCP clients, consumers or not.\n# TYPE nsq_clients gauge\nnsq_clients 1\n",
        "# HELP nsq_topics Topics.\n# TYPE nsq_topics gauge\nnsq_topics 1\n",
        "# HELP nsq_topic_messages_total Messages published.\n\
         # TYPE nsq_topic_messages_total counter\n\
         nsq_topic_messages_total{topic=\"t\"} 3\n",
        "# TYPE nsq_topic_message_bytes_total counter\nnsq_topic_message_bytes_total{topic=\"t\"} 11\n",
        "# TYPE nsq_channel_depth gauge\nnsq_channel_depth{topic=\"t\",channel=\"c\"} 2\n",
        "# TYPE nsq_channel_in_flight gauge\nnsq_channel_in_flight{topic=\"t\",channel=\"c\"} 1\n",
        "# TYPE nsq_channel_clients gauge\nnsq_channel_clients{topic=\"t\",channel=\"c\"} 1\n",
        "# TYPE nsq_channel_messages_total counter\nnsq_channel_messages_total{topic=\"t\",channel=\"c\"} 3\n",
    ] {
        assert!(text.contains(family), "no {family:?} in\n{text}");
    }
}

#[test]
fn dropped_messages_are_counted() {
    let daemon = Daemon::start(&["--mem-queue-size=2"]).unwrap();
    let response = http::post(daemon.http, "/mpub?topic=t%23ephemeral", b"1\n2\n3\n4\n5").unwrap();
    assert_eq!(response.status, 200);
    if daemon.face() == Face::Ours {
        let text = String::from_utf8(http::get(daemon.http, "/metrics").unwrap().body).unwrap();
        assert!(text.contains("\nnsq_topic_dropped_total{topic=\"t#ephemeral\"} 3\n"), "{text}");
        assert!(text.contains("\nnsq_topic_depth{topic=\"t#ephemeral\"} 2\n"), "{text}");
    }
}

/// The rules of the format: a family is announced by HELP and TYPE, once, its samples follow, counters end in `_total`,
/// values are numbers, no sample comes twice.
fn check_exposition(text: &str) {
    assert!(text.ends_with('\n'));
    let mut families = BTreeSet::new();
    let mut samples = BTreeSet::new();
    let mut helped = "";
    let mut family = "";
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(!help.is_empty() && families.insert(name), "{line}");
            helped = name;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert_eq!(name, helped, "TYPE follows HELP");
            assert_eq!(kind, if name.ends_with("_total") { "counter" } else { "gauge" }, "{line}");
            family = name;
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            assert_eq!(name, family, "samples follow their TYPE");
            assert!(labels.ends_with('}') && value.parse::<f64>().is_ok() && samples.insert(sample), "{line}");
            let name_fits = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.chars().all(name_fits), "{line}");
        }
    }
    assert!(families.len() > 20 && samples.len() >= families.len(), "{text}");
}

#[test]
fn completions_know_every_flag() {
    if is_reference() {
        return assert_unknown("completions", "--completions=bash");
    }
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("-h, ").or(line.strip_prefix("  ")))
        .filter_map(|line| line.strip_prefix("--")?.split([' ', '[']).next())
        .collect();
    assert!(flags.len() > 50 && flags.contains(&"help") && flags.contains(&"snappy"), "{flags:?}");
    for (shell, start, dashes) in [("bash", "_nsqd() {\n", "--"), ("zsh", "#compdef nsqd\n", "--"), ("fish", "", "-l ")]
    {
        let output = run(&["--completions", shell]);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.starts_with(start), "{shell}: {script}");
        for flag in &flags {
            let word = format!("{dashes}{flag}");
            let ends =
                |at: usize| !script[at + word.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
            assert!(script.match_indices(&word).any(|(at, _)| ends(at)), "{shell} does not know --{flag}");
        }
    }
    let output = run(&["--completions=tcsh"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.starts_with("invalid value \"tcsh\" for flag -completions: "), "{text}");
}

#[test]
fn log_lines_may_be_json() {
    if is_reference() {
        return assert_unknown("log-format", "--log-format=json");
    }
    let mut daemon = Daemon::start(&["--log-format=json", "--log-prefix=[a \"b\"] "]).unwrap();
    assert_eq!(http::post(daemon.http, "/pub?topic=t", b"x").unwrap().status, 200);
    daemon.wait_log("TOPIC(t): created").unwrap();
    daemon.signal(rustix::process::Signal::TERM).unwrap();
    assert!(daemon.wait_exit().unwrap().success());
    let log = daemon.log();
    assert!(log.lines().count() >= 5, "{log}");
    for line in log.lines() {
        check_json_line(line, "INFO");
    }
}

#[test]
fn the_last_words_are_json_too() {
    if is_reference() {
        return;
    }
    let setup = Setup::new().unwrap().flags(["--log-format=json", "--log-prefix=[a \"b\"] ", "--node-id=1024"]);
    let (status, log) = setup.run_to_exit().unwrap();
    assert_eq!(status.code(), Some(1));
    let value = check_json_line(&log, "FATAL");
    assert_eq!(value["message"], "failed to instantiate nsqd - --node-id must be [0,1024)");
}

/// `{"time":…,"level":…,"prefix":…,"message":…}`, in this order and with nothing between.
fn check_json_line(line: &str, level: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["time", "level", "prefix", "message"], "{line}");
    assert_eq!(line, serde_json::to_string(&value).unwrap());
    let time: String =
        value["time"].as_str().unwrap().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(time.replace('-', "+"), "0000+00+00T00:00:00.000000+00:00", "{line}");
    assert_eq!((&value["level"], &value["prefix"]), (&Value::from(level), &Value::from("[a \"b\"]")), "{line}");
    assert!(!value["message"].as_str().unwrap().is_empty(), "{line}");
    value
}

/// What a peek at `target` shows: the whole answer, and of each message its body, place and attempts.
fn peek(daemon: &Daemon, target: &str) -> (Value, Vec<String>) {
    let response = http::get(daemon.http, target).unwrap();
    assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
    let answer: Value = serde_json::from_slice(&response.body).unwrap();
    let text = |message: &Value, key: &str| message[key].as_str().unwrap().to_owned();
    let messages = answer["messages"].as_array().unwrap().iter();
    let shown = messages.map(|it| format!("{} {} {}", text(it, "body"), text(it, "place"), it["attempts"])).collect();
    (answer, shown)
}

#[test]
fn a_peek_shows_messages_and_changes_nothing() {
    let (daemon, mut consumer) = busy_daemon();
    if daemon.face() == Face::Reference {
        assert_eq!(http::get(daemon.http, "/channel/peek?topic=t&channel=c").unwrap().status, 404);
        return;
    }
    http::post(daemon.http, "/pub?topic=t&defer=60000", b"later\xff").unwrap();
    let target = "/channel/peek?topic=t&channel=c";
    let (answer, shown) = peek(&daemon, target);
    assert_eq!(shown, ["one in_flight 1", "two queued 0", "three queued 0", "bGF0ZXL/ deferred 0"]);
    let (in_flight, deferred) = (&answer["messages"][0], &answer["messages"][3]);
    let times = |message: &Value, key: &str| message[key].as_i64().unwrap() - message["timestamp"].as_i64().unwrap();
    assert_eq!(in_flight["client"], consumer.stream().local_addr().unwrap().to_string());
    let second = 1_000_000_000;
    assert!((50 * second..70 * second).contains(&times(in_flight, "deadline")), "{in_flight}");
    assert!((50 * second..70 * second).contains(&times(deferred, "due")), "{deferred}");
    assert_eq!((&deferred["encoding"], &deferred["body_bytes"]), (&"base64".into(), &6.into()));
    assert_eq!((&answer["memory_depth"], &answer["backend_depth"]), (&2.into(), &0.into()));
    let (short, shown) = peek(&daemon, "/channel/peek?topic=t&channel=c&limit=1&body_bytes=2");
    assert_eq!(shown, ["on in_flight 1", "tw queued 0", "la deferred 0"]);
    assert_eq!(short["messages"][0]["truncated"], true);
    assert_eq!(peek(&daemon, target).1.len(), 4, "nothing has moved");

    consumer.send(b"RDY 3\n");
    for body in [b"two".as_slice(), b"three"] {
        let message = consumer.expect_message(PATIENCE).unwrap();
        assert_eq!((message.body.as_slice(), message.attempts), (body, 1));
    }
}

#[test]
fn a_peek_shows_what_is_on_disk_only() {
    let daemon = Daemon::start(&["--mem-queue-size=0"]).unwrap();
    if daemon.face() == Face::Reference {
        return;
    }
    let post = |target: &str, body: &[u8]| assert_eq!(http::post(daemon.http, target, body).unwrap().status, 200);
    post("/mpub?topic=t", b"one\ntwo\nthree");
    assert_eq!(peek(&daemon, "/topic/peek?topic=t").1, ["one queued 0", "two queued 0", "three queued 0"]);
    post("/channel/create?topic=t&channel=c", b"");
    // After a restart nothing is in memory.
    let daemon = daemon.restart().unwrap();
    let (answer, shown) = peek(&daemon, "/channel/peek?topic=t&channel=c&limit=2");
    assert_eq!(shown, ["one queued 0", "two queued 0"]);
    assert_eq!((&answer["memory_depth"], &answer["backend_depth"]), (&0.into(), &3.into()));
    assert_eq!(peek(&daemon, "/topic/peek?topic=t").1, [""; 0]);
    let mut consumer = Connection::open_v2(daemon.tcp).unwrap();
    consumer.send(b"SUB t c\nRDY 1\n");
    consumer.expect_response("OK", PATIENCE).unwrap();
    let message = consumer.expect_message(PATIENCE).unwrap();
    assert_eq!((message.body.as_slice(), message.attempts), (b"one".as_slice(), 1));
}

#[test]
fn a_peek_at_nothing_says_so_and_creates_nothing() {
    let daemon = Daemon::start(&[]).unwrap();
    if daemon.face() == Face::Reference {
        return;
    }
    let refused = |target: &str, status: u16, message: &str| {
        let response = http::get(daemon.http, target).unwrap();
        let body = String::from_utf8(response.body).unwrap();
        assert_eq!((response.status, body), (status, format!("{{\"message\":\"{message}\"}}")), "{target}");
    };
    refused("/topic/peek", 400, "MISSING_ARG_TOPIC");
    refused("/topic/peek?topic=t", 404, "TOPIC_NOT_FOUND");
    refused("/channel/peek?topic=t&channel=c", 404, "TOPIC_NOT_FOUND");
    http::post(daemon.http, "/topic/create?topic=t", b"").unwrap();
    refused("/channel/peek?topic=t", 400, "MISSING_ARG_CHANNEL");
    refused("/channel/peek?topic=t&channel=c", 404, "CHANNEL_NOT_FOUND");
    refused("/topic/peek?topic=t&limit=1000", 400, "INVALID_ARG_LIMIT");
    refused("/topic/peek?topic=t&body_bytes=x", 400, "INVALID_ARG_BODY_BYTES");
}
