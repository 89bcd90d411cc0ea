//! What the fuzzer runs, as plain functions of some bytes that panic when something is wrong. They know the core only by
//! its public face, and check it against rules of their own.
//!
//! Discovery: `cargo fuzz run session` (`RUSTC_BOOTSTRAP=1` and `--sanitizer none` do without a nightly compiler).
//! What it finds is fixed, and its input goes to `corpus/`, which `core/tests/fuzz_corpus.rs` replays.

pub mod codec;
pub mod session;
pub mod stream;
