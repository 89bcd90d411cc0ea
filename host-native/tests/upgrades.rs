//! TLS, deflate and snappy between the Rust client and nsqd, over real sockets: ours, or the nsqd that `SANSQ_NSQD` names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod nsqd;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sansq::client::http::HttpClient;
use sansq::client::{Consumer, Error, Options, Producer};
use sansq_tests::certificates::{Certificates, Pair};
use tokio::time::timeout;

use nsqd::Nsqd;

const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

/// An authority, a certificate for 127.0.0.1 by it, and one for a client.
struct Trust {
    certificates: Certificates,
    server: Pair,
    client: Pair,
}

impl Trust {
    fn new() -> Self {
        let certificates = Certificates::new("ours").unwrap();
        let server = certificates.issue("server", "127.0.0.1").unwrap();
        let client = certificates.issue("client", "client").unwrap();
        Self { certificates, server, client }
    }

    /// An nsqd with TLS, told these things besides.
    fn nsqd(&self, more: &[&str]) -> Nsqd {
        let file = |flag: &str, path: &std::path::Path| format!("--{flag}={}", path.display());
        let mut args = vec![
            file("tls-cert", &self.server.cert),
            file("tls-key", &self.server.key),
            file("tls-root-ca-file", &self.certificates.root()),
            "--https-address=127.0.0.1:0".to_owned(),
        ];
        args.extend(more.iter().map(ToString::to_string));
        Nsqd::start_with("127.0.0.1:0", &args)
    }

    /// Options of a client that knows the authority.
    fn options(&self, pairs: &[&str]) -> Options {
        let mut options = Options::default();
        options.tls_mut().root_ca_file = Some(self.certificates.root());
        pairs.iter().for_each(|pair| options.set_pair(pair).unwrap());
        options
    }
}

fn producer(nsqd: &Nsqd, options: &Options) -> sansq::client::ProducerBuilder {
    Producer::builder().nsqd(&nsqd.tcp).options(options.clone())
}

fn consumer(nsqd: &Nsqd, options: &Options) -> sansq::client::ConsumerBuilder {
    Consumer::builder("t", "c").nsqd(&nsqd.tcp).options(options.clone())
}

/// Publishes so many messages, reads them back and compares; bodies of all kinds, a large one among them.
async fn exchange(nsqd: &Nsqd, options: &Options, count: u64) {
    let producer = producer(nsqd, options).connect().await.unwrap();
    let mut messages = consumer(nsqd, options).max_in_flight(1000).connect().await.unwrap();
    let body = |number: u64| match number {
        0 => vec![7; 900_000],
        _ => format!("{number} {}", "x".repeat(number as usize % 200)).into_bytes(),
    };
    let began = Instant::now();
    let publish = async {
        for first in (0..count).step_by(500) {
            let bodies: Vec<_> = (first..count.min(first + 500)).map(body).collect();
            producer.multi_publish("t", &bodies).await.unwrap();
        }
    };
    let read = async {
        let mut missing: Vec<bool> = vec![true; count as usize];
        for _ in 0..count {
            let message = messages.next().await.unwrap();
            let digits = message.body.split(|byte| *byte == b' ').next().unwrap();
            let number = std::str::from_utf8(digits).unwrap().parse().unwrap_or(0);
            assert!(message.body == body(number), "{number}");
            assert!(std::mem::take(&mut missing[number as usize]), "{number} twice");
            message.finish();
        }
    };
    soon(futures::future::join(publish, read)).await;
    println!("{count} messages in {:?}", began.elapsed());
}

#[tokio::test]
async fn messages_go_through_every_combination() {
    let trust = Trust::new();
    let nsqd = trust.nsqd(&[]);
    for pairs in [
        &["tls_v1"][..],
        &["deflate"],
        &["deflate", "deflate_level,1"],
        &["snappy"],
        &["tls_v1", "deflate"],
        &["tls_v1", "snappy"],
        &["tls_v1", "tls_min_version,tls1.3", "snappy"],
        &[],
    ] {
        println!("{pairs:?}");
        exchange(&nsqd, &trust.options(pairs), 20_000).await;
    }
}

/// One message after the other, each as soon as the one before has arrived: nothing waits in a compressor.
#[tokio::test]
async fn a_lone_message_arrives_at_once() {
    let trust = Trust::new();
    let nsqd = trust.nsqd(&[]);
    for pairs in [&["deflate"][..], &["snappy"], &["tls_v1", "deflate"], &["tls_v1", "snappy"]] {
        let options = trust.options(pairs);
        let producer = producer(&nsqd, &options).connect().await.unwrap();
        let mut messages = consumer(&nsqd, &options).connect().await.unwrap();
        for number in 0..10_u32 {
            producer.publish("t", number.to_string()).await.unwrap();
            let message = soon(messages.next()).await.unwrap();
            assert_eq!(message.body, number.to_string());
            message.finish();
        }
    }
}

#[tokio::test]
async fn an_nsqd_that_demands_tls_and_a_certificate_gets_them() {
    let trust = Trust::new();
    let nsqd = trust.nsqd(&["--tls-required", "--tls-client-auth-policy=require-verify"]);
    let mut known = trust.options(&["tls_v1", "snappy"]);
    (known.tls_mut().cert, known.tls_mut().key) = (Some(trust.client.cert.clone()), Some(trust.client.key.clone()));
    exchange(&nsqd, &known, 1000).await;

    let said = |options: Options| {
        let connecting = consumer(&nsqd, &options).connect();
        async { soon(connecting).await.err().unwrap().to_string() }
    };
    let nobody = said(trust.options(&["tls_v1"])).await;
    assert!(nobody.contains("received fatal alert: "), "{nobody}");
    let plain = said(trust.options(&[])).await;
    assert!(plain.contains("E_INVALID cannot SUB in current state (TLS required)"), "{plain}");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_told_nothing() {
    let trust = Trust::new();
    let nsqd = trust.nsqd(&[]);
    let stranger = Certificates::new("a stranger").unwrap();
    let mut options = trust.options(&["tls_v1", "auth_secret,s"]);
    options.tls_mut().root_ca_file = Some(stranger.root());
    let Err(Error::Connect { reason, .. }) = soon(producer(&nsqd, &options).connect()).await else { panic!() };
    assert_eq!(reason, "TLS: the server's certificate is signed by nobody that is trusted");
    let Err(Error::Connect { reason, .. }) = soon(consumer(&nsqd, &options).connect()).await else { panic!() };
    assert_eq!(reason, "TLS: the server's certificate is signed by nobody that is trusted");
    options.tls_mut().insecure_skip_verify = true;
    soon(producer(&nsqd, &options).connect()).await.unwrap();

    let other_name = stranger.issue("other", "elsewhere.example").unwrap();
    let wrong = Trust { server: other_name, certificates: stranger, client: trust.client };
    let nsqd = wrong.nsqd(&[]);
    let Err(Error::Connect { reason, .. }) = soon(producer(&nsqd, &wrong.options(&["tls_v1"])).connect()).await else {
        panic!()
    };
    assert!(reason.contains("not valid for name \"127.0.0.1\""), "{reason}");
}

#[tokio::test]
async fn an_nsqd_without_tls_is_refused_where_tls_is_asked_for_and_compression_is_not_missed() {
    let trust = Trust::new();
    let nsqd = Nsqd::start_with("127.0.0.1:0", &["--snappy=false".to_owned(), "--deflate=false".to_owned()]);
    let Err(Error::Connect { reason, .. }) = soon(producer(&nsqd, &trust.options(&["tls_v1"])).connect()).await else {
        panic!()
    };
    assert_eq!(reason, "the broker does not offer TLS (tls_v1)");
    exchange(&nsqd, &trust.options(&["snappy"]), 1000).await;
}

/// A connection that has sent IDENTIFY with this JSON, and whatever `more` is, in one write.
fn identify(nsqd: &Nsqd, json: &str, more: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(&nsqd.tcp).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = (json.len() as u32).to_be_bytes();
    socket.write_all(&[b"  V2IDENTIFY\n", &length[..], json.as_bytes(), more].concat()).unwrap();
    socket
}

/// The text of the next frame.
fn frame(stream: &mut impl std::io::Read) -> String {
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    let mut data = vec![0; u32::from_be_bytes(head[..4].try_into().unwrap()) as usize - 4];
    stream.read_exact(&mut data).unwrap();
    String::from_utf8(data).unwrap()
}

#[test]
fn compressed_streams_are_those_of_the_reference_bit_by_bit() {
    let nsqd = Nsqd::start();
    let mut socket = identify(&nsqd, r#"{"feature_negotiation":true,"snappy":true}"#, b"");
    assert!(frame(&mut socket).contains(r#""snappy":true"#));
    let mut first = [0; 10];
    socket.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"\xff\x06\0\0sNaPpY");
    assert_eq!(frame(&mut snap::read::FrameDecoder::new(first.chain(&socket))), "OK");

    let mut socket = identify(&nsqd, r#"{"feature_negotiation":true,"deflate":true,"deflate_level":1}"#, b"");
    assert!(frame(&mut socket).contains(r#""deflate":true,"deflate_level":1"#));
    let mut raw = Vec::new();
    while !raw.ends_with(b"\0\0\xff\xff") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        raw.push(byte[0]);
    }
    assert_eq!(frame(&mut flate2::read::DeflateDecoder::new(&raw[..])), "OK");
}

/// The reference loses what comes with IDENTIFY, so this is about ours alone.
#[test]
fn what_comes_behind_identify_in_one_packet_is_read_by_the_new_rules() {
    if std::env::var_os("SANSQ_NSQD").is_some() {
        return;
    }
    let nsqd = Nsqd::start();
    let mut command = snap::write::FrameEncoder::new(Vec::new());
    command.write_all(b"PUB t\n\0\0\0\x01x").unwrap();
    let command = command.into_inner().unwrap();
    let mut socket = identify(&nsqd, r#"{"feature_negotiation":true,"snappy":true}"#, &command);
    assert!(frame(&mut socket).contains(r#""snappy":true"#));
    let mut frames = snap::read::FrameDecoder::new(socket);
    assert_eq!((frame(&mut frames), frame(&mut frames)), ("OK".to_owned(), "OK".to_owned()));
}

#[test]
fn a_handshake_that_fails_is_answered_in_the_clear() {
    let nsqd = Trust::new().nsqd(&[]);
    let mut socket = identify(&nsqd, r#"{"feature_negotiation":true,"tls_v1":true}"#, b"");
    assert!(frame(&mut socket).contains(r#""tls_v1":true"#));
    socket.write_all(b"This is not a hello of TLS.\n").unwrap();
    let mut last = Vec::new();
    // The rest of what was sent is not read, so the end may be a reset.
    drop(socket.read_to_end(&mut last));
    let last = String::from_utf8_lossy(&last);
    assert!(last.contains("E_IDENTIFY_FAILED IDENTIFY failed "), "{last:?}");
}

#[tokio::test]
async fn https_answers_where_http_says_that_tls_is_required() {
    let trust = Trust::new();
    let nsqd = trust.nsqd(&["--tls-required", "--tls-min-version=tls1.3"]);
    let mut options = trust.options(&["tls_v1", "client_id,shown"]);
    let http = HttpClient::with_tls(PATIENCE, PATIENCE, options.tls_mut()).unwrap();
    let refused = http.get(&format!("http://{}/ping", nsqd.http), &[]).await.unwrap();
    assert_eq!(refused.status, 403);
    let body = std::str::from_utf8(&refused.body).unwrap().to_owned();
    let port = body.strip_prefix(r#"{"message": "TLS_REQUIRED", "https_port": "#).unwrap().strip_suffix('}').unwrap();

    let _consumer = consumer(&nsqd, &options).connect().await.unwrap();
    let stats = http.get(&format!("https://127.0.0.1:{port}/stats?format=json"), &[]).await.unwrap();
    assert_eq!(stats.status, 200);
    let stats: serde_json::Value = serde_json::from_slice(&stats.body).unwrap();
    let client = &stats["topics"][0]["channels"][0]["clients"][0];
    assert_eq!((&client["client_id"], &client["tls"]), (&"shown".into(), &true.into()));
    assert_eq!(client["tls_version"], "TLS1.3");
    // The reference has no names for the suites of 1.3.
    let suite = client["tls_cipher_suite"].as_str().unwrap();
    assert!(suite.starts_with("TLS_AES_") || suite.starts_with("Unknown "), "{suite}");
}
