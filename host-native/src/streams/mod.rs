//! Byte streams on byte streams: what an NSQ connection is changed into after IDENTIFY. TLS is [`crate::tls`]'s; here are
//! snappy and deflate, each a [`Codec`], and [`Compressed`], the stream that any of them makes of another.
//!
//! What holds: what was flushed is out, with no message left in a compressor. A stream holds a bounded number of bytes, whatever
//! comes in: it decompresses into the buffer of whoever reads, and no further.

mod compressed;
mod deflate;
mod prefixed;
mod snappy;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use compressed::Compressed;
pub(crate) use deflate::Deflate;
pub(crate) use prefixed::Prefixed;
pub(crate) use snappy::Snappy;

/// A stream of bytes both ways, of whatever kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A way to compress, and back, a stream of bytes each. Knows no sockets.
pub(crate) trait Codec: Send + Unpin {
    /// Takes all of `input`, and appends to `out` what is ready of it, compressed.
    fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> std::io::Result<()>;

    /// Appends to `out` the rest of what was taken, so that the other side can read it.
    fn flush(&mut self, out: &mut Vec<u8>) -> std::io::Result<()>;

    /// Decompresses some of `input` into `output`. What neither takes nor gives needs more input.
    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> std::io::Result<Progress>;
}

/// What one step of decompression did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of the input that are done with.
    pub(crate) taken: usize,
    /// Bytes of the output that were written.
    pub(crate) given: usize,
    /// The stream says that it ends here.
    pub(crate) ended: bool,
}

#[cfg(test)]
mod scenes;
#[cfg(test)]
mod tests;
