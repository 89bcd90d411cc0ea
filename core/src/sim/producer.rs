//! A producer program: the client library's [`Producer`](client::Producer)s, one for each node it publishes to, and what it
//! publishes ([`Workload`]). With several nodes it takes turns, leaving out those it is not connected to while it is to
//! others.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::client::{self, ClientOptions, PeerId, ProducerOutput, Ticket};
use crate::name::TopicName;
use crate::time::Instant;

use super::client::{Doing, Outbox, Report};
use super::lives::Birth;
use super::options::ProducerOptions;
use super::workload::Workload;

/// One node it publishes to.
#[derive(Clone, Debug)]
struct End {
    wire: u32,
    machine: client::Producer,
    peer: Option<PeerId>,
    /// Publishes whose outcome is open: first number and count.
    open: VecDeque<(Ticket, u64, u32)>,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Producer {
    pub(super) options: ProducerOptions,
    pub(super) workload: Workload,
    ends: Vec<End>,
    turn: usize,
    /// Bodies of the batch that is being published.
    bodies: Vec<u8>,
}

impl Producer {
    pub(super) fn new(options: ProducerOptions) -> Self {
        Self { options, workload: Workload::default(), ends: Vec::new(), turn: 0, bodies: Vec::new() }
    }

    /// Messages it waits to publish, or to hear of.
    pub(super) fn waiting(&self) -> u64 {
        let open = self.ends.iter().flat_map(|end| &end.open).map(|&(_, _, count)| u64::from(count));
        self.workload.len() + open.sum::<u64>()
    }

    pub(super) fn crash(&mut self, out: &mut Outbox) {
        for (_, first, count) in self.ends.drain(..).flat_map(|end| end.open) {
            out.reports.push(Report::Failed { first, count });
        }
        self.workload.clear();
    }

    pub(super) fn add_wire(&mut self, now: Instant, name: &str, node: &str, wire: u32) {
        let options =
            ClientOptions { client_id: name.to_owned(), hostname: name.to_owned(), ..ClientOptions::default() };
        let mut machine = client::Producer::new(node, options);
        machine.connect(now);
        self.ends.push(End { wire, machine, peer: None, open: VecDeque::new() });
    }

    fn end(&mut self, wire: u32) -> Option<(&mut End, PeerId)> {
        let end = self.ends.iter_mut().find(|end| end.wire == wire)?;
        let peer = end.peer?;
        Some((end, peer))
    }

    pub(super) fn on_open(&mut self, now: Instant, wire: u32) {
        if let Some((end, peer)) = self.end(wire) {
            end.machine.handle_connected(now, peer);
        }
    }

    pub(super) fn on_closed(&mut self, now: Instant, wire: u32, reason: &str) {
        if let Some((end, peer)) = self.end(wire) {
            end.peer = None;
            end.machine.handle_disconnected(now, peer, reason);
        }
    }

    pub(super) fn on_bytes(&mut self, now: Instant, wire: u32, bytes: Bytes) {
        if let Some((end, peer)) = self.end(wire) {
            end.machine.handle_bytes(now, peer, bytes);
        }
    }

    /// Does what there is to do by `now`, and what follows from it. `next_number`: of the next message made.
    pub(super) fn advance(&mut self, now: Instant, stalled: bool, next_number: &mut u64, out: &mut Outbox) {
        self.ends.iter_mut().for_each(|end| end.machine.handle_timeout(now));
        self.ends.iter_mut().for_each(|end| end.carry_out(out));
        if stalled {
            return;
        }
        self.workload.advance(now, &self.options);
        while !self.workload.is_empty() && self.may_publish() {
            let Some(index) = self.choose() else { break };
            self.publish(now, index, next_number, out);
        }
    }

    fn may_publish(&self) -> bool {
        let open: usize = self.ends.iter().map(|end| end.open.len()).sum();
        open < if self.options.waits { 1 } else { self.options.window as usize }
    }

    /// The node whose turn it is: the next that it is connected to, or the next if it is connected to none.
    fn choose(&mut self) -> Option<usize> {
        let count = self.ends.len();
        let turns = || (0..count).map(|step| (self.turn + step) % count);
        let index = turns().find(|&index| self.ends[index].machine.is_connected()).or_else(|| turns().next())?;
        self.turn = index + 1;
        Some(index)
    }

    fn publish(&mut self, now: Instant, index: usize, next_number: &mut u64, out: &mut Outbox) {
        let (Some(batch), Ok(topic)) = (self.workload.pop(), TopicName::parse(&self.options.topic)) else { return };
        let (first, count) = (*next_number, batch.count);
        *next_number += u64::from(count);
        self.bodies.clear();
        (first..*next_number).for_each(|number| batch.put_body(number, &mut self.bodies));
        let bodies: Vec<&[u8]> = self.bodies.chunks(batch.body_len()).collect();
        out.births.push(Birth {
            first,
            count,
            bytes: batch.body_len() as u32,
            topic: self.options.topic.clone(),
            text: batch.text.clone(),
        });
        out.reports.push(Report::Published { first, count });
        let end = &mut self.ends[index];
        match end.machine.publish(now, &topic, &bodies, batch.defer) {
            Ok(ticket) => end.open.push_back((ticket, first, count)),
            Err(_) => out.reports.push(Report::Failed { first, count }),
        }
        end.carry_out(out);
    }

    pub(super) fn next_deadline(&self, stalled: bool) -> Option<Instant> {
        let machines = self.ends.iter().filter_map(|end| end.machine.poll_timeout()).min();
        let workload = self.workload.next_deadline().filter(|_| !stalled);
        [machines, workload].into_iter().flatten().min()
    }
}

impl End {
    fn carry_out(&mut self, out: &mut Outbox) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                ProducerOutput::Connect { peer } => {
                    self.peer = Some(peer);
                    out.doings.push((self.wire, Doing::Dial));
                }
                ProducerOutput::Send { bytes, .. } => out.doings.push((self.wire, Doing::Send(bytes))),
                ProducerOutput::Close { .. } => {
                    self.peer = None;
                    out.doings.push((self.wire, Doing::Close));
                }
                // Simulated clients ask for no upgrade.
                ProducerOutput::Up | ProducerOutput::Down { .. } | ProducerOutput::Upgrade { .. } => {}
                ProducerOutput::Done { ticket, result } => {
                    let Some(at) = self.open.iter().position(|(open, ..)| *open == ticket) else { continue };
                    let Some((_, first, count)) = self.open.remove(at) else { continue };
                    out.reports.push(match result {
                        Ok(()) => Report::Acked { first, count },
                        Err(_) => Report::Failed { first, count },
                    });
                }
            }
        }
    }
}
