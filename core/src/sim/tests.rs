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
    assert!(differs.marks_since(0).any(|mark| &*mark.who == "link"));
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
