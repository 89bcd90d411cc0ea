//! One poll: the topics, the nsqds, and the statistics of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sansq_core::cluster::{
    Info, Motion, NodeView, NodesAnswer, Producer, Snapshot, StatsAnswer, TopicStats, TopicsAnswer, merge_nodes, union,
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use super::{Found, State};
use crate::admin::discovery::{NSQD, NSQLOOKUPD, Selection};
use crate::admin::upstream::{Trouble, Upstream, Warnings, gather, nobody};
use crate::config::NsqadminOptions;
use crate::http::respond::Failure;

/// How long one that did not answer the last time may take: a poll should not wait for it each time.
const PATIENCE_AFTER_TROUBLE: Duration = Duration::from_secs(1);

/// Asks the cluster again and again.
pub(super) struct Poller {
    upstream: Upstream,
    motion: Motion,
    started: Instant,
    /// Who did not answer the last time.
    troubled: BTreeSet<String>,
}

impl Poller {
    /// `interval`: the time between polls.
    pub(super) fn new(upstream: Upstream, interval: Duration) -> Self {
        let gap_ms = u64::try_from(interval.as_millis() / 2).unwrap_or(u64::MAX);
        Self { upstream, motion: Motion::new(gap_ms), started: Instant::now(), troubled: BTreeSet::new() }
    }

    /// Milliseconds until `at` of a clock that only goes on.
    pub(super) fn elapsed_ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// What there is now.
    pub(super) async fn poll(&mut self, options: &NsqadminOptions, with_clients: bool) -> State {
        let mut warnings = Warnings::default();
        let found = self.snapshot(options, with_clients, &mut warnings).await.map(Found::new);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let message =
            found.as_ref().map_or_else(|failure| failure.message.clone().into_owned(), |_| warnings.message());
        State { at: i64::try_from(now.as_millis()).unwrap_or(i64::MAX), message, found, gone: Arc::default() }
    }

    async fn snapshot(
        &mut self,
        options: &NsqadminOptions,
        with_clients: bool,
        warnings: &mut Warnings,
    ) -> Result<Snapshot, Failure> {
        let selection = Selection { clients: with_clients, ..Selection::default() };
        let (topics, views) = if options.lookupd_http_addresses.is_empty() {
            (Vec::new(), self.named(&options.nsqd_http_addresses, selection, warnings).await?)
        } else {
            self.found(&options.lookupd_http_addresses, selection, warnings).await?
        };
        self.troubled.retain(|address| views.iter().all(|view| view.node != *address));
        self.troubled.extend(views.iter().filter(|view| view.topics.is_none()).map(|view| view.node.clone()));
        let nodes: Vec<Arc<NodeView>> = views.into_iter().map(|view| self.motion.measure(view)).collect();
        self.motion.retain(&nodes);
        let named = nodes.iter().map(|node| node.producer.topics.iter().map(|it| it.topic.clone()).collect());
        Ok(Snapshot { topics: union(named.chain([topics])), nodes, with_clients })
    }

    /// The topics and nsqds that nsqlookupds know.
    async fn found(
        &mut self,
        lookupds: &[String],
        selection: Selection<'_>,
        warnings: &mut Warnings,
    ) -> Result<(Vec<String>, Vec<NodeView>), Failure> {
        let answers = gather(lookupds, async |lookupd| {
            let topics = self.get::<TopicsAnswer>(&lookupd, "/topics");
            let nodes = self.get::<NodesAnswer>(&lookupd, "/nodes");
            futures::try_join!(topics, nodes)
        });
        let answers = answers.await;
        self.troubled =
            lookupds.iter().filter(|it| !answers.found.iter().any(|(found, _)| found == *it)).cloned().collect();
        let answers = answers.settle(NSQLOOKUPD, warnings)?;
        let (topics, nodes): (Vec<_>, Vec<_>) =
            answers.into_iter().map(|(lookupd, (topics, nodes))| (topics.topics, (lookupd, nodes.producers))).unzip();
        let producers = merge_nodes(nodes);
        let addresses: Vec<String> = producers.iter().map(Producer::http_address).collect();
        let asked = gather(&addresses, async |node| Ok(self.stats(&node, selection).await)).await;
        let mut troubles = Vec::new();
        let views = producers.into_iter().zip(asked.found).map(|(producer, (node, stats))| {
            let (topics, error) = split(stats, &mut troubles);
            NodeView { node, producer, at_ms: self.elapsed_ms(Instant::now()), topics, error }
        });
        let views = views.collect();
        warnings.note_quietly(&troubles);
        Ok((union(topics), views))
    }

    /// The nsqds that were named.
    async fn named(
        &self,
        nsqds: &[String],
        selection: Selection<'_>,
        warnings: &mut Warnings,
    ) -> Result<Vec<NodeView>, Failure> {
        let asked = gather(nsqds, async |nsqd| {
            Ok(futures::try_join!(self.get::<Info>(&nsqd, "/info"), self.stats(&nsqd, selection)))
        });
        let mut troubles = Vec::new();
        let views = asked.await.found.into_iter().map(|(address, answer)| {
            let (info, stats) = match answer {
                Ok((info, stats)) => (info, Ok(stats)),
                Err(trouble) => (Info::default(), Err(trouble)),
            };
            let (topics, error) = split(stats, &mut troubles);
            let names = topics.iter().flatten().map(|topic| topic.topic_name.clone());
            let producer = Producer::asked(&address, info, names);
            NodeView { node: producer.http_address(), producer, at_ms: self.elapsed_ms(Instant::now()), topics, error }
        });
        let mut views: Vec<NodeView> = views.collect();
        if troubles.len() == nsqds.len() {
            return Err(nobody(NSQD, &troubles));
        }
        warnings.note_quietly(&troubles);
        views.sort_by(|a, b| (&a.producer.hostname, &a.node).cmp(&(&b.producer.hostname, &b.node)));
        Ok(views)
    }

    async fn stats(&self, nsqd: &str, selection: Selection<'_>) -> Result<Vec<TopicStats>, Trouble> {
        let answer: StatsAnswer = self.get(nsqd, &selection.target()).await?;
        Ok(NodeView::sorted(answer.topics))
    }

    async fn get<T: DeserializeOwned>(&self, address: &str, target: &str) -> Result<T, Trouble> {
        let asked = self.upstream.get(address, target);
        if !self.troubled.contains(address) {
            return asked.await;
        }
        let late =
            |_| Err(Trouble::new(format!("http://{address}{target}: no answer within {PATIENCE_AFTER_TROUBLE:?}")));
        timeout(PATIENCE_AFTER_TROUBLE, asked).await.unwrap_or_else(late)
    }
}

/// What one said, or why not.
fn split(answer: Result<Vec<TopicStats>, Trouble>, troubles: &mut Vec<Trouble>) -> (Option<Vec<TopicStats>>, String) {
    match answer {
        Ok(topics) => (Some(topics), String::new()),
        Err(trouble) => {
            let error = trouble.to_string();
            troubles.push(trouble);
            (None, error)
        }
    }
}
