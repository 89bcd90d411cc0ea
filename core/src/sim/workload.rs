//! What a producer program publishes and when, at a rate or as it is told. Every body begins with the message's number,
//! counted over all producers from zero.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

use super::decode::NUMBER_BYTES;
use super::options::{ProducerOptions, PublishOptions};

/// Batches that wait to be published; what the rate would add is then left out.
const WAITING_MAX: usize = 1024;

/// Something to be published.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) count: u32,
    size: u32,
    pub(super) defer: Duration,
    pub(super) text: String,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Workload {
    waiting: VecDeque<Batch>,
    /// When the rate gives the next batch.
    next_at: Option<Instant>,
}

impl Workload {
    /// Options changed, or the program started.
    pub(super) fn restart(&mut self, now: Instant, options: &ProducerOptions) {
        self.next_at = (!options.every.is_zero()).then(|| now + options.every * options.batch);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Messages that wait to be published.
    pub(super) fn len(&self) -> u64 {
        self.waiting.iter().map(|batch| u64::from(batch.count)).sum()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next_at
    }

    /// Adds what the rate gives by `now`.
    pub(super) fn advance(&mut self, now: Instant, options: &ProducerOptions) {
        while let Some(at) = self.next_at.filter(|&at| at <= now) {
            let count = options.batch;
            self.next_at = Some(at + (options.every * count).max(Duration::from_nanos(1)));
            if self.waiting.len() < WAITING_MAX {
                self.waiting.push_back(Batch { count, size: options.size, defer: options.defer, text: String::new() });
            } else {
                // What an overloaded producer cannot publish it does not make up for later.
                self.next_at = Some(now + options.every * count);
            }
        }
    }

    /// Adds what it is told to publish, in batches of its size.
    pub(super) fn publish(&mut self, told: &PublishOptions, options: &ProducerOptions) {
        let mut left = told.count;
        while left > 0 {
            let count = left.min(options.batch);
            left -= count;
            self.waiting.push_back(Batch {
                count,
                size: told.size.unwrap_or(options.size),
                defer: told.defer.unwrap_or(options.defer),
                text: told.body.clone(),
            });
        }
    }

    pub(super) fn pop(&mut self) -> Option<Batch> {
        self.waiting.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Batch {
    /// Bytes of each body.
    pub(super) fn body_len(&self) -> usize {
        (self.size as usize).max(NUMBER_BYTES + self.text.len())
    }

    /// Appends the body of message `number`.
    pub(super) fn put_body(&self, number: u64, out: &mut Vec<u8>) {
        let end = out.len() + self.body_len();
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(self.text.as_bytes());
        out.resize(end, 0);
    }
}
