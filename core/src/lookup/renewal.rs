//! Which topics an nsqd registers again although nothing came or went. Somebody may have deleted a topic at the nsqlookupd
//! while the nsqd still has it, and the protocol has no way to tell the nsqd. So what was published to since it was
//! registered last is registered once more, with each PING: an nsqlookupd that knows it leaves all as it is, tombstones too.
//!
//! What holds:
//! - A topic that nobody publishes to is left alone, and so stays deleted.
//! - No more than [`TOPICS_MAX`] topics at a time, in turn: with more of them it takes several PINGs to come round.
//! - Nothing is counted for this: the numbers that are compared are those that topics keep anyway.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use crate::name::TopicName;

/// Topics to register again after one PING. With a PING every 15 s, 12,000 topics come round within a minute.
const TOPICS_MAX: usize = 4096;

/// What one nsqlookupd was told, and when in terms of messages. See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// How many messages a topic had got when it was registered last.
    told: BTreeMap<TopicName, u64>,
    /// The last topic that had its turn.
    last: Option<TopicName>,
}

impl Renewal {
    /// Nothing is told yet: the connection is new.
    pub fn new() -> Self {
        Self::default()
    }

    /// A topic was registered when it had got `messages`.
    pub fn on_registered(&mut self, topic: &TopicName, messages: u64) {
        self.told.insert(topic.clone(), messages);
    }

    /// The topics to register now. `topics`: all there are, and the messages that each got. What is gone is forgotten. What
    /// is not known to be registered is about to be; once too often does no harm.
    pub fn due(&mut self, topics: BTreeMap<TopicName, u64>) -> Vec<TopicName> {
        self.told.retain(|topic, _| topics.contains_key(topic));
        let after = self.last.take();
        let from = after.as_ref().map_or(Unbounded, Excluded);
        let turn = topics.range::<TopicName, _>((from, Unbounded));
        let rest = topics.iter().take_while(|(topic, _)| after.as_ref().is_some_and(|after| *topic <= after));
        let mut due = Vec::new();
        for (topic, messages) in turn.chain(rest) {
            // A topic that was made anew under its name may have got fewer than the one before.
            if self.told.get(topic).copied().unwrap_or(0) != *messages {
                if due.len() == TOPICS_MAX {
                    break;
                }
                due.push(topic.clone());
                self.told.insert(topic.clone(), *messages);
            }
        }
        self.last = due.last().filter(|_| due.len() == TOPICS_MAX).cloned();
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn topics(counts: &[(&str, u64)]) -> BTreeMap<TopicName, u64> {
        counts.iter().map(|(name, messages)| (TopicName::parse(name).unwrap(), *messages)).collect()
    }

    fn due(renewal: &mut Renewal, counts: &[(&str, u64)]) -> Vec<String> {
        renewal.due(topics(counts)).iter().map(|topic| topic.as_str().to_owned()).collect()
    }

    #[test]
    fn what_was_published_to_since_is_due_once() {
        let mut renewal = Renewal::new();
        for (name, messages) in topics(&[("busy", 1), ("idle", 7)]) {
            renewal.on_registered(&name, messages);
        }
        assert_eq!(due(&mut renewal, &[("busy", 1), ("idle", 7)]), [""; 0]);
        assert_eq!(due(&mut renewal, &[("busy", 2), ("idle", 7)]), ["busy"]);
        assert_eq!(due(&mut renewal, &[("busy", 2), ("idle", 7)]), [""; 0]);
        assert_eq!(due(&mut renewal, &[("busy", 3), ("idle", 8)]), ["busy", "idle"]);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let mut renewal = Renewal::new();
        let name = TopicName::parse("t").unwrap();
        renewal.on_registered(&name, 5);
        assert_eq!(due(&mut renewal, &[]), [""; 0]);
        // Made anew: published to before its registration was noted.
        assert_eq!(due(&mut renewal, &[("t", 5)]), ["t"]);
        renewal.on_registered(&name, 6);
        assert_eq!(due(&mut renewal, &[("t", 6)]), [""; 0]);
        assert_eq!(due(&mut renewal, &[("t", 1)]), ["t"]);
    }

    #[test]
    fn very_many_take_turns() {
        let names: Vec<String> = (0..10_000).map(|number| format!("t{number:05}")).collect();
        let at = |messages: u64| names.iter().map(|name| (name.as_str(), messages)).collect::<Vec<_>>();
        let mut renewal = Renewal::new();
        assert_eq!(due(&mut renewal, &at(0)), [""; 0]);
        let mut seen = Vec::new();
        for round in 1..=3 {
            let batch = due(&mut renewal, &at(round));
            assert_eq!(batch.len(), TOPICS_MAX);
            seen.extend(batch);
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen, names, "not all had their turn");
        // Nothing comes any more: what is left of it is told, and then there is silence.
        let left: usize = (0..4).map(|_| due(&mut renewal, &at(3)).len()).sum();
        assert!((1..=10_000).contains(&left), "{left}");
        assert_eq!(due(&mut renewal, &at(3)), [""; 0]);
    }
}
