//! Watching a connection between the network and a node: its bytes, decoded, become [`Observation`]s.

use std::collections::VecDeque;
use std::time::Duration;

use crate::message::MessageId;
use crate::name::{ChannelName, TopicName};
use crate::protocol::{ConnId, ConsumerVerb};
use crate::time::Instant;
use crate::wire::Identify;

use super::decode::{Item, command, frame, number_of};
use super::observe::Observation;
use super::places::Places;

/// Deliveries without an answer that are remembered; of older ones an answer is not known to be one.
const DELIVERED_MAX: usize = 10_000;

/// Answers remembered, for those that come twice.
const ANSWERED_MAX: usize = 1_000;

/// What the next `OK` of a connection is about.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Publish { first: u64, count: u32 },
    Other,
}

/// One connection as it looks from outside of its node.
#[derive(Clone, Debug)]
pub(super) struct Inspector {
    node: u32,
    conn: ConnId,
    /// Bytes of an item that is not there whole, by direction.
    partial: [Vec<u8>; 2],
    replies: VecDeque<Reply>,
    /// What was delivered and not answered yet, the oldest first.
    delivered: VecDeque<(MessageId, u64)>,
    /// What was answered last, the oldest first.
    answered: VecDeque<(MessageId, u64)>,
    channel: Option<u32>,
    msg_timeout: Option<Duration>,
    sample_rate: u8,
}

/// Where observations go, and what they refer to.
pub(super) struct Seen<'a> {
    pub(super) now: Instant,
    pub(super) places: &'a mut Places,
    pub(super) observations: &'a mut Vec<Observation>,
}

impl Inspector {
    pub(super) fn new(node: u32, conn: ConnId) -> Self {
        Self {
            node,
            conn,
            partial: [Vec::new(), Vec::new()],
            replies: VecDeque::new(),
            delivered: VecDeque::new(),
            answered: VecDeque::new(),
            channel: None,
            msg_timeout: None,
            sample_rate: 0,
        }
    }

    /// Bytes reach the node.
    pub(super) fn on_input(&mut self, bytes: &[u8], seen: &mut Seen<'_>) {
        let mut partial = std::mem::take(&mut self.partial[1]);
        partial.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((item, len)) = command(&partial[at..]) {
            at += len;
            self.on_command(item, seen);
        }
        partial.drain(..at);
        self.partial[1] = partial;
    }

    fn on_command(&mut self, item: Item<'_>, seen: &mut Seen<'_>) {
        let (node, conn) = (self.node, self.conn);
        let observation = match item {
            Item::Identify(json) => {
                let identify = Identify::decode(json).unwrap_or_default();
                let asked = u64::try_from(identify.msg_timeout).unwrap_or(0);
                self.msg_timeout = (asked > 0).then(|| Duration::from_millis(asked));
                self.sample_rate = u8::try_from(identify.sample_rate).unwrap_or(0);
                self.replies.push_back(Reply::Other);
                return;
            }
            Item::Subscribe { topic, channel } => {
                self.replies.push_back(Reply::Other);
                let (Ok(topic), Ok(channel)) = (TopicName::parse(topic), ChannelName::parse(channel)) else { return };
                let channel = seen.places.channel(node, &topic, &channel);
                self.channel = Some(channel);
                let (msg_timeout, sample_rate) = (self.msg_timeout, self.sample_rate);
                Observation::Subscribe { node, conn, channel, msg_timeout, sample_rate }
            }
            Item::Publish { topic, defer_ms, .. } => {
                let mut bodies = item.bodies();
                let first = bodies.next().and_then(number_of).unwrap_or(0);
                let count = 1 + bodies.count() as u32;
                self.replies.push_back(Reply::Publish { first, count });
                let Ok(topic) = TopicName::parse(topic) else { return };
                let topic = seen.places.topic(node, &topic);
                let due = (defer_ms > 0).then(|| seen.now + Duration::from_millis(defer_ms));
                Observation::Publish { node, conn, topic, first, count, due }
            }
            Item::Ready { count } => Observation::Ready { node, conn, count },
            Item::StartClose => Observation::StartClose { node, conn },
            Item::Finish { id } => {
                let Some(channel) = self.channel else { return };
                Observation::Finish { node, conn, channel, id, number: self.number(id, true) }
            }
            Item::Requeue { id, delay_ms } => {
                let Some(channel) = self.channel else { return };
                let (number, delay) = (self.number(id, true), Duration::from_millis(delay_ms));
                Observation::Requeue { node, conn, channel, id, number, delay }
            }
            Item::Touch { id } => {
                let Some(channel) = self.channel else { return };
                Observation::Touch { node, conn, channel, id, number: self.number(id, false) }
            }
            _ => return,
        };
        seen.observations.push(observation);
    }

    /// The number of a message that is, or was lately, out with this connection.
    pub(super) fn find(&self, id: MessageId) -> Option<u64> {
        let mut all = self.delivered.iter().chain(self.answered.iter().rev());
        all.find(|(known, _)| *known == id).map(|&(_, number)| number)
    }

    /// The same, and if that `ends` it, it is answered now.
    fn number(&mut self, id: MessageId, ends: bool) -> Option<u64> {
        let Some(index) = self.delivered.iter().position(|&(delivered, _)| delivered == id) else {
            return self.find(id);
        };
        let found = self.delivered[index];
        if ends {
            self.delivered.remove(index);
            push_bounded(&mut self.answered, ANSWERED_MAX, found);
        }
        Some(found.1)
    }

    /// Bytes leave the node.
    pub(super) fn on_output(&mut self, bytes: &[u8], seen: &mut Seen<'_>) {
        let mut partial = std::mem::take(&mut self.partial[0]);
        partial.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((item, len)) = frame(&partial[at..]) {
            at += len;
            self.on_frame(item, seen);
        }
        partial.drain(..at);
        self.partial[0] = partial;
    }

    fn on_frame(&mut self, item: Item<'_>, seen: &mut Seen<'_>) {
        let (node, conn) = (self.node, self.conn);
        let observation = match item {
            Item::Ok => match self.replies.pop_front() {
                Some(Reply::Publish { first, count }) => {
                    Observation::PublishAnswered { node, conn, first, count, ok: true }
                }
                _ => return,
            },
            Item::Response(data) if data != b"CLOSE_WAIT" => {
                self.replies.pop_front();
                return;
            }
            Item::Error(text) => match refused(text) {
                Some((verb, id)) => {
                    let Some(channel) = self.channel else { return };
                    let number = self.number(id, false);
                    Observation::Refused { node, conn, channel, verb, id, number }
                }
                None => return,
            },
            Item::Message { id, attempts, body, .. } => {
                let (Some(channel), Some(number)) = (self.channel, number_of(body)) else { return };
                // A message comes again when its time was up: the earlier delivery cannot be answered.
                if attempts > 1 {
                    self.number(id, true);
                }
                push_bounded(&mut self.delivered, DELIVERED_MAX, (id, number));
                Observation::Delivered { node, conn, channel, number, id, attempts }
            }
            _ => return,
        };
        seen.observations.push(observation);
    }

    /// The connection is over: publishes that wait are not answered any more.
    pub(super) fn end(&mut self, seen: &mut Seen<'_>) {
        let (node, conn) = (self.node, self.conn);
        for reply in self.replies.drain(..) {
            if let Reply::Publish { first, count } = reply {
                seen.observations.push(Observation::PublishAnswered { node, conn, first, count, ok: false });
            }
        }
        seen.observations.push(Observation::Disconnected { node, conn });
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, max: usize, value: T) {
    if queue.len() == max {
        queue.pop_front();
    }
    queue.push_back(value);
}

/// What an error is about that leaves the connection open: `E_FIN_FAILED FIN <id> failed ...`.
fn refused(text: &[u8]) -> Option<(ConsumerVerb, MessageId)> {
    let mut words = text.split(|&byte| byte == b' ');
    let verb = match words.next()? {
        b"E_FIN_FAILED" => ConsumerVerb::Finish,
        b"E_REQ_FAILED" => ConsumerVerb::Requeue,
        b"E_TOUCH_FAILED" => ConsumerVerb::Touch,
        _ => return None,
    };
    Some((verb, MessageId::parse(words.nth(1)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn bytes_in_any_pieces_are_seen_as_what_they_say() {
        let bytes = b"  V2IDENTIFY\n\0\0\0\x14{\"msg_timeout\":1500}SUB t c\nRDY 3\nFIN 0123456789abcdef\nPUB t\n\0\0\0\x08\0\0\0\0\0\0\0\x05";
        let run = |step: usize| {
            let (mut places, mut observations) = (Places::default(), Vec::new());
            let mut inspector = Inspector::new(0, ConnId(1));
            let mut seen = Seen { now: Instant::ZERO, places: &mut places, observations: &mut observations };
            bytes.chunks(step).for_each(|piece| inspector.on_input(piece, &mut seen));
            inspector.end(&mut seen);
            observations
        };
        let whole = run(bytes.len());
        assert_eq!(whole.len(), 6);
        assert!(matches!(whole[0], Observation::Subscribe { msg_timeout: Some(time), .. } if time.as_millis() == 1500));
        assert!(matches!(whole[3], Observation::Publish { first: 5, count: 1, .. }));
        assert!(matches!(whole[4], Observation::PublishAnswered { first: 5, ok: false, .. }));
        for step in 1..bytes.len() {
            assert_eq!(run(step), whole, "{step}");
        }
    }

    #[test]
    fn refusals_are_told_from_fatal_errors() {
        let refusal = refused(b"E_FIN_FAILED FIN 00000000000000ff failed ID not in flight");
        assert_eq!(refusal, Some((ConsumerVerb::Finish, MessageId(255))));
        assert_eq!(refused(b"E_INVALID FIN 00000000000000ff"), None);
    }
}
