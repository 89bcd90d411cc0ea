//! One thread that calls topics at their deadlines. A runtime's timers count milliseconds; this one sleeps on the system's
//! high-resolution clock, so what is due is done some tens of microseconds later. It sleeps until the nearest deadline of
//! all, and for ever when there is none. Setting an alarm takes no lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::Thread;

use sansq_core::time::Instant;
use sansq_core::topic::Topic;

use super::{Clock, Node, TopicCell};

/// A topic wants to be called.
pub(super) struct Alarm {
    /// The topic's number.
    pub(super) id: u32,
    /// When.
    pub(super) at: Instant,
    /// The topic, if it still is.
    pub(super) cell: Weak<TopicCell>,
}

/// The way to the thread; dropping the last one ends it.
#[derive(Clone)]
pub(super) struct Alarms {
    inbox: Sender<Alarm>,
    bell: Arc<Bell>,
}

struct Bell {
    thread: Thread,
    over: Arc<AtomicBool>,
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Alarms {
    /// Starts the thread. `node` is there before the first alarm is set.
    pub(super) fn start(clock: Clock, node: Arc<OnceLock<Weak<Node>>>) -> std::io::Result<Self> {
        let (inbox, alarms) = mpsc::channel();
        let over = Arc::new(AtomicBool::new(false));
        let watch = Watch { clock, node, alarms, over: over.clone(), order: BTreeSet::new(), set: BTreeMap::new() };
        let thread = std::thread::Builder::new().name("alarms".to_owned()).spawn(move || watch.run())?;
        Ok(Self { inbox, bell: Arc::new(Bell { thread: thread.thread().clone(), over }) })
    }

    /// Sets a topic's alarm, unless an earlier one is set.
    pub(super) fn set(&self, alarm: Alarm) {
        // The thread is gone only when the node is going too.
        if self.inbox.send(alarm).is_ok() {
            self.bell.thread.unpark();
        }
    }
}

struct Watch {
    clock: Clock,
    node: Arc<OnceLock<Weak<Node>>>,
    alarms: Receiver<Alarm>,
    over: Arc<AtomicBool>,
    order: BTreeSet<(Instant, u32)>,
    set: BTreeMap<u32, (Instant, Weak<TopicCell>)>,
}

impl Watch {
    fn run(mut self) {
        while !self.over.load(Ordering::Acquire) {
            while let Ok(alarm) = self.alarms.try_recv() {
                self.note(alarm);
            }
            let now = self.clock.now().mono;
            match self.order.first().copied() {
                None => std::thread::park(),
                Some((at, _)) if at > now => std::thread::park_timeout(at.since(now)),
                Some((at, id)) => {
                    self.order.remove(&(at, id));
                    self.ring(id);
                }
            }
        }
    }

    fn note(&mut self, alarm: Alarm) {
        if let Some((at, _)) = self.set.get(&alarm.id) {
            // Alarms of one topic may overtake each other on the way; the earliest counts, and sets the next.
            if *at <= alarm.at {
                return;
            }
            self.order.remove(&(*at, alarm.id));
        }
        self.order.insert((alarm.at, alarm.id));
        self.set.insert(alarm.id, (alarm.at, alarm.cell));
    }

    fn ring(&mut self, id: u32) {
        let Some((_, cell)) = self.set.remove(&id) else { return };
        if let (Some(cell), Some(node)) = (cell.upgrade(), self.node.get().and_then(Weak::upgrade)) {
            cell.disarm();
            node.step(&cell, Topic::handle_timeout);
        }
    }
}
