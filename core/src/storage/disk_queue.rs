//! One log on disk, in the reference's files (`go-diskqueue`): data in `<stem>.diskqueue.%06d.dat`, positions in
//! `<stem>.diskqueue.meta.dat`. A directory of either opens in the other.
//!
//! Three positions, in order: *released* (persisted as the reference's read position: everything before it is done
//! with), the *cursor* (everything before it was handed out) and *write*. A crash hands out again what lies between the
//! first two. A file is removed when released has left it.
//!
//! Where the reference loses data, this does not:
//! - Records behind the last synced metadata, or without any metadata, are found by scanning.
//! - Damage costs what comes after it in its file. What comes before is delivered first, then the file is kept aside as
//!   `.bad`.
//! - Only damage is taken for damage: a file that cannot be read just now stays, and is read later.

mod emptying;
mod peek;

use std::collections::VecDeque;

use crate::message::{BatchBuilder, Message, Run};

use super::due_times::DueTimes;
use super::files::{FileError, Files, replace};
use super::record::{self, Decoded};
use super::store::StoreEvent;
use super::{StorageError, StorageReply};
pub(super) use emptying::remove_files;

/// Bytes looked at in one go when scanning.
const SCAN_BYTES: usize = 256 * 1024;

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) file: u64,
    pub(super) offset: u64,
}

impl Position {
    fn start_of(file: u64) -> Self {
        Self { file, offset: 0 }
    }
}

/// One log's state. Its files are only touched through the [`Files`] that every method is given.
#[derive(Clone, Debug)]
pub(super) struct DiskQueue {
    stem: String,
    bytes_per_file_max: u64,
    released: Position,
    cursor: Position,
    write: Position,
    /// Ends of the records between released and cursor.
    passed: VecDeque<Position>,
    unread: u64,
    /// An append failed, and what it left behind `write` could not be removed: the last file it may be in.
    torn: Option<u64>,
    due_times: DueTimes,
    /// Files with damage, to be kept aside when released leaves them.
    damaged: Vec<u64>,
    /// Files written since they were last synced.
    unsynced: Vec<String>,
    /// Records written and released since the metadata was last written.
    pub(super) operations: u64,
    /// The last sync did not succeed.
    pub(super) sync_failed: bool,
    /// Whether the [store](super::store) has it among those to be synced, or a sync of it under way.
    pub(super) turn: SyncTurn,
    /// The first data file that may be there. Those before `released` could not be removed.
    oldest: u64,
    /// Among them are some whose records were thrown away: their removal is tried again.
    littered: bool,
    /// Nobody uses it any more. It goes when it is not littered.
    pub(super) deleted: bool,
    pub(super) events: Vec<StoreEvent>,
}

/// What the next sync of a log waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncTurn {
    /// Something to sync.
    None,
    /// Its time, or enough to sync.
    Waiting,
    /// The end of the one before.
    UnderWay,
}

/// A sync to be done: data, then the positions as they were when it was asked for. Syncs of one log are done in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sync {
    data: Vec<String>,
    metadata_name: String,
    metadata: String,
}

impl Sync {
    pub(super) fn run(&self, files: &mut impl Files) -> Result<(), StorageError> {
        sync_all(&self.data, files)?;
        replace(files, &self.metadata_name, self.metadata.as_bytes())
            .map_err(|error| error.about(files, &self.metadata_name))
    }
}

/// Syncs files; one that was removed meanwhile was done with.
fn sync_all(names: &[String], files: &mut impl Files) -> Result<(), StorageError> {
    for name in names {
        match files.sync(name) {
            Ok(()) | Err(FileError::NotFound) => {}
            Err(error) => return Err(error.about(files, name)),
        }
    }
    Ok(())
}

/// Reads the text of a [`Sync`].
fn parse_metadata(text: &str) -> Option<(i64, Position, Position)> {
    let mut lines = text.lines();
    let depth = lines.next()?.trim().parse().ok()?;
    let mut position = || {
        let (file, offset) = lines.next()?.split_once(',')?;
        Some(Position { file: file.trim().parse().ok()?, offset: offset.trim().parse().ok()? })
    };
    Some((depth, position()?, position()?))
}

impl DiskQueue {
    /// Opens the log. `found`: numbers of its data files in order, as far as the caller knows of any.
    pub(super) fn open(
        stem: String,
        bytes_per_file_max: u64,
        found: &[u64],
        files: &mut impl Files,
    ) -> Result<Self, StorageError> {
        let mut queue = Self {
            stem,
            bytes_per_file_max,
            released: Position::default(),
            cursor: Position::default(),
            write: Position::default(),
            passed: VecDeque::new(),
            unread: 0,
            torn: None,
            due_times: DueTimes::default(),
            damaged: Vec::new(),
            unsynced: Vec::new(),
            operations: 0,
            sync_failed: false,
            turn: SyncTurn::None,
            oldest: 0,
            littered: false,
            deleted: false,
            events: Vec::new(),
        };
        let mut depth = None;
        match queue.read_metadata(files)? {
            Some((stored, read, write)) if read <= write => {
                (queue.released, queue.write) = (read, write);
                depth = u64::try_from(stored).ok();
            }
            unusable => {
                if let Some((_, read, write)) = unusable {
                    queue.tell(format!(
                        "metadata says read at {},{} but written up to {},{}; reading all there is",
                        read.file, read.offset, write.file, write.offset
                    ));
                }
                if let Some(&first) = found.first() {
                    (queue.released, queue.write) = (Position::start_of(first), Position::start_of(first));
                    depth = Some(0);
                }
            }
        }
        if queue.keep_to(found, files) {
            depth = None;
        }
        queue.cursor = queue.released;
        queue.oldest = found.first().copied().unwrap_or(u64::MAX).min(queue.released.file);
        let salvaged = queue.salvage(files)?;
        // Not before it is known where the last record is: due times are forgotten with the file that they are taken to be of.
        queue.due_times = DueTimes::load(&queue.due_name(), queue.write.file, files)?;
        queue.unread = match depth {
            Some(depth) if depth + salvaged > 0 => depth + salvaged,
            _ => queue.count(queue.cursor, files)?,
        };
        if queue.cursor == queue.write {
            queue.unread = 0;
        } else if queue.unread == 0 {
            // Nobody asks for what cannot be read.
            queue.read(0, &mut BatchBuilder::default(), &mut Vec::new(), files)?;
        }
        Ok(queue)
    }

    /// Keeps the positions to files that are there; whether they had to be moved. Files that were done with may be gone
    /// before the metadata says so, and metadata may say anything.
    fn keep_to(&mut self, found: &[u64], files: &impl Files) -> bool {
        let positions = (self.released, self.write);
        let before = |file| found.partition_point(|&number| number < file);
        // All that the metadata knows of may be done with and gone, and more was written since.
        if let Some(&next) = found.get(before(self.write.file)) {
            self.write = if next > self.write.file { Position::start_of(next) } else { self.write };
        }
        let first = found.get(before(self.released.file)).copied().unwrap_or(self.write.file);
        if self.released.file < first.min(self.write.file) {
            self.released = Position::start_of(first.min(self.write.file));
        }
        let last = found[..before(self.write.file)].last().filter(|&&last| last >= self.released.file);
        if let Some(after) = last.map(|last| last + 1)
            && after < self.write.file
            && found.binary_search(&self.write.file).is_err()
        {
            self.tell(format!("{} is missing, and files before it", files.path(&self.data_name(self.write.file))));
            self.write = Position::start_of(after);
        }
        (self.released, self.write) != positions
    }

    /// Looks for records behind the known end: written, and then there was no time to write the metadata.
    fn salvage(&mut self, files: &mut impl Files) -> Result<u64, StorageError> {
        let mut salvaged = 0;
        loop {
            let name = self.data_name(self.write.file);
            let size = match files.size(&name) {
                Ok(size) => size,
                Err(FileError::NotFound) => break,
                Err(error) => return Err(error.about(files, &name)),
            };
            if size > self.write.offset {
                let (records, end) = self.scan(self.write, size, files)?;
                salvaged += records;
                self.write.offset = end;
                if end < size {
                    // Read up to the damage later, then kept aside; what is new goes to a new file.
                    self.tell(format!("{} is damaged at byte {end}; writing to the next file", files.path(&name)));
                    self.write = Position::start_of(self.write.file + 1);
                    continue;
                }
            } else if size < self.write.offset {
                let path = files.path(&name);
                self.tell(format!("{path} is cut off at byte {size}, its end was at {}", self.write.offset));
                self.write = Position::start_of(self.write.file + 1);
                continue;
            }
            match files.size(&self.data_name(self.write.file + 1)) {
                Ok(_) => self.write = Position::start_of(self.write.file + 1),
                Err(FileError::NotFound) => break,
                Err(error) => return Err(error.about(files, &name)),
            }
        }
        if self.write.offset > 0 && files.size(&self.data_name(self.write.file)) == Err(FileError::NotFound) {
            self.tell(format!("{} is missing", files.path(&self.data_name(self.write.file))));
            self.write = Position::start_of(self.write.file + 1);
        }
        if salvaged > 0 {
            self.tell(format!("found {salvaged} messages behind the last metadata"));
        }
        Ok(salvaged)
    }

    /// Counts the records of one file from `at` up to byte `size`, or to the first damage: how many, and where they end.
    fn scan(&self, at: Position, size: u64, files: &mut impl Files) -> Result<(u64, u64), StorageError> {
        let name = self.data_name(at.file);
        let (mut records, mut offset) = (0, at.offset);
        let mut want = SCAN_BYTES;
        let mut buffer = Vec::new();
        while offset < size {
            buffer.resize(want.min(usize::try_from(size - offset).unwrap_or(want)), 0);
            let len = files.read_at(&name, offset, &mut buffer).map_err(|error| error.about(files, &name))?;
            let mut at = 0;
            want = SCAN_BYTES;
            loop {
                match record::decode(&buffer[at..len], size - offset - at as u64) {
                    Decoded::Record { len, .. } => {
                        at += len;
                        records += 1;
                    }
                    Decoded::Partial(len) if len > SCAN_BYTES => {
                        want = len;
                        break;
                    }
                    Decoded::Partial(_) => break,
                    Decoded::Damaged => return Ok((records, offset + at as u64)),
                }
            }
            if at == 0 && len < want && want <= SCAN_BYTES {
                return Ok((records, offset));
            }
            offset += at as u64;
        }
        Ok((records, offset))
    }

    /// Counts the readable records from `from` to the end.
    fn count(&self, from: Position, files: &mut impl Files) -> Result<u64, StorageError> {
        let (mut records, mut at) = (0, from);
        while at < self.write {
            let end =
                if at.file == self.write.file { Ok(self.write.offset) } else { files.size(&self.data_name(at.file)) };
            match end {
                Ok(end) => records += self.scan(at, end, files)?.0,
                Err(FileError::NotFound) => {}
                Err(error) => return Err(error.about(files, &self.data_name(at.file))),
            }
            at = Position::start_of(at.file + 1);
        }
        Ok(records)
    }

    pub(super) fn unread(&self) -> u64 {
        self.unread
    }

    /// Numbers of its data files in order, as far as there are any.
    pub(super) fn file_numbers(&self) -> Vec<u64> {
        (self.released.file..=self.write.file).collect()
    }

    /// Adds all messages of `runs` or, on failure, none.
    pub(super) fn append(
        &mut self,
        runs: &[Run],
        taken: bool,
        buffer: &mut Vec<u8>,
        files: &mut impl Files,
    ) -> Result<(), StorageError> {
        debug_assert!(!taken || self.cursor == self.write && self.unread == 0);
        self.mend(files)?;
        let start = self.write;
        let mut ends = Vec::new();
        let appended = self.try_append(runs, taken.then_some(&mut ends), buffer, files);
        buffer.clear();
        match appended {
            Ok(records) if taken => {
                self.passed.extend(ends);
                self.cursor = self.write;
                self.operations += records;
            }
            Ok(records) => {
                self.unread += records;
                self.operations += records;
            }
            Err(error) => {
                // As it was. If this fails too, it is seen to before anything else is written.
                self.torn = Some(self.write.file);
                self.write = start;
                _ = self.mend(files);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes what a failed append left, if there is any: it would be read with what is written behind it, or found by the
    /// next process.
    pub(super) fn mend(&mut self, files: &mut impl Files) -> Result<(), StorageError> {
        let Some(last) = self.torn else { return Ok(()) };
        for file in self.write.file + 1..=last {
            let name = self.data_name(file);
            files.remove(&name).map_err(|error| error.about(files, &name))?;
        }
        let name = self.data_name(self.write.file);
        match files.truncate(&name, self.write.offset) {
            Ok(()) | Err(FileError::NotFound) => {}
            Err(error) => return Err(error.about(files, &name)),
        }
        self.torn = None;
        Ok(())
    }

    fn try_append(
        &mut self,
        runs: &[Run],
        mut ends: Option<&mut Vec<Position>>,
        buffer: &mut Vec<u8>,
        files: &mut impl Files,
    ) -> Result<u64, StorageError> {
        let mut records = 0;
        buffer.clear();
        let mut flushed = self.write;
        self.note_due_times(runs, files)?;
        for message in runs.iter().flat_map(Run::messages) {
            let end = self.end_after(self.write, record::encoded_len(&message) as u64);
            if end.file > self.write.file {
                self.flush(&mut flushed, buffer, files)?;
                flushed = Position::start_of(end.file);
            }
            record::encode(&message, buffer);
            self.write = end;
            records += 1;
            if let Some(ends) = &mut ends {
                ends.push(self.write);
            }
        }
        self.flush(&mut flushed, buffer, files)?;
        Ok(records)
    }

    fn flush(
        &mut self,
        flushed: &mut Position,
        buffer: &mut Vec<u8>,
        files: &mut impl Files,
    ) -> Result<(), StorageError> {
        if !buffer.is_empty() {
            let name = self.data_name(flushed.file);
            files.write_at(&name, flushed.offset, buffer).map_err(|error| error.about(files, &name))?;
            self.note_unsynced(name);
            flushed.offset += buffer.len() as u64;
            buffer.clear();
        }
        Ok(())
    }

    fn note_due_times(&mut self, runs: &[Run], files: &mut impl Files) -> Result<(), StorageError> {
        if runs.iter().all(|run| run.batch.due().is_none()) {
            return Ok(());
        }
        let mut entries = Vec::new();
        let mut end = self.write;
        for message in runs.iter().flat_map(Run::messages) {
            end = self.end_after(end, record::encoded_len(&message) as u64);
            entries.extend(message.due.map(|due| (message.id, due, end.file)));
        }
        self.note_unsynced(self.due_name());
        self.due_times.add(&self.due_name(), &entries, files)
    }

    /// Where a record of `len` bytes ends that is written at `start`, or in the next file if it does not fit.
    fn end_after(&self, start: Position, len: u64) -> Position {
        let fits = start.offset == 0 || start.offset + len <= self.bytes_per_file_max;
        let start = if fits { start } else { Position::start_of(start.file + 1) };
        Position { offset: start.offset + len, ..start }
    }

    /// Moves the cursor over at least one record, if there is one, and about `bytes_max`.
    pub(super) fn read(
        &mut self,
        bytes_max: u32,
        builder: &mut BatchBuilder,
        buffer: &mut Vec<u8>,
        files: &mut impl Files,
    ) -> Result<StorageReply, StorageError> {
        let mut wanted = bytes_max as usize;
        while self.cursor < self.write {
            let name = self.data_name(self.cursor.file);
            let writing = self.cursor.file == self.write.file;
            let size = match files.size(&name) {
                Ok(size) => {
                    if writing {
                        size.min(self.write.offset)
                    } else {
                        size
                    }
                }
                Err(FileError::NotFound) => {
                    self.tell(format!("{} is missing; going on with the next file", files.path(&name)));
                    self.skip_file(false, files)?;
                    continue;
                }
                Err(error) => return Err(error.about(files, &name)),
            };
            if self.cursor.offset >= size {
                if writing || self.cursor.offset > size {
                    let path = files.path(&name);
                    self.tell(format!("{path} ends at byte {size}, before {}", self.cursor.offset));
                    self.skip_file(true, files)?;
                } else {
                    self.cursor = Position::start_of(self.cursor.file + 1);
                    self.advance_released(files);
                }
                continue;
            }
            let room = size - self.cursor.offset;
            buffer.resize(wanted.min(usize::try_from(room).unwrap_or(wanted)), 0);
            let len = files.read_at(&name, self.cursor.offset, buffer).map_err(|error| error.about(files, &name))?;
            match self.decode(&buffer[..len], room, builder) {
                Ok(0) if len < buffer.len() => {
                    return Err(StorageError::Io { file: files.path(&name), reason: "short read".to_owned() });
                }
                Ok(0) => wanted = wanted.max(next_len(&buffer[..len])),
                Ok(_) => {
                    if self.unread == 0 {
                        self.unread = self.count(self.cursor, files)?;
                    }
                    // If only what cannot be read is left, it is stepped over now: nobody asks for it.
                    if self.unread > 0 {
                        break;
                    }
                }
                Err(()) => {
                    let at = self.cursor.offset;
                    let path = files.path(&name);
                    self.tell(format!(
                        "{path} is damaged at byte {at}; going on with the next file, keeping it as {path}.bad"
                    ));
                    self.skip_file(true, files)?;
                }
            }
        }
        buffer.clear();
        if self.cursor == self.write {
            let missing = std::mem::take(&mut self.unread);
            if missing > 0 {
                self.tell(format!("{missing} messages that should be there are not"));
            }
        }
        let runs = builder.finish().into_iter().map(|batch| Run::whole(batch.into())).collect();
        Ok(StorageReply::Records { runs, unread: self.unread })
    }

    /// Hands out the whole records in `bytes`: how many. `Err` if there is damage before the first.
    fn decode(&mut self, bytes: &[u8], room: u64, builder: &mut BatchBuilder) -> Result<u64, ()> {
        let (mut at, mut records) = (0, 0);
        loop {
            match record::decode(&bytes[at..], room - at as u64) {
                Decoded::Record { message, len } => {
                    let due = if self.due_times.is_empty() { None } else { self.due_times.due(message.id) };
                    builder.push_stored(Message { due, ..message });
                    at += len;
                    records += 1;
                    self.cursor.offset += len as u64;
                    self.passed.push_back(self.cursor);
                }
                Decoded::Damaged if records == 0 => return Err(()),
                Decoded::Partial(_) | Decoded::Damaged => break,
            }
        }
        self.unread = self.unread.saturating_sub(records);
        Ok(records)
    }

    /// Gives up the rest of the file at the cursor. What was read of it is not finished yet, so it goes later.
    fn skip_file(&mut self, damaged: bool, files: &mut impl Files) -> Result<(), StorageError> {
        let file = self.cursor.file;
        if damaged {
            self.damaged.push(file);
        }
        if file == self.write.file {
            self.write = Position::start_of(file + 1);
        }
        self.cursor = Position::start_of(file + 1);
        self.unread = self.count(self.cursor, files)?;
        self.advance_released(files);
        self.operations += 1;
        Ok(())
    }

    /// The oldest `count` records passed are done with.
    pub(super) fn release(&mut self, count: u64, files: &mut impl Files) {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.passed.len());
        let last = self.passed.drain(..count).next_back();
        if let Some(last) = last {
            self.operations += count as u64;
            self.move_released(last, files);
        }
        self.advance_released(files);
    }

    /// Moves released on to the file of the next record that is not done with.
    fn advance_released(&mut self, files: &mut impl Files) {
        let next = self.passed.front().unwrap_or(&self.cursor);
        if next.file > self.released.file {
            self.move_released(Position::start_of(next.file), files);
        }
    }

    /// Moves released, and does away with the files it leaves.
    fn move_released(&mut self, next: Position, files: &mut impl Files) {
        for file in self.released.file..next.file {
            let name = self.data_name(file);
            let damaged = self.damaged.iter().position(|&damaged| damaged == file);
            let gone = if let Some(at) = damaged {
                self.damaged.swap_remove(at);
                files.rename(&name, &format!("{name}.bad"))
            } else {
                files.remove(&name)
            };
            match gone {
                Err(error) if error != FileError::NotFound => {
                    self.tell(format!("cannot do away with {}", error.about(files, &name)));
                }
                _ if self.oldest == file => self.oldest = file + 1,
                _ => {}
            }
        }
        if next.file > self.released.file && !self.due_times.is_empty() {
            self.due_times.forget_before(&self.due_name(), next.file, files);
        }
        self.released = next;
    }

    /// Puts appended records on the device.
    pub(super) fn sync_data(&mut self, files: &mut impl Files) -> Result<(), StorageError> {
        sync_all(&self.unsynced, files)?;
        self.unsynced.clear();
        Ok(())
    }

    /// Whether the file to be written to can be.
    pub(super) fn probe(&self, files: &mut impl Files) -> Result<(), FileError> {
        files.write_at(&self.data_name(self.write.file), self.write.offset, &[])
    }

    /// Whether there is anything to [sync](Self::sync).
    pub(super) fn is_dirty(&self) -> bool {
        !self.unsynced.is_empty() || self.operations > 0 || self.sync_failed || self.littered
    }

    /// What puts records and positions as they are now on the device.
    pub(super) fn sync(&mut self) -> Sync {
        let depth = self.passed.len() as u64 + self.unread;
        let metadata = format!(
            "{depth}\n{},{}\n{},{}\n",
            self.released.file, self.released.offset, self.write.file, self.write.offset
        );
        self.operations = 0;
        Sync { data: std::mem::take(&mut self.unsynced), metadata_name: self.metadata_name(), metadata }
    }

    /// A sync did not succeed: what it was about is to be synced still.
    pub(super) fn on_sync_failed(&mut self, sync: Sync) {
        sync.data.into_iter().for_each(|name| self.note_unsynced(name));
        self.sync_failed = true;
    }

    /// There are a few between two syncs.
    fn note_unsynced(&mut self, name: String) {
        if !self.unsynced.contains(&name) {
            self.unsynced.push(name);
        }
    }

    fn read_metadata(&mut self, files: &mut impl Files) -> Result<Option<(i64, Position, Position)>, StorageError> {
        let name = self.metadata_name();
        let mut bytes = [0; 256];
        let len = match files.read_at(&name, 0, &mut bytes) {
            Ok(len) => len,
            Err(FileError::NotFound) => return Ok(None),
            Err(error) => return Err(error.about(files, &name)),
        };
        let parsed = std::str::from_utf8(&bytes[..len]).ok().and_then(parse_metadata);
        if parsed.is_none() {
            let path = files.path(&name);
            self.tell(format!("{path} is not what it should be; looking for messages in the data files"));
        }
        Ok(parsed)
    }

    fn tell(&mut self, message: String) {
        self.events.push(StoreEvent { log: self.stem.clone(), message });
    }

    fn data_name(&self, file: u64) -> String {
        format!("{}.diskqueue.{file:06}.dat", self.stem)
    }

    fn metadata_name(&self) -> String {
        format!("{}.diskqueue.meta.dat", self.stem)
    }

    fn due_name(&self) -> String {
        format!("{}.diskqueue.due.dat", self.stem)
    }
}

/// Bytes of the record at the start of `bytes`, as its length says.
fn next_len(bytes: &[u8]) -> usize {
    match record::decode(bytes, u64::MAX) {
        Decoded::Partial(len) | Decoded::Record { len, .. } => len,
        Decoded::Damaged => record::LENGTH_BYTES,
    }
}

/// The log and number of a data file's name.
pub(super) fn parse_data_name(name: &str) -> Option<(&str, u64)> {
    let (stem, number) = name.strip_suffix(".dat")?.rsplit_once('.')?;
    let stem = stem.strip_suffix(".diskqueue")?;
    let digits = number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit());
    Some((stem, number.parse().ok().filter(|_| digits)?))
}
