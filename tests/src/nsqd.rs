//! Which program is under test.
//!
//! `SANSQ_NSQD` names it (a path); without it, the newest `nsqd` built in this workspace is taken.
//! `SANSQ_REFERENCE=1` or `=0` says whether it is the reference implementation, whose answers differ in
//! the few places listed in `conformance/differences.scn`; without it the `--version` line decides.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

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
    /// The executable.
    pub path: PathBuf,
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
            let path = match env::var_os("SANSQ_NSQD") {
                Some(path) => Ok(PathBuf::from(path)),
                None => newest_build("nsqd"),
            };
            path.and_then(|path| Nsqd::at(&path)).map_err(|error| format!("{error:#}"))
        });
        found.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// The other program that directories written by the one under test must open with: `SANSQ_OTHER_NSQD`.
    pub fn other() -> Result<Option<Nsqd>> {
        env::var_os("SANSQ_OTHER_NSQD").map(|path| Nsqd::at(Path::new(&path))).transpose()
    }

    /// The program at `path`, asked for its version to learn whether it is the reference.
    pub fn at(path: &Path) -> Result<Nsqd> {
        let output = Command::new(path)
            .arg("--version")
            .output()
            .with_context(|| format!("cannot run {} --version", path.display()))?;
        let face = match env::var("SANSQ_REFERENCE").as_deref() {
            Ok("1") => Face::Reference,
            Ok("0") => Face::Ours,
            _ if String::from_utf8_lossy(&output.stdout).contains("built w/go") => Face::Reference,
            _ => Face::Ours,
        };
        Ok(Nsqd { path: path.to_path_buf(), face })
    }
}

/// The newest program called `name` in this workspace's target directory (or `CARGO_TARGET_DIR`).
pub fn newest_build(name: &str) -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or(workspace.join("target"), |dir| workspace.join(dir));
    let built = ["release", "debug"]
        .into_iter()
        .map(|profile| target.join(profile).join(name))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max();
    let Some((_, path)) = built else {
        bail!("no {name} in {}: run `cargo build --release -p sansq`, or set SANSQ_NSQD", target.display());
    };
    Ok(path)
}
