//! Percentiles of the time from publish to finish, over several nsqds. Percentiles cannot be added: what is shown is the
//! average of those of the nodes, weighted by how many messages each saw, and the least and greatest of them.

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use super::{compact, or_default};

/// The latency of a topic or channel, of one nsqd or over several. There is one in every topic and channel of every nsqd, and
/// most are empty: so it is small.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Messages seen.
    #[serde(deserialize_with = "or_default")]
    pub count: i64,
    /// By quantile, greatest first. Written as `null` if there are none.
    #[serde(deserialize_with = "compact")]
    pub percentiles: Vec<Percentile>,
    /// Of what it is, if it is that of several nsqds.
    #[serde(skip_deserializing)]
    whole: Option<Box<Whole>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Whole {
    topic: String,
    /// Empty for a topic.
    channel: String,
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (topic, channel) = self.whole.as_ref().map_or(("", ""), |whole| (&whole.topic, &whole.channel));
        let mut object = to.serialize_struct("Latency", 5)?;
        object.serialize_field("count", &self.count)?;
        object.serialize_field("percentiles", &(!self.percentiles.is_empty()).then_some(&self.percentiles))?;
        object.serialize_field("topic", topic)?;
        object.serialize_field("channel", channel)?;
        object.serialize_field("host", if self.whole.is_some() { "*" } else { "" })?;
        object.end()
    }
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

impl Latency {
    /// None yet, of several nsqds.
    pub(super) fn of_all(topic: &str, channel: &str) -> Self {
        let whole = Whole { topic: topic.to_owned(), channel: channel.to_owned() };
        Self { whole: Some(Box::new(whole)), ..Self::default() }
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
