//! `nsq_stat`: the statistics of one channel over all nsqds that have it, a row for each interval.
//!
//! Any nsqd or nsqlookupd that does not answer ends the tool: a sum with a part missing would look like a change.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use futures::StreamExt as _;
use futures::future::try_join_all;
use sansq_core::cluster::{ChannelStats, StatsAnswer, merge_channel};
use tokio::time::MissedTickBehavior;

use super::{Misuse, is_reader_gone, terminations};
use crate::client::http::HttpClient;
use crate::client::lookup::{self, Question};
use crate::config::{Program, options};

/// Rows between two headers.
const HEADER_EVERY: u64 = 25;
const HEADER: &str = "\
------rate------+----------------depth----------------+--------------metadata---------------
ingress  egress |   total     mem    disk inflt   def |     req     t-o         msgs clients
";

const PROGRAM: Program = Program {
    name: "nsq_stat",
    title: "shows what a channel does",
    about: "\
        Prints a row of statistics of one channel at each interval, summed over all nsqds of the topic: how many messages \
        a second come and go, how many wait and where, and what happened to the rest. Numbers under metadata are totals \
        since the nsqds started.",
    examples: &[
        (
            "nsq_stat --topic=greetings --channel=printer --nsqd-http-address=127.0.0.1:4151",
            "One nsqd, every two seconds.",
        ),
        (
            "nsq_stat --topic=greetings --channel=printer --lookupd-http-address=find1:4161 --count=1",
            "One row for the whole cluster.",
        ),
    ],
};

options! {
    /// Everything `nsq_stat` can be told.
    pub struct NsqStatOptions for PROGRAM;

    group "What to show": "One channel, and how often." {
        builtin "help" = Help, "Prints this page.";
        builtin "version" = Version, "Prints the version.";
        builtin "man" = Man, "Prints a page for man. Try nsq_stat --man | man -l -.";
        builtin "completions" <"SHELL"> = Completions, "Prints a completion script (bash, zsh, fish). Try source <(nsq_stat --completions bash).";
        "topic" <"TOPIC"> => topic: String = String::new(),
            "The topic of the channel.";
        "channel" <"CHANNEL"> => channel: String = String::new(),
            "The channel to show.";
        "interval" => interval: Duration = Duration::from_secs(2),
            "The time between rows.";
        "count" => count: u64 = 0,
            "Ends after so many rows. Goes on for ever if not said.";
    }

    group "Where from": "Either nsqds, or nsqlookupds that know them; the addresses of their HTTP sides." {
        "nsqd-http-address" <"HOST:PORT"> => nsqd_http_addresses: Vec<String> = Vec::new(),
            "An nsqd to ask.";
        "lookupd-http-address" <"HOST:PORT"> => lookupd_http_addresses: Vec<String> = Vec::new(),
            "An nsqlookupd to ask for nsqds.";
        "http-client-connect-timeout" => connect_timeout: Duration = Duration::from_secs(2),
            "How long connecting may take.";
        "http-client-request-timeout" => request_timeout: Duration = Duration::from_secs(5),
            "How long a request may take.";
    }
}

impl NsqStatOptions {
    fn check(&self) -> Result<()> {
        ensure!(!self.topic.is_empty() && !self.channel.is_empty(), Misuse("--topic and --channel are required"));
        ensure!(!self.interval.is_zero(), Misuse("--interval should be positive"));
        ensure!(!self.connect_timeout.is_zero(), Misuse("--http-client-connect-timeout should be positive"));
        ensure!(!self.request_timeout.is_zero(), Misuse("--http-client-request-timeout should be positive"));
        ensure!(self.count > 0 || !self.sources.is_set("count"), Misuse("--count should be positive"));
        match (self.nsqd_http_addresses.as_slice(), self.lookupd_http_addresses.as_slice()) {
            ([], []) => bail!(Misuse("--nsqd-http-address or --lookupd-http-address required")),
            ([_, ..], [_, ..]) => bail!(Misuse("use --nsqd-http-address or --lookupd-http-address not both")),
            _ => {}
        }
        for (flag, addresses) in
            [("nsqd-http-address", &self.nsqd_http_addresses), ("lookupd-http-address", &self.lookupd_http_addresses)]
        {
            let schemed = addresses.iter().any(|address| address.starts_with("http"));
            ensure!(!schemed, "--{flag} error - address should not contain scheme");
        }
        Ok(())
    }
}

/// The row of an interval that began with `before`.
fn row(now: &ChannelStats, before: &ChannelStats, interval: Duration) -> String {
    let per_second = |change: i64| (change as f64 / interval.as_secs_f64()) as i64;
    let came = now.message_count.saturating_sub(before.message_count);
    let gone = came.saturating_sub(now.depth.saturating_sub(before.depth));
    format!(
        "{:7} {:7} | {:7} {:7} {:7} {:5} {:5} | {:7} {:7} {:12} {:7}",
        per_second(came),
        per_second(gone),
        now.depth,
        now.depth.saturating_sub(now.backend_depth),
        now.backend_depth,
        now.in_flight_count,
        now.deferred_count,
        now.requeue_count,
        now.timeout_count,
        now.message_count,
        now.client_count,
    )
}

/// Runs it until it has shown what it should, or a signal.
pub async fn run(options: NsqStatOptions, _: &[String]) -> Result<()> {
    options.check()?;
    let mut terminations = terminations()?;
    let mut ticks = tokio::time::interval(options.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch { http: HttpClient::new(options.connect_timeout, options.request_timeout), options };
    let rows = async {
        let mut before = None;
        let mut shown = 0;
        loop {
            ticks.tick().await;
            let now = watch.counts().await?;
            if let Some(before) = &before {
                let header = if shown % HEADER_EVERY == 0 { HEADER } else { "" };
                let row = format!("{header}{}\n", row(&now, before, watch.options.interval));
                match io::stdout().write_all(row.as_bytes()) {
                    Err(error) if is_reader_gone(&error) => return Ok(()),
                    written => written.context("cannot write to standard output")?,
                }
                shown += 1;
                if shown == watch.options.count {
                    return Ok(());
                }
            }
            before = Some(now);
        }
    };
    tokio::select! {
        end = rows => end,
        _ = terminations.next() => Ok(()),
    }
}

struct Watch {
    http: HttpClient,
    options: NsqStatOptions,
}

impl Watch {
    /// The channel's numbers now.
    async fn counts(&self) -> Result<ChannelStats> {
        let (topic, channel) = (&self.options.topic, &self.options.channel);
        let nsqds = self.nsqds().await.map_err(|error| anyhow!("ERROR: failed to get topic producers - {error}"))?;
        let all = try_join_all(nsqds.iter().map(|nsqd| self.counts_of(nsqd))).await;
        let all = all.map_err(|error| anyhow!("ERROR: failed to get nsqd stats - {error}"))?;
        let found: Vec<ChannelStats> = all.into_iter().flatten().collect();
        ensure!(!found.is_empty(), "ERROR: failed to find channel({channel}) in stats metadata for topic({topic})");
        Ok(merge_channel(topic, channel, found))
    }

    async fn nsqds(&self) -> Result<Vec<String>, String> {
        if self.options.lookupd_http_addresses.is_empty() {
            return Ok(self.options.nsqd_http_addresses.clone());
        }
        let ask = async |address: &String| {
            let question = Question {
                client: self.http.clone(),
                address: lookup::normalize(address)?,
                topic: self.options.topic.clone(),
                secret: String::new(),
            };
            lookup::producers(&question).await
        };
        let answers = try_join_all(self.options.lookupd_http_addresses.iter().map(ask)).await?;
        let mut nsqds: Vec<String> = answers.iter().flatten().map(lookup::Producer::http_address).collect();
        nsqds.sort();
        nsqds.dedup();
        Ok(nsqds)
    }

    /// What one nsqd says of the channel, if it has it.
    async fn counts_of(&self, nsqd: &str) -> Result<Option<ChannelStats>, String> {
        let (topic, channel) = (&self.options.topic, &self.options.channel);
        let query = format!("topic={}&channel={}", topic.replace('#', "%23"), channel.replace('#', "%23"));
        let url = format!("http://{nsqd}/stats?format=json&include_clients=false&{query}");
        let answer = self.http.get(&url, &[]).await.map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("{url}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)));
        }
        let stats: StatsAnswer = serde_json::from_slice(&answer.body).map_err(|error| format!("{url}: {error}"))?;
        let topics = stats.topics.into_iter().filter(|it| it.topic_name == *topic);
        Ok(topics.flat_map(|it| it.channels).find(|it| it.channel_name == *channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_rates_and_sums() {
        let stats = |message_count, depth| ChannelStats { message_count, depth, ..ChannelStats::default() };
        let before = stats(100, 10);
        let one = ChannelStats { backend_depth: 2, in_flight_count: 3, ..stats(105, 12) };
        let other = ChannelStats {
            deferred_count: 1,
            requeue_count: 4,
            timeout_count: 5,
            client_count: 6,
            ..ChannelStats::default()
        };
        let now = merge_channel("t", "c", vec![one, other]);
        let expected = "      2       1 |      12      10       2     3     1 |       4       5          105       6";
        assert_eq!(row(&now, &before, Duration::from_secs(2)), expected);
        assert_eq!(HEADER.lines().nth(1).unwrap().len(), expected.len());
    }
}
