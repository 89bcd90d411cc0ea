//! Files in memory, that can fail: for tests, simulations, and where there is no disk.
//!
//! The fault model:
//! - What is written is read back at once; only what was synced survives a [`crash`](MemoryFiles::crash). Of what was
//!   written and not synced, a crash keeps a prefix of each file chosen by the given generator, so the last write can be
//!   torn anywhere.
//! - A file exists after a crash only if it was synced once. Renames and removals are on the device when they return,
//!   and a rename carries what was synced of its file.
//! - A full disk ([`set_room`](MemoryFiles::set_room)) writes what still fits and then fails.
//! - The n-th operation from now can be made to fail ([`fail_after`](MemoryFiles::fail_after)), and all after it.
//!
//! An operation costs what it changes, and a clone shares the content of files with its original until either is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rng::Rng;

use super::files::{FileError, Files};

#[derive(Clone, Debug, Default)]
struct MemoryFile {
    data: Arc<Vec<u8>>,
    /// What a crash leaves at least, once there is anything.
    synced: Option<Synced>,
}

/// What was synced of a file: its first `len` bytes, but for what was changed of them since.
#[derive(Clone, Debug, Default)]
struct Synced {
    len: usize,
    /// Offsets and what stood there, in the order of the changes.
    replaced: Vec<(usize, Vec<u8>)>,
}

impl MemoryFile {
    /// Remembers what is synced of the bytes `from..to`, before they are changed to something else.
    fn keep_synced(&mut self, from: usize, to: usize) {
        let Some(synced) = &mut self.synced else { return };
        let end = to.min(synced.len).min(self.data.len());
        if from < end {
            synced.replaced.push((from, self.data[from..end].to_vec()));
        }
    }

    /// The content after a crash; `None` if the file is not there then.
    fn survive(&self, rng: &mut Rng) -> Option<Vec<u8>> {
        let synced = self.synced.as_ref()?;
        let torn = synced.len + rng.below(self.data.len().saturating_sub(synced.len) as u64 + 1) as usize;
        if synced.replaced.is_empty() {
            return Some(self.data[..torn].to_vec());
        }
        let mut data = self.data.to_vec();
        data.resize(synced.len, 0);
        for (at, bytes) in synced.replaced.iter().rev() {
            data[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        Some(data)
    }
}

/// Files in memory. What is written is read back at once; only what was synced survives a [`crash`](Self::crash).
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, MemoryFile>,
    room: Option<u64>,
    fail_after: Option<u64>,
    operations: u64,
}

impl MemoryFiles {
    /// Lets the disk hold `bytes` more; `None`: any number.
    pub fn set_room(&mut self, bytes: Option<u64>) {
        self.room = bytes;
    }

    /// Lets `operations` more changes succeed and all after them fail; `None`: all succeed.
    pub fn fail_after(&mut self, operations: Option<u64>) {
        self.fail_after = operations;
    }

    /// Changes carried out so far.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// Bytes in all files, and how many of them a crash may take.
    pub fn usage(&self) -> (u64, u64) {
        let unsynced = |file: &MemoryFile| {
            let synced = file.synced.as_ref();
            file.data.len().saturating_sub(synced.map_or(0, |synced| synced.len)) as u64
        };
        let files = self.files.values();
        files.fold((0, 0), |(bytes, lost), file| (bytes + file.data.len() as u64, lost + unsynced(file)))
    }

    /// Pulls the plug: see the fault model. The files then work again.
    pub fn crash(&mut self, rng: &mut Rng) {
        self.fail_after = None;
        self.files.retain(|_, file| {
            let Some(data) = file.survive(rng) else { return false };
            file.synced = Some(Synced { len: data.len(), replaced: Vec::new() });
            file.data = Arc::new(data);
            true
        });
    }

    /// The content of a file, to look at or to damage.
    pub fn content(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.files.get_mut(name).map(|file| Arc::make_mut(&mut file.data))
    }

    fn change(&mut self) -> Result<(), FileError> {
        self.operations += 1;
        match &mut self.fail_after {
            None => Ok(()),
            Some(0) => Err(FileError::Other("input/output error".to_owned())),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn file(&mut self, name: &str) -> Result<&mut MemoryFile, FileError> {
        self.files.get_mut(name).ok_or(FileError::NotFound)
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Files for MemoryFiles {
    fn read_at(&mut self, name: &str, offset: u64, buf: &mut [u8]) -> Result<usize, FileError> {
        let data = self.file(name)?.data.get(index(offset)..).unwrap_or_default();
        let len = data.len().min(buf.len());
        buf[..len].copy_from_slice(&data[..len]);
        Ok(len)
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.change()?;
        if !self.files.contains_key(name) {
            self.files.insert(name.to_owned(), MemoryFile::default());
        }
        let Some(file) = self.files.get_mut(name) else { return Err(FileError::NotFound) };
        let end = index(offset) + bytes.len();
        let growth = end.saturating_sub(file.data.len()) as u64;
        let short = self.room.map_or(0, |room| growth.saturating_sub(room));
        if let Some(room) = &mut self.room {
            *room -= growth - short;
        }
        let fits = &bytes[..bytes.len() - index(short).min(bytes.len())];
        let end = index(offset) + fits.len();
        file.keep_synced(index(offset), end);
        let data = Arc::make_mut(&mut file.data);
        if data.len() < end {
            data.resize(end, 0);
        }
        data[index(offset)..end].copy_from_slice(fits);
        if short > 0 { Err(FileError::Full) } else { Ok(()) }
    }

    fn truncate(&mut self, name: &str, len: u64) -> Result<(), FileError> {
        self.change()?;
        let file = self.file(name)?;
        let freed = file.data.len().saturating_sub(index(len)) as u64;
        file.keep_synced(index(len), usize::MAX);
        Arc::make_mut(&mut file.data).truncate(index(len));
        self.room = self.room.map(|room| room + freed);
        Ok(())
    }

    fn size(&mut self, name: &str) -> Result<u64, FileError> {
        self.file(name).map(|file| file.data.len() as u64)
    }

    fn sync(&mut self, name: &str) -> Result<(), FileError> {
        self.change()?;
        let file = self.file(name)?;
        file.synced = Some(Synced { len: file.data.len(), replaced: Vec::new() });
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        self.change()?;
        let file = self.files.remove(from).ok_or(FileError::NotFound)?;
        if let Some(old) = self.files.insert(to.to_owned(), file) {
            self.room = self.room.map(|room| room + old.data.len() as u64);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        self.change()?;
        if let Some(file) = self.files.remove(name) {
            self.room = self.room.map(|room| room + file.data.len() as u64);
        }
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<String>, FileError> {
        Ok(self.files.keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn crashed(files: &MemoryFiles, seed: u64) -> Option<Vec<u8>> {
        let mut files = files.clone();
        files.crash(&mut Rng::new(seed));
        files.content("f").cloned()
    }

    #[test]
    fn a_crash_keeps_what_was_synced_whatever_was_done_since() {
        let mut files = MemoryFiles::default();
        files.write_at("f", 0, b"abcdef").unwrap();
        assert_eq!(crashed(&files, 1), None, "never synced");
        files.sync("f").unwrap();
        files.write_at("f", 6, b"ghi").unwrap();
        for seed in 0..20 {
            let left = crashed(&files, seed).unwrap();
            assert!(left.len() >= 6 && b"abcdefghi".starts_with(&left));
        }
        files.write_at("f", 2, b"XY").unwrap();
        files.truncate("f", 1).unwrap();
        files.write_at("f", 1, b"QQQQQQQQQQ").unwrap();
        assert_eq!(crashed(&files, 1).unwrap(), b"abcdef");
        files.sync("f").unwrap();
        assert_eq!(crashed(&files, 1).unwrap(), b"aQQQQQQQQQQ");
    }

    #[test]
    fn usage_counts_what_a_crash_may_take() {
        let mut files = MemoryFiles::default();
        files.write_at("f", 0, b"abcdef").unwrap();
        assert_eq!(files.usage(), (6, 6));
        files.sync("f").unwrap();
        files.write_at("f", 6, b"g").unwrap();
        assert_eq!(files.usage(), (7, 1));
    }
}
