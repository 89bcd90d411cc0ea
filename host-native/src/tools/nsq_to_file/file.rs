//! The file that a topic's messages go to: opened, written, synced, closed, moved, under names that never overwrite
//! anything.
//!
//! Invariants: what [`File::sync`] returned for is on disk; with gzip, it is in members that are complete. No existing file
//! is ever replaced.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Zoned;
use tracing::info;

use super::moving::move_file;
use super::name::{NameFormat, with_rev};

/// How files are made.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) output_dir: PathBuf,
    /// Where files are while they are written; the same if nobody said another.
    pub(super) work_dir: PathBuf,
    pub(super) gzip: Option<u32>,
    /// Bytes before compression; 0 for no limit.
    pub(super) rotate_size: u64,
    /// Zero for no limit.
    pub(super) rotate_interval: Duration,
}

enum Sink {
    Plain(fs::File),
    /// Between two members.
    Gzip(fs::File),
    Member(GzEncoder<fs::File>),
}

/// An open file.
pub(super) struct File {
    /// Without its number.
    name: String,
    rev: u32,
    /// Where it is while it is written.
    path: PathBuf,
    sink: Option<Sink>,
    opened_at: Instant,
    /// Before compression.
    bytes: u64,
}

impl File {
    /// The first file under the name for `time` that may be written to.
    pub(super) fn open(settings: &Settings, names: &NameFormat, time: &Zoned) -> Result<Self> {
        let name = names.at(time);
        let mut rev = 0;
        loop {
            let numbered = with_rev(&name, rev);
            let path = settings.work_dir.join(&numbered);
            let taken = settings.moves() && settings.output_dir.join(&numbered).exists();
            if !taken && let Some((file, bytes)) = open(settings, &path)? {
                info!("opening {}", path.display());
                let sink = if settings.gzip.is_some() { Sink::Gzip(file) } else { Sink::Plain(file) };
                return Ok(Self { name, rev, path, sink: Some(sink), opened_at: Instant::now(), bytes });
            }
            // Without a number in it the name is the same for ever, and the file is appended to.
            rev += 1;
        }
    }

    /// Where it is while it is written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the next message belongs into another file.
    pub(super) fn is_over(&self, settings: &Settings, names: &NameFormat, time: &Zoned) -> bool {
        let too_old = !settings.rotate_interval.is_zero() && self.opened_at.elapsed() > settings.rotate_interval;
        let too_large = settings.rotate_size > 0 && self.bytes > settings.rotate_size;
        too_old || too_large || names.at(time) != self.name
    }

    pub(super) fn write(&mut self, settings: &Settings, body: &[u8]) -> io::Result<()> {
        let mut line = Vec::with_capacity(body.len() + 1);
        line.extend_from_slice(body);
        line.push(b'\n');
        self.bytes += line.len() as u64;
        match self.sink.take() {
            Some(Sink::Gzip(file)) => {
                let mut member = GzEncoder::new(file, Compression::new(settings.gzip.unwrap_or_default()));
                member.write_all(&line)?;
                self.sink = Some(Sink::Member(member));
            }
            Some(Sink::Member(mut member)) => {
                member.write_all(&line)?;
                self.sink = Some(Sink::Member(member));
            }
            Some(Sink::Plain(mut file)) => {
                file.write_all(&line)?;
                self.sink = Some(Sink::Plain(file));
            }
            None => return Err(io::Error::other("an earlier write failed")),
        }
        Ok(())
    }

    /// Returns when everything written is on disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.sink = Some(match self.sink.take() {
            Some(Sink::Member(member)) => Sink::Gzip(member.finish()?),
            Some(other) => other,
            None => return Err(io::Error::other("an earlier write failed")),
        });
        match &self.sink {
            Some(Sink::Plain(file) | Sink::Gzip(file)) => file.sync_all(),
            Some(Sink::Member(_)) | None => Ok(()),
        }
    }

    /// Syncs, closes, and moves the file to where it belongs.
    pub(super) fn close(mut self, settings: &Settings) -> Result<()> {
        self.sync().with_context(|| format!("cannot sync {}", self.path.display()))?;
        let from = self.path;
        if !settings.moves() {
            info!("closed {}", from.display());
            return Ok(());
        }
        move_file(&from, self.rev, |rev| settings.output_dir.join(with_rev(&self.name, rev)))
    }
}

impl Settings {
    /// Files are somewhere else while they are written.
    fn moves(&self) -> bool {
        self.work_dir != self.output_dir
    }

    /// Several files may want the same name.
    pub(super) fn needs_rev(&self) -> bool {
        self.gzip.is_some() || self.rotate_size > 0 || !self.rotate_interval.is_zero() || self.moves()
    }
}

/// Opens a file to write to, and its size; `None` if another name has to be tried.
fn open(settings: &Settings, path: &Path) -> Result<Option<(fs::File, u64)>> {
    make_directory(path)?;
    let exclusive = settings.gzip.is_some() || !settings.rotate_interval.is_zero();
    let mut options = OpenOptions::new();
    options.append(true).mode(0o666);
    if exclusive {
        options.create_new(true)
    } else {
        options.create(true)
    };
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if exclusive && error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
    };
    let bytes = file.metadata()?.len();
    if settings.rotate_size > 0 && bytes > settings.rotate_size {
        return Ok(None);
    }
    sync_directory(path)?;
    Ok(Some((file, bytes)))
}

pub(super) fn make_directory(file: &Path) -> Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    let made = DirBuilder::new().recursive(true).mode(0o770).create(directory);
    made.with_context(|| format!("cannot create {}", directory.display()))
}

/// Makes the name of a file as durable as what is in it.
pub(super) fn sync_directory(file: &Path) -> Result<()> {
    let directory = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.with_context(|| format!("cannot sync {}", directory.display()))
}
