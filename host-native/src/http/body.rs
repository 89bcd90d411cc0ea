//! Reading request bodies, never more of them than the caller allows.

use std::time::Duration;

use bytes::Bytes;

use super::head::Framing;
use super::input::Input;

/// How long the rest of a refused body is read before the connection is given up.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes of the line before a chunk at most; extensions have no use.
const SIZE_LINE_BYTES_MAX: usize = 4096;
/// Room at most that is made for a body because of what it announces.
const READY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes at most of what is neither data nor said anywhere: extensions of chunks, and trailers.
const DECORATION_BYTES_MAX: usize = 16 * 1024;

/// The body of a request, and the connection it comes by.
pub(crate) struct RequestBody {
    input: Input,
    rest: Rest,
    /// The client waits to be told before it sends the body, and has not been.
    held_back: bool,
    /// Bytes of extensions and trailers so far.
    decoration_bytes: usize,
}

/// What is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// So many bytes, at least one.
    Length(u64),
    /// A line with the size of a chunk.
    ChunkSize,
    /// So many bytes of a chunk, at least one.
    Chunk(u64),
    /// The end of the line behind a chunk.
    ChunkEnd,
    /// Trailers, down to an empty line.
    Trailers,
    /// Nothing.
    Ended,
    /// What came was not a body, or not all of it.
    Broken,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It is longer than allowed.
    TooLong,
    /// It ended early, or is not well formed.
    Broken,
}

impl RequestBody {
    /// The body that `input` goes on with.
    pub(super) fn new(input: Input, framing: Framing, held_back: bool) -> Self {
        let rest = match framing {
            Framing::Length(0) => Rest::Ended,
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::ChunkSize,
        };
        Self { input, rest, held_back, decoration_bytes: 0 }
    }

    /// Whether the client announces more than `bytes_max` bytes. One that sends chunks announces nothing.
    pub(crate) fn announces_more_than(&self, bytes_max: usize) -> bool {
        matches!(self.rest, Rest::Length(length) if length > bytes_max as u64)
    }

    /// All of it, at most `bytes_max` bytes. May share memory with the connection's read buffer, so what is kept for
    /// longer than the request must be copied.
    pub(crate) async fn read(&mut self, bytes_max: usize) -> Result<Bytes, ReadError> {
        if self.announces_more_than(bytes_max) {
            return Err(ReadError::TooLong);
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        if self.rest == Rest::Ended && first.len() <= bytes_max {
            return Ok(first);
        }
        // What was announced fits, so there is room for all of it at once, but for what is cheaper to grow into than to believe.
        let rest = if let Rest::Length(length) = self.rest { usize::try_from(length).unwrap_or(usize::MAX) } else { 0 };
        let mut whole = Vec::with_capacity(first.len() + rest.min(READY_BYTES_MAX));
        whole.extend_from_slice(&first);
        while whole.len() <= bytes_max {
            match self.next().await? {
                Some(data) => whole.extend_from_slice(&data),
                None => return Ok(whole.into()),
            }
        }
        Err(ReadError::TooLong)
    }

    /// Reads what is left and forgets it, so that a client that still sends gets to read its answer. `false` if the
    /// connection cannot be used again: there is more than `bytes_max`, or it takes too long. What is announced to be more
    /// is not waited for.
    pub(super) async fn discard(&mut self, bytes_max: usize) -> bool {
        if self.rest == Rest::Ended || self.held_back || self.announces_more_than(bytes_max) {
            return self.rest == Rest::Ended;
        }
        let drained = async {
            let mut bytes = 0;
            while let Ok(Some(data)) = self.next().await {
                bytes += data.len();
                if bytes > bytes_max {
                    break;
                }
            }
        };
        let in_time = tokio::time::timeout(DISCARD_TIME_MAX, drained).await.is_ok();
        in_time && self.rest == Rest::Ended
    }

    /// The connection.
    pub(super) fn into_input(self) -> Input {
        self.input
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let next = self.try_next().await;
        if next.is_err() {
            self.rest = Rest::Broken;
        }
        next
    }

    async fn try_next(&mut self) -> Result<Option<Bytes>, ReadError> {
        if std::mem::take(&mut self.held_back) {
            self.input.write(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|_| ReadError::Broken)?;
        }
        loop {
            self.rest = match self.rest {
                Rest::Ended => return Ok(None),
                Rest::Broken => return Err(ReadError::Broken),
                Rest::Length(length) => {
                    let data = self.input.take(length).await.ok_or(ReadError::Broken)?;
                    let left = length - data.len() as u64;
                    self.rest = if left == 0 { Rest::Ended } else { Rest::Length(left) };
                    return Ok(Some(data));
                }
                Rest::Chunk(length) => {
                    let data = self.input.take(length).await.ok_or(ReadError::Broken)?;
                    let left = length - data.len() as u64;
                    self.rest = if left == 0 { Rest::ChunkEnd } else { Rest::Chunk(left) };
                    return Ok(Some(data));
                }
                Rest::ChunkEnd => match &self.line(2).await?[..] {
                    b"" => Rest::ChunkSize,
                    _ => return Err(ReadError::Broken),
                },
                Rest::ChunkSize => {
                    let line = self.line(SIZE_LINE_BYTES_MAX).await?;
                    let (size, extension_bytes) = chunk_size(&line).ok_or(ReadError::Broken)?;
                    self.count(extension_bytes)?;
                    if size == 0 { Rest::Trailers } else { Rest::Chunk(size) }
                }
                Rest::Trailers => {
                    let line = self.line(DECORATION_BYTES_MAX).await?;
                    self.count(line.len())?;
                    match line.iter().position(|byte| *byte == b':') {
                        None if line.is_empty() => Rest::Ended,
                        None | Some(0) => return Err(ReadError::Broken),
                        // It could say something, but nothing that we act on.
                        Some(_) => Rest::Trailers,
                    }
                }
            };
        }
    }

    /// The next line without its end, which must be CR LF: parsers do not agree on what one of them alone is.
    async fn line(&mut self, bytes_max: usize) -> Result<Bytes, ReadError> {
        let line = self.input.take_line(bytes_max).await.ok_or(ReadError::Broken)?;
        let line = line.strip_suffix(b"\r\n").map(|text| line.slice_ref(text)).ok_or(ReadError::Broken)?;
        if line.contains(&b'\r') { Err(ReadError::Broken) } else { Ok(line) }
    }

    fn count(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.decoration_bytes += bytes;
        if self.decoration_bytes > DECORATION_BYTES_MAX { Err(ReadError::Broken) } else { Ok(()) }
    }
}

/// The size that `line` names, and how many bytes follow it there: `size [;extensions]`.
fn chunk_size(line: &[u8]) -> Option<(u64, usize)> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, extensions) = line.split_at(end);
    // Fifteen digits are more than anybody sends, and fit.
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let extension = extensions.trim_ascii_start();
    if !(extension.is_empty() || extension.starts_with(b";")) {
        return None;
    }
    let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((size, extensions.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_hexadecimal_and_may_be_extended() {
        for (line, size) in [("0", 0), ("1aF", 0x1af), ("5;a=b", 5), ("5 ;a", 5), ("00005", 5), ("5 ", 5), ("5;", 5)] {
            assert_eq!(chunk_size(line.as_bytes()).map(|(size, _)| size), Some(size), "{line}");
        }
        for line in ["", " 5", "+5", "0x5", "5x", "-1", "5 5", "1000000000000000", "g", ";a"] {
            assert_eq!(chunk_size(line.as_bytes()), None, "{line}");
        }
    }
}
