//! The queue files, on files in memory: the reference's bytes, its cases of damage, and what a crash at any moment leaves.

mod emptying;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::message::{BatchBuilder, Message, MessageId};
use crate::name::{ChannelName, TopicName};
use crate::rng::Rng;
use crate::time::{Instant, Timestamp};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const DATA: &str = "t:c.diskqueue.000000.dat";
const META: &str = "t:c.diskqueue.meta.dat";

fn log() -> LogId {
    LogId { topic: TopicName::parse("t").unwrap(), channel: Some(ChannelName::parse("c").unwrap()) }
}

fn run(ids: impl IntoIterator<Item = u64>, due: Option<Timestamp>) -> Run {
    let mut builder = BatchBuilder::default();
    for id in ids {
        let body = format!("b{id}");
        let timestamp = Timestamp::from_nanos(id as i64);
        builder.push_stored(Message { id: MessageId(id), timestamp, attempts: 1, due, body: body.as_bytes() });
    }
    Run::whole(Arc::new(builder.finish().remove(0)))
}

/// A store of one log. Records of ids below 10 are 32 bytes.
struct Rig {
    store: Store<MemoryFiles>,
}

impl Rig {
    fn new(max_bytes_per_file: u64) -> Self {
        Self::on(MemoryFiles::default(), max_bytes_per_file)
    }

    fn on(files: MemoryFiles, max_bytes_per_file: u64) -> Self {
        let options = StoreOptions { max_bytes_per_file, ..StoreOptions::default() };
        Self { store: Store::new(files, options).unwrap() }
    }

    fn reopened(mut self, max_bytes_per_file: u64) -> Self {
        Self::on(std::mem::take(self.store.files()), max_bytes_per_file)
    }

    fn execute(&mut self, effect: StorageEffect) -> Result<StorageReply, StorageError> {
        self.store.execute(Instant::ZERO, &log(), &effect)
    }

    fn open(&mut self) -> u64 {
        match self.execute(StorageEffect::Open).unwrap() {
            StorageReply::Opened { unread } => unread,
            other => panic!("{other:?}"),
        }
    }

    fn append(&mut self, ids: impl IntoIterator<Item = u64>) -> Result<(), StorageError> {
        self.append_run(run(ids, None), false)
    }

    fn append_run(&mut self, run: Run, taken: bool) -> Result<(), StorageError> {
        let effect = StorageEffect::Append { runs: vec![run], durability: Durability::Written, taken };
        self.execute(effect).map(|reply| assert_eq!(reply, StorageReply::Appended))
    }

    fn read(&mut self, bytes_max: u32) -> Result<(Vec<u64>, u64), StorageError> {
        match self.execute(StorageEffect::Read { bytes_max })? {
            StorageReply::Records { runs, unread } => {
                let ids = runs.iter().flat_map(Run::messages).map(|message| {
                    assert_eq!(message.body, format!("b{}", message.id.0).as_bytes());
                    assert_eq!((message.attempts, message.timestamp.as_nanos()), (1, message.id.0 as i64));
                    message.id.0
                });
                Ok((ids.collect(), unread))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Reads to the end.
    fn drain(&mut self) -> Vec<u64> {
        let mut all = Vec::new();
        for _ in 0..10_000 {
            let (ids, unread) = self.read(100).unwrap();
            all.extend(ids);
            if unread == 0 {
                return all;
            }
        }
        panic!("reading does not end");
    }

    /// Reads and releases records one by one: when each is due.
    fn drain_dues(&mut self, count: usize) -> Vec<Option<Timestamp>> {
        let mut dues = Vec::new();
        for _ in 0..count {
            let reply = self.execute(StorageEffect::Read { bytes_max: 1 }).unwrap();
            let StorageReply::Records { runs, .. } = reply else { panic!("{reply:?}") };
            dues.extend(runs.iter().flat_map(Run::messages).map(|message| message.due));
            self.release(1);
        }
        dues
    }

    fn release(&mut self, count: u64) {
        self.execute(StorageEffect::Release { count }).unwrap();
    }

    fn close(&mut self) {
        self.execute(StorageEffect::Close).unwrap();
    }

    fn content(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.store.files().content(name)
    }

    fn metadata(&mut self) -> String {
        String::from_utf8(self.content(META).unwrap().clone()).unwrap()
    }

    fn names(&mut self) -> Vec<String> {
        self.store.files().list().unwrap()
    }
}

#[test]
fn records_and_positions_are_the_references() {
    let mut rig = Rig::new(300);
    rig.open();
    let body = "x".repeat(51);
    let mut builder = BatchBuilder::default();
    for id in 0..24 {
        let timestamp = Timestamp::default();
        builder.push_stored(Message { id: MessageId(id), timestamp, attempts: 0, due: None, body: body.as_bytes() });
    }
    rig.append_run(Run::whole(Arc::new(builder.finish().remove(0))), false).unwrap();
    rig.close();
    assert_eq!(rig.content(DATA).unwrap().len(), 243, "three of 81 bytes");
    assert_eq!(rig.metadata(), "24\n0,0\n7,243\n");
}

#[test]
fn a_log_goes_on_where_it_was_closed() {
    let mut rig = Rig::new(100);
    rig.open();
    rig.append(0..7).unwrap();
    assert_eq!(rig.read(64).unwrap(), (vec![0, 1], 5));
    rig.release(1);
    rig.close();
    assert_eq!(rig.metadata(), "6\n0,32\n2,32\n");
    let mut rig = rig.reopened(100);
    assert_eq!(rig.open(), 6);
    assert_eq!(rig.drain(), [1, 2, 3, 4, 5, 6]);
    rig.release(6);
    rig.close();
    assert_eq!(rig.metadata(), "0\n2,32\n2,32\n");
    assert_eq!(rig.names(), ["t:c.diskqueue.000002.dat", META], "read files are gone");
}

#[test]
fn what_was_taken_is_not_read_again_until_a_restart() {
    let mut rig = Rig::new(1000);
    rig.open();
    rig.append_run(run(0..3, None), true).unwrap();
    assert_eq!(rig.read(1000).unwrap(), (vec![], 0));
    rig.release(1);
    let mut rig = rig.reopened(1000);
    assert_eq!(rig.open(), 3, "no metadata yet: found by scanning");
    assert_eq!(rig.drain(), [0, 1, 2]);
}

#[test]
fn deferrals_survive_beside_the_files() {
    let mut rig = Rig::new(1000);
    rig.open();
    let due = Timestamp::from_nanos(77);
    rig.append_run(run(0..1, None), false).unwrap();
    rig.append_run(run(1..3, Some(due)), false).unwrap();
    rig.close();
    let mut rig = rig.reopened(1000);
    rig.open();
    let reply = rig.execute(StorageEffect::Read { bytes_max: 1000 }).unwrap();
    let StorageReply::Records { runs, .. } = reply else { panic!("{reply:?}") };
    let dues: Vec<_> = runs.iter().flat_map(Run::messages).map(|message| message.due).collect();
    assert_eq!(dues, [None, Some(due), Some(due)]);
    rig.execute(StorageEffect::Empty).unwrap();
    assert_eq!(rig.names(), [""; 0]);
}

#[test]
fn a_due_time_stays_as_long_as_its_record_however_many_files_an_append_fills() {
    let mut rig = Rig::new(64);
    rig.open();
    let due = Timestamp::from_nanos(77);
    rig.append_run(run(0..9, Some(due)), false).unwrap();
    assert_eq!(rig.drain_dues(9), [Some(due); 9]);
}

#[test]
fn due_times_of_what_is_found_behind_old_metadata_stay_as_long_as_its_records() {
    let mut rig = Rig::new(64);
    rig.open();
    rig.append([0]).unwrap();
    rig.close();
    let metadata = rig.content(META).unwrap().clone();
    let mut rig = rig.reopened(64);
    rig.open();
    let due = Timestamp::from_nanos(77);
    rig.append_run(run(1..9, Some(due)), false).unwrap();
    rig.close();
    // The disk was full when the metadata was to be written.
    *rig.content(META).unwrap() = metadata;
    let mut rig = rig.reopened(64);
    assert_eq!(rig.open(), 9);
    let dues = rig.drain_dues(9);
    assert_eq!((dues[0], &dues[1..]), (None, &[Some(due); 8][..]));
}

#[test]
fn files_behind_metadata_that_knows_none_of_them_are_found() {
    let mut rig = Rig::new(64);
    rig.open();
    rig.append(0..2).unwrap();
    rig.close();
    let metadata = rig.content(META).unwrap().clone();
    let mut rig = rig.reopened(64);
    rig.open();
    assert_eq!(rig.drain(), [0, 1]);
    rig.append(2..7).unwrap();
    rig.read(1).unwrap();
    rig.release(2);
    rig.close();
    // The machine went down before the metadata was written, and after the first file was done with.
    assert!(!rig.names().contains(&DATA.to_owned()));
    *rig.content(META).unwrap() = metadata;
    let mut rig = rig.reopened(64);
    assert_eq!((rig.open(), rig.drain()), (5, vec![2, 3, 4, 5, 6]));
}

#[test]
fn damage_costs_the_rest_of_its_file_and_is_kept_aside() {
    for (damage, expected, kept) in [
        (&(|data: &mut Vec<u8>| data[32 + 3] = 9) as &dyn Fn(&mut Vec<u8>), vec![0, 3, 4, 5, 6], true),
        (&|data| data[32] = 0xff, vec![0, 3, 4, 5, 6], true),
        (&|data| data.truncate(40), vec![0, 3, 4, 5, 6], true),
        (&|data| data.truncate(64), vec![0, 1, 3, 4, 5, 6], false),
        (&|data| data[3] = 0, vec![3, 4, 5, 6], true),
        (&|data| data.clear(), vec![3, 4, 5, 6], false),
    ] {
        let mut rig = Rig::new(100);
        rig.open();
        rig.append(0..7).unwrap();
        rig.close();
        damage(rig.content(DATA).unwrap());
        let mut rig = rig.reopened(100);
        rig.open();
        let ids = rig.drain();
        assert_eq!(ids, expected);
        rig.release(ids.len() as u64);
        assert_eq!(rig.names().contains(&format!("{DATA}.bad")), kept);
        assert!(!rig.names().contains(&DATA.to_owned()));
        assert!(!rig.store.take_events().is_empty(), "an operator is told");
        rig.append([9]).unwrap();
        assert_eq!(rig.drain(), [9]);
    }
}

#[test]
fn a_cut_off_end_of_the_write_file_is_the_references_case() {
    let mut rig = Rig::new(1000);
    rig.open();
    rig.append(0..3).unwrap();
    rig.close();
    rig.content(DATA).unwrap().truncate(80);
    let mut rig = rig.reopened(1000);
    rig.open();
    assert_eq!(rig.drain(), [0, 1]);
    rig.release(2);
    rig.close();
    assert_eq!(rig.metadata(), "0\n1,0\n1,0\n");
    assert_eq!(rig.names(), ["t:c.diskqueue.000000.dat.bad", META]);
    assert!(!rig.store.take_events().is_empty());
}

#[test]
fn a_missing_file_is_skipped() {
    let mut rig = Rig::new(100);
    rig.open();
    rig.append(0..7).unwrap();
    rig.close();
    rig.store.files().remove("t:c.diskqueue.000001.dat").unwrap();
    let mut rig = rig.reopened(100);
    assert_eq!(rig.open(), 7);
    assert_eq!(rig.drain(), [0, 1, 2, 6]);
}

#[test]
fn a_missing_write_file_loses_only_itself() {
    let mut rig = Rig::new(100);
    rig.open();
    rig.append(0..7).unwrap();
    rig.close();
    rig.store.files().remove("t:c.diskqueue.000002.dat").unwrap();
    let mut rig = rig.reopened(100);
    rig.open();
    assert_eq!(rig.drain(), [0, 1, 2, 3, 4, 5]);
    rig.append([8]).unwrap();
    assert_eq!(rig.drain(), [8]);
}

#[test]
fn unusable_metadata_is_no_loss() {
    for metadata in ["", "junk", "7\n0,0\n", "7\n5,0\n2,32\n", "-3\n0,0\n2,32\n", "0\n0,0\n2,32\n", "0\n0,0\n0,0\n"] {
        let mut rig = Rig::new(100);
        rig.open();
        rig.append(0..7).unwrap();
        rig.close();
        *rig.content(META).unwrap() = metadata.as_bytes().to_vec();
        let mut rig = rig.reopened(100);
        let unread = rig.open();
        let ids = rig.drain();
        assert_eq!(ids, (0..7).collect::<Vec<_>>(), "{metadata:?}");
        assert_eq!(unread, ids.len() as u64, "{metadata:?}");
    }
}

#[test]
fn metadata_far_beyond_the_files_does_not_hang() {
    for metadata in ["7\n0,0\n900000000000,0\n", "0\n0,0\n900000000000,64\n", "7\n900000000000,0\n900000000001,32\n"] {
        let mut rig = Rig::new(100);
        rig.open();
        rig.append(0..7).unwrap();
        rig.close();
        *rig.content(META).unwrap() = metadata.as_bytes().to_vec();
        let mut rig = rig.reopened(100);
        rig.open();
        let expected = if metadata.contains("\n0,0") { (0..7).collect() } else { vec![] };
        assert_eq!(rig.drain(), expected, "{metadata:?}");
        rig.append([8]).unwrap();
        assert_eq!(rig.drain(), [8], "{metadata:?}");
    }
}

#[test]
fn damage_behind_the_last_record_is_stepped_over_with_it() {
    for (ids, left) in [(0..3, vec![0, 1, 2]), (0..1, vec![0]), (0..0, vec![])] {
        let mut rig = Rig::new(1000);
        rig.open();
        if !ids.is_empty() {
            rig.append(ids).unwrap();
        }
        rig.close();
        rig.store.files().write_at(DATA, 32 * left.len() as u64, b"half a record").unwrap();
        let mut rig = rig.reopened(1000);
        assert_eq!(rig.open(), left.len() as u64);
        assert_eq!(rig.drain(), left);
        // With nothing unread, as far as anybody can tell.
        rig.append_run(run([7], None), true).unwrap();
        rig.release(left.len() as u64);
        rig.close();
        assert_eq!(rig.metadata(), "1\n1,0\n1,32\n");
        assert!(rig.names().contains(&format!("{DATA}.bad")), "{:?}", rig.names());
    }
}

#[test]
fn records_that_could_not_be_synced_at_once_are_synced_with_the_next() {
    let mut rig = Rig::new(1000);
    rig.append([1]).unwrap();
    rig.store.files().fail_after(Some(0));
    assert!(rig.store.sync(&log()).is_err());
    rig.store.files().fail_after(None);
    rig.store.sync_due(Instant::ZERO + StoreOptions::default().sync_timeout).unwrap();
    assert_eq!(rig.store.files().usage().1, 0, "bytes that a crash may take");
}

#[test]
fn a_sync_that_failed_waits_for_its_time() {
    let timeout = Duration::from_secs(2);
    let options = StoreOptions { sync_every: 1, sync_timeout: timeout, ..StoreOptions::default() };
    let mut rig = Rig { store: Store::new(MemoryFiles::default(), options).unwrap() };
    rig.append([1]).unwrap();
    rig.store.files().fail_after(Some(0));
    assert!(rig.store.sync_due(Instant::ZERO).is_err());
    rig.store.files().fail_after(None);
    rig.append([2]).unwrap();
    assert!(rig.store.take_syncs(Instant::ZERO).is_empty(), "much has come, but it is not yet time");
    assert_eq!(rig.store.next_sync(), Some(Instant::ZERO + timeout));
    rig.store.sync_due(Instant::ZERO + timeout).unwrap();
    assert_eq!((rig.metadata().as_str(), rig.store.next_sync()), ("2\n0,0\n0,64\n", None));
    rig.append([3]).unwrap();
    rig.store.sync_due(Instant::ZERO + timeout).unwrap();
    assert_eq!(rig.metadata(), "3\n0,0\n0,96\n");
}

#[test]
fn a_full_disk_leaves_the_log_as_it_was() {
    let mut rig = Rig::new(100);
    rig.open();
    rig.append(0..2).unwrap();
    for room in [0, 10, 32, 40, 70] {
        rig.store.files().set_room(Some(room));
        assert!(matches!(rig.append(2..9), Err(StorageError::Full { .. })), "room for {room}");
    }
    rig.store.files().set_room(None);
    rig.append(2..4).unwrap();
    assert_eq!(rig.drain(), [0, 1, 2, 3]);
}

#[test]
fn what_a_failed_append_leaves_is_not_delivered() {
    for operations in 0..4 {
        let mut rig = Rig::new(100);
        rig.open();
        rig.append([1]).unwrap();
        // Not even what it wrote can be taken back.
        rig.store.files().fail_after(Some(operations));
        assert_eq!(rig.append([2, 3, 4, 5, 6, 7, 8, 9]).is_ok(), operations == 3, "{operations}");
        rig.store.files().fail_after(None);
        // The second goes to the next file.
        rig.append([4]).unwrap();
        rig.append([10_000_000]).unwrap();
        let found = rig.drain();
        assert!(found.ends_with(&[4, 10_000_000]), "{operations}: {found:?}");
        assert_eq!(found.len(), if operations < 3 { 3 } else { 11 }, "{operations}: {found:?}");
    }
}

#[test]
fn a_record_larger_than_a_read_and_a_file_is_whole() {
    let mut rig = Rig::new(100);
    rig.open();
    let body = "y".repeat(600_000);
    let message =
        Message { id: MessageId(1), timestamp: Timestamp::default(), attempts: 0, due: None, body: body.as_bytes() };
    rig.append([0]).unwrap();
    rig.append_run(Run::whole(Arc::new(crate::message::Batch::single(message))), false).unwrap();
    rig.append([2]).unwrap();
    let mut rig = rig.reopened(100);
    assert_eq!(rig.open(), 3, "found by scanning");
    let mut lens = Vec::new();
    for _ in 0..3 {
        let reply = rig.execute(StorageEffect::Read { bytes_max: 64 }).unwrap();
        let StorageReply::Records { runs, .. } = reply else { panic!("{reply:?}") };
        lens.extend(runs.iter().flat_map(Run::messages).map(|message| message.body.len()));
    }
    assert_eq!(lens, [2, 600_000, 2]);
}

/// A workload that appends, syncs, reads and releases; stops at the first error. Returns ids whose append was synced,
/// all ids whose append was tried, and ids released.
fn workload(rig: &mut Rig) -> (BTreeSet<u64>, BTreeSet<u64>, BTreeSet<u64>) {
    let (mut synced, mut tried, mut released) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut outstanding = std::collections::VecDeque::new();
    if rig.execute(StorageEffect::Open).is_err() {
        return (synced, tried, released);
    }
    for round in 0..8u64 {
        let ids: Vec<u64> = (round * 4..round * 4 + 4).collect();
        tried.extend(&ids);
        let due = (round == 3).then(|| Timestamp::from_nanos(5));
        if rig.append_run(run(ids.iter().copied(), due), false).is_err() || rig.store.sync(&log()).is_err() {
            return (synced, tried, released);
        }
        synced.extend(ids);
        match rig.read(64) {
            Ok((ids, _)) => outstanding.extend(ids),
            Err(_) => return (synced, tried, released),
        }
        if round % 2 == 1 {
            released.extend(outstanding.drain(..2));
            rig.release(2);
        }
        if round % 3 == 2 && rig.store.sync_due(Instant::from_millis(60_000)).is_err() {
            return (synced, tried, released);
        }
    }
    (synced, tried, released)
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_synced() {
    let mut complete = Rig::new(100);
    workload(&mut complete);
    let operations = complete.store.files().operations();
    assert!(operations > 40);
    for stop in 0..=operations {
        for seed in 0..4 {
            let mut rig = Rig::new(100);
            rig.store.files().fail_after(Some(stop));
            let (synced, tried, released) = workload(&mut rig);
            rig.store.files().crash(&mut Rng::new(seed));
            let mut rig = rig.reopened(100);
            let unread = rig.open();
            let ids = rig.drain();
            assert_eq!(unread, ids.len() as u64, "stop {stop} seed {seed}");
            let found: BTreeSet<u64> = ids.iter().copied().collect();
            assert_eq!(found.len(), ids.len(), "stop {stop} seed {seed}: one twice in {ids:?}");
            let lost: Vec<_> = synced.difference(&found).filter(|id| !released.contains(id)).collect();
            assert!(lost.is_empty(), "stop {stop} seed {seed}: lost {lost:?}");
            assert!(found.is_subset(&tried));
        }
    }
}

#[test]
fn damage_anywhere_neither_hangs_nor_hides_what_is_before_it() {
    let mut whole = Rig::new(100);
    whole.open();
    whole.append(0..8).unwrap();
    whole.close();
    let mut rng = Rng::new(1);
    for name in whole.names() {
        let size = whole.content(&name).unwrap().len();
        for at in 0..size {
            for cut in [false, true] {
                let mut files = whole.store.files().clone();
                let data = files.content(&name).unwrap();
                if cut {
                    data.truncate(at);
                } else {
                    data[at] ^= 1 << rng.below(8);
                }
                let mut rig = Rig::on(files, 100);
                rig.open();
                let mut ids = Vec::new();
                for _ in 0..20 {
                    let reply = rig.execute(StorageEffect::Read { bytes_max: 50 }).unwrap();
                    let StorageReply::Records { runs, unread } = reply else { panic!("{reply:?}") };
                    ids.extend(runs.iter().flat_map(Run::messages).map(|message| message.id.0));
                    if unread == 0 {
                        break;
                    }
                }
                let file = name.as_bytes()[name.len() - 5].wrapping_sub(b'0');
                if name != META {
                    let before = (usize::from(file) * 3 + at / 32) as u64;
                    assert!(ids.iter().copied().take(before as usize).eq(0..before), "{name} at {at}: {ids:?}");
                }
            }
        }
    }
}

#[test]
fn a_peek_shows_what_comes_next_and_leaves_it_there() {
    let mut rig = Rig::new(96);
    rig.open();
    rig.append(1..=7).unwrap();
    let due = Timestamp::from_nanos(50);
    rig.append_run(run([8], Some(due)), false).unwrap();
    assert_eq!(rig.read(1).unwrap(), (vec![1], 7));
    let peek = |rig: &mut Rig, limit, bytes_max| -> Vec<(u64, Option<Timestamp>)> {
        let runs = rig.store.peek(&log(), limit, bytes_max).unwrap();
        runs.iter().flat_map(Run::messages).map(|message| (message.id.0, message.due)).collect()
    };
    let ids = |found: Vec<(u64, Option<Timestamp>)>| found.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(peek(&mut rig, 3, 1000)), [2, 3, 4], "across files");
    assert_eq!(ids(peek(&mut rig, 100, 33)), [2, 3], "a record is whole");
    assert_eq!(peek(&mut rig, 100, 1000).last(), Some(&(8, Some(due))));
    assert_eq!(rig.read(1000).unwrap().0[0], 2);
}

#[test]
fn a_peek_is_stopped_by_damage_and_leaves_it_to_the_reader() {
    let mut rig = Rig::new(1000);
    rig.open();
    rig.append(1..=3).unwrap();
    rig.store.files().write_at(DATA, 64, b"\xff\xff").unwrap();
    let found = rig.store.peek(&log(), 9, 1000).unwrap();
    assert_eq!(found.iter().flat_map(Run::messages).map(|message| message.id.0).collect::<Vec<_>>(), [1, 2]);
    assert!(rig.store.take_events().is_empty());
    assert!(rig.store.peek(&LogId { channel: None, ..log() }, 9, 1000).unwrap().is_empty(), "a log that is not open");
}

#[test]
fn a_peek_at_a_large_record_takes_a_second_look() {
    let mut rig = Rig::new(1 << 20);
    rig.open();
    let body = vec![7; 100_000];
    let message =
        Message { id: MessageId(1), timestamp: Timestamp::from_nanos(1), attempts: 0, due: None, body: &body };
    rig.append_run(Run::whole(Arc::new(crate::message::Batch::single(message))), false).unwrap();
    let found = rig.store.peek(&log(), 9, 1000).unwrap();
    assert_eq!(found[0].messages().next().unwrap().body, body);
}
