//! Raw deflate (RFC 1951), flushed so that each piece can be read: what `flate2` does, as a [`Codec`].

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Codec, Progress};

/// Room made for output at a time.
const OUT_BYTES: usize = 8 * 1024;

/// Deflate both ways.
#[derive(Debug)]
pub(crate) struct Deflate {
    compress: Compress,
    decompress: Decompress,
}

impl Deflate {
    /// `level`: 1 is fast, 9 is small.
    pub(crate) fn new(level: u8) -> Self {
        Self {
            compress: Compress::new(Compression::new(u32::from(level.clamp(1, 9))), false),
            decompress: Decompress::new(false),
        }
    }
}

impl Codec for Deflate {
    fn compress(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        while !input.is_empty() {
            out.reserve(OUT_BYTES);
            let before = self.compress.total_in();
            self.compress.compress_vec(input, out, FlushCompress::None)?;
            input = &input[(self.compress.total_in() - before) as usize..];
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        loop {
            out.reserve(OUT_BYTES);
            self.compress.compress_vec(&[], out, FlushCompress::Sync)?;
            // With room left over, everything is out.
            if out.len() < out.capacity() {
                return Ok(());
            }
        }
    }

    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Progress> {
        let (total_in, total_out) = (self.decompress.total_in(), self.decompress.total_out());
        let status = self.decompress.decompress(input, output, FlushDecompress::None)?;
        Ok(Progress {
            taken: (self.decompress.total_in() - total_in) as usize,
            given: (self.decompress.total_out() - total_out) as usize,
            ended: status == Status::StreamEnd,
        })
    }
}
