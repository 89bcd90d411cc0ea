//! `GET /ping` and `GET /info`.

use std::borrow::Cow;

use hyper::StatusCode;
use serde::Serialize;

use super::Api;
use super::respond::{Failure, Outcome, Reply};

/// The node's health in words: `OK`, or `NOK - ` and why.
pub(super) async fn health(api: &Api) -> Cow<'static, str> {
    match api.node.health().await {
        Ok(()) => "OK".into(),
        Err(error) => format!("NOK - {error}").into(),
    }
}

/// `GET /ping`: whether the node can do its work, its disk included.
pub(super) async fn ping(api: &Api) -> Outcome {
    match health(api).await {
        Cow::Borrowed(ok) => Ok(Reply::Text(ok.into())),
        Cow::Owned(message) => Err(Failure { status: StatusCode::INTERNAL_SERVER_ERROR, message: message.into() }),
    }
}

#[derive(Serialize)]
struct Info<'a> {
    version: &'a str,
    broadcast_address: &'a str,
    hostname: String,
    http_port: i32,
    tcp_port: i32,
    start_time: i64,
    max_heartbeat_interval: u128,
    max_output_buffer_size: u64,
    max_output_buffer_timeout: u128,
    max_deflate_level: i64,
    topology_zone: &'a str,
    topology_region: &'a str,
}

/// `GET /info`. Ports are those listened on, not those broadcast; -1 for a Unix socket.
pub(super) fn info(api: &Api) -> Outcome {
    let options = api.options.borrow();
    let port = |port: Option<u16>| port.map_or(-1, i32::from);
    Reply::json(&Info {
        version: &api.node.config.version,
        broadcast_address: &options.broadcast_address,
        hostname: crate::config::hostname(),
        http_port: port(api.ports.http),
        tcp_port: port(api.ports.tcp),
        start_time: api.node.start_time,
        max_heartbeat_interval: options.max_heartbeat_interval.as_nanos(),
        max_output_buffer_size: options.max_output_buffer_size,
        max_output_buffer_timeout: options.max_output_buffer_timeout.as_nanos(),
        max_deflate_level: options.max_deflate_level,
        topology_zone: &options.topology_zone,
        topology_region: &options.topology_region,
    })
}
