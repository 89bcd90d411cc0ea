//! What can be checked about the sources without running them: module docs, sizes, unfinished work, links between documents,
//! what the core uses and depends on. Formatting and lints are `cargo xtask test lint`.
//!
//! Reads the files of the checkout, wherever they come from; what is built or installed into it is left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the core may be built from: what it names itself, and what those bring along.
const CORE_DEPENDENCIES: [&str; 15] = [
    "sansq-core",
    "bytes",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "itoa",
    "memchr",
    "zmij",
    "thiserror",
    "thiserror-impl",
    // Of the derive macros.
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];
/// What waits, or asks the machine: not for the core.
const CORE_BANS: [&str; 6] = ["std::fs", "std::net", "std::thread", "tokio", "Instant::now", "SystemTime::now"];
/// What reads a clock of the machine.
const CLOCKS: [&str; 3] = ["Instant::now", "SystemTime::now", "Zoned::now"];
/// Begins the paragraph of ARCHITECTURE.md before the table of those who do, in host-native.
const CLOCKS_BEGIN: &str = "Clocks are read in hosts only.";
/// A longer file gives the reason in its module doc, in a line with this number.
const LINES_MAX: usize = 800;
/// Written apart, so that this file passes.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
];
const NOT_OURS: [&str; 8] = ["target", "node_modules", "corpus", "artifacts", "data", "pkg", "generated", "dist"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the checkout is there")
}

/// All files of the checkout that are ours, with their paths in it.
fn all_files() -> Vec<(PathBuf, String)> {
    fn visit(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("a readable directory") {
            let path = entry.expect("a readable directory").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_symlink() || name.starts_with('.') || name.starts_with("target-") || NOT_OURS.contains(&&*name) {
                continue;
            }
            if path.is_dir() {
                visit(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    visit(&root, &mut found);
    found.sort();
    let named = |path: PathBuf| {
        let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
        (path, name)
    };
    found.into_iter().map(named).collect()
}

/// The text of all files with one of these extensions, by their path in the checkout.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = all_files();
    found.retain(|(path, _)| path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted)));
    assert!(!found.is_empty(), "no file with {extensions:?}");
    let read = |(path, name): (PathBuf, String)| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (name, text)
    };
    found.into_iter().map(read).collect()
}

/// Fails with all of them.
#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The lines of the module doc. It comes first, but for `#!` lines and what is empty.
fn module_doc(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| line.is_empty() || line.starts_with("#!"));
    lines.take_while(|line| line.starts_with("//!")).collect()
}

/// The lines before the tests at the end.
fn code_lines(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
    tests.unwrap_or(lines.len())
}

fn is_test(path: &str) -> bool {
    let ends = ["/tests.rs", "_tests.rs", "/scenes.rs"];
    path.contains("/tests/") || path.contains("/scripted/") || ends.iter().any(|end| path.ends_with(end))
}

#[test]
fn every_module_says_what_it_is() {
    let bare = files(&["rs"]).into_iter().filter(|(_, text)| module_doc(text).is_empty());
    assert_none(&bare.map(|(path, _)| format!("{path}: no module doc")).collect::<Vec<_>>());
}

/// One that is empty was left behind, or its content was lost. Recorded and generated files may be; those are not looked at.
#[test]
fn no_file_is_empty() {
    let size = |path: &Path| fs::metadata(path).expect("a readable file").len();
    let found = all_files().into_iter().filter(|(_, name)| !name.contains("/fixtures/"));
    let empty = found.filter(|(path, _)| size(path) == 0).map(|(_, name)| format!("{name}: empty"));
    assert_none(&empty.collect::<Vec<_>>());
}

/// ARCHITECTURE.md lists who reads a clock: who looks for what depends on time looks there.
#[test]
fn who_reads_a_clock_is_known() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("a readable file");
    let (_, rest) = text.split_once(CLOCKS_BEGIN).expect("ARCHITECTURE.md says who reads a clock");
    let list = rest.split("\n\n").nth(1).expect("a table follows");
    let named: Vec<_> = list.lines().flat_map(|line| line.split('|').nth(1)).flat_map(backticked).collect();
    let reads = |text: &str| {
        let mut code = text.lines().take_while(|line| *line != "mod tests {");
        code.any(|line| !line.trim_start().starts_with("//") && CLOCKS.iter().any(|clock| line.contains(clock)))
    };
    let sources = files(&["rs"]).into_iter().filter(|(path, text)| !is_test(path) && reads(text));
    let readers: Vec<_> =
        sources.filter_map(|(path, _)| path.strip_prefix("host-native/src/").map(str::to_owned)).collect();
    let unknown = readers.iter().filter(|path| !named.iter().any(|name| path.starts_with(name)));
    let gone = named.iter().filter(|name| !readers.iter().any(|path| path.starts_with(*name)));
    let unknown = unknown.map(|path| format!("{path} reads a clock, and ARCHITECTURE.md does not say so"));
    let gone = gone.map(|name| format!("{name} reads no clock, and ARCHITECTURE.md says so"));
    assert_none(&unknown.chain(gone).collect::<Vec<_>>());
}

/// What is between backticks.
fn backticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn files_are_small_or_say_why_not() {
    let mut long = Vec::new();
    for (path, text) in files(&["rs", "ts", "js", "go", "py"]) {
        let lines = code_lines(&text);
        let gives_reason = module_doc(&text).iter().any(|line| line.contains(&LINES_MAX.to_string()));
        if lines > LINES_MAX && !is_test(&path) && !gives_reason {
            long.push(format!("{path}: {lines} lines"));
        }
    }
    assert_none(&long);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut marks = Vec::new();
    for (path, text) in files(&["rs", "ts", "js", "go", "py", "toml", "md", "html", "css", "sh"]) {
        for (number, line) in text.lines().enumerate() {
            if UNFINISHED.iter().any(|mark| has_word(line, mark)) {
                marks.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none(&marks);
}

/// Whether `word` is in `line`, and not a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_inner = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !is_inner(line[..at].chars().next_back())
            && (word.ends_with('!') || !is_inner(line[at + word.len()..].chars().next()))
    })
}

/// `cargo xtask plant` runs them; here it is only made sure that it could.
#[test]
fn planted_faults_apply_and_say_who_finds_them() {
    let mut complaints = Vec::new();
    for (path, text) in files(&["patch"]) {
        for field in ["Breaks: ", "Found by: "] {
            if !text.lines().take_while(|line| !line.starts_with("diff ")).any(|line| line.starts_with(field)) {
                complaints.push(format!("{path}: no line before the diff begins with `{field}`"));
            }
        }
        let check = Command::new("git").args(["apply", "--check", &path]).current_dir(root()).output();
        let output = check.expect("git runs");
        if !output.status.success() {
            complaints.push(format!("{path} does not apply: {}", String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    assert_none(&complaints);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = root();
    let mut broken = Vec::new();
    for (path, text) in files(&["md"]) {
        let directory = root.join(&path).parent().expect("a file is in a directory").to_owned();
        for link in links(&text) {
            let (file, _) = link.split_once('#').unwrap_or((link, ""));
            if !link.contains(':') && !file.is_empty() && !directory.join(file).exists() {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    assert_none(&broken);
}

/// The targets of `[text](target)` and `[label]: target`, outside of code.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code || line.starts_with("    ") {
            continue;
        }
        // What is between backticks has an odd index.
        for prose in line.split('`').step_by(2) {
            let targets = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            found.extend(targets);
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            found.extend(target.split(' ').next());
        }
    }
    found
}

#[test]
fn links_are_found() {
    let text = "[a](b.md) and `[x](y)` [c](d.md#e \"title\")\n[f]: g.md\n```\n[h](i)\n```\n";
    assert_eq!(links(text), ["b.md", "d.md#e", "g.md"]);
}

#[test]
fn the_core_only_calculates() {
    let mut uses = Vec::new();
    for (path, text) in files(&["rs"]).into_iter().filter(|(path, _)| path.starts_with("core/src/")) {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if CORE_BANS.iter().any(|ban| line.contains(ban)) {
                uses.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert_none(&uses);
}

#[test]
fn the_cores_tests_run_in_wasm_too() {
    let core = files(&["rs"]).into_iter().filter(|(path, _)| path.starts_with("core/"));
    let tests = core.filter(|(_, text)| text.lines().any(|line| line.trim() == "#[test]"));
    let decides =
        |text: &str| ["wasm_bindgen_test as test", "#![cfg(not(target_arch"].iter().any(|it| text.contains(it));
    let native = tests.filter(|(_, text)| !decides(text));
    assert_none(
        &native.map(|(path, _)| format!("{path}: #[test] is not wasm_bindgen_test on wasm32")).collect::<Vec<_>>(),
    );
}

#[test]
fn the_core_is_built_from_little() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "sansq-core", "--edges", "normal", "--target", "all", "--prefix", "none"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    let names: BTreeSet<_> =
        tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect();
    assert!(names.contains("sansq-core"));
    let more = names.into_iter().filter(|name| !CORE_DEPENDENCIES.contains(name));
    assert_none(&more.map(|name| format!("{name} is not among CORE_DEPENDENCIES")).collect::<Vec<_>>());
}
