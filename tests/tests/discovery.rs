//! nsqd and nsqlookupd together: what nsqd registers, when it does so anew, what it learns, and that an nsqlookupd that is
//! slow, gone or strange keeps it from nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sansq_tests::client::{Answer, PATIENCE, connect, consumer, eventually, next_message, publish, stats};
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http::{self, Request};
use sansq_tests::lookupd::{Lookupd, Registrar};
use sansq_tests::nsqd::Nsqd;
use serde_json::{Value, json};

/// An nsqd that knows these nsqlookupds.
fn nsqd(addresses: &[SocketAddr]) -> Daemon {
    setup(addresses).start().unwrap()
}

fn setup(addresses: &[SocketAddr]) -> Setup {
    let flags = addresses.iter().map(|address| format!("--lookupd-tcp-address={address}"));
    Setup::new().unwrap().flag("--broadcast-address=127.0.0.1").flags(flags)
}

fn post(daemon: &Daemon, target: &str) {
    assert_eq!(http::post(daemon.http, target, b"").unwrap().status, 200, "{target}");
}

fn registered(lookupd: &Lookupd, topic: &str, daemon: &Daemon) -> bool {
    lookupd.producers(topic).contains(&daemon.tcp.port().into())
}

/// Sockets that listen, and what is behind them.
struct Fake {
    tcp: SocketAddr,
    /// What came first on each connection, and the lines behind it.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Answers as an nsqlookupd does, byte by byte. To `/channels` it says `channels`, or nothing at all.
    fn start(channels: Option<&'static str>) -> Fake {
        let asked = TcpListener::bind("127.0.0.1:0").unwrap();
        let http_port = asked.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut kept = Vec::new();
            for mut stream in asked.incoming().map_while(Result::ok) {
                match channels {
                    None => kept.push(stream),
                    Some(body) => {
                        let mut request = [0; 1024];
                        let _ = stream.read(&mut request);
                        let size = body.len();
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
                        let _ = stream.write_all((head + body).as_bytes());
                    }
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = heard.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                let mut first = Vec::new();
                let mut size = [0; 4];
                if lines.read_until(b'\n', &mut first).is_err() || lines.read_exact(&mut size).is_err() {
                    continue;
                }
                let mut body = vec![0; u32::from_be_bytes(size) as usize];
                lines.read_exact(&mut body).unwrap();
                hears.lock().unwrap().extend([
                    String::from_utf8(first).unwrap().trim_end().to_owned(),
                    String::from_utf8(body).unwrap(),
                ]);
                let reply = format!(r#"{{"broadcast_address":"127.0.0.1","http_port":{http_port},"tcp_port":1}}"#);
                let _ = stream.write_all(&[&(reply.len() as u32).to_be_bytes(), reply.as_bytes()].concat());
                for line in lines.lines().map_while(Result::ok) {
                    hears.lock().unwrap().push(line);
                    let _ = stream.write_all(b"\0\0\0\x02OK");
                }
            }
        });
        Fake { tcp, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until it has heard so many lines, those of IDENTIFY included.
    fn wait(&self, count: usize) -> Vec<String> {
        assert!(eventually(|| self.heard().len() >= count), "{:?}", self.heard());
        self.heard()
    }
}

#[test]
fn nsqd_says_who_it_is_and_what_it_has() {
    let fake = Fake::start(Some(r#"{"channels":[]}"#));
    let daemon = setup(&[fake.tcp]).flags(["--topology-zone=z", "--topology-region=r"]).start().unwrap();
    let heard = fake.wait(2);
    assert_eq!(heard[0], "  V1IDENTIFY");
    let info: Value = serde_json::from_str(&heard[1]).unwrap();
    assert_eq!(info["tcp_port"], daemon.tcp.port());
    assert_eq!(info["http_port"], daemon.http.port());
    for (key, value) in [("broadcast_address", "127.0.0.1"), ("topology_zone", "z"), ("topology_region", "r")] {
        assert_eq!(info[key], value);
    }
    assert!(info["version"].is_string() && info["hostname"].is_string());

    daemon.wait_log("peer info").unwrap();
    for target in ["/topic/create?topic=t", "/channel/create?topic=t&channel=c", "/channel/delete?topic=t&channel=c"] {
        post(&daemon, target);
    }
    assert_eq!(fake.wait(5)[2..], ["REGISTER t", "REGISTER t c", "UNREGISTER t c"]);
    post(&daemon, "/channel/create?topic=t&channel=d");
    post(&daemon, "/topic/create?topic=alone");
    fake.wait(7);
    let daemon = daemon.restart().unwrap();
    // Everything there is, a topic without channels by itself.
    assert_eq!(fake.wait(11)[7], "  V1IDENTIFY");
    assert_eq!(fake.heard()[9..], ["REGISTER alone", "REGISTER t d"]);
    post(&daemon, "/topic/delete?topic=t");
    assert_eq!(fake.wait(13)[11..], ["UNREGISTER t d", "UNREGISTER t"]);
}

#[test]
fn a_new_topic_gets_the_channels_it_has_elsewhere() {
    let fake = Fake::start(Some(r#"{"channels":["pre","e#ephemeral","b$"]}"#));
    let daemon = nsqd(&[fake.tcp]);
    daemon.wait_log("peer info").unwrap();
    let mut publisher = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut publisher, "t", b"x").unwrap(), Answer::Ok);
    assert!(eventually(|| stats(&daemon, "t").unwrap()["channels"][0]["depth"] == 1));
    let channels = stats(&daemon, "t").unwrap()["channels"].clone();
    assert_eq!((channels.as_array().unwrap().len(), &channels[0]["channel_name"]), (1, &json!("pre")));
}

/// Nsqlookupds that hang: one does not answer questions, one does not answer at all.
#[test]
fn a_hung_nsqlookupd_delays_no_publish_and_no_other_nsqlookupd() {
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = Fake::start(None);
    let lookupd = Lookupd::start(&[]).unwrap();
    let flags = ["--http-client-request-timeout=3s"];
    let daemon = setup(&[hung.local_addr().unwrap(), silent.tcp, lookupd.tcp]).flags(flags).start().unwrap();
    silent.wait(2);
    // Someone else has the topic already, with a channel.
    let mut other = Registrar::identified(&lookupd, 9).unwrap();
    other.say("REGISTER t there").unwrap();
    assert!(eventually(|| lookupd.ask("/nodes").unwrap()["producers"].as_array().unwrap().len() == 2));
    for known in [silent.tcp, lookupd.tcp] {
        daemon.wait_log(&format!("LOOKUPD({known}): peer info")).unwrap();
    }

    let began = Instant::now();
    let mut publisher = connect(&daemon, "").unwrap();
    for body in [b"1", b"2", b"3"] {
        assert_eq!(publish(&mut publisher, "t", body).unwrap(), Answer::Ok);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_millis(500), "publishing took {took:?}");
    // A consumer that comes in between takes nothing from the channel that is yet to come.
    let mut early = consumer(&daemon, "t", "here", 10).unwrap();
    assert!(eventually(|| registered(&lookupd, "t", &daemon)));
    assert!(daemon.file("nsqd.dat").exists());
    for body in [b"1", b"2", b"3"] {
        assert_eq!(next_message(&mut early, PATIENCE).unwrap().unwrap().body, body);
    }
    let waited = began.elapsed();
    assert!(waited < Duration::from_millis(2900), "the answer of one that works is not waited beyond: {waited:?}");
    let mut late = consumer(&daemon, "t", "there", 10).unwrap();
    for body in [b"1", b"2", b"3"] {
        assert_eq!(next_message(&mut late, PATIENCE).unwrap().unwrap().body, body);
    }
    daemon.wait_log("no answer within 5s").unwrap();
}

#[test]
fn topics_and_channels_come_and_go() {
    let lookupd = Lookupd::start(&[]).unwrap();
    let daemon = nsqd(&[lookupd.tcp]);
    let mut publisher = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut publisher, "t", b"x").unwrap(), Answer::Ok);
    assert!(eventually(|| registered(&lookupd, "t", &daemon)));
    let ephemeral = consumer(&daemon, "t", "e#ephemeral", 1).unwrap();
    post(&daemon, "/channel/create?topic=t&channel=c");
    assert!(eventually(|| lookupd.channels("t") == ["c", "e#ephemeral"]));
    drop(ephemeral);
    assert!(eventually(|| lookupd.channels("t") == ["c"]));
    post(&daemon, "/topic/delete?topic=t");
    assert!(eventually(|| lookupd.producers("t").is_empty()));
    // Deleted and made anew, over and over: what is true in the end is known in the end.
    for _ in 0..50 {
        post(&daemon, "/topic/create?topic=t");
        post(&daemon, "/channel/create?topic=t&channel=d");
        post(&daemon, "/topic/delete?topic=t");
    }
    post(&daemon, "/topic/create?topic=last");
    assert!(eventually(|| registered(&lookupd, "last", &daemon)));
    assert!(lookupd.producers("t").is_empty());
    daemon.stop().unwrap();
    assert!(eventually(|| lookupd.ask("/nodes").unwrap() == json!({"producers": []})));
}

/// An nsqd is not told of what somebody deletes at an nsqlookupd.
#[test]
fn a_topic_that_was_deleted_at_nsqlookupd_is_listed_again_when_it_is_published_to() {
    let lookupd = Lookupd::start(&["--tombstone-lifetime=1h"]).unwrap();
    let daemon = nsqd(&[lookupd.tcp]);
    let topics = ["wanted", "unwanted", "hidden", "gone"];
    for topic in topics {
        post(&daemon, &format!("/topic/create?topic={topic}"));
        post(&daemon, &format!("/channel/create?topic={topic}&channel=c"));
    }
    let listed = |topic: &str| registered(&lookupd, topic, &daemon);
    assert!(eventually(|| topics.iter().all(|topic| listed(topic) && lookupd.channels(topic) == ["c"])));
    for topic in ["wanted", "unwanted", "gone"] {
        assert_eq!(lookupd.send("POST", &format!("/topic/delete?topic={topic}")).unwrap().0, 200);
    }
    let hide = format!("/topic/tombstone?topic=hidden&node={}", daemon.http);
    assert_eq!(lookupd.send("POST", &hide).unwrap().0, 200);
    let mut publisher = connect(&daemon, "").unwrap();
    for topic in ["wanted", "hidden", "gone"] {
        assert_eq!(publish(&mut publisher, topic, b"x").unwrap(), Answer::Ok);
    }
    post(&daemon, "/topic/delete?topic=gone");
    let published = Instant::now();
    while !listed("wanted") {
        assert!(published.elapsed() < Duration::from_secs(60), "not listed within a minute");
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(lookupd.channels("wanted"), ["c"]);
    // All were registered in one go, in the order of their names from the last.
    post(&daemon, "/topic/create?topic=later");
    assert!(eventually(|| listed("later")));
    assert!(!listed("hidden"), "a tombstone was lifted");
    assert_eq!(lookupd.ask("/topics").unwrap(), json!({"topics": ["hidden", "later", "wanted"]}));
}

#[test]
fn a_restarted_nsqlookupd_learns_everything_again() {
    let lookupd = Lookupd::start(&[]).unwrap();
    let daemon = nsqd(&[lookupd.tcp]);
    for topic in 0..50 {
        post(&daemon, &format!("/topic/create?topic=t{topic}"));
        post(&daemon, &format!("/channel/create?topic=t{topic}&channel=c"));
    }
    assert!(eventually(|| lookupd.ask("/topics").unwrap()["topics"].as_array().unwrap().len() == 50));
    let killed = lookupd.kill().unwrap();
    daemon.wait_log("trying again").unwrap();
    post(&daemon, "/topic/create?topic=meanwhile");
    post(&daemon, "/topic/delete?topic=t0");
    let lookupd = killed.start().unwrap();
    assert!(eventually(|| lookupd.ask("/topics").unwrap()["topics"].as_array().unwrap().len() == 50));
    assert!(registered(&lookupd, "meanwhile", &daemon) && lookupd.producers("t0").is_empty());
    assert_eq!(lookupd.channels("t49"), ["c"]);
}

#[test]
fn addresses_change_while_it_runs() {
    let [first, second] = [(); 2].map(|()| Lookupd::start(&[]).unwrap());
    let daemon = nsqd(&[first.tcp]);
    post(&daemon, "/topic/create?topic=t");
    assert!(eventually(|| registered(&first, "t", &daemon)));
    let put = |body: String| {
        let (target, body) = ("/config/nsqlookupd_tcp_addresses".into(), body.into_bytes());
        let request = Request { method: "PUT".into(), target, body, ..Request::default() };
        assert_eq!(http::send(daemon.http, &request).unwrap().status, 200);
    };
    put(format!(r#"["{}","{}"]"#, first.tcp, second.tcp));
    assert!(eventually(|| registered(&second, "t", &daemon)));
    put(format!(r#"["{}"]"#, second.tcp));
    assert!(eventually(|| first.producers("t").is_empty()));
    assert!(registered(&second, "t", &daemon));
    put("[]".to_owned());
    assert!(eventually(|| second.producers("t").is_empty()));
}

#[test]
fn tombstones_are_lifted_by_registering_anew() {
    let lookupd = Lookupd::start(&[]).unwrap();
    let daemon = nsqd(&[lookupd.tcp]);
    post(&daemon, "/topic/create?topic=t");
    assert!(eventually(|| registered(&lookupd, "t", &daemon)));
    let target = format!("/topic/tombstone?topic=t&node=127.0.0.1:{}", daemon.http.port());
    assert_eq!(lookupd.send("POST", &target).unwrap().0, 200);
    assert!(lookupd.producers("t").is_empty());
    post(&daemon, "/topic/delete?topic=t");
    post(&daemon, "/topic/create?topic=t");
    assert!(eventually(|| registered(&lookupd, "t", &daemon)));
}

#[test]
fn what_answers_like_no_nsqlookupd_is_told_and_left_alone() {
    let strange = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = strange.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in strange.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let daemon = setup(&[address]).flag("--lookupd-tcp-address=nonsense").start().unwrap();
    daemon.wait_log("an answer of impossible size").unwrap();
    daemon.wait_log("LOOKUPD(nonsense): cannot connect").unwrap();
    let mut publisher = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut publisher, "t", b"x").unwrap(), Answer::Ok);
    daemon.stop().unwrap();
}

#[test]
fn a_frozen_nsqlookupd_is_known_again_when_it_goes_on() {
    let lookupd = Lookupd::start(&[]).unwrap();
    let daemon = nsqd(&[lookupd.tcp]);
    post(&daemon, "/topic/create?topic=t");
    assert!(eventually(|| registered(&lookupd, "t", &daemon)));
    lookupd.signal(Signal::STOP).unwrap();
    let began = Instant::now();
    let mut publisher = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut publisher, "u", b"x").unwrap(), Answer::Ok);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    daemon.wait_log("no answer within 5s").unwrap();
    lookupd.signal(Signal::CONT).unwrap();
    assert!(eventually(|| registered(&lookupd, "u", &daemon)));
}

/// With the reference's daemons, where there are any: the bytes that nsqd sends are checked above.
#[test]
fn mixed_clusters_work() {
    match Lookupd::other(&[]).unwrap() {
        Some(lookupd) => check_pair(&lookupd, &nsqd(&[lookupd.tcp])),
        None => println!("no other nsqlookupd: neither SANSQ_OTHER_NSQLOOKUPD, nor one on PATH"),
    }
    match Nsqd::other().unwrap() {
        Some(other) => {
            let lookupd = Lookupd::start(&[]).unwrap();
            let flag = format!("--lookupd-tcp-address={}", lookupd.tcp);
            let setup = Setup::of(&other).unwrap().flags(["--broadcast-address=127.0.0.1", &flag]);
            check_pair(&lookupd, &setup.start().unwrap());
        }
        None => println!("no other nsqd: SANSQ_OTHER_NSQD is not set"),
    }
}

fn check_pair(lookupd: &Lookupd, daemon: &Daemon) {
    assert!(eventually(|| lookupd.ask("/nodes").unwrap()["producers"].as_array().unwrap().len() == 1));
    // A channel that only the nsqlookupd knows, for a topic to come.
    assert_eq!(lookupd.send("POST", "/channel/create?topic=t&channel=pre").unwrap().0, 200);
    let mut publisher = connect(daemon, "").unwrap();
    assert_eq!(publish(&mut publisher, "t", b"x").unwrap(), Answer::Ok);
    assert!(eventually(|| stats(daemon, "t").unwrap()["channels"][0]["depth"] == 1));
    assert!(eventually(|| registered(lookupd, "t", daemon)));
    post(daemon, "/channel/create?topic=t&channel=c");
    assert!(eventually(|| lookupd.channels("t") == ["c", "pre"]));
    post(daemon, "/topic/delete?topic=t");
    assert!(eventually(|| lookupd.producers("t").is_empty()));
}
