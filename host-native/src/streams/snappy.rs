//! Snappy in its framing format, checksums checked: what `snap` does with readers and writers, as a [`Codec`].

use std::io::{self, Read as _, Write as _};

use snap::read::FrameDecoder;
use snap::write::FrameEncoder;

use super::{Codec, Progress};

/// A chunk begins with its kind and its size.
const HEAD_BYTES: usize = 4;
/// No chunk of a stream is larger: 64 KiB that were made larger by compression. The decoder refuses it by its head.
const CHUNK_BYTES_MAX: usize = 128 * 1024;

/// Snappy both ways.
pub(crate) struct Snappy {
    encoder: FrameEncoder<Vec<u8>>,
    decoder: FrameDecoder<Chunk>,
    /// The beginning of a chunk whose end has not come.
    partial: Vec<u8>,
}

/// A whole chunk, for the decoder to read: it cannot go on in the middle of one.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    at: usize,
}

impl io::Read for Chunk {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = (&self.bytes[self.at..]).read(buf)?;
        self.at += count;
        Ok(count)
    }
}

impl Snappy {
    pub(crate) fn new() -> Self {
        Self {
            encoder: FrameEncoder::new(Vec::new()),
            decoder: FrameDecoder::new(Chunk::default()),
            partial: Vec::new(),
        }
    }

    /// How much the chunk that has begun lacks until more is known of it, or all.
    fn lacks(&self) -> usize {
        let size = match self.partial[..] {
            [_, a, b, c, ..] => HEAD_BYTES + u32::from_le_bytes([a, b, c, 0]) as usize,
            _ => HEAD_BYTES,
        };
        if size > CHUNK_BYTES_MAX { 0 } else { size - self.partial.len() }
    }
}

impl Codec for Snappy {
    fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.encoder.write_all(input)?;
        out.append(self.encoder.get_mut());
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.encoder.flush()?;
        out.append(self.encoder.get_mut());
        Ok(())
    }

    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Progress> {
        let mut taken = 0;
        loop {
            let given = self.decoder.read(output)?;
            if given > 0 {
                return Ok(Progress { taken, given, ended: false });
            }
            let lacks = self.lacks();
            if lacks > 0 {
                let count = lacks.min(input.len() - taken);
                if count == 0 {
                    return Ok(Progress { taken, given: 0, ended: false });
                }
                self.partial.extend_from_slice(&input[taken..taken + count]);
                taken += count;
            }
            if self.lacks() == 0 {
                let chunk = self.decoder.get_mut();
                chunk.at = 0;
                std::mem::swap(&mut chunk.bytes, &mut self.partial);
                self.partial.clear();
            }
        }
    }
}
