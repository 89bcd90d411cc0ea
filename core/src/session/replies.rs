//! Reply order. nsqd answers a command before it reads the next, so clients match answers to commands by their order alone;
//! here a publish may be answered long after the commands behind it were taken, and topics answer in any order. What
//! is due waits here until everything before it was written. While nothing is outstanding, nothing is stored.

use std::collections::VecDeque;

use crate::protocol::{PublishError, RequestId};
use crate::wire::{CommandError, ErrorCode, Verb, put_ok};

/// Most publish requests unanswered before a session stops reading.
const REQUESTS_MAX: usize = 1024;
/// Most body bytes unanswered before a session stops reading.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// A queue that was longer than this gives its memory back when it is empty.
const KEPT_CAPACITY: usize = 64;

/// Replies that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Replies {
    queue: VecDeque<Reply>,
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Reply {
    Publish { id: RequestId, commands: u32, bytes: u32, verb: Verb, outcome: Outcome },
    Frame(Box<[u8]>),
}

#[derive(Clone, Debug)]
enum Outcome {
    Unknown,
    Accepted,
    Refused(Box<PublishError>),
}

/// A publish that was sent to its topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) id: RequestId,
    /// How many commands it stands for.
    pub(super) commands: u32,
    /// Body bytes.
    pub(super) bytes: usize,
    /// The first of the commands.
    pub(super) verb: Verb,
}

impl Replies {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether so much is unanswered that no more should be asked.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= REQUESTS_MAX || self.bytes >= BYTES_MAX
    }

    /// A publish was sent; its answer is due here.
    pub(super) fn expect(&mut self, sent: Sent) {
        // One read's worth of bodies and one message: far from 4 GiB, and only the bound depends on it.
        let bytes = u32::try_from(sent.bytes).unwrap_or(u32::MAX);
        self.bytes += bytes as usize;
        let Sent { id, commands, verb, .. } = sent;
        self.queue.push_back(Reply::Publish { id, commands, bytes, verb, outcome: Outcome::Unknown });
    }

    /// Writes a reply, now or in its turn.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        if self.queue.is_empty() {
            write(out);
        } else {
            let mut frame = Vec::new();
            write(&mut frame);
            self.queue.push_back(Reply::Frame(frame.into()));
        }
    }

    /// Takes the answer to a publish, and writes what can be written now. An `Err` is the failed publish whose turn it is:
    /// fatal, so what waited behind it is gone.
    pub(super) fn on_published(
        &mut self,
        id: RequestId,
        result: Result<(), PublishError>,
        out: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        let waiting = self.queue.iter_mut().find_map(|reply| match reply {
            Reply::Publish { id: sent, outcome, .. } if *sent == id => Some(outcome),
            _ => None,
        });
        if let Some(outcome) = waiting {
            *outcome = match result {
                Ok(()) => Outcome::Accepted,
                Err(error) => Outcome::Refused(Box::new(error)),
            };
        }
        self.write_ready(out)
    }

    fn write_ready(&mut self, out: &mut Vec<u8>) -> Result<(), CommandError> {
        while let Some(reply) = self.queue.pop_front() {
            match reply {
                Reply::Frame(frame) => out.extend_from_slice(&frame),
                Reply::Publish { outcome: Outcome::Unknown, .. } => {
                    self.queue.push_front(reply);
                    return Ok(());
                }
                Reply::Publish { commands, bytes, outcome: Outcome::Accepted, .. } => {
                    self.bytes -= bytes as usize;
                    put_ok(out, commands);
                }
                Reply::Publish { verb, outcome: Outcome::Refused(error), .. } => {
                    self.clear();
                    return Err(CommandError::new(failed(verb), format!("{verb} failed {error}")));
                }
            }
        }
        if self.queue.capacity() > KEPT_CAPACITY {
            self.queue = VecDeque::new();
        }
        Ok(())
    }

    /// Forgets everything: the connection ends.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn failed(verb: Verb) -> ErrorCode {
    match verb {
        Verb::PublishMany => ErrorCode::PublishManyFailed,
        Verb::PublishDeferred => ErrorCode::PublishDeferredFailed,
        _ => ErrorCode::PublishFailed,
    }
}
