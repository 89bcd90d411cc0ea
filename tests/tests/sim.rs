//! `sansq sim` as one uses it: what it says, what it writes, and what it ends with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::process::{Command, Stdio};

use sansq_tests::nsqd::newest_build;
use tempfile::TempDir;

/// What came of `sansq sim` with these words: its status, what it printed, what it complained of.
fn sim(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(newest_build("sansq").unwrap());
    let output = command.arg("sim").args(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A script in a file of its own.
fn script(text: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.sim");
    std::fs::write(&file, text).unwrap();
    let name = file.to_str().unwrap().to_owned();
    (directory, name)
}

/// Whether git agrees.
fn git(args: &[&str]) -> bool {
    Command::new("git").args(args).output().is_ok_and(|output| output.status.success())
}

/// The word behind `word`.
fn after<'a>(text: &'a str, word: &str) -> &'a str {
    text.split(word).nth(1).unwrap().split_whitespace().next().unwrap()
}

#[test]
fn a_seed_runs_to_its_end_and_a_trace_has_a_line_for_each_step() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace");
    let (status, said, _) = sim(&["--seed", "7", "--trace", file.to_str().unwrap()]);
    assert_eq!(status, 0, "{said}");
    let trace = std::fs::read_to_string(file).unwrap();
    let last: Vec<&str> = trace.lines().last().unwrap().split(' ').collect();
    assert_eq!((last[0], last[2]), (after(&said, "all is well: "), after(&said, "hash ")));
    assert_eq!(trace.lines().count().to_string(), last[0]);
}

#[test]
fn many_seeds_are_summed_up() {
    let (status, said, _) = sim(&["--seeds", "1..6"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("\n5 seeds, ") && said.contains("delivered") && !said.contains('\u{1b}'), "{said}");
}

#[test]
fn what_fails_is_named_and_its_link_leads_there() {
    let (_directory, file) = script(
        "until 2s\nnode n1\nproducer p topic=t\nchannel n1 t c\nat 1s publish p\nat 1500ms expect n1/t/c depth == 7\n",
    );
    let (status, said, _) = sim(&["--scenario", &file]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("expect n1/t/c depth == 7: it is 1"), "{said}");
    // In a clone, the commit that the program was built from; a source archive has none.
    if git(&["rev-parse", "HEAD"]) {
        let commit = after(&said, "with sansq 0.1.0, commit ");
        let commit = commit.trim_end_matches("+changes");
        assert!(git(&["cat-file", "-e", &format!("{commit}^{{commit}}")]), "{said}");
    }
    let (hash, page) = (after(&said, "hash "), after(&said, "to be seen: "));
    let (status, again, _) = sim(&["--run", page]);
    assert_eq!((status, after(&again, "hash ")), (1, hash), "{again}");
}

#[test]
fn a_link_of_another_version_leads_there_with_a_notice_and_no_complaint() {
    let (status, said, _) = sim(&["--run", "seed=1&s=first-message&at=40@2000000000&h=0123456789abcdef"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("another version of the simulator (behaviour 1;"), "{said}");
    let link = "seed=1&s=first-message&b=4000000000&at=40@2000000000&h=0123456789abcdef";
    let (status, said, _) = sim(&["--run", link]);
    assert_eq!((status, said.contains("(behaviour 4000000000;")), (0, true), "{said}");
}

#[test]
fn what_makes_no_sense_is_said_and_what_there_is() {
    let (_directory, file) = script("node n1\nproducr p topic=t\n");
    let (status, _, complaint) = sim(&["--scenario", &file]);
    assert_eq!(status, 2);
    assert!(
        complaint.contains("line 2") && complaint.contains("producr") && complaint.contains("producer"),
        "{complaint}"
    );
    for (args, part) in [
        (["--seeds", "9..3"], "1..1000"),
        (["--seed", "x"], "--seed"),
        (["--scenario", "fan-in"], "fan-out"),
        (["--run", "seed=1&s=nothing"], "nothing"),
        (["--sed", "1"], "--sed"),
    ] {
        let (status, _, complaint) = sim(&args);
        assert_eq!(status, 2, "{args:?}");
        assert!(complaint.contains(part), "{complaint}");
    }
}

#[test]
fn kept_seeds_must_have_the_hashes_that_they_had() {
    let (_directory, file) = script("# kept\n3 0000000000000000\n4\n");
    let (status, said, _) = sim(&["--kept", &file]);
    assert_eq!(status, 1, "{said}");
    assert!(said.ends_with("0 passed, 2 failed\n"), "{said}");
    assert_eq!(sim(&["--record", &file]).0, 0);
    let (status, said, _) = sim(&["--kept", &file]);
    assert_eq!((status, said.as_str()), (0, "2 passed, 0 failed\n"));
}
