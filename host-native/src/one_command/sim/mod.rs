//! `sansq sim`: the simulator on the command line. Runs what seeds draw, scenarios and links, with the reference model beside
//! them, and says what came of it. All that happens in a run is the core's matter; here are words, threads and files.

mod report;
mod seeds;
mod trace;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use sansq_core::sim::{SCENARIOS, SWARM, Script, Simulation, Swarm, scenario, try_script};

use super::words::{Misuse, Words};
use super::{Failure, print};

pub(super) const FLAGS: [&str; 8] = ["seed", "seeds", "minutes", "scenario", "run", "trace", "kept", "record"];

/// What is to be done.
enum Task {
    /// One script, by its name; a swarm has to drain.
    Script { script: Box<Script>, drains: bool },
    /// A link: it is shown where it says.
    Link(String),
    /// Seeds from the first, up to the second if there is an end.
    Seeds { from: u64, to: u64, until: Option<Instant> },
    /// The seeds of a file, whose hashes must be as they are there; or are written there.
    Kept { file: PathBuf, record: bool },
}

pub(super) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    if args.iter().any(|arg| arg == "--list") {
        print(&list());
        return Ok(());
    }
    let words = Words::sort("sim", &FLAGS, args)?;
    if words.help || (words.flags.is_empty() && words.others.is_empty()) {
        print(HELP);
        return Ok(());
    }
    if let Some(other) = words.others.first() {
        return Err(Misuse::TooMany(other.to_string_lossy().into_owned()).into());
    }
    let fine = match task(&words)? {
        Task::Script { script, drains } => run_script(&script, drains, words.flags.get("trace"))?,
        Task::Link(link) => run_link(&link, words.flags.get("trace"))?,
        Task::Seeds { from, to, until } => run_seeds(from, to, until),
        Task::Kept { file, record } => seeds::run_kept(&file, record)?,
    };
    if fine { Ok(()) } else { Err(Failure::Said(ExitCode::FAILURE)) }
}

/// What the flags ask for.
fn task(words: &Words) -> Result<Task, Misuse> {
    let flag = |name: &str| words.flags.get(name);
    let bad = |what, value: &str, why: &str| Misuse::BadValue { what, value: value.to_owned(), why: why.to_owned() };
    let number = |name: &'static str, value: &String| {
        value.parse::<u64>().map_err(|_| bad(name, value, "it takes a number from 0 to 2^64-1"))
    };
    let seed = flag("seed").map(|value| number("--seed", value)).transpose()?;
    if let Some(range) = flag("seeds") {
        let ends = range.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        let Some((from, to)) = ends.filter(|(from, to)| from < to) else {
            return Err(bad("--seeds", range, "it takes two numbers such as 1..1000, the second is left out"));
        };
        return Ok(Task::Seeds { from, to, until: None });
    }
    if let Some(minutes) = flag("minutes") {
        let until = Instant::now() + Duration::from_secs(60 * number("--minutes", minutes)?.min(60 * 24 * 365));
        let from = seed.unwrap_or_else(seeds::fresh);
        return Ok(Task::Seeds { from, to: u64::MAX, until: Some(until) });
    }
    if let Some(file) = flag("kept").or(flag("record")) {
        return Ok(Task::Kept { file: file.into(), record: flag("record").is_some() });
    }
    if let Some(link) = flag("run") {
        return Ok(Task::Link(link.clone()));
    }
    if let Some(name) = flag("scenario") {
        let script = script(name, seed).map_err(|why| bad("--scenario", name, &why.to_string()))?;
        return Ok(Task::Script { script: Box::new(script), drains: name == SWARM });
    }
    match seed {
        Some(seed) => Ok(Task::Script { script: Box::new(Swarm::new(seed).script()), drains: true }),
        None => {
            Err(bad("--trace", flag("trace").map_or("", String::as_str), "it goes with --seed, --scenario or --run"))
        }
    }
}

/// A built-in scenario, or the script in a file.
fn script(name: &str, seed: Option<u64>) -> Result<Script> {
    let path = std::path::Path::new(name);
    if !path.exists() {
        return scenario(name, seed).map_err(|error| anyhow!("there is no such file either; {error}"));
    }
    let text = std::fs::read_to_string(path).context("cannot read it")?;
    let mut script: Script = text.parse().map_err(|error| anyhow!("{error}"))?;
    script.seed = seed.unwrap_or(script.seed);
    Ok(script)
}

fn run_script(script: &Script, drains: bool, trace: Option<&String>) -> Result<bool, Failure> {
    if let Some(file) = trace {
        trace::write(&mut Simulation::new(script), script.until, file)?;
    }
    let began = Instant::now();
    let trial = try_script(script, drains, None);
    print(&report::one(&trial, began.elapsed()));
    if trial.violation.is_some() {
        print(&report::failure(script, &trial, drains));
    }
    Ok(trial.violation.is_none())
}

fn run_link(link: &str, trace: Option<&String>) -> Result<bool, Failure> {
    let link = link.split_once('#').map_or(link, |(_, link)| link);
    let wrong = |why: String| Misuse::BadValue { what: "--run", value: link.to_owned(), why };
    let mut simulation = Simulation::from_link(link).map_err(|error| wrong(error.to_string()))?;
    if let Some(file) = trace {
        let end = simulation.now();
        let mut again = simulation.clone();
        again.seek(sansq_core::sim::Target::Step(0));
        trace::write(&mut again, Some(end), file)?;
    }
    print(&report::position(&mut simulation));
    Ok(simulation.violation().is_none() && !report::differs(&simulation))
}

/// Runs what the seeds draw on all cores, and stops at the first that fails.
fn run_seeds(from: u64, to: u64, until: Option<Instant>) -> bool {
    print(&format!("seeds from {from}{}\n", if until.is_some() { String::new() } else { format!(" to {}", to - 1) }));
    let began = Instant::now();
    let bar = seeds::bar(until.is_none().then_some(to - from));
    let (totals, failed) = seeds::run_all(from, to, until, |totals| {
        bar.set_position(totals.seeds);
    });
    bar.finish_and_clear();
    print(&totals.show(began.elapsed()));
    if let Some((seed, trial)) = &failed {
        print(&format!("\nseed {seed} fails\n{}", report::failure(&Swarm::new(*seed).script(), trial, true)));
    }
    failed.is_none()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn list() -> String {
    let mut page = String::new();
    for known in SCENARIOS {
        page += &format!("{:<26} {}\n", known.name, known.title());
    }
    page + &format!("{SWARM:<26} What a seed alone draws: --seed N is short for it\n")
}

const HELP: &str = "\
sansq sim - whole NSQ systems in virtual time, with faults, and a reference model beside them

  sansq sim --seed N             what the seed draws: configuration, topology, load, faults; then all
                                 is healed, and every channel has to drain
  sansq sim --seeds A..B         each seed from A to before B, on all cores
  sansq sim --minutes M          fresh seeds until the time is up
  sansq sim --scenario NAME      a built-in scenario, or a script of your own by its file; --seed N with it
  sansq sim --run LINK           where a link leads: what the page has behind # in its address
  sansq sim --kept FILE          the seeds of FILE, whose lines are SEED HASH: hashes must be the same
  sansq sim --record FILE        writes the hashes of the seeds in FILE anew
  sansq sim --list               the built-in scenarios

  --trace FILE                   with --seed, --scenario or --run: a line for each step,
                                 STEP NANOSECONDS HASH, and what is worth a mark behind it

A failure names the seed, what is wrong, when, and the shortest beginning that still fails, with a link
that opens it in the page (`cargo xtask web`, then `cargo xtask demo`). The status is 1 then.
";
