//! The Rust client through TLS, deflate and snappy, against the nsqd that `SANSQ_NSQD` names, over real sockets. Ours has none
//! of them yet.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod nsqd;

use std::time::{Duration, Instant};

use futures::StreamExt as _;
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
    /// `None` if no nsqd is named.
    fn new() -> Option<Self> {
        if std::env::var_os("SANSQ_NSQD").is_none() {
            println!("no other nsqd: SANSQ_NSQD is not set");
            return None;
        }
        let certificates = Certificates::new("ours").unwrap();
        let server = certificates.issue("server", "127.0.0.1").unwrap();
        let client = certificates.issue("client", "client").unwrap();
        Some(Self { certificates, server, client })
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
    let Some(trust) = Trust::new() else { return };
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
    let Some(trust) = Trust::new() else { return };
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
    let Some(trust) = Trust::new() else { return };
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
    let Some(trust) = Trust::new() else { return };
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
    let Some(trust) = Trust::new() else { return };
    let nsqd = Nsqd::start_with("127.0.0.1:0", &["--snappy=false".to_owned(), "--deflate=false".to_owned()]);
    let Err(Error::Connect { reason, .. }) = soon(producer(&nsqd, &trust.options(&["tls_v1"])).connect()).await else {
        panic!()
    };
    assert_eq!(reason, "the broker does not offer TLS (tls_v1)");
    exchange(&nsqd, &trust.options(&["snappy"]), 1000).await;
}
