//! What happened so far, as far as it is worth a mark on a timeline. Grows with the run and is cut back when it is
//! rewound; no part of the world.

use std::collections::VecDeque;

use serde::Serialize;

use crate::time::Instant;

use super::lives::Lives;

/// Marks kept; the oldest go first.
const MARKS_MAX: usize = 100_000;

/// What a mark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MarkKind {
    /// Messages timed out.
    Timeout,
    /// Messages were requeued by consumers.
    Requeue,
    /// A client program died.
    Crash,
    /// A connection was broken or disturbed.
    Fault,
    /// A node was killed.
    Kill,
    /// A node serves.
    Start,
    /// A node has ended as it was told to.
    Stop,
    /// Messages were dropped.
    Drop,
    /// Something is wrong.
    Violation,
    /// An action from outside was applied.
    Edit,
    /// The story goes on.
    Say,
    /// Something failed.
    Error,
}

/// Something worth a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The step it happened in.
    pub step: u64,
    /// The time of that.
    pub at: Instant,
    /// What it is about.
    pub kind: MarkKind,
    /// Whom it concerns: a node, client, topic or `topic/channel`.
    pub who: Box<str>,
    /// More, if there is more to say.
    pub text: String,
    /// How many, of one kind in one step.
    pub count: u32,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    marks: VecDeque<Mark>,
    pub(super) lives: Lives,
}

impl History {
    /// Adds what a step left.
    pub(super) fn add(&mut self, marks: &mut Vec<Mark>) {
        self.marks.extend(marks.drain(..));
        let excess = self.marks.len().saturating_sub(MARKS_MAX);
        self.marks.drain(..excess);
    }

    /// Forgets what came after `step`, when there were `messages`.
    pub(super) fn rewind(&mut self, step: u64, messages: u64) {
        let kept = self.marks.partition_point(|mark| mark.step <= step);
        self.marks.truncate(kept);
        self.lives.rewind(step, messages);
    }

    /// Marks of later steps than `step`.
    pub(super) fn since(&self, step: u64) -> impl Iterator<Item = &Mark> {
        let from = self.marks.partition_point(|mark| mark.step <= step);
        self.marks.range(from..)
    }
}
