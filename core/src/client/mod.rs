//! What a client of NSQ decides: how it introduces itself, which nsqds it connects to and when again, how many messages it
//! asks each of them for, when it backs off, when it gives a message or a publish up. As state machines without I/O, like
//! all of the core: the same code is the Rust client of the `sansq` package and the clients in simulations.
//!
//! A host opens the connections it is told to ([`Output::Connect`]), writes what it is told to, and hands in what it reads
//! and the time. After each call it drains `poll_output` and looks at `poll_timeout`; calling `handle_timeout` early or
//! twice changes nothing. What concerns a connection that the machine has closed already is ignored.
//!
//! TLS and compression are not here, only the order they come in: where a client asks for them, its host changes the stream
//! of a connection when it is told to ([`Output::Upgrade`]).
//!
//! Invariants: same inputs, same outputs, whatever they run on. Everything is bounded: frames by their size, messages by
//! what was asked for, publishes by `max_pending` and `max_pending_bytes`.

mod backoff;
mod connection;
mod consumer;
mod discovery;
mod options;
mod peer;
mod producer;
mod rdy;
mod targets;

pub use crate::protocol::Upgrade;
pub use connection::{Connection, ConnectionError, FRAME_BYTES_MAX, Heard, Message, Negotiated, ServerError};
pub use consumer::{Consumer, ConsumerStats, Event, Output};
pub use options::{BackoffStrategy, ClientOptions};
pub use peer::PeerId;
pub use producer::{Producer, ProducerOutput, PublishError, Ticket};

#[cfg(test)]
mod tests;
