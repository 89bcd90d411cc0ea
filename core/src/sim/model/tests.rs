//! Whether the model finds what it is there for: nodes that are broken in one way each, by something between them and their
//! surroundings, and seeds until it is noticed. Each kind says how many seeds that may take.

use crate::sim::{Saboteur, Swarm, try_script, try_seed};
use crate::storage::{Durability, StorageEffect, StorageOp};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Breaks nodes by rewriting commands, frames and storage operations. Each of its functions does so to one in a few that it
/// can be done to.
#[derive(Clone, Debug)]
struct Broken {
    input: fn(&mut Vec<u8>) -> bool,
    output: fn(&mut Vec<u8>) -> bool,
    operation: fn(&mut StorageEffect) -> bool,
    stops_clocks: bool,
    /// Occasions so far.
    seen: u32,
}

/// One occasion in so many is taken.
const ONE_IN: u32 = 3;

impl Broken {
    const WELL: Self = Self { input: |_| false, output: |_| false, operation: |_| false, stops_clocks: false, seen: 0 };

    /// Does `act` to a copy and keeps that if its time has come.
    fn sometimes<T: Clone>(&mut self, what: &mut T, act: impl FnOnce(&mut T) -> bool) {
        let mut changed = what.clone();
        if act(&mut changed) {
            self.seen += 1;
            if self.seen.is_multiple_of(ONE_IN) {
                *what = changed;
            }
        }
    }
}

impl Saboteur for Broken {
    fn on_input(&mut self, bytes: &mut Vec<u8>) {
        let act = self.input;
        self.sometimes(bytes, act);
    }

    fn on_output(&mut self, bytes: &mut Vec<u8>) {
        let act = self.output;
        self.sometimes(bytes, act);
    }

    fn on_operation(&mut self, op: &mut StorageOp) {
        let act = self.operation;
        self.sometimes(&mut op.effect, act);
    }

    fn lets_time_pass(&mut self) -> bool {
        self.seen += u32::from(self.stops_clocks);
        !self.stops_clocks || !self.seen.is_multiple_of(ONE_IN)
    }

    fn clone_box(&self) -> Box<dyn Saboteur> {
        Box::new(self.clone())
    }
}

/// Replaces the first line that begins with `from`.
fn rewrite(bytes: &mut Vec<u8>, from: &[u8], to: impl FnOnce(&[u8]) -> Vec<u8>) -> bool {
    let starts = bytes.windows(from.len()).enumerate();
    let at_line = |&(at, window): &(usize, &[u8])| window == from && (at == 0 || bytes[at - 1] == b'\n');
    let Some((at, _)) = starts.into_iter().find(at_line) else { return false };
    let Some(len) = bytes[at..].iter().position(|&byte| byte == b'\n') else { return false };
    let line = to(&bytes[at..at + len]);
    bytes.splice(at..at + len + 1, line);
    true
}

/// Where the first frame with a message begins and ends.
fn message_frame(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 8) {
        let len = 4 + u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if head[4..] == [0, 0, 0, 2] {
            return (at + len <= bytes.len()).then_some(at..at + len);
        }
        at += len;
    }
    None
}

/// How many seeds it takes until somebody notices; `None` if `most` do not.
fn seeds_until_found(broken: &Broken, most: u64) -> Option<u64> {
    (1..=most).find(|&seed| {
        let script = Swarm::new(seed).script();
        try_script(&script, true, Some(Box::new(broken.clone()))).violation.is_some()
    })
}

#[track_caller]
fn found_within(most: u64, broken: Broken) {
    assert!(seeds_until_found(&broken, most).is_some(), "not found in {most} seeds");
}

#[test]
fn nothing_is_found_where_nothing_is_broken() {
    assert_eq!(seeds_until_found(&Broken::WELL, 20), None);
}

#[test]
fn a_lost_requeue_is_found() {
    let finishes = |bytes: &mut Vec<u8>| rewrite(bytes, b"REQ ", |line| [b"FIN ", &line[4..20], b"\n"].concat());
    found_within(20, Broken { input: finishes, ..Broken::WELL });
}

#[test]
fn a_dropped_finish_is_found() {
    found_within(5, Broken { input: |bytes| rewrite(bytes, b"FIN ", |_| Vec::new()), ..Broken::WELL });
}

#[test]
fn one_message_more_than_ready_is_found() {
    let one_more = |bytes: &mut Vec<u8>| {
        rewrite(bytes, b"RDY ", |line| {
            let count: u32 = std::str::from_utf8(&line[4..]).unwrap().parse().unwrap();
            format!("RDY {}\n", count + 1).into_bytes()
        })
    };
    found_within(20, Broken { input: one_more, ..Broken::WELL });
}

#[test]
fn a_timer_that_does_not_fire_is_found() {
    found_within(20, Broken { stops_clocks: true, ..Broken::WELL });
}

#[test]
fn a_deferral_that_is_forgotten_is_found() {
    let at_once = |bytes: &mut Vec<u8>| {
        rewrite(bytes, b"DPUB ", |line| {
            let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
            [b"DPUB ", words[1], b" 0\n"].concat()
        })
    };
    found_within(20, Broken { input: at_once, ..Broken::WELL });
}

#[test]
fn a_message_delivered_twice_is_found() {
    let twice = |bytes: &mut Vec<u8>| {
        let Some(frame) = message_frame(bytes) else { return false };
        let again = bytes[frame].to_vec();
        bytes.extend(again);
        true
    };
    found_within(5, Broken { output: twice, ..Broken::WELL });
}

#[test]
fn attempts_that_are_not_counted_are_found() {
    let first = |bytes: &mut Vec<u8>| {
        let Some(frame) = message_frame(bytes) else { return false };
        let attempts = &mut bytes[frame][16..18];
        let counted = *attempts != [0, 1];
        attempts.copy_from_slice(&[0, 1]);
        counted
    };
    found_within(20, Broken { output: first, ..Broken::WELL });
}

#[test]
fn an_id_that_changes_is_found() {
    let other = |bytes: &mut Vec<u8>| {
        let Some(frame) = message_frame(bytes) else { return false };
        let digit = &mut bytes[frame][33];
        *digit = if *digit == b'0' { b'1' } else { b'0' };
        true
    };
    found_within(5, Broken { output: other, ..Broken::WELL });
}

#[test]
fn a_sync_that_is_skipped_is_found() {
    let skips = |effect: &mut StorageEffect| match effect {
        StorageEffect::Append { durability, .. } if *durability == Durability::Synced => {
            *durability = Durability::Written;
            true
        }
        _ => false,
    };
    found_within(150, Broken { operation: skips, ..Broken::WELL });
}

#[test]
fn an_answer_for_what_is_not_stored_is_found() {
    let does_nothing = |effect: &mut StorageEffect| {
        let is_append = matches!(effect, StorageEffect::Append { taken: false, .. });
        *effect = StorageEffect::Release { count: 0 };
        is_append
    };
    found_within(30, Broken { operation: does_nothing, ..Broken::WELL });
}

#[test]
fn a_read_position_past_what_is_unfinished_is_found() {
    let one_more = |effect: &mut StorageEffect| match effect {
        StorageEffect::Release { count } => {
            *count += 1;
            true
        }
        _ => false,
    };
    found_within(150, Broken { operation: one_more, ..Broken::WELL });
}

/// Seeds whose consumers give back what they get, in which one kind of message starved the other once: by being always preferred,
/// or because the log was not read meanwhile.
#[test]
fn neither_what_comes_back_nor_what_is_new_starves() {
    for seed in [25, 52, 102, 194, 228, 398] {
        assert_eq!(try_seed(seed).violation, None, "seed {seed}");
    }
}

#[test]
fn what_is_cut_short_ends_early_and_is_the_same_until_then() {
    let swarm = Swarm::new(7);
    let cut = *swarm.cuts().first().unwrap();
    let whole: Vec<String> = swarm.script().actions().map(|(at, action)| format!("{at:?} {action}")).collect();
    let begun: Vec<String> = swarm
        .cut(cut)
        .actions()
        .take_while(|(at, _)| *at < crate::time::Instant::ZERO + cut)
        .map(|(at, action)| format!("{at:?} {action}"))
        .collect();
    assert_eq!(whole[..begun.len()], begun);
    assert!(swarm.cut(cut).until < swarm.script().until);
}

#[test]
fn the_same_seed_is_the_same_trial() {
    let (one, two) = (try_seed(3), try_seed(3));
    assert_eq!((one.steps, one.hash, one.totals, one.violation), (two.steps, two.hash, two.totals, None));
    assert!(one.totals.delivered > 0);
}
