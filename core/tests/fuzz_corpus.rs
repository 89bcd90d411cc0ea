//! Replays the fuzz corpus: every input that found something, and seeds that reach each command. See `fuzz/src/lib.rs`.
#![cfg(not(target_arch = "wasm32"))]

use std::path::Path;

// Public for the fuzzer, which takes them for a crate.
#[allow(unreachable_pub)]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// Runs `target` on each file of its corpus; the name of a file that fails is in the output.
fn replay(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
    let entries = corpus.read_dir().expect("the corpus is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable directory").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        target(&std::fs::read(&file).expect("a readable file"));
    }
}

#[test]
fn codec() {
    replay("codec", targets::codec::run);
}

#[test]
fn session() {
    replay("session", targets::session::run);
}

#[test]
fn stream() {
    replay("stream", targets::stream::run);
}
