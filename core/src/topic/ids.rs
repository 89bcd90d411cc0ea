//! Message ids: strictly rising per topic, the reference's layout (`nsqd/guid.go`): milliseconds-and-a-bit ticks, node id,
//! sequence. Where the reference sleeps (more than 4,096 ids in a tick, or a clock that went back), we count on past the
//! clock: ids stay unique and nobody waits.

use crate::message::MessageId;
use crate::time::Timestamp;

const TICK_SHIFT: u32 = 20;
const EPOCH_TICKS: i64 = 1_288_834_974_288;
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;

/// Gives out one topic's ids.
#[derive(Clone, Debug)]
pub(crate) struct IdFactory {
    node_id: u64,
    /// Tick and sequence of the last id, as one number.
    last: u64,
}

impl IdFactory {
    /// `node_id`: 0..1024.
    pub(crate) fn new(node_id: u16) -> Self {
        Self { node_id: u64::from(node_id) & ((1 << NODE_BITS) - 1), last: 0 }
    }

    /// The next id, its tick that of `wall` unless the ids have run ahead of it.
    pub(crate) fn next(&mut self, wall: Timestamp) -> MessageId {
        let tick = u64::try_from((wall.as_nanos() >> TICK_SHIFT) - EPOCH_TICKS).unwrap_or(0);
        self.last = (tick << SEQUENCE_BITS).max(self.last + 1);
        let (tick, sequence) = (self.last >> SEQUENCE_BITS, self.last & ((1 << SEQUENCE_BITS) - 1));
        MessageId(tick << (NODE_BITS + SEQUENCE_BITS) | self.node_id << SEQUENCE_BITS | sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn ids_rise_whatever_the_clock_does() {
        let mut ids = IdFactory::new(1023);
        let mut last = MessageId(0);
        let start = 1_700_000_000_000_000_000;
        for i in 0..20_000i64 {
            let wall = if i % 7 == 0 { start - i } else { start + i };
            let id = ids.next(Timestamp::from_nanos(wall));
            assert!(id > last);
            assert_eq!(id.0 >> SEQUENCE_BITS & 1023, 1023);
            last = id;
        }
    }

    #[test]
    fn an_id_tells_its_tick() {
        let wall = 1_700_000_000_000_000_000i64;
        let id = IdFactory::new(5).next(Timestamp::from_nanos(wall));
        assert_eq!((id.0 >> 22) as i64, (wall >> 20) - EPOCH_TICKS);
        assert_eq!(id.0 & 0xfff, 0);
    }
}
