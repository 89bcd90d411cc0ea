//! Tests of what a command line and a file come to together.

use super::super::{NsqdOptions, Source};
use super::*;

fn outcome(args: &[&str]) -> Result<Outcome<NsqdOptions>, ConfigError> {
    load(args.iter().map(OsString::from), false)
}

fn run(args: &[&str]) -> Loaded<NsqdOptions> {
    match outcome(args) {
        Ok(Outcome::Run(loaded)) => *loaded,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn printed(args: &[&str]) -> String {
    match outcome(args) {
        Ok(Outcome::Print(text)) => text,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn error(args: &[&str]) -> String {
    let error = outcome(args).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

#[test]
fn the_four_ways_to_write_a_flag() {
    for args in [["-node-id=5", ""], ["--node-id=5", ""], ["-node-id", "5"], ["--node-id", "5"]] {
        let options = run(&args).options;
        assert_eq!(options.id, 5);
        assert_eq!(options.sources.of("node-id"), Source::Flag);
    }
    assert_eq!(run(&["--log-prefix="]).options.log_prefix, "");
    assert_eq!(run(&["--log-prefix", "--x"]).options.log_prefix, "--x", "a value may look like a flag");
    assert_eq!(run(&["--log-prefix", "--"]).options.log_prefix, "--");
    assert_eq!(run(&["--log-prefix=a=b"]).options.log_prefix, "a=b");
    assert_eq!(run(&["--node-id=1", "--node-id=2"]).options.id, 2);
    assert_eq!(
        run(&["--lookupd-tcp-address=a:1", "-lookupd-tcp-address", "b:2"]).options.lookupd_tcp_addresses,
        ["a:1", "b:2"]
    );
    assert_eq!(run(&["--verbose", "--worker-id=0"]).options, NsqdOptions::default());
}

#[test]
fn switches_never_take_the_next_word() {
    assert!(run(&["--statsd-exclude-ephemeral"]).options.statsd_exclude_ephemeral);
    assert!(!run(&["--snappy=F"]).options.snappy);
    let loaded = run(&["--snappy", "false", "--node-id=5"]);
    assert!(loaded.options.snappy);
    assert_ne!(loaded.options.sources.of("node-id"), Source::Flag);
    assert_eq!(loaded.ignored, ["false", "--node-id=5"]);
    assert!(loaded.warnings[0].starts_with("2 argument(s) from \"false\" on are ignored"), "{:?}", loaded.warnings);
}

#[test]
fn a_bare_word_ends_the_flags() {
    for (args, ignored) in
        [(["--", "--bad"], &["--bad"][..]), (["foo", "--bad"], &["foo", "--bad"]), (["-", "--bad"], &["-", "--bad"])]
    {
        assert_eq!(run(&args).ignored, ignored);
    }
    assert!(run(&["--"]).warnings.is_empty());
}

#[test]
fn usage_errors_begin_like_gos() {
    for (args, expected) in [
        (&["--nope=3"][..], "flag provided but not defined: -nope"),
        (&["---x"], "bad flag syntax: ---x"),
        (&["-=x"], "bad flag syntax: -=x"),
        (&["--mem-queue-size"], "flag needs an argument: -mem-queue-size"),
        (
            &["--mem-queue-size=abc"],
            "invalid value \"abc\" for flag -mem-queue-size: not a whole number; accepted: a whole number, 0 or more",
        ),
        (
            &["--mem-queue-size", "-1"],
            "invalid value \"-1\" for flag -mem-queue-size: value is too small; accepted: a whole number, 0 or more",
        ),
        (&["--snappy=banana"], "invalid boolean value \"banana\" for -snappy: not a boolean; accepted: true or false"),
        (
            &["--version=banana"],
            "invalid boolean value \"banana\" for -version: not a boolean; accepted: true or false",
        ),
        (
            &["--tls-required=foo"],
            "invalid boolean value \"foo\" for -tls-required: no such choice; accepted: true, false, tcp-https",
        ),
        (
            &["--msg-timeout=5"],
            "invalid value \"5\" for flag -msg-timeout: missing unit in duration; accepted: a duration such as 250ms, 5s or 1h30m",
        ),
        (
            &["--log-level=warning"],
            "invalid value \"warning\" for flag -log-level: no such choice; accepted: debug, info, warn, error, fatal",
        ),
        (
            &["--completions=tcsh"],
            "invalid value \"tcsh\" for flag -completions: no such shell; accepted: bash, zsh, fish",
        ),
        (&["--mem-queue-siz=3"], "flag provided but not defined: -mem-queue-siz\ndid you mean --mem-queue-size?"),
        (&["--tls_cert=3"], "flag provided but not defined: -tls_cert\ndid you mean --tls-cert?"),
    ] {
        assert_eq!(error(args), expected);
    }
}

#[test]
fn texts_to_print() {
    assert!(printed(&["-h", "--bad"]).contains("--msg-timeout"), "nothing after -h can be wrong");
    assert!(printed(&["--node-id=3", "--help"]).contains("--msg-timeout"));
    assert_eq!(error(&["--version", "--bad"]), "flag provided but not defined: -bad");
    let version = printed(&["--version", "--config=/no/such/file"]);
    assert!(version.starts_with("nsqd v1.3.0 (built w/") && version.ends_with(")\n"), "{version}");
}

#[test]
fn completions_know_every_flag() {
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&["--completions", shell]);
        for flag in super::super::flags::all_flags::<NsqdOptions>() {
            assert!(script.contains(flag.name), "{shell}: {}", flag.name);
        }
        assert!(script.contains("tcp-https"), "{shell}");
    }
    super::super::describe::<NsqdOptions>().debug_assert();
}

#[test]
fn the_command_line_wins_over_the_file() {
    let path = std::env::temp_dir().join(format!("sansq-config-{}.toml", std::process::id()));
    std::fs::write(&path, "id = 1\nmsg_timeout = 5000\nnsqlookupd_tcp_addresses = ['a:1']\n").unwrap();
    let config = format!("--config={}", path.display());
    let loaded = run(&[&config, "--node-id=2", "--lookupd-tcp-address=b:2"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.options.id, 2);
    assert_eq!(loaded.options.lookupd_tcp_addresses, ["b:2"]);
    assert_eq!(loaded.options.msg_timeout.as_secs(), 5);
    assert_eq!(loaded.options.sources.of("msg-timeout"), Source::File);
    let missing = outcome(&["--config=/no/such/file"]).unwrap_err();
    assert_eq!(missing.exit_code(), 1);
}
