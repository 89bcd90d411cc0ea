//! `nsq_to_file` as a process: what is in which file, and that nothing is finished before it is on disk.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use sansq_tests::client::{connect, eventually, publish, stats};
use sansq_tests::daemon::Daemon;
use sansq_tests::disk::{Elsewhere, SmallDisk};
use sansq_tests::tool::{Tool, run};
use tempfile::TempDir;

/// A daemon, a directory, and what they have in common.
struct Bench {
    nsqd: Daemon,
    directory: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let directory = tempfile::Builder::new().prefix("sansq-test-").tempdir().unwrap();
        Bench { nsqd: Daemon::start(&[]).unwrap(), directory }
    }

    fn output(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    fn start(&self, flags: &[&str]) -> Tool {
        let (address, output) =
            (format!("--nsqd-tcp-address={}", self.nsqd.tcp), format!("--output-dir={}", self.output().display()));
        let common = ["--topic=t", "--datetime-format=%Y", &address, &output];
        let mut tool = Tool::start("nsq_to_file", &[&common[..], flags].concat()).unwrap();
        tool.wait_error("connected").unwrap();
        tool
    }

    fn publish(&self, bodies: &[&str]) {
        let mut connection = connect(&self.nsqd, "").unwrap();
        for body in bodies {
            publish(&mut connection, "t", body.as_bytes()).unwrap();
        }
    }

    /// Waits until so many messages are finished.
    fn finished(&self, count: i64) {
        let channel = || stats(&self.nsqd, "t").unwrap()["channels"][0].clone();
        let done = || {
            let channel = channel();
            let of = |name: &str| channel[name].as_i64().unwrap();
            of("message_count") == count && of("depth") + of("in_flight_count") + of("deferred_count") == 0
        };
        assert!(eventually(done), "{}", channel());
    }
}

/// The names in a directory, sorted. None if there is no such directory.
fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn stop(tool: Tool) {
    tool.signal(Signal::TERM).unwrap();
    let output = tool.finish().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Everything in a compressed file, read by another program.
fn unzip(path: &Path) -> String {
    let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn lines_are_in_a_file_named_after_topic_host_and_time() {
    let bench = Bench::new();
    let tool = bench.start(&["--host-identifier=me", "--sync-interval=20ms", "--skip-empty-files"]);
    bench.publish(&["one", "two"]);
    bench.finished(2);
    stop(tool);
    let names = names(&bench.output());
    assert!(names.len() == 1 && names[0].starts_with("t.me.2") && names[0].ends_with(".log"), "{names:?}");
    assert_eq!(fs::read_to_string(bench.output().join(&names[0])).unwrap(), "one\ntwo\n");
    // It goes on where it was.
    let tool = bench.start(&["--host-identifier=me", "--sync-interval=20ms"]);
    bench.publish(&["three"]);
    bench.finished(3);
    stop(tool);
    assert_eq!(fs::read_to_string(bench.output().join(&names[0])).unwrap(), "one\ntwo\nthree\n");
}

#[test]
fn nothing_is_finished_before_it_is_on_disk() {
    let bench = Bench::new();
    let tool = bench.start(&["--sync-interval=1h", "--max-in-flight=4", "--consumer-opt=msg_timeout,3s"]);
    bench.publish(&["1", "2"]);
    let in_flight = || stats(&bench.nsqd, "t").unwrap()["channels"][0]["in_flight_count"].clone();
    assert!(eventually(|| in_flight() == 2));
    // As many as may be in flight are synced together.
    bench.publish(&["3", "4"]);
    bench.finished(4);
    bench.publish(&["5"]);
    assert!(eventually(|| in_flight() == 1));
    tool.signal(Signal::KILL).unwrap();
    drop(tool.finish().unwrap());
    let tool = bench.start(&["--sync-interval=20ms"]);
    bench.finished(5);
    stop(tool);
}

#[test]
fn stopping_syncs_and_finishes_what_waits() {
    let bench = Bench::new();
    let tool = bench.start(&["--sync-interval=1h", "--filename-format=x"]);
    bench.publish(&["1", "2"]);
    assert!(eventually(|| stats(&bench.nsqd, "t").unwrap()["channels"][0]["in_flight_count"] == 2));
    stop(tool);
    bench.finished(2);
    assert_eq!(fs::read_to_string(bench.output().join("x")).unwrap(), "1\n2\n");
}

#[test]
fn each_sync_ends_a_member_and_existing_files_are_left_alone() {
    let bench = Bench::new();
    let flags = ["--gzip", "--sync-interval=20ms", "--skip-empty-files", "--filename-format=<TOPIC><REV>"];
    let tool = bench.start(&flags);
    bench.publish(&["one"]);
    bench.finished(1);
    bench.publish(&["two"]);
    bench.finished(2);
    // Still open, and readable.
    let first = bench.output().join("t-000000.gz");
    assert_eq!(unzip(&first), "one\ntwo\n");
    let bytes = fs::read(&first).unwrap();
    assert_eq!(bytes.windows(3).filter(|three| *three == [0x1f, 0x8b, 8]).count(), 2, "two members");
    stop(tool);
    let tool = bench.start(&flags);
    bench.publish(&["three"]);
    bench.finished(3);
    stop(tool);
    assert_eq!(names(&bench.output()), ["t-000000.gz", "t-000001.gz"]);
    assert_eq!(unzip(&bench.output().join("t-000001.gz")), "three\n");
}

#[test]
fn files_move_from_the_work_directory_when_they_are_closed_again_and_again() {
    let bench = Bench::new();
    let work = bench.directory.path().join("work");
    let tool = bench.start(&[
        &format!("--work-dir={}", work.display()),
        "--sync-interval=20ms",
        "--skip-empty-files",
        "--filename-format=a/<TOPIC><REV>",
    ]);
    for round in 0..3 {
        bench.publish(&["x"]);
        bench.finished(round + 1);
        assert_eq!(names(&work.join("a")).len(), 1);
        tool.signal(Signal::HUP).unwrap();
        let moved = || names(&bench.output().join("a")).len() as i64 == round + 1;
        assert!(eventually(moved), "{:?}", names(&bench.output().join("a")));
        // The name here goes just after the one there has come.
        assert!(eventually(|| names(&work.join("a")).is_empty()), "{:?}", names(&work.join("a")));
    }
    stop(tool);
    assert_eq!(names(&bench.output().join("a")), ["t-000000", "t-000001", "t-000002"]);
}

/// Starts with a work directory, for files in `a`, below it and then below the output directory.
fn moves(bench: &Bench, work: &Path, flags: &[&str]) -> Tool {
    let work = format!("--work-dir={}", work.display());
    let common = [&work, "--sync-interval=20ms", "--skip-empty-files", "--filename-format=a/<TOPIC><REV>"];
    bench.start(&[&common[..], flags].concat())
}

#[test]
fn files_move_to_another_file_system() {
    let bench = Bench::new();
    let Some(elsewhere) = Elsewhere::than(bench.directory.path()).unwrap() else { return };
    let (work, output) = (elsewhere.path().join("a"), bench.output().join("a"));
    let tool = moves(&bench, elsewhere.path(), &[]);
    for round in 0..3 {
        bench.publish(&["x", &round.to_string()]);
        bench.finished(2 * (round + 1));
        assert_eq!(names(&work).len(), 1);
        if round == 0 {
            // Taken by somebody after the file was opened, and a copy that somebody did not complete.
            fs::create_dir_all(&output).unwrap();
            fs::write(output.join("t-000000"), "older").unwrap();
            fs::write(output.join(".t-000000.moving"), "half of a file that is longer than the next").unwrap();
        }
        tool.signal(Signal::HUP).unwrap();
        assert!(eventually(|| names(&work).is_empty()), "{:?}", names(&work));
    }
    stop(tool);
    let texts = |name: &String| (name.clone(), fs::read_to_string(output.join(name)).unwrap());
    let expected = [("t-000000", "older"), ("t-000001", "x\n0\n"), ("t-000002", "x\n1\n"), ("t-000003", "x\n2\n")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(names(&output).iter().map(texts).collect::<Vec<_>>(), expected);
}

#[test]
fn compressed_files_move_to_another_file_system_when_they_are_full_and_at_the_end() {
    let bench = Bench::new();
    let Some(elsewhere) = Elsewhere::than(bench.directory.path()).unwrap() else { return };
    let output = bench.output().join("a");
    let tool = moves(&bench, elsewhere.path(), &["--gzip", "--rotate-size=5"]);
    bench.publish(&["12345", "67890", "x"]);
    bench.finished(3);
    stop(tool);
    assert_eq!(names(&elsewhere.path().join("a")), [""; 0]);
    assert_eq!(names(&output), ["t-000000.gz", "t-000001.gz", "t-000002.gz"]);
    let texts: Vec<_> = names(&output).iter().map(|name| unzip(&output.join(name))).collect();
    assert_eq!(texts, ["12345\n", "67890\n", "x\n"]);
}

#[test]
fn a_file_that_does_not_fit_where_it_belongs_stays_where_it_is() {
    let Some(disk) = SmallDisk::mount(1).unwrap() else { return };
    let bench = Bench::new();
    let work = bench.directory.path().join("work");
    let body = "x".repeat(1 << 20);
    let output = format!("--output-dir={}", disk.path().display());
    let tool = moves(&bench, &work, &["--rotate-size=5", &output]);
    bench.publish(&[&body, "next"]);
    let ended = tool.finish().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let reason = format!("cannot copy to {}/a/.t-000000.moving: No space left on device", disk.path().display());
    assert!(said.contains(&reason), "{said}");
    assert_eq!(names(&disk.path().join("a")), [""; 0]);
    assert_eq!(fs::read_to_string(work.join("a/t-000000")).unwrap(), body + "\n");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    // Opens as any file does, and takes nothing.
    let tool = bench.start(&["--output-dir=/dev", "--filename-format=full", "--sync-interval=20ms"]);
    bench.publish(&["x"]);
    let ended = tool.finish().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("cannot write to /dev/full: No space left on device"), "{said}");
}

#[test]
fn files_are_rotated_by_size_and_age() {
    let bench = Bench::new();
    let by_size = bench.start(&["--rotate-size=5", "--sync-interval=20ms", "--filename-format=s<REV>"]);
    bench.publish(&["12345", "67890", "x"]);
    bench.finished(3);
    stop(by_size);
    let texts = |names: Vec<String>| {
        let text = |name: &String| fs::read_to_string(bench.output().join(name)).unwrap();
        names.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(texts(names(&bench.output())), ["12345\n", "67890\n", "x\n"]);
    let by_age = bench.start(&["--rotate-interval=30ms", "--sync-interval=10ms", "--filename-format=a<REV>"]);
    let empty_ones = || names(&bench.output()).iter().filter(|name| name.starts_with('a')).count() >= 3;
    assert!(eventually(empty_ones));
    stop(by_age);
}

#[test]
fn what_makes_no_sense_ends_it_at_once() {
    let nowhere = "--nsqd-tcp-address=127.0.0.1:1";
    for (args, text) in [
        (&["--topic=t", nowhere, "extra"][..], "unknown arguments: [\"extra\"]"),
        (&["--topic=t", "--channel=", nowhere], "--channel is required"),
        (
            &["--topic=t", "--http-client-request-timeout=0", nowhere],
            "--http-client-request-timeout should be positive",
        ),
        (&["--topic=t"], "--nsqd-tcp-address or --lookupd-http-address required"),
        (&["--topic=t", "--lookupd-http-address=h:1", nowhere], "not both"),
        (&["--topic=t", "--gzip-level=10", nowhere], "invalid --gzip-level value (10), should be 1-9"),
        (&[nowhere], "--topic or --topic-pattern required"),
        (&["--topic-pattern=x", nowhere], "--lookupd-http-address must be specified when no --topic specified"),
        (&["--topic-pattern=(", "--topic=t", nowhere], "--topic-pattern"),
        (&["--topic-pattern=x", "--topic=t", nowhere], "no --topic matches"),
        (&["--gzip", "--filename-format=x", "--topic=t", nowhere], "missing <REV> in --filename-format"),
        (&["--consumer-opt=nope", "--topic=t", nowhere], "invalid option nope"),
    ] {
        let output = run("nsq_to_file", args, b"").unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(text), "{args:?}: {said}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_ends_it() {
    let bench = Bench::new();
    fs::write(bench.directory.path().join("out"), "a file").unwrap();
    let address = format!("--nsqd-tcp-address={}", bench.nsqd.tcp);
    let output = format!("--output-dir={}", bench.output().display());
    bench.publish(&["x"]);
    let output = run("nsq_to_file", &["--topic=t", &address, &output], b"").unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot create"));
}
