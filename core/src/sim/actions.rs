//! Carrying out actions on the world.

use crate::name::TopicName;
use crate::topic::Topic;

use super::client::{Client, Program};
use super::history::MarkKind;
use super::network::Wire;
use super::node::{Life, Node, clock};
use super::observe::Observation;
use super::options::{ConsumerOptions, NodeOptions, ProducerOptions, PublishOptions};
use super::script::{Action, ActionError, Admin, ClientChange, Kind, NodeChange, Target, WireFault};
use super::values::Options;
use super::world::{Salt, World};

fn fail<T>(text: String) -> Result<T, ActionError> {
    Err(ActionError(text))
}

/// Options with `words` set on top of the defaults.
fn options<T: Options + Default>(words: &[String]) -> Result<T, ActionError> {
    let mut options = T::default();
    options.set_all(words.iter().map(String::as_str))?;
    Ok(options)
}

impl World {
    /// Does what the action says, or changes nothing.
    pub(super) fn carry_out(&mut self, action: &Action) -> Result<(), ActionError> {
        match &action.kind {
            Kind::Node { name, words } => self.add_node(name, options(words)?),
            Kind::Producer { name, words } => self.add_producer(name, options(words)?),
            Kind::Consumer { name, words } => self.add_consumer(name, options(words)?),
            Kind::Set { name, words } => self.set(name, words),
            Kind::Remove { name } => self.remove(name),
            Kind::Admin { admin, target } => self.administrate(*admin, target),
            Kind::Publish { producer, options } => self.publish_now(producer, options),
            Kind::Client { name, change } => self.change_client(name, *change),
            Kind::Wire { client, node, fault } => self.disturb(client, node, *fault),
            Kind::Partition { clients } => self.part(clients),
            Kind::Network { words } => self.network.options.set_all(words.iter().map(String::as_str)),
            Kind::Change { node, change } => self.change_node(node, *change),
            Kind::Disk { node, options } => {
                let node = self.node(node)?;
                let disk = &mut self.nodes[node as usize].disk;
                disk.latency = options.latency.unwrap_or(disk.latency);
                disk.errors = options.errors.unwrap_or(disk.errors);
                Ok(())
            }
            Kind::Say { text } => {
                self.caption = Some(text.as_str().into());
                self.mark(MarkKind::Say, "", text.clone(), 1);
                Ok(())
            }
            Kind::Expect(expectation) => {
                let found = self.measure(&expectation.subject, &expectation.metric)?;
                if !expectation.holds(found) {
                    self.violate(format!("{action}: it is {found}"));
                }
                Ok(())
            }
        }
    }

    pub(super) fn node(&self, name: &str) -> Result<u32, ActionError> {
        match self.nodes.iter().position(|node| node.name == name) {
            Some(index) => Ok(index as u32),
            None => fail(format!("there is no node {name:?}{}", names(self.nodes.iter().map(|node| &node.name)))),
        }
    }

    pub(super) fn client(&self, name: &str) -> Result<u32, ActionError> {
        match self.clients.iter().position(|client| client.name == name && !client.removed) {
            Some(index) => Ok(index as u32),
            None => {
                let clients = self.clients.iter().filter(|client| !client.removed);
                fail(format!("there is no client {name:?}{}", names(clients.map(|client| &client.name))))
            }
        }
    }

    fn nodes_named(&self, name: &str) -> Result<Vec<u32>, ActionError> {
        if name == "*" { Ok((0..self.nodes.len() as u32).collect()) } else { Ok(vec![self.node(name)?]) }
    }

    fn unused(&self, name: &str) -> Result<(), ActionError> {
        if self.node(name).is_ok() || self.client(name).is_ok() {
            return fail(format!("there is a {name:?} already"));
        }
        Ok(())
    }

    fn add_node(&mut self, name: &str, options: NodeOptions) -> Result<(), ActionError> {
        self.unused(name)?;
        let index = self.nodes.len();
        let rng = self.generator(Salt::Node, index);
        let node = Node::new(name.to_owned(), index, options, rng);
        self.nodes.push(node.map_err(|error| ActionError(error.to_string()))?);
        self.start_node(index as u32);
        let now = self.now;
        for client in 0..self.clients.len() as u32 {
            let up = self.clients[client as usize].up;
            if let Some(wire) = self.wire_to(client, index as u32).filter(|_| up) {
                self.with_client(client, |client, _| client.add_wire(now, name, wire));
            }
        }
        Ok(())
    }

    fn start_node(&mut self, index: u32) {
        let now = clock(self.now);
        let Some(remembered) = self.nodes[index as usize].start(now) else { return };
        let node = &self.nodes[index as usize];
        let (name, ack) = (node.name.clone(), node.options.config(0).publish_ack);
        self.observe(|| Observation::NodeStarted { node: index, ack });
        for log in remembered.taken_up {
            self.mark(MarkKind::Error, &name, format!("{log}: has messages, and nsqd.dat does not name it"), 1);
        }
        self.settle_node(index);
    }

    /// The wire between them, made if it is missing; `None` if the client has no business with the node.
    fn wire_to(&mut self, client: u32, node: u32) -> Option<u32> {
        let wanted = self.clients[client as usize].node();
        if wanted != "*" && wanted != self.nodes[node as usize].name || self.clients[client as usize].removed {
            return None;
        }
        let known = self.wires.iter().position(|wire| (wire.client, wire.node) == (client, node));
        let index = known.unwrap_or_else(|| {
            self.wires.push(Wire::new(client, node));
            self.wires.len() - 1
        });
        Some(index as u32)
    }

    fn add_producer(&mut self, name: &str, options: ProducerOptions) -> Result<(), ActionError> {
        self.unused(name)?;
        self.check_producer(&options)?;
        self.clients.push(Client::producer(name.to_owned(), options));
        self.start_client(self.clients.len() as u32 - 1);
        Ok(())
    }

    fn add_consumer(&mut self, name: &str, options: ConsumerOptions) -> Result<(), ActionError> {
        self.unused(name)?;
        self.check_consumer(&options)?;
        let rng = self.generator(Salt::Client, self.clients.len());
        self.clients.push(Client::consumer(name.to_owned(), options, rng));
        self.start_client(self.clients.len() as u32 - 1);
        Ok(())
    }

    fn start_client(&mut self, index: u32) {
        let now = self.now;
        let wires: Vec<u32> = (0..self.nodes.len() as u32).filter_map(|node| self.wire_to(index, node)).collect();
        let names = wires.iter().map(|&wire| self.nodes[self.wires[wire as usize].node as usize].name.clone());
        let named: Vec<(u32, String)> = wires.iter().copied().zip(names).collect();
        self.with_client(index, |client, _| {
            client.start(now);
            named.iter().for_each(|(wire, node)| client.add_wire(now, node, *wire));
        });
    }

    fn set(&mut self, name: &str, words: &[String]) -> Result<(), ActionError> {
        let words = words.iter().map(String::as_str);
        if let Ok(index) = self.node(name) {
            let node = &mut self.nodes[index as usize];
            node.options.set_all(words)?;
            node.disk.latency = node.options.disk_latency;
            node.disk.errors = node.options.disk_errors;
            node.disk.set_size(node.options.disk_size);
            return Ok(());
        }
        let Ok(index) = self.client(name) else { return fail(format!("there is nothing called {name:?}")) };
        let reconnects = match &self.clients[index as usize].program {
            Program::Producer(producer) => {
                let mut changed = producer.options.clone();
                changed.set_all(words)?;
                self.check_producer(&changed)?;
                self.replace_producer_options(index, changed)
            }
            Program::Consumer(consumer) => {
                let mut changed = consumer.options.clone();
                changed.set_all(words)?;
                self.check_consumer(&changed)?;
                self.replace_consumer_options(index, changed)
            }
        };
        if reconnects && self.clients[index as usize].up {
            self.crash(index);
            self.start_client(index);
        }
        let now = self.now;
        self.with_client(index, |client, _| client.on_set(now));
        Ok(())
    }

    /// Whether it needs a new connection for them.
    fn replace_producer_options(&mut self, index: u32, options: ProducerOptions) -> bool {
        let Program::Producer(producer) = &mut self.clients[index as usize].program else { return false };
        let old = std::mem::replace(&mut producer.options, options);
        old.node != producer.options.node
    }

    /// Whether it needs a new connection for them.
    fn replace_consumer_options(&mut self, index: u32, options: ConsumerOptions) -> bool {
        let Program::Consumer(consumer) = &mut self.clients[index as usize].program else { return false };
        let old = std::mem::replace(&mut consumer.options, options);
        old.connection() != consumer.options.connection()
    }

    fn check_producer(&self, options: &ProducerOptions) -> Result<(), ActionError> {
        self.nodes_named(&options.node)?;
        check_names(&options.topic, None)
    }

    fn check_consumer(&self, options: &ConsumerOptions) -> Result<(), ActionError> {
        self.nodes_named(&options.node)?;
        check_names(&options.topic, Some(&options.channel))
    }

    fn remove(&mut self, name: &str) -> Result<(), ActionError> {
        if self.node(name).is_ok() {
            return fail(format!("{name} is a node: kill or stop it"));
        }
        let index = self.client(name)?;
        self.crash(index);
        self.clients[index as usize].removed = true;
        Ok(())
    }

    fn administrate(&mut self, admin: Admin, target: &Target) -> Result<(), ActionError> {
        let nodes = self.nodes_named(&target.node)?;
        let up: Vec<u32> = nodes
            .into_iter()
            .filter(|&node| self.nodes[node as usize].life == Life::Up || self.starting(node))
            .collect();
        if up.is_empty() {
            return fail(format!("{} is down", target.node));
        }
        if admin != Admin::Create && !up.iter().any(|&node| self.has(node, target)) {
            return fail(match &target.channel {
                Some(channel) => format!("there is no channel {}/{}/{channel}", target.node, target.topic),
                None => format!("there is no topic {}/{}", target.node, target.topic),
            });
        }
        for node in up {
            if admin == Admin::Create || self.has(node, target) {
                self.administrate_node(node, admin, target);
            }
        }
        Ok(())
    }

    fn starting(&self, node: u32) -> bool {
        self.nodes[node as usize].life == Life::Starting
    }

    fn has(&self, node: u32, target: &Target) -> bool {
        let broker = self.nodes[node as usize].broker.as_ref();
        let topic = broker.and_then(|broker| broker.topic(&target.topic));
        topic.is_some_and(|topic| target.channel.as_ref().is_none_or(|channel| topic.has_channel(channel)))
    }

    fn administrate_node(&mut self, index: u32, admin: Admin, target: &Target) {
        let now = clock(self.now);
        let node = &mut self.nodes[index as usize];
        let Some(broker) = &mut node.broker else { return };
        let name = &target.topic;
        let act = |topic: &mut Topic| match (admin, &target.channel) {
            (Admin::Create, None) | (Admin::Delete, None) => {}
            (Admin::Create, Some(channel)) => _ = topic.handle_create_channel(now, channel),
            (Admin::Delete, Some(channel)) => _ = topic.handle_delete_channel(now, channel),
            (Admin::Empty, None) => topic.handle_empty(now),
            (Admin::Empty, Some(channel)) => _ = topic.handle_empty_channel(now, channel),
            (Admin::Pause | Admin::Unpause, None) => topic.handle_pause(now, admin == Admin::Pause),
            (Admin::Pause | Admin::Unpause, Some(channel)) => {
                _ = topic.handle_pause_channel(now, channel, admin == Admin::Pause);
            }
        };
        if admin == Admin::Delete && target.channel.is_none() {
            broker.handle_delete_topic(now, name);
        } else {
            broker.handle_topic(now, name, act);
        }
        let paused = admin == Admin::Pause;
        if paused || admin == Admin::Unpause {
            node.put_metadata(now);
        }
        let place = self.places.place(index, name.clone(), target.channel.clone());
        match admin {
            Admin::Create | Admin::Delete => {}
            Admin::Empty => self.observe(|| Observation::Emptied { place }),
            Admin::Pause | Admin::Unpause => self.observe(|| Observation::Paused { place, paused }),
        }
        self.settle_node(index);
    }

    fn publish_now(&mut self, producer: &str, told: &PublishOptions) -> Result<(), ActionError> {
        let index = self.client(producer)?;
        let client = &mut self.clients[index as usize];
        let up = client.up;
        match &mut client.program {
            Program::Producer(_) if !up => return fail(format!("{producer} does not run; connect it first")),
            Program::Producer(producer) => producer.workload.publish(told, &producer.options),
            Program::Consumer(_) => return fail(format!("{producer} is a consumer")),
        }
        self.with_client(index, |_, _| ());
        Ok(())
    }

    fn change_client(&mut self, name: &str, change: ClientChange) -> Result<(), ActionError> {
        let index = self.client(name)?;
        let client = &mut self.clients[index as usize];
        match change {
            ClientChange::Stall => client.stalled = true,
            ClientChange::Resume => {
                client.stalled = false;
                self.with_client(index, |_, _| ());
            }
            ClientChange::Crash => {
                self.mark(MarkKind::Crash, name, String::new(), 1);
                self.crash(index);
            }
            ClientChange::Connect if client.up => return fail(format!("{name} runs already")),
            ClientChange::Connect => self.start_client(index),
        }
        Ok(())
    }

    /// The process of a client dies: its connections end.
    fn crash(&mut self, index: u32) {
        self.with_client(index, |client, out| client.crash(out));
        self.break_client_ends(index);
    }

    /// The wires that `client` and `node` mean, `*` being all.
    fn wires_named(&self, client: &str, node: &str) -> Result<Vec<u32>, ActionError> {
        let client_index = if client == "*" { None } else { Some(self.client(client)?) };
        let node_index = if node == "*" { None } else { Some(self.node(node)?) };
        let wires: Vec<u32> = (0..self.wires.len() as u32)
            .filter(|&wire| {
                let wire = &self.wires[wire as usize];
                client_index.is_none_or(|index| index == wire.client)
                    && node_index.is_none_or(|index| index == wire.node)
            })
            .collect();
        if wires.is_empty() && (client != "*" || node != "*") {
            return fail(format!("there is no wire between {client} and {node}"));
        }
        Ok(wires)
    }

    fn disturb(&mut self, client: &str, node: &str, fault: WireFault) -> Result<(), ActionError> {
        let wires = self.wires_named(client, node)?;
        let what = match fault {
            WireFault::Cut => "cut",
            WireFault::Mute => "mute",
            WireFault::Slow(_) => "slow",
            WireFault::Heal => "heal",
        };
        self.mark(MarkKind::Fault, client, format!("{what} {node}"), 1);
        for wire in wires {
            match fault {
                WireFault::Cut => self.reset(wire),
                WireFault::Mute => self.wires[wire as usize].mute(),
                WireFault::Slow(latency) => self.wires[wire as usize].slow(latency),
                WireFault::Heal => self.heal(wire),
            }
        }
        Ok(())
    }

    fn part(&mut self, clients: &[String]) -> Result<(), ActionError> {
        let mut wires = Vec::new();
        for client in clients {
            wires.extend(self.wires_named(client, "*")?);
        }
        for wire in wires {
            self.wires[wire as usize].parted = true;
        }
        self.mark(MarkKind::Fault, &clients.join(" "), "partition".to_owned(), 1);
        Ok(())
    }

    fn change_node(&mut self, name: &str, change: NodeChange) -> Result<(), ActionError> {
        let mut nodes = self.nodes_named(name)?;
        nodes.retain(|&node| {
            let life = self.nodes[node as usize].life;
            match change {
                NodeChange::Kill => life != Life::Down,
                NodeChange::Stop => matches!(life, Life::Starting | Life::Up),
                NodeChange::Start => life == Life::Down,
                NodeChange::FillDisk | NodeChange::FreeDisk => true,
            }
        });
        match (nodes.is_empty(), change) {
            (true, NodeChange::Start) => return fail(format!("{name} runs already")),
            (true, _) => return fail(format!("{name} does not run")),
            (false, _) => {}
        }
        nodes.into_iter().try_for_each(|node| self.change_one_node(node, change))
    }

    /// It was seen to that this can be done.
    fn change_one_node(&mut self, index: u32, change: NodeChange) -> Result<(), ActionError> {
        let now = clock(self.now);
        let name = self.nodes[index as usize].name.clone();
        match change {
            NodeChange::Kill => {
                self.keep_counts(index);
                self.nodes[index as usize].kill().map_err(|error| ActionError(error.to_string()))?;
                self.mark(MarkKind::Kill, &name, String::new(), 1);
                self.break_node_ends(index);
                self.observe(|| Observation::NodeKilled { node: index });
            }
            NodeChange::Stop => {
                self.keep_counts(index);
                self.nodes[index as usize].stop(now);
                self.observe(|| Observation::NodeStopping { node: index });
                self.settle_node(index);
            }
            NodeChange::Start => self.start_node(index),
            NodeChange::FillDisk | NodeChange::FreeDisk => {
                let full = change == NodeChange::FillDisk;
                self.nodes[index as usize].disk.set_full(full);
                let text = if full { "disk is full" } else { "disk has room" };
                self.mark(MarkKind::Fault, &name, text.to_owned(), 1);
            }
        }
        Ok(())
    }

    /// Keeps what the broker counted, since it ends.
    pub(super) fn keep_counts(&mut self, index: u32) {
        let node = &self.nodes[index as usize];
        let Some(broker) = node.broker.as_ref().filter(|_| node.life != Life::Stopping) else { return };
        for topic in broker.stats(clock(self.now), None) {
            for channel in &topic.channels {
                self.places.keep(index, &topic.name, channel);
            }
        }
    }
}

fn check_names(topic: &str, channel: Option<&str>) -> Result<(), ActionError> {
    if TopicName::parse(topic).is_err() {
        return fail(format!("topic={topic} is no topic's name"));
    }
    match channel.map(crate::name::ChannelName::parse) {
        Some(Err(_)) => fail(format!("channel={} is no channel's name", channel.unwrap_or_default())),
        _ => Ok(()),
    }
}

/// What there is, for an error.
fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { String::new() } else { format!("; there are {}", names.join(", ")) }
}
