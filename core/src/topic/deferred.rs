//! Messages that wait for their time, by due time, first come first served among equals. A tree and not a heap: taking the
//! earliest out of a million touches one leaf, where a heap sifts through twenty cache lines.

use std::collections::BTreeMap;

use crate::message::Run;
use crate::time::Instant;

/// The deferred set of a channel. All messages of a run share its due time.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    /// By due time and arrival.
    runs: BTreeMap<(Instant, u64), Run>,
    arrivals: u64,
    messages: usize,
}

impl Deferred {
    /// Messages waiting.
    pub(crate) fn len(&self) -> usize {
        self.messages
    }

    pub(crate) fn push(&mut self, due: Instant, run: Run) {
        self.arrivals += 1;
        self.messages += run.len() as usize;
        self.runs.insert((due, self.arrivals), run);
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.runs.first_key_value().map(|(&(due, _), _)| due)
    }

    /// The next run that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Run> {
        let first = self.runs.first_entry().filter(|first| first.key().0 <= now)?;
        let run = first.remove();
        self.messages -= run.len() as usize;
        Some(run)
    }

    /// Empties the set, earliest first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Run> {
        std::mem::take(self).runs.into_values()
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
        for (due, body) in [(30, b"c"), (10, b"a"), (10, b"b")] {
            deferred.push(Instant::from_nanos(due), run(body));
        }
        assert!(deferred.pop_due(Instant::from_nanos(9)).is_none());
        let mut bodies = Vec::new();
        while let Some(run) = deferred.pop_due(Instant::from_nanos(30)) {
            bodies.extend_from_slice(run.messages().next().unwrap().body);
        }
        assert_eq!(bodies, b"abc");
        assert_eq!((deferred.len(), deferred.next_due()), (0, None));
    }
}
