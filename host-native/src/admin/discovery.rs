//! Which nsqds there are, and what they say: by way of nsqlookupds, or of the nsqds that were named.

use hyper::StatusCode;
use sansq_core::cluster::{
    CountedTopic, Info, LookupAnswer, NamedTopic, NodesAnswer, Producer, Report, StatsAnswer, TopicsAnswer,
    merge_nodes, merge_producers, sort_by_host, union,
};

use super::upstream::{Gathered, Trouble, Upstream, Warnings, gather, query};
use crate::config::NsqadminOptions;
use crate::http::respond::Failure;

pub(super) const TOPIC_NOT_FOUND: Failure = Failure::new(StatusCode::NOT_FOUND, "TOPIC_NOT_FOUND");
pub(super) const NSQD: &str = "nsqd";
pub(super) const NSQLOOKUPD: &str = "nsqlookupd";

/// Which statistics. Empty: all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Selection<'a> {
    pub(super) topic: &'a str,
    pub(super) channel: &'a str,
    pub(super) clients: bool,
}

impl Selection<'_> {
    /// What to ask an nsqd.
    pub(super) fn target(self) -> String {
        let mut pairs = vec![("format", "json"), ("include_mem", "false")];
        pairs.extend(
            [("topic", self.topic), ("channel", self.channel)].into_iter().filter(|(_, value)| !value.is_empty()),
        );
        if !self.clients {
            pairs.push(("include_clients", "false"));
        }
        format!("/stats?{}", query(&pairs))
    }
}

impl Upstream {
    /// The names of all topics, sorted.
    pub(super) async fn topics(
        &self,
        options: &NsqadminOptions,
        warnings: &mut Warnings,
    ) -> Result<Vec<String>, Failure> {
        let names: Vec<Vec<String>> = if options.lookupd_http_addresses.is_empty() {
            let nsqds = &options.nsqd_http_addresses;
            let answers = gather(nsqds, async |nsqd| self.names(&nsqd, Selection::default()).await).await;
            answers.settle(NSQD, warnings)?.into_iter().map(|(_, names)| names).collect()
        } else {
            let lookupds = &options.lookupd_http_addresses;
            let answers = gather(lookupds, async |lookupd| self.get::<TopicsAnswer>(&lookupd, "/topics").await).await;
            answers.settle(NSQLOOKUPD, warnings)?.into_iter().map(|(_, answer)| answer.topics).collect()
        };
        Ok(union(names))
    }

    /// All nsqds, sorted by host.
    pub(super) async fn nodes(
        &self,
        options: &NsqadminOptions,
        warnings: &mut Warnings,
    ) -> Result<Vec<Producer>, Failure> {
        if options.lookupd_http_addresses.is_empty() {
            let nsqds = &options.nsqd_http_addresses;
            let answers = gather(nsqds, async |nsqd| {
                let (info, names) =
                    futures::try_join!(self.get::<Info>(&nsqd, "/info"), self.names(&nsqd, Selection::default()))?;
                Ok(Producer::asked(&nsqd, info, names))
            });
            let answers = answers.await.settle(NSQD, warnings)?;
            let mut producers: Vec<Producer> = answers.into_iter().map(|(_, producer)| producer).collect();
            sort_by_host(&mut producers);
            return Ok(producers);
        }
        let lookupds = &options.lookupd_http_addresses;
        let answers = gather(lookupds, async |lookupd| self.get::<NodesAnswer>(&lookupd, "/nodes").await).await;
        let answers = answers.settle(NSQLOOKUPD, warnings)?;
        Ok(merge_nodes(answers.into_iter().map(|(lookupd, answer)| (lookupd, answer.producers))))
    }

    /// The nsqds that have `topic`, none if it is known without any. `TOPIC_NOT_FOUND` if nobody knows it.
    pub(super) async fn producers(
        &self,
        options: &NsqadminOptions,
        topic: &str,
        warnings: &mut Warnings,
    ) -> Result<Vec<Producer>, Failure> {
        if options.lookupd_http_addresses.is_empty() {
            let nsqds = &options.nsqd_http_addresses;
            let answers = gather(nsqds, async |nsqd| {
                let names = self.names(&nsqd, Selection { topic, ..Selection::default() }).await?;
                if !names.iter().any(|own| own == topic) {
                    return Ok(None);
                }
                let info = self.get::<Info>(&nsqd, "/info").await?;
                Ok(Some(Producer::asked(&nsqd, info, names)))
            });
            let answers = answers.await;
            let certain = answers.troubles.is_empty();
            let found: Vec<Producer> =
                answers.settle(NSQD, warnings)?.into_iter().filter_map(|(_, producer)| producer).collect();
            // One that does not answer may have it.
            return if found.is_empty() && certain { Err(TOPIC_NOT_FOUND) } else { Ok(found) };
        }
        let lookupds = &options.lookupd_http_addresses;
        let target = format!("/lookup?{}", query(&[("topic", topic)]));
        let mut answers = gather(lookupds, async |lookupd| self.get::<LookupAnswer>(&lookupd, &target).await).await;
        // Not to know a topic that others know is no trouble.
        let (unknown, troubles): (Vec<Trouble>, _) =
            answers.troubles.into_iter().partition(|trouble| trouble.status == Some(StatusCode::NOT_FOUND));
        answers.troubles = troubles;
        if answers.found.is_empty() && !unknown.is_empty() {
            return Err(TOPIC_NOT_FOUND);
        }
        let answers = answers.settle(NSQLOOKUPD, warnings)?;
        Ok(merge_producers(answers.into_iter().map(|(_, answer)| answer.producers)))
    }

    /// What these nsqds say. Those that have no such topic or channel say nothing.
    pub(super) async fn reports(
        &self,
        producers: Vec<Producer>,
        selection: Selection<'_>,
        warnings: &mut Warnings,
    ) -> Result<Vec<Report>, Failure> {
        let answers = self.ask_all(&producers, selection).await.settle(NSQD, warnings)?;
        let answers = answers.into_iter().map(|(node, topics)| {
            let producer = producers.iter().find(|producer| producer.http_address() == node);
            let wanted = |name: &str| selection.topic.is_empty() || name == selection.topic;
            let topics = topics.into_iter().filter(|topic| wanted(&topic.topic_name)).collect();
            Report { producer: producer.cloned().unwrap_or_default(), topics }
        });
        Ok(answers.collect())
    }

    /// How many messages the channels of these nsqds got, by the nsqd.
    pub(super) async fn counts(
        &self,
        producers: &[Producer],
        warnings: &mut Warnings,
    ) -> Result<Vec<(String, Vec<CountedTopic>)>, Failure> {
        let nodes: Vec<String> = producers.iter().map(Producer::http_address).collect();
        let target = Selection::default().target();
        let answers = gather(&nodes, async |node| {
            let answer: StatsAnswer<CountedTopic> = self.get(&node, &target).await?;
            Ok(answer.topics)
        });
        answers.await.settle(NSQD, warnings)
    }

    async fn ask_all(
        &self,
        producers: &[Producer],
        selection: Selection<'_>,
    ) -> Gathered<Vec<sansq_core::cluster::TopicStats>> {
        let nodes: Vec<String> = producers.iter().map(Producer::http_address).collect();
        gather(&nodes, async |node| self.stats(&node, selection).await).await
    }

    /// The names of the topics that an nsqd has, of those that are selected.
    async fn names(&self, nsqd: &str, selection: Selection<'_>) -> Result<Vec<String>, Trouble> {
        let answer: StatsAnswer<NamedTopic> = self.get(nsqd, &selection.target()).await?;
        Ok(answer.topics.into_iter().map(|topic| topic.topic_name).collect())
    }

    async fn stats(
        &self,
        nsqd: &str,
        selection: Selection<'_>,
    ) -> Result<Vec<sansq_core::cluster::TopicStats>, Trouble> {
        Ok(self.get::<StatsAnswer>(nsqd, &selection.target()).await?.topics)
    }
}
