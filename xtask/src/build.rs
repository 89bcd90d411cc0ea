//! `cargo xtask build`: the one executable, and beside it a link to it for each of NSQ's programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::setup;

/// Arguments of `cargo xtask build`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// As it is shipped: optimised across crates, without symbols. Takes minutes
    #[arg(long)]
    dist: bool,
}

/// How programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quickly. For trying and testing.
    Release,
    /// As they are shipped. For measuring.
    Dist,
}

impl Profile {
    /// The name that cargo has for it, and for its directory in `target`.
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }

    /// Where its programs are.
    pub(crate) fn directory(self, target: &Path) -> PathBuf {
        target.join(self.name())
    }
}

/// Builds all programs, and says where they are.
pub(crate) fn run(args: &Args) -> Result<()> {
    programs(if args.dist { Profile::Dist } else { Profile::Release }, &setup::target_dir()?)?;
    Ok(())
}

/// Builds all programs, with cargo's own progress shown; returns their directory.
pub(crate) fn programs(profile: Profile, target: &Path) -> Result<PathBuf> {
    for mut command in [compile(profile, target), link(profile, target)] {
        let text = setup::text(&command);
        let status = command.status().with_context(|| format!("run {text}"))?;
        ensure!(status.success(), "{text}: {status}");
    }
    Ok(profile.directory(target))
}

/// The command that builds the executable.
pub(crate) fn compile(profile: Profile, target: &Path) -> Command {
    let mut command = setup::cargo();
    command.args(["build", "--profile", profile.name(), "--package", "sansq", "--target-dir"]).arg(target);
    command
}

/// The command that links all programs to it.
pub(crate) fn link(profile: Profile, target: &Path) -> Command {
    let directory = profile.directory(target);
    let mut command = Command::new(directory.join("sansq"));
    // An older checkout has built programs of these names.
    command.args(["install", "--force"]).arg(directory);
    command
}
