//! Which nsqds a consumer should be connected to: those it was told, and those that nsqlookupd names. For each, when to dial
//! it again: at once after a connection that was good, later each time after ones that were not, so that an nsqd which
//! accepts and closes is not dialled in a loop.
//!
//! What nsqlookupd does not name any more is dropped: at once if there is no connection, else when the connection has
//! been idle while it was missing for [`ROUNDS_MISSING`] rounds. A connection that brings messages is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Instant;

use super::{ClientOptions, PeerId};

/// The first wait before dialling again; it doubles up to `lookupd_poll_interval`.
const REDIAL_MIN: Duration = Duration::from_millis(100);
/// A connection that lasted as long was good.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// Answers in a row, of every nsqlookupd, that do not name an nsqd before an idle connection to it is given up.
const ROUNDS_MISSING: u32 = 3;

#[derive(Clone, Debug)]
struct Target {
    /// Named by the program, and not for nsqlookupd to drop.
    fixed: bool,
    peer: Option<PeerId>,
    failures: u32,
    dial_at: Option<Instant>,
    missing: u32,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    all: BTreeMap<Arc<str>, Target>,
}

impl Targets {
    /// One more to connect to; whether it is new.
    pub(super) fn add(&mut self, now: Instant, address: &str, fixed: bool) -> bool {
        if let Some(target) = self.all.get_mut(address) {
            target.fixed |= fixed;
            target.missing = 0;
            return false;
        }
        let target = Target { fixed, peer: None, failures: 0, dial_at: Some(now), missing: 0 };
        self.all.insert(Arc::from(address), target);
        true
    }

    /// Not to be connected to any more. The connection there is, if any.
    pub(super) fn remove(&mut self, address: &str) -> Option<PeerId> {
        self.all.remove(address)?.peer
    }

    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    /// An answer of one of `lookupds` nsqlookupds. The idle connections to give up, by what `idle` says.
    pub(super) fn handle_producers(
        &mut self,
        now: Instant,
        named: &[String],
        lookupds: u32,
        idle: impl Fn(PeerId) -> bool,
    ) -> Vec<PeerId> {
        for target in self.all.values_mut().filter(|target| !target.fixed) {
            target.missing += 1;
        }
        for address in named {
            self.add(now, address, false);
        }
        let mut stale = Vec::new();
        self.all.retain(|_, target| match target.peer {
            _ if target.fixed || target.missing == 0 => true,
            None => target.missing < lookupds,
            Some(peer) => {
                let gone = target.missing >= lookupds.saturating_mul(ROUNDS_MISSING) && idle(peer);
                if gone {
                    stale.push(peer);
                }
                !gone
            }
        });
        stale
    }

    /// The next to dial that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<Arc<str>> {
        let (address, target) = self.all.iter_mut().find(|(_, target)| target.dial_at.is_some_and(|at| at <= now))?;
        target.dial_at = None;
        Some(address.clone())
    }

    /// It is being dialled.
    pub(super) fn on_dial(&mut self, address: &str, peer: PeerId) {
        if let Some(target) = self.all.get_mut(address) {
            target.peer = Some(peer);
        }
    }

    /// The connection ended; `lasted` is how long it could be used.
    pub(super) fn on_closed(&mut self, now: Instant, address: &str, lasted: Duration, options: &ClientOptions) {
        let Some(target) = self.all.get_mut(address) else { return };
        target.peer = None;
        if lasted >= GOOD_AFTER {
            target.failures = 0;
        }
        let factor = 1u32.checked_shl(target.failures).unwrap_or(u32::MAX);
        target.failures = target.failures.saturating_add(1).min(31);
        target.dial_at = Some(now + REDIAL_MIN.saturating_mul(factor).min(options.lookupd_poll_interval));
    }

    /// When the next is to be dialled.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.all.values().filter_map(|target| target.dial_at).min()
    }
}
