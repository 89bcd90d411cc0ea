//! Where topics leave what is for a connection. The connection's task takes it all at once. What can be in it is bounded
//! by the consumer's window and its unanswered requests.
//!
//! Deliveries can be left to lie: the owner is not told of them until they are released, or until it takes a letter that it
//! was told of.

use std::task::{Poll, Waker};

use parking_lot::Mutex;
use sansq_core::message::Run;
use sansq_core::protocol::Answer;

/// A connection's letters.
#[derive(Debug, Default)]
pub struct Mail {
    /// Messages to send.
    pub runs: Vec<Run>,
    /// Answers to requests.
    pub answers: Vec<Answer>,
    /// The daemon wants the connection closed.
    pub close: bool,
}

#[derive(Debug, Default)]
struct Inner {
    mail: Mail,
    /// There are letters that the owner may take.
    full: bool,
    /// There are deliveries that lie until [`Mailbox::release`].
    held: bool,
    waker: Option<Waker>,
}

/// Shared by a connection's task and the topics that know it.
#[derive(Debug, Default)]
pub struct Mailbox(Mutex<Inner>);

impl Mailbox {
    /// Leaves a letter. If the owner sleeps and does not know yet, the way to wake it, to be used when locks are released.
    pub fn post(&self, write: impl FnOnce(&mut Mail)) -> Option<Waker> {
        let mut inner = self.0.lock();
        write(&mut inner.mail);
        inner.full = true;
        inner.waker.take()
    }

    /// Leaves a delivery that the owner is told of by [`release`](Self::release), or with the next letter. Whether it is the
    /// first that lies, so that the mailbox has to be released.
    pub(super) fn hold(&self, run: Run) -> bool {
        let mut inner = self.0.lock();
        inner.mail.runs.push(run);
        !std::mem::replace(&mut inner.held, true)
    }

    /// Lets the owner have what lies. Returns the way to wake it, as [`post`](Self::post).
    pub(super) fn release(&self) -> Option<Waker> {
        let mut inner = self.0.lock();
        if !std::mem::take(&mut inner.held) {
            return None;
        }
        inner.full = true;
        inner.waker.take()
    }

    /// All letters, if the owner may take any.
    pub fn collect(&self) -> Option<Mail> {
        let mut inner = self.0.lock();
        inner.waker = None;
        if !std::mem::take(&mut inner.full) {
            return None;
        }
        inner.held = false;
        Some(std::mem::take(&mut inner.mail))
    }

    /// Whether the order to close is among the letters.
    pub fn is_closing(&self) -> bool {
        self.0.lock().mail.close
    }

    /// Has `waker` woken by the next letter; `false` if some are there already.
    pub fn watch(&self, waker: &Waker) -> bool {
        let mut inner = self.0.lock();
        match &mut inner.waker {
            Some(known) if known.will_wake(waker) => {}
            slot => *slot = Some(waker.clone()),
        }
        !inner.full
    }

    /// The next answer; `None` if the daemon wants its owner to stop.
    pub async fn next_answer(&self) -> Option<Answer> {
        std::future::poll_fn(|cx| {
            loop {
                if let Some(mut mail) = self.collect() {
                    match mail.answers.pop() {
                        Some(answer) => return Poll::Ready(Some(answer)),
                        None if mail.close => return Poll::Ready(None),
                        None => {}
                    }
                }
                if self.watch(cx.waker()) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}
