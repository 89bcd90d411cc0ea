//! Each codec against itself and against bytes that other programs made.

use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use sansq_core::rng::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};

use super::*;

/// Two ends of one kind.
type Ends = (&'static str, Box<dyn Codec>, Box<dyn Codec>);

fn codecs() -> [Ends; 2] {
    [
        ("deflate", Box::new(Deflate::new(6)), Box::new(Deflate::new(1))),
        ("snappy", Box::new(Snappy::new()), Box::new(Snappy::new())),
    ]
}

impl Codec for Box<dyn Codec> {
    fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        (**self).compress(input, out)
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> std::io::Result<()> {
        (**self).flush(out)
    }

    fn decompress(&mut self, input: &[u8], output: &mut [u8]) -> std::io::Result<Progress> {
        (**self).decompress(input, output)
    }
}

/// Both ends of a stream, with so many bytes between them.
fn pair(here: Box<dyn Codec>, there: Box<dyn Codec>, bytes: usize) -> [Compressed<DuplexStream, Box<dyn Codec>>; 2] {
    let (a, b) = duplex(bytes);
    [Compressed::new(a, here, Bytes::new()), Compressed::new(b, there, Bytes::new())]
}

fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    (0..count).map(|_| rng.below(256) as u8).collect()
}

#[tokio::test]
async fn what_was_flushed_can_be_read_with_nothing_more_to_come() {
    for (name, here, there) in codecs() {
        let [mut near, mut far] = pair(here, there, 1 << 20);
        for size in [1, 2, 1000, 70_000, 1] {
            for text in [vec![b'x'; size], noise(size as u64, size)] {
                near.write_all(&text).await.unwrap();
                near.flush().await.unwrap();
                let mut back = vec![0; size];
                far.read_exact(&mut back).await.unwrap();
                assert!(back == text, "{name}, {size} bytes");
            }
        }
        // Nothing new is no new bytes.
        near.flush().await.unwrap();
        near.shutdown().await.unwrap();
        assert_eq!(far.read(&mut [0; 10]).await.unwrap(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_narrow_pipe_carries_it_too() {
    for (name, here, there) in codecs() {
        let [mut near, mut far] = pair(here, there, 7);
        let text = [noise(1, 200_000), vec![0; 300_000]].concat();
        let write = async {
            near.write_all(&text).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let mut back = Vec::new();
        let (_, read) = futures::future::join(write, far.read_to_end(&mut back)).await;
        assert_eq!(read.unwrap(), text.len(), "{name}");
        assert!(back == text, "{name}");
    }
}

#[tokio::test]
async fn what_was_read_already_comes_first() {
    for (name, mut here, there) in codecs() {
        let mut rest = Vec::new();
        here.compress(b"one ", &mut rest).unwrap();
        here.flush(&mut rest).unwrap();
        let (a, b) = duplex(1000);
        let mut near = Compressed::new(a, here, Bytes::new());
        let mut far = Compressed::new(b, there, Bytes::from(rest));
        near.write_all(b"two").await.unwrap();
        near.flush().await.unwrap();
        let mut back = [0; 7];
        far.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"one two", "{name}");
    }
}

/// What is large when it is decompressed is read no faster than it is asked for.
#[tokio::test]
async fn a_bomb_fills_no_more_than_the_buffer_of_who_reads() {
    for (name, mut here, there) in codecs() {
        let (mut bomb, zeros) = (Vec::new(), vec![0; 1 << 20]);
        (0..20).for_each(|_| here.compress(&zeros, &mut bomb).unwrap());
        here.flush(&mut bomb).unwrap();
        let mut source = std::io::Cursor::new(bomb);
        Compressed::new(&mut source, there, Bytes::new()).read_exact(&mut [0; 10_000]).await.unwrap();
        // One read, and one chunk where there are chunks.
        let most = if name == "snappy" { (1 << 14) + (1 << 17) } else { 1 << 14 };
        assert!(source.position() <= most, "{name}: {}", source.position());
    }
}

/// Counts how often it rings.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A peer that never stops sending blocks with nothing in them.
struct Nothings {
    block: &'static [u8],
    given: usize,
}

impl AsyncRead for Nothings {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        for _ in 0..buf.remaining() {
            let at = self.given % self.block.len();
            buf.put_slice(&self.block[at..=at]);
            self.given += 1;
        }
        assert!(self.given < 1 << 20, "one poll reads on and on");
        Poll::Ready(Ok(()))
    }
}

/// What brings nothing, however much of it there is, ends a read all the same: others of the thread have their turn.
#[test]
fn a_read_of_nothing_ends_and_goes_on_later() {
    let deflate: &[u8] = b"\0\0\0\xff\xff";
    let snappy: &[u8] = b"\xff\x06\0\0sNaPpY\xfe\0\0\0";
    for ((name, _, there), block) in codecs().into_iter().zip([deflate, snappy]) {
        let mut nothings = Nothings { block, given: 0 };
        let mut stream = pin!(Compressed::new(&mut nothings, there, Bytes::new()));
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        let mut output = [0; 10];
        for polls in 1..=3 {
            let mut buffer = ReadBuf::new(&mut output);
            assert!(stream.as_mut().poll_read(&mut Context::from_waker(&waker), &mut buffer).is_pending(), "{name}");
            assert_eq!(bell.0.load(Ordering::Relaxed), polls, "{name} wants another poll");
        }
        assert!(nothings.given <= 3 * (1 << 17), "{name}: {} bytes in three polls", nothings.given);
    }
}

#[tokio::test]
async fn what_is_not_compressed_is_an_error() {
    let snappy: &[&[u8]] = &[
        b"  V2",
        b"\xff\x06\0\0sNaPpX",
        b"\xff\x06\0\0sNaPpY\x02\0\0\0",
        b"\xff\x06\0\0sNaPpY\0\xff\xff\xff",
        b"\xff\x06\0\0sNaPpY\xfe\xff\xff\xff",
        b"\xff\x06\0\0sNaPpY\x01\x05\0\0\0\0\0\0x",
    ];
    let deflate: &[&[u8]] = &[b"\x06", b"\xff\xff\xff"];
    for (wrong, there) in [(deflate, 0), (snappy, 1)] {
        for bytes in wrong {
            let (mut near, b) = duplex(1000);
            let [deflate, snappy] = codecs();
            let mut far = Compressed::new(b, if there == 0 { deflate.1 } else { snappy.1 }, Bytes::new());
            near.write_all(bytes).await.unwrap();
            let error = far.read(&mut [0; 10]).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other),
                "{error:?}"
            );
        }
    }
}

/// Any bytes, in any pieces, end in an error or in other bytes.
#[test]
fn nothing_that_is_read_is_a_panic() {
    for seed in 0..2000 {
        for (_, mut here, mut there) in codecs() {
            let mut rng = Rng::new(seed);
            let mut bytes = Vec::new();
            here.compress(&noise(seed, 300), &mut bytes).unwrap();
            here.flush(&mut bytes).unwrap();
            for _ in 0..=rng.below(3) {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] = rng.below(256) as u8;
            }
            let (mut at, mut output) = (0, [0; 100]);
            while at < bytes.len() {
                let end = (at + 1 + rng.below(50) as usize).min(bytes.len());
                match there.decompress(&bytes[at..end], &mut output) {
                    Ok(progress) if !progress.ended => at += progress.taken,
                    Ok(_) | Err(_) => break,
                }
            }
        }
    }
}

/// What Go's `compress/flate` and `snappy` write for `OK` and a flush.
#[tokio::test]
async fn what_the_reference_writes_is_read() {
    let deflate: &[u8] = &[0xf2, 0xf7, 0x06, 0, 0, 0, 0xff, 0xff];
    let mut there = Deflate::new(6);
    let mut output = [0; 10];
    assert_eq!(there.decompress(deflate, &mut output).unwrap().given, 2);
    assert_eq!(&output[..2], b"OK");
}
