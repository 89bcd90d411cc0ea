//! The beginning of a command whose rest has not arrived. Empty, and without memory, whenever the stream stands between two
//! commands. A body that arrives in many reads is not looked at again until enough of it is there, and is stored with
//! growth that never exceeds twice what the client really sent: declaring a large body costs the broker nothing.

use crate::wire::{CommandError, LINE_BYTES_MAX, MAGIC, MpubScan, Verb};

/// Growth of the buffer while a body arrives, in bytes.
const GROWTH_MIN: usize = 256;

/// What a command lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// Nothing: it is whole, and waits for an answer to what came before.
    Nothing,
    /// The end of the magic.
    Magic,
    /// The end of its line.
    Line,
    /// The size of its body.
    BodySize(Verb),
    /// The rest of its body.
    Body(Verb),
    /// A part of MPUB's body; its bytes begin at `body` in the command.
    PublishMany {
        /// In bytes.
        body: usize,
    },
}

/// When to look at a command again, and how much of the stream surely belongs to it. In bytes from its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) lack: Lack,
    /// Looking again is useless before. Not for lines, which end where they end.
    pub(super) need: usize,
    /// The command does not end before. `need <= whole`.
    pub(super) whole: usize,
}

impl Want {
    /// The rest of a line.
    pub(super) const LINE: Self = Self { lack: Lack::Line, need: 0, whole: LINE_BYTES_MAX };
    /// The rest of the magic.
    pub(super) const MAGIC: Self = Self { lack: Lack::Magic, need: MAGIC.len(), whole: MAGIC.len() };

    /// `need` bytes and nothing else.
    pub(super) fn bytes(lack: Lack, need: usize) -> Self {
        Self { lack, need, whole: need }
    }
}

/// The bytes of an unfinished command.
#[derive(Clone, Debug)]
pub(super) struct Partial {
    bytes: Vec<u8>,
    want: Want,
    /// How far MPUB's body was judged.
    pub(super) scan: MpubScan,
}

impl Partial {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), want: Want::LINE, scan: MpubScan::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Takes from `input` what belongs to the command, at most; returns how much, and whether the command is worth
    /// another look.
    pub(super) fn fill(&mut self, input: &[u8]) -> (usize, bool) {
        let room = self.want.whole.saturating_sub(self.bytes.len());
        let mut taken = input.len().min(room);
        if self.want.lack != Lack::Line {
            self.store(&input[..taken]);
            return (taken, self.bytes.len() >= self.want.need);
        }
        let end = input[..taken].iter().position(|&byte| byte == b'\n');
        taken = end.map_or(taken, |end| end + 1);
        self.store(&input[..taken]);
        (taken, end.is_some() || taken == room)
    }

    /// Keeps `bytes` of a command that wants more.
    pub(super) fn keep(&mut self, bytes: &[u8], want: Want) {
        self.want = want;
        self.store(bytes);
    }

    fn store(&mut self, bytes: &[u8]) {
        let len = self.bytes.len();
        let spare = self.bytes.capacity() - len;
        if bytes.len() > spare {
            let rest = self.want.whole.saturating_sub(len);
            let growth = bytes.len().max(rest.min(len.max(GROWTH_MIN)));
            self.bytes.reserve_exact(growth);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Lends the bytes out for a look; [`put_back`](Self::put_back) returns them if the command is still unfinished.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// See [`take`](Self::take). Without `want` the command is whole and waits for something else.
    pub(super) fn put_back(&mut self, bytes: Vec<u8>, want: Option<Want>) {
        self.want = want.unwrap_or(Want::bytes(Lack::Nothing, bytes.len()));
        self.bytes = bytes;
    }

    /// The command is done with, or given up.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    /// What to tell a client whose stream ended, or fell silent, here; nothing if that is between two commands.
    pub(super) fn cut_off(&self) -> Option<CommandError> {
        if self.bytes.is_empty() {
            return None;
        }
        match self.want.lack {
            Lack::Nothing | Lack::Magic | Lack::Line => None,
            Lack::BodySize(verb) => Some(verb.body_size_missing()),
            Lack::Body(verb) => Some(verb.body_missing()),
            Lack::PublishMany { body } => Some(self.scan.missing(self.bytes.len().saturating_sub(body))),
        }
    }
}
