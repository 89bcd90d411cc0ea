//! The tools and an nsqd with TLS: from one that lets nobody in without, into another over HTTPS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;

use rustix::process::Signal;
use sansq_tests::certificates::{Certificates, Pair, version_1};
use sansq_tests::daemon::Daemon;
use sansq_tests::nsqadmin::Admin;
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

/// How `to_nsq` does TLS with this certificate, whoever the server is.
fn showing(pair: &Pair) -> Vec<String> {
    let (cert, key) = (pair.cert.display(), pair.key.display());
    let options = [
        "tls_v1".to_owned(),
        "tls_insecure_skip_verify".to_owned(),
        format!("tls_cert,{cert}"),
        format!("tls_key,{key}"),
    ];
    options.map(|it| format!("--producer-opt={it}")).into()
}

/// Whether an nsqd takes a message from a client with this certificate.
fn takes(nsqd: &Daemon, shown: &Pair) -> bool {
    let address = format!("--nsqd-tcp-address={}", nsqd.tcp);
    let options = showing(shown);
    let args: Vec<_> = ["--topic=t", &address].into_iter().chain(options.iter().map(String::as_str)).collect();
    let sent = run("to_nsq", &args, b"one\n").unwrap();
    // In TLS 1.3 a client learns only with the first answer that it was refused.
    sent.status.success()
}

/// An nsqd that wants certificates of clients by this policy, with this one of its own.
fn wanting(policy: &str, pair: &Pair, root: Option<&Path>) -> Daemon {
    let (cert, key) = (pair.cert.display(), pair.key.display());
    let mut flags = vec![
        format!("--tls-cert={cert}"),
        format!("--tls-key={key}"),
        format!("--tls-client-auth-policy={policy}"),
        "--https-address=127.0.0.1:0".to_owned(),
    ];
    flags.extend(root.map(|root| format!("--tls-root-ca-file={}", root.display())));
    Daemon::start(&flags.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
}

#[test]
fn certificates_of_version_1_are_taken_from_clients_and_shown_to_them() {
    let old = version_1();
    let nsqd = wanting("require", &old.rsa, None);
    for shown in [&old.signed, &old.rsa, &old.alone] {
        assert!(takes(&nsqd, shown), "{}", nsqd.log());
    }
    let nsqd = wanting("require-verify", &old.signed, Some(&old.root));
    assert!(takes(&nsqd, &old.signed) && takes(&nsqd, &old.rsa), "{}", nsqd.log());
    assert!(!takes(&nsqd, &old.alone));
    nsqd.wait_log("the client's certificate has X.509 version 1, and none of the authorities").unwrap();
}

#[test]
fn a_client_may_show_the_certificate_that_is_the_authority() {
    let certificates = Certificates::new("ours").unwrap();
    let own = certificates.sign_itself("own", |_| {}).unwrap();
    let nsqd = wanting("require-verify", &certificates.issue("nsqd", "127.0.0.1").unwrap(), Some(&own.cert));
    assert!(takes(&nsqd, &own), "{}", nsqd.log());
    assert!(!takes(&nsqd, &certificates.sign_itself("other", |_| {}).unwrap()));
    nsqd.wait_log("the client's certificate is an authority's, and neither it nor who signed it is trusted").unwrap();
}

#[test]
fn nsqadmin_may_show_a_certificate_of_version_1() {
    let old = version_1();
    let (cert, key) = (old.signed.cert.display(), old.signed.key.display());
    let flags = ["--nsqd-http-address=127.0.0.1:1".to_owned(), format!("--http-client-tls-cert={cert}")];
    let flags: Vec<_> = flags.into_iter().chain([format!("--http-client-tls-key={key}")]).collect();
    Admin::start(&flags).unwrap();
}
