//! The order in which the worker sees to what comes in.

use std::sync::Arc;
use std::time::Duration;

use sansq_core::message::{BatchBuilder, Run};
use sansq_core::name::TopicName;

use super::*;

fn operation(number: u64, effect: StorageEffect) -> StorageOp {
    let log = LogId { topic: TopicName::parse("t").unwrap(), channel: None };
    StorageOp { op: OpId(number), log, effect }
}

fn append() -> StorageEffect {
    let mut builder = BatchBuilder::default();
    builder.push(b"x", None);
    let runs = builder.finish().into_iter().map(|batch| Run::whole(Arc::new(batch))).collect();
    StorageEffect::Append { runs, durability: Durability::Written, taken: false }
}

#[test]
fn a_log_is_closed_when_the_end_of_its_sync_is_the_next_thing_to_come() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions { sync_every: 1, ..StoreOptions::default() };
    let mut store = Store::new(OsFiles::new(directory.path()), options).unwrap();
    let StorageOp { log, effect, .. } = operation(1, append());
    store.execute(Instant::ZERO, &log, &effect).unwrap();
    let sync = store.take_syncs(Instant::ZERO).remove(0);
    assert!(store.is_syncing(&log));

    let (jobs, inbox) = mpsc::channel();
    let (syncs, _sync_inbox) = mpsc::channel();
    let (completed, completions) = mpsc::channel();
    jobs.send(Job::Work(Work::Operation(operation(2, StorageEffect::Close)))).unwrap();
    jobs.send(Job::Synced(sync, Ok(()))).unwrap();
    jobs.send(Job::Work(Work::Stop)).unwrap();
    let complete = move |done: Vec<StorageCompletion>| done.into_iter().for_each(|done| completed.send(done).unwrap());
    let start = StdInstant::now();
    let worker = Worker { store, inbox, syncs, complete, start, stopping: false, postponed: VecDeque::new() };
    let running = spawn("worker", move || worker.run()).unwrap();
    let closed = completions.recv_timeout(Duration::from_secs(10)).expect("it waits for what it has already");
    assert_eq!((closed.op, closed.result), (OpId(2), Ok(StorageReply::Done)));
    running.join().unwrap();
}
