//! A topic or channel of a node, as the model knows it: what was published to a topic, in what order and under what ids; what
//! a channel must have.

use std::collections::BTreeMap;

use crate::message::MessageId;
use crate::time::Instant;

use super::channel::{Copies, CopiesAt};
use super::turns::{Kind, Starved, Turns};

/// A message as it was published to a topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Its place in the order of publishes.
    sequence: u64,
    /// `None`, too, once that may be lost.
    pub(super) due: Option<Instant>,
    /// Its publish was answered.
    pub(super) promised: bool,
    /// The node was restarted since.
    pub(super) old: bool,
    /// The topic was deleted since, by the process that serves.
    pub(super) deleted: bool,
    id: Option<MessageId>,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) node: Option<u32>,
    /// Of a channel: its topic.
    pub(super) topic: Option<u32>,
    /// It ends with its node's process, or its last consumer.
    pub(super) ephemeral: bool,
    pub(super) exists: bool,
    /// By an operator, or with its node's process if nothing of it is kept.
    pub(super) deleted: bool,
    /// `None`: unknown, after a restart.
    pub(super) paused: Option<bool>,
    /// Of a topic, by message number.
    records: Vec<Option<Record>>,
    published: u64,
    /// Of a topic: by id, where in the order of publishes it stands, and its number.
    ids: BTreeMap<MessageId, (u64, u64)>,
    /// Of a topic: messages that came while there was no channel.
    pub(super) unclaimed: Vec<u64>,
    /// Of a channel.
    pub(super) copies: Copies,
    /// Of a channel.
    pub(super) turns: Turns,
    /// Of a topic: somebody paused it once, and a node may remember that.
    was_paused: bool,
    /// Of a channel: messages seen to leave since `base`.
    pub(super) left: u64,
    /// What the channel had, and the count of messages put in, when counting began.
    base: (u64, u64),
    /// Whether counting begins with the step under way.
    pub(super) rebase: bool,
    /// A storage operation failed: what was refused may be found on the disk later.
    pub(super) haunted: bool,
    /// Its node was killed: less may be on its disk than it takes to be there, until it reads that.
    damaged: bool,
}

impl Place {
    /// A topic takes message `number`.
    pub(super) fn publish(&mut self, number: u64, due: Option<Instant>) -> Record {
        let index = number as usize;
        if self.records.len() <= index {
            self.records.resize(index + 1, None);
        }
        self.published += 1;
        let record = Record { sequence: self.published, due, promised: false, old: false, deleted: false, id: None };
        self.records[index] = Some(record);
        record
    }

    pub(super) fn record(&self, number: u64) -> Option<Record> {
        *self.records.get(number as usize)?
    }

    /// The publish of message `number` was answered.
    pub(super) fn promise(&mut self, number: u64) {
        match self.topic {
            Some(_) => self.copies.promise(number),
            None => {
                if let Some(Some(record)) = self.records.get_mut(number as usize) {
                    record.promised = true;
                }
            }
        }
    }

    /// Takes in the id of message `number` of a topic; `false` if it cannot be.
    pub(super) fn learn_id(&mut self, number: u64, id: MessageId) -> bool {
        let Some(Some(record)) = self.records.get_mut(number as usize) else { return false };
        if let Some(known) = record.id {
            return known == id;
        }
        record.id = Some(id);
        let sequence = record.sequence;
        let before = self.ids.range(..id).next_back().is_none_or(|(_, (other, _))| *other < sequence);
        let after = self.ids.range(id..).next().is_none_or(|(_, (other, _))| *other > sequence);
        self.ids.insert(id, (sequence, number));
        before && after
    }

    /// The message of that id, if it was ever delivered.
    pub(super) fn number_of(&self, id: MessageId) -> Option<u64> {
        self.ids.get(&id).map(|(_, number)| *number)
    }

    /// A message waits again.
    pub(super) fn come_back(&mut self, number: u64) {
        // Of one that a restart has left nobody knows where it stands.
        let is_old = self.copies.get(number).is_none_or(|copy| copy.old);
        let nth = if is_old { 0 } else { self.turns.come_back() };
        self.copies.come_back(number, nth);
    }

    /// A delivery of the channel, before it is noted: which message has waited too long, if any has.
    pub(super) fn take_turns(&mut self, at: Instant, kind: Kind) -> Option<Starved> {
        self.turns.deliver(at, kind, &CopiesAt(&self.copies, at))
    }

    /// Somebody paused it, or let it go on.
    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = Some(paused);
        self.was_paused |= paused;
        self.turns.restart();
    }

    /// Whether it may be paused.
    pub(super) fn may_be_paused(&self) -> bool {
        self.paused.unwrap_or(self.was_paused)
    }

    /// It came to be: anew, if its node is `serving`, else it was taken up from disk.
    pub(super) fn begin(&mut self, serving: bool) {
        self.paused = serving.then_some(false);
        self.rebase = !serving;
        (self.base, self.left) = ((0, 0), 0);
        self.turns.forget();
    }

    /// An operator deleted it.
    pub(super) fn delete(&mut self) {
        (self.exists, self.deleted) = (false, true);
        self.records.iter_mut().flatten().for_each(|record| record.deleted = true);
        self.unclaimed.clear();
        self.copies.empty();
        self.turns.forget();
    }

    /// Its node's process ended; `keeps` says whether what was promised stays so.
    pub(super) fn go_down(&mut self, keeps: bool, killed: bool) {
        self.exists = false;
        self.paused = None;
        self.damaged |= killed;
        self.copies.go_down(keeps, killed);
        self.turns.forget();
        for record in self.records.iter_mut().flatten() {
            (record.old, record.deleted) = (true, false);
            record.promised &= keeps;
            record.due = record.due.filter(|_| !killed);
        }
    }

    /// What the channel must have, given that `put_in` messages were put in during this life of its node.
    pub(super) fn expect(&mut self, has: u64, put_in: u64) -> i128 {
        let expected = self.count(put_in);
        let has_more = i128::from(has) > expected;
        let has_less = i128::from(has) < expected;
        if std::mem::take(&mut self.rebase) || self.haunted && has_more || self.damaged && has_less {
            (self.base, self.left) = ((has, put_in), 0);
        }
        self.count(put_in)
    }

    fn count(&self, put_in: u64) -> i128 {
        let (had, before) = self.base;
        i128::from(had) + i128::from(put_in) - i128::from(before) - i128::from(self.left)
    }
}
