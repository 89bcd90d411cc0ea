//! `POST /pub` and `POST /mpub`. A body is read and checked as a whole before anything of it is published.

use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use sansq_core::message::{BLOCK_BYTES_MAX, BatchBuilder};
use sansq_core::name::TopicName;
use sansq_core::protocol::PublishError;

use super::Api;
use super::admin::topic_of;
use super::body::{ReadError, RequestBody};
use super::query::Query;
use super::respond::{Failure, Outcome, Reply};

/// Messages of a body that are packed at a time, then others of the thread get their turn: some 100 µs.
const MESSAGES_AT_A_TIME: usize = 8192;

/// `POST /pub?topic=T[&defer=MS]`: the body is a message.
pub(super) async fn publish(api: &Api, query: Option<&str>, body: &mut RequestBody) -> Outcome {
    let config = &api.node.config;
    let message = body.read(config.max_msg_size).await.map_err(|error| unread(error, "MSG_TOO_BIG"))?;
    if message.is_empty() {
        return Err(Failure::bad("MSG_EMPTY"));
    }
    let query = Query::of(query)?;
    let topic = topic_of(&query)?;
    // Unlike the reference, which creates the topic first, a publish that is refused here leaves nothing behind.
    let defer = defer_of(&query, config.max_req_timeout)?;
    let due = (defer > Duration::ZERO).then(|| api.node.clock.now().wall + defer);
    let mut builder = BatchBuilder::default();
    if message.len() > BLOCK_BYTES_MAX {
        builder.push_owned(Bytes::copy_from_slice(&message), due);
    } else {
        builder.push(&message, due);
    }
    send(api, &topic, builder).await
}

/// `POST /mpub?topic=T[&binary=B]`: the body is messages, one a line or each behind its size.
pub(super) async fn multi_publish(api: &Api, query: Option<&str>, body: &mut RequestBody) -> Outcome {
    let config = &api.node.config;
    if body.announces_more_than(config.max_body_size) {
        return Err(Failure::too_large("BODY_TOO_BIG"));
    }
    let query = Query::of(query)?;
    let topic = topic_of(&query)?;
    // A producer's first empty batch is enough for consumers to find the topic.
    api.node.ensure_topic(&topic);
    let binary = match (query.get("binary"), query.switch("binary")) {
        (None, _) => false,
        (Some(_), Some(binary)) => binary,
        (Some(other), None) => {
            let other = String::from_utf8_lossy(other);
            tracing::warn!("deprecated value '{other}' used for /mpub binary param");
            true
        }
    };
    let body = body.read(config.max_body_size).await.map_err(|error| unread(error, "BODY_TOO_BIG"))?;
    let messages = if binary {
        split_sized(&body, config.max_msg_size, config.max_body_size)?
    } else {
        split_lines(&body, config.max_msg_size)?
    };
    if messages.is_empty() {
        return Ok(Reply::OK);
    }
    let mut builder = BatchBuilder::default();
    for (index, message) in messages.into_iter().enumerate() {
        if index % MESSAGES_AT_A_TIME == MESSAGES_AT_A_TIME - 1 {
            tokio::task::yield_now().await;
        }
        if message.len() > BLOCK_BYTES_MAX {
            builder.push_owned(Bytes::copy_from_slice(message), None);
        } else {
            builder.push(message, None);
        }
    }
    send(api, &topic, builder).await
}

async fn send(api: &Api, topic: &TopicName, mut builder: BatchBuilder) -> Outcome {
    match api.node.publish(topic, builder.finish()).await {
        Ok(()) => Ok(Reply::OK),
        Err(error) => {
            // The reference says EXITING for both.
            let (reason, code) = match &error {
                PublishError::Exiting => (error.to_string(), "EXITING"),
                PublishError::Storage(error) => (error.to_string(), "DISK_ERROR"),
            };
            tracing::error!("failed to publish to {topic} - {reason}");
            Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, code))
        }
    }
}

fn unread(error: ReadError, too_long: &'static str) -> Failure {
    match error {
        ReadError::TooLong => Failure::too_large(too_long),
        ReadError::Broken => Failure::INTERNAL,
    }
}

/// The deferral wanted, in whole milliseconds up to `longest`.
fn defer_of(query: &Query, longest: Duration) -> Result<Duration, Failure> {
    let Some(raw) = query.get("defer") else { return Ok(Duration::ZERO) };
    let millis: Option<i64> = std::str::from_utf8(raw).ok().and_then(|text| text.parse().ok());
    millis
        .and_then(|millis| u64::try_from(millis).ok())
        .map(Duration::from_millis)
        .filter(|defer| *defer <= longest)
        .ok_or(Failure::bad("INVALID_DEFER"))
}

/// The lines of `body` without their line feeds. Empty ones are no messages.
fn split_lines(body: &[u8], max_msg_size: usize) -> Result<Vec<&[u8]>, Failure> {
    let lines: Vec<_> = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    if lines.iter().any(|line| line.len() > max_msg_size) {
        return Err(Failure::too_large("MSG_TOO_BIG"));
    }
    Ok(lines)
}

/// The messages of `count | (size | message)*`, numbers in 4 bytes, big end first. What follows is ignored.
fn split_sized(body: &[u8], max_msg_size: usize, max_body_size: usize) -> Result<Vec<&[u8]>, Failure> {
    const BAD_BODY: Failure = Failure::too_large("BAD_BODY");
    const BAD_MESSAGE: Failure = Failure::too_large("BAD_MESSAGE");
    let number = |rest: &mut &[u8]| {
        let (number, tail) = rest.split_first_chunk::<4>()?;
        *rest = tail;
        usize::try_from(i32::from_be_bytes(*number)).ok().filter(|number| *number > 0)
    };
    let mut rest = body;
    // Each message takes at least five bytes.
    let count_max = max_body_size.saturating_sub(4) / 5;
    let count = number(&mut rest).filter(|count| *count <= count_max).ok_or(BAD_BODY)?;
    let mut messages = Vec::with_capacity(count.min(rest.len() / 5));
    for _ in 0..count {
        let size = number(&mut rest).filter(|size| *size <= max_msg_size).ok_or(BAD_MESSAGE)?;
        let (message, tail) = rest.split_at_checked(size).ok_or(BAD_MESSAGE)?;
        messages.push(message);
        rest = tail;
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deferrals_are_whole_milliseconds_in_range() {
        let hour = Duration::from_secs(3600);
        let defer = |raw: &str| defer_of(&Query::parse(Some(raw)).unwrap(), hour);
        for (raw, millis) in [("", 0), ("defer=0", 0), ("defer=-0", 0), ("defer=%2B5", 5), ("defer=3600000", 3_600_000)]
        {
            assert_eq!(defer(raw), Ok(Duration::from_millis(millis)), "{raw}");
        }
        for bad in ["", "x", "-1", "1.0", "5s", "3600001", "+1", "9223372036854775807", "9223372036854775808", "%ff"] {
            assert_eq!(defer(&format!("defer={bad}")), Err(Failure::bad("INVALID_DEFER")), "{bad}");
        }
        assert!(defer("defer").is_err());
    }

    #[test]
    fn lines_are_messages() {
        assert_eq!(split_lines(b"a\n\nb\r\n", 5).unwrap(), [&b"a"[..], b"b\r"]);
        assert_eq!(split_lines(b"\n\n", 5).unwrap(), [&b""[..]; 0]);
        assert_eq!(split_lines(b"12345\n", 5).unwrap(), [&b"12345"[..]]);
        assert_eq!(split_lines(b"a\n123456\n", 5), Err(Failure::too_large("MSG_TOO_BIG")));
    }

    #[test]
    fn sizes_stand_before_messages() {
        let sized = |parts: &[&[u8]]| {
            let body = parts.concat();
            split_sized(&body, 3, 24).map(|messages| messages.iter().map(|m| m.to_vec()).collect::<Vec<_>>())
        };
        let n = |number: i32| number.to_be_bytes();
        assert_eq!(sized(&[&n(2), &n(1), b"a", &n(3), b"b\nc", b"trailing"]).unwrap(), [&b"a"[..], b"b\nc"]);
        for bad in [&b""[..], b"\0\0", &n(0), &n(-1), &n(5)] {
            assert_eq!(sized(&[bad]), Err(Failure::too_large("BAD_BODY")), "{bad:?}");
        }
        for bad in [
            &[&n(4)[..]][..],
            &[&n(1), &n(0)],
            &[&n(1), &n(-1)],
            &[&n(1), &n(4), b"abcd"],
            &[&n(1), &n(2), b"a"],
            &[&n(2), &n(1), b"a"],
        ] {
            assert_eq!(sized(bad), Err(Failure::too_large("BAD_MESSAGE")), "{bad:?}");
        }
    }
}
