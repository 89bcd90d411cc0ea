//! The body of MPUB: `[4 bytes count]([4 bytes size][message])*`. It is judged while it arrives, so a client hears of a bad
//! count or size as soon as the bytes that show it are there.
//!
//! Departure from nsqd (`readMPUB` in `protocol_v2.go`), which trusts the count and the sizes and ignores the body's
//! declared size: a body that its messages do not fill exactly is refused, so it can neither exceed `max_body_size`
//! nor leave the stream at a wrong place.

use super::error::{CommandError, ErrorCode};

/// Smallest message on the wire: its size and one byte.
const MESSAGE_BYTES_MIN: usize = 5;
const SIZE_BYTES: usize = 4;

/// How far the judgement of one body has come; what is behind it is not looked at again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MpubScan {
    /// Messages announced; 0 before the count was read.
    count: u32,
    /// Messages judged good.
    seen: u32,
    /// Where the next one begins in the body.
    offset: u32,
}

/// What a scan found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// The body is whole and good.
    Whole,
    /// Nothing wrong so far; judging on takes the body's first `need` bytes.
    More {
        /// At most the declared size.
        need: usize,
    },
}

impl MpubScan {
    /// Judges as much as there is. `arrived` is the body from its start, of which `declared` bytes are to come in all.
    pub fn advance(
        &mut self,
        arrived: &[u8],
        declared: usize,
        max_msg_size: usize,
        max_body_size: usize,
    ) -> Result<Scanned, CommandError> {
        let arrived = &arrived[..arrived.len().min(declared)];
        let mismatch = || {
            let detail = format!("MPUB body size {declared} does not match its messages");
            CommandError::new(ErrorCode::BadBody, detail)
        };
        if self.count == 0 {
            if declared < SIZE_BYTES {
                return Err(mismatch());
            }
            let Some(count) = size_at(arrived, 0) else {
                return Ok(Scanned::More { need: SIZE_BYTES });
            };
            let most = max_body_size.saturating_sub(SIZE_BYTES) / MESSAGE_BYTES_MIN;
            self.count = match u32::try_from(count) {
                Ok(good) if good > 0 && good as usize <= most => good,
                _ => {
                    return Err(CommandError::new(ErrorCode::BadBody, format!("MPUB invalid message count {count}")));
                }
            };
            self.offset = SIZE_BYTES as u32;
        }
        while self.seen < self.count {
            let start = self.offset as usize + SIZE_BYTES;
            if start > declared {
                return Err(mismatch());
            }
            let Some(size) = size_at(arrived, self.offset as usize) else {
                return Ok(Scanned::More { need: start });
            };
            let size = self.check_size(size, max_msg_size)?;
            let end = start + size;
            if end > declared {
                return Err(mismatch());
            }
            if end > arrived.len() {
                return Ok(Scanned::More { need: end });
            }
            self.offset = end as u32;
            self.seen += 1;
        }
        if self.offset as usize == declared { Ok(Scanned::Whole) } else { Err(mismatch()) }
    }

    /// How many messages were judged good.
    pub fn messages(&self) -> u32 {
        self.seen
    }

    #[inline]
    fn check_size(&self, size: i32, max_msg_size: usize) -> Result<usize, CommandError> {
        match usize::try_from(size) {
            Ok(good) if good > 0 && good <= max_msg_size => Ok(good),
            Ok(big) if big > 0 => {
                let detail = format!("MPUB message too big {big} > {max_msg_size}");
                Err(CommandError::new(ErrorCode::BadMessage, detail))
            }
            _ => {
                let detail = format!("MPUB invalid message({}) body size {size}", self.seen);
                Err(CommandError::new(ErrorCode::BadMessage, detail))
            }
        }
    }

    /// The stream ended, or fell silent, with the first `arrived` bytes of the body there.
    pub fn missing(&self, arrived: usize) -> CommandError {
        if self.count == 0 {
            CommandError::new(ErrorCode::BadBody, "MPUB failed to read message count")
        } else if arrived < self.offset as usize + SIZE_BYTES {
            let detail = format!("MPUB failed to read message({}) body size", self.seen);
            CommandError::new(ErrorCode::BadMessage, detail)
        } else {
            CommandError::new(ErrorCode::BadMessage, "MPUB failed to read message body")
        }
    }
}

/// The messages of a body found [`Scanned::Whole`].
pub fn mpub_messages(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body.get(SIZE_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (size, tail) = rest.split_first_chunk()?;
        let (message, tail) = tail.split_at_checked(u32::from_be_bytes(*size) as usize)?;
        rest = tail;
        Some(message)
    })
}

#[inline]
fn size_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const MAX_MSG: usize = 100;
    const MAX_BODY: usize = 1000;

    fn body(count: i32, messages: &[&[u8]]) -> Vec<u8> {
        let mut body = count.to_be_bytes().to_vec();
        for message in messages {
            body.extend((message.len() as i32).to_be_bytes());
            body.extend(*message);
        }
        body
    }

    fn scan(bytes: &[u8], declared: usize) -> Result<Scanned, String> {
        let scanned = MpubScan::default().advance(bytes, declared, MAX_MSG, MAX_BODY);
        scanned.map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn a_good_body_is_whole_at_its_last_byte_and_not_before() {
        let body = body(3, &[b"a", b"bcd", b"ef"]);
        let mut piecewise = MpubScan::default();
        for end in 0..body.len() {
            assert!(matches!(scan(&body[..end], body.len()), Ok(Scanned::More { need }) if need > end));
            let step = piecewise.advance(&body[..end], body.len(), MAX_MSG, MAX_BODY);
            assert!(matches!(step, Ok(Scanned::More { need }) if need > end));
        }
        assert_eq!(piecewise.advance(&body, body.len(), MAX_MSG, MAX_BODY), Ok(Scanned::Whole));
        assert_eq!(mpub_messages(&body).collect::<Vec<_>>(), [&b"a"[..], b"bcd", b"ef"]);
    }

    #[test]
    fn the_count_is_bounded_by_the_largest_body() {
        for (count, good) in [(-1, false), (0, false), (1, true), (199, true), (200, false)] {
            let scanned = scan(&body(count, &[]), 999);
            assert_eq!(scanned.is_ok(), good, "{count}");
            if !good {
                assert_eq!(scanned, Err(format!("E_BAD_BODY MPUB invalid message count {count}")));
            }
        }
    }

    #[test]
    fn bad_sizes_are_told_at_once() {
        let mut bytes = body(3, &[b"a"]);
        bytes.extend(0i32.to_be_bytes());
        assert_eq!(scan(&bytes, 900).unwrap_err(), "E_BAD_MESSAGE MPUB invalid message(1) body size 0");
        let mut bytes = body(3, &[b"a"]);
        bytes.extend(101i32.to_be_bytes());
        assert_eq!(scan(&bytes, 900).unwrap_err(), "E_BAD_MESSAGE MPUB message too big 101 > 100");
    }

    #[test]
    fn the_messages_must_fill_the_body() {
        let bytes = body(2, &[b"a", b"b"]);
        for declared in [1, 3, 4, 7, 8, 9, 12, 13] {
            let expected = format!("E_BAD_BODY MPUB body size {declared} does not match its messages");
            assert_eq!(scan(&bytes, declared).unwrap_err(), expected);
        }
        let mut long = bytes.clone();
        long.push(0);
        assert!(scan(&long, long.len()).is_err());
        assert_eq!(scan(&long, bytes.len()), Ok(Scanned::Whole));
    }

    #[test]
    fn what_is_missing_depends_on_where() {
        let body = body(2, &[b"abc", b"d"]);
        let missing = |arrived: usize| {
            let mut scan = MpubScan::default();
            scan.advance(&body[..arrived], body.len(), MAX_MSG, MAX_BODY).unwrap();
            format!("{:?}", scan.missing(arrived))
        };
        assert_eq!(missing(3), "E_BAD_BODY MPUB failed to read message count");
        assert_eq!(missing(4), "E_BAD_MESSAGE MPUB failed to read message(0) body size");
        assert_eq!(missing(8), "E_BAD_MESSAGE MPUB failed to read message body");
        assert_eq!(missing(11), "E_BAD_MESSAGE MPUB failed to read message(1) body size");
    }
}
