//! Scenes of streams on streams: two ends that talk in rounds, each of which waits for all of the other's before the next. So
//! what was flushed has to arrive with nothing more to come, in both directions at once.

use std::io::IoSlice;
use std::time::Duration;

use bytes::Bytes;
use sansq_core::rng::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split};
use tokio::sync::watch;

use super::*;
use crate::scripted::{End, Stage, body, check};

/// Nothing here needs time.
const AT_ONCE: Duration = Duration::from_millis(100);

/// What an end says, a text for each round.
type Lines = Vec<Vec<u8>>;

fn scene(stage: &mut Stage, wrap: impl Fn(End, Bytes) -> Box<dyn Stream>, reads_ahead: bool) {
    let rounds = 1 + stage.below(6);
    let size = stage.pick([2, 100, 5000, 60_000, 150_000]) / rounds + 1;
    let mut lines = |number: u32| -> Lines {
        (0..rounds).map(|round| body(number + round as u32, stage.below(size) as usize)).collect()
    };
    let (here, there) = (lines(0), lines(100));
    let (near, far) = stage.pair_that_holds();
    // Some of what the other end says first was read before.
    let ahead = if reads_ahead { stage.below(there[0].len() as u64 + 1) as usize } else { 0 };
    let mut rest = there.clone();
    let read = Bytes::from(rest[0].drain(..ahead).collect::<Vec<_>>());
    let (near, far) = (wrap(near, read), wrap(far, Bytes::new()));
    let rngs = [stage.rng(), stage.rng()];
    let [a, b] = rngs;
    stage.task("the near end", talk(near, here.clone(), there, a));
    stage.task("the far end", talk(far, rest, here, b));
}

async fn talk(stream: Box<dyn Stream>, says: Lines, hears: Lines, mut rng: Rng) {
    let (mut reader, mut writer) = split(stream);
    let (heard, mut hearing) = watch::channel(0);
    let writing = async {
        for (round, line) in says.iter().enumerate() {
            let mut rest = &line[..];
            while !rest.is_empty() {
                let (piece, other) = rest.split_at(1 + rng.below(rest.len() as u64) as usize);
                rest = other;
                match rng.below(3) {
                    0 => {
                        let slices = [IoSlice::new(&piece[..piece.len() / 2]), IoSlice::new(&piece[piece.len() / 2..])];
                        let written = writer.write_vectored(&slices).await.unwrap();
                        writer.write_all(&piece[written..]).await.unwrap();
                    }
                    _ => writer.write_all(piece).await.unwrap(),
                }
                if rng.below(8) == 0 {
                    writer.flush().await.unwrap();
                }
            }
            writer.flush().await.unwrap();
            hearing.wait_for(|rounds| *rounds > round).await.unwrap();
        }
        writer.shutdown().await.unwrap();
    };
    let reading = async {
        for (round, line) in hears.iter().enumerate() {
            let mut text = vec![0; line.len()];
            reader.read_exact(&mut text).await.unwrap();
            assert!(text == *line, "round {round} says something else");
            heard.send_replace(round + 1);
        }
        assert_eq!(reader.read(&mut [0; 10]).await.unwrap(), 0, "the end, and nothing before it");
    };
    tokio::join!(writing, reading);
}

#[test]
fn a_stream_of_which_some_was_read_brings_everything() {
    check(2000, AT_ONCE, |stage| scene(stage, |end, rest| Box::new(Prefixed::new(end, rest)), true));
}

#[test]
fn a_stream_in_snappy_brings_everything() {
    check(1000, AT_ONCE, |stage| scene(stage, |end, rest| Box::new(Compressed::new(end, Snappy::new(), rest)), false));
}

#[test]
fn a_stream_in_deflate_brings_everything() {
    check(1000, AT_ONCE, |stage| {
        let level = stage.pick([1, 6, 9]);
        scene(stage, |end, rest| Box::new(Compressed::new(end, Deflate::new(level), rest)), false);
    });
}
