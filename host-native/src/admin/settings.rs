//! `GET` and `PUT /config/:opt`, from where that is allowed. What is put holds until the process ends.

use std::net::SocketAddr;

use hyper::StatusCode;

use super::http::Api;
use crate::config::nsqd::PutError;
use crate::config::{NsqadminOptions, read_option};
use crate::http::Peer;
use crate::http::body::{ReadError, RequestBody};
use crate::http::respond::{Failure, Outcome};
use crate::http::settings::labelled;

const VALUE_BYTES_MAX: usize = 1024 * 1024;

fn check(options: &NsqadminOptions, peer: &Peer) -> Result<(), Failure> {
    if options.allow_config_from_cidr.is_empty() {
        return Ok(());
    }
    let address: SocketAddr = peer.address.parse().map_err(|_| Failure::bad("INVALID_REMOTE_ADDR"))?;
    if options.may_configure(address.ip()) { Ok(()) } else { Err(Failure::new(StatusCode::FORBIDDEN, "FORBIDDEN")) }
}

/// `GET /config/:opt`.
pub(super) fn read(api: &Api, peer: &Peer, option: &str) -> Outcome {
    let options = api.options.borrow();
    check(&options, peer)?;
    read_option::<NsqadminOptions>(&options, option).map(labelled).ok_or(Failure::bad("INVALID_OPTION"))
}

/// `PUT /config/:opt`.
pub(super) async fn write(api: &Api, peer: &Peer, option: &str, body: &mut RequestBody) -> Outcome {
    const INVALID_VALUE: Failure = Failure::too_large("INVALID_VALUE");
    check(&api.options.borrow(), peer)?;
    let body = body.read(VALUE_BYTES_MAX).await.map_err(|error| match error {
        ReadError::TooLong => INVALID_VALUE,
        ReadError::Broken => Failure::INTERNAL,
    })?;
    if body.is_empty() {
        return Err(INVALID_VALUE);
    }
    let mut result = Ok(());
    api.options.send_if_modified(|options| {
        result = options.put(option, &body);
        result.is_ok()
    });
    result.map_err(|error| match error {
        PutError::Option => Failure::bad("INVALID_OPTION"),
        PutError::Value => Failure::bad("INVALID_VALUE"),
    })?;
    let level = api.options.borrow().log_level;
    if level != api.log.level() {
        api.log.set_level(level);
    }
    read(api, peer, option)
}
