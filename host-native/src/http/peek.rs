//! `GET /topic/peek` and `GET /channel/peek`: the first messages of a queue, wherever they are, with no effect on them: no
//! attempt is counted, no consumer waits, no read position moves. Ours only; nsqadmin's page shows them.
//!
//! What is in memory is of one moment. What follows on disk is looked at just before, so a message that was read from
//! there in between is in both and is shown once.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sansq_core::message::{Message, MessageId, Run};
use sansq_core::name::{ChannelName, LogId};
use sansq_core::protocol::ConnId;
use sansq_core::time::{Instant, Now};
use sansq_core::topic::{Peeked, Place, Topic};
use serde::Serialize;

use super::Api;
use super::admin::{CHANNEL_NOT_FOUND, TOPIC_NOT_FOUND, channel_of, topic_of};
use super::query::Query;
use super::respond::{Failure, Outcome, Reply};
use crate::node::TopicCell;

/// Messages shown of each place.
const LIMIT: usize = 20;
const LIMIT_MAX: usize = 100;
/// Bytes shown of each body.
const BODY_BYTES: usize = 4 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes looked at on disk, the record that exceeds them included.
const DISK_BYTES_MAX: usize = 4 * 1024 * 1024;

/// `GET /topic/peek?topic=T&limit=N&body_bytes=N`.
pub(super) async fn topic(api: &Arc<Api>, query: Option<&str>) -> Outcome {
    let query = Query::of(query)?;
    let cell = api.node.topic(&topic_of(&query)?).ok_or(TOPIC_NOT_FOUND)?;
    peek(api, &cell, None, Wanted::of(&query)?).await
}

/// `GET /channel/peek?topic=T&channel=C&limit=N&body_bytes=N`.
pub(super) async fn channel(api: &Arc<Api>, query: Option<&str>) -> Outcome {
    let query = Query::of(query)?;
    let (cell, name) = channel_of(api, &query)?;
    peek(api, &cell, Some(name), Wanted::of(&query)?).await
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    limit: usize,
    body_bytes: usize,
}

impl Wanted {
    fn of(query: &Query) -> Result<Self, Failure> {
        let body_bytes = number(query, "body_bytes", BODY_BYTES, BODY_BYTES_MAX, "INVALID_ARG_BODY_BYTES")?;
        Ok(Self { limit: limit(query)?, body_bytes })
    }
}

/// How many messages are asked for.
pub(crate) fn limit(query: &Query) -> Result<usize, Failure> {
    number(query, "limit", LIMIT, LIMIT_MAX, "INVALID_ARG_LIMIT")
}

fn number(query: &Query, key: &str, default: usize, max: usize, failure: &'static str) -> Result<usize, Failure> {
    let Some(value) = query.get(key) else { return Ok(default) };
    let value = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    value.filter(|value| (1..=max).contains(value)).ok_or(Failure::bad(failure))
}

/// What is answered.
#[derive(Debug, Serialize)]
struct Answer {
    /// Those in flight, then those that wait, in the order in which they will go, then those that are deferred, by time;
    /// up to `limit` of each.
    messages: Vec<Shown>,
    memory_depth: u64,
    backend_depth: u64,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    /// Unix nanoseconds.
    timestamp: i64,
    /// The delivery under way included.
    attempts: u16,
    place: &'static str,
    /// Unix nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<i64>,
    /// Unix nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<i64>,
    /// Who has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    body: String,
    encoding: &'static str,
    /// Of the whole body.
    body_bytes: usize,
    truncated: bool,
}

async fn peek(api: &Arc<Api>, cell: &Arc<TopicCell>, channel: Option<ChannelName>, wanted: Wanted) -> Outcome {
    let (api, cell) = (api.clone(), cell.clone());
    // The disk may take its time, which this thread's connections should not wait for.
    let looked = tokio::task::spawn_blocking(move || look(&api, &cell, channel.as_ref(), wanted));
    Reply::json(&looked.await.unwrap_or(Err(Failure::INTERNAL))?)
}

fn look(api: &Api, cell: &TopicCell, channel: Option<&ChannelName>, wanted: Wanted) -> Result<Answer, Failure> {
    let now = api.node.clock.now();
    let depths = |topic: &Topic| topic.depths(channel).ok_or(CHANNEL_NOT_FOUND);
    let log = cell.view(|topic| {
        let (_, backend_depth) = depths(topic)?;
        let mut at_hand = 0;
        topic.peek(channel, wanted.limit, |peeked| at_hand += usize::from(peeked.place == Place::Queued));
        let log = LogId { topic: topic.name().clone(), channel: channel.cloned() };
        Ok((at_hand < wanted.limit && backend_depth > 0).then_some(log))
    })?;
    let runs = match log {
        None => Vec::new(),
        Some(log) => api.node.storage().peek(log, wanted.limit, DISK_BYTES_MAX).map_err(|error| {
            tracing::error!("failed to look at messages on disk - {error}");
            Failure { status: hyper::StatusCode::SERVICE_UNAVAILABLE, message: "DISK_ERROR".into() }
        })?,
    };
    let mut view = View { now, wanted, ..View::default() };
    let (depth, backend_depth) = cell.view(|topic| {
        topic.peek(channel, wanted.limit, |peeked| view.add(&peeked));
        depths(topic)
    })?;
    for message in runs.iter().flat_map(Run::messages) {
        let due = message.due.map(|due| now.instant_of(due)).filter(|due| *due > now.mono);
        view.add(&Peeked { place: due.map_or(Place::Queued, |due| Place::Deferred { due }), message });
    }
    Ok(Answer { messages: view.into_messages(api), memory_depth: depth - backend_depth, backend_depth })
}

/// What has been seen so far.
#[derive(Default)]
struct View {
    now: Now,
    wanted: Wanted,
    seen: HashSet<MessageId>,
    in_flight: Vec<(ConnId, Shown)>,
    queued: Vec<Shown>,
    deferred: Vec<Shown>,
}

impl View {
    fn add(&mut self, peeked: &Peeked<'_>) {
        let Peeked { place, message } = peeked;
        if !self.seen.insert(message.id) {
            return;
        }
        let shown = Shown::of(message, self.wanted.body_bytes);
        match *place {
            Place::InFlight { conn, deadline } => {
                let (attempts, deadline) = (shown.attempts.saturating_add(1), Some(self.wall(deadline)));
                self.in_flight.push((conn, Shown { place: "in_flight", attempts, deadline, ..shown }));
            }
            Place::Queued => self.queued.push(shown),
            Place::Deferred { due } => {
                self.deferred.push(Shown { place: "deferred", due: Some(self.wall(due)), ..shown });
            }
        }
    }

    /// Unix nanoseconds of a moment still to come.
    fn wall(&self, at: Instant) -> i64 {
        (self.now.wall + at.since(self.now.mono)).as_nanos()
    }

    fn into_messages(mut self, api: &Api) -> Vec<Shown> {
        let limit = self.wanted.limit;
        self.queued.truncate(limit);
        // Those from disk come in the order of the log.
        self.deferred.sort_by_key(|shown| shown.due);
        self.deferred.truncate(limit);
        let address = |conn| api.node.clients.client(conn).map(|client| client.remote_address.clone());
        let in_flight = self.in_flight.into_iter().map(|(conn, shown)| Shown { client: address(conn), ..shown });
        in_flight.chain(self.queued).chain(self.deferred).collect()
    }
}

impl Shown {
    /// A message that waits.
    fn of(message: &Message<'_>, body_bytes: usize) -> Self {
        let part = &message.body[..message.body.len().min(body_bytes)];
        let truncated = part.len() < message.body.len();
        let (body, encoding) = match std::str::from_utf8(part) {
            Ok(text) => (text.to_owned(), "utf-8"),
            // The cut is in the middle of a character.
            Err(error) if truncated && error.error_len().is_none() => {
                (String::from_utf8_lossy(&part[..error.valid_up_to()]).into_owned(), "utf-8")
            }
            Err(_) => (STANDARD.encode(part), "base64"),
        };
        Self {
            id: String::from_utf8_lossy(&message.id.to_hex()).into_owned(),
            timestamp: message.timestamp.as_nanos(),
            attempts: message.attempts,
            place: "queued",
            due: None,
            deadline: None,
            client: None,
            body,
            encoding,
            body_bytes: message.body.len(),
            truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sansq_core::time::Timestamp;

    fn shown(body: &[u8], body_bytes: usize) -> (String, &'static str, usize, bool) {
        let message = Message { id: MessageId(1), timestamp: Timestamp::from_nanos(2), attempts: 0, due: None, body };
        let shown = Shown::of(&message, body_bytes);
        (shown.body, shown.encoding, shown.body_bytes, shown.truncated)
    }

    #[test]
    fn bodies_are_text_where_they_can_be() {
        assert_eq!(shown(b"hello", 5), ("hello".to_owned(), "utf-8", 5, false));
        assert_eq!(shown(b"hello", 2), ("he".to_owned(), "utf-8", 5, true));
        assert_eq!(shown("né".as_bytes(), 2), ("n".to_owned(), "utf-8", 3, true));
        assert_eq!(shown(b"\xff\0", 9), ("/wA=".to_owned(), "base64", 2, false));
        assert_eq!(shown(b"n\xc3", 9).1, "base64", "that is all there is");
        assert_eq!(shown(b"", 9), (String::new(), "utf-8", 0, false));
    }

    #[test]
    fn the_query_is_checked() {
        let wanted = |raw| Wanted::of(&Query::parse(Some(raw)).unwrap());
        assert_eq!(wanted(""), Ok(Wanted { limit: 20, body_bytes: 4096 }));
        assert_eq!(wanted("limit=100&body_bytes=65536"), Ok(Wanted { limit: 100, body_bytes: 65536 }));
        for raw in ["limit=0", "limit=101", "limit=", "limit=-1", "limit=x"] {
            assert_eq!(wanted(raw), Err(Failure::bad("INVALID_ARG_LIMIT")), "{raw}");
        }
        assert_eq!(wanted("body_bytes=65537"), Err(Failure::bad("INVALID_ARG_BODY_BYTES")));
    }
}
