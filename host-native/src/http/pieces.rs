//! A text of any length in pieces. One block of memory that grows is copied, and what it leaves behind is kept by the process;
//! pieces are let go one by one while they are sent, and the next text takes their room.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

/// Bytes of a piece: small enough to be of the memory that a thread uses again.
const PIECE_BYTES: usize = 32 * 1024;

/// What was written, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    done: VecDeque<Bytes>,
    /// The piece that is written to.
    last: Vec<u8>,
    len: usize,
}

impl Pieces {
    /// A text that there is already.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut pieces = Self { last: Vec::with_capacity(text.len().min(PIECE_BYTES)), ..Self::default() };
        // Memory takes everything.
        _ = io::Write::write_all(&mut pieces, text);
        pieces
    }

    /// Whether there is more than one.
    pub(crate) fn is_long(&self) -> bool {
        !self.done.is_empty()
    }

    /// Bytes of all together that were not taken.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All of it, if that is one piece.
    pub(crate) fn into_short(mut self) -> Result<Bytes, Self> {
        if self.done.is_empty() { Ok(self.take().unwrap_or_default()) } else { Err(self) }
    }

    /// The first piece, which is let go with that; nothing if all are taken.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let piece = self.done.pop_front().unwrap_or_else(|| std::mem::take(&mut self.last).into());
        self.len -= piece.len();
        (!piece.is_empty()).then_some(piece)
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.done.iter().map(AsRef::as_ref).chain(std::iter::once(self.last.as_slice()))
    }
}

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE_BYTES - self.last.len();
        let now = bytes.get(..room).unwrap_or(bytes);
        self.last.extend_from_slice(now);
        self.len += now.len();
        if self.last.len() == PIECE_BYTES {
            let next = Vec::with_capacity(PIECE_BYTES);
            self.done.push_back(std::mem::replace(&mut self.last, next).into());
        }
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_written_is_taken_in_order() {
        for len in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES + 7] {
            let text: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut pieces = Pieces::default();
            for part in text.chunks(1000) {
                pieces.write_all(part).unwrap();
            }
            assert_eq!(pieces.len(), len);
            assert_eq!(pieces.iter().collect::<Vec<_>>().concat(), text);
            let mut taken = Vec::new();
            while let Some(piece) = pieces.take() {
                assert!(piece.len() <= PIECE_BYTES);
                taken.extend_from_slice(&piece);
                assert_eq!(pieces.len(), len - taken.len());
            }
            assert_eq!(taken, text);
        }
    }
}
