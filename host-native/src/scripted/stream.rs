//! Streams in memory that do all that a stream may do.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use parking_lot::Mutex;
use sansq_core::rng::Rng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;

/// So many polls that change nothing are too many.
const IDLE_POLLS_MAX: u32 = 20_000;

/// How the streams of a scene behave.
#[derive(Debug)]
struct Manner {
    /// Of a hundred operations, so many have to wait for no reason.
    pauses: u64,
    /// Bytes taken or brought at a time, at most.
    piece_max: usize,
    /// Streams that may do so hold back what was not flushed.
    holds: bool,
}

impl Manner {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            pauses: pick(rng, [0, 0, 5, 20, 50]),
            piece_max: pick(rng, [100, 1448, 1448, 20_000, usize::MAX]),
            holds: rng.below(4) == 0,
        }
    }
}

/// One of `choices`.
pub(super) fn pick<T: Copy, const N: usize>(rng: &mut Rng, choices: [T; N]) -> T {
    choices[rng.below(N as u64) as usize]
}

/// What is under way from one end to the other.
struct Pipe {
    bytes: VecDeque<u8>,
    /// Of them, those that were not flushed.
    held: usize,
    /// What is written arrives when it is flushed, or when the window is full of it.
    holds: bool,
    window: usize,
    ended: bool,
    /// One end is gone: what is written goes nowhere.
    broken: bool,
    /// The stream was cut off, which is an error to the reader too.
    cut: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn readable(&self) -> usize {
        self.bytes.len() - self.held
    }
}

/// Who is to be woken.
#[derive(Clone, Copy)]
enum Due {
    Reader(usize),
    Writer(usize),
}

/// The streams of a scene.
pub(super) struct World {
    rng: Rng,
    manner: Manner,
    pipes: Vec<Pipe>,
    /// Wake-ups that were not given yet.
    due: Vec<Due>,
    /// Of the stage.
    pub(super) waker: Option<Waker>,
    /// Polls since anything happened.
    idle_polls: u32,
}

pub(super) type SharedWorld = Arc<Mutex<World>>;

impl World {
    pub(super) fn new(mut rng: Rng) -> Self {
        let manner = Manner::draw(&mut rng);
        Self { rng, manner, pipes: Vec::new(), due: Vec::new(), waker: None, idle_polls: 0 }
    }

    /// Notes that a poll changed nothing: an error if there were too many.
    pub(super) fn idle(&mut self) -> Result<(), String> {
        self.idle_polls += 1;
        if self.idle_polls > IDLE_POLLS_MAX {
            return Err(format!("busy: {IDLE_POLLS_MAX} polls have changed nothing; {}", self.describe()));
        }
        Ok(())
    }

    /// Something happened.
    pub(super) fn moved(&mut self) {
        self.idle_polls = 0;
    }

    /// How many wake-ups are to be given.
    pub(super) fn due(&self) -> usize {
        self.due.len()
    }

    /// Gives one of them.
    pub(super) fn wake(&mut self, index: usize) {
        let waker = match self.due.swap_remove(index) {
            Due::Reader(pipe) => self.pipes[pipe].reader.take(),
            Due::Writer(pipe) => self.pipes[pipe].writer.take(),
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes somebody who has nothing to do, and stays registered.
    pub(super) fn wake_for_nothing(&mut self) {
        if self.pipes.is_empty() {
            return;
        }
        let index = self.rng.below(self.pipes.len() as u64) as usize;
        let pipe = &self.pipes[index];
        if let Some(waker) = if self.rng.below(2) == 0 { &pipe.reader } else { &pipe.writer } {
            waker.wake_by_ref();
        }
    }

    /// What the streams wait for.
    pub(super) fn describe(&self) -> String {
        let pipe = |(index, pipe): (usize, &Pipe)| {
            let waits = |waker: &Option<Waker>| if waker.is_some() { "waits" } else { "does not wait" };
            let (readable, held, window) = (pipe.readable(), pipe.held, pipe.window);
            let (reader, writer) = (waits(&pipe.reader), waits(&pipe.writer));
            let state = if pipe.broken {
                ", broken"
            } else if pipe.ended {
                ", ended"
            } else {
                ""
            };
            format!(
                "pipe {index}{state}: {readable} bytes to read, {held} not flushed, window {window}, its reader {reader}, its writer {writer}"
            )
        };
        let pipes: Vec<_> = self.pipes.iter().enumerate().map(pipe).collect();
        format!("{:?}; {}", self.manner, pipes.join("; "))
    }

    fn open(&mut self, may_hold: bool) -> usize {
        let window = pick(&mut self.rng, [100, 1448, 5000, 65_536, 1 << 20]);
        self.pipes.push(Pipe {
            bytes: VecDeque::new(),
            held: 0,
            holds: may_hold && self.manner.holds,
            window,
            ended: false,
            broken: false,
            cut: false,
            reader: None,
            writer: None,
        });
        self.pipes.len() - 1
    }

    fn call(&mut self, due: Due) {
        self.due.push(due);
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    fn pauses(&mut self) -> bool {
        self.rng.below(100) < self.manner.pauses
    }

    /// How much of `most` bytes goes at once.
    fn piece(&mut self, most: usize) -> usize {
        let most = most.min(self.manner.piece_max);
        match self.rng.below(5) {
            0 => 1 + self.rng.below(most.min(8) as u64) as usize,
            1 => 1 + self.rng.below(most as u64) as usize,
            _ => most,
        }
    }

    fn poll_read(&mut self, index: usize, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.pauses() {
            self.pipes[index].reader = Some(cx.waker().clone());
            self.call(Due::Reader(index));
            return Poll::Pending;
        }
        let pipe = &mut self.pipes[index];
        if pipe.cut {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        let most = pipe.readable().min(buf.remaining());
        if most == 0 {
            if pipe.ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = self.piece(most);
        let pipe = &mut self.pipes[index];
        let (front, back) = pipe.bytes.as_slices();
        let first = front.len().min(count);
        buf.put_slice(&front[..first]);
        buf.put_slice(&back[..count - first]);
        pipe.bytes.drain(..count);
        self.moved();
        self.call(Due::Writer(index));
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, index: usize, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.pauses() {
            self.pipes[index].writer = Some(cx.waker().clone());
            self.call(Due::Writer(index));
            return Poll::Pending;
        }
        let pipe = &mut self.pipes[index];
        if pipe.broken || pipe.ended {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let all: usize = bufs.iter().map(|buf| buf.len()).sum();
        if all == 0 {
            return Poll::Ready(Ok(0));
        }
        let most = pipe.window.saturating_sub(pipe.bytes.len()).min(all);
        if most == 0 {
            pipe.writer = Some(cx.waker().clone());
            if std::mem::take(&mut pipe.held) > 0 {
                self.call(Due::Reader(index));
            }
            return Poll::Pending;
        }
        let count = self.piece(most);
        let pipe = &mut self.pipes[index];
        let mut left = count;
        for buf in bufs {
            let part = buf.len().min(left);
            pipe.bytes.extend(&buf[..part]);
            left -= part;
        }
        if pipe.holds {
            pipe.held += count;
        } else {
            self.call(Due::Reader(index));
        }
        self.moved();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, index: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pipes[index].held > 0 {
            if self.pauses() {
                self.pipes[index].writer = Some(cx.waker().clone());
                self.call(Due::Writer(index));
                return Poll::Pending;
            }
            self.pipes[index].held = 0;
            self.moved();
            self.call(Due::Reader(index));
        }
        if self.pipes[index].broken { Poll::Ready(Err(ErrorKind::BrokenPipe.into())) } else { Poll::Ready(Ok(())) }
    }

    fn end(&mut self, index: usize) {
        let pipe = &mut self.pipes[index];
        (pipe.held, pipe.ended) = (0, true);
        self.moved();
        self.call(Due::Reader(index));
    }

    /// Nothing that is written arrives any more.
    fn break_off(&mut self, index: usize) {
        let pipe = &mut self.pipes[index];
        pipe.broken = true;
        pipe.bytes.clear();
        pipe.held = 0;
        self.moved();
        self.call(Due::Writer(index));
    }

    fn cut(&mut self, index: usize) {
        self.pipes[index].cut = true;
        self.break_off(index);
        self.call(Due::Reader(index));
    }
}

/// One end of a stream. What is written to it is read from the other, in order; as of a TCP socket, nobody needs to flush it for
/// that, but for the scenes that hold back what was not flushed ([`Stage::pair_that_holds`](super::Stage::pair_that_holds)).
pub(crate) struct End {
    world: SharedWorld,
    reads: usize,
    writes: usize,
}

impl End {
    pub(super) fn pair(world: &SharedWorld, may_hold: bool) -> (Self, Self) {
        let mut inner = world.lock();
        let (there, back) = (inner.open(may_hold), inner.open(may_hold));
        drop(inner);
        (
            Self { world: world.clone(), reads: back, writes: there },
            Self { world: world.clone(), reads: there, writes: back },
        )
    }

    /// What can cut it off, from below whatever is built on it.
    pub(crate) fn switch(&self) -> Switch {
        Switch { world: self.world.clone(), pipes: [self.reads, self.writes] }
    }

    /// Does an operation of the stream, which the runtime counts as it counts those of its own.
    fn operate<T>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut World, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let proceed = ready!(coop::poll_proceed(cx));
        let mut world = self.world.lock();
        let done = operation(&mut world, cx);
        if done.is_ready() {
            proceed.made_progress();
        } else if let Err(trouble) = world.idle() {
            return Poll::Ready(Err(io::Error::other(trouble)));
        }
        done
    }
}

/// Cuts a stream off.
pub(crate) struct Switch {
    world: SharedWorld,
    pipes: [usize; 2],
}

impl Switch {
    /// An error at both ends, and what was under way is lost.
    pub(crate) fn cut(&self) {
        let mut world = self.world.lock();
        self.pipes.iter().for_each(|pipe| world.cut(*pipe));
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.operate(cx, |world, cx| world.poll_read(self.reads, cx, buf))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.operate(cx, |world, cx| world.poll_write(self.writes, cx, &[IoSlice::new(buf)]))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.operate(cx, |world, cx| world.poll_write(self.writes, cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.operate(cx, |world, cx| world.poll_flush(self.writes, cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.operate(cx, |world, cx| world.poll_flush(self.writes, cx)))?;
        self.world.lock().end(self.writes);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut world = self.world.lock();
        world.end(self.writes);
        world.break_off(self.reads);
    }
}
