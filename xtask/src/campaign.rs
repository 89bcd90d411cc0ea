//! `cargo xtask campaign NAME`: what looks for faults for as long as one lets it, as ordinary tests may not.
//!
//! A campaign runs in rounds, each with something new: other seeds, other loads. It begins no round that would end after its
//! time, going by the longest so far. Output is kept in `target/campaign/NAME.log` and shown only where something failed; one
//! goes on after a failure, and the last line is the sum. To add a campaign, add a row to [`ALL`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use sansq_tests::network::Network;

use crate::setup::{self, Missing, cargo, words};
use crate::test::clients::{self, Place};
use crate::test::{Runner, Steps, build_daemons};

/// Arguments of `cargo xtask campaign`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which campaign
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// List the campaigns, and the time that each takes by itself
    #[arg(long)]
    list: bool,
    /// How long it goes on: 90s, 10m, 2h. One round is always run
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
}

/// Runs one round.
type Round = Box<dyn FnMut(&mut Steps) -> Result<()>>;

/// A campaign.
struct Campaign {
    name: &'static str,
    about: &'static str,
    /// How long it takes unless it is told.
    minutes: u64,
    /// Does what has to be done once, and says what a round is.
    start: fn(&mut Steps) -> Result<Round>,
}

const ALL: &[Campaign] = &[
    Campaign {
        name: "network",
        about: "all suites of clients, the tools and drawn loads on another host than nsqd, over a wire (as root)",
        minutes: 10,
        start: network,
    },
    Campaign { name: "seeds", about: "fresh seeds of the simulator", minutes: 10, start: seeds },
];

/// Runs a campaign; the process ends with status 1 if something in it fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Some(name) = args.name.as_ref().filter(|_| !args.list) else {
        for campaign in ALL {
            println!("{:<8} {} ({} minutes)", campaign.name, campaign.about, campaign.minutes);
        }
        return Ok(());
    };
    let Some(campaign) = ALL.iter().find(|campaign| campaign.name == *name) else {
        bail!("no campaign is called {name}; --list shows them");
    };
    let time = args.time.unwrap_or(Duration::from_secs(campaign.minutes * 60));
    println!("== {}: {}, for {} s", campaign.name, campaign.about, time.as_secs());
    let target = setup::target_dir()?;
    let directory = target.join("campaign");
    std::fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    let mut steps = Steps::new(target, &directory.join(campaign.name).with_extension("log"))?;
    let mut round = (campaign.start)(&mut steps)?;
    let rounds = repeat(time, || round(&mut steps))?;
    println!("{}, rounds: {rounds}", steps.counts);
    if steps.counts.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// Calls `round` again and again: how often.
fn repeat(time: Duration, mut round: impl FnMut() -> Result<()>) -> Result<u32> {
    let end = Instant::now() + time;
    let (mut rounds, mut longest) = (0, Duration::ZERO);
    loop {
        let start = Instant::now();
        round()?;
        rounds += 1;
        longest = longest.max(start.elapsed());
        if Instant::now() + longest > end {
            return Ok(rounds);
        }
    }
}

/// A number and `s`, `m` or `h`.
fn time(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.len() - usize::from(text.ends_with(['s', 'm', 'h'])));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => bail!("no unit: s, m or h"),
    };
    let number: u64 = number.parse().context("it begins with a whole number")?;
    ensure!((1..=1000).contains(&number), "between 1 and 1000");
    Ok(Duration::from_secs(number * seconds))
}

/// A number that no run before had.
fn fresh() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().try_into()?)
}

fn network(steps: &mut Steps) -> Result<Round> {
    let network = setup::network::make()?;
    build_daemons(steps)?;
    Ok(Box::new(move |steps| network_round(steps, &network)))
}

fn network_round(steps: &mut Steps, network: &Network) -> Result<()> {
    let seed = fresh()?;
    println!("   SANSQ_SEED={seed} SANSQ_LOADS=40");
    let mut loads = cargo();
    loads.args(["test", "--quiet", "--package", "sansq-tests", "--no-fail-fast"]);
    loads.args(["narrow", "network", "network_tools"].iter().flat_map(|test| ["--test", test]));
    loads.env("SANSQ_SEED", seed.to_string()).env("SANSQ_LOADS", "40");
    steps.step(Runner::Cargo, &mut loads)?;
    let place = Place::Network(network);
    let suites = [
        ("go-nsq", clients::go(steps, place, None)),
        ("pynsq", clients::python(steps, place, &[])),
        ("nsqjs", clients::node(steps, place, &[])),
    ];
    for (name, result) in suites {
        if let Err(error) = result {
            let Some(missing) = error.downcast_ref::<Missing>() else { return Err(error) };
            println!("   {name} is left out: {missing}");
        }
    }
    Ok(())
}

fn seeds(steps: &mut Steps) -> Result<Round> {
    build_daemons(steps)?;
    let mut next = fresh()?;
    let mut count = 64;
    Ok(Box::new(move |steps| {
        let start = Instant::now();
        let range = format!("{next}..{}", next + count);
        let mut seeds = words(&[&steps.target.join("release/sansq").to_string_lossy(), "sim", "--seeds", &range]);
        if steps.step(Runner::None, seeds.current_dir(setup::root()))? {
            steps.counts.passed += count;
        }
        next += count;
        // A line for some seconds, not for each moment, and not only one.
        if start.elapsed() < Duration::from_secs(10) {
            count *= 2;
        }
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(time("10m").unwrap(), Duration::from_secs(600));
        assert_eq!(time("2h").unwrap(), Duration::from_secs(7200));
        for wrong in ["", "10", "m", "-1s", "0s", "1d", "ä"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_round_is_run_and_none_that_would_end_too_late() {
        assert_eq!(repeat(Duration::ZERO, || Ok(())).unwrap(), 1);
        let slow = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        };
        let rounds = repeat(Duration::from_millis(50), slow).unwrap();
        assert!(rounds <= 2, "{rounds}");
    }
}
