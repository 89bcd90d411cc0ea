//! A look at records that were not handed out yet.

use crate::message::{BatchBuilder, Message, Run};
use crate::storage::StorageError;
use crate::storage::files::{FileError, Files};
use crate::storage::record::{self, Decoded};

use super::{DiskQueue, Position};

/// Bytes looked at in one go for one record that nobody has asked for yet; one that is larger takes a second look.
const PEEK_BYTES: usize = 4 * 1024;

impl DiskQueue {
    /// Up to `limit` records from the cursor on, which stays where it is; fewer once they take `bytes_max`. Ends before damage
    /// and files that are missing: whoever reads sees to those.
    pub(in crate::storage) fn peek(
        &self,
        limit: usize,
        bytes_max: usize,
        files: &mut impl Files,
    ) -> Result<Vec<Run>, StorageError> {
        let mut builder = BatchBuilder::default();
        let mut buffer = Vec::new();
        let (mut at, mut found, mut bytes, mut wanted) = (self.cursor, 0, 0, PEEK_BYTES);
        while at < self.write && found < limit && bytes < bytes_max {
            let name = self.data_name(at.file);
            let size = match files.size(&name) {
                Ok(size) if at.file == self.write.file => size.min(self.write.offset),
                Ok(size) => size,
                Err(FileError::NotFound) => break,
                Err(error) => return Err(error.about(files, &name)),
            };
            if at.offset >= size && at.file < self.write.file {
                at = Position::start_of(at.file + 1);
                continue;
            }
            let room = size.saturating_sub(at.offset);
            buffer.resize(wanted.min(usize::try_from(room).unwrap_or(wanted)), 0);
            let len = files.read_at(&name, at.offset, &mut buffer).map_err(|error| error.about(files, &name))?;
            match record::decode(&buffer[..len], room) {
                Decoded::Record { message, len } => {
                    builder.push_stored(Message { due: self.due_times.due(message.id), ..message });
                    at.offset += len as u64;
                    (found, bytes, wanted) = (found + 1, bytes + len, PEEK_BYTES);
                }
                Decoded::Partial(needed) if needed > wanted => wanted = needed,
                Decoded::Partial(_) | Decoded::Damaged => break,
            }
        }
        Ok(builder.finish().into_iter().map(|batch| Run::whole(batch.into())).collect())
    }
}
