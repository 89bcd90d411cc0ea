//! A disk that is full, read-only or damaged, and data directories with things in them that do not belong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Signal, geteuid};
use sansq_tests::client::{Answer, answer, batch, connect, consumer, drain, eventually, ping, publish, stats};
use sansq_tests::daemon::{Daemon, Setup};
use sansq_tests::disk::{SmallDisk, skip};
use sansq_tests::http;
use sansq_tests::nsqd::Nsqd;
use sansq_tests::process::processor_time;

fn number(n: u32, size: usize) -> Vec<u8> {
    let mut body = format!("{n} ").into_bytes();
    body.resize(size.max(body.len()), b'.');
    body
}

/// Publishes messages of `size` bytes until one is refused: what was accepted, and the words of refusal.
fn publish_until_refused(daemon: &Daemon, topic: &str, size: usize) -> (Vec<Vec<u8>>, String) {
    let mut connection = connect(daemon, "").unwrap();
    let mut accepted = Vec::new();
    for n in 0..10_000 {
        let body = number(n, size);
        match publish(&mut connection, topic, &body).unwrap() {
            Answer::Ok => accepted.push(body),
            Answer::Error(error) => return (accepted, error),
            Answer::Closed => panic!("closed without a word"),
        }
    }
    panic!("nothing is refused");
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount(6).unwrap() else { return };
    let flags = ["--mem-queue-size=0", "--max-bytes-per-file=1000000", "--sync-every=1"];
    let daemon = Setup::new().unwrap().flags(flags).flag(disk.flag()).start().unwrap();
    // With a channel, so that its queue is what is full.
    let mut reader = consumer(&daemon, "t", "c", 0).unwrap();
    let (accepted, error) = publish_until_refused(&daemon, "t", 50_000);
    assert_eq!(error, "E_PUB_FAILED PUB failed no space left on device");
    assert!(accepted.len() > 60, "{}", accepted.len());

    // All ways to publish say so; the daemon calls itself sick.
    let mut connection = connect(&daemon, "").unwrap();
    connection.send_with_body("MPUB t\n", &batch(&[number(0, 500_000), number(1, 500_000)]));
    let refused = Answer::Error("E_MPUB_FAILED MPUB failed no space left on device".to_owned());
    assert_eq!(answer(&mut connection).unwrap(), refused);
    let response = http::post(daemon.http, "/pub?topic=t", &number(0, 500_000)).unwrap();
    assert_eq!(response.status, 503, "{}", String::from_utf8_lossy(&response.body));
    let (status, text) = ping(&daemon).unwrap();
    assert!(status == 500 && text.starts_with(&format!("NOK - {}/", disk.path().display())), "{status} {text}");
    assert!(text.ends_with(": no space left on device"), "{text}");
    let queue = disk.path().join("t:c.diskqueue.");
    daemon.wait_log(&format!("DISKQUEUE(t:c): failed to append - {}", queue.display())).unwrap();
    assert_eq!(stats(&daemon, "t").unwrap()["channels"][0]["depth"], accepted.len());

    // What was accepted is there, once; reading makes room; with room, all is well.
    reader.send(b"RDY 10\n");
    let seen = drain(&mut reader, &accepted).unwrap();
    assert!(seen.len() == accepted.len() && seen.values().all(|&times| times == 1));
    assert!(eventually(|| ping(&daemon).unwrap() == (200, "OK".to_owned())));
    let mut connection = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut connection, "t", b"again").unwrap(), Answer::Ok);
    drain(&mut reader, &[b"again".to_vec()]).unwrap();
    let complaints = daemon.log().lines().filter(|line| line.contains("ERROR")).count();
    assert!(complaints < 30, "{complaints} errors logged:\n{}", daemon.log());
    daemon.stop().unwrap();
}

#[test]
fn a_disk_filled_by_others_comes_back() {
    let Some(disk) = SmallDisk::mount(2).unwrap() else { return };
    let daemon =
        Setup::new().unwrap().flags(["--mem-queue-size=2", "--publish-ack=synced"]).flag(disk.flag()).start().unwrap();
    let mut connection = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut connection, "t", b"before").unwrap(), Answer::Ok);
    let ballast = disk.fill().unwrap();
    let (accepted, error) = publish_until_refused(&daemon, "t", 10_000);
    assert_eq!(error, "E_PUB_FAILED PUB failed no space left on device");
    assert_eq!(ping(&daemon).unwrap().0, 500);
    let mut connection = connect(&daemon, "").unwrap();
    connection.send_with_body("DPUB t 100\n", &number(0, 10_000));
    let refused = "E_DPUB_FAILED DPUB failed no space left on device".to_owned();
    assert_eq!(answer(&mut connection).unwrap(), Answer::Error(refused));
    // A new topic cannot be written to either, nor be remembered.
    let (none, error) = publish_until_refused(&daemon, "new", 100);
    assert_eq!((none.len(), error.as_str()), (0, "E_PUB_FAILED PUB failed no space left on device"));
    fs::remove_file(ballast).unwrap();
    assert!(eventually(|| ping(&daemon).unwrap().0 == 200));
    let mut connection = connect(&daemon, "").unwrap();
    for topic in ["t", "new"] {
        assert_eq!(publish(&mut connection, topic, b"after").unwrap(), Answer::Ok);
    }
    let metadata = || fs::read_to_string(disk.path().join("nsqd.dat")).unwrap();
    assert!(eventually(|| metadata().contains(r#""name":"new""#)), "the topic is not remembered: {}", metadata());
    let setup = daemon.kill().unwrap();
    let daemon = setup.start().unwrap();
    let wanted = [vec![b"before".to_vec(), b"after".to_vec()], accepted].concat();
    drain(&mut consumer(&daemon, "t", "c", 10).unwrap(), &wanted).unwrap();
    drain(&mut consumer(&daemon, "new", "c", 10).unwrap(), &[b"after".to_vec()]).unwrap();
}

#[test]
fn positions_that_cannot_be_written_are_tried_again_at_leisure() {
    let Some(disk) = SmallDisk::mount(2).unwrap() else { return };
    let flags = ["--mem-queue-size=0", "--sync-every=1", "--sync-timeout=300ms"];
    let daemon = Setup::new().unwrap().flags(flags).flag(disk.flag()).start().unwrap();
    let mut connection = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut connection, "t", b"before").unwrap(), Answer::Ok);
    let ballast = disk.fill().unwrap();
    // There is room for it in the file's last block, but not for another file, which positions are first written to.
    assert_eq!(publish(&mut connection, "t", b"after").unwrap(), Answer::Ok);
    daemon.wait_log(".diskqueue.meta.dat: no space left on device").unwrap();
    let (used, lines) = (processor_time(daemon.pid()).unwrap(), daemon.log().lines().count());
    std::thread::sleep(Duration::from_secs(1));
    let (used, lines) = (processor_time(daemon.pid()).unwrap() - used, daemon.log().lines().count() - lines);
    assert!(lines <= 5, "{lines} lines logged in a second, such as:\n{}", daemon.log().lines().last().unwrap());
    assert!(used < Duration::from_millis(200), "{used:?} of processor time in a second");
    fs::remove_file(ballast).unwrap();
    let positions = || fs::read_to_string(disk.path().join("t.diskqueue.meta.dat")).unwrap_or_default();
    assert!(eventually(|| positions() == "2\n0,0\n0,71\n"), "{:?}", positions());
}

#[test]
fn what_a_full_disk_keeps_from_being_saved_at_the_end_is_said() {
    let Some(disk) = SmallDisk::mount(1).unwrap() else { return };
    let mut daemon = Setup::new().unwrap().flag(disk.flag()).start().unwrap();
    let mut connection = connect(&daemon, "").unwrap();
    for n in 0..30 {
        assert_eq!(publish(&mut connection, "t", &number(n, 100_000)).unwrap(), Answer::Ok);
    }
    daemon.signal(Signal::TERM).unwrap();
    let status = daemon.wait_exit().unwrap();
    let log = daemon.log();
    assert!(!status.success(), "30 messages are lost, and it calls that success:\n{log}");
    assert!(!log.contains("everything is on disk"), "{log}");
    assert!(log.contains("no space left on device"), "{log}");
}

#[test]
fn a_file_that_may_not_grow_refuses_and_loses_nothing() {
    // What a limit of the process says is no full disk, and comes in other words. Units of 512 bytes or of 1024.
    let limited = Nsqd::under_test().unwrap().after("trap '' XFSZ; ulimit -f 1000");
    let flags = ["--mem-queue-size=0", "--sync-every=1"];
    let daemon = Setup::of(&limited).unwrap().flags(flags).start().unwrap();
    let (accepted, error) = publish_until_refused(&daemon, "t", 50_000);
    assert!(error.starts_with("E_PUB_FAILED PUB failed File too large"), "{error}");
    assert!(!accepted.is_empty());
    let mut connection = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut connection, "other", b"x").unwrap(), Answer::Ok);
    let seen = drain(&mut consumer(&daemon, "t", "c", 10).unwrap(), &accepted).unwrap();
    assert_eq!(seen.len(), accepted.len());
}

#[test]
fn a_read_only_disk_refuses_until_it_is_writable_again() {
    let Some(disk) = SmallDisk::mount(4).unwrap() else { return };
    let daemon = Setup::new().unwrap().flag("--mem-queue-size=1").flag(disk.flag()).start().unwrap();
    disk.set_read_only(true).unwrap();
    let (accepted, error) = publish_until_refused(&daemon, "t", 100);
    assert_eq!(accepted.len(), 1, "what fits into memory");
    assert!(error.starts_with("E_PUB_FAILED PUB failed Read-only file system"), "{error}");
    let (status, text) = ping(&daemon).unwrap();
    assert!(status == 500 && text.starts_with("NOK - ") && text.contains("Read-only file system"), "{status} {text}");
    disk.set_read_only(false).unwrap();
    assert!(eventually(|| ping(&daemon).unwrap().0 == 200));
    let mut connection = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut connection, "t", b"after").unwrap(), Answer::Ok);
    let wanted = [accepted, vec![b"after".to_vec()]].concat();
    drain(&mut consumer(&daemon, "t", "c", 10).unwrap(), &wanted).unwrap();
    let setup = daemon.stop().unwrap();
    disk.set_read_only(true).unwrap();
    let (status, log) = setup.run_to_exit().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    let named = format!("{}: Read-only file system", disk.path().join("nsqd.dat").display());
    assert!(log.contains("FATAL: ") && log.contains(&named), "{log}");
}

/// Files of 300 bytes with three records each: `topic` has `count` messages, all on disk and none read.
fn with_small_files(topic: &str, count: u32) -> (Setup, Vec<Vec<u8>>) {
    let flags = ["--mem-queue-size=0", "--max-bytes-per-file=300", "--sync-every=1"];
    let daemon = Setup::new().unwrap().flags(flags).start().unwrap();
    let mut connection = connect(&daemon, "").unwrap();
    let bodies: Vec<Vec<u8>> = (0..count).map(|n| number(n, 60)).collect();
    for body in &bodies {
        assert_eq!(publish(&mut connection, topic, body).unwrap(), Answer::Ok);
    }
    (daemon.stop().unwrap(), bodies)
}

fn data_file(directory: &Path, file: u32) -> PathBuf {
    directory.join(format!("t.diskqueue.{file:06}.dat"))
}

/// Damages the queue of 12 messages in 4 files, and has it read: all but the messages `lost` must come, once. The log.
fn read_after(damage: impl Fn(&Path), lost: &[usize]) -> Daemon {
    let (setup, bodies) = with_small_files("t", 12);
    damage(setup.data());
    let daemon = setup.start().unwrap();
    let mut reader = consumer(&daemon, "t", "c", 20).unwrap();
    let left: Vec<_> =
        bodies.into_iter().enumerate().filter(|(n, _)| !lost.contains(n)).map(|(_, body)| body).collect();
    let seen = drain(&mut reader, &left).unwrap();
    assert_eq!(seen, left.into_iter().map(|body| (body, 1)).collect::<BTreeMap<_, _>>());
    assert!(
        eventually(|| {
            let stats = stats(&daemon, "t").unwrap();
            let channel = &stats["channels"][0];
            stats["depth"] == 0 && channel["depth"] == 0 && channel["in_flight_count"] == 0
        }),
        "{}",
        stats(&daemon, "t").unwrap()
    );
    // It goes on as if nothing had been.
    let mut connection = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut connection, "t", b"after").unwrap(), Answer::Ok);
    drain(&mut reader, &[b"after".to_vec()]).unwrap();
    daemon
}

fn kept_aside(daemon: &Daemon, file: u32) {
    let name = format!("t.diskqueue.{file:06}.dat.bad");
    assert!(eventually(|| daemon.file(&name).exists()), "no {name}:\n{}", daemon.log());
    let plain = name.strip_suffix(".bad").unwrap();
    let told = daemon.log().lines().any(|line| line.contains(plain) && line.contains("WARN"));
    assert!(told, "the log says nothing of {name}:\n{}", daemon.log());
}

#[test]
fn damage_inside_a_file_costs_the_rest_of_that_file() {
    let daemon = read_after(
        |data| {
            let mut bytes = fs::read(data_file(data, 1)).unwrap();
            // The length of the second record.
            bytes[90..94].copy_from_slice(&(-5i32).to_be_bytes());
            fs::write(data_file(data, 1), bytes).unwrap();
        },
        &[4, 5],
    );
    kept_aside(&daemon, 1);
}

#[test]
fn a_huge_length_is_damage() {
    let daemon = read_after(
        |data| {
            let mut bytes = fs::read(data_file(data, 0)).unwrap();
            bytes[..4].copy_from_slice(&i32::MAX.to_be_bytes());
            fs::write(data_file(data, 0), bytes).unwrap();
        },
        &[0, 1, 2],
    );
    kept_aside(&daemon, 0);
}

#[test]
fn files_cut_short_cost_what_is_cut_off() {
    let daemon = read_after(
        |data| {
            for (file, length) in [(1, 200), (3, 100)] {
                fs::OpenOptions::new().write(true).open(data_file(data, file)).unwrap().set_len(length).unwrap();
            }
        },
        &[5, 10, 11],
    );
    kept_aside(&daemon, 1);
    kept_aside(&daemon, 3);
}

#[test]
fn an_empty_file_costs_what_was_in_it() {
    read_after(|data| fs::write(data_file(data, 2), b"").unwrap(), &[6, 7, 8]);
}

#[test]
fn noise_in_a_file_costs_that_file() {
    let daemon = read_after(|data| fs::write(data_file(data, 2), [0xa5; 270]).unwrap(), &[6, 7, 8]);
    kept_aside(&daemon, 2);
}

#[test]
fn missing_files_cost_what_was_in_them() {
    let daemon = read_after(
        |data| {
            for file in [0, 2] {
                fs::remove_file(data_file(data, file)).unwrap();
            }
        },
        &[0, 1, 2, 6, 7, 8],
    );
    assert!(daemon.log().contains("t.diskqueue.000002.dat is missing"), "{}", daemon.log());
}

#[test]
fn all_files_may_be_missing() {
    read_after(
        |data| (0..4).for_each(|file| fs::remove_file(data_file(data, file)).unwrap()),
        &(0..12).collect::<Vec<_>>(),
    );
}

#[test]
fn positions_that_make_no_sense_cost_nothing() {
    for positions in ["", "noise", "12\n0,0\n", "-1\nx,y\n0,0\n", "\u{1}\0\0", "12\n0,0\n99999999999999999999,0\n"] {
        read_after(|data| fs::write(data.join("t.diskqueue.meta.dat"), positions).unwrap(), &[]);
    }
}

#[test]
fn counts_that_are_wrong_cost_nothing() {
    for depth in [0, 1, 500, -3] {
        read_after(|data| fs::write(data.join("t.diskqueue.meta.dat"), format!("{depth}\n0,0\n3,270\n")).unwrap(), &[]);
    }
}

#[test]
fn positions_beyond_the_files_do_not_hang_the_start() {
    for positions in ["12\n0,0\n900000000000,0\n", "12\n900000000000,0\n900000000000,5\n", "1\n0,999999\n3,270\n"] {
        let (setup, _) = with_small_files("t", 12);
        fs::write(setup.data().join("t.diskqueue.meta.dat"), positions).unwrap();
        let daemon = setup.start().unwrap();
        let mut reader = consumer(&daemon, "t", "c", 20).unwrap();
        let mut connection = connect(&daemon, "").unwrap();
        assert_eq!(publish(&mut connection, "t", b"after").unwrap(), Answer::Ok, "{positions:?}");
        drain(&mut reader, &[b"after".to_vec()]).unwrap();
    }
}

#[test]
fn what_does_not_belong_is_left_alone() {
    let (setup, bodies) = with_small_files("t", 6);
    let data = setup.data().to_owned();
    // Leftovers of the reference, and what people put where they find a directory.
    for (name, content) in [
        ("nsqd.dat.1234567.tmp", "{"),
        ("nsqd.dat.tmp", "half"),
        ("nsqd.845.dat", r#"{"topics":[{"name":"old","channels":[]}]}"#),
        ("t.diskqueue.meta.dat.99.tmp", "1\n"),
        ("t.diskqueue.meta.dat.tmp", "1\n"),
        ("t.diskqueue.000000.dat.bad", "kept"),
        ("t.diskqueue.1.dat", "short number"),
        ("t.diskqueue.99999999999999999999999.dat", "long number"),
        ("not-a-topic!.diskqueue.000000.dat", "bad name"),
        (".diskqueue.000000.dat", "no name"),
        ("t:.diskqueue.000000.dat", "no channel"),
        ("lost.diskqueue.000000.dat", "not a record"),
        ("README", "hello"),
        ("core", ""),
    ] {
        fs::write(data.join(name), content).unwrap();
    }
    fs::create_dir(data.join("lost+found")).unwrap();
    fs::create_dir(data.join("dir.diskqueue.000000.dat")).unwrap();
    fs::write(data.join(std::ffi::OsStr::new("\u{fe}\u{ff}")), "").unwrap();
    std::os::unix::fs::symlink("nowhere", data.join("link.diskqueue.000000.dat")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", data.join("zero.diskqueue.meta.dat")).unwrap();
    let before: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();

    let daemon = setup.start().unwrap();
    drain(&mut consumer(&daemon, "t", "c", 10).unwrap(), &bodies).unwrap();
    // Topics whose files are no files, or hold nothing readable, work as far as they can.
    let mut connection = connect(&daemon, "").unwrap();
    for topic in ["lost", "zero"] {
        assert_eq!(publish(&mut connection, topic, b"x").unwrap(), Answer::Ok, "{topic}");
        drain(&mut consumer(&daemon, topic, "c", 10).unwrap(), &[b"x".to_vec()]).unwrap();
    }
    assert!(matches!(publish(&mut connection, "dir", b"x").unwrap(), Answer::Error(_)));
    let _setup = daemon.stop().unwrap();
    let gone = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        name.starts_with("t.diskqueue.00") || name.starts_with("lost.") || name.ends_with("dat.tmp")
    };
    let after: Vec<_> = before.iter().filter(|name| !gone(name) && !data.join(name).exists()).collect();
    assert!(after.iter().all(|name| name.to_string_lossy().starts_with("link.")), "it removed {after:?}");
}

/// Starts on a `nsqd.dat` made by `make`: it must exit at once and say what is wrong with which file.
fn refuses_metadata(make: impl Fn(&Path), setup: Setup, words: &str) {
    let path = setup.data().join("nsqd.dat");
    make(&path);
    let (status, log) = setup.run_to_exit().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    let fatal = log.lines().find(|line| line.contains(" FATAL: ")).unwrap_or_else(|| panic!("no FATAL line:\n{log}"));
    assert!(fatal.contains("nsqd.dat") && fatal.contains(words), "{fatal}");
    assert!(path.symlink_metadata().is_ok(), "it was done away with");
}

#[test]
fn metadata_that_cannot_be_read_is_fatal_and_kept() {
    let new = || Setup::new().unwrap();
    refuses_metadata(|path| fs::write(path, [0xff, 0, 0x80]).unwrap(), new(), "parse");
    refuses_metadata(|path| fs::write(path, "[".repeat(1_000_000)).unwrap(), new(), "parse");
    refuses_metadata(|path| fs::create_dir(path).unwrap(), new(), "directory");
    refuses_metadata(|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()), new(), "");
}

/// On a directory of its own, a daemon that permissions hold for: root reads and writes everything, so it gives up its
/// powers first. `None`, with a line that says so, where that cannot be done.
fn without_powers() -> Option<Setup> {
    const NOBODY: u32 = 65534;
    let nsqd = Nsqd::under_test().unwrap();
    if !geteuid().is_root() {
        return Some(Setup::of(nsqd).unwrap());
    }
    if !Path::new("/usr/bin/setpriv").exists() {
        skip("no setpriv to run the daemon without root's powers").unwrap();
        return None;
    }
    let setup = Setup::of(&nsqd.with("setpriv --reuid=65534 --regid=65534 --clear-groups")).unwrap();
    chown(setup.data(), Some(NOBODY), Some(NOBODY)).unwrap();
    Some(setup)
}

fn allow(directory: &Path, mode: u32) {
    fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn metadata_and_directories_without_permission_are_fatal() {
    let (Some(first), Some(second)) = (without_powers(), without_powers()) else { return };
    let forbid = |path: &Path| {
        fs::write(path, "{}").unwrap();
        allow(path, 0);
    };
    refuses_metadata(forbid, first, "Permission denied");

    allow(second.data(), 0o500);
    let (status, log) = second.run_to_exit().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("FATAL: ") && log.contains("Permission denied"), "{log}");
    allow(second.data(), 0o700);
}

#[test]
fn a_directory_that_becomes_read_only_is_drained_and_refuses_more() {
    let Some(setup) = without_powers() else { return };
    let flags = ["--mem-queue-size=0", "--max-bytes-per-file=3000", "--sync-every=1", "--sync-timeout=500ms"];
    let daemon = setup.flags(flags).start().unwrap();
    let mut reader = consumer(&daemon, "t", "c", 0).unwrap();
    let mut connection = connect(&daemon, "").unwrap();
    let mut bodies: Vec<Vec<u8>> = (0..50).map(|n| number(n, 200)).collect();
    for body in &bodies {
        assert_eq!(publish(&mut connection, "t", body).unwrap(), Answer::Ok);
    }
    allow(daemon.data(), 0o500);
    // The last file takes some more, the next one cannot be made.
    let (accepted, error) = publish_until_refused(&daemon, "t", 500);
    assert!(error.starts_with("E_PUB_FAILED PUB failed Permission denied"), "{error}");
    let queue = daemon.file("t:c.diskqueue.");
    daemon.wait_log(&format!("failed to append - {}", queue.display())).unwrap();
    let (status, text) = ping(&daemon).unwrap();
    assert!(status == 500 && text.starts_with("NOK - ") && text.contains("Permission denied"), "{status} {text}");
    bodies.extend(accepted);
    reader.send(b"RDY 10\n");
    let seen = drain(&mut reader, &bodies).unwrap();
    assert!(seen.values().all(|&times| times == 1));
    allow(daemon.data(), 0o700);
    assert!(eventually(|| ping(&daemon).unwrap().0 == 200));
    let mut connection = connect(&daemon, "").unwrap();
    assert_eq!(publish(&mut connection, "t", b"after").unwrap(), Answer::Ok);
    let complaints = daemon.log().lines().filter(|line| line.contains("ERROR") || line.contains("WARN")).count();
    assert!(complaints < 40, "{complaints} complaints:\n{}", daemon.log());
    let daemon = daemon.restart().unwrap();
    let seen = drain(&mut consumer(&daemon, "t", "c", 10).unwrap(), &[b"after".to_vec()]).unwrap();
    assert_eq!(seen.len(), 1, "what was finished came again");
}
