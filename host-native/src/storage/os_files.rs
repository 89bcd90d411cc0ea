//! The queue files on a real disk, under one directory. Keeps some files open; all are closed and opened again as needed,
//! so a node with ten thousand queues does not hold as many descriptors. Works with a single one, which it holds back for
//! the time when clients have taken all others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sansq_core::storage::{FileError, Files};

/// Files kept open.
const OPEN_MAX: usize = 128;
/// As the reference's.
const MODE: u32 = 0o600;

/// Files in a directory.
#[derive(Debug)]
pub struct OsFiles {
    directory: PathBuf,
    /// The same from the root, for people: who reads a log does not know where the daemon was started.
    shown: PathBuf,
    open: HashMap<String, File>,
    /// Names in `open`, oldest first.
    order: VecDeque<String>,
    /// Files whose name may not be on the device yet.
    created: HashSet<String>,
    /// The directory, to sync names; given up for a file when there is no other descriptor.
    spare: Option<File>,
}

fn classify(error: &io::Error) -> FileError {
    match error.kind() {
        ErrorKind::NotFound => FileError::NotFound,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => FileError::Full,
        _ => FileError::Other(error.to_string()),
    }
}

/// Whether it is for want of descriptors.
fn none_left(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

impl OsFiles {
    /// Files in `directory`, which exists.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            shown: std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned()),
            open: HashMap::new(),
            order: VecDeque::new(),
            created: HashSet::new(),
            spare: File::open(directory).ok(),
        }
    }

    /// Closes all files.
    pub fn close(&mut self) {
        self.open.clear();
        self.order.clear();
        self.hold_spare();
    }

    fn with<T>(&mut self, name: &str, create: bool, act: impl FnOnce(&File) -> io::Result<T>) -> Result<T, FileError> {
        if !self.open.contains_key(name) {
            let file = self.open_file(name, create)?;
            self.keep(name, file);
        }
        let Some(file) = self.open.get(name) else { return Err(FileError::NotFound) };
        act(file).map_err(|error| classify(&error))
    }

    fn open_file(&mut self, name: &str, create: bool) -> Result<File, FileError> {
        let path = self.directory.join(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(MODE);
        match self.open_at(&path, &options) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == ErrorKind::NotFound && create => {
                let file = self.open_at(&path, options.create(true)).map_err(|error| classify(&error))?;
                self.created.insert(name.to_owned());
                Ok(file)
            }
            // A directory that has become read-only can still be drained.
            Err(error)
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) && !create =>
            {
                self.open_at(&path, OpenOptions::new().read(true)).map_err(|error| classify(&error))
            }
            Err(error) => Err(classify(&error)),
        }
    }

    /// Opens `path`; while there are no descriptors, closes what is open for it, and the spare one last.
    fn open_at(&mut self, path: &Path, options: &OpenOptions) -> io::Result<File> {
        loop {
            match options.open(path) {
                Err(error) if none_left(&error) && (self.close_oldest() || self.spare.take().is_some()) => {}
                result => return result,
            }
        }
    }

    fn close_oldest(&mut self) -> bool {
        self.order.pop_front().is_some_and(|oldest| self.open.remove(&oldest).is_some())
    }

    fn keep(&mut self, name: &str, file: File) {
        if self.open.len() >= OPEN_MAX {
            self.close_oldest();
        }
        self.order.push_back(name.to_owned());
        self.open.insert(name.to_owned(), file);
    }

    fn forget(&mut self, name: &str) {
        self.created.remove(name);
        if self.open.remove(name).is_some() {
            self.order.retain(|other| other != name);
        }
        self.hold_spare();
    }

    fn hold_spare(&mut self) {
        if self.spare.is_none() {
            self.spare = File::open(&self.directory).ok();
        }
    }
}

impl Files for OsFiles {
    fn read_at(&mut self, name: &str, offset: u64, buf: &mut [u8]) -> Result<usize, FileError> {
        self.with(name, false, |file| {
            let mut filled = 0;
            while filled < buf.len() {
                match file.read_at(&mut buf[filled..], offset + filled as u64) {
                    Ok(0) => break,
                    Ok(n) => filled += n,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(filled)
        })
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.with(name, true, |file| file.write_all_at(bytes, offset))
    }

    fn truncate(&mut self, name: &str, len: u64) -> Result<(), FileError> {
        self.with(name, false, |file| file.set_len(len))
    }

    fn size(&mut self, name: &str) -> Result<u64, FileError> {
        self.with(name, false, |file| Ok(file.metadata()?.len()))
    }

    fn sync(&mut self, name: &str) -> Result<(), FileError> {
        self.with(name, false, File::sync_data)?;
        if self.created.remove(name) {
            let directory = match self.spare.take() {
                Some(directory) => Ok(directory),
                None => self.open_at(&self.directory.clone(), OpenOptions::new().read(true)),
            };
            let synced = directory.and_then(|directory| directory.sync_all().map(|()| directory));
            self.spare = Some(synced.map_err(|error| classify(&error))?);
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        self.forget(from);
        self.forget(to);
        fs::rename(self.directory.join(from), self.directory.join(to)).map_err(|error| classify(&error))
    }

    fn remove(&mut self, name: &str) -> Result<(), FileError> {
        self.forget(name);
        match fs::remove_file(self.directory.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(classify(&error)),
            _ => Ok(()),
        }
    }

    fn path(&self, name: &str) -> String {
        self.shown.join(name).display().to_string().trim_end_matches('/').to_owned()
    }

    fn list(&mut self) -> Result<Vec<String>, FileError> {
        let entries = fs::read_dir(&self.directory).map_err(|error| classify(&error))?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }
}
