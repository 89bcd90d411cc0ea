//! Scenes of registration: an nsqd whose topics come and go, and an nsqlookupd that is to know them, over connections that
//! may be cut off.

use std::time::Duration;

use sansq_core::config::Config;
use sansq_core::name::{ChannelName, TopicName};
use sansq_core::topic::Topic;
use tokio::time::{Instant, sleep};

use super::*;
use crate::lookupd::scenes::Scripted;
use crate::scripted::{Listening, Stage, check, node};

/// The time between two looks. It passes when nothing else can happen only.
const LOOK: Duration = Duration::from_millis(1);
const AT_ONCE: Duration = Duration::from_millis(100);
/// With a connection that was cut off: attempts are up to 5 s apart.
const RETRY: Duration = Duration::from_secs(6);
const WHOLE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Act {
    /// So many topics come, each with two channels.
    Come(u32),
    /// One goes.
    Go(u32),
    /// Everything said so far is known.
    Settle,
    /// The connection is cut off.
    Cut,
}

fn scene(stage: &mut Stage) {
    let acts = 1 + stage.below(8);
    // Not more changes at once than are kept for who listens.
    let many = stage.pick([2, 10, 10, 40]);
    let before = stage.pick([0, 0, 0, 5, 5, 5, 5, 300]);
    let mut draw = || match stage.below(8) {
        0 => Act::Cut,
        1 | 2 => Act::Go(stage.below(20) as u32),
        3..6 => Act::Come(stage.below(many) as u32),
        _ => Act::Settle,
    };
    let acts: Vec<_> = (0..acts).map(|_| draw()).collect();
    stage.about(&(before, &acts));
    let options = NsqdOptions {
        broadcast_address: "here".to_owned(),
        broadcast_tcp_port: 1,
        broadcast_http_port: 2,
        ..NsqdOptions::default()
    };
    let (node, lookupd, mut door) = (node(Config::default()), Scripted::new(), Listening::new(stage));
    (0..before).for_each(|number| come(&node, number));
    let peer = Peer::new(node.clock.now().mono, info(&options));
    let address = door.address().to_owned();
    let registrar = Registrar { node: node.clone(), address, peer, last_reason: String::new() };
    stage.background("nsqd's registration", registrar.run());
    let (switches, mut connected) = watch::channel(None);
    stage.background("nsqlookupd", {
        let lookupd = lookupd.clone();
        async move {
            loop {
                let end = door.accept().await;
                switches.send_replace(Some(end.switch()));
                tokio::spawn(lookupd.clone().serve(end));
            }
        }
    });
    let streams = stage.streams();
    stage.task("an operator", async move {
        let mut count = before;
        let mut patience = AT_ONCE;
        for act in acts.into_iter().chain([Act::Settle]) {
            match act {
                Act::Come(more) => {
                    (count..count + more).for_each(|number| come(&node, number));
                    count += more;
                }
                Act::Go(number) => _ = node.delete_topic(&topic(number)),
                Act::Cut => {
                    if let Some(switch) = connected.borrow_and_update().as_ref() {
                        switch.cut();
                        patience = RETRY;
                    }
                }
                // What was cut off may be known as it was for a while, and only then be noticed.
                Act::Settle => settled(&node, &lookupd, patience, &streams).await,
            }
        }
    });
}

fn topic(number: u32) -> TopicName {
    TopicName::parse(format!("t{number}#ephemeral")).unwrap()
}

fn come(node: &Arc<Node>, number: u32) {
    let cell = node.ensure_topic(&topic(number));
    for channel in ["c", "d"] {
        let channel = ChannelName::parse(channel).unwrap();
        node.step(&cell, |topic: &mut Topic, now| topic.handle_create_channel(now, &channel));
    }
}

async fn settled(node: &Node, lookupd: &Scripted, patience: Duration, streams: &impl Fn() -> String) {
    let begin = Instant::now();
    loop {
        let name = |cell: &Arc<crate::node::TopicCell>| {
            cell.view(|it| (it.name().to_string(), it.channels().map(|(name, _)| name.to_string()).collect::<Vec<_>>()))
        };
        let wanted: Vec<_> = node.topics().iter().map(name).collect();
        let known = lookupd.registered();
        if known == wanted {
            return;
        }
        let waited = begin.elapsed();
        let (known, all) = (known.len(), wanted.len());
        assert!(waited < patience, "after {waited:?} nsqlookupd knows {known} of {all} topics; {}", streams());
        sleep(LOOK).await;
    }
}

#[test]
fn a_registration_sleeps_through_nothing() {
    check(1000, WHOLE, scene);
}
