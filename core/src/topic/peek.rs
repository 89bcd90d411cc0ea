//! Looking at messages without taking them: what a topic and its channels hold in memory, and where.

use crate::message::Message;
use crate::protocol::ConnId;
use crate::time::Instant;

/// Where in a channel a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Waiting for a consumer.
    Queued,
    /// Out with a consumer.
    InFlight {
        /// Who has it.
        conn: ConnId,
        /// Until when.
        deadline: Instant,
    },
    /// Waiting for its time.
    Deferred {
        /// When that is.
        due: Instant,
    },
}

/// A message where it is.
#[derive(Clone, Copy, Debug)]
pub struct Peeked<'a> {
    /// Where.
    pub place: Place,
    /// The message; in flight, the delivery under way is not among its attempts.
    pub message: Message<'a>,
}

/// Shows the first `limit` of `messages`.
pub(super) fn queued<'a>(messages: impl Iterator<Item = Message<'a>>, limit: usize, look: &mut impl FnMut(Peeked<'_>)) {
    for message in messages.take(limit) {
        look(Peeked { place: Place::Queued, message });
    }
}
