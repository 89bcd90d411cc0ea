//! The built-in scenarios: scripts that tell a story and have a point.

use super::script::{ActionError, Script};
use super::swarm::Swarm;

/// The name of what a seed alone draws.
pub const SWARM: &str = "swarm";

/// A built-in scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// As in links.
    pub name: &'static str,
    /// The script, which has the title, and what it is about in its first comment.
    pub script: &'static str,
}

macro_rules! scenarios {
    ($($name:literal)*) => {
        &[$(Scenario { name: $name, script: include_str!(concat!("scenarios/", $name, ".sim")) },)*]
    };
}

/// All of them, in the order to read them.
pub const SCENARIOS: &[Scenario] = scenarios! {
    "first-message"
    "fan-out"
    "slow-consumer"
    "rdy-starvation"
    "timeouts-make-duplicates"
    "requeue-and-backoff"
    "deferred"
    "broker-crash"
    "ephemeral"
    "poison-message"
    "benchmark"
};

impl Scenario {
    /// Its title.
    pub fn title(&self) -> &'static str {
        self.script.lines().find_map(|line| line.strip_prefix("title ")).unwrap_or(self.name)
    }

    /// What it is about: its first comment, on one line.
    pub fn about(&self) -> String {
        let lines = self.script.lines().map_while(|line| line.strip_prefix("# "));
        lines.collect::<Vec<_>>().join(" ")
    }
}

/// The script of a scenario, with this seed or its own.
pub fn scenario(name: &str, seed: Option<u64>) -> Result<Script, ActionError> {
    if name == SWARM {
        return Ok(Swarm::new(seed.unwrap_or(1)).script());
    }
    let Some(found) = SCENARIOS.iter().find(|scenario| scenario.name == name) else {
        let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        return Err(ActionError(format!("there is no scenario {name:?}; there are {} and {SWARM}", names.join(", "))));
    };
    let mut script: Script = found.script.parse()?;
    script.scenario = Some(found.name);
    script.seed = seed.unwrap_or(script.seed);
    Ok(script)
}
