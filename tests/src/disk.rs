//! Disks that misbehave: a small file system of one's own that gets full or read-only.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// A file system in memory, mounted until dropped. Needs root.
#[derive(Debug)]
pub struct SmallDisk {
    place: TempDir,
}

impl SmallDisk {
    /// Mounts one of `megabytes`. Where mounting is impossible, prints a line and returns `None`; with `CI=true` in the
    /// environment it fails instead, so that nothing is left out unnoticed.
    pub fn mount(megabytes: u32) -> Result<Option<SmallDisk>> {
        let place = tempfile::Builder::new().prefix("sansq-disk-").tempdir()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=755"), "tmpfs"]).arg(place.path());
        match run(&mut mount) {
            Ok(()) => Ok(Some(SmallDisk { place })),
            Err(error) => skip(&format!("{error:#}")).map(|()| None),
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// The flag that puts a daemon's data here.
    pub fn flag(&self) -> String {
        format!("--data-path={}", self.path().display())
    }

    /// Fills what is left with a file: its path.
    pub fn fill(&self) -> Result<PathBuf> {
        let path = self.path().join("ballast");
        let written = std::io::copy(&mut std::io::repeat(0), &mut std::fs::File::create(&path)?);
        ensure!(written.is_err(), "the disk has no end");
        Ok(path)
    }

    /// Makes it read-only, or not. Fails while a file on it is open for writing.
    pub fn set_read_only(&self, read_only: bool) -> Result<()> {
        let mode = if read_only { "remount,ro" } else { "remount,rw" };
        run(Command::new("mount").args(["-o", mode]).arg(self.path()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a daemon that still uses it is about to be killed.
        _ = run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

/// A directory on another file system, removed when dropped.
#[derive(Debug)]
pub enum Elsewhere {
    /// Where the system has memory for everybody.
    Shared(TempDir),
    /// One of one's own.
    Mounted(SmallDisk),
}

impl Elsewhere {
    /// One that is not on the file system of `here`. Where there is none, as [`SmallDisk::mount`].
    pub fn than(here: &Path) -> Result<Option<Elsewhere>> {
        let device = |path: &Path| Ok::<_, anyhow::Error>(std::fs::metadata(path)?.dev());
        if let Ok(shared) = tempfile::Builder::new().prefix("sansq-disk-").tempdir_in("/dev/shm")
            && device(shared.path())? != device(here)?
        {
            return Ok(Some(Elsewhere::Shared(shared)));
        }
        Ok(SmallDisk::mount(16)?.map(Elsewhere::Mounted))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Elsewhere::Shared(place) => place.path(),
            Elsewhere::Mounted(disk) => disk.path(),
        }
    }
}

/// Says that this test is left out, and why. With `CI=true` leaving it out is a failure.
pub fn skip(why: &str) -> Result<()> {
    if std::env::var("CI").is_ok_and(|ci| ci == "true") {
        bail!("cannot be left out in CI: {why}");
    }
    eprintln!("skipped: {why}");
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
