//! One stream of bytes means the same however it is cut. The first byte picks the cuts, the second what is switched on; the
//! rest is the stream.

use std::sync::Arc;
use std::time::Duration;

use sansq_core::config::Config;
use sansq_core::message::BatchBuilder;
use sansq_core::protocol::{Answer, Request};
use sansq_core::session::{Features, Grant, Permissions, Session};
use sansq_core::time::Now;

pub fn run(data: &[u8]) {
    let [cuts, switches, stream @ ..] = data else { return };
    let whole = outcome(*switches, std::iter::once(stream));
    let pieces = outcome(*switches, Cut { rest: stream, state: u32::from(*cuts) + 1 });
    assert_eq!(whole, pieces);
}

/// Pieces of one byte up to more than most commands have.
struct Cut<'a> {
    rest: &'a [u8],
    state: u32,
}

impl<'a> Iterator for Cut<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let len = (self.state >> 24) as usize >> (self.state >> 20 & 7);
        let (piece, rest) = self.rest.split_at(len.clamp(1, self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}

#[derive(Debug)]
struct ShortNames;

impl Permissions for ShortNames {
    fn allow(&self, topic: &str, _channel: Option<&str>) -> bool {
        topic.len() < 3
    }
}

/// What a host that grants everything at once was asked, and what the client reads.
fn outcome<'a>(switches: u8, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Vec<u8>, bool) {
    let config = Config { max_msg_size: 300, max_body_size: 1000, ..Config::default() };
    let bit = |bit: u8| switches >> bit & 1 == 1;
    let features = Features { tls: bit(0), tls_required: bit(1), snappy: bit(2), deflate: bit(3), auth: bit(4) };
    let now = Now::default();
    let mut session = Session::new(now, Arc::new(config), features);
    let (mut builder, mut requests, mut out) = (BatchBuilder::default(), Vec::new(), Vec::new());
    let (mut asked, mut input) = (Vec::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let taken = session.handle_bytes(now, &input, &mut builder, &mut requests, &mut out);
            input.drain(..taken);
            if requests.is_empty() {
                break;
            }
            for request in std::mem::take(&mut requests) {
                match request {
                    Request::Publish { id, topic, batches } => {
                        let messages = batches.iter().flat_map(|batch| (0..batch.len()).map(|i| batch.message(i)));
                        asked.extend(messages.map(|message| format!("{topic} {:?} {:?}", message.body, message.due)));
                        session.handle_answer(now, Answer::Published { id, result: Ok(()) }, &mut out);
                    }
                    Request::Subscribe(subscribe) => {
                        let id = subscribe.id;
                        asked.push(format!("{} {} {:?}", subscribe.topic, subscribe.channel, subscribe.options));
                        session.handle_answer(now, Answer::Subscribed { id, result: Ok(()) }, &mut out);
                    }
                    Request::Consumer(command) => asked.push(format!("{command:?}")),
                    Request::Upgrade(upgrade) => {
                        asked.push(format!("{upgrade:?}"));
                        session.handle_upgraded(now, Ok(()), &mut requests, &mut out);
                    }
                    Request::Authorize { secret } => {
                        asked.push(format!("{secret:?}"));
                        session.handle_authorized(now, Ok(grant()), &mut out);
                    }
                }
            }
        }
        assert!(input.is_empty() || session.is_closed());
    }
    (asked, out, session.is_closed())
}

fn grant() -> Grant {
    Grant {
        identity: "me".to_owned(),
        identity_url: String::new(),
        permission_count: 1,
        ttl: Duration::from_secs(1),
        permissions: Arc::new(ShortNames),
    }
}
