//! Topics and channels of all nodes, numbered in the order they came to be, and what is counted of them that a broker
//! does not count, or forgets when it ends.

use std::collections::BTreeMap;

use crate::name::{ChannelName, TopicName};
use crate::topic::ChannelStats;

/// Counts of a channel over all lives of its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) messages: u64,
    pub(super) delivered: u64,
    pub(super) finished: u64,
    pub(super) requeued: u64,
    pub(super) timed_out: u64,
    pub(super) dropped: u64,
}

impl Counters {
    /// With those of the life under way.
    pub(super) fn plus(self, stats: &ChannelStats) -> Self {
        Self {
            messages: self.messages + stats.message_count,
            delivered: self.delivered + stats.delivery_count,
            finished: self.finished + stats.finish_count,
            requeued: self.requeued + stats.requeue_count,
            timed_out: self.timed_out + stats.timeout_count,
            dropped: self.dropped + stats.dropped_count + stats.sampled_out_count,
        }
    }
}

/// A topic, or one of its channels.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) node: u32,
    pub(super) topic: TopicName,
    pub(super) channel: Option<ChannelName>,
    /// Of ended lives.
    pub(super) past: Counters,
    /// Deliveries to programs of messages that had been delivered to one before.
    pub(super) duplicates: u64,
    /// By message number: whether a program has seen it.
    seen: Vec<u64>,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    list: Vec<Place>,
    index: BTreeMap<(u32, TopicName, Option<ChannelName>), u32>,
}

impl Places {
    pub(super) fn topic(&mut self, node: u32, topic: &TopicName) -> u32 {
        self.place(node, topic.clone(), None)
    }

    pub(super) fn channel(&mut self, node: u32, topic: &TopicName, channel: &ChannelName) -> u32 {
        self.place(node, topic.clone(), Some(channel.clone()))
    }

    /// The number of a place, given to it now if it is new. A topic comes before its channels.
    pub(super) fn place(&mut self, node: u32, topic: TopicName, channel: Option<ChannelName>) -> u32 {
        if channel.is_some() {
            self.topic(node, &topic);
        }
        let list = &mut self.list;
        *self.index.entry((node, topic.clone(), channel.clone())).or_insert_with(|| {
            list.push(Place { node, topic, channel, past: Counters::default(), duplicates: 0, seen: Vec::new() });
            list.len() as u32 - 1
        })
    }

    /// The number of a place, if it ever was.
    pub(super) fn find(&self, node: u32, topic: &TopicName, channel: Option<&ChannelName>) -> Option<u32> {
        self.index.get(&(node, topic.clone(), channel.cloned())).copied()
    }

    pub(super) fn get(&self, index: u32) -> Option<&Place> {
        self.list.get(index as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.list.iter()
    }

    /// A channel's broker ends: what it counted is kept.
    pub(super) fn keep(&mut self, node: u32, topic: &TopicName, stats: &ChannelStats) {
        let index = self.channel(node, topic, &stats.name) as usize;
        self.list[index].past = self.list[index].past.plus(stats);
    }

    /// A program got message `number` from channel `place`.
    pub(super) fn on_received(&mut self, place: u32, number: u64) {
        let place = &mut self.list[place as usize];
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if place.seen.len() <= word {
            place.seen.resize(word + 1, 0);
        }
        place.duplicates += u64::from(place.seen[word] & bit != 0);
        place.seen[word] |= bit;
    }
}
