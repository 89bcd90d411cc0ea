//! The loop around a [`Broker`], over three traits: where time, bytes and storage come from. For hosts with one thread:
//! simulations, wasm, programs that embed a broker. Waits for nothing; it tells its caller until when there is nothing to do.

use crate::broker::{Broker, Output};
use crate::protocol::ConnId;
use crate::storage::{StorageCompletion, StorageOp};
use crate::time::{Instant, Now};

/// Where time comes from.
pub trait Clock {
    /// Both times. The monotonic one never goes back.
    fn now(&mut self) -> Now;
}

/// Where storage operations go.
pub trait Storage {
    /// Takes an operation; never fails here. Operations on one log are carried out in order.
    fn submit(&mut self, now: Now, op: StorageOp);
    /// The next completion there is by `now`.
    fn poll_completion(&mut self, now: Now) -> Option<StorageCompletion>;
    /// When there will be another, if that is known.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// What comes in from clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// A client connected.
    Connected(ConnId),
    /// It sent bytes.
    Received(ConnId, Vec<u8>),
    /// It sends no more.
    Ended(ConnId),
    /// Its connection broke.
    Broken(ConnId),
}

/// Where bytes come from and go.
pub trait Transport {
    /// What came in by `now`.
    fn poll_ingress(&mut self, now: Now) -> Option<Ingress>;
    /// Sends bytes to a client.
    fn send(&mut self, now: Now, conn: ConnId, bytes: Vec<u8>);
    /// Closes a connection once what was sent before is through.
    fn close(&mut self, now: Now, conn: ConnId);
    /// When something more will come in, if that is known.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Is told what happens in the broker: [`Output::TopicCreated`], [`Output::TopicDeleted`] and [`Output::Event`]. Does nothing.
    fn tell(&mut self, _now: Now, _output: Output) {}
}

/// What is left after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is more to do at once.
    Busy,
    /// Nothing to do before `wake_at`, unless something comes in.
    Idle {
        /// `None`: for ever.
        wake_at: Option<Instant>,
    },
}

/// A broker and its surroundings.
#[derive(Clone, Debug)]
pub struct Driver<C, S, T> {
    /// The broker.
    pub broker: Broker,
    /// Its time.
    pub clock: C,
    /// Its disk.
    pub storage: S,
    /// Its clients.
    pub transport: T,
}

impl<C: Clock, S: Storage, T: Transport> Driver<C, S, T> {
    /// Handles at most `budget` inputs and completions, and all timeouts that are due; before that, carries out what came of
    /// what was done to the broker directly.
    pub fn turn(&mut self, budget: u32) -> Turn {
        let now = self.clock.now();
        self.carry_out(now);
        for _ in 0..budget {
            if let Some(done) = self.storage.poll_completion(now) {
                self.broker.handle_completion(now, done);
            } else if let Some(ingress) = self.transport.poll_ingress(now) {
                match ingress {
                    Ingress::Connected(conn) => self.broker.handle_connect(now, conn),
                    Ingress::Received(conn, bytes) => self.broker.handle_bytes(now, conn, &bytes),
                    Ingress::Ended(conn) => self.broker.handle_eof(now, conn),
                    Ingress::Broken(conn) => self.broker.handle_disconnect(now, conn),
                }
            } else if self.broker.poll_timeout().is_some_and(|at| at <= now.mono) {
                self.broker.handle_timeout(now);
            } else {
                let timeouts = [self.broker.poll_timeout(), self.storage.poll_timeout(), self.transport.poll_timeout()];
                return Turn::Idle { wake_at: timeouts.into_iter().flatten().min() };
            }
            self.carry_out(now);
        }
        Turn::Busy
    }

    fn carry_out(&mut self, now: Now) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Send { conn, bytes } => self.transport.send(now, conn, bytes),
                Output::Close { conn } => self.transport.close(now, conn),
                Output::Store(op) => self.storage.submit(now, op),
                told @ (Output::TopicCreated(_) | Output::TopicDeleted(_) | Output::Event { .. }) => {
                    self.transport.tell(now, told);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use super::*;
    use crate::config::{Config, PublishAck};
    use crate::storage::{MemoryFiles, Store, StoreOptions};
    use crate::time::Timestamp;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    struct Virtual(Now);

    impl Clock for Virtual {
        fn now(&mut self) -> Now {
            self.0
        }
    }

    /// A disk that takes 5 ms for everything.
    struct SlowDisk {
        store: Store<MemoryFiles>,
        submitted: VecDeque<(Instant, StorageOp)>,
    }

    impl Storage for SlowDisk {
        fn submit(&mut self, now: Now, op: StorageOp) {
            self.submitted.push_back((now.mono + std::time::Duration::from_millis(5), op));
        }

        fn poll_completion(&mut self, now: Now) -> Option<StorageCompletion> {
            if self.poll_timeout()? > now.mono {
                return None;
            }
            let (_, op) = self.submitted.pop_front()?;
            let result = self.store.execute(now.mono, &op.log, &op.effect);
            Some(StorageCompletion { op: op.op, log: op.log, result })
        }

        fn poll_timeout(&self) -> Option<Instant> {
            self.submitted.front().map(|(at, _)| *at)
        }
    }

    #[derive(Default)]
    struct Wire {
        ingress: VecDeque<Ingress>,
        sent: Vec<(Instant, ConnId, Vec<u8>)>,
    }

    impl Transport for Wire {
        fn poll_ingress(&mut self, _: Now) -> Option<Ingress> {
            self.ingress.pop_front()
        }

        fn send(&mut self, now: Now, conn: ConnId, bytes: Vec<u8>) {
            self.sent.push((now.mono, conn, bytes));
        }

        fn close(&mut self, _: Now, _: ConnId) {}

        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
    }

    #[test]
    fn a_durable_publish_is_answered_when_the_disk_is_done() {
        let config = Config { publish_ack: PublishAck::Synced, ..Config::default() };
        let conn = ConnId(1);
        let bytes = b"  V2PUB t\n\0\0\0\x01x".to_vec();
        let ingress = VecDeque::from([Ingress::Connected(conn), Ingress::Received(conn, bytes)]);
        let store = Store::new(MemoryFiles::default(), StoreOptions::default()).unwrap();
        let mut driver = Driver {
            broker: Broker::new(Arc::new(config), 1),
            clock: Virtual(Now { mono: Instant::ZERO, wall: Timestamp::default() }),
            storage: SlowDisk { store, submitted: VecDeque::new() },
            transport: Wire { ingress, ..Wire::default() },
        };
        assert_eq!(driver.turn(1), Turn::Busy);
        while driver.transport.sent.is_empty() {
            match driver.turn(100) {
                Turn::Busy => {}
                Turn::Idle { wake_at } => driver.clock.0.mono = wake_at.unwrap(),
            }
        }
        assert_eq!(driver.transport.sent, [(Instant::from_millis(5), conn, b"\0\0\0\x06\0\0\0\0OK".to_vec())]);
    }
}
