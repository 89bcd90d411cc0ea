//! What arrives at the ends of wires and what is sent from there: the part of the world that is about connections.

use bytes::Bytes;

use crate::protocol::ConnId;

use super::client::{Client, Doing, Outbox};
use super::inspect::{Inspector, Seen};
use super::network::{ClientEnd, NodeEnd, Parcel, TO_CLIENT, TO_NODE};
use super::node::{Life, clock};
use super::observe::{Checks, Observation};
use super::world::World;

impl World {
    pub(super) fn on_arrival_at_node(&mut self, index: u32) {
        let wire = &mut self.wires[index as usize];
        let Some(chunk) = wire.take(self.now, TO_NODE) else { return };
        self.hash.add(4 << 32 | u64::from(index));
        let (node, epoch) = (wire.node, chunk.epoch);
        let conn = wire.node_end_of(epoch).map(|end| end.conn);
        match (chunk.parcel, conn) {
            (Parcel::Open, None) if self.nodes[node as usize].life == Life::Up => self.accept(index, epoch),
            (Parcel::Bytes(bytes), Some(conn)) => self.hear(index, conn, bytes),
            (Parcel::End, Some(conn)) => {
                let now = clock(self.now);
                if let Some(broker) = &mut self.nodes[node as usize].broker {
                    broker.handle_eof(now, conn);
                }
            }
            (Parcel::Reset, Some(conn)) => self.disconnect(index, conn),
            (Parcel::Open | Parcel::Bytes(_), _) => self.send(index, (TO_CLIENT, epoch), Parcel::Reset),
            (Parcel::End | Parcel::Accepted | Parcel::Reset, _) => {}
        }
        self.settle_node(node);
    }

    fn accept(&mut self, index: u32, epoch: u32) {
        let now = clock(self.now);
        let wire = &mut self.wires[index as usize];
        let (node, client) = (wire.node, wire.client);
        self.conn_clients.push(client);
        let conn = ConnId(self.conn_clients.len() as u64);
        let inspector = (self.checks == Checks::Full).then(|| Inspector::new(node, conn));
        wire.node_ends.push(NodeEnd { conn, epoch, outgoing: Vec::new(), inspector });
        let state = &mut self.nodes[node as usize];
        state.conns.insert(conn, index);
        if let Some(broker) = &mut state.broker {
            broker.handle_connect(now, conn);
        }
        self.observe(|| Observation::Connected { node, conn, client });
        self.send(index, (TO_CLIENT, epoch), Parcel::Accepted);
    }

    fn hear(&mut self, index: u32, conn: ConnId, mut bytes: Bytes) {
        let now = clock(self.now);
        let Self { wires, nodes, places, observations, saboteur, .. } = self;
        self.hash.add_bytes(&bytes);
        let wire = &mut wires[index as usize];
        let node = wire.node;
        if let Some(inspector) = wire.node_end(conn).and_then(|end| end.inspector.as_mut()) {
            inspector.on_input(&bytes, &mut Seen { now: now.mono, places, observations });
        }
        if let Some(saboteur) = saboteur {
            let mut changed = bytes.to_vec();
            saboteur.on_input(&mut changed);
            bytes = changed.into();
        }
        if let Some(broker) = &mut nodes[node as usize].broker {
            broker.handle_bytes(now, conn, &bytes);
        }
    }

    pub(super) fn on_arrival_at_client(&mut self, index: u32) {
        let now = self.now;
        let wire = &mut self.wires[index as usize];
        let Some(chunk) = wire.take(now, TO_CLIENT) else { return };
        self.hash.add(5 << 32 | u64::from(index));
        if chunk.epoch != wire.epoch {
            return;
        }
        let (client, node) = (wire.client, wire.node);
        match (chunk.parcel, wire.client_end) {
            (Parcel::Accepted, ClientEnd::Dialing) => {
                wire.client_end = ClientEnd::Open;
                let subscription = self.clients[client as usize].subscription();
                wire.place = subscription.map(|(topic, channel)| self.places.channel(node, &topic, &channel));
                self.with_client(client, |client, _| client.on_open(now, index));
            }
            (Parcel::Bytes(bytes), ClientEnd::Open) => {
                self.hash.add_bytes(&bytes);
                self.with_client(client, |client, _| client.on_bytes(now, index, bytes));
            }
            (Parcel::Reset | Parcel::End, ClientEnd::Dialing | ClientEnd::Open) => {
                wire.client_end = ClientEnd::Closed;
                self.with_client(client, |client, _| client.on_closed(now, index, "connection reset by peer"));
            }
            _ => {}
        }
    }

    /// Sends on a connection: direction and epoch.
    pub(super) fn send(&mut self, wire: u32, way: (usize, u32), parcel: Parcel) {
        let Self { wires, network, events, now, .. } = self;
        wires[wire as usize].send(wire, *now, way, parcel, network, events);
    }

    /// The connection broke, as the node hears.
    fn disconnect(&mut self, index: u32, conn: ConnId) {
        let now = clock(self.now);
        self.forget_node_end(index, conn);
        let node = &mut self.nodes[self.wires[index as usize].node as usize];
        node.conns.remove(&conn);
        if let Some(broker) = &mut node.broker {
            broker.handle_disconnect(now, conn);
        }
    }

    /// The node's end of a connection is gone: its epoch.
    fn forget_node_end(&mut self, index: u32, conn: ConnId) -> Option<u32> {
        let wire = &mut self.wires[index as usize];
        let at = wire.node_ends.iter().position(|end| end.conn == conn)?;
        let end = wire.node_ends.remove(at);
        if let Some(mut inspector) = end.inspector {
            let (now, places, observations) = (self.now, &mut self.places, &mut self.observations);
            inspector.end(&mut Seen { now, places, observations });
        }
        Some(end.epoch)
    }

    /// The node's process is gone, and its ends with it.
    pub(super) fn break_node_ends(&mut self, node: u32) {
        for index in 0..self.wires.len() as u32 {
            let wire = &self.wires[index as usize];
            let conns: Vec<ConnId> = wire.node_ends.iter().filter(|_| wire.node == node).map(|end| end.conn).collect();
            for conn in conns {
                if let Some(epoch) = self.forget_node_end(index, conn) {
                    self.send(index, (TO_CLIENT, epoch), Parcel::Reset);
                }
            }
        }
    }

    /// The client's process is gone, and its ends with it.
    pub(super) fn break_client_ends(&mut self, client: u32) {
        for index in 0..self.wires.len() as u32 {
            let wire = &mut self.wires[index as usize];
            if wire.client == client && wire.client_end != ClientEnd::Closed {
                wire.client_end = ClientEnd::Closed;
                let epoch = wire.epoch;
                self.send(index, (TO_NODE, epoch), Parcel::Reset);
            }
        }
    }

    /// Resets the connections of a wire at both ends, at once.
    pub(super) fn reset(&mut self, index: u32) {
        let now = self.now;
        let wire = &mut self.wires[index as usize];
        wire.clear();
        let (node, client) = (wire.node, wire.client);
        let conns: Vec<ConnId> = wire.node_ends.iter().map(|end| end.conn).collect();
        let was_open = std::mem::replace(&mut wire.client_end, ClientEnd::Closed) != ClientEnd::Closed;
        for conn in conns {
            self.disconnect(index, conn);
        }
        self.settle_node(node);
        if was_open {
            self.with_client(client, |client, _| client.on_closed(now, index, "connection reset by peer"));
        }
    }

    /// A wire works again.
    pub(super) fn heal(&mut self, index: u32) {
        let Self { wires, network, events, now, .. } = self;
        if wires[index as usize].heal(index, *now, network, events) {
            self.reset(index);
        }
    }

    /// Lets a client do something, and then what it has to do now, and carries out what it wants.
    pub(super) fn with_client(&mut self, index: u32, act: impl FnOnce(&mut Client, &mut Outbox)) {
        let mut out = std::mem::take(&mut self.client_outbox);
        let client = &mut self.clients[index as usize];
        act(client, &mut out);
        client.advance(self.now, &mut self.next_number, &mut out);
        if self.checks == Checks::Full {
            self.births.append(&mut out.births);
        }
        out.births.clear();
        for report in out.reports.drain(..) {
            self.on_report(index, report);
        }
        // What a program says at once on one wire travels together.
        let mut doings = out.doings.drain(..).peekable();
        while let Some((wire, doing)) = doings.next() {
            match doing {
                Doing::Dial => {
                    self.wires[wire as usize].dial();
                    self.say_to_node(wire, Parcel::Open);
                }
                Doing::Close | Doing::GiveUp => {
                    self.wires[wire as usize].client_end = ClientEnd::Closed;
                    let parcel = if matches!(doing, Doing::Close) { Parcel::End } else { Parcel::Reset };
                    self.say_to_node(wire, parcel);
                }
                Doing::Send(mut bytes) => {
                    while let Some((_, Doing::Send(more))) =
                        doings.next_if(|(next, doing)| *next == wire && matches!(doing, Doing::Send(_)))
                    {
                        bytes.extend_from_slice(&more);
                    }
                    if self.wires[wire as usize].client_end == ClientEnd::Open {
                        self.say_to_node(wire, Parcel::Bytes(bytes.into()));
                    }
                }
            }
        }
        drop(doings);
        self.client_outbox = out;
        self.arm_client(index);
    }

    fn say_to_node(&mut self, wire: u32, parcel: Parcel) {
        let epoch = self.wires[wire as usize].epoch;
        self.send(wire, (TO_NODE, epoch), parcel);
    }

    /// A node says something on a connection; it is sent at the end of the step.
    pub(super) fn say(&mut self, node: u32, conn: ConnId, bytes: Vec<u8>, touched: &mut Vec<(u32, ConnId)>) {
        let Some(&wire) = self.nodes[node as usize].conns.get(&conn) else { return };
        let Some(end) = self.wires[wire as usize].node_end(conn) else { return };
        if end.outgoing.is_empty() {
            end.outgoing = bytes;
            touched.push((wire, conn));
        } else {
            end.outgoing.extend_from_slice(&bytes);
        }
    }

    /// Sends what the node has said on a connection.
    pub(super) fn flush(&mut self, wire: u32, conn: ConnId) {
        let Self { wires, places, observations, saboteur, now, .. } = self;
        let Some(end) = wires[wire as usize].node_end(conn) else { return };
        let mut bytes = std::mem::take(&mut end.outgoing);
        if bytes.is_empty() {
            return;
        }
        if let Some(saboteur) = saboteur {
            saboteur.on_output(&mut bytes);
        }
        if let Some(inspector) = &mut end.inspector {
            inspector.on_output(&bytes, &mut Seen { now: *now, places, observations });
        }
        let epoch = end.epoch;
        self.send(wire, (TO_CLIENT, epoch), Parcel::Bytes(bytes.into()));
    }

    /// A node ends a connection, everything said.
    pub(super) fn hang_up(&mut self, node: u32, conn: ConnId) {
        let Some(wire) = self.nodes[node as usize].conns.remove(&conn) else { return };
        self.flush(wire, conn);
        if let Some(epoch) = self.forget_node_end(wire, conn) {
            self.send(wire, (TO_CLIENT, epoch), Parcel::End);
        }
    }
}
