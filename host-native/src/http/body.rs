//! Reading request bodies, never more of them than the caller allows.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{EXPECT, HeaderMap};

/// How long the rest of a refused body is read before the connection is given up.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(5);

/// The body of a request.
pub(crate) struct RequestBody {
    incoming: Incoming,
    /// The client waits to be told before it sends the body, and has not been.
    held_back: bool,
    /// Its end was seen.
    ended: bool,
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
    /// The body `incoming` of a request with `headers`.
    pub(crate) fn new(headers: &HeaderMap, incoming: Incoming) -> Self {
        let held_back = headers.contains_key(EXPECT);
        Self { ended: incoming.is_end_stream(), incoming, held_back }
    }

    /// Whether the client announces more than `bytes_max` bytes. One that sends chunks announces nothing.
    pub(crate) fn announces_more_than(&self, bytes_max: usize) -> bool {
        self.incoming.size_hint().lower() > bytes_max as u64
    }

    /// All of it, at most `bytes_max` bytes. May share memory with the connection's read buffer, so what is kept for
    /// longer than the request must be copied.
    pub(crate) async fn read(&mut self, bytes_max: usize) -> Result<Bytes, ReadError> {
        if self.announces_more_than(bytes_max) {
            return Err(ReadError::TooLong);
        }
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        if self.ended && first.len() <= bytes_max {
            return Ok(first);
        }
        let mut whole = first.to_vec();
        while whole.len() <= bytes_max {
            match self.next().await? {
                Some(data) => whole.extend_from_slice(&data),
                None => return Ok(whole.into()),
            }
        }
        Err(ReadError::TooLong)
    }

    /// Reads what is left and forgets it, so that a client that still sends gets to read its answer. `false` if the
    /// connection cannot be used again: there was more than `bytes_max`, or it took too long.
    pub(crate) async fn discard(mut self, bytes_max: usize) -> bool {
        if self.ended || self.held_back {
            return self.ended;
        }
        let drained = async {
            let mut bytes = 0;
            while let Ok(Some(data)) = self.next().await {
                bytes += data.len();
                if bytes > bytes_max {
                    break;
                }
            }
            self.ended
        };
        tokio::time::timeout(DISCARD_TIME_MAX, drained).await.unwrap_or(false)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        self.held_back = false;
        while !self.ended {
            match self.incoming.frame().await {
                None => self.ended = true,
                Some(Err(_)) => return Err(ReadError::Broken),
                // Trailers are no part of a body.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.ended = self.incoming.is_end_stream();
                        return Ok(Some(data));
                    }
                }
            }
        }
        Ok(None)
    }
}
