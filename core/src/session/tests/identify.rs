//! IDENTIFY and the upgrades it asks for.

use std::time::Duration;

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn identify(json: &str) -> Vec<u8> {
    with_body("IDENTIFY", json)
}

fn refused(json: &str, error: &str) {
    Peer::new().send(identify(json)).recv(&[error]).closed();
}

fn capable() -> Peer {
    let features = Features { tls: true, snappy: true, deflate: true, ..Features::default() };
    let mut peer = Peer::with(Config::default(), features);
    peer.send("  V2");
    peer
}

#[test]
fn the_default_reply() {
    let reply = concat!(
        r#"{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":60000,"tls_v1":false,"#,
        r#""deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"sample_rate":0,"#,
        r#""auth_required":false,"output_buffer_size":16384,"output_buffer_timeout":250,"topology_region":"","#,
        r#""topology_zone":""}"#
    );
    Peer::new().send(identify(r#"{"feature_negotiation":true}"#)).recv(&[reply]).open();
    Peer::new().send(identify("{}")).recv(&["OK"]).send(identify("null")).recv(&["OK"]).open();
}

#[test]
fn bodies_are_checked_before_they_are_read() {
    Peer::new().send("IDENTIFY\n\0\0\0\0").recv(&["E_BAD_BODY IDENTIFY invalid body size 0"]).closed();
    let big = "IDENTIFY\n\0\x50\0\x01";
    Peer::new().send(big).recv(&["E_BAD_BODY IDENTIFY body too big 5242881 > 5242880"]).closed();
    for json in ["[]", r#"{"heartbeat_interval":1e3}"#, "{} x"] {
        refused(json, "E_BAD_BODY IDENTIFY failed to decode JSON body");
    }
}

#[test]
fn values_are_checked_in_order() {
    for (json, error) in [
        (r#""heartbeat_interval":999"#, "heartbeat interval (999)"),
        (r#""heartbeat_interval":60001"#, "heartbeat interval (60001)"),
        (r#""heartbeat_interval":-2"#, "heartbeat interval (-2)"),
        (r#""output_buffer_timeout":24"#, "output buffer timeout (24)"),
        (r#""output_buffer_timeout":30001"#, "output buffer timeout (30001)"),
        (r#""output_buffer_size":63"#, "output buffer size (63)"),
        (r#""output_buffer_size":65537"#, "output buffer size (65537)"),
        (r#""sample_rate":100"#, "sample rate (100)"),
        (r#""sample_rate":-1"#, "sample rate (-1)"),
        (r#""msg_timeout":999"#, "msg timeout (999)"),
        (r#""msg_timeout":900001"#, "msg timeout (900001)"),
        (r#""msg_timeout":-1"#, "msg timeout (-1)"),
        (r#""msg_timeout":1,"sample_rate":100,"output_buffer_size":1"#, "output buffer size (1)"),
        (r#""output_buffer_size":1,"output_buffer_timeout":1,"heartbeat_interval":1"#, "heartbeat interval (1)"),
    ] {
        refused(&format!("{{{json}}}"), &format!("E_BAD_BODY IDENTIFY {error} is invalid"));
    }
}

#[test]
fn what_was_settled_is_reported_and_used() {
    let mut peer = Peer::new();
    let json = r#"{"feature_negotiation":true,"CLIENT_ID":"c","hostname":"h","user_agent":"u/1","sample_rate":50,
        "msg_timeout":1000,"output_buffer_size":-1,"output_buffer_timeout":500,"topology_region":"r","topology_zone":"z",
        "heartbeat_interval":60000,"deflate":true,"deflate_level":1,"snappy":true,"tls_v1":true}"#;
    assert!(peer.session.info().is_none());
    peer.send(identify(json));
    let reply = frames(&std::mem::take(&mut peer.out)).remove(0);
    for part in [
        r#""msg_timeout":1000,"tls_v1":false,"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false"#,
        r#""sample_rate":50"#,
        r#""output_buffer_size":1,"output_buffer_timeout":0,"topology_region":"","topology_zone":"""#,
    ] {
        assert!(reply.contains(part), "{reply}");
    }
    let info = peer.session.info().unwrap();
    assert_eq!((info.client_id.as_str(), info.hostname.as_str(), info.user_agent.as_str()), ("c", "h", "u/1"));
    assert_eq!((info.topology_region.as_str(), info.topology_zone.as_str()), ("r", "z"));
    assert_eq!(info.heartbeat_interval, Some(Duration::from_secs(60)));
    peer.send("SUB t c\nTOUCH 0000000000000001\n").recv(&["OK"]);
    peer.asks(&["SUB t c 1000ms 50%", "TOUCH 0000000000000001 1000ms"]);
}

#[test]
fn a_client_is_known_by_the_beginning_of_what_it_calls_itself() {
    let fields = ["client_id", "hostname", "user_agent", "topology_region", "topology_zone"];
    for (text, kept) in [
        ("x".repeat(1024), "x".repeat(1024)),
        ("x".repeat(1025), "x".repeat(1024)),
        ("x".to_owned() + &"é".repeat(1024), "x".to_owned() + &"é".repeat(511)),
        ("x".repeat(500_000), "x".repeat(1024)),
    ] {
        let mut peer = Peer::new();
        let json: Vec<String> = fields.iter().map(|field| format!(r#""{field}":"{text}""#)).collect();
        peer.send(identify(&format!("{{{}}}", json.join(",")))).recv(&["OK"]);
        let info = peer.session.info().unwrap();
        for label in [&info.client_id, &info.hostname, &info.user_agent, &info.topology_region, &info.topology_zone] {
            assert!(*label == kept && label.capacity() <= 1024, "{} of {}", label.capacity(), text.len());
        }
    }
}

#[test]
fn zero_leaves_what_an_earlier_identify_settled() {
    let mut peer = Peer::new();
    peer.send(identify(r#"{"msg_timeout":5000,"client_id":"a","sample_rate":9}"#))
        .send(identify("{}"))
        .recv(&["OK"; 2]);
    assert_eq!(peer.session.info().unwrap().client_id, "");
    peer.send("SUB t c\n").asks(&["SUB t c 5000ms 0%"]);
}

#[test]
fn names_of_the_broker_are_escaped_in_the_reply() {
    let config = Config { topology_region: "<r>&".to_owned(), version: "1.2\"".to_owned(), ..Config::default() };
    let mut peer = Peer::with(config, Features::default());
    peer.send("  V2").send(identify(r#"{"feature_negotiation":true}"#));
    let reply = frames(&peer.out).remove(0);
    assert!(reply.contains(r#""version":"1.2\"""#) && reply.contains(r#""topology_region":"\u003cr\u003e\u0026""#));
}

#[test]
fn consumers_are_near_if_they_say_so_and_the_broker_cares() {
    let subscribed = |config: &Config, json: Option<&str>| {
        let mut peer = Peer::with(config.clone(), Features::default());
        peer.send("  V2");
        if let Some(json) = json {
            peer.send(identify(json));
        }
        peer.send("SUB t c\n").asked.remove(0)
    };
    let at = |zone: &str, region: &str| format!(r#"{{"topology_zone":"{zone}","topology_region":"{region}"}}"#);
    let config = |zone: &str, region: &str, topology_aware_consumption| Config {
        topology_zone: zone.to_owned(),
        topology_region: region.to_owned(),
        topology_aware_consumption,
        ..Config::default()
    };
    let (nobody, in_zone) = ("SUB t c 60000ms 0%", "SUB t c 60000ms 0%, Zone as Zone");
    let here = config("z", "r", true);
    assert_eq!(subscribed(&config("z", "r", false), Some(&at("z", "r"))), nobody);
    assert_eq!(subscribed(&here, Some(&at("z", "r"))), in_zone);
    assert_eq!(subscribed(&here, Some(&at("z", "elsewhere"))), in_zone);
    assert_eq!(subscribed(&here, Some(&at("", "r"))), "SUB t c 60000ms 0%, Region as Region");
    assert_eq!(subscribed(&here, Some(&at("", ""))), nobody);
    assert_eq!(subscribed(&here, None), nobody);
    // Two that name no zone count as if they shared it; that alone makes none of them preferred.
    let regional = config("", "r", true);
    assert_eq!(subscribed(&regional, Some(&at("", "r"))), "SUB t c 60000ms 0%, Zone as Region");
    assert_eq!(subscribed(&regional, Some(&at("", "s"))), "SUB t c 60000ms 0%, Zone as Anywhere");
    assert_eq!(subscribed(&regional, None), nobody);
}

#[test]
fn upgrades_come_one_by_one_tls_below() {
    let mut peer = capable();
    let json = r#"{"feature_negotiation":true,"tls_v1":true,"deflate":true,"deflate_level":3}"#;
    peer.send([identify(json), b"lost in the reference".to_vec()].concat()).asks(&["Tls"]);
    assert!(frames(&std::mem::take(&mut peer.out))[0].contains(r#""tls_v1":true,"deflate":true,"deflate_level":3"#));
    assert!(!peer.session.wants_input());
    peer.input.clear();
    peer.upgraded(Ok(())).recv(&["OK"]).asks(&["Deflate { level: 3 }"]);
    peer.upgraded(Ok(())).recv(&["OK"]).asks(&[]);
    let info = peer.session.info().unwrap();
    assert_eq!((info.tls, info.deflate, info.snappy), (true, true, false));
    peer.send(publish("t", "x")).recv(&["OK"]);
}

#[test]
fn features_are_granted_only_when_negotiated_and_offered() {
    let mut peer = capable();
    peer.send(identify(r#"{"tls_v1":true,"snappy":true,"deflate":true}"#)).recv(&["OK"]).asks(&[]);
    let both = r#"{"feature_negotiation":true,"tls_v1":true,"snappy":true,"deflate":true}"#;
    let error = "E_IDENTIFY_FAILED cannot enable both deflate and snappy compression";
    peer.send(identify(both)).recv(&[error]).closed();
    let mut peer = capable();
    peer.send(identify(r#"{"feature_negotiation":true,"deflate":true,"deflate_level":9}"#));
    assert!(frames(&peer.out)[0].contains(r#""deflate":true,"deflate_level":6"#));
    peer.asks(&["Deflate { level: 6 }"]);
}

#[test]
fn a_failed_upgrade_is_fatal() {
    let mut peer = capable();
    peer.send(identify(r#"{"feature_negotiation":true,"tls_v1":true}"#));
    peer.out.clear();
    peer.upgraded(Err("tls: bad certificate"))
        .recv(&["E_IDENTIFY_FAILED IDENTIFY failed tls: bad certificate"])
        .closed();

    let mut peer = capable();
    peer.send(identify(r#"{"feature_negotiation":true,"tls_v1":true}"#));
    peer.out.clear();
    peer.until(4999).open().until(5000).recv(&["E_IDENTIFY_FAILED IDENTIFY failed i/o timeout"]).closed();
}
