//! `cargo xtask bench`: runs the scenarios on our nsqd and, alternating with it, on another one.
//!
//! Absolute figures move with the machine and its mood, so a claim is a ratio from one run: every scenario is measured A B A B,
//! each time on a fresh daemon, and the medians are compared. The load generator runs on the same machine and shows its own CPU
//! time; `--self-test` measures it against a sink that does next to nothing. With `--network` the two are on hosts of their own,
//! which costs both sides what a network does: packets of 1,500 bytes, and what does not fit into a window waits.
//!
//! Scenarios and their targets are in [`scenarios`]; this file only chooses, repeats and collects.

mod connection;
mod flood;
mod load;
mod metric;
mod node;
mod proc;
mod report;
mod scenarios;
mod sink;
mod wire;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::build::{self, Profile};
use crate::setup;
use metric::Metric;
use node::{Host, Node, Source};
use report::Run;
use sansq_tests::network::DAEMONS;
use scenarios::{ALL, Bench, Needs, Scenario};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Our nsqd, instead of this project's, built as it is shipped; words are separated by white space. nsqlookupd is beside it
    #[arg(long, value_name = "COMMAND")]
    ours: Option<String>,
    /// The nsqd to compare with: a command, or host:port of one that runs already (a throwaway: topics stay behind)
    #[arg(long, value_name = "COMMAND|HOST:PORT")]
    against: Option<String>,
    /// How often each scenario runs on each daemon; medians are shown
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only these scenarios, by name or the start of one
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    only: Vec<String>,
    /// List the scenarios and their targets
    #[arg(long)]
    list: bool,
    /// A tenth of the messages and connections
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of the table
    #[arg(long)]
    json: bool,
    /// Where data directories are made (default: target/bench; a RAM disk would say nothing about syncing)
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    /// Measure the load generator against a built-in sink instead of a daemon
    #[arg(long, conflicts_with_all = ["ours", "against"])]
    self_test: bool,
    /// Put daemons and load on hosts of their own, joined by a wire with Ethernet's segments, not on loopback, which the targets are
    /// for. Needs root, ip and ethtool
    #[arg(long)]
    network: bool,
}

/// Runs the benchmark. Missed targets are not an error; scenarios that fail are.
pub(crate) fn run(args: Args) -> Result<()> {
    let mut chosen = choose(&args.only)?;
    if args.list {
        print!("{}", report::list(&chosen));
        return Ok(());
    }
    let network = args.network.then(|| setup::network::make().context("--network")).transpose()?;
    raise_open_files()?;
    report::warn_if_busy();
    let target_dir = setup::target_dir()?;
    let dir = args.dir.unwrap_or_else(|| target_dir.join("bench"));
    std::fs::create_dir_all(&dir)?;
    let ours = match &args.ours {
        Some(_) if args.self_test => unreachable!("excluded by clap"),
        Some(command) => Source::parse(command)?,
        None if args.self_test => {
            chosen.retain(|scenario| sink::CAN_RUN.contains(&scenario.name));
            Source::Address(match &network {
                Some(network) => network.as_daemon(|| sink::start(DAEMONS))??,
                None => sink::start(Ipv4Addr::LOCALHOST)?,
            })
        }
        None => build(&target_dir)?,
    };
    let against = args.against.as_deref().map(Source::parse).transpose()?;
    if args.network && !args.self_test {
        for source in [Some(&ours), against.as_ref()].into_iter().flatten() {
            ensure!(
                !matches!(source, Source::Address(_)),
                "--network: a daemon that runs already is not on it; give its command"
            );
        }
    }
    let host = network.as_ref().map_or_else(Host::loopback, Host::across);
    let setting = Setting { ours, against, rounds: args.rounds, quick: args.quick, dir, host };
    let measure = || chosen.into_iter().map(|scenario| setting.measure(scenario)).collect::<Vec<_>>();
    let results = match &network {
        Some(network) => network.as_client(measure)?,
        None => measure(),
    };
    let run = Run { rounds: args.rounds, quick: args.quick, network: args.network };
    if args.json {
        println!("{}", report::json(&results, run));
    } else {
        print!("{}", report::table(&results, run));
    }
    let failed: Vec<_> =
        results.iter().filter(|result| !result.errors.is_empty()).map(|result| result.scenario.name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// The figures of one side, round by round.
type Figures = BTreeMap<Metric, Vec<f64>>;

/// All rounds of a scenario.
struct Measured {
    scenario: &'static Scenario,
    ours: Figures,
    other: Figures,
    errors: Vec<String>,
}

struct Setting {
    ours: Source,
    against: Option<Source>,
    rounds: u32,
    quick: bool,
    dir: PathBuf,
    host: Host,
}

impl Setting {
    /// Runs a scenario on both sides in turn. A side that failed once is not tried again.
    fn measure(&self, scenario: &'static Scenario) -> Measured {
        let mut measured = Measured { scenario, ours: Figures::new(), other: Figures::new(), errors: Vec::new() };
        let mut sides = vec![("ours", &self.ours)];
        if let Some(against) = &self.against
            && scenario.needs != Needs::PublishAck
        {
            sides.push(("other", against));
        }
        sides.retain(|(_, source)| scenario.needs == Needs::Nothing || matches!(source, Source::Command(_)));
        for round in 1..=self.rounds {
            sides.retain(|(side, source)| match self.run_once(scenario, source) {
                Ok(sample) => {
                    report::progress(scenario, round, side, &sample);
                    let figures = if *side == "ours" { &mut measured.ours } else { &mut measured.other };
                    for (metric, value) in sample.figures() {
                        figures.entry(*metric).or_default().push(*value);
                    }
                    true
                }
                Err(error) => {
                    let error = format!("{}, {side}, round {round}: {error:#}", scenario.name);
                    eprintln!("{error}");
                    measured.errors.push(error);
                    false
                }
            });
        }
        measured
    }

    fn run_once(&self, scenario: &Scenario, source: &Source) -> metric::Outcome {
        let node = Node::start(source, scenario.node, &self.host, &self.dir)?;
        let bench = Bench {
            node: &node,
            topic: format!("bench_{}_{}", std::process::id(), load::nanos()),
            dir: &self.dir,
            quick: self.quick,
        };
        (scenario.run)(&bench).map_err(|error| match node.log() {
            log if log.is_empty() => error,
            log => error.context(format!("the daemon's last words:\n{log}")),
        })
    }
}

/// The scenarios whose name starts with one of `only`; all if it's empty. A full name chooses that one alone.
fn choose(only: &[String]) -> Result<Vec<&'static Scenario>> {
    if only.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let is_name = |wanted: &str| ALL.iter().any(|scenario| scenario.name == wanted);
    let matches = |scenario: &Scenario, wanted: &str| {
        scenario.name == wanted || (!is_name(wanted) && scenario.name.starts_with(wanted))
    };
    if let Some(unknown) = only.iter().find(|wanted| !ALL.iter().any(|scenario| matches(scenario, wanted))) {
        bail!("no scenario is called {unknown}; --list shows them");
    }
    Ok(ALL.iter().filter(|scenario| only.iter().any(|wanted| matches(scenario, wanted))).collect())
}

/// The soft limit is often 1,024 files; daemons started from here inherit it.
fn raise_open_files() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raise the limit of open files")
}

/// Builds our daemons as they are shipped.
fn build(target: &Path) -> Result<Source> {
    let programs = build::programs(Profile::Dist, target)?;
    Ok(Source::Command(vec![programs.join("nsqd").to_string_lossy().into_owned()]))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn names(only: &[&str]) -> Vec<&'static str> {
        let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
        choose(&only).map(|chosen| chosen.iter().map(|scenario| scenario.name).collect()).unwrap_or_default()
    }

    #[test]
    fn scenarios_are_chosen_by_name_or_by_its_start() {
        assert_eq!(names(&["mpub"]), ["mpub"]);
        assert_eq!(names(&["latency"]), ["latency-20k", "latency-100"]);
        assert_eq!(names(&["pub-s", "mpub"]), ["mpub", "pub-synced"]);
        assert_eq!(names(&[]).len(), ALL.len());
        assert!(choose(&["nothing".to_owned()]).is_err());
    }

    /// Runs what only counts against the sink at `address`.
    fn count_at(address: SocketAddr) {
        let dir = tempfile::tempdir().unwrap();
        let setting = Setting {
            ours: Source::Address(address),
            against: None,
            rounds: 1,
            quick: true,
            dir: dir.path().to_owned(),
            host: Host::loopback(),
        };
        for scenario in ALL.iter().filter(|scenario| sink::CAN_RUN.contains(&scenario.name)) {
            let measured = setting.measure(scenario);
            assert_eq!(measured.errors, [""; 0]);
            assert!(measured.ours.contains_key(&Metric::Throughput), "{}", scenario.name);
        }
    }

    #[test]
    fn counting_scenarios_run_against_the_sink() {
        count_at(sink::start(Ipv4Addr::LOCALHOST).unwrap());
    }

    #[test]
    fn counting_scenarios_run_over_a_network() {
        match setup::network::make() {
            Ok(network) => {
                let address = network.as_daemon(|| sink::start(DAEMONS).unwrap()).unwrap();
                network.as_client(|| count_at(address)).unwrap();
            }
            Err(error) => match error.downcast_ref::<setup::Missing>() {
                Some(missing) => eprintln!("skipped: {missing}"),
                None => panic!("{error:#}"),
            },
        }
    }
}
