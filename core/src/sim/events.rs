//! The queue of what is going to happen, by time and then by an order that only depends on what happens: timers by their
//! owner's index, then what is under way on the network in the order it was sent.
//!
//! An owner has one alarm that counts. It is set anew only to come earlier; one that comes too early is set again by who
//! looks at it. So a deadline that moves away with every message costs nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Instant;

/// Something that happens at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    /// The script's next action.
    Script,
    /// A broker's deadline.
    Broker(u32),
    /// A disk has carried something out.
    Disk(u32),
    /// A client program's deadline.
    Client(u32),
    /// Something arrives at the end of a wire.
    Arrival {
        /// In the order of sending, over all wires.
        sequence: u64,
        wire: u32,
        to_node: bool,
    },
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Reverse<(Instant, Happening)>>,
    sent: u64,
}

impl Events {
    /// When the next comes, if it counts.
    pub(super) fn next(&self) -> Option<(Instant, Happening)> {
        self.heap.peek().map(|next| next.0)
    }

    /// Takes what [`next`](Self::next) showed.
    pub(super) fn pop(&mut self) {
        self.heap.pop();
    }

    /// Lets something arrive.
    pub(super) fn arrive(&mut self, at: Instant, wire: u32, to_node: bool) {
        self.sent += 1;
        self.heap.push(Reverse((at, Happening::Arrival { sequence: self.sent, wire, to_node })));
    }

    /// Sees to it that `happening` comes at `at` or before. `armed`: when it comes now.
    pub(super) fn arm(&mut self, armed: &mut Option<Instant>, at: Option<Instant>, happening: Happening) {
        if let Some(at) = at.filter(|&at| armed.is_none_or(|armed| at < armed)) {
            *armed = Some(at);
            self.heap.push(Reverse((at, happening)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn time_decides_then_the_owner_then_the_order_of_sending() {
        let (mut events, at) = (Events::default(), Instant::from_nanos);
        events.arrive(at(5), 9, true);
        events.arrive(at(5), 1, false);
        events.arm(&mut None, Some(at(5)), Happening::Disk(0));
        let mut armed = None;
        events.arm(&mut armed, Some(at(7)), Happening::Broker(1));
        events.arm(&mut armed, Some(at(8)), Happening::Broker(1));
        events.arm(&mut armed, Some(at(5)), Happening::Broker(1));
        let mut order = Vec::new();
        while let Some((at, happening)) = events.next() {
            events.pop();
            order.push((at.as_nanos(), happening));
        }
        let arrival = |sequence, wire, to_node| Happening::Arrival { sequence, wire, to_node };
        let expected = [
            (5, Happening::Broker(1)),
            (5, Happening::Disk(0)),
            (5, arrival(1, 9, true)),
            (5, arrival(2, 1, false)),
            (7, Happening::Broker(1)),
        ];
        assert_eq!(order, expected);
    }
}
