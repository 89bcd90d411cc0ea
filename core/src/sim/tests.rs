//! Whole runs: every scenario reaches its point, and the same run is the same however one gets to it.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn action(text: &str) -> Action {
    text.parse().unwrap()
}

fn run(script: &str) -> Simulation {
    let mut simulation = Simulation::new(&script.parse().unwrap());
    simulation.run_to_end();
    simulation
}

#[test]
fn every_scenario_reaches_its_point() {
    for known in SCENARIOS {
        let mut simulation = Simulation::new(&scenario(known.name, None).unwrap());
        simulation.run_to_end();
        assert_eq!(simulation.violation(), None, "{}", known.name);
        let errors: Vec<_> = simulation.marks_since(0).filter(|mark| mark.kind == MarkKind::Error).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", known.name);
        assert!(known.script.contains("expect "), "{} has a point", known.name);
        assert!(!known.about().is_empty() && known.title() != known.name);
    }
}

const BUSY: &str = "seed 5
until 20s
node n1 mem-queue-size=20 disk-latency=1ms
node n2
producer p topic=t rate=200/s batch=5
consumer a topic=t channel=x max-in-flight=8 handler=20ms jitter=20ms fail=10 requeue-delay=500ms
consumer b topic=t channel=y max-in-flight=2 handler=1ms timeout=2 msg-timeout=2s
at 5s kill n1
at 6s start n1
at 8s mute a n2
at 12s heal a n2
";

#[test]
fn the_same_run_is_the_same() {
    let (one, two) = (run(BUSY), run(BUSY));
    assert_eq!((one.steps(), one.trace_hash()), (two.steps(), two.trace_hash()));
    let other = run(&BUSY.replace("seed 5", "seed 6"));
    assert_ne!(one.trace_hash(), other.trace_hash());
}

#[test]
fn going_back_and_on_again_leads_to_the_same() {
    let mut simulation = run(BUSY);
    let (steps, hash) = (simulation.steps(), simulation.trace_hash());
    let marks = simulation.marks_since(0).count();
    for step in [steps / 2, 1, steps - 1, 0] {
        simulation.seek(Target::Step(step));
        assert_eq!(simulation.steps(), step);
        simulation.run_to_end();
        assert_eq!((simulation.steps(), simulation.trace_hash()), (steps, hash));
        assert_eq!(simulation.marks_since(0).count(), marks);
    }
    simulation.seek(Target::Time(Instant::from_millis(7_000)));
    assert_eq!(simulation.now(), Instant::from_millis(7_000));
    simulation.seek(Target::Time(Instant::from_millis(20_000)));
    assert_eq!(simulation.trace_hash(), hash);
}

#[test]
fn a_link_leads_to_the_same_step() {
    let mut simulation = Simulation::new(&BUSY.parse().unwrap());
    simulation.run_until(Instant::from_millis(3_210), u64::MAX);
    simulation.apply(action("stall b")).unwrap();
    simulation.run_steps(100);
    simulation.apply(action("publish p count=3 body=by hand")).unwrap();
    simulation.run_until(Instant::from_millis(9_000), u64::MAX);
    let link = simulation.link();
    let again = Simulation::from_link(&link).unwrap();
    assert_eq!(
        (again.steps(), again.now(), again.trace_hash()),
        (simulation.steps(), simulation.now(), simulation.trace_hash())
    );
    assert_eq!(again.link(), link);
    let forged = link.replace("stall", "crash");
    let differs = Simulation::from_link(&forged).unwrap();
    let marked =
        |simulation: &Simulation, kind| simulation.marks_since(0).any(|mark| (&*mark.who, mark.kind) == ("link", kind));
    assert_eq!((marked(&differs, MarkKind::Error), differs.link_notice()), (true, None));
    let older = Simulation::from_link(&forged.replace(&format!("&b={BEHAVIOUR}"), "")).unwrap();
    assert_eq!((marked(&older, MarkKind::Error), marked(&older, MarkKind::Say)), (false, true), "nothing is compared");
    assert!(older.link_notice().unwrap().contains("behaviour 1;"));
    assert!(older.link().contains(&format!("&b={BEHAVIOUR}&")));
}

#[test]
fn edits_are_part_of_a_run_and_a_fork_has_its_own() {
    let mut simulation = Simulation::new(&BUSY.parse().unwrap());
    simulation.run_until(Instant::from_millis(2_000), u64::MAX);
    let mut fork = simulation.clone();
    fork.apply(action("crash a")).unwrap();
    fork.run_until(Instant::from_millis(4_000), u64::MAX);
    simulation.run_until(Instant::from_millis(4_000), u64::MAX);
    assert_ne!(fork.trace_hash(), simulation.trace_hash());
    let hash = fork.trace_hash();
    fork.seek(Target::Time(Instant::from_millis(1_000)));
    fork.seek(Target::Time(Instant::from_millis(4_000)));
    assert_eq!(fork.trace_hash(), hash, "the edit was done again");
    fork.seek(Target::Time(Instant::from_millis(1_000)));
    fork.apply(action("stall a")).unwrap();
    fork.seek(Target::Time(Instant::from_millis(4_000)));
    assert_ne!(fork.trace_hash(), hash, "what lay ahead was forgotten");
}

#[test]
fn looking_changes_nothing() {
    let (mut watched, mut alone) = (Simulation::new(&BUSY.parse().unwrap()), Simulation::new(&BUSY.parse().unwrap()));
    while watched.now() < Instant::from_millis(20_000) {
        watched.view(ViewLimits::default());
        watched.motions(&mut Vec::new());
        watched.dots(&mut Vec::new());
        watched.next_event_at();
        watched.run_until(watched.now() + std::time::Duration::from_millis(37), u64::MAX);
    }
    alone.run_until(watched.now(), u64::MAX);
    assert_eq!((watched.steps(), watched.trace_hash()), (alone.steps(), alone.trace_hash()));
}

#[test]
fn how_closely_it_is_watched_changes_nothing() {
    let script: Script = BUSY.parse().unwrap();
    let mut light = Simulation::new(&script).with_checks(Checks::Light);
    light.run_to_end();
    assert_eq!(light.trace_hash(), run(BUSY).trace_hash());
}

#[test]
fn expectations_are_about_something() {
    let mut simulation = run("until 1s\nnode n1\nproducer p topic=t\nat 100ms publish p count=2\n");
    for good in
        ["n1/t depth == 2", "*/t published >= 2", "p acked == 2", "p failed < 1", "n1/t depth != 3", "p waiting <= 0"]
    {
        simulation.apply(action(&format!("expect {good}"))).unwrap();
        assert_eq!(simulation.violation(), None, "{good}");
    }
    for bad in
        ["n2/t depth == 0", "n1/u depth == 0", "n1/t/c depth == 0", "n1/t colour == 1", "q acked == 1", "p colour > 1"]
    {
        assert!(simulation.apply(action(&format!("expect {bad}"))).is_err(), "{bad}");
    }
    simulation.apply(action("expect p acked > 2")).unwrap();
    assert_eq!(simulation.violation().unwrap().text, "expect p acked > 2: it is 2");
}

#[test]
fn a_message_has_a_life_story() {
    let simulation = run("until 10s
network jitter=0
node n1
producer p topic=t
consumer a topic=t channel=c msg-timeout=1s handler=1500ms
at 100ms publish p body=hello
");
    let life = simulation.message(0).unwrap();
    let kinds: Vec<LifeKind> = life.events.iter().map(|step| step.what).collect();
    use LifeKind::{Acked, Delivered, Finished, Published, Put, Received, Sent, TimedOut};
    let begins = [Sent, Published, Put, Delivered, Received, Acked, TimedOut, Delivered, Received];
    assert_eq!(kinds[..9], begins);
    assert_eq!(kinds[9..], [Finished], "the first answer, too late, counts for the second delivery");
    let delivered = &life.events[3];
    assert_eq!(
        (delivered.who.as_deref(), delivered.channel.as_deref(), delivered.attempt),
        (Some("a"), Some("c"), Some(1))
    );
    assert_eq!((life.body.as_str(), life.bytes, life.topic.as_str(), life.id.len()), ("hello", 32, "t", 16));
    assert!(simulation.message(1).is_none());
}

/// Swallows every FIN.
#[derive(Clone, Debug)]
struct Forgetful;

impl Saboteur for Forgetful {
    fn on_input(&mut self, bytes: &mut Vec<u8>) {
        if bytes.starts_with(b"FIN ") {
            bytes.clear();
        }
    }

    fn clone_box(&self) -> Box<dyn Saboteur> {
        Box::new(self.clone())
    }
}

#[test]
fn a_saboteur_is_noticed_from_outside() {
    let script = "until 3s\nnode n1\nproducer p topic=t\nconsumer a topic=t channel=c msg-timeout=1s\nat 1s publish p\nat 2900ms expect n1/t/c timed-out == 0";
    assert_eq!(run(script).violation(), None);
    let mut broken = Simulation::new(&script.parse().unwrap()).with_saboteur(Box::new(Forgetful));
    broken.run_to_end();
    assert!(broken.violation().is_some());
}

/// What an operator sees of channel `t/c` on `n1`: depth, in flight.
fn counts(simulation: &mut Simulation) -> (u64, u64) {
    let view = simulation.view(ViewLimits::default());
    let channel = &view.nodes[0].topics[0].channels[0];
    (channel.depth, channel.in_flight)
}

#[test]
fn a_half_open_connection_keeps_its_messages_until_their_time_is_up() {
    let mut simulation = Simulation::new(
        &"node n1 msg-timeout=5s\nproducer p topic=t\nconsumer a topic=t channel=c max-in-flight=10 handler=1s"
            .parse()
            .unwrap(),
    );
    simulation.run_until(Instant::from_millis(1_000), u64::MAX);
    simulation.apply(action("mute a n1")).unwrap();
    simulation.apply(action("publish p count=3")).unwrap();
    simulation.run_until(Instant::from_millis(2_000), u64::MAX);
    assert_eq!(counts(&mut simulation), (0, 3));
    simulation.apply(action("crash a")).unwrap();
    simulation.apply(action("heal a n1")).unwrap();
    simulation.apply(action("connect a")).unwrap();
    simulation.run_until(Instant::from_millis(20_000), u64::MAX);
    assert_eq!(counts(&mut simulation), (0, 0));
}

#[test]
fn a_consumer_that_hears_nothing_gives_up_and_comes_again() {
    let mut simulation = Simulation::new(&"node n1\nconsumer a topic=t channel=c".parse().unwrap());
    simulation.run_until(Instant::from_millis(1_000), u64::MAX);
    let state = |simulation: &mut Simulation| simulation.view(ViewLimits::default()).wires[0].state;
    assert_eq!(state(&mut simulation), "connected");
    simulation.apply(action("mute a n1")).unwrap();
    simulation.run_until(Instant::from_millis(70_000), u64::MAX);
    assert_eq!(state(&mut simulation), "muted");
    simulation.apply(action("heal a n1")).unwrap();
    simulation.run_until(Instant::from_millis(73_000), u64::MAX);
    assert_eq!(state(&mut simulation), "connected");
    let view = simulation.view(ViewLimits::default());
    assert_eq!(view.consumers[0].ready, 1);
}

#[test]
fn options_of_a_connection_take_a_new_one() {
    let mut simulation = run("until 1s\nnode n1\nproducer p topic=t\nconsumer a topic=t channel=c\n");
    simulation.apply(action("set a channel=d msg-timeout=3s")).unwrap();
    simulation.run_until(Instant::from_millis(1_500), u64::MAX);
    simulation.apply(action("publish p")).unwrap();
    simulation.run_until(Instant::from_millis(2_000), u64::MAX);
    let view = simulation.view(ViewLimits::default());
    assert_eq!(view.consumers[0].finished, 1);
    assert_eq!(view.nodes[0].topics[0].channels[1].finished, 1);
    assert!(simulation.apply(action("set a channel=$")).is_err());
    assert!(simulation.apply(action("set b handler=1s")).is_err());
}

/// Something that may be done to the world of [`CROWD`], sensible or not.
fn anything(rng: &mut crate::rng::Rng) -> String {
    const CLIENTS: [&str; 5] = ["p", "q", "a", "b", "c"];
    const NODES: [&str; 3] = ["n1", "n2", "*"];
    const PLACES: [&str; 4] = ["t", "t x", "t y", "u e#ephemeral"];
    const WHOLE: [&str; 10] = [
        "topic n1 w",
        "channel * t z",
        "network latency=3ms jitter=9ms",
        "publish q count=30 defer=300ms",
        "set a max-in-flight=7 handler=30ms fail=20",
        "set b timeout=30 touch=100ms",
        "set c max-in-flight=0",
        "disk n1 errors=30 latency=7ms",
        "disk n1 errors=0 latency=0",
        "partition a p",
    ];
    let mut one_of = |words: &[&'static str]| words[rng.below(words.len() as u64) as usize];
    let verb = one_of(&[
        "publish",
        "stall",
        "resume",
        "crash",
        "connect",
        "cut",
        "mute",
        "heal",
        "kill",
        "stop",
        "start",
        "start",
        "fill-disk",
        "free-disk",
        "empty",
        "delete",
        "pause",
        "unpause",
        "",
        "",
        "",
    ]);
    match verb {
        "" => one_of(&WHOLE).to_owned(),
        "publish" | "stall" | "resume" | "crash" | "connect" => format!("{verb} {}", one_of(&CLIENTS)),
        "cut" | "mute" | "heal" => format!("{verb} {} {}", one_of(&CLIENTS), one_of(&NODES)),
        "empty" | "delete" | "pause" | "unpause" => format!("{verb} {} {}", one_of(&NODES), one_of(&PLACES)),
        _ => format!("{verb} {}", one_of(&NODES)),
    }
}

const CROWD: &str =
    "node n1 mem-queue-size=5 publish-ack=synced disk-latency=3ms msg-timeout=1s max-bytes-per-file=2K sync-every=10
node n2 mem-queue-size=3 msg-timeout=2s max-rdy-count=50
producer p topic=t rate=300/s batch=3
producer q topic=u rate=50/s ack=pipeline defer=20ms
consumer a topic=t channel=x max-in-flight=20 handler=5ms jitter=20ms fail=5 requeue-delay=200ms
consumer b topic=t channel=y max-in-flight=3 handler=10ms timeout=5 sample-rate=50
consumer c topic=u channel=e#ephemeral max-in-flight=10
";

#[test]
fn whatever_is_done_a_run_goes_on_and_can_be_repeated() {
    for seed in 0..12 {
        let mut rng = crate::rng::Rng::new(seed);
        let mut simulation = Simulation::new(&format!("seed {seed}\n{CROWD}").parse().unwrap());
        for _ in 0..60 {
            // What cannot be done is refused and changes nothing.
            _ = simulation.apply(action(&anything(&mut rng)));
            let pause = std::time::Duration::from_millis(rng.below(400));
            simulation.run_until(simulation.now() + pause, u64::MAX);
        }
        let again = Simulation::from_link(&simulation.link()).unwrap();
        assert_eq!((again.steps(), again.trace_hash()), (simulation.steps(), simulation.trace_hash()), "seed {seed}");
        simulation.apply(action("heal *")).unwrap();
        for last in ["start n1", "start n2", "free-disk *", "disk n1 errors=0", "stall p", "stall q"] {
            _ = simulation.apply(action(last));
        }
        simulation.run_until(simulation.now() + std::time::Duration::from_secs(200), u64::MAX);
        let view = simulation.view(ViewLimits::default());
        for node in &view.nodes {
            assert_ne!(node.state, "starting", "seed {seed}");
            assert_ne!(node.state, "stopping", "seed {seed}");
        }
    }
}

#[test]
fn a_partition_is_a_delay() {
    let mut simulation = Simulation::new(&"node n1\nproducer p topic=t".parse().unwrap());
    simulation.run_until(Instant::from_millis(100), u64::MAX);
    simulation.apply(action("partition p")).unwrap();
    simulation.apply(action("publish p")).unwrap();
    simulation.run_until(Instant::from_millis(5_000), u64::MAX);
    let published = |simulation: &mut Simulation| {
        let view = simulation.view(ViewLimits::default());
        (view.nodes[0].topics.len(), view.producers[0].acked)
    };
    assert_eq!(published(&mut simulation), (0, 0));
    simulation.apply(action("heal *")).unwrap();
    simulation.run_until(Instant::from_millis(6_000), u64::MAX);
    assert_eq!(published(&mut simulation), (1, 1));
}

#[test]
fn what_was_synced_survives_a_kill() {
    for (ack, survives) in [("accepted", false), ("synced", true)] {
        let mut simulation = run(&format!(
            "until 3s
node n1 publish-ack={ack}
producer p topic=t
channel n1 t c
at 100ms publish p count=20
at 1s kill n1
at 1s start n1
"
        ));
        assert_eq!(counts(&mut simulation), (if survives { 20 } else { 0 }, 0), "{ack}");
    }
}

#[test]
fn a_graceful_stop_keeps_everything() {
    let mut simulation = run("until 5s
node n1
producer p topic=t
consumer a topic=t channel=c max-in-flight=3 handler=1h
at 100ms publish p count=20
at 500ms publish p count=5 defer=1h
at 1s stop n1
at 2s remove a
at 3s start n1
");
    let view = simulation.view(ViewLimits::default());
    let channel = &view.nodes[0].topics[0].channels[0];
    assert_eq!((channel.depth, channel.deferred, channel.in_flight), (20 + 5, 0, 0), "deferrals are still on disk");
    assert_eq!(view.nodes[0].state, "up");
}

#[test]
fn a_stop_leaves_each_message_in_one_place_whatever_is_on_its_way() {
    // Read from the topic's log by 3575 ms (nsqd.dat is written first), on the channel's not before 3605 ms.
    for (ack, disk) in [("accepted", ""), ("synced", ""), ("accepted", "fill-disk n1"), ("synced", "fill-disk n1")] {
        let at_once = if disk.is_empty() { String::new() } else { format!("at 3585ms {disk}") };
        let mut simulation = run(&format!(
            "until 7s
node n1 publish-ack={ack} mem-queue-size=0 disk-latency=30ms
producer p topic=t
at 100ms publish p count=20
at 3s pause n1 t
at 3100ms channel n1 t c
at 3500ms unpause n1 t
{at_once}
at 3590ms stop n1
at 5s free-disk n1
at 6s start n1
at 6500ms unpause n1 t
"
        ));
        let view = simulation.view(ViewLimits::default());
        let topic = &view.nodes[0].topics[0];
        assert_eq!((topic.depth, topic.channels[0].depth), (0, 20), "{ack}, {disk}");
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let mut simulation = run("until 6s
node n1 mem-queue-size=5
producer p topic=t
channel n1 t c
at 100ms fill-disk n1
at 200ms publish p count=10
at 3s free-disk n1
at 4s publish p count=3
");
    let view = simulation.view(ViewLimits::default());
    assert!(view.producers[0].failed > 0);
    assert!(view.producers[0].acked >= 5 + 3);
    assert_eq!(counts(&mut simulation).0, view.producers[0].acked);
}
