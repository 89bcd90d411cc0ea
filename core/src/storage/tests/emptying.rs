//! What is deleted or emptied stays so, whatever the disk says, and what comes after it is kept.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const LATER: Instant = Instant::from_millis(60_000);

/// A log of three files, two records each, one of them deferred; the first is finished.
fn three_files() -> Rig {
    let mut rig = Rig::new(70);
    rig.open();
    rig.append([1, 2, 3, 4]).unwrap();
    rig.append_run(run([5, 6], Some(Timestamp::from_nanos(7))), false).unwrap();
    rig.store.sync_due(LATER).unwrap();
    assert_eq!(rig.read(1).unwrap(), (vec![1], 5));
    rig.release(1);
    rig
}

/// Throws the log away while the disk fails after `operations` more; whether it went as it should.
fn throw_away(rig: &mut Rig, effect: StorageEffect, operations: u64) -> bool {
    rig.store.files().fail_after(Some(operations));
    rig.execute(effect).unwrap();
    rig.store.files().fail_after(None);
    rig.store.take_events().is_empty()
}

#[test]
fn what_is_thrown_away_does_not_come_back_on_a_disk_that_fails() {
    for effect in [StorageEffect::Delete, StorageEffect::Empty] {
        for operations in 0.. {
            let mut rig = three_files();
            let well = throw_away(&mut rig, effect.clone(), operations);
            assert_eq!(rig.open(), 0, "{effect:?} {operations}");
            rig.append([7, 8]).unwrap();
            assert_eq!(rig.drain(), [7, 8], "{effect:?} {operations}");
            rig.store.sync_due(LATER).unwrap();
            let left = rig.names();
            assert!(left.len() == 2 && left[1] == META, "{effect:?} {operations}: old files among {left:?}");
            rig.close();
            let mut rig = rig.reopened(70);
            rig.open();
            assert_eq!(rig.drain(), [7, 8], "{effect:?} {operations}");
            if well {
                break;
            }
        }
    }
}

#[test]
fn what_follows_is_kept_whenever_the_machine_crashes() {
    for operations in 0..12 {
        for seed in 0..4 {
            let mut rig = three_files();
            throw_away(&mut rig, StorageEffect::Delete, operations);
            rig.open();
            rig.append([7, 8]).unwrap();
            rig.store.sync(&log()).unwrap();
            rig.store.files().crash(&mut Rng::new(seed));
            let mut rig = rig.reopened(70);
            rig.open();
            let found = rig.drain();
            assert!(found.ends_with(&[7, 8]), "{operations} {seed}: {found:?}");
        }
    }
}

#[test]
fn a_deleted_log_goes_altogether_when_its_files_can_be_removed() {
    for operations in 0..12 {
        let mut rig = three_files();
        throw_away(&mut rig, StorageEffect::Delete, operations);
        rig.store.sync_due(LATER).unwrap();
        assert!(rig.names().is_empty(), "{operations}: {:?}", rig.names());
        assert_eq!(rig.store.next_sync(), None);
    }
}

/// Files of which some cannot be removed, others not read.
#[derive(Clone, Debug, Default)]
struct Stubborn {
    files: MemoryFiles,
    kept: BTreeSet<String>,
    unreadable: BTreeSet<String>,
}

impl Stubborn {
    fn refuse(names: &BTreeSet<String>, name: &str) -> Result<(), FileError> {
        if names.contains(name) { Err(FileError::Other("it is stuck".to_owned())) } else { Ok(()) }
    }
}

impl Files for Stubborn {
    fn read_at(&mut self, name: &str, offset: u64, buf: &mut [u8]) -> Result<usize, FileError> {
        self.files.size(name)?;
        Self::refuse(&self.unreadable, name)?;
        self.files.read_at(name, offset, buf)
    }
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.files.write_at(name, offset, bytes)
    }
    fn truncate(&mut self, name: &str, len: u64) -> Result<(), FileError> {
        self.files.truncate(name, len)
    }
    fn size(&mut self, name: &str) -> Result<u64, FileError> {
        self.files.size(name)
    }
    fn sync(&mut self, name: &str) -> Result<(), FileError> {
        self.files.sync(name)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        self.files.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        Self::refuse(&self.kept, name)?;
        self.files.remove(name)
    }
    fn list(&mut self) -> Result<Vec<String>, FileError> {
        self.files.list()
    }
}

/// The log of [`three_files`] as found by the next process, on files that can be stuck.
fn found_by_the_next() -> Store<Stubborn> {
    let mut rig = three_files();
    rig.close();
    let files = Stubborn { files: std::mem::take(rig.store.files()), ..Stubborn::default() };
    restarted(files)
}

fn restarted(files: Stubborn) -> Store<Stubborn> {
    Store::new(files, StoreOptions { max_bytes_per_file: 70, ..StoreOptions::default() }).unwrap()
}

fn unread(store: &mut Store<Stubborn>) -> Result<u64, StorageError> {
    store.execute(Instant::ZERO, &log(), &StorageEffect::Open).map(|reply| match reply {
        StorageReply::Opened { unread } => unread,
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_restart_does_not_bring_back_what_could_only_not_be_removed() {
    let mut store = found_by_the_next();
    assert_eq!(unread(&mut store), Ok(5));
    let stuck = "t:c.diskqueue.000001.dat".to_owned();
    store.files().kept.insert(stuck.clone());
    store.execute(Instant::ZERO, &log(), &StorageEffect::Delete).unwrap();
    let told = store.take_events();
    assert!(told.len() == 1 && told[0].message.contains(&stuck), "{told:?}");
    store.sync_due(LATER).unwrap();
    assert!(store.take_events().is_empty(), "once is enough");

    let mut store = restarted(store.files().clone());
    assert_eq!(unread(&mut store), Ok(0));
    store.files().kept.clear();
    store.execute(Instant::ZERO, &log(), &StorageEffect::Delete).unwrap();
    assert_eq!(store.files().list().unwrap(), [""; 0], "nor does it stay for ever");
}

#[test]
fn a_log_that_cannot_be_read_can_be_deleted() {
    let mut store = found_by_the_next();
    store.files().unreadable.insert(META.to_owned());
    unread(&mut store).unwrap_err();
    store.execute(Instant::ZERO, &log(), &StorageEffect::Delete).unwrap();
    assert_eq!(store.files().list().unwrap(), [""; 0]);
    assert_eq!(unread(&mut store), Ok(0));
}

#[test]
fn what_can_neither_be_read_nor_removed_is_thrown_away_when_it_can() {
    for effect in [StorageEffect::Delete, StorageEffect::Empty] {
        let mut store = found_by_the_next();
        store.files().unreadable.insert(META.to_owned());
        store.files().kept.insert(META.to_owned());
        store.execute(Instant::ZERO, &log(), &effect).unwrap_err();
        unread(&mut store).unwrap_err();
        store.files().unreadable.clear();
        assert_eq!(unread(&mut store), Ok(0), "{effect:?}");
    }
}
