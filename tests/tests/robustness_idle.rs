//! A daemon with many clients and channels and nothing to do does nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::time::Duration;

use sansq_tests::client::{Answer, connect, consumer, drain, eventually, publish, stats};
use sansq_tests::daemon::Daemon;
use sansq_tests::http;
use sansq_tests::process;
use sansq_tests::wire::Connection;

/// Numbers that can be raised by hand: `SANSQ_IDLE_CLIENTS=8000 SANSQ_IDLE_CHANNELS=10000`.
fn scale(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn an_idle_daemon_does_not_wake() {
    process::raise_file_limit().unwrap();
    let (clients, channels) = (scale("SANSQ_IDLE_CLIENTS", 500), scale("SANSQ_IDLE_CHANNELS", 1000));
    // Heartbeats are what there would be to do; none is due for ten minutes.
    let daemon = Daemon::start(&["--max-heartbeat-interval=10m"]).unwrap();
    http::post(daemon.http, "/topic/create?topic=t", b"").unwrap();
    for number in 0..channels {
        let target = format!("/channel/create?topic=t&channel=c{number}");
        assert_eq!(http::post(daemon.http, &target, b"").unwrap().status, 200);
    }
    let subscribed = |number: usize| {
        let mut client = connect(&daemon, r#"{"heartbeat_interval":600000}"#).unwrap();
        sansq_tests::client::subscribe(&mut client, "t", &format!("c{}", number % channels), 1).unwrap();
        client
    };
    let mut crowd: Vec<Connection> = (0..clients).map(subscribed).collect();
    // Something went through every part of it: timeouts were set, files written, memory used.
    let mut publisher = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut publisher, "t", b"x").unwrap(), Answer::Ok);
    for client in &mut crowd[..clients.min(channels)] {
        drain(client, &[b"x".to_vec()]).unwrap();
    }
    assert!(eventually(|| stats(&daemon, "t").unwrap()["channels"][0]["in_flight_count"] == 0));

    // Work that was put off, such as writing positions, is done within seconds.
    let wakes_in = |time| process::wake_ups(daemon.pid(), time).unwrap();
    assert!(eventually(|| wakes_in(Duration::from_secs(1)) <= 2), "it does not come to rest");
    let (used, time) = (process::processor_time(daemon.pid()).unwrap(), Duration::from_secs(3));
    let wakes = wakes_in(time);
    let used = process::processor_time(daemon.pid()).unwrap() - used;
    println!("{clients} clients, {channels} channels: {wakes} wake-ups and {used:?} of processor time in {time:?}");
    assert!(wakes < 20, "{wakes} wake-ups in {time:?}");
    assert!(used < Duration::from_millis(50), "{used:?} of processor time in {time:?}");
    println!("{} MiB resident", process::memory(daemon.pid()).unwrap() / 1024 / 1024);

    // It was not dead.
    assert_eq!(publish(&mut publisher, "t", b"y").unwrap(), Answer::Ok);
    drain(&mut consumer(&daemon, "t", "new", 1).unwrap(), &[]).unwrap();
    drain(crowd.last_mut().unwrap(), &[b"y".to_vec()]).unwrap();
}

#[test]
fn what_clients_call_themselves_costs_little() {
    const CLIENTS: usize = 24;
    let daemon = Daemon::start(&[]).unwrap();
    let name = "x".repeat(1_600_000);
    let identify = format!(r#"{{"client_id":"{name}","hostname":"{name}","user_agent":"{name}"}}"#);
    // What the first ones need to be read by is used again by those that follow.
    let mut clients: Vec<_> = (0..4).map(|_| connect(&daemon, &identify).unwrap()).collect();
    let before = process::memory(daemon.pid()).unwrap();
    clients.extend((4..CLIENTS).map(|_| connect(&daemon, &identify).unwrap()));
    let grown = process::memory(daemon.pid()).unwrap().saturating_sub(before) / 1024;
    // Everything would be 96 MB.
    assert!(grown < 20 * 1024, "{} more clients cost {grown} KiB", CLIENTS - 4);
    sansq_tests::client::subscribe(&mut clients[0], "t", "c", 1).unwrap();
    let known =
        || stats(&daemon, "t").unwrap()["channels"][0]["clients"][0]["client_id"].as_str() == Some(&name[..1024]);
    assert!(eventually(known));
}
