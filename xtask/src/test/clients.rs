//! The suites of client libraries, `tests/clients/`: each starts an nsqd of its own for each test. Where that nsqd is, and which
//! one it is, they are told by the environment.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use sansq_tests::network::Network;

use super::count::Runner;
use super::{Steps, daemon_command, with_daemon};
use crate::setup::{self, network, root, words};

/// Where a suite runs, and on which nsqd.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// On our nsqd, both on loopback.
    Loopback,
    /// On our nsqd, which is on the other side of a network.
    Network(&'a Network),
    /// On loopback, on what this command starts.
    Other(&'a str),
}

impl Place<'_> {
    /// Tells a suite of it. Run as it is, it would be beside its nsqd: see [`Place::before`].
    fn tell(self, steps: &mut Steps, suite: &mut Command) -> Result<()> {
        match self {
            Self::Loopback => with_daemon(steps, suite)?,
            Self::Network(network) => network::tell(suite, network, &daemon_command(steps)?),
            Self::Other(nsqd) => _ = suite.env("SANSQ_NSQD", nsqd),
        }
        Ok(())
    }

    /// The words before the command of a suite.
    fn before(self) -> Vec<String> {
        match self {
            Self::Network(network) => network.among_clients(),
            Self::Loopback | Self::Other(_) => Vec::new(),
        }
    }

    /// The command of these words, put there.
    fn command(self, command: &[&str]) -> Command {
        let before = self.before();
        let all: Vec<&str> = before.iter().map(String::as_str).chain(command.iter().copied()).collect();
        words(&all)
    }
}

/// go-nsq: all tests, or those whose names match `only`.
pub(crate) fn go(steps: &mut Steps, place: Place<'_>, only: Option<&str>) -> Result<()> {
    setup::GO.ensure()?;
    // Go itself stays outside, where it finds the modules that it downloads.
    let (before, mut tests) = (place.before().join(" "), words(&["go", "test", "-v", "-count=1"]));
    if !before.is_empty() {
        tests.args(["-exec", &before]);
    }
    tests.args(only.iter().flat_map(|only| ["-run", only])).arg("./...");
    place.tell(steps, tests.current_dir(directory("go")))?;
    steps.step(Runner::Go, &mut tests)?;
    Ok(())
}

/// pynsq: these files, or all.
pub(crate) fn python(steps: &mut Steps, place: Place<'_>, files: &[&str]) -> Result<()> {
    let directory = directory("python");
    let python = setup::python_environment(&steps.target, &directory.join("requirements.txt"))?;
    let mut tests = place.command(&[&python.to_string_lossy(), "-m", "pytest"]);
    place.tell(steps, tests.args(files).current_dir(directory))?;
    steps.step(Runner::Pytest, &mut tests)?;
    Ok(())
}

/// nsqjs: these files, or all.
pub(crate) fn node(steps: &mut Steps, place: Place<'_>, files: &[&str]) -> Result<()> {
    let directory = directory("node");
    setup::node_modules(&directory)?;
    let mut tests = place.command(&["npm", "test", "--silent", "--"]);
    place.tell(steps, tests.args(files).current_dir(directory))?;
    steps.step(Runner::Node, &mut tests)?;
    Ok(())
}

/// Where the tests with a real client are.
fn directory(language: &str) -> PathBuf {
    root().join("tests/clients").join(language)
}
