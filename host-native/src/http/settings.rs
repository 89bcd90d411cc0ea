//! `GET` and `PUT /config/:opt`. What is put holds until the process ends.

use super::Api;
use super::body::{ReadError, RequestBody};
use super::respond::{Failure, Outcome, Reply};
use crate::config::nsqd::PutError;
use crate::config::{NsqdOptions, read_option};

/// `GET /config/:opt`.
pub(super) fn read(api: &Api, option: &str) -> Outcome {
    let value = read_option::<NsqdOptions>(&api.options.borrow(), option).ok_or(Failure::bad("INVALID_OPTION"))?;
    Ok(labelled(value))
}

/// Texts come as they are, all else as JSON. A text that happens to be JSON is labelled so; its bytes are the same.
pub(crate) fn labelled(value: String) -> Reply {
    if serde_json::from_str::<serde::de::IgnoredAny>(&value).is_ok() {
        Reply::Json(value.into_bytes())
    } else {
        Reply::Text(value.into())
    }
}

/// `PUT /config/:opt`.
pub(super) async fn write(api: &Api, option: &str, body: &mut RequestBody) -> Outcome {
    const INVALID_VALUE: Failure = Failure::too_large("INVALID_VALUE");
    let body = body.read(api.node.config.max_msg_size).await.map_err(|error| match error {
        ReadError::TooLong => INVALID_VALUE,
        ReadError::Broken => Failure::INTERNAL,
    })?;
    if body.is_empty() {
        return Err(INVALID_VALUE);
    }
    put(api, option, &body).map_err(|error| match error {
        PutError::Option => Failure::bad("INVALID_OPTION"),
        PutError::Value => Failure::bad("INVALID_VALUE"),
    })?;
    if body.trim_ascii() == b"null" {
        // No list was given, so none is shown; from now on it reads as the empty one.
        return Ok(labelled("null".to_owned()));
    }
    read(api, option)
}

/// Sets the option, and has it take effect. Whoever else acts on options hears of it by watching them.
fn put(api: &Api, option: &str, body: &[u8]) -> Result<(), PutError> {
    let mut result = Ok(());
    api.options.send_if_modified(|options| {
        result = options.put(option, body);
        result.is_ok()
    });
    result?;
    let level = api.options.borrow().log_level;
    if level != api.log.level() {
        api.log.set_level(level);
    }
    Ok(())
}
