//! Moves a complete file from the work directory to where it belongs, be that another file system.
//!
//! On one file system a move is a link and a removal. Between two, the file is copied to a hidden name beside its target
//! (`.NAME.moving`), synced, renamed and its directory synced; only then is the original removed.
//!
//! Invariants: no existing file is ever replaced, also when two processes want the same name at the same time. At any
//! crash the whole file is in the work directory or under its final name, perhaps both. A copy that was left unfinished is
//! used again by the next move to its name; nothing else looks at it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tracing::info;

use super::file::{make_directory, sync_directory};

/// Moves `from` to the first of `target(rev)`, `target(rev + 1)` and so on that does not exist.
pub(super) fn move_file(from: &Path, mut rev: u32, target: impl Fn(u32) -> PathBuf) -> Result<()> {
    // The copy, once there is one: from there on it is what has to be put in place.
    let mut copy: Option<Copy> = None;
    loop {
        let to = target(rev);
        let failed = || format!("cannot move {} to {}", from.display(), to.display());
        make_directory(&to)?;
        let source = copy.as_ref().map_or(from, |copy| &copy.path);
        match put_in_place(source, &to) {
            Ok(()) => {
                sync_directory(&to)?;
                if let Some(copy) = &mut copy {
                    copy.in_place = true;
                    fs::remove_file(from).with_context(|| format!("cannot remove {}", from.display()))?;
                }
                info!("moved {} to {}", from.display(), to.display());
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => rev += 1,
            Err(error) if error.kind() == ErrorKind::CrossesDevices && copy.is_none() => {
                copy = Copy::of(from, &to).with_context(failed)?;
                // Without one, somebody else is about to have this name.
                rev += u32::from(copy.is_none());
            }
            Err(error) => return Err(error).with_context(failed),
        }
    }
}

/// Gives a file another name on the same file system, and `AlreadyExists` if that is taken. A crash may leave both names,
/// where the file system knows no rename that spares what exists.
fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // NFS, some of FUSE, and old kernels.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}

/// A copy beside the target. It is locked while it is open, so that nobody takes it for one that was left. Removed when
/// dropped, unless it has got its name.
struct Copy {
    path: PathBuf,
    file: File,
    in_place: bool,
}

impl Copy {
    /// Copies `from` to a hidden name beside `to`, and syncs it. `None` if another process is doing the same.
    fn of(from: &Path, to: &Path) -> Result<Option<Self>> {
        let name = to.file_name().context("the name of the file is empty")?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".moving");
        let path = to.with_file_name(hidden);
        let Some(file) = open_locked(&path).with_context(|| format!("cannot open {}", path.display()))? else {
            return Ok(None);
        };
        let copy = Self { path, file, in_place: false };
        copy.fill(from).with_context(|| format!("cannot copy to {}", copy.path.display()))?;
        Ok(Some(copy))
    }

    fn fill(&self, from: &Path) -> Result<()> {
        let mut file = &self.file;
        let mut original = File::open(from)?;
        let copied = io::copy(&mut original, &mut file)?;
        let metadata = original.metadata()?;
        ensure!(copied == metadata.len(), "{copied} bytes are copied, and {} has {}", from.display(), metadata.len());
        // As a rename would leave them.
        file.set_permissions(metadata.permissions())?;
        file.set_modified(metadata.modified()?)?;
        Ok(file.sync_all()?)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Once it is in place, a file of this name is another's.
        if !self.in_place {
            _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens an empty file that is ours alone; `None` if another process has it.
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    loop {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let ours = file.metadata()?;
        let there = match fs::symlink_metadata(path) {
            Ok(there) => there,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // It got its final name between the two steps above: what we have open is somebody's archive.
        if (ours.dev(), ours.ino()) != (there.dev(), there.ino()) {
            continue;
        }
        // A crash left it with its final name beside this one.
        if ours.nlink() > 1 {
            fs::remove_file(path)?;
            continue;
        }
        file.set_len(0)?;
        return Ok(Some(file));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(directory: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut texts: Vec<_> = entries.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect();
        texts.sort();
        texts
    }

    fn expect(directory: &Path, files: &[(&str, &str)]) {
        let files: Vec<_> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        assert_eq!(texts(directory), files);
    }

    /// A directory with a file `work` in it, and what is called `x-N` there.
    fn place() -> (tempfile::TempDir, PathBuf, impl Fn(u32) -> PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().to_owned();
        fs::write(path.join("work"), "new").unwrap();
        (place, path.clone(), move |rev| path.join(format!("x-{rev}")))
    }

    #[test]
    fn a_move_takes_the_first_free_name() {
        let (_place, path, target) = place();
        fs::write(target(0), "old").unwrap();
        fs::write(target(1), "").unwrap();
        move_file(&path.join("work"), 0, target).unwrap();
        expect(&path, &[("x-0", "old"), ("x-1", ""), ("x-2", "new")]);
    }

    #[test]
    fn a_copy_is_hidden_and_whole_and_gets_its_name_when_that_is_free() {
        let (_place, path, target) = place();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(path.join("work")).unwrap().set_modified(long_ago).unwrap();
        let copy = Copy::of(&path.join("work"), &target(0)).unwrap().unwrap();
        expect(&path, &[(".x-0.moving", "new"), ("work", "new")]);
        assert!(Copy::of(&path.join("work"), &target(0)).unwrap().is_none(), "it is being made");
        let [original, copied] = ["work", ".x-0.moving"].map(|name| fs::metadata(path.join(name)).unwrap());
        assert_eq!((copied.mode(), copied.modified().unwrap()), (original.mode(), long_ago));

        fs::write(target(0), "old").unwrap();
        assert_eq!(put_in_place(&copy.path, &target(0)).unwrap_err().kind(), ErrorKind::AlreadyExists);
        put_in_place(&copy.path, &target(1)).unwrap();
        expect(&path, &[("work", "new"), ("x-0", "old"), ("x-1", "new")]);
    }

    #[test]
    fn a_copy_that_a_crash_left_is_made_anew() {
        let (_place, path, target) = place();
        fs::write(path.join(".x-0.moving"), "the longer half of a file").unwrap();
        let copy = Copy::of(&path.join("work"), &target(0)).unwrap().unwrap();
        expect(&path, &[(".x-0.moving", "new"), ("work", "new")]);
        drop(copy);
        expect(&path, &[("work", "new")]);
        // With both of its names it is somebody's archive.
        fs::write(target(0), "archived").unwrap();
        fs::hard_link(target(0), path.join(".x-0.moving")).unwrap();
        drop(Copy::of(&path.join("work"), &target(0)).unwrap().unwrap());
        expect(&path, &[("work", "new"), ("x-0", "archived")]);
    }

    #[test]
    fn what_is_no_file_of_ours_is_not_written_to() {
        let (_place, path, target) = place();
        fs::write(path.join("other"), "other").unwrap();
        std::os::unix::fs::symlink(path.join("other"), path.join(".x-0.moving")).unwrap();
        assert!(Copy::of(&path.join("work"), &target(0)).is_err());
        assert_eq!(fs::read_to_string(path.join("other")).unwrap(), "other");
    }
}
