//! Messages that wait for their time, by due time, first come first served among equals. A heap for each
//! [second or so](SPAN_SHIFT) that has any: those being taken from are small and at hand, and the millions due in some
//! hours are not sifted through.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use crate::message::Run;
use crate::time::Instant;

/// A span is 2^30 nanoseconds.
const SPAN_SHIFT: u32 = 30;

#[derive(Clone, Debug)]
struct Entry {
    due: Instant,
    sequence: u64,
    run: Run,
}

// Reversed, so that the heap's top is the earliest.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.sequence).cmp(&(self.due, self.sequence))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// The deferred set of a channel. All messages of a run share its due time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deferred {
    /// By number of the span. None is empty.
    spans: BTreeMap<u64, BinaryHeap<Entry>>,
    sequence: u64,
    messages: usize,
}

impl Deferred {
    /// Messages waiting.
    pub(crate) fn len(&self) -> usize {
        self.messages
    }

    pub(crate) fn push(&mut self, due: Instant, run: Run) {
        self.sequence += 1;
        self.messages += run.len() as usize;
        let span = self.spans.entry(due.as_nanos() >> SPAN_SHIFT).or_default();
        span.push(Entry { due, sequence: self.sequence, run });
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.spans.first_key_value().and_then(|(_, span)| span.peek()).map(|entry| entry.due)
    }

    /// The next run that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Run> {
        if self.next_due()? > now {
            return None;
        }
        self.pop()
    }

    /// The next due, in that order: at least `limit` messages if there are as many.
    pub(crate) fn first(&self, limit: usize) -> impl Iterator<Item = (Instant, &Run)> {
        let mut found: Vec<&Entry> = Vec::new();
        for span in self.spans.values() {
            if found.len() >= limit {
                break;
            }
            let from = found.len();
            found.extend(span);
            found[from..].sort_unstable_by_key(|entry| (entry.due, entry.sequence));
        }
        found.into_iter().take(limit).map(|entry| (entry.due, &entry.run))
    }

    /// Empties the set, earliest first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Run> {
        let mut all = std::mem::take(self);
        std::iter::from_fn(move || all.pop())
    }

    fn pop(&mut self) -> Option<Run> {
        let mut span = self.spans.first_entry()?;
        let run = span.get_mut().pop()?.run;
        if span.get().is_empty() {
            span.remove();
        }
        self.messages -= run.len() as usize;
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::BatchBuilder;
    use std::sync::Arc;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn run(body: &[u8]) -> Run {
        let mut builder = BatchBuilder::default();
        builder.push(body, None);
        Run::whole(Arc::new(builder.finish().remove(0)))
    }

    #[test]
    fn never_before_due_and_in_order() {
        let mut deferred = Deferred::default();
        for (due, body) in [(3 << 40, b"d"), (30, b"c"), (10, b"a"), (10, b"b")] {
            deferred.push(Instant::from_nanos(due), run(body));
        }
        assert!(deferred.pop_due(Instant::from_nanos(9)).is_none());
        let mut bodies = Vec::new();
        while let Some(run) = deferred.pop_due(Instant::from_nanos(3 << 40)) {
            bodies.extend_from_slice(run.messages().next().unwrap().body);
        }
        assert_eq!(bodies, b"abcd");
        assert_eq!((deferred.len(), deferred.next_due()), (0, None));
    }
}
