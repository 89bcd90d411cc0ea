//! The tools, and with them the Rust client, over a network with Ethernet's segments: all that is published comes out at the
//! other end, in order where they promise it, and never waits for a heartbeat.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sansq_tests::certificates::Certificates;
use sansq_tests::client::{Answer, answer, batch, connect, eventually, stats};
use sansq_tests::daemon::Daemon;
use sansq_tests::link::Link;
use sansq_tests::network::DAEMONS;
use sansq_tests::tool::{Tool, run};

/// The longest that anything may wait on a busy machine: far more than a link needs, far less than a heartbeat.
const LINK: Duration = Duration::from_secs(8);

/// Lines of very different lengths, each starting with its number: a megabyte and more in all.
fn lines(count: usize) -> Vec<Vec<u8>> {
    let line = |number: usize| {
        let bytes = [9, 200, 1448, 30_000][number % 4];
        let mut line = format!("{number:08}").into_bytes();
        line.resize(bytes, b'.');
        line
    };
    (0..count).map(line).collect()
}

/// Publishes them to topic `t`, for a channel `c` that is there before.
fn publish(daemon: &Daemon, bodies: &[Vec<u8>]) {
    let mut connection = connect(daemon, "").unwrap();
    connection.send(b"SUB t c\n");
    assert_eq!(answer(&mut connection).unwrap(), Answer::Ok);
    let mut connection = connect(daemon, "").unwrap();
    for bodies in bodies.chunks(50) {
        connection.send_with_body("MPUB t\n", &batch(bodies));
        assert_eq!(answer(&mut connection).unwrap(), Answer::Ok);
    }
}

fn stop(tool: Tool) {
    tool.signal(Signal::TERM).unwrap();
    let output = tool.finish().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until the only channel of topic `t` is done with `count` messages, of which none came twice.
fn drained(daemon: &Daemon, count: usize) {
    let channel = || stats(daemon, "t").unwrap()["channels"][0].clone();
    let done = || {
        let channel = channel();
        let left = ["depth", "in_flight_count", "deferred_count"].map(|name| channel[name].as_u64().unwrap_or(1));
        channel["message_count"] == count && left == [0; 3]
    };
    let since = Instant::now();
    assert!(eventually(done), "{:#}", channel());
    assert!(since.elapsed() < LINK, "{:?}", since.elapsed());
    assert_eq!((channel()["timeout_count"].as_u64(), channel()["requeue_count"].as_u64()), (Some(0), Some(0)));
}

#[test]
fn nsq_tail_shows_all_through_every_stream() {
    let link = Link::make().unwrap();
    let certificates = Certificates::new("ours").unwrap();
    // In either kind of link: a relay is at a loopback address.
    let host = if matches!(link, Link::Network(_)) { DAEMONS.to_string() } else { "127.0.0.1".to_owned() };
    let pair = certificates.issue("nsqd", &host).unwrap();
    let tls = [format!("--tls-cert={}", pair.cert.display()), format!("--tls-key={}", pair.key.display())];
    let authority = format!("tls_root_ca_file,{}", certificates.root().display());
    let bodies = lines(400);
    link.clients(|| {
        for options in [&[][..], &["snappy"], &["deflate"], &["tls_v1"], &["tls_v1", "snappy"], &["tls_v1", "deflate"]]
        {
            let daemon = link.daemon(&tls.each_ref().map(String::as_str)).unwrap();
            publish(&daemon, &bodies);
            let address = format!("--nsqd-tcp-address={}", link.address(&daemon).unwrap());
            let mut args = vec![address, "--topic=t".to_owned(), "--channel=c".to_owned(), "-n=400".to_owned()];
            args.extend([&authority, "max_in_flight,50"].map(|option| format!("--consumer-opt={option}")));
            args.extend(options.iter().map(|option| format!("--consumer-opt={option}")));
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let tail = Tool::start("nsq_tail", &args).unwrap();
            let mut since = Instant::now();
            for body in &bodies {
                let line = tail.line().unwrap();
                assert!(line.as_bytes() == body, "{options:?}: {} came", &line[..8]);
                assert!(since.elapsed() < LINK, "{options:?}: {} came after {:?}", &line[..8], since.elapsed());
                since = Instant::now();
            }
            assert!(tail.finish().unwrap().status.success());
            drained(&daemon, 400);
        }
    })
    .unwrap();
}

#[test]
fn nsq_to_file_writes_all() {
    let link = Link::make().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let bodies = lines(1000);
    link.clients(|| {
        let daemon = link.daemon(&[]).unwrap();
        let address = format!("--nsqd-tcp-address={}", link.address(&daemon).unwrap());
        let output = format!("--output-dir={}", directory.path().display());
        let args = [&address, &output, "--topic=t", "--channel=c", "--datetime-format=%Y", "--sync-interval=20ms"];
        let tool = Tool::start("nsq_to_file", &args).unwrap();
        publish(&daemon, &bodies);
        drained(&daemon, 1000);
        stop(tool);
    })
    .unwrap();
    let file = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap().path();
    assert!(fs::read(file).unwrap() == [bodies.join(&b'\n'), b"\n".to_vec()].concat(), "the file has other lines");
}

#[test]
fn what_to_nsq_publishes_goes_through_nsq_to_nsq() {
    let link = Link::make().unwrap();
    let bodies = lines(1000);
    link.clients(|| {
        let (from, to) = (link.daemon(&[]).unwrap(), link.daemon(&[]).unwrap());
        let [from_address, to_address] = [&from, &to].map(|daemon| link.address(daemon).unwrap());
        let since = Instant::now();
        let args = ["--topic=t", &format!("--nsqd-tcp-address={from_address}")];
        let sent = run("to_nsq", &args, &bodies.join(&b'\n')).unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
        assert!(since.elapsed() < LINK, "{:?}", since.elapsed());
        let (source, destination) =
            (format!("--nsqd-tcp-address={from_address}"), format!("--destination-nsqd-tcp-address={to_address}"));
        let args = ["--topic=t", "--channel=c", "--max-in-flight=100", &source, &destination];
        let tool = Tool::start("nsq_to_nsq", &args).unwrap();
        assert!(eventually(|| stats(&from, "t").unwrap()["channels"][0]["clients"].is_array()));
        drained(&from, 1000);
        assert_eq!(stats(&to, "t").unwrap()["message_count"], 1000);
        stop(tool);
    })
    .unwrap();
}
