//! `cargo xtask test`: all tests of the project, with the set-up that a fresh machine needs. Its parts run one after the other,
//! since each uses all cores; what they run is in [`parts`]. Output is kept in `target/test/PART.log` and shown only
//! where something failed.
//!
//! Set-up follows [`crate::setup`]: a part whose tool is missing fails with `CI=true` and is skipped elsewhere. The last
//! line is the sum of the tests; a failure that is not a test (a build, a linter) counts as one failed.

pub(crate) mod clients;
mod count;
mod parts;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::build::{self, Profile};
use crate::setup::{self, Missing};
pub(crate) use count::{Counts, Runner};
use parts::{PARTS, Part};

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these parts
    #[arg(value_name = "PART")]
    parts: Vec<String>,
    /// List the parts
    #[arg(long)]
    list: bool,
}

/// Runs the parts that were chosen; the process ends with status 1 if something in them fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen = choose(&args.parts)?;
    if args.list {
        for part in PARTS {
            println!("{:<8} {}{}", part.name, part.about, if part.on_its_own { " (in rust, too)" } else { "" });
        }
        return Ok(());
    }
    let target = setup::target_dir()?;
    std::fs::create_dir_all(target.join("test"))?;
    let mut reports = Vec::new();
    for part in chosen {
        println!("== {}: {}", part.name, part.about);
        let report = run_part(part, target.clone())?;
        println!("{report}");
        reports.push((part.name, report));
    }
    let mut total = Counts::default();
    println!("== summary");
    for (name, report) in &reports {
        println!("{name:<8} {report}");
        total += report.counts;
    }
    println!("{total}");
    if total.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// The parts of these names, in their usual order. No name: all but those that are within others.
fn choose(names: &[String]) -> Result<Vec<&'static Part>> {
    if let Some(unknown) = names.iter().find(|name| !PARTS.iter().any(|part| part.name == **name)) {
        bail!("no part is called {unknown}; --list shows them");
    }
    let is_chosen = |part: &&Part| match names {
        [] => !part.on_its_own,
        names => names.iter().any(|name| part.name == name),
    };
    Ok(PARTS.iter().filter(is_chosen).collect())
}

/// What became of a part.
struct Report {
    counts: Counts,
    elapsed: Duration,
    skipped: Option<String>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let elapsed = elapsed(self.elapsed);
        match &self.skipped {
            Some(reason) => write!(f, "SKIPPED  {elapsed}  {reason}"),
            None if self.counts.failed > 0 => write!(f, "FAILED   {elapsed}  {}", self.counts),
            None if self.counts.passed == 0 => write!(f, "ok       {elapsed}"),
            None => write!(f, "ok       {elapsed}  {}", self.counts),
        }
    }
}

fn elapsed(duration: Duration) -> String {
    format!("{:>3}:{:02}", duration.as_secs() / 60, duration.as_secs() % 60)
}

fn run_part(part: &Part, target: PathBuf) -> Result<Report> {
    let start = Instant::now();
    let log = target.join("test").join(part.name).with_extension("log");
    let mut steps = Steps::new(target, &log)?;
    let ended = (part.run)(&mut steps);
    let mut counts = steps.counts;
    let mut skipped = None;
    if let Err(error) = ended {
        if let (Some(missing), false) = (error.downcast_ref::<Missing>(), setup::is_ci()) {
            skipped = Some(missing.to_string());
            counts.skipped += 1;
        } else {
            println!("{error:#}");
            counts.failed += 1;
        }
    }
    Ok(Report { counts, elapsed: start.elapsed(), skipped })
}

/// What a part runs, and what came of it so far.
pub(crate) struct Steps {
    pub(crate) target: PathBuf,
    log: File,
    pub(crate) counts: Counts,
}

impl Steps {
    /// Nothing yet; output is kept in the file `log`.
    pub(crate) fn new(target: PathBuf, log: &Path) -> Result<Self> {
        let log = File::create(log).with_context(|| format!("write {}", log.display()))?;
        Ok(Self { target, log, counts: Counts::default() })
    }

    /// Runs a command to its end and counts the tests in its output, which is shown if it fails. Failing is not an error: later
    /// steps may still have something to say.
    pub(crate) fn step(&mut self, runner: Runner, command: &mut Command) -> Result<bool> {
        let start = Instant::now();
        let text = setup::text(command);
        print!("   $ {text}");
        std::io::stdout().flush()?;
        let output = tempfile::NamedTempFile::new()?;
        let status = command
            .stdin(Stdio::null())
            .stdout(output.reopen()?)
            .stderr(output.reopen()?)
            .status()
            .with_context(|| format!("run {text}"))?;
        println!("  {}", elapsed(start.elapsed()).trim_start());
        let output = std::fs::read(output.path())?;
        let output = String::from_utf8_lossy(&output);
        write!(self.log, "$ {text}\n{output}")?;
        let mut counts = runner.count(&output);
        let ran_nothing = runner != Runner::None && counts == Counts::default();
        let failed = !status.success() || counts.failed > 0 || ran_nothing;
        if failed {
            println!("{}", output.trim_end());
            println!("{text}: {status}{}", if ran_nothing { ", no tests" } else { "" });
            counts.failed = counts.failed.max(1);
        }
        self.counts += counts;
        Ok(!failed)
    }
}

/// Builds the nsqd that whole-system tests run, and names it to them. Unless another one is to be tested.
fn with_daemon(steps: &mut Steps, tests: &mut Command) -> Result<()> {
    if std::env::var_os("SANSQ_NSQD").is_some() {
        return Ok(());
    }
    build_daemons(steps)?;
    let nsqd = steps.target.join("release/nsqd");
    // The variable is split at spaces. Tests find the usual place themselves.
    if !nsqd.to_string_lossy().contains(char::is_whitespace) {
        tests.env("SANSQ_NSQD", nsqd);
    }
    Ok(())
}

/// The command of the nsqd to be tested, where it cannot be left to the tests to find it.
fn daemon_command(steps: &mut Steps) -> Result<String> {
    if let Ok(command) = std::env::var("SANSQ_NSQD") {
        return Ok(command);
    }
    build_daemons(steps)?;
    let nsqd = steps.target.join("release/nsqd").to_string_lossy().into_owned();
    ensure!(!nsqd.contains(char::is_whitespace), "the path {nsqd:?} has a space in it, where commands are split");
    Ok(nsqd)
}

/// Builds all programs. Optimised, but for what takes minutes.
pub(crate) fn build_daemons(steps: &mut Steps) -> Result<()> {
    let target = steps.target.clone();
    let built = steps.step(Runner::None, build::compile(Profile::Release, &target).arg("--quiet"))?
        && steps.step(Runner::None, &mut build::link(Profile::Release, &target))?;
    if !built {
        bail!("there is no daemon to test");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(chosen: &[&str]) -> Option<Vec<&'static str>> {
        let chosen: Vec<_> = chosen.iter().map(|name| (*name).to_owned()).collect();
        choose(&chosen).ok().map(|parts| parts.iter().map(|part| part.name).collect())
    }

    #[test]
    fn parts_are_chosen_by_name_and_run_in_order() {
        assert_eq!(names(&["go", "tidy"]), Some(vec!["tidy", "go"]));
        assert_eq!(names(&["nothing"]), None);
        let all = names(&[]).unwrap();
        assert!(all.contains(&"rust") && !all.contains(&"tidy"));
    }

    #[test]
    fn a_step_that_fails_or_tests_nothing_counts_as_a_failure() {
        let step = |runner, script: &str| {
            let log = tempfile::tempfile().unwrap();
            let mut steps = Steps { target: PathBuf::new(), log, counts: Counts::default() };
            steps.step(runner, setup::words(&["sh", "-c"]).arg(script)).unwrap();
            steps.counts
        };
        let failed = |failed| Counts { failed, ..Counts::default() };
        assert_eq!(step(Runner::None, "true"), failed(0));
        assert_eq!(step(Runner::None, "false"), failed(1));
        assert_eq!(step(Runner::Go, "true"), failed(1));
        assert_eq!(step(Runner::Go, "echo '--- FAIL: A'; echo '--- FAIL: B'; exit 1"), failed(2));
        assert_eq!(step(Runner::Go, "echo '--- PASS: A' >&2").passed, 1);
    }
}
