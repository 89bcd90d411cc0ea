//! How many tests ran, read from what the test runners print.

use std::fmt;
use std::ops::AddAssign;

/// Tests by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Who printed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// Something that is not a test: a build, a linter.
    None,
    /// `cargo test`, also with libtest-mimic or wasm-bindgen-test-runner: one line for each test program.
    Cargo,
    /// `go test -v`: a line for each test.
    Go,
    /// Its last line.
    Pytest,
    /// `node --test` with the reporter `spec`: a line for each number.
    Node,
    /// `N passed, N failed` alone on a line.
    Plain,
}

impl Runner {
    /// The sum over an output. All zero if nothing in it is a result.
    pub(crate) fn count(self, output: &str) -> Counts {
        let mut counts = Counts::default();
        for line in output.lines().map(str::trim) {
            match self {
                Self::None => {}
                Self::Plain => {
                    if line.ends_with(" failed") {
                        counts += pairs(line);
                    }
                }
                Self::Cargo => {
                    if let Some(result) = line.strip_prefix("test result: ") {
                        counts += pairs(result);
                    }
                }
                Self::Go => match line.strip_prefix("--- ").and_then(|line| line.split(':').next()) {
                    Some("PASS") => counts.passed += 1,
                    Some("FAIL") => counts.failed += 1,
                    Some("SKIP") => counts.skipped += 1,
                    _ => {}
                },
                Self::Pytest => {
                    let line = line.trim_matches(|c| c == '=' || c == ' ');
                    if line.starts_with(|c: char| c.is_ascii_digit()) && line.contains(" in ") {
                        counts = pairs(line);
                    }
                }
                Self::Node => {
                    let mut words = line.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).split(' ');
                    if let (Some(what), Some(Ok(number)), None) =
                        (words.next(), words.next().map(str::parse), words.next())
                    {
                        add(&mut counts, what, number);
                    }
                }
            }
        }
        counts
    }
}

/// The pairs of a number and a word in `line`: `3 passed, 1 failed in 0.2s`.
fn pairs(line: &str) -> Counts {
    let mut counts = Counts::default();
    let mut number = None;
    for word in line.split([' ', ',', ';', '.']) {
        match (number, word.parse::<u64>()) {
            (_, Ok(parsed)) => number = Some(parsed),
            (Some(count), Err(_)) => {
                add(&mut counts, word, count);
                number = None;
            }
            (None, Err(_)) => {}
        }
    }
    counts
}

fn add(counts: &mut Counts, what: &str, number: u64) {
    match what {
        "passed" | "pass" | "xfailed" => counts.passed += number,
        "failed" | "fail" | "error" | "errors" | "cancelled" | "xpassed" => counts.failed += number,
        "skipped" | "ignored" | "todo" => counts.skipped += number,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts { passed, failed, skipped }
    }

    #[test]
    fn cargo_test() {
        let output = "
test a ... ok
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 4.80s";
        assert_eq!(Runner::Cargo.count(output), counts(14, 1, 1));
    }

    #[test]
    fn go_test() {
        let output = "
=== RUN   TestFanOut
=== RUN   TestFanOut/consumers_first
--- PASS: TestFanOut (0.00s)
    --- FAIL: TestFanOut/consumers_first (0.15s)
--- SKIP: TestOther (0.00s)
FAIL";
        assert_eq!(Runner::Go.count(output), counts(1, 1, 1));
    }

    #[test]
    fn pytest() {
        let output = "bringing up nodes...\n=== 1 failed, 9 passed, 2 skipped, 1 error in 5.32s ===";
        assert_eq!(Runner::Pytest.count(output), counts(9, 2, 2));
        assert_eq!(Runner::Pytest.count("10 passed in 3.20s"), counts(10, 0, 0));
        assert_eq!(Runner::Pytest.count("no tests ran in 0.01s"), counts(0, 0, 0));
    }

    #[test]
    fn node_test() {
        let output =
            "ℹ tests 11\nℹ suites 3\nℹ pass 8\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0\nℹ duration_ms 6";
        assert_eq!(Runner::Node.count(output), counts(8, 2, 1));
    }

    #[test]
    fn the_closing_line() {
        assert_eq!(counts(3, 0, 0).to_string(), "3 passed, 0 failed");
        assert_eq!(counts(3, 1, 2).to_string(), "3 passed, 1 failed, 2 skipped");
    }
}
