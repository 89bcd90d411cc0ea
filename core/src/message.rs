//! Messages in memory. Messages that arrive together live together: a [`Batch`] is one block of bodies with a head for
//! each, shared by every queue and in-flight set that holds any of them, and a [`Run`] names some of its messages. So
//! fanning out 200 messages to 16 channels copies 16 handles, and a queued message costs its body and 24 bytes.
//!
//! A batch is immutable once shared. A message whose attempts or due time change is [detached](Batch::detach) into a
//! batch of its own, which also keeps a straggler from pinning its neighbours' bodies. [`BLOCK_BYTES_MAX`] bounds what
//! one message can pin.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::time::Timestamp;

/// Most body bytes in a batch of more than one message.
pub const BLOCK_BYTES_MAX: usize = 16 * 1024;

/// A body larger than this is shared, not copied, when its message leaves its batch.
const DETACH_COPY_BYTES_MAX: usize = 4 * 1024;

/// A message's id: 64 bits on the inside, 16 lower-case hex digits on the wire and on disk. Unique per topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageId(pub u64);

impl MessageId {
    /// Bytes of an id on the wire.
    pub const LEN: usize = 16;

    /// The id spelled by `hex`; `None` unless it is 16 lower-case hex digits, the only spelling we ever hand out.
    #[inline]
    pub fn parse(hex: &[u8]) -> Option<Self> {
        let hex: &[u8; Self::LEN] = hex.try_into().ok()?;
        let (high, low) = (hex.first_chunk()?, hex.last_chunk()?);
        let high = digits::parse(u64::from_be_bytes(*high))?;
        let low = digits::parse(u64::from_be_bytes(*low))?;
        Some(Self(u64::from(high) << 32 | u64::from(low)))
    }

    /// The wire spelling.
    #[inline]
    pub fn to_hex(self) -> [u8; Self::LEN] {
        let mut hex = [0; Self::LEN];
        hex[..8].copy_from_slice(&digits::spell((self.0 >> 32) as u32).to_be_bytes());
        hex[8..].copy_from_slice(&digits::spell(self.0 as u32).to_be_bytes());
        hex
    }
}

/// Eight hex digits at a time, a byte for each in one word: every FIN spells an id, and every delivery.
mod digits {
    const ONES: u64 = 0x0101_0101_0101_0101;

    /// The digit of each byte of `values`, all of which are below 16: `a` is 0x27 further than `9` leads to expect.
    #[inline]
    const fn of(values: u64) -> u64 {
        let above_nine = (values + 6 * ONES) >> 4 & ONES;
        values + 0x30 * ONES + 0x27 * above_nine
    }

    #[inline]
    pub(super) const fn spell(value: u32) -> u64 {
        let mut spread = value as u64;
        spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
        spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
        spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
        of(spread)
    }

    /// The inverse of [`spell`]; `None` for what it never gives.
    #[inline]
    pub(super) const fn parse(digits: u64) -> Option<u32> {
        let letters = digits >> 6 & ONES;
        let values = (digits & (0x0f * ONES)) + 9 * letters;
        if values & (0xf0 * ONES) != 0 || of(values) != digits {
            return None;
        }
        let mut packed = values;
        packed = (packed | packed >> 4) & 0x00ff_00ff_00ff_00ff;
        packed = (packed | packed >> 8) & 0x0000_ffff_0000_ffff;
        Some((packed | packed >> 16) as u32)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a message is besides its body. 24 bytes: a backlog is mostly these and bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Zero until the topic stamps it.
    pub id: MessageId,
    /// When the topic took it. Never changes after.
    pub timestamp: Timestamp,
    /// Where its body ends in the batch's block; it begins where the previous one ends.
    end: u32,
    /// Deliveries so far.
    pub attempts: u16,
}

/// Messages stored together: one block of bodies, one head each. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    heads: Box<[Head]>,
    bodies: Bytes,
    due: Option<Timestamp>,
}

/// One message, borrowed from its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its id.
    pub id: MessageId,
    /// When its topic took it.
    pub timestamp: Timestamp,
    /// Deliveries so far.
    pub attempts: u16,
    /// Not deliverable before this time.
    pub due: Option<Timestamp>,
    /// Its body.
    pub body: &'a [u8],
}

// A batch is never empty, so `is_empty` would have one answer.
#[allow(clippy::len_without_is_empty)]
impl Batch {
    /// A batch of one message.
    pub fn single(message: Message<'_>) -> Self {
        let mut builder = BatchBuilder::default();
        builder.push_stored(message);
        builder.finish().pop().expect("one message was pushed")
    }

    /// How many messages.
    pub fn len(&self) -> u32 {
        self.heads.len() as u32
    }

    /// Sum of the body sizes in bytes.
    pub fn body_bytes(&self) -> usize {
        self.bodies.len()
    }

    /// The time before which none of the messages is deliverable.
    pub fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// The message at `index`. Panics outside `0..len()`.
    pub fn message(&self, index: u32) -> Message<'_> {
        let head = &self.heads[index as usize];
        Message {
            id: head.id,
            timestamp: head.timestamp,
            attempts: head.attempts,
            due: self.due,
            body: &self.bodies[self.body_range(index)],
        }
    }

    /// The heads, in order.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Bytes of the body at `index`.
    pub fn body_len(&self, index: u32) -> usize {
        self.body_range(index).len()
    }

    fn body_range(&self, index: u32) -> Range<usize> {
        let index = index as usize;
        let start = if index == 0 { 0 } else { self.heads[index - 1].end };
        start as usize..self.heads[index].end as usize
    }

    /// Gives every message its id and timestamp; done once, by the topic that takes the batch.
    pub(crate) fn stamp(&mut self, timestamp: Timestamp, mut next_id: impl FnMut() -> MessageId) {
        for head in &mut self.heads {
            head.timestamp = timestamp;
            head.id = next_id();
        }
    }

    /// The message at `index` in a batch of its own, with new `attempts` and `due`. Small bodies are copied so that the
    /// rest of the block can go; large ones are shared.
    pub fn detach(&self, index: u32, attempts: u16, due: Option<Timestamp>) -> Batch {
        let head = self.heads[index as usize];
        let range = self.body_range(index);
        let len = range.len();
        let bodies = if len > DETACH_COPY_BYTES_MAX {
            self.bodies.slice(range)
        } else {
            Bytes::copy_from_slice(&self.bodies[range])
        };
        Batch { heads: Box::new([Head { attempts, end: len as u32, ..head }]), bodies, due }
    }
}

/// Packs bodies into batches of at most [`BLOCK_BYTES_MAX`]; a larger body gets a batch of its own. The buffers are
/// kept from one [`finish`](Self::finish) to the next.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    batches: Vec<Batch>,
    heads: Vec<Head>,
    bodies: Vec<u8>,
    due: Option<Timestamp>,
}

impl BatchBuilder {
    /// Adds a new message, to be stamped by its topic.
    #[inline]
    pub fn push(&mut self, body: &[u8], due: Option<Timestamp>) {
        self.push_stored(Message { id: MessageId(0), timestamp: Timestamp::default(), attempts: 0, due, body });
    }

    /// Adds a message that has its id already.
    #[inline]
    pub fn push_stored(&mut self, message: Message<'_>) {
        let full = self.bodies.len() + message.body.len() > BLOCK_BYTES_MAX;
        if !self.heads.is_empty() && (full || self.due != message.due) {
            self.seal();
        }
        self.due = message.due;
        self.bodies.extend_from_slice(message.body);
        self.heads.push(Head {
            id: message.id,
            timestamp: message.timestamp,
            end: self.bodies.len() as u32,
            attempts: message.attempts,
        });
    }

    /// Adds a new message whose body is already alone in its buffer: no copy.
    pub fn push_owned(&mut self, body: Bytes, due: Option<Timestamp>) {
        self.seal();
        let head = Head { end: body.len() as u32, ..Head::default() };
        self.batches.push(Batch { heads: Box::new([head]), bodies: body, due });
    }

    /// Whether nothing has been pushed since the last [`finish`](Self::finish).
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.batches.is_empty()
    }

    /// The batches, in order of the pushes.
    pub fn finish(&mut self) -> Vec<Batch> {
        self.seal();
        std::mem::take(&mut self.batches)
    }

    fn seal(&mut self) {
        if self.heads.is_empty() {
            return;
        }
        let batch =
            Batch { heads: self.heads.as_slice().into(), bodies: Bytes::copy_from_slice(&self.bodies), due: self.due };
        self.batches.push(batch);
        self.heads.clear();
        self.bodies.clear();
    }
}

/// Some consecutive messages of a batch, and where they stand in the log they were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The batch they are in.
    pub batch: Arc<Batch>,
    /// First message.
    pub from: u32,
    /// One past the last message. `from < to`.
    pub to: u32,
    /// Sequence number of the first in the queue's log, counting from 1; zero for messages that are on no log.
    pub origin: u64,
}

#[allow(clippy::len_without_is_empty)]
impl Run {
    /// All messages of `batch`, on no log.
    pub fn whole(batch: Arc<Batch>) -> Self {
        let to = batch.len();
        Self { batch, from: 0, to, origin: 0 }
    }

    /// How many messages; never zero.
    pub fn len(&self) -> u32 {
        self.to - self.from
    }

    /// The messages, in order.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = Message<'_>> {
        (self.from..self.to).map(|index| self.batch.message(index))
    }

    /// Log sequence number of the message at batch index `index`, zero if on no log.
    pub fn origin_of(&self, index: u32) -> u64 {
        if self.origin == 0 { 0 } else { self.origin + u64::from(index - self.from) }
    }

    /// Takes the first `count` messages off; `count < len()`.
    pub fn split_front(&mut self, count: u32) -> Run {
        debug_assert!(0 < count && count < self.len());
        let front = Run { batch: self.batch.clone(), from: self.from, to: self.from + count, origin: self.origin };
        self.origin = self.origin_of(self.from + count);
        self.from += count;
        front
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn ids_are_lower_case_hex() {
        let id = MessageId(0x0123_4567_89ab_cdef);
        assert_eq!(&id.to_hex(), b"0123456789abcdef");
        assert_eq!(MessageId::parse(b"0123456789abcdef"), Some(id));
        assert_eq!(id.to_string(), "0123456789abcdef");
        for bad in [&b"0123456789ABCDEF"[..], b"0123", b"", b"0123456789abcdef0"] {
            assert_eq!(MessageId::parse(bad), None);
        }
        for at in [0, 7, 8, 15] {
            for byte in 0..=u8::MAX {
                let mut hex = *b"00000000ffffffff";
                hex[at] = byte;
                let expected = std::str::from_utf8(&hex).ok().filter(|_| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                let expected = expected.map(|hex| MessageId(u64::from_str_radix(hex, 16).unwrap()));
                assert_eq!(MessageId::parse(&hex), expected, "{byte:#x} at {at}");
                assert!(expected.is_none_or(|id| id.to_hex() == hex));
            }
        }
    }

    #[test]
    fn a_head_is_small() {
        assert_eq!(size_of::<Head>(), 24);
        assert_eq!(size_of::<Run>(), 24);
    }

    #[test]
    fn the_builder_packs_blocks_in_order() {
        let mut builder = BatchBuilder::default();
        let big = vec![7; BLOCK_BYTES_MAX + 1];
        let later = Some(Timestamp::from_nanos(5));
        for (body, due) in [(&b"a"[..], None), (b"", None), (&big, None), (b"b", later), (b"c", later)] {
            builder.push(body, due);
        }
        let batches = builder.finish();
        let lens: Vec<_> = batches.iter().map(Batch::len).collect();
        assert_eq!(lens, [2, 1, 2]);
        assert_eq!(batches[0].message(0).body, b"a");
        assert_eq!(batches[0].message(1).body, b"");
        assert_eq!(batches[1].message(0).body, big);
        assert_eq!(batches[2].due(), later);
        assert_eq!(batches[2].message(1).body, b"c");
        assert!(builder.is_empty());
    }

    #[test]
    fn a_detached_message_stands_alone() {
        let mut builder = BatchBuilder::default();
        builder.push(b"first", None);
        builder.push(b"second", None);
        let mut batch = builder.finish().remove(0);
        let mut next = 0;
        batch.stamp(Timestamp::from_nanos(9), || {
            next += 1;
            MessageId(next)
        });
        let alone = batch.detach(1, 3, None);
        let message = alone.message(0);
        assert_eq!((message.id, message.attempts, message.body), (MessageId(2), 3, &b"second"[..]));
        assert_eq!(message.timestamp, Timestamp::from_nanos(9));
    }

    #[test]
    fn splitting_a_run_keeps_origins() {
        let mut builder = BatchBuilder::default();
        for body in [b"a", b"b", b"c"] {
            builder.push(body, None);
        }
        let mut run = Run { origin: 10, ..Run::whole(Arc::new(builder.finish().remove(0))) };
        let front = run.split_front(2);
        assert_eq!((front.len(), front.origin, run.len(), run.origin), (2, 10, 1, 12));
        assert_eq!(run.origin_of(2), 12);
        assert_eq!(run.messages().next().unwrap().body, b"c");
    }
}
