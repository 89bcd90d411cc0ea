//! AUTH, and what needs it.

use std::time::Duration;

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::session::Permissions;

/// Publishing to `p...`, subscribing to `s...` on channel `c`.
#[derive(Debug)]
struct Rules;

impl Permissions for Rules {
    fn allow(&self, topic: &str, channel: Option<&str>) -> bool {
        match channel {
            None => topic.starts_with('p'),
            Some(channel) => topic.starts_with('s') && channel == "c",
        }
    }
}

fn grant() -> Grant {
    Grant {
        identity: "me".to_owned(),
        identity_url: "http://x/?a&b".to_owned(),
        permission_count: 2,
        ttl: Duration::from_secs(10),
        permissions: Arc::new(Rules),
    }
}

fn guarded() -> Peer {
    let mut peer = Peer::with(Config::default(), Features { auth: true, ..Features::default() });
    peer.send("  V2");
    peer
}

fn authorized() -> Peer {
    let mut peer = guarded();
    peer.send(with_body("AUTH", "secret")).asks(&["AUTH secret"]).recv(&[]);
    let reply = r#"{"identity":"me","identity_url":"http://x/?a\u0026b","permission_count":2}"#;
    peer.authorized(Some(grant())).recv(&[reply]);
    peer
}

#[test]
fn auth_comes_first() {
    guarded().send("SUB s c\n").recv(&["E_AUTH_FIRST AUTH required before SUB"]).closed();
    guarded().send("MPUB p\n").recv(&["E_AUTH_FIRST AUTH required before MPUB"]).closed();
    guarded().send("PUB p\n").recv(&[]).send("\0\0\0\x01x").recv(&["E_AUTH_FIRST AUTH required before PUB"]).closed();
    guarded().send(with_body("DPUB p 1", "x")).recv(&["E_AUTH_FIRST AUTH required before DPUB"]).closed();
}

#[test]
fn auth_checks() {
    guarded().send("AUTH \n").recv(&["E_INVALID AUTH invalid number of parameters"]).closed();
    guarded().send("AUTH\n\0\0\0\0").recv(&["E_BAD_BODY AUTH invalid body size 0"]).closed();
    guarded().send("AUTH\n\0\x01\0\x01").recv(&["E_BAD_BODY AUTH body too big 65537 > 65536"]).closed();
    let longest = "x".repeat(65536);
    guarded().send(with_body("AUTH", &longest)).asks(&[&format!("AUTH {longest}")]);
    Peer::new().send(with_body("AUTH", "x")).recv(&["E_AUTH_DISABLED AUTH disabled"]).closed();
    authorized().send(with_body("AUTH", "x")).recv(&["E_INVALID AUTH already set"]).closed();
    guarded().send(with_body("AUTH", "x")).authorized(None).recv(&["E_AUTH_FAILED AUTH failed"]).closed();
    let nobody = Grant { permission_count: 0, ..grant() };
    let error = "E_UNAUTHORIZED AUTH no authorizations found";
    guarded().send(with_body("AUTH", "x")).authorized(Some(nobody)).recv(&[error]).closed();
}

#[test]
fn identify_tells_that_auth_is_wanted() {
    let mut peer = guarded();
    peer.send(with_body("IDENTIFY", r#"{"feature_negotiation":true}"#));
    assert!(frames(&peer.out)[0].contains(r#""auth_required":true"#));
}

#[test]
fn a_grant_is_asked_for_each_topic() {
    let mut peer = authorized();
    assert_eq!(peer.session.grant().unwrap().identity, "me");
    peer.send(publish("p1", "x")).recv(&["OK"]).send(publish("q", "x"));
    peer.recv(&[r#"E_UNAUTHORIZED AUTH failed for PUB on "q" """#]).closed();
    authorized().send("SUB s d\n").recv(&[r#"E_UNAUTHORIZED AUTH failed for SUB on "s" "d""#]).closed();
    authorized().send("SUB s c\n").recv(&["OK"]).open();
}

#[test]
fn an_expired_grant_is_renewed_before_the_command_goes_on() {
    for cut in [0, 4, 9] {
        let command = publish("p", "x");
        let mut peer = authorized();
        peer.until(9_999).send(publish("p", "w")).recv(&["OK"]).asks(&["PUB p w"]);
        peer.until(10_000).send(&command[..cut]).send(&command[cut..]).recv(&[]).asks(&["AUTH secret"]);
        peer.send(publish_many("p", &[b"y"])).asks(&[]);
        peer.authorized(Some(grant())).recv(&["OK", "OK"]).asks(&["PUB p x", "PUB p y"]);
    }
    let mut peer = authorized();
    peer.until(10_000).send(publish("p", "x")).authorized(None).recv(&["E_AUTH_FAILED AUTH failed"]).closed();
}
