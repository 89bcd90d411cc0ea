//! Runs the built-in scenarios and some swarms to their end and prints `NAME SEED HASH` of each: what every other build of the
//! core must get.

use sansq_core::sim::{ActionError, SCENARIOS, SWARM, Script, Simulation, scenario};

/// Swarms are those of the seeds from one to this.
const SWARMS: u64 = 10;

fn main() -> Result<(), ActionError> {
    for built_in in SCENARIOS {
        print(built_in.name, &scenario(built_in.name, None)?);
    }
    for seed in 1..=SWARMS {
        print(SWARM, &scenario(SWARM, Some(seed))?);
    }
    Ok(())
}

fn print(name: &str, script: &Script) {
    let mut simulation = Simulation::new(script);
    simulation.run_to_end();
    println!("{name} {} {:016x}", script.seed, simulation.trace_hash());
}
