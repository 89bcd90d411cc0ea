//! Authorization: an nsqd that asks auth servers what its clients may do.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sansq_tests::certificates::Certificates;
use sansq_tests::client::{Answer, PATIENCE, answer, connect, eventually, publish, stats, subscribe};
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::nsqd::Face;
use sansq_tests::tool::run;
use sansq_tests::wire::{Connection, Frame};
use serde_json::{Value, json};

const SECRET: &str = "s3cr&t";

/// What lets its bearer publish to `a` and read `a`/`c`, and nothing else.
const GRANT: &str = r#"{"ttl": 3600, "identity": "ann", "identity_url": "http://ann.test", "authorizations": [
    {"topic": "^a$", "channels": ["^c$", "^$"], "permissions": ["subscribe", "publish"]}]}"#;

/// A server that answers all the same.
struct AuthServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl AuthServer {
    fn start(status: u16, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let heard = asked.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = request(&mut stream) else { continue };
                heard.lock().unwrap().push(request);
                let len = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n");
                // Who asked may have gone.
                drop(stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()));
            }
        });
        Self { address, asked }
    }

    fn flag(&self) -> String {
        format!("--auth-http-address={}", self.address)
    }

    /// The requests so far.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// A request with its body; `None` if there is none.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut request = String::new();
    let mut bytes = [0; 4096];
    loop {
        let len = stream.read(&mut bytes).ok().filter(|len| *len > 0)?;
        request += std::str::from_utf8(&bytes[..len]).ok()?;
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((&request, ""));
        let wanted = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if request.contains("\r\n\r\n") && body.len() >= wanted.unwrap_or(0) {
            return Some(request);
        }
    }
}

/// AUTH, and the answer to it.
fn authorize(connection: &mut Connection) -> Result<Value, String> {
    connection.send_with_body("AUTH\n", SECRET.as_bytes());
    match connection.expect_frame(PATIENCE).unwrap() {
        Frame::Response(reply) => Ok(serde_json::from_slice(&reply).unwrap()),
        Frame::Error(text) => Err(String::from_utf8(text).unwrap()),
        other => panic!("{other:?}"),
    }
}

fn authorized(nsqd: &Daemon) -> Connection {
    let mut connection = connect(nsqd, "").unwrap();
    authorize(&mut connection).unwrap();
    connection
}

fn refusal(text: &str) -> Answer {
    Answer::Error(text.to_owned())
}

#[test]
fn a_client_may_do_what_it_was_granted_and_nothing_else() {
    let server = AuthServer::start(200, GRANT);
    let nsqd = Daemon::start(&[&server.flag()]).unwrap();
    let mut client = connect(&nsqd, "").unwrap();
    let reply = json!({"identity": "ann", "identity_url": "http://ann.test", "permission_count": 1});
    assert_eq!(authorize(&mut client).unwrap(), reply);
    let asked = server.asked().remove(0);
    assert!(
        asked.starts_with("GET /auth?common_name=&remote_ip=127.0.0.1&secret=s3cr%26t&tls=false HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(asked.to_lowercase().contains("\r\naccept: application/vnd.nsq; version=1.0\r\n"), "{asked}");

    assert_eq!(publish(&mut client, "a", b"x").unwrap(), Answer::Ok);
    assert_eq!(publish(&mut client, "aa", b"x").unwrap(), refusal(r#"E_UNAUTHORIZED AUTH failed for PUB on "aa" """#));
    let mut other = authorized(&nsqd);
    other.send(b"SUB a d\n");
    assert_eq!(answer(&mut other).unwrap(), refusal(r#"E_UNAUTHORIZED AUTH failed for SUB on "a" "d""#));

    let mut consumer = authorized(&nsqd);
    subscribe(&mut consumer, "a", "c", 1).unwrap();
    assert_eq!(consumer.expect_message(PATIENCE).unwrap().body, b"x");
    let client = stats(&nsqd, "a").unwrap()["channels"][0]["clients"][0].clone();
    assert_eq!(client["authed"], true, "{client}");
    assert_eq!((&client["auth_identity"], &client["auth_identity_url"]), (&json!("ann"), &json!("http://ann.test")));
}

#[test]
fn nobody_does_anything_before_auth() {
    let server = AuthServer::start(200, GRANT);
    let nsqd = Daemon::start(&[&server.flag()]).unwrap();
    let mut client = connect(&nsqd, "").unwrap();
    client.send_with_body("IDENTIFY\n", br#"{"feature_negotiation": true}"#);
    let Frame::Response(reply) = client.expect_frame(PATIENCE).unwrap() else { panic!("an error") };
    assert_eq!(serde_json::from_slice::<Value>(&reply).unwrap()["auth_required"], true);
    assert_eq!(publish(&mut client, "a", b"x").unwrap(), refusal("E_AUTH_FIRST AUTH required before PUB"));
    let mut client = connect(&nsqd, "").unwrap();
    client.send(b"SUB a c\n");
    assert_eq!(answer(&mut client).unwrap(), refusal("E_AUTH_FIRST AUTH required before SUB"));
    assert!(server.asked().is_empty());
}

#[test]
fn servers_are_asked_until_one_answers() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (broken, right) = (AuthServer::start(500, GRANT), AuthServer::start(200, GRANT));
    let flags = [format!("--auth-http-address={gone}"), broken.flag(), right.flag()];
    let nsqd = Setup::new().unwrap().flags(flags).start().unwrap();
    // With whom it begins is chance.
    for _ in 0..10 {
        assert_eq!(publish(&mut authorized(&nsqd), "a", b"x").unwrap(), Answer::Ok);
    }
    assert_eq!(right.asked().len(), 10);
}

#[test]
fn without_a_usable_answer_nothing_is_granted() {
    for (status, body, why) in [
        (500, GRANT, "answers 500"),
        (302, GRANT, "redirects are not followed"),
        (200, "", "its answer is of no use: it is not what it should be"),
        (200, r#"{"ttl": 0}"#, "the ttl 0"),
        (
            200,
            r#"{"ttl": 9, "authorizations": [{"topic": "("}]}"#,
            "a regular expression that cannot be used: unclosed group",
        ),
    ] {
        let server = AuthServer::start(status, body);
        let nsqd = Daemon::start(&[&server.flag()]).unwrap();
        let mut client = connect(&nsqd, "").unwrap();
        assert_eq!(authorize(&mut client).unwrap_err(), "E_AUTH_FAILED AUTH failed", "{body}");
        if nsqd.face() == Face::Ours {
            nsqd.wait_log(why).unwrap();
            let log = nsqd.log();
            assert!(!log.contains("s3cr"), "{log}");
        }
    }
    let server = AuthServer::start(200, r#"{"ttl": 9}"#);
    let nsqd = Daemon::start(&[&server.flag()]).unwrap();
    let mut client = connect(&nsqd, "").unwrap();
    assert_eq!(authorize(&mut client).unwrap_err(), "E_UNAUTHORIZED AUTH no authorizations found");
}

#[test]
fn a_server_that_does_not_answer_is_waited_for_no_longer_than_was_asked() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--auth-http-address={}", silent.local_addr().unwrap());
    let nsqd = Daemon::start(&[&address, "--http-client-request-timeout=50ms"]).unwrap();
    let mut client = connect(&nsqd, "").unwrap();
    // Commands that are there already wait.
    client.send_with_body("AUTH\n", SECRET.as_bytes());
    client.send_with_body("PUB a\n", b"x");
    assert_eq!(answer(&mut client).unwrap(), refusal("E_AUTH_FAILED AUTH failed"));
}

#[test]
fn a_post_keeps_the_secret_out_of_the_address() {
    let server = AuthServer::start(200, GRANT);
    let address = format!("--auth-http-address=http://{}/who?x=y", server.address);
    let nsqd = Daemon::start(&[&address, "--auth-http-request-method=post"]).unwrap();
    assert_eq!(publish(&mut authorized(&nsqd), "a", b"x").unwrap(), Answer::Ok);
    let asked = server.asked().remove(0);
    assert!(asked.starts_with("POST /who?x=y HTTP/1.1\r\n"), "{asked}");
    for header in ["content-type: application/json", "accept: application/vnd.nsq; version=1.0"] {
        assert!(asked.to_lowercase().contains(&format!("\r\n{header}\r\n")), "{asked}");
    }
    let (_, body) = asked.split_once("\r\n\r\n").unwrap();
    let form = json!({"common_name": [""], "remote_ip": ["127.0.0.1"], "secret": [SECRET], "tls": ["false"]});
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), form);
}

#[test]
fn a_server_may_want_a_password() {
    let server = AuthServer::start(401, GRANT);
    let address = format!("--auth-http-address=http://nsqd:pa55@{}/auth", server.address);
    let nsqd = Daemon::start(&[&address]).unwrap();
    assert_eq!(authorize(&mut connect(&nsqd, "").unwrap()).unwrap_err(), "E_AUTH_FAILED AUTH failed");
    let asked = server.asked().remove(0);
    assert!(asked.to_lowercase().contains("\r\nauthorization: basic bnnxzdpwytu1\r\n"), "{asked}");
    if nsqd.face() == Face::Ours {
        nsqd.wait_log("answers 401").unwrap();
        let log = nsqd.log();
        assert!(!log.contains("pa55") && !log.contains("s3cr"), "{log}");
    }
}

#[test]
fn a_client_is_known_by_its_own_kind_of_address() {
    let server = AuthServer::start(200, GRANT);
    let nsqd = Daemon::start(&[&server.flag(), "--tcp-address=[::ffff:127.0.0.1]:0"]).unwrap();
    let mut client = Connection::open_v2(([127, 0, 0, 1], nsqd.tcp.port()).into()).unwrap();
    authorize(&mut client).unwrap();
    let asked = server.asked().remove(0);
    assert!(asked.contains("&remote_ip=127.0.0.1&"), "{asked}");
}

#[test]
fn a_grant_that_is_over_is_renewed() {
    let short = r#"{"ttl": 1, "authorizations": [{"topic": "", "channels": [""], "permissions": ["publish"]}]}"#;
    let server = AuthServer::start(200, short);
    let nsqd = Daemon::start(&[&server.flag()]).unwrap();
    let mut client = authorized(&nsqd);
    assert_eq!(publish(&mut client, "a", b"x").unwrap(), Answer::Ok);
    assert!(eventually(|| {
        assert_eq!(publish(&mut client, "a", b"x").unwrap(), Answer::Ok);
        server.asked().len() == 2
    }));
}

#[test]
fn a_server_is_told_of_tls_and_of_the_name_in_the_certificate() {
    let server = AuthServer::start(200, GRANT);
    let certificates = Certificates::new("ours").unwrap();
    let pair = certificates.issue("both", "127.0.0.1").unwrap();
    let (cert, key, root) = (pair.cert.display(), pair.key.display(), certificates.root());
    let tls = [
        server.flag(),
        format!("--tls-cert={cert}"),
        format!("--tls-key={key}"),
        "--tls-client-auth-policy=require".to_owned(),
    ];
    let nsqd = Setup::new().unwrap().flags(tls).start().unwrap();
    let options = [
        "tls_v1".to_owned(),
        format!("tls_root_ca_file,{}", root.display()),
        format!("tls_cert,{cert}"),
        format!("tls_key,{key}"),
        format!("auth_secret,{SECRET}"),
    ];
    let mut args = vec!["--topic=a".to_owned(), format!("--nsqd-tcp-address={}", nsqd.tcp)];
    args.extend(options.map(|option| format!("--producer-opt={option}")));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let sent = run("to_nsq", &args, b"x\n").unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let asked = server.asked().remove(0);
    // What the tests' certificates are made with calls them so.
    assert!(asked.contains("?common_name=rcgen+self+signed+cert&") && asked.contains("&tls=true "), "{asked}");
}

#[test]
fn an_address_that_is_none_ends_the_start() {
    if Daemon::start(&[]).unwrap().face() == Face::Reference {
        return;
    }
    let (status, log) = Setup::new().unwrap().flag("--auth-http-address=ftp://a").run_to_exit().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("FATAL: failed to instantiate nsqd - --auth-http-address \"ftp://a\" is not a URL"), "{log}");
}
