//! Tests of what is logged and how it looks.

use super::*;
use std::sync::Mutex;
use tracing::{debug, error, info, warn};

/// Runs `log` with a logger of its own and returns the lines.
fn lines(level: LogLevel, format: LogFormat, log: impl FnOnce(&LogHandle)) -> Vec<String> {
    let written = Arc::new(Mutex::new(Vec::new()));
    let handle = LogHandle::new(level);
    let sink = {
        let written = Arc::clone(&written);
        Box::new(move |line: &[u8]| written.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap()))
    };
    let layer = LogLayer { line: Line::new("[test] ", format), handle: handle.clone(), sink };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || log(&handle));
    let lines = written.lock().unwrap().clone();
    assert!(lines.iter().all(|line| line.ends_with('\n') && line.matches('\n').count() == 1));
    lines
}

/// A text line without its prefix and time, whose form is checked.
fn text_of(line: &str) -> &str {
    let rest = line.strip_prefix("[test] ").unwrap();
    let (time, text) = rest.split_at(26);
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000/00/00 00:00:00.000000");
    text.strip_prefix(' ').unwrap().trim_end()
}

fn one_of_each() {
    debug!("a {}", 1);
    info!("b");
    warn!("c");
    error!("d");
    fatal!("e");
}

#[test]
fn levels_and_labels() {
    let all = ["DEBUG: a 1", "INFO: b", "WARNING: c", "ERROR: d", "FATAL: e"];
    for (skipped, level) in
        [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error, LogLevel::Fatal].into_iter().enumerate()
    {
        let lines = lines(level, LogFormat::Text, |_| one_of_each());
        assert_eq!(lines.iter().map(|line| text_of(line)).collect::<Vec<_>>(), all[skipped..]);
    }
}

#[test]
fn level_changes_while_running() {
    let lines = lines(LogLevel::Error, LogFormat::Text, |handle| {
        for level in [LogLevel::Error, LogLevel::Debug, LogLevel::Error] {
            handle.set_level(level);
            assert_eq!(handle.level(), level);
            debug!("at {}", level.label());
        }
    });
    assert_eq!(lines.iter().map(|line| text_of(line)).collect::<Vec<_>>(), ["DEBUG: at DEBUG"]);
}

#[test]
fn control_characters_cannot_make_a_line() {
    let lines =
        lines(LogLevel::Info, LogFormat::Text, |_| info!(client = "x\r\ny", "id \u{1b}[31mred\nFATAL: fake\té"));
    assert_eq!(text_of(&lines[0]), "INFO: id \\u{1b}[31mred\\nFATAL: fake\té client=x\\r\\ny");
}

#[test]
fn json_lines() {
    let lines = lines(LogLevel::Info, LogFormat::Json, |_| {
        warn!(depth = 3, name = "a\"b", "two\nlines");
        fatal!("end");
    });
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["level"], "WARNING");
    assert_eq!(line["prefix"], "[test]");
    assert_eq!(line["message"], "two\nlines");
    assert_eq!(line["depth"], "3");
    assert_eq!(line["name"], "a\"b");
    assert!(line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert!(lines[1].contains(r#""level":"FATAL""#));
}

#[test]
fn other_crates_only_from_warning() {
    let lines = lines(LogLevel::Debug, LogFormat::Text, |_| {
        debug!(target: "hyper::proto", "chatter");
        info!(target: "rustls", "chatter");
        warn!(target: "hyper::proto", "trouble");
        info!(target: "nsqd", "ours");
    });
    assert_eq!(lines.iter().map(|line| text_of(line)).collect::<Vec<_>>(), ["WARNING: trouble", "INFO: ours"]);
}
