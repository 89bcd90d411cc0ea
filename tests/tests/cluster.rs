//! A cluster under fire: three nsqd, two nsqlookupd, three producers, six consumers on two channels, which find the nsqds by
//! asking. Nsqds and nsqlookupds are killed and started again while messages flow. Each message whose publish was answered with
//! OK is finished in both channels, at least once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sansq_tests::client::{self, Answer, PATIENCE, eventually, stats};
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::lookupd::Lookupd;
use sansq_tests::tool::Tool;
use sansq_tests::wire::Connection;

const TOPIC: &str = "t";
const CHANNELS: [&str; 2] = ["a", "b"];
const CONSUMERS_EACH: usize = 3;
/// How often a consumer asks nsqlookupds.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(2);
/// Between two publishes of a producer: messages should flow, not flood.
const PACE: Duration = Duration::from_millis(2);

/// An nsqd that is in a file what it has answered with OK, and registers with both.
fn nsqd(lookupds: &[Lookupd]) -> Setup {
    let lookupds = lookupds.iter().map(|lookupd| format!("--lookupd-tcp-address={}", lookupd.tcp));
    Setup::new().unwrap().flags(["--publish-ack=written", "--broadcast-address=127.0.0.1"]).flags(lookupds)
}

/// Kills an nsqd, and starts it again where it was.
fn kill_and_start(daemon: Daemon) -> Daemon {
    let (tcp, http) = (daemon.tcp, daemon.http);
    let setup = daemon.kill().unwrap();
    setup.flag(format!("--tcp-address={tcp}")).flag(format!("--http-address={http}")).start().unwrap()
}

/// A producer with an nsqd of its own: publishes one message after the other, each until the answer is OK.
struct Producer {
    stop: Arc<AtomicBool>,
    published: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<String>>,
}

impl Producer {
    fn start(name: usize, address: SocketAddr) -> Producer {
        let (stop, published) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (stop.clone(), published.clone());
        let thread = thread::spawn(move || {
            let mut done = Vec::new();
            let mut connection = None;
            while !stopped.load(Ordering::Relaxed) {
                let body = format!("{name}-{}", done.len());
                if publish(&mut connection, address, &body) {
                    done.push(body);
                    count.fetch_add(1, Ordering::Relaxed);
                } else {
                    connection = None;
                }
                thread::sleep(PACE);
            }
            done
        });
        Producer { stop, published, thread }
    }

    /// Waits until messages flow again.
    fn flows(&self) {
        let before = self.published.load(Ordering::Relaxed);
        assert!(eventually(|| self.published.load(Ordering::Relaxed) > before + 50));
    }

    /// What was published with OK.
    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn publish(connection: &mut Option<Connection>, address: SocketAddr, body: &str) -> bool {
    if connection.is_none() {
        *connection = Connection::open_v2(address).ok();
    }
    let Some(connection) = connection else { return false };
    matches!(client::publish(connection, TOPIC, body.as_bytes()), Ok(Answer::Ok))
}

/// A consumer, and the channel whose messages it prints and finishes.
struct Consumer {
    channel: &'static str,
    tool: Tool,
}

fn consumers(lookupds: &[Lookupd]) -> Vec<Consumer> {
    let mut flags = vec![
        format!("--topic={TOPIC}"),
        format!("--consumer-opt=lookupd_poll_interval,{}ms", POLL_INTERVAL.as_millis()),
        "--consumer-opt=lookupd_poll_jitter,0".to_owned(),
        "--consumer-opt=max_attempts,0".to_owned(),
    ];
    flags.extend(lookupds.iter().map(|lookupd| format!("--lookupd-http-address={}", lookupd.http)));
    let start = |channel| {
        let flags: Vec<String> = flags.iter().cloned().chain([format!("--channel={channel}")]).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Consumer { channel, tool: Tool::start("nsq_tail", &flags).unwrap() }
    };
    CHANNELS.into_iter().flat_map(|channel| (0..CONSUMERS_EACH).map(move |_| channel)).map(start).collect()
}

/// How many consumers `daemon` has, in all channels.
fn connected(daemon: &Daemon) -> u64 {
    let topic = stats(daemon, TOPIC).unwrap();
    topic["channels"].as_array().into_iter().flatten().filter_map(|channel| channel["client_count"].as_u64()).sum()
}

fn wait_for_all(daemon: &Daemon) {
    assert!(eventually(|| connected(daemon) == (CHANNELS.len() * CONSUMERS_EACH) as u64), "{}", connected(daemon));
}

#[test]
fn nothing_that_was_answered_is_lost_when_daemons_are_killed() {
    let mut lookupds: Vec<Lookupd> = (0..2).map(|_| Lookupd::start(&[]).unwrap()).collect();
    for lookupd in &lookupds {
        // Known before there is any message: every nsqd learns of both.
        for channel in CHANNELS {
            lookupd.send("POST", &format!("/channel/create?topic={TOPIC}&channel={channel}")).unwrap();
        }
    }
    let start = |lookupds: &[Lookupd]| {
        let daemon = nsqd(lookupds).start().unwrap();
        for lookupd in lookupds {
            daemon.wait_log(&format!("LOOKUPD({}): peer info", lookupd.tcp)).unwrap();
        }
        daemon
    };
    let mut daemons: Vec<Daemon> = (0..2).map(|_| start(&lookupds)).collect();
    let consumers = consumers(&lookupds);
    let mut producers: Vec<Producer> =
        daemons.iter().enumerate().map(|(name, daemon)| Producer::start(name, daemon.tcp)).collect();
    daemons.iter().for_each(wait_for_all);

    // A new nsqd is found by all within one poll.
    daemons.push(start(&lookupds));
    producers.push(Producer::start(2, daemons[2].tcp));
    assert!(eventually(|| lookupds.iter().all(|lookupd| lookupd.producers(TOPIC).len() == 3)));
    let known = Instant::now();
    wait_for_all(&daemons[2]);
    let took = known.elapsed();
    assert!(took < POLL_INTERVAL + SLACK, "consumers found the new nsqd after {took:?}");

    for victim in 0..2 {
        let killed = lookupds.remove(0).kill().unwrap();
        producers.iter().for_each(Producer::flows);
        let daemon = kill_and_start(daemons.remove(0));
        daemons.push(daemon);
        producers[victim].flows();
        // One nsqlookupd is enough to find it again.
        wait_for_all(daemons.last().unwrap());
        lookupds.push(killed.start().unwrap());
        assert!(eventually(|| lookupds.iter().all(|lookupd| lookupd.producers(TOPIC).len() == 3)));
    }
    // And all at once.
    let killed: Vec<_> = lookupds.drain(..).map(|lookupd| lookupd.kill().unwrap()).collect();
    daemons = daemons.into_iter().map(kill_and_start).collect();
    producers.iter().for_each(Producer::flows);
    lookupds.extend(killed.into_iter().map(|killed| killed.start().unwrap()));

    let published: Vec<String> = producers.into_iter().flat_map(Producer::end).collect();
    let missing = missing_after(&published, &consumers);
    assert!(missing.is_empty(), "{} of {} are missing, such as {:?}", missing.len(), published.len(), missing.first());
    println!("{} messages, new nsqd found after {took:?}", published.len());
    drop(daemons);
}

/// What of `published` has not come in both channels after [`PATIENCE`].
fn missing_after(published: &[String], consumers: &[Consumer]) -> BTreeSet<(&'static str, String)> {
    let all = CHANNELS.into_iter().flat_map(|channel| published.iter().map(move |body| (channel, body.clone())));
    let mut missing: BTreeSet<_> = all.collect();
    let deadline = Instant::now() + PATIENCE;
    while !missing.is_empty() && Instant::now() < deadline {
        for Consumer { channel, tool } in consumers {
            for body in tool.lines() {
                missing.remove(&(*channel, body));
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    missing
}
