//! Scenes of the client: producers and consumers at an nsqd, on all that a stream can become, over connections that may be cut
//! off.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use sansq_core::rng::Rng;
use tokio::time::Instant;

use super::{Consumer, Options, Producer};
use crate::scripted::{Listening, Nsqd, Stage, body, check, client_tls};

const TOPIC: &str = "t#ephemeral";
const AT_ONCE: Duration = Duration::from_millis(100);
const WHOLE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
struct Part {
    layers: [&'static str; 2],
    sizes: Vec<usize>,
    /// Publishes under way at the same time.
    at_once: usize,
    max_in_flight: u32,
    /// Messages that it finishes together.
    together: usize,
    /// Of a hundred, those that it requeues the first time.
    requeues: u64,
}

fn options(layer: &str) -> Options {
    let mut options = Options::default();
    if layer.contains("tls") {
        options.set("tls_v1", "true").unwrap();
        *options.tls_mut() = client_tls();
    }
    options.client_mut().snappy = layer.contains("snappy");
    options.client_mut().deflate = layer.contains("deflate");
    options
}

fn scene(stage: &mut Stage, layers: &[&'static str]) {
    let size = stage.pick([10, 1000, 20_000]);
    let count = 1 + stage.below(15);
    let mut layer = || layers[stage.below(layers.len() as u64) as usize];
    let layers = [layer(), layer()];
    let max_in_flight = stage.pick([1, 2, 20]);
    let part = Part {
        layers,
        sizes: (0..count).map(|_| stage.below(size) as usize).collect(),
        at_once: stage.pick([1, 3, 100]),
        max_in_flight,
        together: 1 + stage.below(max_in_flight.into()) as usize,
        requeues: stage.pick([0, 0, 30]),
    };
    stage.about(&part);
    let (nsqd, mut door) = (Nsqd::new(), Listening::new(stage));
    let address = door.address().to_owned();
    stage.background("nsqd", async move {
        loop {
            let (_, connection) = nsqd.connection(door.accept().await);
            tokio::spawn(connection);
        }
    });
    stage.task("a producer", produce(address.clone(), part.clone()));
    let rng = stage.rng();
    stage.task("a consumer", consume(address, part, rng));
}

async fn produce(address: String, part: Part) {
    let start = Instant::now();
    let producer = Producer::builder().nsqd(address).options(options(part.layers[0])).start().unwrap();
    let mut sizes = part.sizes.iter().enumerate();
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < part.at_once
            && let Some((number, size)) = sizes.next()
        {
            under_way.push(producer.publish(TOPIC, body(number as u32, *size)));
        }
        match under_way.next().await {
            Some(published) => published.unwrap(),
            None => break,
        }
    }
    assert!(start.elapsed() < AT_ONCE, "publishing took {:?}", start.elapsed());
}

async fn consume(address: String, part: Part, mut rng: Rng) {
    let start = Instant::now();
    let mut consumer = Consumer::builder(TOPIC, "c")
        .nsqd(address)
        .options(options(part.layers[1]))
        .max_in_flight(part.max_in_flight)
        .start()
        .unwrap();
    let (mut finished, mut held) = (BTreeSet::new(), Vec::new());
    while finished.len() < part.sizes.len() {
        let message = consumer.next().await.expect("it does not stop by itself");
        let number = u32::from_be_bytes(message.body[..4].try_into().unwrap());
        assert!(message.body == body(number, part.sizes[number as usize]), "message {number} is another");
        if message.attempts == 1 && rng.below(100) < part.requeues {
            message.requeue_without_backoff(Some(Duration::ZERO));
        } else {
            assert!(finished.insert(number), "message {number} came twice");
            held.push(message);
        }
        if held.len() >= part.together || finished.len() == part.sizes.len() {
            held.drain(..).for_each(super::Message::finish);
        }
    }
    assert!(start.elapsed() < AT_ONCE, "consuming took {:?}", start.elapsed());
    consumer.control().stop();
    assert!(consumer.next().await.is_none(), "nothing is left");
    assert!(start.elapsed() < AT_ONCE, "stopping took {:?}", start.elapsed());
}

#[test]
fn a_client_sleeps_through_nothing() {
    check(1000, WHOLE, |stage| scene(stage, &["", "snappy", "deflate"]));
}

#[test]
fn nor_does_one_in_tls() {
    check(1000, WHOLE, |stage| scene(stage, &["tls", "tls snappy", "tls deflate"]));
}
