//! Discovery: which nsqd has which topics and channels.
//!
//! - [`Registry`] is what an nsqlookupd knows: a value that is told the time and does nothing by itself.
//! - [`Session`] is a connection to an nsqlookupd, as seen by it: bytes in, registrations and bytes out.
//! - [`Peer`] is the other end of that connection: an nsqd registers what it has, and does so anew when it was cut off.
//! - [`Renewal`] says what an nsqd registers again, lest it stays deleted at an nsqlookupd.
//! - [`PeerInfo`] is what an nsqd tells of itself, and consumers are told of it.
//!
//! Deliberately absent: sockets, HTTP, and any decision about messages. nsqlookupd daemons do not know each other: an nsqd
//! registers with all of them, and whoever asks joins their answers.

mod peer;
mod registry;
mod renewal;
mod session;
mod wire;

pub use peer::{Peer, PeerEvent, Registration, ServerAddress, Verb};
pub use registry::{DebugEntry, Lifetimes, Lookup, NodeTopic, Nodes, Registry};
pub use renewal::Renewal;
pub use session::{Event, Session};
pub use wire::{IDENTIFY_BYTES_MAX, MAGIC, PeerInfo, Server};
