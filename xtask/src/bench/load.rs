//! The load generator: publishers and consumers with blocking sockets, prepared buffers and as few system calls as the
//! workload allows, since they share the machine with the daemon.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::prctl;

use super::connection::Connection;
use super::proc::thread_cpu;
use super::wire::{self, Frame, Message};

/// Message size of all scenarios.
pub(crate) const BODY_BYTES: usize = 200;

/// How long a scenario waits for the next message or answer before it gives up. A daemon that looks for due messages in a few
/// of its channels at a time takes about a minute to find one among 10,000.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often a consumer that shares a backlog looks whether the others have taken the rest.
const GLANCE: Duration = Duration::from_millis(20);

/// Nanoseconds since the first call: the clock that publishers stamp bodies with and consumers compare to.
pub(crate) fn nanos() -> u64 {
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    EPOCH.elapsed().as_nanos() as u64
}

/// A message body that starts with `stamp`.
pub(crate) fn stamped(stamp: u64) -> [u8; BODY_BYTES] {
    let mut body = [b'x'; BODY_BYTES];
    body[..8].copy_from_slice(&stamp.to_be_bytes());
    body
}

/// The stamp of a message whose body [`stamped`] made.
pub(crate) fn stamp(message: &Message<'_>) -> Result<u64> {
    match message.body.first_chunk() {
        Some(bytes) => Ok(u64::from_be_bytes(*bytes)),
        None => bail!("a message of {} bytes, which is not ours", message.body.len()),
    }
}

/// What a generator thread has to say at its end.
pub(crate) struct Done {
    /// When the last thing that counts happened.
    at: Instant,
    /// Nanoseconds, where the load is about them.
    latencies: Vec<u64>,
}

/// What a group of generator threads took.
#[derive(Default)]
pub(crate) struct Effort {
    /// From the start to the last thing that counts.
    pub(crate) elapsed: Duration,
    /// The threads' own CPU time.
    pub(crate) generator_cpu: Duration,
    /// All their latencies in nanoseconds.
    pub(crate) latencies: Vec<u64>,
}

/// Runs `work` on a thread for each of `shares`: a connection, or some.
pub(crate) fn in_parallel<T: Send>(shares: Vec<T>, work: impl Fn(T) -> Result<Done> + Sync) -> Result<Effort> {
    let begin = Instant::now();
    let ends: Vec<Result<(Done, Duration)>> = thread::scope(|scope| {
        let spawn = |share| scope.spawn(|| Ok((work(share)?, thread_cpu()?)));
        let threads: Vec<_> = shares.into_iter().map(spawn).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a generator thread panicked"))))
            .collect()
    });
    let mut effort = Effort::default();
    for end in ends {
        let (done, cpu) = end?;
        effort.elapsed = effort.elapsed.max(done.at - begin);
        effort.generator_cpu += cpu;
        effort.latencies.extend(done.latencies);
    }
    Ok(effort)
}

/// Runs `receive` on this thread while `publish` runs on another.
pub(crate) fn deliver(
    publish: impl FnOnce() -> Result<()> + Send,
    receive: impl FnOnce() -> Result<Vec<u64>>,
) -> Result<Effort> {
    let (begin, cpu_before) = (Instant::now(), thread_cpu()?);
    thread::scope(|scope| {
        let publishing = scope.spawn(|| publish().and_then(|()| thread_cpu()));
        let latencies = receive()?;
        let elapsed = begin.elapsed();
        let publisher_cpu = publishing.join().unwrap_or_else(|_| Err(anyhow!("the publisher panicked")))?;
        Ok(Effort { elapsed, generator_cpu: publisher_cpu + thread_cpu()? - cpu_before, latencies })
    })
}

/// Sends `command` `total` times with up to `window` unanswered. Room is refilled by the quarter of a window: as many small
/// writes as answers would measure the generator. (Reading by the quarter too, with `SO_RCVLOWAT`, stalls a daemon that
/// writes its answers one by one: unread, they are acknowledged late, and only ten segments may be on their way before that.)
pub(crate) fn pipeline(mut connection: Connection, command: &[u8], window: usize, total: usize) -> Result<Done> {
    let block = command.repeat(window);
    let (mut sent, mut answered) = (0, 0);
    while answered < total {
        let room = (window - (sent - answered)).min(total - sent);
        if room > 0 && (room * 4 >= window || room == total - sent) {
            connection.write(&block[..room * command.len()])?;
            sent += room;
        }
        connection.read_frames(|_, _| {
            answered += 1;
            Ok(())
        })?;
        connection.flush()?;
    }
    Ok(Done { at: Instant::now(), latencies: Vec::new() })
}

/// Sends `command` `total` times spread over the connections, each waiting for its answer before the next. One thread drives
/// several of them, since a thread each would cost a context switch per command. Notes the answer times.
pub(crate) fn one_at_a_time(mut connections: Vec<Connection>, command: &[u8], total: usize) -> Result<Done> {
    let readiness = Readiness::of(&connections)?;
    let mut latencies = Vec::with_capacity(total);
    let mut sent_at: Vec<u64> = Vec::with_capacity(connections.len());
    for connection in connections.iter_mut().take(total) {
        sent_at.push(nanos());
        connection.write(command)?;
    }
    let mut sent = sent_at.len();
    while latencies.len() < total {
        let ready = readiness.wait(PATIENCE)?;
        if ready.is_empty() {
            bail!("only {} of {total} publishes were answered", latencies.len());
        }
        for index in ready {
            let connection = &mut connections[index];
            let mut is_answered = false;
            connection.read_frames(|_, _| {
                is_answered = true;
                Ok(())
            })?;
            if is_answered {
                let now = nanos();
                latencies.push(now - sent_at[index]);
                if sent < total {
                    sent_at[index] = now;
                    connection.write(command)?;
                    sent += 1;
                }
            }
            connection.flush()?;
        }
    }
    Ok(Done { at: Instant::now(), latencies })
}

/// Sends command number 0, 1, .. `count` at `per_second`, each when it is due on a schedule fixed beforehand; late ones are
/// sent at once, and those that are due together in one write. `command` appends one; it gets the time it was due.
pub(crate) fn paced(
    connection: &mut Connection,
    per_second: u32,
    count: usize,
    mut command: impl FnMut(&mut Vec<u8>, usize, u64),
) -> Result<()> {
    // The default slack of 50 µs would be added to every sleep. The least value is 1: 0 stands for the default.
    prctl::set_timerslack(1)?;
    let begin = nanos();
    let due = |index: usize| begin + index as u64 * 1_000_000_000 / u64::from(per_second);
    let (mut sent, mut answered) = (0, 0);
    while sent < count {
        let now = nanos();
        if due(sent) > now {
            thread::sleep(Duration::from_nanos(due(sent) - now));
            continue;
        }
        while sent < count && due(sent) <= now {
            command(connection.queue(), sent, due(sent));
            sent += 1;
        }
        connection.flush()?;
        if sent - answered > 256 {
            answered += connection.take_responses()?;
        }
    }
    while answered < count {
        connection.read_frames(|_, _| {
            answered += 1;
            Ok(())
        })?;
    }
    Ok(())
}

/// Takes messages until `taken`, which is shared by the consumers of a channel, reaches `total`: a FIN each, one write per
/// read. Returns when the last message came, after the daemon has handled every FIN.
pub(crate) fn drain(mut connection: Connection, taken: &AtomicUsize, total: usize) -> Result<Done> {
    connection.set_read_timeout(Some(GLANCE))?;
    let (mut last, mut quiet_since) = (Instant::now(), Instant::now());
    let mut before = 0;
    wire::ready(connection.queue(), 2500);
    connection.flush()?;
    while taken.load(Ordering::Relaxed) < total {
        let mut messages = 0;
        connection.read_frames(|frame, out| {
            if let Frame::Message(message) = frame {
                wire::finish(out, message.id);
                messages += 1;
            }
            Ok(())
        })?;
        connection.flush()?;
        let now = taken.fetch_add(messages, Ordering::Relaxed) + messages;
        if messages > 0 {
            last = Instant::now();
        }
        if now != before {
            (before, quiet_since) = (now, Instant::now());
        } else if quiet_since.elapsed() > PATIENCE {
            bail!("only {now} of {total} messages came");
        }
    }
    connection.set_read_timeout(None)?;
    // Commands are handled in order, so the answer to CLS says that the FINs before it are done.
    connection.queue().extend_from_slice(b"CLS\n");
    connection.expect(b"CLOSE_WAIT")?;
    Ok(Done { at: last, latencies: Vec::new() })
}

/// What [`receive`] is to do with a message.
pub(crate) enum Reaction {
    /// FIN it and note this many nanoseconds.
    Finish(u64),
    /// Leave it in flight.
    Keep,
}

/// Takes messages from all connections until `expected` latencies are noted; returns them. `on_message` also gets the time of
/// the read. FINs go out once `finish_batch` of them are due on a connection, and all of them at the end.
pub(crate) fn receive(
    connections: &mut [Connection],
    expected: usize,
    finish_batch: usize,
    mut on_message: impl FnMut(&Message<'_>, u64) -> Result<Reaction>,
) -> Result<Vec<u64>> {
    let readiness = Readiness::of(connections)?;
    let mut latencies = Vec::with_capacity(expected);
    let mut unsent = vec![0; connections.len()];
    let mut last = nanos();
    while latencies.len() < expected {
        let ready = readiness.wait(PATIENCE)?;
        // Heartbeats make connections ready too.
        if nanos() - last > PATIENCE.as_nanos() as u64 {
            bail!("only {} of {expected} messages came", latencies.len());
        }
        for index in ready {
            let mut now = 0;
            connections[index].read_frames(|frame, out| {
                let Frame::Message(message) = frame else { return Ok(()) };
                if now == 0 {
                    now = nanos();
                    last = now;
                }
                if let Reaction::Finish(latency) = on_message(&message, now)? {
                    wire::finish(out, message.id);
                    latencies.push(latency);
                    unsent[index] += 1;
                }
                Ok(())
            })?;
            if unsent[index] >= finish_batch || unsent[index] == 0 {
                connections[index].flush()?;
                unsent[index] = 0;
            }
        }
    }
    connections.iter_mut().try_for_each(Connection::flush)?;
    Ok(latencies)
}

/// Which of many connections can be read, in the order of their indices.
struct Readiness(Epoll);

impl Readiness {
    fn of(connections: &[Connection]) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (index, connection) in connections.iter().enumerate() {
            epoll.add(connection, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
        }
        Ok(Self(epoll))
    }

    /// Empty when `patience` passes.
    fn wait(&self, patience: Duration) -> Result<Vec<usize>> {
        let mut events = [EpollEvent::empty(); 64];
        let count = self.0.wait(&mut events, EpollTimeout::try_from(patience)?)?;
        Ok(events[..count].iter().map(|event| event.data() as usize).collect())
    }
}

/// The value that `percent` of `samples` do not exceed, in milliseconds.
pub(crate) fn percentile_ms(samples: &mut [u64], percent: usize) -> f64 {
    samples.sort_unstable();
    let rank = (samples.len() * percent).div_ceil(100).max(1);
    samples.get(rank - 1).map_or(f64::NAN, |nanos| *nanos as f64 / 1e6)
}
