//! `to_nsq`, `nsq_tail` and `nsq_stat` as processes against nsqd, and what all tools have in common: flags, errors, exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use sansq_tests::client::{connect, eventually, publish, stats};
use sansq_tests::daemon::Daemon;
use sansq_tests::tool::{Tool, run};

/// What a tool printed, having ended well.
fn output(name: &str, args: &[&str], input: &str) -> String {
    let output = run(name, args, input.as_bytes()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a tool said and its exit code, having ended badly.
fn failure(name: &str, args: &[&str]) -> (i32, String) {
    let output = run(name, args, b"x\n").unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn address(nsqd: &Daemon) -> String {
    format!("--nsqd-tcp-address={}", nsqd.tcp)
}

fn publish_all(nsqd: &Daemon, topic: &str, bodies: &[&str]) {
    let mut connection = connect(nsqd, "").unwrap();
    for body in bodies {
        publish(&mut connection, topic, body.as_bytes()).unwrap();
    }
}

#[test]
fn to_nsq_publishes_lines_and_keeps_the_last_one_whole() {
    let nsqd = Daemon::start(&[]).unwrap();
    output("to_nsq", &["--topic=t", &address(&nsqd)], "one\n\ntwo\nthree");
    let tailed = output("nsq_tail", &["--topic=t", "--channel=c", "-n=3", &address(&nsqd)], "");
    assert_eq!(tailed, "one\ntwo\nthree\n");
    output("to_nsq", &["--topic=d", "--delimiter=,", &address(&nsqd)], "x,y,");
    let tailed = output("nsq_tail", &["--topic=d", "--channel=c", "-n=2", &address(&nsqd)], "");
    assert_eq!(tailed, "x\ny\n");
}

#[test]
fn to_nsq_publishes_everything_everywhere_in_order() {
    const COUNT: usize = 5000;
    let (first, second) = (Daemon::start(&[]).unwrap(), Daemon::start(&[]).unwrap());
    let lines: String = (0..COUNT).map(|number| format!("{number}\n")).collect();
    output("to_nsq", &["--topic=t", &address(&first), &address(&second)], &lines);
    for nsqd in [&first, &second] {
        let tailed = output("nsq_tail", &["--topic=t", "--channel=c", &format!("-n={COUNT}"), &address(nsqd)], "");
        assert_eq!(tailed, lines);
    }
}

#[test]
fn to_nsq_ends_with_the_first_message_that_is_refused() {
    let nsqd = Daemon::start(&["--max-msg-size=4"]).unwrap();
    let (code, said) = failure("to_nsq", &["--topic=t", "--producer-opt=dial_timeout,5s", &address(&nsqd)]);
    assert_eq!((code, said.as_str()), (0, ""));
    let output = run("to_nsq", &["--topic=t", &address(&nsqd)], b"12345\n").unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("E_BAD_MESSAGE"));
}

#[test]
fn nsq_tail_takes_no_more_than_it_prints_and_finishes_the_last_one() {
    let nsqd = Daemon::start(&[]).unwrap();
    publish_all(&nsqd, "t", &["m0", "m1", "m2", "m3"]);
    let args = ["--topic=t", "--channel=c", "-n=2", "--print-topic", &address(&nsqd)];
    assert_eq!(output("nsq_tail", &args, ""), "t | m0\nt | m1\n");
    let of_channel = || stats(&nsqd, "t").unwrap()["channels"][0].clone();
    assert!(eventually(|| of_channel()["in_flight_count"] == 0));
    let channel = of_channel();
    assert_eq!((&channel["depth"], &channel["requeue_count"]), (&2.into(), &0.into()), "{channel}");
}

#[test]
fn nsq_tail_reads_from_a_channel_of_its_own_until_it_is_told_to_end() {
    let nsqd = Daemon::start(&[]).unwrap();
    let mut tail = Tool::start("nsq_tail", &["--topic=t", &address(&nsqd)]).unwrap();
    tail.wait_error("connected").unwrap();
    let name = stats(&nsqd, "t").unwrap()["channels"][0]["channel_name"].as_str().unwrap().to_owned();
    let digits = name.strip_prefix("tail").unwrap().strip_suffix("#ephemeral").unwrap();
    assert!(digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_digit()), "{name}");
    publish_all(&nsqd, "t", &["hello"]);
    assert_eq!(tail.line().unwrap(), "hello");
    tail.signal(Signal::TERM).unwrap();
    assert!(tail.finish().unwrap().status.success());
    assert!(eventually(|| stats(&nsqd, "t").unwrap()["channels"] == serde_json::json!([])));
}

/// Runs a tool until the reader of its output, which takes one line, and then it have gone: what it said, and its status.
fn until_nobody_reads(name: &str, args: &[&str], mut meanwhile: impl FnMut()) -> (String, i32) {
    let program = sansq_tests::nsqd::newest_build(name).unwrap();
    let mut tool = Command::new(program).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(tool.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(eventually(|| {
        meanwhile();
        tool.try_wait().unwrap().is_some()
    }));
    let output = tool.wait_with_output().unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let nsqd = Daemon::start(&[]).unwrap();
    publish_all(&nsqd, "t", &["m0"]);
    let args = ["--topic=t", "--channel=c", &address(&nsqd)];
    let (said, status) = until_nobody_reads("nsq_tail", &args, || publish_all(&nsqd, "t", &["more"]));
    assert!(status == 0 && !said.to_lowercase().contains("pipe"), "{said}");
    let http = format!("--nsqd-http-address={}", nsqd.http);
    let (said, status) = until_nobody_reads("nsq_stat", &["--topic=t", "--channel=c", "--interval=20ms", &http], || {});
    assert_eq!((status, said.as_str()), (0, ""));
}

#[test]
fn nsq_stat_shows_as_many_rows_as_it_was_told() {
    let nsqd = Daemon::start(&[]).unwrap();
    publish_all(&nsqd, "t", &["a", "b"]);
    output("nsq_tail", &["--topic=t", "--channel=c", "-n=1", &address(&nsqd)], "");
    let http = format!("--nsqd-http-address={}", nsqd.http);
    let shown = output("nsq_stat", &["--topic=t", "--channel=c", "--count=2", "--interval=50ms", &http], "");
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 4, "{shown}");
    assert!(lines[0].starts_with("------rate------+") && lines[1].starts_with("ingress  egress |"), "{shown}");
    let row = "      0       0 |       1       1       0     0     0 |       0       0            2       0";
    assert_eq!(lines[2..], [row, row]);
    let (code, said) = failure("nsq_stat", &["--topic=t", "--channel=no", &http]);
    assert_eq!(code, 1);
    assert!(said.contains("ERROR: failed to find channel(no) in stats metadata for topic(t)"), "{said}");
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let nowhere = "--nsqd-tcp-address=127.0.0.1:1";
    for (name, args, code, text) in [
        ("to_nsq", &[nowhere][..], 1, "--topic required"),
        ("to_nsq", &["--topic=t", "--delimiter=ab", nowhere], 1, "--delimiter must be a single byte"),
        ("to_nsq", &["--topic=t"], 1, "--nsqd-tcp-address required"),
        ("to_nsq", &["--topic=t", nowhere], 1, "not connected"),
        ("to_nsq", &["--topic=t", "--producer-opt=nope,1", nowhere], 1, "invalid option nope"),
        ("nsq_tail", &[], 1, "--nsqd-tcp-address or --lookupd-http-address required"),
        ("nsq_tail", &[nowhere], 1, "--topic required"),
        ("nsq_tail", &[nowhere, "--topic=t"], 1, "error connecting to nsqd 127.0.0.1:1"),
        ("nsq_tail", &[nowhere, "--topic=a b"], 1, "invalid topic name"),
        ("nsq_tail", &["--nsqd-tcp-address=queue1", "--topic=t"], 1, "no port is given, as in HOST:PORT"),
        ("nsq_tail", &[], 1, "nsq_tail --help explains every flag, with examples"),
        ("nsq_tail", &[nowhere, "--lookupd-http-address=h:1"], 1, "not both"),
        ("nsq_tail", &["--lookupd-http-address=h", "--topic=t"], 1, "missing port"),
        ("nsq_stat", &[], 1, "--topic and --channel are required"),
        ("nsq_stat", &["--topic=t", "--channel=c"], 1, "--nsqd-http-address or --lookupd-http-address required"),
        ("nsq_stat", &["--topic=t", "--channel=c", "--count=0"], 1, "--count should be positive"),
        (
            "nsq_stat",
            &["--topic=t", "--channel=c", "--nsqd-http-address=http://h:1"],
            1,
            "--nsqd-http-address error - address should not contain scheme",
        ),
        (
            "nsq_stat",
            &["--topic=t", "--channel=c", "--nsqd-http-address=127.0.0.1:1"],
            1,
            "ERROR: failed to get nsqd stats - ",
        ),
        (
            "nsq_stat",
            &["--topic=t", "--channel=c", "--lookupd-http-address=127.0.0.1:1"],
            1,
            "ERROR: failed to get topic producers - ",
        ),
        ("nsq_tail", &["--tpoic=t"], 2, "did you mean --topic?"),
        ("nsq_tail", &[nowhere, "--topic=t", "--consumer-opt=local_addr,x"], 1, "option local_addr is not available"),
        (
            "nsq_tail",
            &[nowhere, "--topic=t", "--consumer-opt=tls_v1", "--consumer-opt=tls_root_ca_file,/none"],
            1,
            "TLS: /none: No such file or directory",
        ),
    ] {
        let (got, said) = failure(name, args);
        assert_eq!(got, code, "{name} {args:?}: {said}");
        assert!(said.contains(text), "{name} {args:?}: {said}");
    }
}

#[test]
fn every_tool_explains_itself() {
    for name in ["nsq_stat", "nsq_tail", "nsq_to_file", "nsq_to_http", "nsq_to_nsq", "to_nsq"] {
        assert_eq!(output(name, &["--version"], ""), format!("{name} v1.3.0\n"));
        let help = output(name, &["--help"], "");
        assert!(help.starts_with(name) && help.contains("Examples") && help.contains("--topic"), "{help}");
        assert!(output(name, &["--man"], "").contains(".TH"));
        for shell in ["bash", "zsh", "fish"] {
            assert!(output(name, &["--completions", shell], "").contains("topic"));
        }
    }
}
