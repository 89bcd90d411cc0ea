//! What a consumer costs per message: frames in, FIN out, 200 messages for each read:
//! `cargo bench -p sansq-core --bench client`.

// Criterion's macro makes a public function without a comment.
#![allow(missing_docs)]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sansq_core::client::{ClientOptions, Consumer, Output};
use sansq_core::message::{Message, MessageId};
use sansq_core::name::{ChannelName, TopicName};
use sansq_core::rng::Rng;
use sansq_core::time::{Instant, Timestamp};
use sansq_core::wire::{FrameType, put_frame, put_message};

const MESSAGES: u64 = 200;
const NOW: Instant = Instant::ZERO;

fn frames(count: u64) -> Bytes {
    let mut out = Vec::new();
    for id in 0..count {
        let timestamp = Timestamp::from_nanos(1);
        put_message(
            &mut out,
            &Message { id: MessageId(id << 12), timestamp, attempts: 0, due: None, body: &[7; 100] },
            1,
        );
    }
    out.into()
}

fn connected() -> Consumer {
    let topic = TopicName::parse("t").expect("a name");
    let channel = ChannelName::parse("c").expect("a name");
    let options = ClientOptions { max_in_flight: 2500, ..ClientOptions::default() };
    let mut consumer = Consumer::new(topic, channel, options, Rng::new(1));
    consumer.add_nsqd(NOW, "a");
    while let Some(output) = consumer.poll_output() {
        if let Output::Connect { peer, .. } = output {
            consumer.handle_connected(NOW, peer);
            let mut oks = Vec::new();
            put_frame(&mut oks, FrameType::Response, &[b"{}"]);
            put_frame(&mut oks, FrameType::Response, &[b"OK"]);
            consumer.handle_bytes(NOW, peer, oks.into());
        }
    }
    consumer
}

fn consume(criterion: &mut Criterion) {
    let mut consumer = connected();
    let (peer, ..) = consumer.connections().next().expect("a connection");
    let frames = frames(MESSAGES);
    let mut messages = Vec::new();
    let mut group = criterion.benchmark_group("client");
    group.throughput(Throughput::Elements(MESSAGES));
    group.bench_function("consume 200 messages of 100 bytes", |bencher| {
        bencher.iter(|| {
            consumer.handle_bytes(NOW, peer, frames.clone());
            while let Some(output) = consumer.poll_output() {
                if let Output::Message { message, .. } = output {
                    messages.push(message.id);
                }
            }
            for id in messages.drain(..) {
                consumer.finish(NOW, peer, id);
            }
            while consumer.poll_output().is_some() {}
        });
    });
    group.finish();
}

criterion_group!(benches, consume);
criterion_main!(benches);
