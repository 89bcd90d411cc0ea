//! A consumer program: the client library's [`Consumer`], connected to one node or to all, and what the program does with
//! the messages ([`Handler`]).

use std::time::Duration;

use bytes::Bytes;

use crate::client::{self, ClientOptions, Output, PeerId};
use crate::name::{ChannelName, TopicName};
use crate::rng::Rng;
use crate::time::Instant;

use super::client::{Doing, Outbox, Report};
use super::decode::number_of;
use super::handler::{Handler, Held, Verdict};
use super::options::ConsumerOptions;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Consumer {
    pub(super) options: ConsumerOptions,
    handler: Handler,
    /// While the process runs.
    machine: Option<client::Consumer>,
    /// Nodes' names and the wires there. These lists are short: no maps, which are much code in a page.
    wires: Vec<(Box<str>, u32)>,
    /// Connections and their wires.
    peers: Vec<(PeerId, u32)>,
    rng: Rng,
    verdicts: Vec<Verdict>,
}

impl Consumer {
    pub(super) fn new(options: ConsumerOptions, mut rng: Rng) -> Self {
        Self {
            options,
            handler: Handler::new(Rng::new(rng.next_u64())),
            machine: None,
            wires: Vec::new(),
            peers: Vec::new(),
            rng,
            verdicts: Vec::new(),
        }
    }

    /// What it reads.
    pub(super) fn subscription(&self) -> Option<(TopicName, ChannelName)> {
        let options = &self.options;
        Some((TopicName::parse(&options.topic).ok()?, ChannelName::parse(&options.channel).ok()?))
    }

    /// RDY summed over its connections.
    pub(super) fn ready(&self) -> u64 {
        self.machine.as_ref().map_or(0, client::Consumer::ready)
    }

    /// Messages it has not answered.
    pub(super) fn in_flight(&self) -> u64 {
        self.machine.as_ref().map_or(0, |machine| machine.in_flight() as u64)
    }

    /// How far in backoff it is, and until when it waits.
    pub(super) fn backoff(&self) -> (u32, Option<Instant>) {
        self.machine.as_ref().map_or((0, None), client::Consumer::backoff)
    }

    pub(super) fn start(&mut self, name: &str) {
        let options = client_options(name, &self.options);
        let rng = Rng::new(self.rng.next_u64());
        self.machine = self.subscription().map(|(topic, channel)| client::Consumer::new(topic, channel, options, rng));
    }

    pub(super) fn crash(&mut self) {
        self.machine = None;
        self.wires.clear();
        self.peers.clear();
        self.handler.clear();
    }

    pub(super) fn add_wire(&mut self, now: Instant, node: &str, wire: u32) {
        self.wires.push((node.into(), wire));
        if let Some(machine) = &mut self.machine {
            machine.add_nsqd(now, node);
        }
    }

    pub(super) fn on_set(&mut self, now: Instant) {
        if let Some(machine) = &mut self.machine {
            machine.set_max_in_flight(now, self.options.max_in_flight);
        }
    }

    fn peer(&self, wire: u32) -> Option<PeerId> {
        self.peers.iter().find(|(_, known)| *known == wire).map(|&(peer, _)| peer)
    }

    fn wire(&self, peer: PeerId) -> Option<u32> {
        self.peers.iter().find(|(known, _)| *known == peer).map(|&(_, wire)| wire)
    }

    pub(super) fn on_open(&mut self, now: Instant, wire: u32) {
        if let (Some(peer), Some(machine)) = (self.peer(wire), &mut self.machine) {
            machine.handle_connected(now, peer);
        }
    }

    pub(super) fn on_closed(&mut self, now: Instant, wire: u32, reason: &str) {
        if let (Some(peer), Some(machine)) = (self.peer(wire), &mut self.machine) {
            self.peers.retain(|(known, _)| *known != peer);
            machine.handle_disconnected(now, peer, reason);
        }
    }

    pub(super) fn on_bytes(&mut self, now: Instant, wire: u32, bytes: Bytes) {
        if let (Some(peer), Some(machine)) = (self.peer(wire), &mut self.machine) {
            machine.handle_bytes(now, peer, bytes);
        }
    }

    /// Does what there is to do by `now`, and what follows from it.
    pub(super) fn advance(&mut self, now: Instant, stalled: bool, out: &mut Outbox) {
        if let Some(machine) = &mut self.machine {
            machine.handle_timeout(now);
        }
        self.carry_out(out);
        if !stalled {
            let mut verdicts = std::mem::take(&mut self.verdicts);
            self.handler.advance(now, &self.options, &mut verdicts);
            verdicts.drain(..).for_each(|verdict| self.say(now, verdict, out));
            self.verdicts = verdicts;
            self.carry_out(out);
        }
    }

    fn carry_out(&mut self, out: &mut Outbox) {
        while let Some(output) = self.machine.as_mut().and_then(client::Consumer::poll_output) {
            match output {
                Output::Message { peer, message } => {
                    let Some(wire) = self.wire(peer) else { continue };
                    let number = number_of(&message.body).unwrap_or(0);
                    out.reports.push(Report::Received { wire, number, attempts: message.attempts });
                    self.handler.take(Held::new(peer, wire, message.id, number), &message.body, &self.options);
                }
                Output::GaveUp { peer, message } => {
                    let Some(wire) = self.wire(peer) else { continue };
                    let number = number_of(&message.body).unwrap_or(0);
                    out.reports.push(Report::Received { wire, number, attempts: message.attempts });
                    out.reports.push(Report::Finished { wire, number });
                }
                Output::Connect { peer, address } => {
                    if let Some(&(_, wire)) = self.wires.iter().find(|(node, _)| **node == *address) {
                        self.peers.push((peer, wire));
                        out.doings.push((wire, Doing::Dial));
                    }
                }
                Output::Send { peer, bytes } => {
                    out.doings.extend(self.wire(peer).map(|wire| (wire, Doing::Send(bytes))));
                }
                Output::Close { peer } => {
                    out.doings.extend(self.wire(peer).map(|wire| (wire, Doing::Close)));
                    self.peers.retain(|(known, _)| *known != peer);
                }
                // Simulated clients ask for no upgrade.
                Output::Lookup { .. } | Output::Event(_) | Output::Upgrade { .. } => {}
            }
        }
    }

    /// Tells the library what became of a message. What comes too late is not said.
    fn say(&mut self, now: Instant, verdict: Verdict, out: &mut Outbox) {
        let Some(machine) = &mut self.machine else { return };
        match verdict {
            Verdict::Finish(held) => {
                if machine.finish(now, held.peer, held.id) {
                    out.reports.push(Report::Finished { wire: held.wire, number: held.number });
                }
            }
            Verdict::Fail(held) => {
                if machine.requeue(now, held.peer, held.id, self.options.requeue_delay, true) {
                    out.reports.push(Report::Requeued { wire: held.wire, number: held.number });
                }
            }
            Verdict::Touch { peer, id } => _ = machine.touch(now, peer, id),
        }
    }

    pub(super) fn next_deadline(&self, stalled: bool) -> Option<Instant> {
        let handler = self.handler.next_deadline(&self.options).filter(|_| !stalled);
        let machine = self.machine.as_ref().and_then(client::Consumer::poll_timeout);
        [handler, machine].into_iter().flatten().min()
    }
}

fn client_options(name: &str, options: &ConsumerOptions) -> ClientOptions {
    let defaults = ClientOptions::default();
    ClientOptions {
        client_id: name.to_owned(),
        hostname: name.to_owned(),
        max_in_flight: options.max_in_flight,
        max_attempts: options.max_attempts,
        msg_timeout: options.msg_timeout,
        sample_rate: options.sample_rate,
        max_backoff_duration: if options.backoff { defaults.max_backoff_duration } else { Duration::ZERO },
        ..defaults
    }
}
