//! Percentiles of the time from publish to finish, over several nsqds. Percentiles cannot be added: what is shown is the
//! average of those of the nodes, weighted by how many messages each saw, and the least and greatest of them.

use serde::{Deserialize, Serialize, Serializer};

use super::or_default;

/// The latency of a topic or channel, of one nsqd or over several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Messages seen.
    #[serde(deserialize_with = "or_default")]
    pub count: i64,
    /// By quantile, greatest first. Written as `null` if there are none.
    #[serde(deserialize_with = "or_default", serialize_with = "null_if_empty")]
    pub percentiles: Vec<Percentile>,
    /// Of which topic. Empty for one nsqd.
    #[serde(skip_deserializing)]
    pub topic: String,
    /// Of which channel. Empty for one nsqd, and for a topic.
    #[serde(skip_deserializing)]
    pub channel: String,
    /// `*` for several.
    #[serde(skip_deserializing)]
    pub host: String,
}

/// One percentile. Times are nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Percentile {
    /// Weighted by `count`.
    #[serde(skip_deserializing)]
    pub average: f64,
    /// Messages seen.
    #[serde(skip_deserializing)]
    pub count: f64,
    /// The greatest of all nodes.
    #[serde(skip_deserializing)]
    pub max: f64,
    /// The least of all nodes.
    #[serde(skip_deserializing)]
    pub min: f64,
    /// Which: 0.99 for the 99th.
    pub quantile: f64,
    /// What the one nsqd said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

fn null_if_empty<S: Serializer>(percentiles: &[Percentile], to: S) -> Result<S::Ok, S::Error> {
    if percentiles.is_empty() { to.serialize_none() } else { percentiles.serialize(to) }
}

impl Latency {
    /// None yet, of several nsqds.
    pub(super) fn of_all(topic: &str, channel: &str) -> Self {
        Self { topic: topic.to_owned(), channel: channel.to_owned(), host: "*".to_owned(), ..Self::default() }
    }

    /// Fills in what follows from the values of one nsqd.
    pub(super) fn complete(&mut self) {
        for percentile in &mut self.percentiles {
            let value = percentile.value.unwrap_or_default();
            (percentile.average, percentile.max, percentile.min) = (value, value, value);
            percentile.count = self.count as f64;
        }
    }

    /// Adds that of another nsqd. Nodes that have seen no message have no say in averages and limits.
    pub(super) fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        for theirs in &other.percentiles {
            let found = self.percentiles.iter_mut().find(|own| own.quantile.total_cmp(&theirs.quantile).is_eq());
            match found {
                Some(own) => own.add(theirs),
                None => self.percentiles.push(Percentile { value: None, ..theirs.clone() }),
            }
        }
        self.percentiles.sort_by(|a, b| b.quantile.total_cmp(&a.quantile));
    }
}

impl Percentile {
    fn add(&mut self, other: &Self) {
        if other.count <= 0.0 {
            return;
        }
        if self.count <= 0.0 {
            *self = Self { value: None, ..other.clone() };
            return;
        }
        self.count += other.count;
        self.average += (other.average - self.average) * other.count / self.count;
        self.max = self.max.max(other.max);
        self.min = self.min.min(other.min);
    }
}
