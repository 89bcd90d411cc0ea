//! What is said of files in the data path, with the whole path of each; and `nsqd.ID.dat`, as versions before 1.0 named `nsqd.dat`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::time::{Duration, SystemTime};

use sansq_tests::client::{consumer, stats};
use sansq_tests::daemon::Setup;
use sansq_tests::nsqd::Nsqd;

#[test]
fn errors_name_the_whole_path() {
    let text = |text: &'static str| move |path: &std::path::Path| fs::write(path, text).unwrap();
    type Prepare = Box<dyn Fn(&std::path::Path)>;
    let cases: [(&str, Prepare, &str); 4] = [
        ("nsqd.dat", Box::new(|path| fs::create_dir(path).unwrap()), ": Is a directory"),
        ("nsqd.dat", Box::new(text("{")), " - EOF while parsing"),
        ("nsqd.dat.tmp", Box::new(|path| fs::create_dir(path).unwrap()), ""),
        ("nsqd.7.dat", Box::new(text("[]")), " - invalid"),
    ];
    for (name, prepare, reason) in cases {
        let setup = Setup::new().unwrap();
        let path = setup.data().join(name);
        prepare(&path);
        let (status, log) = setup.run_to_exit().unwrap();
        assert_eq!(status.code(), Some(1), "{name}: {log}");
        // A file is replaced by way of a temporary one; the file is what it is about.
        let named = path.display().to_string().replace(".tmp", "");
        assert!(log.contains(&format!("{named}{reason}")), "{named}{reason}: {log}");
    }
}

#[test]
fn damage_is_told_with_the_whole_path_also_of_a_relative_one() {
    let setup = Setup::new().unwrap();
    let data = setup.data().to_owned();
    fs::write(data.join("t.diskqueue.000000.dat"), [0xff; 100]).unwrap();
    fs::write(data.join("t.diskqueue.meta.dat"), "1\n0,0\n0,100\n").unwrap();
    let nsqd = Nsqd::under_test().unwrap().after(&format!("cd {}", data.display()));
    let setup = setup.hand_over(&nsqd).flag("--data-path=.");
    let daemon = setup.start().unwrap();
    // Somebody has to read it.
    let _reader = consumer(&daemon, "t", "c", 1).unwrap();
    let file = data.join("t.diskqueue.000000.dat");
    daemon.wait_log(&format!("DISKQUEUE(t): {} is damaged at byte 0", file.display())).unwrap();
    daemon.wait_log(&format!("and {} does not name it", data.join("nsqd.dat").display())).unwrap();
}

/// As nsqd 0.3.8 wrote it.
const OLD: &str =
    r#"{"topics":[{"channels":[{"name":"c","paused":true}],"name":"t","paused":false}],"version":"0.3.8"}"#;

#[test]
fn metadata_of_versions_before_1_0_is_read() {
    let setup = Setup::new().unwrap();
    fs::write(setup.data().join("nsqd.7.dat"), OLD).unwrap();
    let daemon = setup.start().unwrap();
    let old = daemon.file("nsqd.7.dat");
    daemon.wait_log(&format!("reading {}, of a version before 1.0, as nsqd.dat", old.display())).unwrap();
    assert_eq!(stats(&daemon, "t").unwrap()["channels"][0]["paused"], true);
    let setup = daemon.stop().unwrap();
    assert!(fs::read_to_string(setup.data().join("nsqd.dat")).unwrap().contains(r#""name":"t""#));
    assert_eq!(fs::read_to_string(setup.data().join("nsqd.7.dat")).unwrap(), OLD, "it stays, for the way back");
    let daemon = setup.start().unwrap();
    daemon.wait_log("nsqd.7.dat, of a version before 1.0, is not read: there is ").unwrap();
}

#[test]
fn of_several_the_nodes_own_is_read_or_else_the_newest() {
    for (flag, chosen) in [("--node-id=3", "own"), ("--node-id=4", "newest")] {
        let setup = Setup::new().unwrap().flag(flag);
        for (id, topic, age) in [(3, "own", 30), (5, "newest", 10), (6, "oldest", 60)] {
            let path = setup.data().join(format!("nsqd.{id}.dat"));
            fs::write(&path, OLD.replace(r#""name":"t""#, &format!(r#""name":"{topic}""#))).unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        let daemon = setup.start().unwrap();
        assert!(!stats(&daemon, chosen).unwrap().is_null(), "{}", daemon.log());
        assert!(stats(&daemon, "oldest").unwrap().is_null());
        let passed_over = daemon.file("nsqd.6.dat");
        daemon.wait_log(&format!("{} is not read: topics and channels", passed_over.display())).unwrap();
    }
}

/// Version 1.0 left one.
#[test]
fn a_link_in_the_place_of_the_old_file_is_nothing_to_talk_about() {
    let setup = Setup::new().unwrap();
    fs::write(setup.data().join("nsqd.dat"), OLD).unwrap();
    std::os::unix::fs::symlink("nsqd.dat", setup.data().join("nsqd.7.dat")).unwrap();
    let daemon = setup.start().unwrap();
    assert!(!stats(&daemon, "t").unwrap().is_null());
    assert!(!daemon.log().contains("before 1.0"), "{}", daemon.log());
}
