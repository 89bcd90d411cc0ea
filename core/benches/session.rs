//! What a session costs per command: `cargo bench -p sansq-core --bench session`. Each figure is for a whole read of
//! pipelined commands; divide by the number of elements, which criterion does in its throughput line.

// Criterion's macro makes a public function without a comment.
#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sansq_core::config::Config;
use sansq_core::message::{BatchBuilder, Message, MessageId, Run};
use sansq_core::protocol::{Answer, Request};
use sansq_core::session::{Features, Session};
use sansq_core::time::{Now, Timestamp};

const BODY: [u8; 200] = [b'x'; 200];

/// A session, and a host that answers at once.
struct Rig {
    session: Session,
    now: Now,
    builder: BatchBuilder,
    requests: Vec<Request>,
    out: Vec<u8>,
}

impl Rig {
    fn new(greeting: &[u8]) -> Self {
        let now = Now::default();
        let session = Session::new(now, Arc::new(Config::default()), Features::default());
        let mut rig = Self { session, now, builder: BatchBuilder::default(), requests: Vec::new(), out: Vec::new() };
        rig.take(greeting);
        rig
    }

    fn take(&mut self, input: &[u8]) {
        let taken = self.session.handle_bytes(self.now, input, &mut self.builder, &mut self.requests, &mut self.out);
        assert_eq!(taken, input.len());
        for request in self.requests.drain(..) {
            let answer = match black_box(request) {
                Request::Publish { id, .. } => Answer::Published { id, result: Ok(()) },
                Request::Subscribe(subscribe) => Answer::Subscribed { id: subscribe.id, result: Ok(()) },
                _ => continue,
            };
            self.session.handle_answer(self.now, answer, &mut self.out);
        }
        black_box(&self.out);
        self.out.clear();
    }
}

fn with_body(line: &str, body: &[u8]) -> Vec<u8> {
    [line.as_bytes(), b"\n", &(body.len() as u32).to_be_bytes(), body].concat()
}

fn commands(c: &mut Criterion) {
    let publish = with_body("PUB some.topic", &BODY);
    let deferred = with_body("DPUB some.topic 1000", &BODY);
    let mut many = 200u32.to_be_bytes().to_vec();
    for _ in 0..200 {
        many.extend((BODY.len() as u32).to_be_bytes());
        many.extend(BODY);
    }
    let many = with_body("MPUB some.topic", &many);
    let consumer = &b"  V2SUB t c\n"[..];
    let mut group = c.benchmark_group("read");
    for (name, greeting, input, elements) in [
        ("fin", consumer, b"FIN 0123456789abcdef\n".repeat(1000), 1000),
        ("req", consumer, b"REQ 0123456789abcdef 1000\n".repeat(1000), 1000),
        ("pub", b"  V2", publish.repeat(256), 256),
        ("pub alone", b"  V2", publish.clone(), 1),
        ("dpub", b"  V2", deferred.repeat(256), 256),
        ("mpub message", b"  V2", many, 200),
    ] {
        let mut rig = Rig::new(greeting);
        group.throughput(Throughput::Elements(elements));
        group.bench_function(name, |b| b.iter(|| rig.take(&input)));
    }
    // The host's buffer ends inside most commands.
    let (input, mut rig) = (publish.repeat(256), Rig::new(b"  V2"));
    group.throughput(Throughput::Elements(256));
    group.bench_function("pub in reads of 4096", |b| b.iter(|| input.chunks(4096).for_each(|read| rig.take(read))));
    group.finish();
}

fn large_body(c: &mut Criterion) {
    let mut group = c.benchmark_group("large body");
    let input = with_body("PUB t", &vec![b'x'; 1 << 20]);
    group.throughput(Throughput::Bytes(input.len() as u64));
    for read in [16 * 1024, 256 * 1024] {
        let mut rig = Rig::new(b"  V2");
        group.bench_with_input(BenchmarkId::from_parameter(read), &read, |b, &read| {
            b.iter(|| input.chunks(read).for_each(|read| rig.take(read)));
        });
    }
    group.finish();
}

fn deliveries(c: &mut Criterion) {
    let mut builder = BatchBuilder::default();
    for id in 0..64 {
        let (id, timestamp) = (MessageId(id << 40), Timestamp::default());
        builder.push_stored(Message { id, timestamp, attempts: 0, due: None, body: &BODY });
    }
    let run = Run::whole(Arc::new(builder.finish().remove(0)));
    let mut rig = Rig::new(b"  V2SUB t c\n");
    let mut runs = Vec::new();
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(u64::from(run.len()) * 10));
    group.bench_function("message", |b| {
        b.iter(|| {
            runs.extend(std::iter::repeat_n(run.clone(), 10));
            rig.session.handle_deliveries(&mut runs, &mut rig.out);
            black_box(&rig.out);
            rig.out.clear();
        });
    });
    group.finish();
}

criterion_group!(benches, commands, large_body, deliveries);
criterion_main!(benches);
