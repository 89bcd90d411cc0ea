//! `GET /stats`: what the node is doing, for programs ([`json`](mod@json)) and for people ([`text`](mod@text)).
//!
//! The counts of a topic are of one moment; those of two topics are not. A client's entry is made of what its channel
//! counts and of what it told when it connected; one that has left in between is not listed.

mod json;
mod text;

use std::sync::Arc;
use std::time::Duration;

use sansq_core::name::{ChannelName, TopicName};
use sansq_core::topic::TopicStats;

use super::Api;
use super::info::health;
use super::process::{self, Memory};
use super::query::Query;
use super::respond::{Failure, Outcome, Reply};
use crate::node::Client;

/// What was asked for.
#[derive(Debug)]
struct Wanted {
    json: bool,
    topic: Filter<TopicName>,
    channel: Filter<ChannelName>,
    clients: bool,
    memory: bool,
}

/// One or all.
#[derive(Debug, PartialEq, Eq)]
enum Filter<T> {
    All,
    Only(T),
    /// One that cannot be.
    Nothing,
}

impl<T> Filter<T> {
    /// The filter in a parameter; empty is none.
    fn of<E>(value: Option<&[u8]>, parse: impl FnOnce(&[u8]) -> Result<T, E>) -> Self {
        match value {
            None | Some(b"") => Self::All,
            Some(name) => parse(name).map_or(Self::Nothing, Self::Only),
        }
    }

    fn only(&self) -> Option<&T> {
        match self {
            Self::Only(one) => Some(one),
            Self::All | Self::Nothing => None,
        }
    }
}

impl Wanted {
    fn new(query: &Query) -> Self {
        Self {
            json: query.get("format") == Some(b"json"),
            topic: Filter::of(query.get("topic"), |name| TopicName::parse(name)),
            channel: Filter::of(query.get("channel"), |name| ChannelName::parse(name)),
            clients: query.switch("include_clients").unwrap_or(true),
            memory: query.switch("include_mem").unwrap_or(true),
        }
    }
}

/// What `/stats` shows, in either form.
struct Snapshot<'a> {
    health: &'a str,
    /// Unix seconds.
    start_time: i64,
    /// Unix seconds.
    now: i64,
    uptime: Duration,
    /// `None` if the topic asked for does not exist.
    topics: Option<Vec<TopicStats>>,
    memory: Option<Memory>,
    /// Whether clients are shown.
    with_clients: bool,
    /// Everybody connected.
    clients: Vec<Arc<Client>>,
    /// Publishes are shown of this topic only.
    topic: Option<TopicName>,
}

/// `GET /stats?format=F&topic=T&channel=C&include_clients=B&include_mem=B`.
pub(super) async fn stats(api: &Arc<Api>, query: Option<&str>) -> Outcome {
    let wanted = Wanted::new(&Query::of(query)?);
    let health = health(api).await;
    let api = api.clone();
    // With thousands of topics this takes a while, which this thread's connections should not wait for.
    let rendered = tokio::task::spawn_blocking(move || {
        let snapshot = collect(&api, &wanted, &health);
        if wanted.json {
            json::render(&api.node.config.version, &snapshot)
        } else {
            Ok(Reply::Text(text::render(&snapshot).into()))
        }
    });
    rendered.await.unwrap_or(Err(Failure::INTERNAL))
}

fn collect<'a>(api: &Api, wanted: &Wanted, health: &'a str) -> Snapshot<'a> {
    let node = &api.node;
    let topics = topics(api, wanted);
    let with_clients = wanted.clients && topics.is_some();
    let now = node.clock.now();
    Snapshot {
        health,
        start_time: node.start_time,
        now: now.wall.as_nanos() / 1_000_000_000,
        uptime: Duration::from_nanos(now.mono.as_nanos()),
        topics,
        memory: wanted.memory.then(process::memory),
        with_clients,
        clients: if with_clients { node.clients.all() } else { Vec::new() },
        topic: wanted.topic.only().cloned(),
    }
}

fn topics(api: &Api, wanted: &Wanted) -> Option<Vec<TopicStats>> {
    let mut topics = match wanted.topic {
        Filter::Nothing => Vec::new(),
        Filter::All | Filter::Only(_) => api.node.stats(wanted.topic.only(), wanted.channel.only(), wanted.clients),
    };
    // Without a topic there is no list; an nsqd without any has one, of none.
    if topics.is_empty() && wanted.topic != Filter::All {
        return None;
    }
    match wanted.channel {
        Filter::All => {}
        Filter::Only(_) => topics.retain(|topic| !topic.channels.is_empty()),
        Filter::Nothing => topics.clear(),
    }
    Some(topics)
}

impl Snapshot<'_> {
    /// The connection `conn`. They are in the order of their numbers.
    fn client(&self, conn: sansq_core::protocol::ConnId) -> Option<&Client> {
        let index = self.clients.binary_search_by_key(&conn, |client| client.conn).ok()?;
        Some(&self.clients[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_says_what_is_wanted() {
        let wanted = |raw| Wanted::new(&Query::parse(Some(raw)).unwrap());
        let all = wanted("");
        assert!(!all.json && all.clients && all.memory);
        assert_eq!((all.topic, all.channel), (Filter::All, Filter::All));
        let some = wanted("format=json&topic=t&channel=c&include_clients=0&include_mem=false");
        assert!(some.json && !some.clients && !some.memory);
        assert_eq!(some.topic.only().unwrap().as_str(), "t");
        let odd = wanted("format=JSON&topic=b$&channel=&include_clients=no&include_mem=f");
        assert!(!odd.json && odd.clients && odd.memory);
        assert_eq!((odd.topic, odd.channel), (Filter::Nothing, Filter::All));
    }
}
