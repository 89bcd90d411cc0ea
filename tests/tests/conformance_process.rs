//! nsqd as a process: exit statuses, signals, the lock, command line, config file, `nsqd.dat`.
//!
//! As with the scenarios, the expectations are the reference's. The departures among them concern nothing that a scenario
//! can say and so are here, through [`Face`]: usage errors, integers for booleans and the order of percentiles in the
//! config file, and publishing to a topic while it is deleted. What the reference does not have at all is in
//! `conformance_beyond.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sansq_tests::bytes::show;
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http;
use sansq_tests::nsqd::{Face, Nsqd};
use sansq_tests::process::sighup_is_ignored;
use sansq_tests::wire::{Connection, Frame, Received};

const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the program under test to its end, without the flags that [`Setup`] adds.
fn run(arguments: &[&str]) -> Output {
    Nsqd::under_test().unwrap().command().args(arguments).output().unwrap()
}

fn publish(daemon: &Daemon, topic: &str, body: &str) {
    let response = http::post(daemon.http, &format!("/pub?topic={topic}"), body.as_bytes()).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (200, b"OK".as_slice()));
}

fn subscribe(daemon: &Daemon, topic: &str, channel: &str, ready: u32) -> Connection {
    let mut connection = Connection::open_v2(daemon.tcp).unwrap();
    connection.send(format!("SUB {topic} {channel}\nRDY {ready}\n").as_bytes());
    connection.expect_response("OK", PATIENCE).unwrap();
    connection
}

/// What `GET /config/OPTION` says.
fn config(daemon: &Daemon, option: &str) -> String {
    let response = http::get(daemon.http, &format!("/config/{option}")).unwrap();
    assert_eq!(response.status, 200, "{option}");
    String::from_utf8(response.body).unwrap()
}

/// A flag that makes the daemon exit at once: it exits with status 1 and says `reason` at level FATAL.
fn refuses_to_start(flags: &[&str], reason: &str) {
    let (status, log) = Setup::new().unwrap().flags(flags.iter().copied()).run_to_exit().unwrap();
    assert_eq!(status.code(), Some(1), "{flags:?}\n{log}");
    let fatal = log.lines().find(|line| line.contains(" FATAL: ")).unwrap_or_else(|| panic!("no FATAL line:\n{log}"));
    assert!(fatal.contains(reason), "expected {reason:?} in {fatal:?}");
}

#[test]
fn version_is_one_line_on_stdout() {
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    let built_with = text.strip_prefix("nsqd v").and_then(|rest| rest.split_once(" (built w/")).expect(&text).1;
    assert!(built_with.ends_with(")\n") && text.lines().count() == 1, "{text:?}");
    assert_eq!(run(&["-version"]).stdout, text.as_bytes());
}

#[test]
fn help_is_usage_with_status_0() {
    for flag in ["-h", "--help"] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0), "{flag}");
        let text = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8_lossy(&text).contains("mem-queue-size"), "{flag}");
    }
}

#[test]
fn unknown_flag_is_usage_with_status_2() {
    let output = run(&["--no-such-flag"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with("flag provided but not defined: -no-such-flag\n"), "{text}");
    // The reference goes on with all its flags, ours with where to find them.
    let face = Nsqd::under_test().unwrap().face;
    let expected = match face {
        Face::Reference => "  -data-path string\n",
        Face::Ours => "Usage of nsqd:\n  nsqd [flags], where nsqd --help explains every flag\n",
    };
    assert!(text.contains(expected), "{text}");
    assert!(face == Face::Reference || text.lines().count() <= 5, "{text}");
}

#[test]
fn a_usage_error_explains_the_flag_at_fault() {
    let output = run(&["--msg-timeout=5"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let first = text.lines().next().unwrap_or_default();
    assert!(first.starts_with("invalid value \"5\" for flag -msg-timeout: "), "{text}");
    let (flag, others) = match Nsqd::under_test().unwrap().face {
        Face::Reference => ("  -msg-timeout duration\n", true),
        Face::Ours => ("  --msg-timeout DURATION  (default 1m0s)\n", false),
    };
    assert_eq!((text.contains(flag), text.contains("-data-path")), (true, others), "{text}");
}

#[test]
fn bad_flag_values_exit_with_status_2() {
    for flag in ["--mem-queue-size=x", "--msg-timeout=5", "--snappy=perhaps", "--log-level=loud", "--node-id="] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(2), "{flag}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn values_out_of_range_are_fatal() {
    refuses_to_start(&["--node-id=1024"], "failed to instantiate nsqd - --node-id must be [0,1024)");
    refuses_to_start(&["--node-id=-1"], "failed to instantiate nsqd - --node-id must be [0,1024)");
    refuses_to_start(&["--max-deflate-level=0"], "failed to instantiate nsqd - --max-deflate-level must be [1,9]");
    refuses_to_start(&["--max-deflate-level=10"], "failed to instantiate nsqd - --max-deflate-level must be [1,9]");
    refuses_to_start(
        &["--e2e-processing-latency-percentile=1.5"],
        "failed to instantiate nsqd - invalid E2E processing latency percentile: 1.5",
    );
}

#[test]
fn an_address_in_use_is_fatal() {
    let daemon = Daemon::start(&[]).unwrap();
    let tcp = daemon.tcp.to_string();
    refuses_to_start(
        &[&format!("--tcp-address={tcp}")],
        &format!("failed to instantiate nsqd - listen ({tcp}) failed - "),
    );
}

#[test]
fn tls_required_needs_a_certificate() {
    refuses_to_start(
        &["--tls-required"],
        "failed to instantiate nsqd - cannot require TLS client connections without TLS key and cert",
    );
}

#[test]
fn a_missing_data_path_is_fatal() {
    refuses_to_start(&["--data-path=/no/such/directory"], "failed to instantiate nsqd - failed to lock data-path: ");
}

#[test]
fn a_second_instance_finds_the_data_path_locked() {
    let daemon = Daemon::start(&[]).unwrap();
    let path = daemon.data().display().to_string();
    refuses_to_start(
        &[&format!("--data-path={path}")],
        &format!(
            "failed to lock data-path: cannot flock directory {path} - resource temporarily unavailable \
             (possibly in use by another instance of nsqd)"
        ),
    );
    publish(&daemon, "t", "the first goes on");
}

#[test]
fn the_lock_goes_with_the_process() {
    let daemon = Daemon::start(&[]).unwrap();
    daemon.kill().unwrap().start().unwrap().stop().unwrap();
}

#[test]
fn log_lines_have_prefix_time_and_level() {
    let daemon = Daemon::start(&["--log-prefix=(x) "]).unwrap();
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("TCP: listening on ")).unwrap();
    let stamp: String = line.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert!(stamp.starts_with("(x) 0000/00/00 00:00:00.000000 INFO: TCP: listening on "), "{line}");
}

#[test]
fn sigterm_and_sigint_flush_and_exit_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::start(&[]).unwrap();
        publish(&daemon, "t", "hello");
        let mut consumer = subscribe(&daemon, "t", "c", 0);
        daemon.signal(signal).unwrap();
        assert_eq!(consumer.receive(PATIENCE).unwrap(), Received::Closed);
        assert_eq!(daemon.wait_exit().unwrap().code(), Some(0), "{signal:?}");
        let record = fs::read(daemon.file("t:c.diskqueue.000000.dat")).unwrap();
        assert_eq!(record.len(), 35);
        assert!(record.starts_with(&[0, 0, 0, 31]) && record.ends_with(b"hello"));
        let metadata = fs::read(daemon.file("t:c.diskqueue.meta.dat")).unwrap();
        assert_eq!(metadata, b"1\n0,0\n0,35\n");
    }
}

#[test]
fn sighup_kills_the_reference_and_ends_ours_in_order() {
    if sighup_is_ignored().unwrap() {
        // As under nohup: a child inherits that, and both daemons leave it so.
        println!("skipped: SIGHUP is ignored here");
        return;
    }
    let mut daemon = Daemon::start(&[]).unwrap();
    publish(&daemon, "t", "hello");
    daemon.signal(Signal::HUP).unwrap();
    let status = daemon.wait_exit().unwrap();
    let saves = daemon.face() == Face::Ours;
    assert_eq!(status.success(), saves, "{status}");
    assert_eq!(daemon.file("t.diskqueue.000000.dat").exists(), saves);
}

#[test]
fn thirty_in_flight_come_again_after_a_restart() {
    let daemon = Daemon::start(&[]).unwrap();
    for number in 0..30 {
        publish(&daemon, "t", &number.to_string());
    }
    let mut consumer = subscribe(&daemon, "t", "c", 30);
    let mut sent: Vec<_> = (0..30).map(|_| consumer.expect_message(PATIENCE).unwrap()).collect();
    let daemon = daemon.restart().unwrap();
    let mut consumer = subscribe(&daemon, "t", "c", 30);
    let mut again: Vec<_> = (0..30).map(|_| consumer.expect_message(PATIENCE).unwrap()).collect();
    sent.iter_mut().for_each(|message| message.attempts += 1);
    sent.sort_by(|a, b| a.id.cmp(&b.id));
    again.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(again, sent);
    assert_eq!(consumer.receive(Duration::from_millis(50)).unwrap(), Received::Nothing);
}

#[test]
fn message_ids_are_hexadecimal_and_increase() {
    let daemon = Daemon::start(&["--node-id=5"]).unwrap();
    let mut producer = Connection::open_v2(daemon.tcp).unwrap();
    for _ in 0..200 {
        producer.send_with_body("PUB t\n", b"x");
    }
    let mut consumer = subscribe(&daemon, "t", "c", 200);
    let mut last = 0;
    for _ in 0..200 {
        let message = consumer.expect_message(PATIENCE).unwrap();
        let id = u64::from_str_radix(&message.id, 16).unwrap();
        assert!(id > last && message.id.len() == 16 && message.id == message.id.to_lowercase(), "{message:?}");
        assert_eq!((id >> 12) & 0x3ff, 5, "node id of {message:?}");
        let tick = (message.timestamp >> 20) as u64;
        let made = (id >> 22) + 1_288_834_974_288;
        assert!(made.abs_diff(tick) < 100, "the id and the timestamp of {message:?} disagree");
        last = id;
    }
}

#[test]
fn files_are_for_their_owner_alone() {
    let daemon = Daemon::start(&["--mem-queue-size=0"]).unwrap();
    publish(&daemon, "t", "x");
    let setup = daemon.stop().unwrap();
    for name in ["nsqd.dat", "t.diskqueue.000000.dat", "t.diskqueue.meta.dat"] {
        let metadata = setup.data().join(name).metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
        assert_eq!(metadata.nlink(), 1);
    }
    let leftovers = fs::read_dir(setup.data()).unwrap().map(|entry| entry.unwrap().file_name());
    let leftovers: Vec<_> = leftovers.filter(|name| name.to_string_lossy().ends_with(".tmp")).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn nsqd_dat_names_what_lasts() {
    let daemon = Daemon::start(&[]).unwrap();
    for target in ["/topic/create?topic=t", "/topic/create?topic=e%23ephemeral", "/channel/create?topic=t&channel=c"] {
        assert_eq!(http::post(daemon.http, target, b"").unwrap().status, 200);
    }
    assert_eq!(http::post(daemon.http, "/channel/pause?topic=t&channel=c", b"").unwrap().status, 200);
    let setup = daemon.stop().unwrap();
    let text = fs::read_to_string(setup.data().join("nsqd.dat")).unwrap();
    let start = r#"{"topics":[{"name":"t","paused":false,"channels":[{"name":"c","paused":true}]}],"version":""#;
    assert!(text.starts_with(start) && text.ends_with("\"}"), "{text}");
}

#[test]
fn queue_files_bring_their_topic_back() {
    // A crash can come between a topic's first message and nsqd.dat. The reference leaves such messages where they are.
    let daemon = Daemon::start(&["--mem-queue-size=0"]).unwrap();
    for topic in ["kept", "waiting"] {
        publish(&daemon, topic, "hello");
    }
    drop(subscribe(&daemon, "kept", "c", 0));
    assert!(eventually(|| daemon.file("kept:c.diskqueue.000000.dat").exists()));
    let setup = daemon.kill().unwrap();
    fs::remove_file(setup.data().join("nsqd.dat")).unwrap();
    let daemon = setup.start().unwrap();
    let stats = http::get(daemon.http, "/stats?format=json").unwrap();
    let stats = String::from_utf8(stats.body).unwrap();
    let known = stats.contains(r#""topic_name":"kept","channels":[{"channel_name":"c""#) && stats.contains("waiting");
    assert_eq!(known, daemon.face() == Face::Ours, "{stats}");
    if known {
        let message = subscribe(&daemon, "kept", "c", 1).expect_message(PATIENCE).unwrap();
        assert_eq!(message.body, b"hello");
    }
}

#[test]
fn bad_metadata_is_fatal() {
    for content in ["", "{", "[]", "{\"topics\":5}"] {
        let setup = Setup::new().unwrap();
        fs::write(setup.data().join("nsqd.dat"), content).unwrap();
        let (status, log) = setup.run_to_exit().unwrap();
        assert_eq!(status.code(), Some(1), "{content:?}\n{log}");
        let fatal = log.lines().find(|line| line.contains(" FATAL: ")).unwrap_or_default();
        assert!(fatal.contains("failed to load metadata - "), "{content:?}\n{log}");
        assert_eq!(fs::read_to_string(setup.data().join("nsqd.dat")).unwrap(), content, "it is left alone");
    }
}

#[test]
fn empty_lists_of_metadata_are_null() {
    let daemon = Daemon::start(&[]).unwrap();
    let setup = daemon.stop().unwrap();
    let text = fs::read_to_string(setup.data().join("nsqd.dat")).unwrap();
    assert!(text.starts_with(r#"{"topics":null,"version":""#), "{text}");
}

fn with_config(content: &str, flags: &[&str]) -> Setup {
    let setup = Setup::new().unwrap();
    let path = setup.data().join("nsqd.cfg");
    fs::write(&path, content).unwrap();
    setup.flag(format!("--config={}", path.display())).flags(flags.iter().copied())
}

#[test]
fn config_file_sets_options_and_flags_win() {
    let content = "
        id = 7
        mem_queue_size = \"5\"
        msg_timeout = 90000
        max_msg_timeout = \"20m\"
        max_rdy_count = 9
        statsd_mem_stats = \"false\"
        e2e_processing_latency_percentiles = [0.99, 0.5]
        topology_zone = \"z\"
        log_level = \"debug\"
        snappy = false
        no_such_option = 1
    ";
    let daemon = with_config(content, &["--max-rdy-count=11"]).start().unwrap();
    let values = [
        ("id", "7"),
        ("mem_queue_size", "5"),
        ("msg_timeout", "90000000000"),
        ("max_msg_timeout", "1200000000000"),
        ("max_rdy_count", "11"),
        ("statsd_mem_stats", "false"),
        ("e2e_processing_latency_percentiles", "[0.99,0.5]"),
        ("topology_zone", "z"),
        ("log_level", "1"),
        ("snappy", "false"),
        ("deflate", "true"),
    ];
    for (option, value) in values {
        assert_eq!(config(&daemon, option), value, "{option}");
    }
}

#[test]
fn config_file_lists_may_be_text() {
    let content = "
        nsqlookupd_tcp_addresses = \"127.0.0.1:1,127.0.0.1:2\"
        e2e_processing_latency_percentiles = \"1.0,0.5\"
    ";
    let daemon = with_config(content, &[]).start().unwrap();
    assert_eq!(config(&daemon, "nsqlookupd_tcp_addresses"), r#"["127.0.0.1:1","127.0.0.1:2"]"#);
    assert_eq!(config(&daemon, "e2e_processing_latency_percentiles"), "[1,0.5]");
}

#[test]
fn config_file_percentiles_are_sorted() {
    // The reference sorts only those that come from flags.
    let daemon = with_config("e2e_processing_latency_percentiles = [0.5, 1.0, 0.99]\n", &[]).start().unwrap();
    let expected = match daemon.face() {
        Face::Reference => "[0.5,1,0.99]",
        Face::Ours => "[1,0.99,0.5]",
    };
    assert_eq!(config(&daemon, "e2e_processing_latency_percentiles"), expected);
}

#[test]
fn config_file_integers_for_booleans() {
    // The reference inverts them.
    let daemon = with_config("snappy = 0\ndeflate = 1\n", &[]).start().unwrap();
    let expected = match daemon.face() {
        Face::Reference => ("true", "false"),
        Face::Ours => ("false", "true"),
    };
    assert_eq!((config(&daemon, "snappy").as_str(), config(&daemon, "deflate").as_str()), expected);
}

#[test]
fn a_bad_config_file_is_fatal() {
    for content in ["this is = = not toml", "msg_timeout = \"soon\"\n", "mem_queue_size = \"many\"\n"] {
        let (status, log) = with_config(content, &[]).run_to_exit().unwrap();
        assert_eq!(status.code(), Some(1), "{content}\n{log}");
    }
    let (status, log) = Setup::new().unwrap().flag("--config=/no/such/file").run_to_exit().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("FATAL: failed to load config file /no/such/file - "), "{log}");
}

#[test]
fn flags_take_one_dash_or_two_and_a_word_of_their_own() {
    let daemon =
        Daemon::start(&["-max-rdy-count", "12", "--msg-timeout", "1h30m", "-snappy=false", "--verbose"]).unwrap();
    assert_eq!(config(&daemon, "max_rdy_count"), "12");
    assert_eq!(config(&daemon, "msg_timeout"), "5400000000000");
    assert_eq!(config(&daemon, "snappy"), "false");
}

#[test]
fn unix_sockets_are_addresses_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nsqd.sock");
    let nsqd = Nsqd::under_test().unwrap();
    let mut child = nsqd
        .command()
        .args([&format!("--tcp-address={}", path.display()), "--http-address=127.0.0.1:0"])
        .arg(format!("--data-path={}", directory.path().display()))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A socket that is bound and does not listen yet refuses.
    assert!(eventually(|| UnixStream::connect(&path).is_ok()), "no socket");
    let answer = talk_unix(&path);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answer, b"\0\0\0\x06\0\0\0\0OK");
}

fn talk_unix(path: &Path) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"  V2PUB t\n\0\0\0\x01x").unwrap();
    let mut answer = vec![0; 10];
    stream.read_exact(&mut answer).unwrap();
    answer
}

fn eventually(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn publishing_races_with_deleting() {
    // The reference refuses publishes while the topic goes; ours lets the topic come back.
    let daemon = Daemon::start(&[]).unwrap();
    let mut refused = 0;
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let mut refused = 0;
            let mut producer = Connection::open_v2(daemon.tcp).unwrap();
            for _ in 0..2000 {
                producer.send_with_body("PUB t\n", b"x");
                match producer.expect_frame(PATIENCE).unwrap() {
                    Frame::Response(body) => assert_eq!(body, b"OK"),
                    Frame::Error(body) => {
                        assert_eq!(String::from_utf8(body).unwrap(), "E_PUB_FAILED PUB failed exiting");
                        refused += 1;
                        producer = Connection::open_v2(daemon.tcp).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
            refused
        });
        while !publishing.is_finished() {
            let status = http::post(daemon.http, "/topic/delete?topic=t", b"").unwrap().status;
            assert!(status == 200 || status == 404, "{status}");
        }
        refused = publishing.join().unwrap();
    });
    assert!(daemon.face() == Face::Reference || refused == 0, "{refused} publishes were refused");
}

/// Reads from `stream` until what came ends with `end`.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    while !answer.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {}", show(&answer)));
        answer.push(byte[0]);
    }
    answer
}

#[test]
fn http_connections_are_kept_alive() {
    let daemon = Daemon::start(&[]).unwrap();
    let mut stream = TcpStream::connect(daemon.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let answer = read_until(&mut stream, b"\r\n\r\nOK");
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", show(&answer));
    }
}

#[test]
fn http_clients_may_wait_before_they_send_a_body() {
    let daemon = Daemon::start(&[]).unwrap();
    let mut stream = TcpStream::connect(daemon.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = b"POST /pub?topic=t HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head).unwrap();
    assert_eq!(read_until(&mut stream, b"\r\n\r\n"), b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").unwrap();
    let answer = read_until(&mut stream, b"\r\n\r\nOK");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", show(&answer));
}
