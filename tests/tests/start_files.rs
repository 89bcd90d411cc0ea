//! Files that flags name are read when a program starts, whether they are needed or not: one that is missing, or not what it
//! should be, ends the start with its name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use sansq_tests::certificates::Certificates;
use sansq_tests::nsqd::newest_build;

/// What is in a file that should hold something else.
#[derive(Clone, Copy, PartialEq)]
enum Is {
    Missing,
    Directory,
    Empty,
    Nonsense,
}

/// A flag that names a file: with what it stands, and what of that is wrong.
struct Case {
    program: &'static str,
    flag: &'static str,
    /// `GOOD` stands for the path of a good certificate, `KEY` for that of its key.
    beside: &'static [&'static str],
    wrong: &'static [Is],
}

const PEM: &[Is] = &[Is::Missing, Is::Directory, Is::Empty, Is::Nonsense];
/// A config file may be empty.
const CONFIG: &[Is] = &[Is::Missing, Is::Directory, Is::Nonsense];
/// One word, where the nonsense has several.
const WORD: &[Is] = PEM;
const DIRECTORY: &[Is] = &[Is::Missing, Is::Empty];

const NSQD: &[&str] = &["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"];
const ADMIN: &[&str] = &["--nsqd-http-address=127.0.0.1:1", "--http-address=127.0.0.1:0"];
const CONSUMER: &[&str] = &["--topic=t", "--nsqd-tcp-address=127.0.0.1:1"];
const TO_HTTP: &[&str] = &["--topic=t", "--nsqd-tcp-address=127.0.0.1:1", "--post=http://127.0.0.1:1/"];

fn cases() -> Vec<Case> {
    let case = |program, flag, beside, wrong| Case { program, flag, beside, wrong };
    let mut cases = Vec::new();
    for program in ["nsqd", "sansq"] {
        cases.extend([
            case(program, "--config=", NSQD, CONFIG),
            case(program, "--tls-root-ca-file=", NSQD, PEM),
            case(program, "--tls-cert=", &["--tls-key=KEY"], PEM),
            case(program, "--tls-key=", &["--tls-cert=GOOD"], PEM),
            case(program, "--http-token-file=", NSQD, WORD),
        ]);
    }
    cases.extend([
        case("nsqlookupd", "--config=", &["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"], CONFIG),
        case("nsqadmin", "--config=", ADMIN, CONFIG),
        case("nsqadmin", "--http-client-tls-root-ca-file=", ADMIN, PEM),
        case(
            "nsqadmin",
            "--http-client-tls-cert=",
            &["--nsqd-http-address=127.0.0.1:1", "--http-client-tls-key=KEY"],
            PEM,
        ),
        case(
            "nsqadmin",
            "--http-client-tls-key=",
            &["--nsqd-http-address=127.0.0.1:1", "--http-client-tls-cert=GOOD"],
            PEM,
        ),
        case("nsqadmin", "--dev-static-dir=", ADMIN, DIRECTORY),
        case("nsqadmin", "--nsqd-http-token-file=", ADMIN, WORD),
        case("nsq_to_http", "--http-client-tls-root-ca-file=", TO_HTTP, PEM),
        case(
            "nsq_to_http",
            "--http-client-tls-cert=",
            &["--topic=t", "--nsqd-tcp-address=127.0.0.1:1", "--post=http://127.0.0.1:1/", "--http-client-tls-key=KEY"],
            PEM,
        ),
        case(
            "nsq_to_http",
            "--http-client-tls-key=",
            &[
                "--topic=t",
                "--nsqd-tcp-address=127.0.0.1:1",
                "--post=http://127.0.0.1:1/",
                "--http-client-tls-cert=GOOD",
            ],
            PEM,
        ),
    ]);
    // None of these has `tls_v1`: nobody needs the file.
    let root = |program, flag, beside| case(program, flag, beside, PEM);
    cases.extend([
        root("nsq_tail", "--consumer-opt=tls_root_ca_file,", CONSUMER),
        root("nsq_to_file", "--consumer-opt=tls_root_ca_file,", CONSUMER),
        root("nsq_to_http", "--consumer-opt=tls_root_ca_file,", TO_HTTP),
        root(
            "nsq_to_nsq",
            "--consumer-opt=tls_root_ca_file,",
            &["--topic=t", "--nsqd-tcp-address=127.0.0.1:1", "--destination-nsqd-tcp-address=127.0.0.1:1"],
        ),
        root(
            "nsq_to_nsq",
            "--producer-opt=tls_root_ca_file,",
            &["--topic=t", "--nsqd-tcp-address=127.0.0.1:1", "--destination-nsqd-tcp-address=127.0.0.1:1"],
        ),
        root("to_nsq", "--producer-opt=tls_root_ca_file,", CONSUMER),
    ]);
    cases
}

#[test]
fn a_file_that_a_flag_names_is_read_at_the_start_or_ends_it() {
    let files = Certificates::new("ours").unwrap();
    let good = files.issue("good", "localhost").unwrap();
    files.write("empty", "").unwrap();
    files.write("nonsense", "neither PEM nor TOML\n").unwrap();
    std::fs::create_dir(files.path("directory")).unwrap();
    let data = files.directory().display().to_string();
    for Case { program, flag, beside, wrong } in cases() {
        for is in wrong {
            let path = files.path(match is {
                Is::Missing => "missing",
                Is::Directory => "directory",
                Is::Empty => "empty",
                Is::Nonsense => "nonsense",
            });
            let path = path.to_str().unwrap();
            let mut command = Command::new(newest_build(program).unwrap());
            command.arg(format!("{flag}{path}")).current_dir(files.directory()).env("XDG_DATA_HOME", &data);
            for word in beside {
                let word = word.replace("GOOD", good.cert.to_str().unwrap());
                command.arg(word.replace("KEY", good.key.to_str().unwrap()));
            }
            // One that goes on would run for ever: `timeout` ends it with 124.
            let output = ended(command);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let code = output.status.code();
            assert!(matches!(code, Some(1 | 2)), "{program} {flag}{path}: {code:?}\n{said}");
            assert!(said.contains(path), "{program} {flag}{path} does not say which file it was:\n{said}");
            assert!(!said.contains("listening on"), "{program} {flag}{path} listens before:\n{said}");
        }
    }
}

/// Runs it without input, for at most 10 seconds.
fn ended(command: Command) -> std::process::Output {
    let mut limited = Command::new("timeout");
    limited.arg("10").arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(command.get_current_dir().unwrap()).output().unwrap()
}

/// A flag that takes a file and is not in the table above.
#[test]
fn the_table_has_every_flag_that_names_a_file() {
    let known: BTreeSet<String> =
        cases().iter().map(|case| format!("{} {}", case.program, case.flag.trim_end_matches('='))).collect();
    for program in
        ["nsqd", "nsqlookupd", "nsqadmin", "nsq_tail", "nsq_stat", "nsq_to_file", "nsq_to_http", "nsq_to_nsq", "to_nsq"]
    {
        let help = Command::new(newest_build(program).unwrap()).arg("--help").output().unwrap().stdout;
        for line in String::from_utf8_lossy(&help).lines() {
            let mut words = line.split_whitespace();
            let (Some(flag), Some("FILE")) = (words.next(), words.next()) else { continue };
            let flag = flag.trim_end_matches(',');
            assert!(known.contains(&format!("{program} {flag}")), "{program}: {line}");
        }
    }
}
