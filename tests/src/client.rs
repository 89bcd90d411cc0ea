//! The small client that load and fault tests share: publish and wait for the answer, subscribe, take messages, ask for
//! statistics. Conversations whose bytes matter are scenarios instead.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::bytes::show;
use crate::daemon::Daemon;
use crate::http;
use crate::wire::{Connection, Frame, Message, Received};

/// How long something that must happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds; `false` if it does not within [`PATIENCE`].
pub fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// A connection that has sent its magic and, if there is any, `identify`, a JSON object.
pub fn connect(daemon: &Daemon, identify: &str) -> Result<Connection> {
    identified(Connection::open_v2(daemon.tcp)?, identify)
}

/// A connection that has sent its magic, once it has sent `identify`, a JSON object, if that is not empty.
pub fn identified(mut connection: Connection, identify: &str) -> Result<Connection> {
    if !identify.is_empty() {
        connection.send_with_body("IDENTIFY\n", identify.as_bytes());
        connection.expect_response("OK", PATIENCE)?;
    }
    Ok(connection)
}

/// Subscribes `connection`, ready for `ready` messages.
pub fn subscribe(connection: &mut Connection, topic: &str, channel: &str, ready: u32) -> Result<()> {
    connection.send(format!("SUB {topic} {channel}\n").as_bytes());
    connection.expect_response("OK", PATIENCE)?;
    connection.send(format!("RDY {ready}\n").as_bytes());
    Ok(())
}

/// A consumer with a connection of its own.
pub fn consumer(daemon: &Daemon, topic: &str, channel: &str, ready: u32) -> Result<Connection> {
    let mut connection = connect(daemon, "")?;
    subscribe(&mut connection, topic, channel, ready)?;
    Ok(connection)
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `OK`.
    Ok,
    /// The text of the error.
    Error(String),
    /// The connection is closed.
    Closed,
}

/// The next answer, past heartbeats.
pub fn answer(connection: &mut Connection) -> Result<Answer> {
    loop {
        match connection.receive(PATIENCE)? {
            Received::Frame(Frame::Response(text)) if text == b"_heartbeat_" => connection.send(b"NOP\n"),
            Received::Frame(Frame::Response(text)) if text == b"OK" => return Ok(Answer::Ok),
            Received::Frame(Frame::Error(text)) => return Ok(Answer::Error(String::from_utf8(text)?)),
            Received::Closed => return Ok(Answer::Closed),
            other => bail!("expected an answer, got: {other:?}"),
        }
    }
}

/// Publishes and waits for the answer.
pub fn publish(connection: &mut Connection, topic: &str, body: &[u8]) -> Result<Answer> {
    connection.send_with_body(&format!("PUB {topic}\n"), body);
    answer(connection)
}

/// The body of an MPUB of `bodies`.
pub fn batch(bodies: &[Vec<u8>]) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    let mut batch = number(bodies.len()).to_vec();
    for body in bodies {
        batch.extend_from_slice(&number(body.len()));
        batch.extend_from_slice(body);
    }
    batch
}

/// The next message, past heartbeats; `None` if none comes within `patience` or the connection is closed.
pub fn next_message(connection: &mut Connection, patience: Duration) -> Result<Option<Message>> {
    loop {
        match connection.receive(patience)? {
            Received::Frame(Frame::Message(message)) => return Ok(Some(message)),
            Received::Frame(Frame::Response(text)) if text == b"_heartbeat_" => connection.send(b"NOP\n"),
            Received::Closed | Received::Nothing => return Ok(None),
            Received::Frame(other) => bail!("expected a message, got: {other:?}"),
        }
    }
}

/// Takes and finishes messages until every body in `wanted` has come: how often each body came.
pub fn drain<'a>(
    connection: &mut Connection,
    wanted: impl IntoIterator<Item = &'a Vec<u8>>,
) -> Result<BTreeMap<Vec<u8>, u32>> {
    let mut missing: std::collections::BTreeSet<&Vec<u8>> = wanted.into_iter().collect();
    let mut seen = BTreeMap::new();
    while let Some(first) = missing.first() {
        let next = next_message(connection, PATIENCE)?;
        let message = next.with_context(|| format!("{} are missing, such as {}", missing.len(), show(first)))?;
        connection.send(format!("FIN {}\n", message.id).as_bytes());
        missing.remove(&message.body);
        *seen.entry(message.body).or_default() += 1;
    }
    Ok(seen)
}

/// The statistics of `topic`: its object in `GET /stats`, or `Null` if there is no such topic.
pub fn stats(daemon: &Daemon, topic: &str) -> Result<Value> {
    let response = http::get(daemon.http, &format!("/stats?format=json&topic={topic}"))?;
    ensure!(response.status == 200, "{}", show(&response.body));
    let all: Value = serde_json::from_slice(&response.body)?;
    Ok(all["topics"][0].clone())
}

/// `GET /ping`: the status and the text.
pub fn ping(daemon: &Daemon) -> Result<(u16, String)> {
    let response = http::get(daemon.http, "/ping")?;
    Ok((response.status, String::from_utf8(response.body)?))
}
