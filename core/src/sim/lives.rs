//! The life stories of messages: every step of each, chained from the last to the first. No part of the world: recorded as
//! the run goes on, cut back when it is rewound.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::message::MessageId;
use crate::time::Instant;
use crate::topic::Moved;

use super::observe::Observation;

/// Steps of lives kept; the oldest go first.
const STEPS_MAX: usize = 1 << 20;
/// Bytes kept of a body's text.
const TEXT_BYTES: usize = 64;

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifeKind {
    /// A producer sent it.
    Sent,
    /// It reached a node's topic.
    Published,
    /// A copy was put into a channel.
    Put,
    /// A copy was, and waits for its time.
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
    /// The channel's disk did not take it, and the publish failed.
    NotStored,
    /// A second record of it, left by a crash, was thrown away.
    Repeated,
}

/// A step of a message's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LifeStep {
    /// The step of the run.
    pub(super) step: u64,
    /// The time.
    pub(super) at: Instant,
    /// What happened.
    pub(super) kind: LifeKind,
    /// The topic or channel concerned.
    pub(super) place: Option<u32>,
    /// The client concerned.
    pub(super) client: Option<u32>,
    /// Deliveries so far, where they count.
    pub(super) attempts: u16,
    /// How long it waits, where it is made to.
    pub(super) delay: Duration,
}

/// What a message was when it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Birth {
    pub(super) first: u64,
    pub(super) count: u32,
    /// Of each body.
    pub(super) bytes: u32,
    pub(super) topic: String,
    pub(super) text: String,
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
    /// By message: its id, once it is known.
    ids: Vec<u64>,
    births: Vec<Birth>,
}

/// What observations refer to.
pub(super) trait Names {
    /// Who is at the end of a connection.
    fn client_of(&self, conn: crate::protocol::ConnId) -> Option<u32>;
    /// The channels of a topic.
    fn channels_of(&self, topic: u32) -> Vec<u32>;
}

impl Lives {
    pub(super) fn observe(&mut self, step: u64, at: Instant, seen: &Observation, names: &impl Names) {
        let entry =
            |kind, place, client| LifeStep { step, at, kind, place, client, attempts: 0, delay: Duration::ZERO };
        let of_conn = |kind, place, conn| entry(kind, Some(place), names.client_of(conn));
        match *seen {
            Observation::Sent { client, first, count } => {
                self.add_all(first, count, entry(LifeKind::Sent, None, Some(client)));
            }
            Observation::Acked { client, first, count } => {
                self.add_all(first, count, entry(LifeKind::Acked, None, Some(client)));
            }
            Observation::Unacked { client, first, count } => {
                self.add_all(first, count, entry(LifeKind::Unacked, None, Some(client)));
            }
            Observation::Publish { conn, topic, first, count, due, .. } => {
                self.add_all(first, count, of_conn(LifeKind::Published, topic, conn));
                let (kind, delay) = match due {
                    Some(due) => (LifeKind::Deferred, due.since(at)),
                    None => (LifeKind::Put, Duration::ZERO),
                };
                for channel in names.channels_of(topic) {
                    self.add_all(first, count, LifeStep { delay, ..entry(kind, Some(channel), None) });
                }
            }
            Observation::Delivered { conn, channel, number, id, attempts, .. } => {
                self.know(number, id);
                self.add(number, LifeStep { attempts, ..of_conn(LifeKind::Delivered, channel, conn) });
            }
            Observation::Received { client, number, attempts, .. } => {
                self.add(number, LifeStep { attempts, ..entry(LifeKind::Received, None, Some(client)) });
            }
            Observation::Finish { conn, channel, number: Some(number), .. } => {
                self.add(number, of_conn(LifeKind::Finished, channel, conn));
            }
            Observation::Requeue { conn, channel, number: Some(number), delay, .. } => {
                self.add(number, LifeStep { delay, ..of_conn(LifeKind::Requeued, channel, conn) });
            }
            Observation::Touch { conn, channel, number: Some(number), .. } => {
                self.add(number, of_conn(LifeKind::Touched, channel, conn));
            }
            Observation::Refused { conn, channel, number: Some(number), .. } => {
                self.add(number, of_conn(LifeKind::Refused, channel, conn));
            }
            Observation::Moved { place, how, number, id } => {
                self.know(number, id);
                let kind = match how {
                    Moved::TimedOut => LifeKind::TimedOut,
                    Moved::Due => LifeKind::Due,
                    Moved::Dropped => LifeKind::Dropped,
                    Moved::SampledOut => LifeKind::SampledOut,
                    Moved::Refused => LifeKind::NotStored,
                    Moved::Repeated => LifeKind::Repeated,
                };
                self.add(number, entry(kind, Some(place), None));
            }
            _ => {}
        }
    }

    /// Messages were sent.
    pub(super) fn on_birth(&mut self, mut birth: Birth) {
        let cut = birth.text.char_indices().map(|(at, _)| at).find(|&at| at >= TEXT_BYTES);
        birth.text.truncate(cut.unwrap_or(birth.text.len()));
        match self.births.last_mut() {
            Some(last)
                if last.first + u64::from(last.count) == birth.first
                    && (last.bytes, &last.topic, &last.text) == (birth.bytes, &birth.topic, &birth.text) =>
            {
                last.count = last.count.saturating_add(birth.count);
            }
            _ => self.births.push(birth),
        }
    }

    /// What it was when it was sent.
    pub(super) fn birth(&self, number: u64) -> Option<&Birth> {
        let index = self.births.partition_point(|birth| birth.first <= number).checked_sub(1)?;
        self.births.get(index).filter(|birth| number - birth.first < u64::from(birth.count))
    }

    /// Its id on its node.
    pub(super) fn id(&self, number: u64) -> Option<MessageId> {
        self.ids.get(usize::try_from(number).ok()?).filter(|&&id| id != 0).map(|&id| MessageId(id))
    }

    fn know(&mut self, number: u64, id: MessageId) {
        let Ok(index) = usize::try_from(number) else { return };
        if self.ids.len() <= index {
            self.ids.resize(index + 1, 0);
        }
        self.ids[index] = id.0;
    }

    /// Whether the last thing that happened to a message in a place was that its time was up.
    pub(super) fn has_timed_out(&self, number: u64, place: u32) -> bool {
        let last = self.back_from(number).find(|step| step.place == Some(place));
        last.is_some_and(|step| step.kind == LifeKind::TimedOut)
    }

    fn add_all(&mut self, first: u64, count: u32, entry: LifeStep) {
        (first..first + u64::from(count)).for_each(|number| self.add(number, entry));
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

    /// Forgets what came after `step`, when there were `messages`.
    pub(super) fn rewind(&mut self, step: u64, messages: u64) {
        self.births.retain(|birth| birth.first < messages);
        if let Some(last) = self.births.last_mut() {
            last.count = last.count.min(u32::try_from(messages - last.first).unwrap_or(u32::MAX));
        }
        while let Some(link) = self.links.pop_back_if(|link| link.entry.step > step) {
            self.last[link.number as usize] = link.before;
        }
    }

    /// The life of a message, as far as it is known.
    pub(super) fn of(&self, number: u64) -> Vec<LifeStep> {
        let mut life: Vec<LifeStep> = self.back_from(number).collect();
        life.reverse();
        life
    }

    /// The same, the last step first.
    fn back_from(&self, number: u64) -> impl Iterator<Item = LifeStep> {
        let last = usize::try_from(number).ok().and_then(|index| self.last.get(index));
        let mut at = last.copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let link = at.checked_sub(self.gone + 1).and_then(|index| self.links.get(index as usize))?;
            at = link.before;
            Some(link.entry)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    struct Nobody;

    impl Names for Nobody {
        fn client_of(&self, _: crate::protocol::ConnId) -> Option<u32> {
            None
        }

        fn channels_of(&self, _: u32) -> Vec<u32> {
            Vec::new()
        }
    }

    #[test]
    fn births_run_together() {
        let mut lives = Lives::default();
        let birth = |first, count, text: &str| Birth { first, count, bytes: 9, topic: "t".into(), text: text.into() };
        for born in [birth(0, 2, ""), birth(2, 1, ""), birth(3, 1, "x")] {
            lives.on_birth(born);
        }
        assert_eq!(lives.births.len(), 2);
        assert_eq!((lives.birth(2).unwrap().count, lives.birth(3).unwrap().text.as_str()), (3, "x"));
        assert_eq!(lives.birth(4), None);
        lives.rewind(0, 3);
        assert_eq!((lives.birth(3), lives.birth(2).is_some()), (None, true));
        lives.rewind(0, 1);
        assert_eq!((lives.birth(1), lives.birth(0).is_some()), (None, true));
    }

    #[test]
    fn lives_are_told_apart_and_cut_back() {
        let mut lives = Lives::default();
        let at = Instant::ZERO;
        lives.observe(1, at, &Observation::Sent { client: 0, first: 0, count: 3 }, &Nobody);
        lives.observe(2, at, &Observation::Acked { client: 0, first: 1, count: 1 }, &Nobody);
        let kinds = |lives: &Lives, number| lives.of(number).iter().map(|step| step.kind).collect::<Vec<_>>();
        assert_eq!(kinds(&lives, 1), [LifeKind::Sent, LifeKind::Acked]);
        assert_eq!((kinds(&lives, 0), kinds(&lives, 9)), (vec![LifeKind::Sent], vec![]));
        lives.rewind(1, 3);
        assert_eq!(kinds(&lives, 1), [LifeKind::Sent]);
        lives.observe(2, at, &Observation::Unacked { client: 0, first: 1, count: 1 }, &Nobody);
        assert_eq!(kinds(&lives, 1), [LifeKind::Sent, LifeKind::Unacked]);
    }
}
