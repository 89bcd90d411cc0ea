//! Who is let in to the HTTP API of real daemons: names that web pages made up, pages of other sites, and messages while there
//! are auth servers. Programs, which say nothing of sites, are served as ever.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use sansq_tests::certificates::Certificates;
use sansq_tests::client::stats;
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::http::{self, Request, Response};
use sansq_tests::lookupd::Lookupd;
use sansq_tests::nsqadmin::Admin;
use serde_json::Value;
use tempfile::TempDir;

/// A request with these headers, `Host` among them.
fn ask(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    http::send(address, &Request { method: method.into(), target: target.into(), headers, ..Request::default() })
        .unwrap()
}

fn text(response: &Response) -> String {
    String::from_utf8(response.body.clone()).unwrap()
}

/// The first word of an error, and its status.
fn refusal(response: &Response) -> (u16, String) {
    let answer: Value = serde_json::from_slice(&response.body).unwrap();
    let message = answer["message"].as_str().unwrap();
    (response.status, message.split(':').next().unwrap().to_owned())
}

/// A file with a token that only this test knows.
fn token_file(directory: &TempDir, token: &str) -> String {
    let path = directory.path().join(format!("{token}.token"));
    std::fs::write(&path, format!("{token}\n")).unwrap();
    path.display().to_string()
}

#[test]
fn over_loopback_nsqd_answers_to_names_of_this_machine_only() {
    let nsqd = Daemon::start(&["--broadcast-address=queue1.example", "--http-allowed-host=alias.example"]).unwrap();
    let hostname = String::from_utf8(Command::new("hostname").output().unwrap().stdout).unwrap();
    let at = |host: &str, method, target| ask_host(nsqd.http, host, method, target);
    for own in [
        "localhost:4151",
        "127.0.0.1",
        "192.0.2.1:4151",
        "[::1]:4151",
        hostname.trim(),
        "queue1",
        "queue1.example",
        "alias.example:80",
    ] {
        assert!(at(own, "GET", "/ping").contains(" 200 OK"), "{own}");
    }
    for foreign in ["evil.example", "evil.example:4151", "queue1.example.evil.example"] {
        for (method, target) in
            [("GET", "/stats"), ("POST", "/topic/create?topic=t"), ("OPTIONS", "/pub"), ("GET", "/nope")]
        {
            let answer = at(foreign, method, target);
            assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("--http-allowed-host"), "{answer}");
        }
    }
    assert!(!nsqd.log().contains("TOPIC(t)"));
    assert!(!text(&http::get(nsqd.http, "/stats").unwrap()).contains("[t"));
}

#[test]
fn nsqadmin_answers_to_all_names_until_some_are_named() {
    let nsqd = ["--nsqd-http-address=127.0.0.1:1".to_owned()];
    let open = Admin::start(&nsqd).unwrap();
    assert!(ask_host(open.http, "nsq.example", "GET", "/ping").contains(" 200 OK"));
    let admin = Admin::start(&[&nsqd[..], &["--http-allowed-host=nsq.example".to_owned()]].concat()).unwrap();
    for own in ["nsq.example", "NSQ.example:4171", "127.0.0.1:4171", "localhost"] {
        assert!(ask_host(admin.http, own, "GET", "/ping").contains(" 200 OK"), "{own}");
    }
    for (method, target) in [("GET", "/"), ("GET", "/api/topics/t/c/peek"), ("DELETE", "/api/topics/t")] {
        let answer = ask_host(admin.http, "evil.example", method, target);
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("FOREIGN_HOST"), "{answer}");
    }
}

/// A request with this `Host`: all of the answer.
fn ask_host(address: SocketAddr, host: &str, method: &str, target: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(sansq_tests::client::PATIENCE)).unwrap();
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let nsqd = Daemon::start(&["--http-allowed-origin=https://tools.example"]).unwrap();
    let lookupd = Lookupd::start(&["--http-allowed-origin=https://tools.example"]).unwrap();
    assert_eq!(ask(nsqd.http, "POST", "/pub?topic=t", &[]).status, 400);
    assert_eq!(http::post(nsqd.http, "/pub?topic=t", b"keep").unwrap().status, 200);
    assert_eq!(lookupd.send("POST", "/topic/create?topic=t").unwrap().0, 200);
    let own = format!("http://{}", nsqd.http);
    let changes = [("POST", "/topic/delete?topic=t"), ("POST", "/topic/empty?topic=t"), ("PUT", "/config/log_level")];
    for site in [
        &[("Origin", "https://evil.example")][..],
        &[("Origin", "null")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", own.as_str())],
    ] {
        for (method, target) in changes {
            let refused = ask(nsqd.http, method, target, site);
            assert_eq!(refusal(&refused), (403, "FOREIGN_ORIGIN".to_owned()), "{target} {site:?}");
        }
        let refused = ask(lookupd.http, "POST", "/topic/delete?topic=t", site);
        assert_eq!(refusal(&refused), (403, "FOREIGN_ORIGIN".to_owned()), "{site:?}");
        assert_eq!(refusal(&ask(nsqd.http, "GET", "/topic/peek?topic=t", site)).0, 403, "{site:?}");
        // What is only read, the browser keeps from the page.
        let read = ask(nsqd.http, "GET", "/stats", site);
        assert_eq!((read.status, read.header("Access-Control-Allow-Origin")), (200, None));
    }
    assert_eq!(stats(&nsqd, "t").unwrap()["depth"], 1);
    assert_eq!(lookupd.ask("/topics").unwrap()["topics"][0], "t");
    let fine = [&[("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")][..], &[("Sec-Fetch-Site", "none")]];
    for site in fine {
        assert_eq!(ask(nsqd.http, "POST", "/topic/pause?topic=t", site).status, 200, "{site:?}");
    }
    let tools = [("Origin", "https://tools.example"), ("Sec-Fetch-Site", "cross-site")];
    for address in [nsqd.http, lookupd.http] {
        let done = ask(address, "POST", "/topic/delete?topic=t", &tools);
        assert_eq!((done.status, done.header("Access-Control-Allow-Origin")), (200, Some("https://tools.example")));
    }
}

#[test]
fn pages_are_told_beforehand_what_they_may_ask_for() {
    let nsqd = Daemon::start(&["--http-allowed-origin=https://tools.example"]).unwrap();
    let plain = Daemon::start(&[]).unwrap();
    let before = |address, origin| {
        let headers =
            [("Origin", origin), ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "x-a")];
        ask(address, "OPTIONS", "/config/log_level", &headers)
    };
    let told = before(nsqd.http, "https://tools.example");
    assert_eq!((told.status, told.header("Allow")), (200, Some("GET, OPTIONS, PUT")));
    assert_eq!(told.header("Access-Control-Allow-Methods"), Some("GET, OPTIONS, PUT"));
    assert_eq!(told.header("Access-Control-Allow-Headers"), Some("x-a"));
    for (address, origin) in [(nsqd.http, "https://evil.example"), (plain.http, "https://tools.example")] {
        let told = before(address, origin);
        assert_eq!((told.status, told.header("Allow")), (200, Some("GET, OPTIONS, PUT")));
        assert!(
            !told.headers.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("access-control")),
            "{told:?}"
        );
    }
}

#[test]
fn messages_are_not_shown_while_auth_servers_say_who_may_see_them() {
    let directory = tempfile::tempdir().unwrap();
    let token = format!("--http-token-file={}", token_file(&directory, "sesame"));
    let auth = "--auth-http-address=127.0.0.1:1";
    let start = |flags: &[&str]| {
        let nsqd = Daemon::start(flags).unwrap();
        assert_eq!(http::post(nsqd.http, "/pub?topic=t", b"body").unwrap().status, 200);
        assert_eq!(http::post(nsqd.http, "/channel/create?topic=u&channel=c", b"").unwrap().status, 404);
        nsqd
    };
    let peek = |nsqd: &Daemon, headers: &[(&str, &str)]| {
        let both = ["/topic/peek?topic=t", "/channel/peek?topic=t&channel=c"]
            .map(|target| ask(nsqd.http, "GET", target, headers));
        assert_eq!(text(&both[0]).contains("body\""), both[0].status == 200);
        both
    };
    let (right, wrong) = ([("Authorization", "Bearer sesame")], [("Authorization", "Bearer Sesame")]);

    let open = start(&[]);
    assert_eq!(peek(&open, &[])[0].status, 200);
    let closed = start(&[auth]);
    for response in [peek(&closed, &[]), peek(&closed, &right)].concat() {
        assert_eq!(refusal(&response), (403, "MESSAGES_CLOSED".to_owned()));
        assert!(text(&response).contains("--http-token-file"), "{}", text(&response));
    }
    for nsqd in [start(&[auth, &token]), start(&[&token])] {
        for response in peek(&nsqd, &[]) {
            assert_eq!(refusal(&response), (401, "TOKEN_MISSING".to_owned()));
            assert_eq!(response.header("WWW-Authenticate"), Some("Bearer"));
        }
        for response in peek(&nsqd, &wrong) {
            assert_eq!(refusal(&response), (401, "TOKEN_WRONG".to_owned()));
        }
        let [topic, channel] = peek(&nsqd, &right);
        assert_eq!((topic.status, refusal(&channel)), (200, (404, "CHANNEL_NOT_FOUND".to_owned())));
        // Nothing else wants it.
        assert_eq!(http::get(nsqd.http, "/stats").unwrap().status, 200);
        assert!(text(&http::get(nsqd.http, "/config/http_token_file").unwrap()).ends_with(".token"));
        assert!(!nsqd.log().to_lowercase().contains("bearer"), "{}", nsqd.log());
    }
}

#[test]
fn a_token_that_cannot_be_read_ends_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path: PathBuf = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let missing = directory.path().join("missing").display().to_string();
    for (file, why) in [
        (missing, "No such file or directory"),
        (write("empty", "\n"), "the file is empty"),
        (write("two", "one two\n"), "more than one word"),
    ] {
        let (status, log) = Setup::new().unwrap().flag(format!("--http-token-file={file}")).run_to_exit().unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        let said = format!("failed to instantiate nsqd - --http-token-file {file}: ");
        assert!(log.contains(&said) && log.contains(why) && !log.contains("one two"), "{log}");
        let flags = ["--nsqd-http-address=127.0.0.1:4151", &format!("--nsqd-http-token-file={file}")];
        let (status, log) = Admin::run_to_exit(&flags).unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(&format!("--nsqd-http-token-file {file}: ")) && log.contains(why), "{log}");
    }
    for flag in ["--http-allowed-host=a:1", "--http-allowed-origin=tools.example", "-- --http-token-file=x"] {
        let (status, log) = Setup::new().unwrap().flags(flag.split(' ')).run_to_exit().unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(flag.rsplit(' ').next().unwrap().split('=').next().unwrap()), "{log}");
    }
}

#[test]
fn nsqadmin_shows_the_token_or_says_why_it_cannot_peek() {
    let directory = tempfile::tempdir().unwrap();
    let (right, wrong) = (token_file(&directory, "sesame"), token_file(&directory, "pepper"));
    let auth = "--auth-http-address=127.0.0.1:1";
    let peek = |nsqd: &Daemon, token: Option<&str>| {
        let mut flags = vec![format!("--nsqd-http-address={}", nsqd.http)];
        flags.extend(token.map(|file| format!("--nsqd-http-token-file={file}")));
        let admin = Admin::start(&flags).unwrap();
        assert_eq!(http::post(nsqd.http, "/pub?topic=t", b"body").unwrap().status, 200);
        let shown = admin.ask("/api/topics/t/peek?limit=5").unwrap();
        let why = shown["nodes"][0]["error"].as_str().unwrap_or_default().to_owned();
        (shown["messages"].as_array().unwrap().len(), why)
    };
    let nsqd = Daemon::start(&[auth, &format!("--http-token-file={right}")]).unwrap();
    let (messages, why) = peek(&nsqd, Some(&right));
    assert_eq!((messages, why.as_str()), (1, ""));
    let (messages, why) = peek(&nsqd, None);
    assert!(messages == 0 && why.contains("it wants a token; start nsqadmin with --nsqd-http-token-file"), "{why}");
    let (messages, why) = peek(&nsqd, Some(&wrong));
    assert!(messages == 0 && why.contains("does not take the token in the file of --nsqd-http-token-file"), "{why}");
    let closed = Daemon::start(&[auth]).unwrap();
    let (messages, why) = peek(&closed, Some(&right));
    assert!(messages == 0 && why.contains("start it with --http-token-file"), "{why}");
    assert!(!closed.log().contains("sesame") && !nsqd.log().contains("sesame"));
}

#[test]
fn nsqadmin_shows_a_token_over_https_where_that_is_required() {
    let directory = tempfile::tempdir().unwrap();
    let file = token_file(&directory, "sesame");
    let certificates = Certificates::new("ours").unwrap();
    let pair = certificates.issue("nsqd", "127.0.0.1").unwrap();
    let nsqd = Daemon::start(&[
        &format!("--tls-cert={}", pair.cert.display()),
        &format!("--tls-key={}", pair.key.display()),
        "--tls-required",
        "--https-address=127.0.0.1:0",
        "--broadcast-address=127.0.0.1",
        &format!("--http-token-file={file}"),
    ])
    .unwrap();
    let admin = Admin::start(&[
        format!("--nsqd-http-address={}", nsqd.http),
        format!("--nsqd-http-token-file={file}"),
        format!("--http-client-tls-root-ca-file={}", certificates.root().display()),
    ])
    .unwrap();
    let (status, made) = admin.send("POST", "/api/topics", r#"{"topic":"t","channel":""}"#).unwrap();
    assert_eq!(status, 200, "{made}");
    let shown = admin.ask("/api/topics/t/peek?limit=5").unwrap();
    assert_eq!((&shown["nodes"][0]["error"], &shown["message"]), (&Value::Null, &Value::from("")), "{shown}");
}
