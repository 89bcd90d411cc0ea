//! The life stories of messages: every step of each, chained from the last to the first. No part of the world: recorded as
//! the run goes on, cut back when it is rewound.

use std::collections::VecDeque;

use serde::Serialize;

use crate::time::Instant;
use crate::topic::Moved;

use super::observe::Observation;

/// Steps of lives kept; the oldest go first.
const STEPS_MAX: usize = 1 << 21;

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifeKind {
    /// A producer sent it.
    Sent,
    /// It reached a node's topic.
    Published,
    /// It did, and waits for its time.
    Deferred,
    /// The producer heard that it was accepted.
    Acked,
    /// The producer does not know what became of it.
    Unacked,
    /// It left for a consumer.
    Delivered,
    /// The consumer has it.
    Received,
    /// Its FIN reached the node.
    Finished,
    /// Its REQ reached the node.
    Requeued,
    /// Its TOUCH reached the node.
    Touched,
    /// The node refused one of those: it was not out with that client any more.
    Refused,
    /// Its time was up, and it is queued again.
    TimedOut,
    /// Its deferral is over, and it is queued.
    Due,
    /// It was dropped since an ephemeral queue was full.
    Dropped,
    /// It was left out of a sample.
    SampledOut,
}

/// A step of a message's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeStep {
    /// The step of the run.
    pub step: u64,
    /// The time.
    pub at: Instant,
    /// What happened.
    pub kind: LifeKind,
    /// The topic or channel concerned.
    pub place: Option<u32>,
    /// The client concerned.
    pub client: Option<u32>,
    /// Deliveries so far, where they count.
    pub attempts: u16,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    entry: LifeStep,
    number: u64,
    /// Number of the step before it in the same life, from one; zero for none.
    before: u64,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    links: VecDeque<Link>,
    /// Links that went already.
    gone: u64,
    /// By message: the number of its last step, from one.
    last: Vec<u64>,
}

/// Who is at the end of a connection.
pub(super) type ClientOf<'a> = &'a dyn Fn(crate::protocol::ConnId) -> Option<u32>;

impl Lives {
    pub(super) fn observe(&mut self, step: u64, at: Instant, seen: &Observation, client_of: ClientOf<'_>) {
        let mut add = |kind, place, client, attempts, first: u64, count: u32| {
            let entry = LifeStep { step, at, kind, place, client, attempts };
            (first..first + u64::from(count)).for_each(|number| self.add(number, entry));
        };
        match *seen {
            Observation::Sent { client, first, count } => add(LifeKind::Sent, None, Some(client), 0, first, count),
            Observation::Acked { client, first, count } => add(LifeKind::Acked, None, Some(client), 0, first, count),
            Observation::Unacked { client, first, count } => {
                add(LifeKind::Unacked, None, Some(client), 0, first, count)
            }
            Observation::Publish { conn, topic, first, count, due, .. } => {
                let kind = if due.is_some() { LifeKind::Deferred } else { LifeKind::Published };
                add(kind, Some(topic), client_of(conn), 0, first, count);
            }
            Observation::Delivered { conn, channel, number, attempts, .. } => {
                add(LifeKind::Delivered, Some(channel), client_of(conn), attempts, number, 1);
            }
            Observation::Received { client, number, attempts, .. } => {
                add(LifeKind::Received, None, Some(client), attempts, number, 1);
            }
            Observation::Finish { conn, channel, number: Some(number), .. } => {
                add(LifeKind::Finished, Some(channel), client_of(conn), 0, number, 1);
            }
            Observation::Requeue { conn, channel, number: Some(number), .. } => {
                add(LifeKind::Requeued, Some(channel), client_of(conn), 0, number, 1);
            }
            Observation::Touch { conn, channel, number: Some(number), .. } => {
                add(LifeKind::Touched, Some(channel), client_of(conn), 0, number, 1);
            }
            Observation::Refused { conn, channel, number: Some(number), .. } => {
                add(LifeKind::Refused, Some(channel), client_of(conn), 0, number, 1);
            }
            Observation::Moved { place, how, number, .. } => {
                let kind = match how {
                    Moved::TimedOut => LifeKind::TimedOut,
                    Moved::Due => LifeKind::Due,
                    Moved::Dropped => LifeKind::Dropped,
                    Moved::SampledOut => LifeKind::SampledOut,
                };
                add(kind, Some(place), None, 0, number, 1);
            }
            _ => {}
        }
    }

    fn add(&mut self, number: u64, entry: LifeStep) {
        let Ok(index) = usize::try_from(number) else { return };
        if self.last.len() <= index {
            self.last.resize(index + 1, 0);
        }
        if self.links.len() == STEPS_MAX {
            self.links.pop_front();
            self.gone += 1;
        }
        self.links.push_back(Link { entry, number, before: self.last[index] });
        self.last[index] = self.gone + self.links.len() as u64;
    }

    /// Forgets what came after `step`.
    pub(super) fn rewind(&mut self, step: u64) {
        while let Some(link) = self.links.pop_back_if(|link| link.entry.step > step) {
            self.last[link.number as usize] = link.before;
        }
    }

    /// The life of a message, as far as it is known.
    pub(super) fn of(&self, number: u64) -> Vec<LifeStep> {
        let mut life = Vec::new();
        let last = usize::try_from(number).ok().and_then(|index| self.last.get(index));
        let mut at = last.copied().unwrap_or(0);
        while let Some(link) = at.checked_sub(self.gone + 1).and_then(|index| self.links.get(index as usize)) {
            life.push(link.entry);
            at = link.before;
        }
        life.reverse();
        life
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn lives_are_told_apart_and_cut_back() {
        let mut lives = Lives::default();
        let at = Instant::ZERO;
        let client_of = |_| None;
        lives.observe(1, at, &Observation::Sent { client: 0, first: 0, count: 3 }, &client_of);
        lives.observe(2, at, &Observation::Acked { client: 0, first: 1, count: 1 }, &client_of);
        let kinds = |lives: &Lives, number| lives.of(number).iter().map(|step| step.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&lives, 1), [LifeKind::Sent, LifeKind::Acked]);
        assert_eq!((kinds(&lives, 0), kinds(&lives, 9)), (vec![LifeKind::Sent], vec![]));
        lives.rewind(1);
        assert_eq!(kinds(&lives, 1), [LifeKind::Sent]);
        lives.observe(2, at, &Observation::Unacked { client: 0, first: 1, count: 1 }, &client_of);
        assert_eq!(kinds(&lives, 1), [LifeKind::Sent, LifeKind::Unacked]);
    }
}
