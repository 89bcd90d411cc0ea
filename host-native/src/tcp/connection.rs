//! One client connection: moves bytes between a socket and its [`Session`], requests between the session and topics, and
//! letters from the mailbox to the session; changes the stream to TLS and compression when the session asks for it. Decides
//! nothing.
//!
//! A hand-written future rather than a chain of awaits, so that an idle connection keeps nothing but its state: reads go
//! through a buffer of the thread, replies are written from one. Only what a slow reader leaves unwritten is kept; while
//! something is, nothing more is read from that client and no letters are taken.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use sansq_core::message::{Batch, BatchBuilder};
use sansq_core::name::TopicName;
use sansq_core::protocol::{Answer, ConsumerCommand, Request, RequestId, Subscribe, Upgrade};
use sansq_core::session::{AuthFailed, Grant, Session};
use sansq_core::time::{Instant, Now};
use tokio::io::ReadBuf;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

use super::wire::{self, Wire};
use crate::auth::{AuthServers, Question};
use crate::node::{Client, Identity, Node, Stepped, TopicCell};
use crate::streams::Stream;

/// Time a client has to take its last replies.
const LINGER: Duration = Duration::from_secs(5);
/// A turn ends, and the other connections of the thread get theirs, after this time, so many bytes of commands (decrypted and
/// decompressed), or so many rounds of read, handle, write. Both are looked at between shares of what was read, which take a
/// fraction of the time each, and one share is always handled.
pub(super) const TURN: Duration = Duration::from_micros(250);
pub(super) const TURN_BYTES: usize = 256 * 1024;
const ROUNDS_MAX: u32 = 16;

/// Buffers of a thread, used by whichever connection runs.
struct Scratch {
    input: Box<[u8]>,
    output: Vec<u8>,
    requests: Vec<Request>,
    commands: Vec<ConsumerCommand>,
    builder: BatchBuilder,
    turn: Turn,
}

/// What is left of a turn.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    until: Instant,
    bytes: usize,
}

impl Turn {
    fn begin(now: Now) -> Self {
        Self { until: now.mono + TURN, bytes: TURN_BYTES }
    }

    fn is_over(self, now: Now) -> bool {
        now.mono >= self.until || self.bytes == 0
    }
}

/// An output buffer that grew beyond this for one burst is given back.
const OUTPUT_BYTES_KEPT: usize = 1024 * 1024;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        input: vec![0; wire::READ_BYTES].into(),
        output: Vec::new(),
        requests: Vec::new(),
        commands: Vec::new(),
        builder: BatchBuilder::default(),
        turn: Turn::default(),
    });
}

/// A connection's task.
pub(super) struct Connection<S> {
    wire: Wire<S>,
    session: Session,
    node: Arc<Node>,
    client: Arc<Client>,
    /// For clients that ask for it.
    tls: Option<TlsAcceptor>,
    /// For clients that have to be authorized.
    auth: Option<AuthServers>,
    /// What an auth server will answer.
    authorizing: Option<oneshot::Receiver<Result<Grant, AuthFailed>>>,
    /// A change of the stream that waits for the reply before it to be written.
    upgrade: Option<Upgrade>,
    /// And one that is under way.
    changing: bool,
    /// The topic of the subscription.
    subscribed: Option<Arc<TopicCell>>,
    /// Topics published to.
    #[expect(clippy::box_collection, reason = "an idle connection has none, and pays for a pointer only")]
    topics: Option<Box<HashMap<TopicName, Arc<TopicCell>>>>,
    /// What the socket did not take yet.
    unwritten: Vec<u8>,
    /// A layer of the stream still holds some of what was written.
    unflushed: bool,
    /// Input that was read and not handled: the session could take no more, or the turn was over.
    unhandled: Bytes,
    /// The session had to wait for an answer, and may hold a command that did: it is to be called when it wants input.
    held: bool,
    /// The client sends no more.
    ended: bool,
    /// When a closing connection gives up on its client.
    linger: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    closing: bool,
}

impl<S: Stream + 'static> Connection<S> {
    pub(super) fn new(
        socket: S,
        session: Session,
        node: Arc<Node>,
        client: Arc<Client>,
        tls: Option<TlsAcceptor>,
        auth: Option<AuthServers>,
    ) -> Self {
        Self {
            wire: Wire::Plain(socket),
            session,
            node,
            client,
            tls,
            auth,
            authorizing: None,
            upgrade: None,
            changing: false,
            unflushed: false,
            subscribed: None,
            topics: None,
            unwritten: Vec::new(),
            unhandled: Bytes::new(),
            held: false,
            ended: false,
            linger: None,
            sleep: None,
            closing: false,
        }
    }

    /// Does once what there is to do.
    fn round(&mut self, cx: &mut Context<'_>, now: Now, scratch: &mut Scratch) -> Round {
        scratch.output.clear();
        // Behind something unwritten nothing is read and no letters are taken, so none of them will wake the task: should it
        // be written in this round, they have to be asked in the next.
        let asks_all = self.unwritten.is_empty() && !self.unflushed;
        let mut busy = !asks_all;
        if asks_all {
            busy |= self.change_stream(cx, now, scratch);
            busy |= self.take_mail(now, scratch);
            busy |= self.take_grant(cx, now, scratch);
            if !self.closing {
                busy |= self.take_input(cx, now, scratch);
                // What this input published to this very connection goes out in the same write.
                busy |= self.take_mail(now, scratch);
            }
        }
        let open = !self.session.is_closed();
        busy |= self.check_time(now, scratch);
        if open && self.session.is_closed() && !self.unwritten.is_empty() {
            // The write deadline: what the client has not taken it does not get.
            return Round::Over;
        }
        self.closing |= self.session.is_closed();
        if self.session.take_changed() {
            let mut profile = self.client.profile.lock();
            profile.state = self.session.state();
            profile.info = self.session.info().cloned();
            let identity = |grant: &Grant| Identity { name: grant.identity.clone(), url: grant.identity_url.clone() };
            profile.authorized = self.session.grant().map(identity);
        }
        match self.poll_write(cx, now, scratch) {
            Poll::Ready(Ok(())) if self.closing => Round::Over,
            Poll::Ready(Ok(())) if busy => Round::Busy,
            Poll::Ready(Ok(())) => Round::Idle,
            Poll::Ready(Err(_)) => Round::Over,
            Poll::Pending => {
                // No letters are taken while the client does not read, but the order to close is heard.
                let told = !self.client.mailbox.watch(cx.waker()) && self.client.mailbox.is_closing();
                if told || self.closing && self.linger_is_over(cx, now) { Round::Over } else { Round::Blocked }
            }
        }
    }

    /// A closing connection gives its client some time to take the last replies.
    fn linger_is_over(&mut self, cx: &mut Context<'_>, now: Now) -> bool {
        let until = *self.linger.get_or_insert(now.mono + LINGER);
        if until > now.mono {
            self.sleep_until(cx, until);
        }
        until <= now.mono
    }

    /// Puts on the layer that the session has asked for. What was said before is written by now.
    fn change_stream(&mut self, cx: &mut Context<'_>, now: Now, scratch: &mut Scratch) -> bool {
        if let Some(upgrade) = self.upgrade.take() {
            let rest = std::mem::take(&mut self.unhandled);
            self.wire.put_on(upgrade, rest, self.tls.as_ref());
            self.changing = true;
        }
        if !self.changing {
            return false;
        }
        let Poll::Ready(changed) = self.wire.poll_put_on(cx) else { return false };
        self.changing = false;
        let result = changed.map(|tls| {
            if tls.is_some() {
                self.client.profile.lock().tls = tls;
            }
        });
        if let Err(reason) = &result {
            tracing::error!("TCP: client({}) - {reason}", self.client.remote_address);
        }
        self.session.handle_upgraded(now, result, &mut scratch.requests, &mut scratch.output);
        self.carry_out(now, scratch);
        true
    }

    /// Letters: answers, deliveries, the order to close.
    fn take_mail(&mut self, now: Now, scratch: &mut Scratch) -> bool {
        let Some(mut mail) = self.client.mailbox.collect() else { return false };
        for answer in mail.answers.drain(..) {
            self.session.handle_answer(now, answer, &mut scratch.output);
        }
        self.session.handle_deliveries(&mut mail.runs, &mut scratch.output);
        self.closing |= mail.close;
        true
    }

    /// Reads once, unless something read before still waits, and lets the session handle what it can of it in this turn.
    fn take_input(&mut self, cx: &mut Context<'_>, now: Now, scratch: &mut Scratch) -> bool {
        if !self.session.wants_input() {
            return false;
        }
        if !self.unhandled.is_empty() || self.held {
            let mut input = std::mem::take(&mut self.unhandled);
            input.advance(self.handle_bytes(now, &input, scratch));
            self.unhandled = input;
            return true;
        }
        if self.ended {
            return false;
        }
        let mut input = std::mem::take(&mut scratch.input);
        let mut buffer = ReadBuf::new(&mut input[..self.wire.read_bytes()]);
        let busy = match self.wire.poll_read(cx, &mut buffer) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                let consumed = self.handle_bytes(now, buffer.filled(), scratch);
                self.unhandled = Bytes::copy_from_slice(&buffer.filled()[consumed..]);
                true
            }
            Poll::Ready(Ok(())) => {
                self.ended = true;
                self.session.handle_eof(&mut scratch.output);
                true
            }
            Poll::Ready(Err(_)) => {
                self.closing = true;
                true
            }
        };
        scratch.input = input;
        busy
    }

    /// Lets the session handle `input` until the turn is over, as long as what it asks for is answered on the spot: how many
    /// bytes it took. The rest waits.
    fn handle_bytes(&mut self, now: Now, input: &[u8], scratch: &mut Scratch) -> usize {
        let mut consumed = 0;
        loop {
            let Scratch { builder, requests, output, .. } = scratch;
            let taken = self.session.handle_some_bytes(now, &input[consumed..], builder, requests, output);
            consumed += taken;
            scratch.turn.bytes = scratch.turn.bytes.saturating_sub(taken);
            self.carry_out(now, scratch);
            self.held = !self.session.wants_input();
            if self.held || consumed == input.len() || scratch.turn.is_over(self.node.clock.now()) {
                return consumed;
            }
        }
    }

    /// Carries out what the session asks for.
    fn carry_out(&mut self, now: Now, scratch: &mut Scratch) {
        if scratch.requests.is_empty() {
            return;
        }
        let mut requests = std::mem::take(&mut scratch.requests);
        let mut stepped = Stepped::default();
        for request in requests.drain(..) {
            if !matches!(request, Request::Consumer(_)) {
                self.command(scratch, &mut stepped);
            }
            match request {
                Request::Consumer(command) => scratch.commands.push(command),
                Request::Publish { id, topic, batches } => self.publish(id, topic, batches, &mut stepped),
                Request::Subscribe(subscribe) => self.subscribe(subscribe, &mut stepped),
                Request::Upgrade(upgrade) => self.upgrade = Some(upgrade),
                Request::Authorize { secret } => self.authorize(secret),
            }
            self.answer(now, &mut stepped, scratch);
        }
        self.command(scratch, &mut stepped);
        self.answer(now, &mut stepped, scratch);
        scratch.requests = requests;
    }

    fn authorize(&mut self, secret: Vec<u8>) {
        let Some(auth) = &self.auth else { return };
        let (host, _) = self.client.host_and_port();
        let tls = self.client.profile.lock().tls.clone();
        self.authorizing = Some(auth.ask(Question {
            remote_ip: host.to_owned(),
            tls: tls.is_some(),
            common_name: tls.map(|tls| tls.common_name).unwrap_or_default(),
            secret,
        }));
    }

    /// What an auth server has answered.
    fn take_grant(&mut self, cx: &mut Context<'_>, now: Now, scratch: &mut Scratch) -> bool {
        let Some(authorizing) = &mut self.authorizing else { return false };
        let Poll::Ready(answer) = Pin::new(authorizing).poll(cx) else { return false };
        self.authorizing = None;
        self.session.handle_authorized(now, answer.unwrap_or(Err(AuthFailed)), &mut scratch.output);
        true
    }

    fn publish(&mut self, id: RequestId, topic: TopicName, batches: Vec<Batch>, stepped: &mut Stepped) {
        let conn = self.client.conn;
        let messages: u64 = batches.iter().map(|batch| u64::from(batch.len())).sum();
        let mut batches = Some(batches);
        while batches.is_some() {
            let cell = self.topic(&topic);
            let exiting = self.node.is_exiting();
            cell.step(Some(conn), stepped, |topic, now| {
                // Deleted since we looked: the next look makes it anew. At exit the topic refuses by itself.
                if exiting || !topic.is_exiting() {
                    topic.handle_publish(now, conn, id, batches.take().unwrap_or_default());
                }
            });
            self.node.see_to(&cell, std::mem::take(&mut stepped.events));
        }
        *self.client.profile.lock().published.entry(topic).or_default() += messages;
    }

    fn subscribe(&mut self, subscribe: Subscribe, stepped: &mut Stepped) {
        let conn = self.client.conn;
        let name = subscribe.topic.clone();
        let mut subscribe = Some(subscribe);
        while subscribe.is_some() {
            let cell = self.node.ensure_topic(&name);
            cell.attach(conn, &self.client.mailbox);
            let exiting = self.node.is_exiting();
            cell.step(Some(conn), stepped, |topic, now| {
                if (exiting || !topic.is_exiting())
                    && let Some(subscribe) = subscribe.take()
                {
                    topic.handle_subscribe(now, conn, subscribe);
                }
            });
            self.node.see_to(&cell, std::mem::take(&mut stepped.events));
            self.subscribed = Some(cell);
        }
    }

    /// Hands the consumer commands collected so far to the subscription's topic, in one step.
    fn command(&mut self, scratch: &mut Scratch, stepped: &mut Stepped) {
        if scratch.commands.is_empty() {
            return;
        }
        if let Some(cell) = &self.subscribed {
            let conn = self.client.conn;
            let commands = scratch.commands.iter().copied();
            cell.step(Some(conn), stepped, |topic, now| topic.handle_consumer(now, conn, commands));
            self.node.see_to(cell, std::mem::take(&mut stepped.events));
        }
        scratch.commands.clear();
    }

    fn answer(&mut self, now: Now, stepped: &mut Stepped, scratch: &mut Scratch) {
        for answer in stepped.answers.drain(..) {
            if matches!(answer, Answer::Evicted) {
                self.subscribed = None;
            }
            self.session.handle_answer(now, answer, &mut scratch.output);
        }
    }

    /// The topic `name`, known to this connection from now on. One that was deleted meanwhile is made anew.
    fn topic(&mut self, name: &TopicName) -> Arc<TopicCell> {
        if let Some(cell) = self.topics.as_ref().and_then(|topics| topics.get(name))
            && (self.node.is_exiting() || !cell.is_over())
        {
            return cell.clone();
        }
        let cell = self.node.ensure_topic(name);
        cell.attach(self.client.conn, &self.client.mailbox);
        self.topics.get_or_insert_default().insert(name.clone(), cell.clone());
        cell
    }

    /// Does what is due.
    fn check_time(&mut self, now: Now, scratch: &mut Scratch) -> bool {
        let mut busy = false;
        while let Some((at, _)) = self.session.poll_timeout() {
            if at > now.mono {
                break;
            }
            self.session.handle_timeout(now, &mut scratch.output);
            busy = true;
            if self.session.is_closed() {
                break;
            }
        }
        busy
    }

    /// Sees to being woken at `at`. A sleep that ends too early costs one look; setting it anew at every command would cost
    /// more. One that is kept is polled all the same: the poll that set it may have left it without a waker, as polls of
    /// the runtime's things do when a task has had its share.
    fn sleep_until(&mut self, cx: &mut Context<'_>, at: Instant) {
        let deadline = self.node.clock.deadline(at);
        let sleep = match &mut self.sleep {
            Some(sleep) if sleep.deadline() <= deadline && !sleep.is_elapsed() => sleep,
            Some(sleep) => {
                sleep.as_mut().reset(deadline);
                sleep
            }
            None => self.sleep.insert(Box::pin(tokio::time::sleep_until(deadline))),
        };
        if sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    /// Writes what was left over, then the output. `Pending` while the socket takes no more; the rest is kept.
    fn poll_write(&mut self, cx: &mut Context<'_>, now: Now, scratch: &mut Scratch) -> Poll<std::io::Result<()>> {
        if self.unwritten.is_empty() && scratch.output.is_empty() && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        // Replies behind a left-over wait in it: at most a heartbeat and an error, as nothing else is asked for meanwhile.
        let leftover = !self.unwritten.is_empty();
        if leftover {
            self.unwritten.extend_from_slice(&scratch.output);
            std::mem::swap(&mut self.unwritten, &mut scratch.output);
        }
        let mut written = 0;
        let result = loop {
            if written == scratch.output.len() {
                break self.wire.poll_flush(cx);
            }
            match self.wire.poll_write(cx, &scratch.output[written..]) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(std::io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => written += n,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.unwritten = match &result {
            Poll::Pending => scratch.output[written..].to_vec(),
            Poll::Ready(_) => Vec::new(),
        };
        self.unflushed = result.is_pending() && self.unwritten.is_empty();
        if result.is_pending() {
            self.session.handle_blocked(now, written);
        } else {
            self.session.handle_flushed(now, &mut scratch.requests);
            self.carry_out(now, scratch);
        }
        result
    }
}

/// How a round went. The task sleeps after the last two only, which say what will wake it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// The connection is finished.
    Over,
    /// Something was done, or not everything was asked, so there may be more to do.
    Busy,
    /// Everything was asked and there is nothing: whatever comes of it will wake the task.
    Idle,
    /// The socket takes no more: it will wake the task when it does, and so will the order to close.
    Blocked,
}

impl<S: Stream + 'static> Future for Connection<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        SCRATCH.with_borrow_mut(|scratch| {
            let mut now = this.node.clock.now();
            scratch.turn = Turn::begin(now);
            for _ in 0..ROUNDS_MAX {
                let round = this.round(cx, now, scratch);
                if scratch.output.capacity() > OUTPUT_BYTES_KEPT {
                    scratch.output = Vec::new();
                }
                let sleeps = match round {
                    Round::Over => return Poll::Ready(()),
                    Round::Busy => false,
                    Round::Idle => this.client.mailbox.watch(cx.waker()),
                    Round::Blocked => true,
                };
                if sleeps {
                    if let Some((at, _)) = this.session.poll_timeout() {
                        this.sleep_until(cx, at);
                    }
                    return Poll::Pending;
                }
                now = this.node.clock.now();
                if scratch.turn.is_over(now) {
                    break;
                }
            }
            // Behind all others that are ready, and behind what the poller has to say. A task that wakes itself would come
            // before that, and what is new would wait until the runtime looks for it after so many tasks.
            _ = pin!(tokio::task::yield_now()).poll(cx);
            Poll::Pending
        })
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        // Also when the task is dropped at exit: whoever waits for this connection must not wait for ever.
        let conn = self.client.conn;
        let published = self.topics.iter().flat_map(|topics| topics.values());
        for cell in published.chain(&self.subscribed) {
            self.node.step(cell, |topic, now| topic.handle_disconnect(now, conn));
            cell.detach(conn);
        }
        self.node.clients.leave(conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        let size = size_of::<Connection<tokio::net::TcpStream>>();
        assert!(size <= 640, "{size} bytes, 8,000 times");
    }
}
