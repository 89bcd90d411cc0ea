//! The Rust client against nsqd over real sockets: ours, or the one that `SANSQ_NSQD` names. What needs a broker that
//! misbehaves has one made of bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod nsqd;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use sansq::client::{Consumer, Error, Options, Producer, PublishError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use nsqd::Nsqd;

const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

async fn eventually(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn messages_go_from_producer_to_consumer() {
    let nsqd = Nsqd::start();
    let producer = Producer::builder().nsqd(&nsqd.tcp).connect().await.unwrap();
    producer.publish("t", "one").await.unwrap();
    producer.multi_publish("t", &["two", "three"]).await.unwrap();
    producer.publish_deferred("t", "four", Duration::from_millis(50)).await.unwrap();
    let mut consumer = Consumer::builder("t", "c").nsqd(&nsqd.tcp).max_in_flight(10).connect().await.unwrap();
    let mut bodies = Vec::new();
    for _ in 0..4 {
        let message = soon(consumer.next()).await.unwrap();
        assert_eq!((message.attempts, &*message.nsqd), (1, nsqd.tcp.as_str()));
        bodies.push(String::from_utf8(message.body.to_vec()).unwrap());
        message.finish();
    }
    bodies.sort();
    assert_eq!(bodies, ["four", "one", "three", "two"]);
    consumer.control().stop();
    assert!(soon(consumer.next()).await.is_none());
    assert_eq!(consumer.control().stats().finished, 4);
}

#[tokio::test]
async fn a_handler_that_fails_gets_its_message_again_until_it_is_given_up() {
    let nsqd = Nsqd::start();
    let producer = Producer::builder().nsqd(&nsqd.tcp).start().unwrap();
    producer.publish("t", "x").await.unwrap();
    let mut options = Options::default();
    for pair in ["default_requeue_delay,10ms", "backoff_multiplier,5ms", "max_attempts,2", "max_in_flight,5"] {
        options.set_pair(pair).unwrap();
    }
    let (seen, given_up) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counter = Arc::clone(&given_up);
    let consumer = Consumer::builder("t", "c")
        .nsqd(&nsqd.tcp)
        .options(options)
        .on_give_up(move |message| {
            assert_eq!(message.attempts, 3);
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .start()
        .unwrap();
    let control = consumer.control();
    let handled = consumer.run(3, async |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        Err("no")
    });
    let stop = async {
        eventually(|| given_up.load(Ordering::Relaxed) == 1).await;
        control.stop();
    };
    soon(futures::future::join(handled, stop)).await;
    assert_eq!(seen.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn thousands_are_published_at_once_and_each_comes_once() {
    const COUNT: usize = 20_000;
    let nsqd = Nsqd::start();
    let producer = Producer::builder().nsqd(&nsqd.tcp).start().unwrap();
    let publish = async {
        let bodies = (0..COUNT).map(|number| number.to_string());
        futures::stream::iter(bodies)
            .for_each_concurrent(None, async |body| producer.publish("t", body).await.unwrap())
            .await;
    };
    let mut seen = vec![0; COUNT];
    let consume = async {
        let mut consumer = Consumer::builder("t", "c").nsqd(&nsqd.tcp).max_in_flight(500).start().unwrap();
        for _ in 0..COUNT {
            let message = consumer.next().await.unwrap();
            seen[std::str::from_utf8(&message.body).unwrap().parse::<usize>().unwrap()] += 1;
            message.finish();
        }
    };
    soon(futures::future::join(publish, consume)).await;
    assert!(seen.iter().all(|count| *count == 1));
}

#[tokio::test]
async fn both_reconnect_to_a_broker_that_comes_back() {
    let nsqd = Nsqd::start();
    let address: SocketAddr = nsqd.tcp.parse().unwrap();
    let producer = Producer::builder().nsqd(&nsqd.tcp).connect().await.unwrap();
    let mut consumer = Consumer::builder("t", "c").nsqd(&nsqd.tcp).connect().await.unwrap();
    producer.publish("t", "before").await.unwrap();
    soon(consumer.next()).await.unwrap().finish();
    drop(nsqd);
    let failed = soon(producer.publish("t", "meanwhile")).await;
    assert!(failed.is_err(), "{failed:?}");
    let _nsqd = Nsqd::start_with(&address.to_string(), &[]);
    soon(async { while producer.publish("t", "after").await.is_err() {} }).await;
    let message = soon(consumer.next()).await.unwrap();
    assert_eq!(&message.body[..], b"after");
    message.finish();
}

#[tokio::test]
async fn messages_that_nobody_took_go_back_at_once() {
    let nsqd = Nsqd::start();
    let producer = Producer::builder().nsqd(&nsqd.tcp).start().unwrap();
    producer.multi_publish("t", &["1", "2", "3"]).await.unwrap();
    let consumer = Consumer::builder("t", "c").nsqd(&nsqd.tcp).max_in_flight(3).start().unwrap();
    eventually(|| consumer.control().stats().received == 3).await;
    drop(consumer);
    let mut other = Consumer::builder("t", "c").nsqd(&nsqd.tcp).max_in_flight(3).start().unwrap();
    for _ in 0..3 {
        let message = soon(other.next()).await.unwrap();
        assert_eq!(message.attempts, 2);
        message.finish();
    }
}

#[tokio::test]
async fn of_several_nsqds_one_that_is_there_is_taken() {
    let nsqd = Nsqd::start();
    // The port of tcpmux, which nobody runs any more.
    let producer = Producer::builder().nsqd("127.0.0.1:1").nsqd(&nsqd.tcp).start().unwrap();
    for _ in 0..4 {
        soon(producer.publish("t", "x")).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let refused = Consumer::builder("t", "c").nsqd("127.0.0.1:1").connect().await.err().unwrap();
    assert!(matches!(refused, Error::Connect { .. }), "{refused}");
    let no_name = Consumer::builder("a b", "c").nsqd("127.0.0.1:1").start().err().unwrap();
    assert_eq!(no_name.to_string(), "invalid topic name: \"a b\"");
    assert!(matches!(Consumer::builder("t", "c").start(), Err(Error::Nobody)));
    assert!(matches!(Producer::builder().start(), Err(Error::Nobody)));
    let producer = Producer::builder().nsqd("127.0.0.1:1").start().unwrap();
    let unsent = producer.publish("t", "x").await;
    assert!(matches!(unsent, Err(Error::Publish(PublishError::NotConnected(_)))), "{unsent:?}");
    producer.stop();
    assert!(matches!(producer.publish("t", "x").await, Err(Error::Publish(PublishError::Stopped))));
    let nsqd = Nsqd::start();
    let producer = Producer::builder().nsqd(&nsqd.tcp).start().unwrap();
    let empty = producer.publish("t", "").await.unwrap_err().to_string();
    assert!(empty.contains("E_BAD_MESSAGE"), "{empty}");
    producer.publish("t", "and on").await.unwrap();
}

/// A broker that takes everything in and never answers a publish.
#[tokio::test]
async fn a_publish_does_not_wait_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let broker = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut chunk = [0; 4096];
        assert!(socket.read(&mut chunk).await.unwrap() > 0);
        socket.write_all(b"\0\0\0\x06\0\0\0\0OK").await.unwrap();
        while socket.read(&mut chunk).await.unwrap() > 0 {}
    };
    let producer = Producer::builder().nsqd(&address).confirm_timeout(Duration::from_millis(50)).start().unwrap();
    let publish = async {
        let late = producer.publish("t", "x").await;
        assert!(matches!(late, Err(Error::Publish(PublishError::TimedOut))), "{late:?}");
        producer.stop();
    };
    soon(futures::future::join(broker, publish)).await;
}

/// An nsqlookupd that names our nsqd, and what it is asked.
#[tokio::test]
async fn producers_are_found_through_nsqlookupd() {
    let nsqd = Nsqd::start();
    Producer::builder().nsqd(&nsqd.tcp).start().unwrap().publish("t", "x").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lookupd = listener.local_addr().unwrap().to_string();
    let port = nsqd.tcp.rsplit_once(':').unwrap().1.to_owned();
    let serve = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(socket.read_u8().await.unwrap());
        }
        let json = format!(r#"{{"channels":[],"producers":[{{"broadcast_address":"127.0.0.1","tcp_port":{port}}}]}}"#);
        let head = "HTTP/1.1 200 OK\r\nX-NSQ-Content-Type: nsq; version=1.0\r\nContent-Length:";
        socket.write_all(format!("{head} {}\r\n\r\n{json}", json.len()).as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    };
    // One that is down is followed by the next.
    let mut consumer = Consumer::builder("t", "c").lookupd("127.0.0.1:1").lookupd(&lookupd).start().unwrap();
    let (request, message) = soon(futures::future::join(serve, consumer.next())).await;
    assert_eq!(&message.unwrap().body[..], b"x");
    assert!(request.starts_with("GET /lookup?topic=t HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("accept: application/vnd.nsq; version=1.0\r\n"), "{request}");
}
