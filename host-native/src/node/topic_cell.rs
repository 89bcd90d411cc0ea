//! A topic behind its own lock. [`TopicCell::step`] is the one way in: it lets the topic handle an input, carries out what
//! that emitted while the lock still keeps its order (storage operations, letters to connections: no system call), and
//! wakes whom it concerns when the lock is released.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use parking_lot::Mutex;
use sansq_core::protocol::{Answer, ConnId};
use sansq_core::time::{Instant, Now};
use sansq_core::topic::{Event, Output, Topic};

use super::alarms::{Alarm, Alarms};
use super::clock::Clock;
use super::mailbox::Mailbox;
use super::pace::Pace;
use crate::storage::StorageHandle;

/// A topic with what its host needs to carry out its outputs.
pub struct TopicCell {
    state: Mutex<State>,
    clock: Clock,
    storage: StorageHandle,
    alarms: Alarms,
    /// Its number among the topics of the node.
    id: u32,
    /// Itself, for alarms.
    this: Weak<Self>,
    /// The topic was deleted or is closing.
    over: AtomicBool,
}

struct State {
    topic: Topic,
    /// Connections that have published or subscribed here.
    peers: HashMap<ConnId, Arc<Mailbox>>,
    /// Of deliveries to many.
    pace: Pace,
    /// When its alarm rings.
    armed: Option<Instant>,
}

/// What a step leaves to its caller.
#[derive(Debug, Default)]
pub struct Stepped {
    /// Answers for the connection that made the step.
    pub answers: Vec<Answer>,
    /// What the node should know.
    pub events: Vec<Event>,
}

impl TopicCell {
    pub(super) fn new(id: u32, topic: Topic, clock: Clock, storage: StorageHandle, alarms: Alarms) -> Arc<Self> {
        let state = Mutex::new(State { topic, peers: HashMap::new(), pace: Pace::default(), armed: None });
        Arc::new_cyclic(|this| Self {
            state,
            clock,
            storage,
            alarms,
            id,
            this: this.clone(),
            over: AtomicBool::new(false),
        })
    }

    /// Lets the topic handle one input. Answers for `caller` come back in `stepped`, all others go to mailboxes.
    pub(crate) fn step<T>(
        &self,
        caller: Option<ConnId>,
        stepped: &mut Stepped,
        handle: impl FnOnce(&mut Topic, Now) -> T,
    ) -> T {
        let mut wakers: Vec<Waker> = Vec::new();
        let mut state = self.state.lock();
        let State { topic, peers, pace, armed } = &mut *state;
        let now = self.clock.now();
        let result = handle(topic, now);
        let mut step = pace.step(now.mono);
        while let Some(output) = topic.poll_output() {
            match output {
                Output::Deliver { conn, run } => {
                    wakers.extend(peers.get(&conn).and_then(|mailbox| step.deliver(mailbox, run)));
                }
                Output::Answer { conn, answer } if Some(conn) == caller => stepped.answers.push(answer),
                Output::Answer { conn, answer } => {
                    let post = |mailbox: &Arc<Mailbox>| mailbox.post(|mail| mail.answers.push(answer));
                    wakers.extend(peers.get(&conn).and_then(post));
                }
                Output::Store(op) => self.storage.submit(op),
                Output::Event(event) => stepped.events.push(event),
            }
        }
        step.end(&mut wakers);
        let deadline = [topic.poll_timeout().map(|(at, _)| at), pace.deadline()].into_iter().flatten().min();
        let nearer = deadline.filter(|at| armed.is_none_or(|armed| *at < armed));
        if nearer.is_some() {
            *armed = nearer;
        }
        let over = topic.is_exiting();
        self.over.store(over, Ordering::Release);
        drop(state);
        if let Some(at) = nearer {
            self.alarms.set(Alarm { id: self.id, at, cell: self.this.clone() });
        }
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Whether the topic was deleted or is closing.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Looks at the topic without changing it.
    pub fn view<T>(&self, look: impl FnOnce(&Topic) -> T) -> T {
        look(&self.state.lock().topic)
    }

    /// Has letters for `conn` go to `mailbox`.
    pub(crate) fn attach(&self, conn: ConnId, mailbox: &Arc<Mailbox>) {
        self.state.lock().peers.insert(conn, mailbox.clone());
    }

    /// Forgets `conn`.
    pub(crate) fn detach(&self, conn: ConnId) {
        self.state.lock().peers.remove(&conn);
    }

    /// The alarm rings: the next step sets another.
    pub(super) fn disarm(&self) {
        self.state.lock().armed = None;
    }
}
