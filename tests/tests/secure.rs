//! The tools and an nsqd with TLS: from one that lets nobody in without, into another over HTTPS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use rustix::process::Signal;
use sansq_tests::certificates::Certificates;
use sansq_tests::daemon::Daemon;
use sansq_tests::tool::{Tool, run};

/// An nsqd with TLS for 127.0.0.1, and the port of its HTTPS.
fn nsqd(certificates: &Certificates, more: &str) -> (Daemon, u16) {
    let pair = certificates.issue("nsqd", "127.0.0.1").unwrap();
    let (cert, key) = (pair.cert.display(), pair.key.display());
    let flags = [&format!("--tls-cert={cert}"), &format!("--tls-key={key}"), "--https-address=127.0.0.1:0", more];
    let nsqd = Daemon::start(&flags).unwrap();
    nsqd.wait_log("HTTPS: listening on ").unwrap();
    let log = nsqd.log();
    let (_, line) = log.split_once("HTTPS: listening on 127.0.0.1:").unwrap();
    (nsqd, line.lines().next().unwrap().trim().parse().unwrap())
}

#[test]
fn messages_go_from_tool_to_tool_through_tls_and_compression_only() {
    let certificates = Certificates::new("ours").unwrap();
    let (from, _) = nsqd(&certificates, "--tls-required=tcp-https");
    let (to, https) = nsqd(&certificates, "--tls-required");
    let root = certificates.root().display().to_string();
    let address = format!("--nsqd-tcp-address={}", from.tcp);

    let refused = run("to_nsq", &["--topic=t", &address], b"one\n").unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("TLS required"), "{said}");

    let options = |kind: &str, codec: &str| {
        ["tls_v1".to_owned(), format!("tls_root_ca_file,{root}"), codec.to_owned()]
            .map(|it| format!("--{kind}-opt={it}"))
    };
    let [tls, authority, codec] = options("producer", "snappy");
    let sent = run("to_nsq", &["--topic=t", &address, &tls, &authority, &codec], b"one\ntwo\n").unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));

    let [tls, authority, codec] = options("consumer", "deflate");
    let post = format!("--post=https://127.0.0.1:{https}/pub?topic=t");
    let trusted = format!("--http-client-tls-root-ca-file={root}");
    let args = ["--topic=t", &post, &trusted, &address, &tls, &authority, &codec];
    let tool = Tool::start("nsq_to_http", &args).unwrap();

    let there = format!("--nsqd-tcp-address={}", to.tcp);
    let args = ["--topic=t", "--channel=c", "-n=2", &there, &tls, &authority];
    let read = run("nsq_tail", &args, b"").unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let mut lines: Vec<_> = String::from_utf8(read.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["one", "two"]);
    tool.signal(Signal::TERM).unwrap();
    tool.finish().unwrap();
}

#[test]
fn nsqd_says_what_is_wrong_with_its_certificates() {
    let certificates = Certificates::new("ours").unwrap();
    let pair = certificates.issue("nsqd", "127.0.0.1").unwrap();
    let (cert, none) = (format!("--tls-cert={}", pair.cert.display()), certificates.path("none.pem"));
    let key = format!("--tls-key={}", pair.key.display());
    for (flags, said) in [
        (vec![cert.clone(), format!("--tls-key={}", none.display())], "none.pem: No such file or directory"),
        (vec![cert.clone(), format!("--tls-key={}", pair.cert.display())], "there is no private key"),
        (
            vec![cert, key, "--tls-client-auth-policy=require-verify".to_owned()],
            "no file has the authority that signs them",
        ),
    ] {
        let (status, log) = sansq_tests::daemon::Setup::new().unwrap().flags(flags).run_to_exit().unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(
            log.contains("failed to instantiate nsqd - failed to build TLS config - ") && log.contains(said),
            "{log}"
        );
    }
}
