//! `cargo xtask plant`: puts faults back and makes sure that a check finds each of them.
//!
//! A planted fault is a small patch, `tests/faults/NAME.patch` ([`fault`]). The task copies the checkout ([`copy`]), applies one
//! patch at a time to the copy, and runs the check that the patch names. The check has to fail. What has to succeed before it,
//! such as building the daemon that it drives, comes before the last `&&` of its command; a copy that does not compile is
//! therefore no success.
//!
//! The copy and what is built from it stay in `target/plant`, so that the next fault, and the next run, build only what changed.
//! The closing line counts faults: found ones passed.

mod copy;
mod fault;

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::setup;
use copy::Copy;
use fault::Fault;

/// Longest time of one command. A check that hangs has not found its fault: whoever runs the tests would learn nothing.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(15 * 60);
/// How often a running command is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Lines of a log that are shown where a fault was not found.
const LINES_SHOWN: usize = 30;

/// Arguments of `cargo xtask plant`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these faults: names of files in tests/faults, without .patch
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// List the faults, what each breaks and what must find it
    #[arg(long)]
    list: bool,
}

/// Plants the faults that were chosen; the process ends with status 1 if one of them is not found.
pub(crate) fn run(args: &Args) -> Result<()> {
    let faults = choose(Fault::all(&setup::root().join("tests/faults"))?, &args.names)?;
    if args.list {
        for fault in &faults {
            println!("{}\n    breaks: {}\n    found by: {}", fault.name, fault.breaks, fault.found_by);
        }
        return Ok(());
    }
    let directory = setup::target_dir()?.join("plant");
    let copy = Copy::new(setup::root(), &directory)?;
    println!("== faults to be found: {}; the copy is in {}", faults.len(), directory.display());
    let (mut found, mut missed) = (0, 0);
    for fault in &faults {
        print!("{:<40} ", fault.name);
        std::io::stdout().flush()?;
        let start = Instant::now();
        let log = directory.join(&fault.name).with_extension("log");
        match plant(fault, &copy, &log) {
            Ok(()) => {
                println!("found in {} s", start.elapsed().as_secs());
                found += 1;
            }
            Err(error) => {
                println!("NOT FOUND after {} s: {error:#}", start.elapsed().as_secs());
                println!("{}    the rest is in {}", last_lines(&log), log.display());
                missed += 1;
            }
        }
    }
    copy.restore()?;
    println!("{found} passed, {missed} failed");
    if missed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// The faults of these names; all without any.
fn choose(faults: Vec<Fault>, names: &[String]) -> Result<Vec<Fault>> {
    if let Some(unknown) = names.iter().find(|name| !faults.iter().any(|fault| fault.name == **name)) {
        bail!("no fault is called {unknown}; --list shows them");
    }
    Ok(faults.into_iter().filter(|fault| names.is_empty() || names.contains(&fault.name)).collect())
}

/// Puts one fault into the copy and runs its check. An error says why the fault was not found.
fn plant(fault: &Fault, copy: &Copy, log: &Path) -> Result<()> {
    let mut log_file = File::create(log).with_context(|| format!("write {}", log.display()))?;
    copy.restore()?;
    copy.apply(&fault.path)?;
    let commands = fault.commands();
    let (check, first) = commands.split_last().context("the check is empty")?;
    for command in first {
        if !succeeds(copy, command, &mut log_file)? {
            bail!("`{command}` failed, which only prepares the check");
        }
    }
    // What does not compile fails as well, and finds nothing.
    if check.starts_with("cargo test ") {
        let (build, _) = check.split_once(" -- ").unwrap_or((check, ""));
        if !succeeds(copy, &format!("{build} --no-run"), &mut log_file)? {
            bail!("the copy with the fault does not compile");
        }
    }
    if succeeds(copy, check, &mut log_file)? {
        bail!("`{check}` succeeds with the fault in place");
    }
    Ok(())
}

/// Runs a command line in the copy, its output to the log.
fn succeeds(copy: &Copy, line: &str, log: &mut File) -> Result<bool> {
    writeln!(log, "$ {line}")?;
    let mut child = Command::new("sh")
        .args(["-c", line])
        .current_dir(copy.tree())
        .env("CARGO_TARGET_DIR", copy.target())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        // A group of its own, so that what a check has started ends with it.
        .process_group(0)
        .spawn()
        .with_context(|| format!("run {line}"))?;
    let deadline = Instant::now() + COMMAND_TIME_MAX;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGKILL)?;
            child.wait()?;
            bail!("`{line}` did not end within {} minutes", COMMAND_TIME_MAX.as_secs() / 60);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The end of a log, indented.
fn last_lines(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].iter().map(|line| format!("    {line}\n")).collect()
}
