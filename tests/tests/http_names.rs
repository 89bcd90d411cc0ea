//! Requests that name something with a raw `#`, as clients send it that escape nothing (Node's `http.request` does): through
//! real daemons, in every way in which a request can come. None may act on a name that is not in it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use sansq_tests::client::{PATIENCE, eventually, stats};
use sansq_tests::daemon::Daemon;
use sansq_tests::http;
use sansq_tests::lookupd::{Lookupd, Registrar};
use sansq_tests::nsqadmin::Admin;
use sansq_tests::nsqd::newest_build;
use sansq_tests::tool::run;
use serde_json::{Value, json};

/// What is sent in one go, and what is waited for before the next.
type Steps = Vec<(Vec<u8>, &'static str)>;

/// A request that ends its connection.
fn last(method: &str, target: &str, version: &str) -> Vec<u8> {
    let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
    format!("{method} {target} HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\n{length}\r\n").into_bytes()
}

/// All the ways in which the last request of a connection can come.
fn ways(method: &str, target: &str) -> Vec<(&'static str, Steps)> {
    let request = last(method, target, "1.1");
    let head = |line: &str, more: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n").into_bytes();
    let ping = head("GET /ping", "");
    let behind = |first: Vec<u8>| vec![([first, request.clone()].concat(), "")];
    let publish = |framing: &str, body: &str| [&head("POST /pub?topic=other", framing)[..], body.as_bytes()].concat();
    vec![
        ("alone", vec![(request.clone(), "")]),
        ("in HTTP/1.0", vec![(last(method, target, "1.0"), "")]),
        ("on a connection that was kept", vec![(ping.clone(), "OK"), (request.clone(), "")]),
        ("in a pipeline", behind([ping.clone(), ping.clone()].concat())),
        ("byte by byte", request.iter().map(|byte| (vec![*byte], "")).collect()),
        ("behind a body", behind(publish("Content-Length: 3\r\n", "a#b"))),
        (
            "behind chunks",
            behind(publish("Transfer-Encoding: chunked\r\n", "1;x=#\r\na\r\n2\r\nbc\r\n0\r\nT: #\r\n\r\n")),
        ),
        (
            "behind a body that is read for nothing",
            behind([&head("GET /ping", "Content-Length: 2\r\n")[..], b"# "].concat()),
        ),
        ("behind HEAD", behind(head("HEAD /ping", ""))),
        (
            "behind a client that asked first",
            vec![
                (
                    head("POST /pub?topic=other", "Expect: 100-continue\r\nContent-Length: 1\r\n"),
                    "100 Continue\r\n\r\n",
                ),
                ([b"x", &request[..]].concat(), ""),
            ],
        ),
    ]
}

/// The same where nobody reads the body of a publish.
fn ways_without_publishing(method: &str, target: &str) -> Vec<(&'static str, Steps)> {
    let mut ways = ways(method, target);
    ways.retain(|(way, _)| *way != "behind a client that asked first");
    ways
}

/// Sends `steps` and reads to the end: everything that was answered.
fn exchange(mut stream: impl Read + Write, steps: &Steps) -> String {
    let mut answered = Vec::new();
    for (bytes, awaited) in steps {
        stream.write_all(bytes).unwrap();
        stream.flush().unwrap();
        while !awaited.is_empty() && !answered.ends_with(awaited.as_bytes()) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answered.push(byte[0]);
        }
    }
    stream.read_to_end(&mut answered).unwrap();
    String::from_utf8(answered).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The status of the last answer.
fn last_status(answered: &str) -> &str {
    answered.rsplit("HTTP/1.").next().unwrap().get(2..5).unwrap()
}

fn post(address: SocketAddr, target: &str, body: &str) -> u16 {
    http::post(address, target, body.as_bytes()).unwrap().status
}

fn topics(daemon: &Daemon) -> Vec<String> {
    let all: Value = serde_json::from_slice(&http::get(daemon.http, "/stats?format=json").unwrap().body).unwrap();
    let mut names: Vec<_> = all["topics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|topic| topic["topic_name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn nsqd_never_acts_on_a_name_cut_short() {
    let daemon = Daemon::start(&[]).unwrap();
    assert_eq!(post(daemon.http, "/pub?topic=orders", "keep"), 200);
    for (way, steps) in ways("POST", "/topic/delete?topic=orders#ephemeral") {
        let answered = exchange(connect(daemon.http), &steps);
        assert_eq!(last_status(&answered), "404", "{way}: {answered}");
        assert_eq!(stats(&daemon, "orders").unwrap()["depth"], 1, "{way}");
    }
    for (way, steps) in ways("POST", "/topic/create?topic=new#ephemeral") {
        let answered = exchange(connect(daemon.http), &steps);
        assert_eq!(last_status(&answered), "200", "{way}: {answered}");
        assert_eq!(topics(&daemon), ["new#ephemeral", "orders", "other"][..], "{way}");
        assert_eq!(post(daemon.http, "/topic/delete?topic=new#ephemeral", ""), 200, "{way}");
        assert_eq!(topics(&daemon), ["orders", "other"], "{way}");
    }
    for (way, steps) in ways("GET", "/ping#x") {
        let answered = exchange(connect(daemon.http), &steps);
        assert_eq!(last_status(&answered), "404", "{way}: {answered}");
    }
}

#[test]
fn every_endpoint_of_nsqd_takes_the_whole_name() {
    let daemon = Daemon::start(&[]).unwrap();
    let at = daemon.http;
    for target in
        ["/topic/create?topic=t", "/channel/create?topic=t&channel=c", "/channel/create?topic=t&channel=c#ephemeral"]
    {
        assert_eq!(post(at, target, ""), 200, "{target}");
    }
    assert_eq!(post(at, "/pub?topic=t#ephemeral", "one"), 200);
    assert_eq!(post(at, "/mpub?topic=t#ephemeral", "two\nthree"), 200);
    assert_eq!(post(at, "/pub?topic=t#ephemeral&defer=1", "four"), 200);
    let count = |topic: &str| stats(&daemon, topic).unwrap()["message_count"].as_u64().unwrap();
    assert_eq!((count("t"), count("t#ephemeral")), (0, 4));
    let peeked = http::get(at, "/topic/peek?topic=t#ephemeral").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&peeked.body).unwrap()["messages"].as_array().unwrap().len(), 4);
    for action in ["pause", "empty"] {
        assert_eq!(post(at, &format!("/channel/{action}?topic=t&channel=c#ephemeral"), ""), 200, "{action}");
        assert_eq!(post(at, &format!("/topic/{action}?topic=t#ephemeral"), ""), 200, "{action}");
    }
    let topic = stats(&daemon, "t").unwrap();
    let paused = |name| {
        topic["channels"].as_array().unwrap().iter().find(|own| own["channel_name"] == name).unwrap()["paused"].clone()
    };
    assert_eq!((&topic["paused"], paused("c"), paused("c#ephemeral")), (&json!(false), json!(false), json!(true)));
    assert_eq!(post(at, "/channel/delete?topic=t&channel=c#ephemeral", ""), 200);
    assert_eq!(post(at, "/channel/delete?topic=t&channel=c#ephemeral", ""), 404);
    let topic = stats(&daemon, "t").unwrap();
    assert_eq!(topic["channels"].as_array().unwrap().len(), 1, "{topic}");
    // A parameter behind a name with a # is one still.
    let asked = http::get(at, "/stats?topic=t#ephemeral&format=json").unwrap();
    assert!(asked.body.starts_with(b"{"), "{}", String::from_utf8_lossy(&asked.body));
    assert_eq!(http::get(at, "/config/log_level#x").unwrap().status, 400);
}

#[test]
fn a_unix_socket_is_no_other_way() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http.sock");
    let mut child = Command::new(newest_build("nsqd").unwrap())
        .arg(format!("--http-address={}", path.display()))
        .args(["--tcp-address=127.0.0.1:0", &format!("--data-path={}", directory.path().display())])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(eventually(|| UnixStream::connect(&path).is_ok()), "no socket");
    let ask = |method: &str, target: &str| {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        exchange(stream, &vec![(last(method, target, "1.1"), "")])
    };
    assert_eq!(last_status(&ask("POST", "/topic/create?topic=orders")), "200");
    assert_eq!(last_status(&ask("POST", "/topic/delete?topic=orders#ephemeral")), "404");
    let shown = ask("GET", "/stats?format=json");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(shown.contains(r#""topic_name":"orders""#), "{shown}");
}

#[test]
fn nsqlookupd_never_acts_on_a_name_cut_short() {
    let lookupd = Lookupd::start(&[]).unwrap();
    let mut nsqd = Registrar::identified(&lookupd, 4150).unwrap();
    for registered in ["REGISTER feed c", "REGISTER feed c#ephemeral", "REGISTER feed#ephemeral x"] {
        assert_eq!(nsqd.say(registered).unwrap().unwrap(), "OK");
    }
    let ask = |method: &str, target: &str| lookupd.send(method, target).unwrap();
    let (_, found) = ask("GET", "/lookup?topic=feed#ephemeral");
    assert!(found.contains(r#""channels":["x"]"#), "{found}");
    for (way, steps) in ways_without_publishing("GET", "/lookup?topic=nobody#ephemeral") {
        let answered = exchange(connect(lookupd.http), &steps);
        assert_eq!(last_status(&answered), "404", "{way}: {answered}");
    }
    assert_eq!(ask("GET", "/channels?topic=feed#ephemeral").1, r#"{"channels":["x"]}"#);
    assert_eq!(ask("POST", "/channel/delete?topic=feed&channel=c#ephemeral").0, 200);
    assert_eq!(lookupd.channels("feed"), ["c"]);
    assert_eq!(ask("POST", "/topic/delete?topic=feed#ephemeral").0, 200);
    assert_eq!(ask("GET", "/topics").1, r#"{"topics":["feed"]}"#);
    assert_eq!(ask("POST", "/topic/create?topic=new#ephemeral").0, 200);
    assert_eq!(ask("POST", "/topic/tombstone?topic=new#ephemeral&node=127.0.0.1:4151").0, 200);
    assert_eq!(ask("GET", "/topics").1, r##"{"topics":["feed","new#ephemeral"]}"##);
    assert_eq!(lookupd.producers("feed"), [4150]);
}

#[test]
fn nsqadmin_never_acts_on_a_name_cut_short() {
    let lookupd = Lookupd::start(&[]).unwrap();
    let nsqd =
        Daemon::start(&[&format!("--lookupd-tcp-address={}", lookupd.tcp), "--broadcast-address=127.0.0.1"]).unwrap();
    for topic in ["feed", "feed%23ephemeral"] {
        assert_eq!(post(nsqd.http, &format!("/topic/create?topic={topic}"), ""), 200);
        assert_eq!(post(nsqd.http, &format!("/channel/create?topic={topic}&channel=c"), ""), 200);
        assert!(eventually(|| !lookupd.producers(topic).is_empty()), "{topic} is not registered");
    }
    let admin = Admin::start(&[format!("--lookupd-http-address={}", lookupd.http)]).unwrap();
    assert_eq!(admin.ask("/api/topics/feed#ephemeral").unwrap()["topic_name"], "feed#ephemeral");
    for (way, steps) in ways_without_publishing("GET", "/api/topics/feed#nothing") {
        let answered = exchange(connect(admin.http), &steps);
        assert_eq!(last_status(&answered), "404", "{way}: {answered}");
    }
    let (status, answer) = admin.send("POST", "/api/topics/feed#ephemeral/c", r#"{"action":"pause"}"#).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!(stats(&nsqd, "feed").unwrap()["channels"][0]["paused"], false);
    assert_eq!(stats(&nsqd, "feed%23ephemeral").unwrap()["channels"][0]["paused"], true);
    let (status, answer) = admin.send("DELETE", "/api/topics/feed#ephemeral", "").unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!(topics(&nsqd), ["feed"]);
    assert_eq!(lookupd.ask("/topics").unwrap(), json!({"topics": ["feed"]}));
}

#[test]
fn our_own_clients_lose_nothing_of_a_name_either() {
    let lookupd = Lookupd::start(&[]).unwrap();
    let nsqd =
        Daemon::start(&[&format!("--lookupd-tcp-address={}", lookupd.tcp), "--broadcast-address=127.0.0.1"]).unwrap();
    for (topic, body) in [("feed", "plain"), ("feed%23ephemeral", "ephemeral")] {
        assert_eq!(post(nsqd.http, &format!("/pub?topic={topic}"), body), 200);
        assert!(eventually(|| !lookupd.producers(topic).is_empty()), "{topic} is not registered");
    }
    let at = format!("--lookupd-http-address={}", lookupd.http);
    let read = run("nsq_tail", &["--topic=feed#ephemeral", "--channel=c", "-n=1", &at], b"").unwrap();
    assert_eq!(String::from_utf8(read.stdout).unwrap(), "ephemeral\n");
    // A URL's fragment is never sent, so a name with one would be another.
    let post = format!("--post=http://{}/pub?topic=feed#ephemeral", nsqd.http);
    let refused = run("nsq_to_http", &["--topic=feed", &post, &at], b"").unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("%23"), "{said}");
}
