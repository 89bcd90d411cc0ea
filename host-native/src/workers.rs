//! The threads that run connections: one single-threaded runtime per core, each with its own poller. A connection stays
//! on the thread it was given, so its buffers and wake-ups stay there too, and no task is stolen back and forth.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// After so many tasks a thread asks its poller for news, and looks at what other threads have woken, even if more tasks are
/// ready. Each may take a connection's turn, so this bounds how long what is new waits.
const EVENT_INTERVAL: u32 = 8;

/// The threads.
pub struct Workers {
    workers: Vec<Worker>,
    next: AtomicUsize,
}

struct Worker {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads.
    pub fn start(count: usize) -> std::io::Result<Self> {
        Self::start_named("worker", count)
    }

    /// Starts `count` threads called `name` with a number.
    pub fn start_named(name: &str, count: usize) -> std::io::Result<Self> {
        let start = |index| Worker::start(format!("{name}-{index}"));
        let workers = (0..count.max(1)).map(start).collect::<std::io::Result<_>>()?;
        Ok(Self { workers, next: AtomicUsize::new(0) })
    }

    /// The runtime of the next thread in turn.
    pub fn next(&self) -> &Handle {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        &self.workers[index].handle
    }

    /// Runs `future` on the next thread in turn.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.next().spawn(future);
    }
}

impl Worker {
    fn start(name: String) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .event_interval(EVENT_INTERVAL)
            .global_queue_interval(EVENT_INTERVAL)
            .build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            // An error means that the sender is gone, which is the same order.
            _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Workers {
    /// Ends the threads, and with them the tasks still on them.
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.stop.take();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                _ = thread.join();
            }
        }
    }
}
