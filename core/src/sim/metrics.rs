//! Numbers of the world that scripts can have expectations of.

use super::node::clock;
use super::places::Counters;
use super::script::ActionError;
use super::world::World;
use crate::topic::{ChannelStats, TopicStats};

impl World {
    /// What a metric of something is now.
    pub(super) fn measure(&self, subject: &str, metric: &str) -> Result<u64, ActionError> {
        if let Some((node, place)) = subject.split_once('/') {
            return self.measure_place(node, place, metric);
        }
        let client = &self.clients[self.client(subject)? as usize];
        Ok(match metric {
            "published" => client.counts.published,
            "acked" => client.counts.acked,
            "failed" => client.counts.failed,
            "received" => client.counts.received,
            "finished" => client.counts.finished,
            "requeued" => client.counts.requeued,
            "in-flight" | "waiting" => client.pending(),
            "ready" => client.ready(),
            "backoff" => u64::from(client.backoff().0),
            _ => {
                return Err(ActionError(format!(
                    "a client has no {metric:?}; it has published, acked, failed, received, finished, requeued, in-flight, waiting, ready and backoff"
                )));
            }
        })
    }

    fn measure_place(&self, node: &str, place: &str, metric: &str) -> Result<u64, ActionError> {
        const METRICS: [&str; 10] = [
            "depth",
            "backend-depth",
            "in-flight",
            "deferred",
            "published",
            "delivered",
            "finished",
            "requeued",
            "timed-out",
            "dropped",
        ];
        if metric != "duplicates" && !METRICS.contains(&metric) {
            return Err(ActionError(format!("there is no {metric:?}; there are {}, duplicates", METRICS.join(", "))));
        }
        if node != "*" {
            self.node(node)?;
        }
        let (topic, channel) = place.split_once('/').map_or((place, None), |(topic, channel)| (topic, Some(channel)));
        let (mut sum, mut known_somewhere) = (0, false);
        for (index, state) in self.nodes.iter().enumerate().filter(|(_, state)| node == "*" || state.name == node) {
            for known in self.places.iter().filter(|known| known.node == index as u32) {
                if known.topic.as_str() != topic || known.channel.as_ref().map(|name| name.as_str()) != channel {
                    continue;
                }
                known_somewhere = true;
                let stats = state.broker.iter().flat_map(|broker| broker.topic(&known.topic));
                let stats = stats.map(|state| state.stats(clock(self.now), known.channel.as_ref(), false)).next();
                sum += match (&known.channel, &stats) {
                    (None, Some(stats)) => measure_topic(stats, metric),
                    (None, None) => 0,
                    (Some(_), _) => {
                        let channel = stats.as_ref().and_then(|stats| stats.channels.first());
                        let counters = channel.map(|stats| self.counters(index as u32, known.past, stats));
                        measure_channel(counters.unwrap_or(known.past), channel, known.duplicates, metric)
                    }
                };
            }
        }
        if !known_somewhere {
            return Err(ActionError(format!("there never was a {node}/{place}")));
        }
        Ok(sum)
    }
}

fn measure_topic(stats: &TopicStats, metric: &str) -> u64 {
    match metric {
        "depth" => stats.depth,
        "backend-depth" => stats.backend_depth,
        "published" => stats.message_count,
        "dropped" => stats.dropped_count,
        _ => 0,
    }
}

fn measure_channel(counters: Counters, stats: Option<&ChannelStats>, duplicates: u64, metric: &str) -> u64 {
    match metric {
        "depth" => stats.map_or(0, |stats| stats.depth),
        "backend-depth" => stats.map_or(0, |stats| stats.backend_depth),
        "in-flight" => stats.map_or(0, |stats| stats.in_flight_count),
        "deferred" => stats.map_or(0, |stats| stats.deferred_count),
        "published" => counters.messages,
        "delivered" => counters.delivered,
        "finished" => counters.finished,
        "requeued" => counters.requeued,
        "timed-out" => counters.timed_out,
        "dropped" => counters.dropped,
        _ => duplicates,
    }
}
