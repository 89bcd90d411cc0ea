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

use std::collections::BTreeMap;

use crate::rng::Rng;

use super::files::{FileError, Files};

#[derive(Clone, Debug, Default)]
struct MemoryFile {
    data: Vec<u8>,
    /// The content a crash leaves at least, once there is one.
    synced: Option<Vec<u8>>,
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

    /// Pulls the plug: see the fault model. The files then work again.
    pub fn crash(&mut self, rng: &mut Rng) {
        self.fail_after = None;
        self.files.retain(|_, file| {
            let Some(synced) = file.synced.clone() else { return false };
            let torn = synced.len() + rng.below(file.data.len().saturating_sub(synced.len()) as u64 + 1) as usize;
            let changed = file.data.get(..synced.len()) != Some(&synced[..]);
            file.data = if changed { synced } else { file.data[..torn].to_vec() };
            file.synced = Some(file.data.clone());
            true
        });
    }

    /// The content of a file, to look at or to damage.
    pub fn content(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.files.get_mut(name).map(|file| &mut file.data)
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
        let file = self.files.entry(name.to_owned()).or_default();
        let end = index(offset) + bytes.len();
        let growth = end.saturating_sub(file.data.len()) as u64;
        let short = self.room.map_or(0, |room| growth.saturating_sub(room));
        if let Some(room) = &mut self.room {
            *room -= growth - short;
        }
        let fits = &bytes[..bytes.len() - index(short).min(bytes.len())];
        let end = index(offset) + fits.len();
        if file.data.len() < end {
            file.data.resize(end, 0);
        }
        file.data[index(offset)..end].copy_from_slice(fits);
        if short > 0 { Err(FileError::Full) } else { Ok(()) }
    }

    fn truncate(&mut self, name: &str, len: u64) -> Result<(), FileError> {
        self.change()?;
        let data = &mut self.file(name)?.data;
        let freed = data.len().saturating_sub(index(len)) as u64;
        data.truncate(index(len));
        self.room = self.room.map(|room| room + freed);
        Ok(())
    }

    fn size(&mut self, name: &str) -> Result<u64, FileError> {
        self.file(name).map(|file| file.data.len() as u64)
    }

    fn sync(&mut self, name: &str) -> Result<(), FileError> {
        self.change()?;
        let file = self.file(name)?;
        file.synced = Some(file.data.clone());
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        self.change()?;
        let file = self.files.remove(from).ok_or(FileError::NotFound)?;
        self.files.insert(to.to_owned(), file);
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
