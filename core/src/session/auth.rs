//! What a client is allowed to do. The session asks the host to ask an auth server and keeps the grant; how the server is
//! asked, and how its patterns match, is the host's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Instant;
use crate::wire::{CommandError, ErrorCode, Verb, quote};

/// The longest secret. It is kept for as long as its client is connected, as the server is asked again and again.
pub(super) const SECRET_BYTES_MAX: usize = 64 * 1024;

/// Decides what a client may do. Pure: the same question gets the same answer.
pub trait Permissions: fmt::Debug + Send + Sync {
    /// Whether the client may publish to `topic`, or if there is a `channel` subscribe to it.
    fn allow(&self, topic: &str, channel: Option<&str>) -> bool;
}

/// What an auth server granted.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The client's name.
    pub identity: String,
    /// Where to read about it.
    pub identity_url: String,
    /// Number of authorizations behind `permissions`.
    pub permission_count: usize,
    /// How long it holds. Then the server is asked again.
    pub ttl: Duration,
    /// The rules.
    pub permissions: Arc<dyn Permissions>,
}

/// The auth server could not be asked, or its answer was not one. Clients are not told why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AUTH failed")]
pub struct AuthFailed;

/// The standing of a client that sent AUTH.
#[derive(Clone)]
pub(super) struct Auth {
    pub(super) secret: Vec<u8>,
    pub(super) grant: Option<Grant>,
    pub(super) expires: Instant,
}

impl Auth {
    pub(super) fn asked(secret: Vec<u8>) -> Self {
        Self { secret, grant: None, expires: Instant::ZERO }
    }

    /// Whether `verb` may be carried out.
    pub(super) fn check(&self, verb: Verb, topic: &str, channel: Option<&str>) -> Result<(), CommandError> {
        if self.grant.as_ref().is_some_and(|grant| grant.permissions.allow(topic, channel)) {
            return Ok(());
        }
        let (topic, channel) = (quote(topic.as_bytes()), quote(channel.unwrap_or_default().as_bytes()));
        Err(CommandError::new(ErrorCode::Unauthorized, format!("AUTH failed for {verb} on {topic} {channel}")))
    }
}

impl fmt::Debug for Auth {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("grant", &self.grant).field("expires", &self.expires).finish_non_exhaustive()
    }
}
