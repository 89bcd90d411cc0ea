//! A connection: requests one after the other, each read, answered and its body seen off before the next is looked at.
//!
//! There is one reader of what comes, so that nobody can disagree with it on where a request ends and what it names.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use hyper::Method;
use tokio::sync::watch;

use super::body::RequestBody;
use super::encode::{self, Terms};
use super::head::{Head, Version};
use super::input::{Input, Next};
use super::respond::{self, Answer, Body, Parts};
use super::server::Peer;
use super::service::{self, Request, Service};

/// How long a connection may take to send the head of its next request. Longer than clients keep an idle connection for
/// later use (Go's do for 90 s), so that none is closed just when it is used.
const HEAD_TIME_MAX: Duration = Duration::from_secs(120);

/// So many requests of a connection are answered before others of the thread get their turn, some 10 µs each: a client can send
/// many at once.
const REQUESTS_AT_A_TIME: u32 = 16;

/// A response's body up to this size is written together with its head, which costs a copy and saves a system call.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// Serves a connection until it ends: by its client, by an error, or because `ending` has become true.
pub(super) async fn serve<S: Service>(
    mut input: Input,
    peer: &Peer,
    service: &Arc<S>,
    mut ending: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut requests: u32 = 0;
    while let Some(next) = next(&mut input, &mut ending).await? {
        let head = match next {
            Next::Head(head) => *head,
            Next::Bad(bad) => {
                let terms = Terms { version: Version::Http11, keep_alive: false };
                send(&mut input, respond::bad_head(bad), &Method::GET, terms).await?;
                break;
            }
            Next::End => break,
        };
        let Head { method, target, headers, version, framing, keep_alive, held_back } = head;
        let request = Request { method: &method, target: &target, headers: &headers };
        let mut body = RequestBody::new(input, framing, held_back);
        let answer = service::answer(service, peer, request, &mut body).await;
        input = body.into_input();
        let until_closed = version == Version::Http10 && matches!(answer.body(), Body::Parts(_));
        let keep_alive = keep_alive && !until_closed && !respond::is_last(&answer) && !*ending.borrow();
        send(&mut input, answer, &method, Terms { version, keep_alive }).await?;
        if !keep_alive {
            break;
        }
        requests = requests.wrapping_add(1);
        if requests.is_multiple_of(REQUESTS_AT_A_TIME) {
            tokio::task::yield_now().await;
        }
    }
    input.close().await;
    Ok(())
}

/// What comes next; nothing if it does not come in time.
async fn next(input: &mut Input, ending: &mut watch::Receiver<bool>) -> io::Result<Option<Next>> {
    tokio::select! {
        biased;
        next = tokio::time::timeout(HEAD_TIME_MAX, input.head()) => next.ok().transpose(),
        // An error means that the daemon is gone, which is the same order.
        _ = ending.wait_for(|ending| *ending) => Ok(None),
    }
}

/// Writes a response.
async fn send(input: &mut Input, answer: Answer, method: &Method, terms: Terms) -> io::Result<()> {
    let (parts, body) = answer.into_parts();
    let mut head = encode::head(&parts, &body, terms);
    match body {
        _ if encode::is_bodiless(method, parts.status) => input.write(&head).await,
        Body::Whole(bytes) if bytes.len() <= COPIED_BYTES_MAX => {
            head.extend_from_slice(&bytes);
            input.write(&head).await
        }
        Body::Whole(bytes) => input.write_both(&head, bytes).await,
        Body::Pieces(mut pieces) => {
            input.write(&head).await?;
            while let Some(piece) = pieces.take() {
                input.write(&piece).await?;
            }
            Ok(())
        }
        Body::Parts(parts) => {
            input.write(&head).await?;
            send_parts(input, parts, terms.version).await
        }
    }
}

/// Writes what comes bit by bit, until it ends or the client is gone.
async fn send_parts(input: &mut Input, mut parts: Parts, version: Version) -> io::Result<()> {
    loop {
        let part = tokio::select! {
            part = parts.next() => part,
            () = input.gone() => return Err(io::ErrorKind::ConnectionReset.into()),
        };
        let framed = version == Version::Http11;
        match &part {
            Some(part) if part.is_empty() => {}
            Some(part) if !framed => input.write(part).await?,
            None if !framed => return Ok(()),
            part => {
                let (before, after) = encode::chunk(part.as_ref());
                let bytes = [&before, part.as_deref().unwrap_or_default(), after].concat();
                input.write(&bytes).await?;
            }
        }
        if part.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
