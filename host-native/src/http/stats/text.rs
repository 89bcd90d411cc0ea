//! `/stats` for people. Columns and words are the reference's (`nsqd/http.go`, `printStats`), so that scripts that cut
//! them out keep working; only a consumer that also publishes is shown here as both, under its channel as a consumer.

use std::fmt::{self, Write as _};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sansq_core::latency::Latency;
use sansq_core::topic::{ChannelStats, ConsumerStats, TopicStats};

use super::Snapshot;
use crate::config::{format_duration, format_duration_seconds, version_text};
use crate::node::Client;

/// The page. Writing to a `String` cannot fail, so the results of `write!` say nothing.
pub(super) fn render(snapshot: &Snapshot<'_>) -> String {
    let mut page = String::new();
    _ = writeln!(page, "{}", version_text("nsqd"));
    _ = writeln!(page, "start_time {}", rfc3339(snapshot.start_time, TimeZone::system()));
    _ = writeln!(page, "uptime {}", format_duration(snapshot.uptime));
    _ = writeln!(page, "\nHealth: {}", snapshot.health);
    if let Some(memory) = &snapshot.memory {
        _ = writeln!(page, "\nMemory:");
        for (name, value) in memory.lines() {
            _ = writeln!(page, "   {name:<25}\t{value}");
        }
    }
    match snapshot.topics.as_deref() {
        None | Some([]) => _ = writeln!(page, "\nTopics: None"),
        Some(topics) => {
            _ = write!(page, "\nTopics:");
            for topic in topics {
                _ = write_topic(&mut page, snapshot, topic);
            }
        }
    }
    let mut producers = String::new();
    for client in &snapshot.clients {
        _ = write_producer(&mut producers, snapshot, client);
    }
    _ = if producers.is_empty() {
        writeln!(page, "\nProducers: None")
    } else {
        write!(page, "\nProducers:\n{producers}")
    };
    page
}

fn write_topic(page: &mut String, snapshot: &Snapshot<'_>, topic: &TopicStats) -> fmt::Result {
    writeln!(
        page,
        "\n{}[{:<15}] depth: {:<5} be-depth: {:<5} msgs: {:<8} e2e%: {}",
        if topic.paused { "*P " } else { "   " },
        topic.name.as_str(),
        topic.depth,
        topic.backend_depth,
        topic.message_count,
        percentiles(topic.latency.as_ref()),
    )?;
    topic.channels.iter().try_for_each(|channel| write_channel(page, snapshot, channel))
}

fn write_channel(page: &mut String, snapshot: &Snapshot<'_>, channel: &ChannelStats) -> fmt::Result {
    writeln!(
        page,
        "{}[{:<25}] depth: {:<5} be-depth: {:<5} inflt: {:<4} def: {:<4} re-q: {:<5} timeout: {:<5} msgs: {:<8} e2e%: {}",
        if channel.paused { "   *P " } else { "      " },
        channel.name.as_str(),
        channel.depth,
        channel.backend_depth,
        channel.in_flight_count,
        channel.deferred_count,
        channel.requeue_count,
        channel.timeout_count,
        channel.message_count,
        percentiles(channel.latency.as_ref()),
    )?;
    channel.consumers.iter().try_for_each(|consumer| match snapshot.client(consumer.conn) {
        Some(client) => write_consumer(page, snapshot, client, consumer),
        None => Ok(()),
    })
}

fn write_consumer(
    page: &mut String,
    snapshot: &Snapshot<'_>,
    client: &Client,
    consumer: &ConsumerStats,
) -> fmt::Result {
    let state = client.profile.lock().state as i32;
    writeln!(
        page,
        "        [V2 {:<21}] state: {state} inflt: {:<4} rdy: {:<4} fin: {:<8} re-q: {:<8} msgs: {:<8} connected: {}",
        identity(client),
        consumer.in_flight_count,
        consumer.ready_count,
        consumer.finish_count,
        consumer.requeue_count,
        consumer.message_count,
        connected(snapshot, client),
    )
}

/// A line, if the client has published what is asked for.
fn write_producer(page: &mut String, snapshot: &Snapshot<'_>, client: &Client) -> fmt::Result {
    let mut published = client.profile.lock().published.clone();
    if let Some(only) = &snapshot.topic {
        published.retain(|topic, _| topic == only);
    }
    if published.is_empty() {
        return Ok(());
    }
    let total: u64 = published.values().sum();
    let topics: Vec<_> = published.iter().map(|(topic, count)| format!("{topic}={count}")).collect();
    writeln!(
        page,
        "   [V2 {:<21}] msgs: {total:<8} topics: {} connected: {}",
        identity(client),
        topics.join(","),
        connected(snapshot, client),
    )
}

fn identity(client: &Client) -> String {
    let profile = client.profile.lock();
    let (host, port) = client.host_and_port();
    let (hostname, user_agent) = match &profile.info {
        Some(info) => (info.hostname.as_str(), info.user_agent.as_str()),
        None => (host, ""),
    };
    format!("{hostname}:{port} {user_agent}")
}

fn connected(snapshot: &Snapshot<'_>, client: &Client) -> String {
    let seconds = u64::try_from(snapshot.now - client.connect_ts).unwrap_or(0);
    format_duration_seconds(Duration::from_secs(seconds))
}

fn percentiles(latency: Option<&Latency>) -> String {
    let percentiles = latency.map_or(&[][..], |latency| &latency.percentiles);
    let values: Vec<_> = percentiles.iter().map(|percentile| human_time(percentile.value)).collect();
    values.join(", ")
}

fn human_time(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    let (unit, name) = match nanos {
        n if n > 1e9 => (1e9, "s"),
        n if n > 1e6 => (1e6, "ms"),
        n if n > 1e3 => (1e3, "us"),
        _ => (1.0, "ns"),
    };
    format!("{:.1}{name}", nanos / unit)
}

/// As Go's `time.RFC3339`, which writes `Z` where there is no offset.
fn rfc3339(unix_seconds: i64, zone: TimeZone) -> String {
    let time = Timestamp::from_second(unix_seconds).unwrap_or_default().to_zoned(zone);
    let offset = if time.offset().seconds() == 0 { "Z".to_owned() } else { time.strftime("%:z").to_string() };
    format!("{}{offset}", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_messages_are_for_people() {
        let times =
            [(0, "0.0ns"), (1_000, "1000.0ns"), (1_001, "1.0us"), (2_500_000, "2.5ms"), (61_000_000_000, "61.0s")];
        for (nanos, text) in times {
            assert_eq!(human_time(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn the_start_is_in_local_time() {
        assert_eq!(rfc3339(0, TimeZone::UTC), "1970-01-01T00:00:00Z");
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(rfc3339(0, east), "1970-01-01T02:00:00+02:00");
    }
}
