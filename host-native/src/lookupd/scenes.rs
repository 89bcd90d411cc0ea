//! Scenes of a connection to nsqlookupd: an nsqd that registers, pipelines, and goes away.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use sansq_core::name::TopicName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, split};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::connection::Connection;
use super::*;
use crate::scripted::{End, Stage, check};
use crate::streams::Stream;

const AT_ONCE: Duration = Duration::from_millis(100);
/// A scene with a peer that says nothing, until it is given up; and one that takes no answers.
const WHOLE: Duration = Duration::from_secs(12);
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// An nsqlookupd that is connected to.
#[derive(Clone)]
pub(crate) struct Scripted(Arc<State>);

impl Scripted {
    pub(crate) fn new() -> Self {
        let options = NsqlookupdOptions { idle_timeout: IDLE_TIMEOUT, ..NsqlookupdOptions::default() };
        let bound = Bound { address: String::new(), port: Some(1) };
        Self(Arc::new(State { clock: Clock::of_a_scene(), ..state(&options, &bound, &bound) }))
    }

    /// Serves `stream` until it ends.
    pub(crate) async fn serve(self, stream: impl Stream + 'static) {
        // How it ended is its peer's to judge.
        _ = Connection::new("a scene".to_owned(), &self.0).run(stream).await;
    }

    /// What is registered by somebody: each topic, and its channels.
    pub(crate) fn registered(&self) -> Vec<(String, Vec<String>)> {
        let (registry, now) = (self.0.registry.read(), self.0.clock.now());
        let found = |topic: &TopicName| registry.lookup(now, topic).is_some_and(|lookup| !lookup.producers.is_empty());
        let channels = |topic| registry.channels(topic).map(ToString::to_string).collect();
        registry.topics().filter(|it| found(it)).map(|topic| (topic.to_string(), channels(topic))).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Ends,
    Vanishes,
    Resets,
    Errs,
    Stalls,
}

#[derive(Debug)]
struct Part {
    commands: Vec<String>,
    /// Commands without an answer, at most.
    pipelined: usize,
    ending: Ending,
}

fn scene(stage: &mut Stage) {
    let count = stage.pick([0, 1, 10, 200]);
    let command = |stage: &mut Stage, number: u64| match stage.below(8) {
        0 => "PING\n".to_owned(),
        1 => format!("UNREGISTER t{}\n", stage.below(number + 1)),
        2 => format!("REGISTER t{number}\n"),
        _ => format!("REGISTER t{} c{number}\n", number / 4),
    };
    let part = Part {
        commands: (0..count).map(|number| command(stage, number)).collect(),
        pipelined: stage.pick([1, 10, 100]),
        ending: stage.pick([Ending::Ends, Ending::Vanishes, Ending::Resets, Ending::Errs, Ending::Stalls]),
    };
    stage.about(&part);
    let lookupd = Scripted::new();
    let (ours, theirs) = stage.pair();
    stage.task("nsqlookupd's connection", lookupd.clone().serve(ours));
    stage.task("nsqd", play(theirs, part, lookupd));
}

async fn play(theirs: End, part: Part, lookupd: Scripted) {
    let start = Instant::now();
    let switch = theirs.switch();
    let (mut reader, mut writer) = split(theirs);
    let room = Semaphore::new(part.pipelined);
    let writing = async {
        let info = br#"{"broadcast_address":"here","hostname":"here","tcp_port":1,"http_port":2,"version":"1.3.0"}"#;
        let identify = [b"  V1IDENTIFY\n", &(info.len() as u32).to_be_bytes()[..], info].concat();
        for command in [&identify[..]].into_iter().chain(part.commands.iter().map(String::as_bytes)) {
            room.acquire().await.unwrap().forget();
            writer.write_all(command).await.unwrap();
        }
    };
    let reading = async {
        for number in 0..=part.commands.len() {
            let answer = answer(&mut reader).await.unwrap();
            assert!(number == 0 || answer == b"OK", "{}", String::from_utf8_lossy(&answer));
            room.add_permits(1);
        }
    };
    tokio::join!(writing, reading);
    assert!(start.elapsed() < AT_ONCE, "what needs no time took {:?}", start.elapsed());
    let before = Instant::now();
    match part.ending {
        Ending::Ends => writer.shutdown().await.unwrap(),
        Ending::Vanishes => {
            drop((reader, writer));
            return unregistered(&lookupd).await;
        }
        Ending::Resets => {
            switch.cut();
            return unregistered(&lookupd).await;
        }
        Ending::Errs => {
            writer.write_all(b"NOTHING\n").await.unwrap();
            assert!(answer(&mut reader).await.unwrap().starts_with(b"E_INVALID"));
        }
        Ending::Stalls => {
            tokio::time::sleep(IDLE_TIMEOUT + AT_ONCE).await;
            return assert_eq!(lookupd.registered(), [], "it is given up");
        }
    }
    assert_eq!(reader.read(&mut [0; 10]).await.unwrap(), 0, "the end");
    assert!(before.elapsed() < AT_ONCE, "the end took {:?}", before.elapsed());
    assert_eq!(lookupd.registered(), []);
}

/// The rest of the scene goes first.
async fn unregistered(lookupd: &Scripted) {
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(lookupd.registered(), []);
}

async fn answer(reader: &mut (impl tokio::io::AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let size = reader.read_u32().await?;
    if size > 1000 {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; size as usize];
    reader.read_exact(&mut answer).await?;
    Ok(answer)
}

#[test]
fn a_connection_of_nsqlookupd_sleeps_through_nothing() {
    check(2000, WHOLE, scene);
}
