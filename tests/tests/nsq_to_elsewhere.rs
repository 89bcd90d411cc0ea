//! `nsq_to_nsq` and `nsq_to_http` as processes: what arrives, what is finished, what comes again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::Signal;
use sansq_tests::client::{connect, eventually, publish, stats};
use sansq_tests::daemon::Daemon;
use sansq_tests::tool::{Tool, run};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

fn address(nsqd: &Daemon) -> String {
    format!("--nsqd-tcp-address={}", nsqd.tcp)
}

fn destination(nsqd: &Daemon) -> String {
    format!("--destination-nsqd-tcp-address={}", nsqd.tcp)
}

fn publish_all(nsqd: &Daemon, topic: &str, bodies: &[&str]) {
    let mut connection = connect(nsqd, "").unwrap();
    for body in bodies {
        publish(&mut connection, topic, body.as_bytes()).unwrap();
    }
}

fn channel_of(nsqd: &Daemon) -> Value {
    stats(nsqd, "t").unwrap()["channels"][0].clone()
}

/// Waits until the only channel of the topic has nothing left of so many messages.
fn drained(nsqd: &Daemon, count: u64) {
    let done = || {
        let channel = channel_of(nsqd);
        let left = ["depth", "in_flight_count", "deferred_count"].map(|name| channel[name].as_u64().unwrap_or(1));
        channel["message_count"] == count && left == [0; 3]
    };
    assert!(eventually(done), "{}", channel_of(nsqd));
}

fn stop(tool: Tool) {
    tool.signal(Signal::TERM).unwrap();
    let output = tool.finish().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The next so many messages of a topic, sorted.
fn tail(nsqd: &Daemon, topic: &str, count: usize) -> Vec<String> {
    let args = [&format!("--topic={topic}"), "--channel=c", &format!("-n={count}"), &address(nsqd)];
    let output = run("nsq_tail", &args, b"").unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A request as it arrived.
struct Request {
    head: String,
    body: String,
}

/// A web server that gives the same answers again and again: its address, and what it is asked.
fn server(answers: &'static [u16]) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for (socket, answer) in listener.incoming().zip(answers.iter().cycle()) {
            let mut socket = socket.unwrap();
            let mut reader = BufReader::new(socket.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            let response = format!("HTTP/1.1 {answer} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let response = if *answer == 204 { response.replace("Content-Length: 0\r\n", "") } else { response };
            socket.write_all(response.as_bytes()).unwrap();
            if sender.send(Request { head, body: String::from_utf8(body).unwrap() }).is_err() {
                return;
            }
        }
    });
    (address, requests)
}

#[test]
fn everything_is_copied_and_finished() {
    let (from, to) = (Daemon::start(&[]).unwrap(), Daemon::start(&[]).unwrap());
    let bodies: Vec<String> = (1000..2000).map(|number| number.to_string()).collect();
    publish_all(&from, "t", &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    let mut tool = Tool::start("nsq_to_nsq", &["--topic=t", &address(&from), &destination(&to)]).unwrap();
    drained(&from, 1000);
    tool.wait_error("[aggregate]: finished 1000 - 99th: ").unwrap();
    stop(tool);
    assert_eq!(tail(&to, "t", 1000), bodies);
}

#[test]
fn copies_can_be_some_and_in_part() {
    let (from, to) = (Daemon::start(&[]).unwrap(), Daemon::start(&[]).unwrap());
    publish_all(&from, "t", &[r#"{"z":9,"b":"x","a":1.0}"#, r#"{"a":2}"#, "no JSON", r#"{"b":"y"}"#]);
    let flags = ["--require-json-field=b", "--whitelist-json-field=b", "--whitelist-json-field=a"];
    let tool = Tool::start(
        "nsq_to_nsq",
        &[&["--topic=t", "--destination-topic=d", &address(&from), &destination(&to)], &flags[..]].concat(),
    )
    .unwrap();
    drained(&from, 4);
    stop(tool);
    assert_eq!(tail(&to, "d", 2), [r#"{"a":1,"b":"x"}"#, r#"{"b":"y"}"#]);
}

#[test]
fn a_destination_that_is_down_loses_nothing() {
    let from = Daemon::start(&[]).unwrap();
    publish_all(&from, "t", &["1", "2"]);
    let to = Daemon::start(&[]).unwrap();
    let (tcp, data) = (to.tcp.to_string(), to.stop().unwrap());
    let soon = ["default_requeue_delay,50ms", "max_requeue_delay,50ms", "backoff_multiplier,10ms", "max_attempts,0"];
    let soon = soon.map(|option| format!("--consumer-opt={option}"));
    let there = format!("--destination-nsqd-tcp-address={tcp}");
    let mut args = vec!["--topic=t", &there];
    args.extend(soon.iter().map(String::as_str));
    let from_address = address(&from);
    args.push(&from_address);
    let mut tool = Tool::start("nsq_to_nsq", &args).unwrap();
    tool.wait_error("backing off").unwrap();
    assert!(channel_of(&from)["requeue_count"].as_u64().unwrap() > 0);
    let to = data.flag(format!("--tcp-address={tcp}")).start().unwrap();
    drained(&from, 2);
    stop(tool);
    assert_eq!(tail(&to, "t", 2), ["1", "2"]);
}

#[test]
fn a_post_has_the_message_and_is_finished_when_accepted() {
    let nsqd = Daemon::start(&[]).unwrap();
    publish_all(&nsqd, "t", &["hello"]);
    let (server, requests) = server(&[500, 204]);
    let post = format!("--post=http://{server}/in?x=1");
    let flags = ["--header=X-A: b: c", "--header=User-Agent: me", "--consumer-opt=default_requeue_delay,10ms"];
    let tool = Tool::start(
        "nsq_to_http",
        &[&["--topic=t", "--consumer-opt=backoff_multiplier,10ms", &post, &address(&nsqd)], &flags[..]].concat(),
    )
    .unwrap();
    for _ in 0..2 {
        let request = requests.recv_timeout(PATIENCE).unwrap();
        assert_eq!(request.body, "hello");
        let head = request.head.to_lowercase();
        assert!(head.starts_with("post /in?x=1 http/1.1\r\n"), "{head}");
        for header in ["x-a: b: c", "user-agent: me", "content-type: application/octet-stream"] {
            assert_eq!(head.matches(&format!("\r\n{header}\r\n")).count(), 1, "{head}");
        }
        assert_eq!(head.matches("user-agent").count(), 1, "{head}");
    }
    drained(&nsqd, 1);
    assert_eq!(channel_of(&nsqd)["requeue_count"], 1);
    stop(tool);
}

#[test]
fn a_get_has_the_message_in_its_url_and_wants_a_200() {
    let nsqd = Daemon::start(&[]).unwrap();
    publish_all(&nsqd, "t", &["a b&c"]);
    let (server, requests) = server(&[204, 200]);
    let get = format!("--get=http://{server}/in%%20box/in%20box?m=%s");
    let soon = ["--consumer-opt=default_requeue_delay,10ms", "--consumer-opt=backoff_multiplier,10ms"];
    let tool = Tool::start("nsq_to_http", &[&["--topic=t", &get, &address(&nsqd)], &soon[..]].concat()).unwrap();
    for _ in 0..2 {
        let head = requests.recv_timeout(PATIENCE).unwrap().head;
        assert!(head.starts_with("GET /in%20box/in%20box?m=a+b%26c HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("\r\nuser-agent: nsq_to_http v1.3.0\r\n"), "{head}");
    }
    drained(&nsqd, 1);
    stop(tool);
}

#[test]
fn messages_go_to_all_servers_or_to_none() {
    let nsqd = Daemon::start(&[]).unwrap();
    publish_all(&nsqd, "t", &["x"]);
    let (first, to_first) = server(&[200]);
    let (second, to_second) = server(&[200]);
    let posts = [first, second].map(|server| format!("--post=http://{server}/"));
    let args = ["--topic=t", "--mode=multicast", &posts[0], &posts[1], &address(&nsqd)];
    let tool = Tool::start("nsq_to_http", &args).unwrap();
    assert_eq!(to_first.recv_timeout(PATIENCE).unwrap().body, "x");
    assert_eq!(to_second.recv_timeout(PATIENCE).unwrap().body, "x");
    drained(&nsqd, 1);
    stop(tool);
    let tool = Tool::start("nsq_to_http", &["--topic=t", "--sample=0", &posts[0], &address(&nsqd)]).unwrap();
    publish_all(&nsqd, "t", &["y"]);
    drained(&nsqd, 2);
    stop(tool);
    assert!(to_first.try_recv().is_err());
}

#[test]
fn what_makes_no_sense_is_said() {
    let nowhere = "--nsqd-tcp-address=127.0.0.1:1";
    let to = "--destination-nsqd-tcp-address=127.0.0.1:1";
    for (name, args, text) in [
        ("nsq_to_nsq", &[nowhere, to][..], "--topic required"),
        ("nsq_to_nsq", &["--topic=t", nowhere], "--destination-nsqd-tcp-address required"),
        ("nsq_to_nsq", &["--topic=a b", nowhere, to], "--topic is invalid"),
        ("nsq_to_nsq", &["--topic=t", to], "--nsqd-tcp-address or --lookupd-http-address required"),
        ("nsq_to_nsq", &["--topic=t", "--mode=fastest", nowhere, to], "--mode \"fastest\": it is round-robin"),
        ("nsq_to_nsq", &["--topic=t", "--require-json-value=x", nowhere, to], "needs --require-json-field"),
        ("nsq_to_http", &["--topic=t", nowhere], "--get or --post required"),
        (
            "nsq_to_http",
            &["--topic=t", "--get=http://h/%s", "--post=http://h/", nowhere],
            "only one of --get or --post",
        ),
        ("nsq_to_http", &["--topic=t", "--get=http://h/", nowhere], "it needs a %s, which stands for the message"),
        ("nsq_to_http", &["--topic=t", "--get=http://h/%s/%d", nowhere], "\"%d\" is neither %s, for the message"),
        ("nsq_to_http", &["--topic=t", "--get=http://h/%s", "--content-type=x", nowhere], "only used with --post"),
        ("nsq_to_http", &["--topic=t", "--post=ftp://h/", nowhere], "it has to begin with http:// or https://"),
        (
            "nsq_to_http",
            &["--topic=t", "--post=https://h/", "--http-client-tls-root-ca-file=/none", nowhere],
            "--http-client-tls-*: /none: No such file or directory",
        ),
        ("nsq_to_http", &["--topic=t", "--post=http://h/", "--header=a", nowhere], "should be 'name: value'"),
        ("nsq_to_http", &["--topic=t", "--post=http://h/", "--sample=2", nowhere], "--sample must be between"),
        ("nsq_to_http", &["--topic=t", "--post=http://h/", "--mode=all", nowhere], "or multicast"),
        ("nsq_to_http", &["--post=http://h/", nowhere], "--topic and --channel are required"),
    ] {
        let output = run(name, args, b"").unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name} {args:?}: {said}");
        assert!(said.contains(text), "{name} {args:?}: {said}");
    }
}
