//! Which program is under test.
//!
//! `SANSQ_NSQD` is its command, words separated by spaces (`/usr/bin/nsqd`, `sansq nsqd`); without it, the newest `nsqd` built in this workspace is taken.
//! `SANSQ_REFERENCE=1` or `=0` says whether it is the reference implementation, whose answers differ in
//! the few places listed in `conformance/differences.scn`; without it the `--version` line decides.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};

/// Which set of answers a program is expected to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// The reference implementation (Go).
    Reference,
    /// Sansq's nsqd.
    Ours,
}

/// A program that claims to be nsqd.
#[derive(Clone, Debug)]
pub struct Nsqd {
    /// The program and the arguments that come before any flag.
    words: Vec<OsString>,
    /// Which answers are expected from it.
    pub face: Face,
}

impl Nsqd {
    /// The program under test; looked up once per process.
    ///
    /// Fails with a line that says what to build when there is none.
    pub fn under_test() -> Result<&'static Nsqd> {
        static FOUND: OnceLock<Result<Nsqd, String>> = OnceLock::new();
        let found = FOUND.get_or_init(|| {
            let words = match env::var("SANSQ_NSQD") {
                Ok(command) => Ok(split(&command)),
                Err(_) => newest_build("nsqd").map(|path| vec![path.into_os_string()]),
            };
            words.and_then(Nsqd::of_words).map_err(|error| format!("{error:#}"))
        });
        found.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// The other program that directories written by the one under test must open with: `SANSQ_OTHER_NSQD`.
    pub fn other() -> Result<Option<Nsqd>> {
        env::var("SANSQ_OTHER_NSQD").ok().map(|command| Nsqd::of_words(split(&command))).transpose()
    }

    /// The command that starts it, to which flags are added.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        command
    }

    /// The same program, started by a shell once it has run `first`, such as `ulimit -n 64`.
    pub fn after(&self, first: &str) -> Nsqd {
        let mut words: Vec<OsString> = ["sh", "-c"].map(OsString::from).into();
        // The shell becomes the daemon, so that the process started is the one to signal and to measure.
        words.push(format!("{first}; exec \"$0\" \"$@\"").into());
        words.extend(self.words.iter().cloned());
        Nsqd { words, face: self.face }
    }

    /// The same program, started by `command`, to which the daemon's own command is added.
    pub fn with(&self, command: &str) -> Nsqd {
        Nsqd { words: [split(command), self.words.clone()].concat(), face: self.face }
    }

    /// The program that `words` start, asked for its version to learn whether it is the reference.
    fn of_words(words: Vec<OsString>) -> Result<Nsqd> {
        ensure!(!words.is_empty(), "the command that starts nsqd is empty");
        let mut nsqd = Nsqd { words, face: Face::Ours };
        let mut command = nsqd.command();
        let output = command.arg("--version").output().with_context(|| format!("cannot run {command:?}"))?;
        nsqd.face = match env::var("SANSQ_REFERENCE").as_deref() {
            Ok("1") => Face::Reference,
            Ok("0") => Face::Ours,
            _ if String::from_utf8_lossy(&output.stdout).contains("built w/go") => Face::Reference,
            _ => Face::Ours,
        };
        Ok(nsqd)
    }
}

fn split(command: &str) -> Vec<OsString> {
    command.split_whitespace().map(OsString::from).collect()
}

/// The executable that is all programs, each under its name.
const EXECUTABLE: &str = "sansq";

/// The program called `name` of the newest build in this workspace's target directory (or `CARGO_TARGET_DIR`). Each is a link to one
/// executable, made here where it is missing.
pub fn newest_build(name: &str) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), |dir| workspace.join(dir));
    let built = ["release", "debug"]
        .into_iter()
        .map(|profile| target.join(profile).join(EXECUTABLE))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max();
    let Some((_, executable)) = built else {
        bail!("no {EXECUTABLE} in {}: run `cargo xtask build`, or set SANSQ_NSQD", target.display());
    };
    let program = executable.with_file_name(name);
    let is_link = |path: &Path| path.read_link().is_ok_and(|to| to == Path::new(EXECUTABLE));
    if name != EXECUTABLE && !is_link(&program) {
        // Many tests may do this at the same time; each makes one of its own, and any is as good as another.
        let new = tempfile::Builder::new()
            .prefix(name)
            .make_in(program.parent().unwrap_or(&target), |new| std::os::unix::fs::symlink(EXECUTABLE, new));
        let new = new.with_context(|| format!("link {} to {EXECUTABLE}", program.display()))?;
        // Over what an older checkout has built under this name, too.
        new.into_temp_path().persist(&program)?;
    }
    Ok(program)
}
