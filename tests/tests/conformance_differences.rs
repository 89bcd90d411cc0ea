//! `docs/differences.md` is true: each test that it names exists, and each scenario of `differences.scn` is named there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files below `directory` whose names end in `extension`, at any depth, as texts.
fn texts(directory: &Path, extension: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(self::texts(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            texts.push(fs::read_to_string(&path).unwrap());
        }
    }
    texts
}

/// Scenarios in `source`.
fn scenarios(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.strip_prefix("scenario "))
}

/// Functions that stand behind `#[test]` or `#[tokio::test]` in `source`.
fn tests(source: &str) -> impl Iterator<Item = &str> {
    let lines = source.lines().map(str::trim);
    let behind = lines.clone().skip(1);
    let found = lines.zip(behind).filter(|(attribute, _)| ["#[test]", "#[tokio::test]"].contains(attribute));
    found.filter_map(|(_, function)| function.trim_start_matches("async ").strip_prefix("fn ")?.split('(').next())
}

/// What stands in backquotes behind an arrow, up to the end of the list item.
fn named_tests(document: &str) -> BTreeSet<&str> {
    let mut named = BTreeSet::new();
    for behind in document.split('→').skip(1) {
        let end = ["\n\n", "\n- ", "\n#"].iter().filter_map(|end| behind.find(end)).min().unwrap_or(behind.len());
        named.extend(behind[..end].split('`').skip(1).step_by(2));
    }
    named
}

#[test]
fn the_list_of_differences_is_true() {
    let workspace = workspace();
    let document = fs::read_to_string(workspace.join("docs/differences.md")).unwrap();
    let named = named_tests(&document);
    assert!(named.len() > 50, "{named:?}");

    let scenario_files = texts(&workspace.join("tests/conformance"), "scn");
    let sources: Vec<String> = ["core/src", "host-native/src", "host-native/tests", "tests/tests"]
        .iter()
        .flat_map(|directory| texts(&workspace.join(directory), "rs"))
        .collect();
    let mut known: BTreeSet<&str> = scenario_files.iter().flat_map(|text| scenarios(text)).collect();
    known.extend(sources.iter().flat_map(|text| tests(text)));
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "docs/differences.md names tests that do not exist: {unknown:?}");

    let differences = fs::read_to_string(workspace.join("tests/conformance/differences.scn")).unwrap();
    let silent: Vec<_> = scenarios(&differences).filter(|scenario| !named.contains(scenario)).collect();
    assert!(silent.is_empty(), "docs/differences.md does not mention: {silent:?}");
}
