//! Runs the built-in scenarios to their end and prints `NAME SEED HASH` of each: what every other build of the core must get.

use sansq_core::sim::{ActionError, SCENARIOS, Simulation, scenario};

fn main() -> Result<(), ActionError> {
    for built_in in SCENARIOS {
        let script = scenario(built_in.name, None)?;
        let mut simulation = Simulation::new(&script);
        simulation.run_to_end();
        println!("{} {} {:016x}", built_in.name, script.seed, simulation.trace_hash());
    }
    Ok(())
}
