//! What a topic emits, and the outbox it collects in.

use std::collections::VecDeque;

use crate::message::Run;
use crate::name::{ChannelName, LogId};
use crate::protocol::{Answer, ConnId};
use crate::storage::{OpId, StorageEffect, StorageError, StorageOp};

/// Something for the host to carry out or carry on. In order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Messages for a consumer's session. On the wire each has one attempt more than its head says.
    Deliver {
        /// The consumer.
        conn: ConnId,
        /// The messages.
        run: Run,
    },
    /// An answer for a session.
    Answer {
        /// The connection.
        conn: ConnId,
        /// The answer.
        answer: Answer,
    },
    /// An operation for the storage, to be submitted in this order.
    Store(StorageOp),
    /// Something others may want to know.
    Event(Event),
}

/// What happened in a topic besides messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A channel came to be.
    ChannelCreated(ChannelName),
    /// A channel is gone, with its messages.
    ChannelDeleted(ChannelName),
    /// An ephemeral topic lost its last channel: the host deletes it.
    Unused,
    /// Messages moved without a command. Only told with [`Config::tell_moves`](crate::config::Config::tell_moves).
    Moved {
        /// Where; `None`: in the topic's own queue.
        channel: Option<ChannelName>,
        /// How.
        how: Moved,
        /// The messages.
        run: Run,
    },
    /// A storage operation failed. No accepted message is lost by it.
    StorageFailed {
        /// The queue.
        log: LogId,
        /// What was tried: `open`, `append`, `read`, ...
        action: &'static str,
        /// What came of it.
        error: StorageError,
    },
}

/// How messages moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// From in flight to queued: their time was up.
    TimedOut,
    /// From deferred to queued: they are due.
    Due,
    /// Out of the channel: the consumer whose turn it was takes a sample only.
    SampledOut,
    /// Out of an ephemeral queue that was full.
    Dropped,
    /// Not in: the append failed, and so does the publish.
    Refused,
    /// Out of the channel: a second record of a message that is out with a consumer, as a crash can leave.
    Repeated,
}

/// Collects outputs and numbers storage operations.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    outputs: VecDeque<Output>,
    last_op: u64,
}

impl Outbox {
    pub(crate) fn new(generation: u32) -> Self {
        Self { outputs: VecDeque::new(), last_op: u64::from(generation) << 32 }
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn deliver(&mut self, conn: ConnId, run: Run) {
        self.outputs.push_back(Output::Deliver { conn, run });
    }

    pub(crate) fn answer(&mut self, conn: ConnId, answer: Answer) {
        self.outputs.push_back(Output::Answer { conn, answer });
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn store(&mut self, log: &LogId, effect: StorageEffect) -> OpId {
        self.last_op += 1;
        let op = OpId(self.last_op);
        self.outputs.push_back(Output::Store(StorageOp { op, log: log.clone(), effect }));
        op
    }
}
