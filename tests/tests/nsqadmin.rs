//! nsqadmin against daemons: what it says of a cluster, what it does to it, and what it makes of those that do not answer.
//!
//! With `SANSQ_NSQADMIN` these run on another one; where it is the reference, those that `docs/differences.md` names fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::time::{Duration, Instant};

use rustix::process::Signal;
use sansq_tests::client::{connect, eventually, publish, stats};
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http;
use sansq_tests::lookupd::{Lookupd, Registrar};
use sansq_tests::nsqadmin::Admin;
use sansq_tests::nsqd::Nsqd;
use sansq_tests::web::Server;
use serde_json::{Value, json};

/// Nobody listens on the port of tcpmux any more.
const NOBODY: &str = "127.0.0.1:1";

/// nsqds that register with an nsqlookupd, and an nsqadmin that asks it.
struct Cluster {
    lookupd: Lookupd,
    nsqds: Vec<Daemon>,
    admin: Admin,
}

impl Cluster {
    fn start(nsqds: usize, flags: &[&str]) -> Cluster {
        let lookupd = Lookupd::start(&[]).unwrap();
        let nsqds: Vec<Daemon> = (0..nsqds).map(|_| nsqd_of(&lookupd)).collect();
        let admin = admin_of(&[lookupd.http.to_string()], flags);
        Cluster { lookupd, nsqds, admin }
    }

    /// Publishes to every nsqd, and creates a channel there first, if one is named; returns when it is known.
    fn publish(&self, topic: &str, channel: &str, bodies: &[&str]) {
        for nsqd in &self.nsqds {
            post(nsqd, &format!("/topic/create?topic={topic}"));
            if !channel.is_empty() {
                post(nsqd, &format!("/channel/create?topic={topic}&channel={channel}"));
            }
            let mut connection = connect(nsqd, "").unwrap();
            for body in bodies {
                publish(&mut connection, topic, body.as_bytes()).unwrap();
            }
        }
        let known = || {
            self.lookupd.producers(topic).len() == self.nsqds.len()
                && (channel.is_empty() || self.lookupd.channels(topic).iter().any(|own| own == channel))
        };
        assert!(eventually(known));
    }

    fn name(&self, index: usize) -> String {
        self.nsqds[index].http.to_string()
    }
}

fn nsqd_of(lookupd: &Lookupd) -> Daemon {
    registered(Setup::new().unwrap(), lookupd)
}

fn registered(setup: Setup, lookupd: &Lookupd) -> Daemon {
    let flags = ["--broadcast-address=127.0.0.1".to_owned(), format!("--lookupd-tcp-address={}", lookupd.tcp)];
    let nsqd = setup.flags(flags).start().unwrap();
    let known = || lookupd.ask("/nodes").unwrap().to_string().contains(&format!(":{}", nsqd.http.port()));
    assert!(eventually(known));
    nsqd
}

fn admin_of(lookupds: &[String], flags: &[&str]) -> Admin {
    let flags = lookupds.iter().map(|lookupd| format!("--lookupd-http-address={lookupd}")).chain(words(flags));
    Admin::start(&flags.collect::<Vec<_>>()).unwrap()
}

fn admin_of_nsqds(nsqds: &[&Daemon], flags: &[&str]) -> Admin {
    let flags = nsqds.iter().map(|nsqd| format!("--nsqd-http-address={}", nsqd.http)).chain(words(flags));
    Admin::start(&flags.collect::<Vec<_>>()).unwrap()
}

fn words<'a>(flags: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    flags.iter().map(ToString::to_string)
}

fn post(nsqd: &Daemon, target: &str) {
    assert_eq!(http::post(nsqd.http, target, b"").unwrap().status, 200, "{target}");
}

fn message(text: &str) -> Value {
    json!({"message": text})
}

/// What an action that everybody carried out is answered with.
fn done() -> (u16, Value) {
    (200, message(""))
}

fn warns(answer: &Value) -> bool {
    answer["message"].as_str().unwrap().starts_with("WARNING: ")
}

#[test]
fn what_makes_no_sense_ends_it() {
    let said = |flags: &[&str]| {
        let (status, log) = Admin::run_to_exit(flags).unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        log
    };
    let start = "FATAL: failed to instantiate nsqadmin - ";
    let required = "--nsqd-http-address or --lookupd-http-address required";
    assert!(said(&[]).contains(&format!("{start}{required}")));
    let both = said(&["--nsqd-http-address=127.0.0.1:1", "--lookupd-http-address=127.0.0.1:1"]);
    assert!(both.contains("use --nsqd-http-address or --lookupd-http-address not both"), "{both}");
    let half = said(&["--nsqd-http-address=127.0.0.1:1", "--http-client-tls-cert=c"]);
    assert!(half.contains("--http-client-tls-key must be specified with --http-client-tls-cert"), "{half}");
    let nowhere = said(&["--lookupd-http-address=127.0.0.1"]);
    assert!(nowhere.contains("failed to resolve --lookupd-http-address (127.0.0.1) - "), "{nowhere}");
    let network = said(&["--nsqd-http-address=127.0.0.1:1", "--allow-config-from-cidr=x"]);
    assert!(network.contains("failed to parse --allow-config-from-cidr (x) - "), "{network}");
    let authority = said(&["--nsqd-http-address=127.0.0.1:1", "--http-client-tls-root-ca-file=/nowhere.pem"]);
    assert!(authority.contains("/nowhere.pem"), "{authority}");
    let open = said(&["--nsqd-http-address=127.0.0.1:1", "x", "--admin-user=ann"]);
    assert!(open.contains("would be ignored"), "{open}");
}

#[test]
fn pages_and_their_files_are_served() {
    let nsqd = Daemon::start(&[]).unwrap();
    let admin = admin_of_nsqds(&[&nsqd], &[]);
    let get = |target: &str, headers: &[(&str, &str)]| admin.exchange("GET", target, "", headers).unwrap();
    for page in ["/", "/topics", "/topics/t", "/topics/t/c", "/nodes", "/nodes/[::1]:4151", "/counter", "/lookup"] {
        let response = get(page, &[]);
        assert_eq!((response.status, response.header("content-type").unwrap()), (200, "text/html; charset=utf-8"));
        let text = String::from_utf8(response.body).unwrap();
        assert!(text.contains(r#""is_admin":true"#) && !text.contains("{{"), "{text}");
    }
    assert_eq!(admin.send("GET", "/ping", "").unwrap(), (200, "OK".into()));
    let file = get("/static/index.html", &[]);
    let tag = file.header("etag").unwrap().to_owned();
    assert_eq!(get("/static/index.html", &[("If-None-Match", &tag)]).status, 304);
    for name in ["/static/nope", "/fonts/nope", "/static/..%2Findex.html", "/static/%2e%2e"] {
        let response = get(name, &[]);
        assert_eq!(response.status, 404, "{name}");
    }
    let missing = get("/static/nope", &[]);
    assert_eq!(missing.body, b"NOT_FOUND");
    assert!(missing.header("content-type").unwrap().starts_with("text/plain"));
    for (accepted, encoding) in [("deflate, gzip", Some("deflate")), ("gzip", Some("gzip")), ("gzip;q=1", None)] {
        let response = get("/api/topics", &[("Accept-Encoding", accepted)]);
        assert_eq!(response.header("content-encoding"), encoding, "{accepted}");
        assert_eq!(response.header("x-nsq-content-type"), Some("nsq; version=1.0"));
    }
}

#[test]
fn everything_is_below_the_base_path() {
    let nsqd = Daemon::start(&[]).unwrap();
    let admin = admin_of_nsqds(&[&nsqd], &["--base-path=adm/"]);
    let page = admin.exchange("GET", "/adm", "", &[]).unwrap();
    assert_eq!(page.status, 200);
    assert!(String::from_utf8(page.body).unwrap().contains(r#""base_path":"/adm""#));
    let moved = admin.exchange("GET", "/adm/", "", &[]).unwrap();
    assert_eq!((moved.status, moved.header("location")), (301, Some("/adm")));
    assert_eq!(admin.send("GET", "/", "").unwrap(), (404, message("NOT_FOUND")));
    assert_eq!(admin.send("GET", "/api/topics", "").unwrap().0, 404);
    assert_eq!(admin.ask("/adm/api/topics").unwrap(), json!({"topics": [], "message": ""}));
}

#[test]
fn a_topic_is_shown_over_all_nsqds() {
    let cluster = Cluster::start(2, &[]);
    cluster.publish("t", "c", &["1", "2"]);
    let admin = &cluster.admin;
    assert_eq!(admin.ask("/api/topics").unwrap(), json!({"topics": ["t"], "message": ""}));
    let topic = admin.ask("/api/topics/t").unwrap();
    assert_eq!((&topic["node"], &topic["message_count"], &topic["message"]), (&json!("*"), &json!(4), &json!("")));
    let channel = &topic["channels"][0];
    assert_eq!(
        (&channel["channel_name"], &channel["depth"], &channel["clients"]),
        (&json!("c"), &json!(4), &Value::Null)
    );
    // Each nsqd's own numbers are its own, in the topic and in the channel.
    for nodes in [&topic["nodes"], &channel["nodes"]] {
        let mut named: Vec<&str> =
            nodes.as_array().unwrap().iter().map(|node| node["node"].as_str().unwrap()).collect();
        named.sort_unstable();
        let mut expected = [cluster.name(0), cluster.name(1)];
        expected.sort();
        assert_eq!(named, expected);
    }
    assert_eq!(topic["nodes"][0]["channels"][0]["message_count"], 2);
    let channel = admin.ask("/api/topics/t/c").unwrap();
    assert_eq!((&channel["depth"], &channel["clients"], &channel["message"]), (&json!(4), &json!([]), &json!("")));
    let nodes = admin.ask("/api/nodes").unwrap();
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 2);
    let node = &nodes["nodes"][0];
    assert_eq!(node["topics"], json!([{"topic": "t", "tombstoned": false}]));
    let address = format!("{}/{}", cluster.lookupd.http, node["remote_address"].as_str().unwrap());
    assert_eq!(node["remote_addresses"], json!([address]));
    let node = admin.ask(&format!("/api/nodes/{}", cluster.name(0))).unwrap();
    assert_eq!((&node["total_messages"], &node["total_clients"]), (&json!(2), &json!(0)));
    assert_eq!(node["topics"][0]["channels"][0]["depth"], 2);
    let counter = admin.ask("/api/counter").unwrap();
    let key = format!("t:c:{}", cluster.name(1));
    let expected = json!({"node": cluster.name(1), "topic_name": "t", "channel_name": "c", "message_count": 2});
    assert_eq!(counter["stats"][&key], expected);
}

#[test]
fn what_nobody_knows_is_not_found() {
    let cluster = Cluster::start(1, &[]);
    cluster.publish("t", "c", &[]);
    cluster.lookupd.send("POST", "/channel/create?topic=lonely&channel=x").unwrap();
    let direct = admin_of_nsqds(&[&cluster.nsqds[0]], &[]);
    for admin in [&cluster.admin, &direct] {
        for (target, said) in [
            ("/api/topics/nope", "TOPIC_NOT_FOUND"),
            ("/api/topics/nope/c", "TOPIC_NOT_FOUND"),
            ("/api/topics/t/nope", "CHANNEL_NOT_FOUND"),
            ("/api/nodes/nope:1", "NODE_NOT_FOUND"),
            ("/api/nope", "NOT_FOUND"),
        ] {
            assert_eq!(admin.send("GET", target, "").unwrap(), (404, message(said)), "{target}");
        }
    }
    let empty = cluster.admin.ask("/api/topics/lonely").unwrap();
    assert_eq!((&empty["message_count"], &empty["nodes"], &empty["channels"]), (&json!(0), &json!([]), &json!([])));
    let inactive = cluster.admin.ask("/api/topics?inactive=true").unwrap();
    assert_eq!(inactive, json!({"topics": {"lonely": ["x"]}, "message": ""}));
    assert_eq!(direct.ask("/api/topics?inactive=true").unwrap(), json!({"topics": {}, "message": ""}));
}

#[test]
fn one_nsqlookupd_that_is_down_is_a_warning_and_all_are_an_error() {
    let cluster = Cluster::start(1, &[]);
    cluster.publish("t", "c", &[]);
    let some = admin_of(&[NOBODY.to_owned(), cluster.lookupd.http.to_string()], &[]);
    for target in ["/api/topics", "/api/topics/t", "/api/topics/t/c", "/api/nodes", "/api/counter"] {
        let answer = some.ask(target).unwrap();
        assert!(warns(&answer), "{target}: {answer}");
    }
    assert_eq!(some.ask("/api/topics").unwrap()["topics"], json!(["t"]));
    let none = admin_of(&[NOBODY.to_owned()], &[]);
    for target in ["/api/topics", "/api/topics/t", "/api/topics/t/c", "/api/nodes", "/api/counter"] {
        let (status, answer) = none.send("GET", target, "").unwrap();
        let said = answer["message"].as_str().unwrap();
        assert_eq!(status, 502, "{target}");
        assert!(said.starts_with("UPSTREAM_ERROR: failed to query any nsqlookupd: "), "{target}: {said}");
    }
}

#[test]
fn an_nsqd_that_hangs_costs_its_part_and_no_more_than_its_time() {
    let cluster = Cluster::start(2, &["--http-client-request-timeout=400ms"]);
    cluster.publish("t", "c", &["x"]);
    cluster.nsqds[1].signal(Signal::STOP).unwrap();
    for target in ["/api/topics/t", "/api/topics/t/c", "/api/counter"] {
        let asked = Instant::now();
        let answer = cluster.admin.ask(target).unwrap();
        assert!(warns(&answer), "{target}: {answer}");
        assert!(asked.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(cluster.admin.ask("/api/topics/t").unwrap()["message_count"], 1);
    let (status, answer) = cluster.admin.send("GET", &format!("/api/nodes/{}", cluster.name(1)), "").unwrap();
    assert_eq!(status, 502, "{answer}");
    cluster.nsqds[1].signal(Signal::CONT).unwrap();
    assert!(eventually(|| cluster.admin.ask("/api/topics/t").unwrap()["message"] == ""));
}

#[test]
fn actions_reach_every_nsqd() {
    let cluster = Cluster::start(2, &[]);
    cluster.publish("t", "c", &["1", "2"]);
    let admin = &cluster.admin;
    let act = |target: &str, action: &str| admin.send("POST", target, &json!({"action": action}).to_string()).unwrap();
    let everywhere =
        |holds: &dyn Fn(&Value) -> bool| cluster.nsqds.iter().all(|nsqd| holds(&stats(nsqd, "t").unwrap()));
    assert_eq!(act("/api/topics/t", "pause"), done());
    assert!(everywhere(&|topic| topic["paused"] == true));
    assert_eq!(act("/api/topics/t", "unpause"), done());
    assert!(everywhere(&|topic| topic["paused"] == false));
    assert_eq!(act("/api/topics/t/c", "pause"), done());
    assert!(everywhere(&|topic| topic["channels"][0]["paused"] == true));
    assert_eq!(act("/api/topics/t/c", "unpause"), done());
    assert_eq!(act("/api/topics/t/c", "empty"), done());
    assert!(everywhere(&|topic| topic["channels"][0]["depth"] == 0 && topic["channels"][0]["paused"] == false));
    assert_eq!(act("/api/topics/t", "empty"), done());

    let (status, absent) = act("/api/topics/t/nope", "pause");
    assert!(status == 200 && warns(&absent), "{absent}");
    assert!(absent["message"].as_str().unwrap().contains("404"), "{absent}");
    assert_eq!(act("/api/topics/nope", "pause"), (404, message("TOPIC_NOT_FOUND")));

    assert_eq!(admin.send("DELETE", "/api/topics/t/c", "").unwrap(), done());
    assert!(everywhere(&|topic| topic["channels"] == json!([])));
    assert!(cluster.lookupd.channels("t").is_empty());
    assert_eq!(admin.send("DELETE", "/api/topics/t", "").unwrap(), done());
    assert_eq!(admin.ask("/api/topics").unwrap()["topics"], json!([]));
    assert_eq!(admin.send("GET", "/api/topics/t", "").unwrap().0, 404);
}

/// With the reference's daemons, where there are any: all that is asked of them is recorded in the tests above.
#[test]
fn mixed_clusters_are_shown_and_changed() {
    let other = Nsqd::other().unwrap();
    match Lookupd::other(&[]).unwrap() {
        Some(lookupd) => check_mixed(lookupd, other.as_ref()),
        None => println!("no other nsqlookupd: neither SANSQ_OTHER_NSQLOOKUPD, nor one on PATH"),
    }
    match &other {
        Some(other) => check_mixed(Lookupd::start(&[]).unwrap(), Some(other)),
        None => println!("no other nsqd: SANSQ_OTHER_NSQD is not set"),
    }
}

/// Our nsqadmin over this nsqlookupd, an nsqd of ours, and one of the others if there is one.
fn check_mixed(lookupd: Lookupd, other: Option<&Nsqd>) {
    let mut nsqds = vec![nsqd_of(&lookupd)];
    nsqds.extend(other.map(|other| registered(Setup::of(other).unwrap(), &lookupd)));
    let admin = admin_of(&[lookupd.http.to_string()], &[]);
    let cluster = Cluster { lookupd, nsqds, admin };
    cluster.publish("t", "c", &["1", "2"]);
    let (count, admin) = (cluster.nsqds.len(), &cluster.admin);
    assert_eq!(admin.ask("/api/topics").unwrap(), json!({"topics": ["t"], "message": ""}));
    assert_eq!(admin.ask("/api/nodes").unwrap()["nodes"].as_array().unwrap().len(), count);
    let channel = admin.ask("/api/topics/t/c").unwrap();
    assert_eq!((&channel["depth"], channel["nodes"].as_array().unwrap().len()), (&json!(2 * count), count));
    let act = |action: &str| admin.send("POST", "/api/topics/t/c", &json!({"action": action}).to_string()).unwrap();
    assert_eq!((act("pause"), act("empty")), (done(), done()));
    let channel = admin.ask("/api/topics/t/c").unwrap();
    assert_eq!((&channel["depth"], &channel["paused"]), (&json!(0), &json!(true)));
    assert_eq!(admin.send("DELETE", "/api/topics/t", "").unwrap(), done());
    assert!(eventually(|| admin.ask("/api/topics").unwrap()["topics"] == json!([])));
}

#[test]
fn topics_and_channels_are_created() {
    let cluster = Cluster::start(1, &[]);
    let create = |admin: &Admin, body: &str| admin.send("POST", "/api/topics", body).unwrap();
    assert_eq!(create(&cluster.admin, r#"{"topic":"new","channel":"c"}"#), done());
    assert_eq!(cluster.lookupd.channels("new"), ["c"]);
    // Where there is nobody to tell nsqds of it, they are told.
    let direct = admin_of_nsqds(&[&cluster.nsqds[0]], &[]);
    assert_eq!(create(&direct, r#"{"topic":"mine"}"#), done());
    assert_eq!(create(&direct, r#"{"topic":"mine","channel":"c"}"#), done());
    assert_eq!(stats(&cluster.nsqds[0], "mine").unwrap()["channels"][0]["channel_name"], "c");
    for (body, status, said) in [
        ("", 400, "EOF"),
        (" \n", 400, "EOF"),
        ("{", 400, "unexpected EOF"),
        (r#"{"topic":"b$"}"#, 400, "INVALID_TOPIC"),
        ("{}", 400, "INVALID_TOPIC"),
        (r#"{"topic":"t","channel":"c d"}"#, 400, "INVALID_CHANNEL"),
    ] {
        assert_eq!(create(&cluster.admin, body), (status, message(said)), "{body:?}");
    }
    assert_eq!(create(&cluster.admin, "nonsense").0, 400);
    let act = |body: &str| cluster.admin.send("POST", "/api/topics/new", body).unwrap();
    assert_eq!(act(r#"{"action":"foo"}"#), (400, message("INVALID_ACTION")));
    assert_eq!(act(""), (400, message("EOF")));
    let node = format!("/api/nodes/{}", cluster.name(0));
    assert_eq!(cluster.admin.send("DELETE", &node, "{").unwrap(), (400, message("INVALID_BODY")));
    assert_eq!(cluster.admin.send("DELETE", &node, "{}").unwrap(), (400, message("INVALID_TOPIC")));
}

#[test]
fn an_nsqd_is_taken_out_of_a_topic() {
    let cluster = Cluster::start(2, &["--http-client-request-timeout=400ms"]);
    cluster.publish("t", "c", &[]);
    let take_out = |index: usize| {
        let node = format!("/api/nodes/{}", cluster.name(index));
        cluster.admin.send("DELETE", &node, r#"{"topic":"t"}"#).unwrap()
    };
    assert_eq!(take_out(0), done());
    assert_eq!(stats(&cluster.nsqds[0], "t").unwrap_or_default(), Value::Null);
    assert_eq!(cluster.lookupd.producers("t"), [u64::from(cluster.nsqds[1].tcp.port())]);
    // One that does not answer is hidden nevertheless, and what it did not do is said.
    cluster.nsqds[1].signal(Signal::STOP).unwrap();
    let (status, answer) = take_out(1);
    assert!(status == 200 && warns(&answer), "{answer}");
    assert!(cluster.lookupd.producers("t").is_empty());
    let nodes = cluster.admin.ask("/api/nodes").unwrap()["nodes"].to_string();
    assert!(nodes.contains(r#"{"topic":"t","tombstoned":true}"#), "{nodes}");
    cluster.nsqds[1].signal(Signal::CONT).unwrap();
    let unknown = cluster.admin.send("DELETE", "/api/nodes/nope:1", r#"{"topic":"t"}"#).unwrap();
    assert_eq!(unknown, (404, message("NODE_NOT_FOUND")));
}

#[test]
fn only_admins_act() {
    let cluster = Cluster::start(1, &["--admin-user=ann", "--admin-user=bob", "--acl-http-header=X-User"]);
    cluster.publish("t", "c", &[]);
    let admin = &cluster.admin;
    let forbidden = (403, message("FORBIDDEN"));
    for (method, target) in [
        ("POST", "/api/topics"),
        ("POST", "/api/topics/t"),
        ("POST", "/api/topics/t/c"),
        ("DELETE", "/api/topics/t"),
        ("DELETE", "/api/topics/t/c"),
        ("DELETE", "/api/nodes/x:1"),
        ("GET", "/api/topics/t/c/peek"),
        ("GET", "/api/topics/t/peek?limit=1"),
    ] {
        for headers in [&[][..], &[("X-User", "eve")], &[("X-Forwarded-User", "ann")]] {
            let answer = admin.send_with(method, target, "{", headers).unwrap();
            assert_eq!(answer, forbidden, "{method} {target} {headers:?}");
        }
    }
    let body = r#"{"topic":"new"}"#;
    assert_eq!(admin.send_with("POST", "/api/topics", body, &[("X-User", "bob")]).unwrap(), done());
    assert!(admin.ask("/api/topics/t").is_ok(), "everybody may look");
    let page =
        |headers: &[(&str, &str)]| String::from_utf8(admin.exchange("GET", "/", "", headers).unwrap().body).unwrap();
    assert!(page(&[]).contains(r#""is_admin":false,"user":null"#));
    assert!(page(&[("X-User", "ann")]).contains(r#""is_admin":true,"user":"ann""#));
}

#[test]
fn pages_of_other_sites_cannot_act() {
    let cluster = Cluster::start(1, &[]);
    let host = cluster.admin.http.to_string();
    let ours = format!("http://{host}");
    let create = |headers: &[(&str, &str)]| {
        cluster.admin.send_with("POST", "/api/topics", r#"{"topic":"t"}"#, headers).unwrap().0
    };
    assert_eq!(create(&[("Origin", "http://elsewhere.example")]), 403);
    assert_eq!(create(&[("Origin", "null")]), 403);
    assert_eq!(create(&[("Sec-Fetch-Site", "cross-site")]), 403);
    assert!(cluster.admin.ask("/api/topics").unwrap()["topics"] == json!([]));
    assert_eq!(create(&[("Origin", &ours)]), 200);
    assert_eq!(create(&[("Origin", "https://nsq.example"), ("X-Forwarded-Host", "nsq.example")]), 200);
    assert_eq!(create(&[("Origin", &ours), ("Sec-Fetch-Site", "same-origin")]), 200);
}

/// What common proxies make of a request for a page at `https://nsq.example:8443` or `http://nsq.example`, of a browser
/// that says nothing but `Origin`.
#[test]
fn pages_behind_common_proxies_can_act() {
    let cluster = Cluster::start(1, &[]);
    for (origin, told) in [
        // nginx: Host $host, Host $host:$server_port.
        ("https://nsq.example:8443", &[("Host", "nsq.example")][..]),
        ("https://nsq.example", &[("Host", "nsq.example:80"), ("X-Forwarded-Proto", "https")]),
        ("http://nsq.example", &[("Host", "NSQ.example:80")]),
        // Apache behind another proxy, which lists what they were asked for.
        ("https://nsq.example:8443", &[("X-Forwarded-Host", "nsq.example:8443, inside")]),
        // Load balancers that tell the port by itself.
        ("https://nsq.example:8443", &[("Host", "nsq.example:4171"), ("X-Forwarded-Port", "8443")]),
        ("https://[2001:db8::1]:8443", &[("Host", "[2001:DB8::1]"), ("X-Forwarded-Port", "8443")]),
        ("https://nsq.example:8443", &[("Forwarded", "for=10.0.0.9;host=\"nsq.example:8443\";proto=https")]),
    ] {
        let create = |origin: &str| {
            let headers: Vec<_> = told.iter().copied().chain([("Origin", origin)]).collect();
            cluster.admin.send_with("POST", "/api/topics", r#"{"topic":"t"}"#, &headers).unwrap().0
        };
        assert_eq!(create(origin), 200, "{origin} {told:?}");
        for other in ["https://elsewhere.example:8443", "http://nsq.example.elsewhere.example", "null"] {
            assert_eq!(create(other), 403, "{other} {told:?}");
        }
    }
}

#[test]
fn actions_are_told() {
    let endpoint = Server::start("500 Whatever", "").unwrap();
    let cluster = Cluster::start(1, &[&format!("--notification-http-endpoint=http://{}/told?x=1", endpoint.address)]);
    let admin = &cluster.admin;
    admin.send("POST", "/api/topics", r#"{"topic":"t","channel":"c"}"#).unwrap();
    let next = || {
        let asked = endpoint.next_asked().unwrap();
        assert!(asked.head.starts_with("POST /told?x=1 HTTP/1.1\r\n"), "{}", asked.head);
        assert!(asked.head.to_lowercase().contains("content-type: application/json\r\n"), "{}", asked.head);
        serde_json::from_str::<Value>(&asked.body).unwrap()
    };
    let first = next();
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["action", "topic", "timestamp", "remote_ip", "user_agent", "url", "via"]);
    assert_eq!((&first["action"], &first["topic"]), (&json!("create_topic"), &json!("t")));
    assert_eq!(first["url"], format!("http://{}/api/topics", admin.http));
    let second = next();
    assert_eq!((&second["action"], &second["channel"]), (&json!("create_channel"), &json!("c")));
    cluster.publish("t", "c", &[]);
    let basic = ("Authorization", "Basic YW5uOnNlY3JldA==");
    for (method, target, body, action) in [
        ("POST", "/api/topics/t", r#"{"action":"pause"}"#, "pause_topic"),
        ("POST", "/api/topics/t/c", r#"{"action":"empty"}"#, "empty_channel"),
        // Also when it fails.
        ("POST", "/api/topics/nope", r#"{"action":"unpause"}"#, "unpause_topic"),
        ("DELETE", "/api/topics/t/c", "", "delete_channel"),
        ("DELETE", &format!("/api/nodes/{}", cluster.name(0)), r#"{"topic":"t"}"#, "tombstone_topic_producer"),
    ] {
        admin.send_with(method, target, body, &[basic]).unwrap();
        let told = next();
        assert_eq!((&told["action"], &told["user"]), (&json!(action), &json!("ann")));
        assert_eq!(told["node"].is_string(), action == "tombstone_topic_producer");
    }
}

#[test]
fn an_endpoint_that_is_down_harms_nobody() {
    let cluster = Cluster::start(1, &[&format!("--notification-http-endpoint=http://{NOBODY}/")]);
    for _ in 0..3 {
        assert_eq!(cluster.admin.send("POST", "/api/topics", r#"{"topic":"t"}"#).unwrap(), done());
    }
    cluster.admin.wait_log("NOTIFICATION: create_topic of \"t\": ").unwrap();
    assert_eq!(cluster.admin.send("GET", "/ping", "").unwrap(), (200, "OK".into()));
}

#[test]
fn options_can_be_read_and_two_of_them_changed() {
    let cluster = Cluster::start(1, &[]);
    cluster.publish("t", "", &[]);
    let config =
        |method: &str, name: &str, body: &str| cluster.admin.send(method, &format!("/config/{name}"), body).unwrap();
    assert_eq!(config("GET", "nsqlookupd_http_addresses", "").1, json!([cluster.lookupd.http.to_string()]));
    assert_eq!(config("PUT", "log_level", "debug").0, 200);
    assert_eq!(config("PUT", "nsqd_http_addresses", "[]"), (400, message("INVALID_OPTION")));
    assert_eq!(config("PUT", "log_level", "loud"), (400, message("INVALID_VALUE")));
    assert_eq!(config("PUT", "log_level", ""), (413, message("INVALID_VALUE")));
    let two = json!([NOBODY, cluster.lookupd.http.to_string()]);
    assert_eq!(config("PUT", "nsqlookupd_http_addresses", &two.to_string()), (200, two));
    assert!(warns(&cluster.admin.ask("/api/topics").unwrap()));
    let closed = admin_of(&[NOBODY.to_owned()], &["--allow-config-from-cidr=10.0.0.0/8"]);
    assert_eq!(closed.send("GET", "/config/log_level", "").unwrap(), (403, message("FORBIDDEN")));
}

#[test]
fn graphite_is_asked() {
    let graphite = Server::start("200 OK", r#"[{"target":"x","datapoints":[[120.0,1],[7,2]]}]"#).unwrap();
    let url = format!("--graphite-url=http://ann:secret@{}", graphite.address);
    let cluster = Cluster::start(1, &[&url, "--proxy-graphite", "--base-path=/adm"]);
    let get = |target: &str| cluster.admin.send("GET", target, "").unwrap();
    assert_eq!(get("/adm/api/graphite"), (400, message("INVALID_ARG_METRIC")));
    assert_eq!(get("/adm/api/graphite?metric=rate"), (400, message("INVALID_ARG_TARGET")));
    assert_eq!(get("/adm/api/graphite?metric=rate&target=a(b)"), (200, json!({"rate": "2.00"})));
    let asked = graphite.next_asked().unwrap().head;
    assert!(asked.starts_with("GET /render?format=json&from=-120sec&target=a%28b%29&until=-60sec HTTP/1.1"), "{asked}");
    assert!(asked.to_lowercase().contains("authorization: basic yw5uonnly3jlda==\r\n"), "{asked}");
    assert_eq!(get("/adm/render?width=1").0, 200);
    let asked = graphite.next_asked().unwrap().head;
    assert!(asked.starts_with("GET /adm/render?width=1 HTTP/1.1"), "{asked}");
    let down = admin_of(&[NOBODY.to_owned()], &[&format!("--graphite-url=http://{NOBODY}")]);
    let answer = down.send("GET", "/api/graphite?metric=rate&target=x", "").unwrap();
    assert_eq!(answer, (500, message("INTERNAL_ERROR")));
    assert_eq!(down.send("GET", "/render", "").unwrap().0, 404, "only with --proxy-graphite");
}

#[test]
fn messages_that_wait_are_peeked_at_and_wait_on() {
    let cluster = Cluster::start(2, &[]);
    cluster.publish("t", "c", &["hello"]);
    cluster.publish("own", "", &["kept"]);
    let peek = |target: &str| {
        let peeked = cluster.admin.ask(target).unwrap();
        assert_eq!(peeked["message"], "", "{peeked}");
        let messages = peeked["messages"].as_array().unwrap().clone();
        let mut nodes: Vec<String> = messages.iter().map(|it| it["node"].as_str().unwrap().to_owned()).collect();
        nodes.sort();
        (messages[0]["body"].clone(), nodes, peeked["nodes"][0].clone())
    };
    let mut both = vec![cluster.name(0), cluster.name(1)];
    both.sort();
    let (body, nodes, node) = peek("/api/topics/t/c/peek?limit=5");
    assert_eq!((body, nodes), (json!("hello"), both.clone()));
    assert_eq!((&node["supported"], &node["in_memory"], &node["on_disk"]), (&json!(true), &json!(1), &json!(0)));
    let (body, nodes, _) = peek("/api/topics/own/peek?limit=5");
    assert_eq!((body, nodes), (json!("kept"), both));
    let (_, nodes, _) = peek(&format!("/api/topics/t/c/peek?node={}", cluster.name(1)));
    assert_eq!(nodes, [cluster.name(1)]);
    assert_eq!(cluster.admin.ask("/api/topics/t/c").unwrap()["depth"], 2);
}

/// An nsqd of others has no `/channel/peek`; this one has nothing at all.
#[test]
fn messages_of_other_nsqds_cannot_be_peeked_at() {
    let lookupd = Lookupd::start(&[]).unwrap();
    let nsqd = Server::start("404 Not Found", r#"{"message":"NOT_FOUND"}"#).unwrap();
    let mut registrar = Registrar::identified(&lookupd, nsqd.address.port() - 1).unwrap();
    assert_eq!(registrar.say("REGISTER t c").unwrap().as_deref(), Some("OK"));
    let admin = admin_of(&[lookupd.http.to_string()], &["--live-interval=1h"]);
    let node = json!({"node": nsqd.address.to_string(), "supported": false, "in_memory": 0, "on_disk": 0});
    let nothing = json!({"messages": [], "nodes": [node], "message": ""});
    assert_eq!(admin.ask("/api/topics/t/c/peek?limit=5").unwrap(), nothing);
    assert_eq!(admin.ask("/api/topics/t/peek?limit=5").unwrap(), nothing);
    for bad in ["0", "101", "x", "-1"] {
        let answer = admin.send("GET", &format!("/api/topics/t/c/peek?limit={bad}"), "").unwrap();
        assert_eq!(answer, (400, message("INVALID_ARG_LIMIT")));
    }
    let elsewhere = admin.send("GET", "/api/topics/t/c/peek?node=nope:1", "").unwrap();
    assert_eq!(elsewhere, (404, message("NODE_NOT_FOUND")));
}

#[test]
fn addresses_may_be_of_ipv6() {
    let flags = ["--http-address=[::1]:0", "--broadcast-address=::1"];
    let nsqd = Setup::new().unwrap().flags(flags).start().unwrap();
    let name = nsqd.http.to_string();
    assert!(name.starts_with("[::1]:"), "{name}");
    let admin = admin_of_nsqds(&[&nsqd], &[]);
    post(&nsqd, "/topic/create?topic=t");
    post(&nsqd, "/channel/create?topic=t&channel=c");
    assert_eq!(admin.ask("/api/topics/t").unwrap()["nodes"][0]["node"], name);
    assert_eq!(admin.ask(&format!("/api/nodes/{name}")).unwrap()["topics"][0]["topic_name"], "t");
    assert_eq!(admin.ask("/api/counter").unwrap()["stats"][format!("t:c:{name}")]["message_count"], 0);
}
