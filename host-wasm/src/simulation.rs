//! The simulator for JavaScript: numbers are floats, times milliseconds, structures JSON.

use js_sys::Float64Array;
use sansq_core::sim::{self, ActionError, Checks, Mark, SCENARIOS, Script, Target, ViewLimits};
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::failure::{Code, failure};
use crate::time;

/// A run of a simulated NSQ system.
#[wasm_bindgen]
#[derive(Clone, Debug)]
pub struct Simulation {
    run: sim::Simulation,
    /// Of [`motions`](Self::motions) and [`dots`](Self::dots), to be used again.
    rows: Vec<f64>,
}

#[wasm_bindgen]
impl Simulation {
    /// The beginning of a run of a script, with this seed or its own. `light`: whether to check only what costs next to nothing;
    /// or as the script has it.
    ///
    /// # Errors
    /// `E_ACTION`, with the line, for what cannot be read.
    pub fn from_script(text: &str, seed: Option<u64>, light: Option<bool>) -> Result<Simulation, JsValue> {
        let mut script: Script = text.parse().map_err(refuse)?;
        script.seed = seed.unwrap_or(script.seed);
        Ok(Self::begin(&script, light))
    }

    /// The same with a built-in scenario.
    ///
    /// # Errors
    /// `E_ACTION` if there is none of that name.
    pub fn from_scenario(name: &str, seed: Option<u64>, light: Option<bool>) -> Result<Simulation, JsValue> {
        Ok(Self::begin(&sim::scenario(name, seed).map_err(refuse)?, light))
    }

    /// The run that a [`link`](Self::link) is about, where the link says.
    ///
    /// # Errors
    /// `E_ACTION` for what cannot be read.
    pub fn from_link(link: &str) -> Result<Simulation, JsValue> {
        Ok(Self { run: sim::Simulation::from_link(link).map_err(refuse)?, rows: Vec::new() })
    }

    fn begin(script: &Script, light: Option<bool>) -> Self {
        let checks = light.map_or(script.checks, |light| if light { Checks::Light } else { Checks::Full });
        Self { run: sim::Simulation::new(script).with_checks(checks), rows: Vec::new() }
    }

    /// The built-in scenarios as a JSON list.
    pub fn scenarios() -> String {
        json(&SCENARIOS.iter().map(ScenarioJson::from).collect::<Vec<_>>())
    }

    /// The time.
    pub fn now(&self) -> f64 {
        time::to_ms(self.run.now())
    }

    /// Steps done.
    pub fn steps(&self) -> f64 {
        self.run.steps() as f64
    }

    /// The trace hash in 16 hex digits.
    pub fn hash(&self) -> String {
        format!("{:016x}", self.run.trace_hash())
    }

    /// The first thing found that must not be.
    pub fn violation(&self) -> Option<String> {
        self.run.violation().map(|violation| violation.text.clone())
    }

    /// When the next step is.
    pub fn next_event_at(&mut self) -> Option<f64> {
        self.run.next_event_at().map(time::to_ms)
    }

    /// Applies an action.
    ///
    /// # Errors
    /// `E_ACTION`: it cannot be read, or not be done now.
    pub fn apply(&mut self, action: &str) -> Result<(), JsValue> {
        action.parse().and_then(|action| self.run.apply(action)).map_err(refuse)
    }

    /// Does the steps up to `ms`, at most `steps_max`; how many that was.
    pub fn run_until(&mut self, ms: f64, steps_max: f64) -> f64 {
        self.run.run_until(time::from_ms(ms), steps_max as u64) as f64
    }

    /// Does `count` steps, or as many as there are.
    pub fn run_steps(&mut self, count: f64) -> f64 {
        self.run.run_steps(count as u64) as f64
    }

    /// Goes to a step.
    pub fn seek_step(&mut self, step: f64) {
        self.run.seek(Target::Step(step as u64));
    }

    /// Goes to a time.
    pub fn seek_time(&mut self, ms: f64) {
        self.run.seek(Target::Time(time::from_ms(ms)));
    }

    /// A run in the same state, that shares nothing with this one.
    pub fn fork(&self) -> Simulation {
        self.clone()
    }

    /// The run so far as a string.
    pub fn link(&self) -> String {
        self.run.link()
    }

    /// The script it began with.
    pub fn script(&self) -> String {
        self.run.script().text().to_owned()
    }

    /// Everything but the messages, as JSON: [`sim::View`], with so many deadlines of each channel and frames of each wire.
    pub fn view(&mut self, deadlines: usize, frames: usize) -> String {
        json(&self.run.view(ViewLimits { deadlines, frames }))
    }

    /// What is under way on the wires, in rows of eight: [`sim::Simulation::motions`].
    pub fn motions(&mut self) -> Vec<f64> {
        let mut rows = Vec::new();
        self.run.motions(&mut rows);
        rows
    }

    /// Messages in nodes, in rows of six: [`sim::Simulation::dots`].
    pub fn dots(&mut self) -> Vec<f64> {
        let mut rows = Vec::new();
        self.run.dots(&mut rows);
        rows
    }

    /// The same into an array that is there; as many numbers as fit, and that is returned.
    pub fn dots_into(&mut self, into: &Float64Array) -> u32 {
        self.rows.clear();
        self.run.dots(&mut self.rows);
        let count = into.length().min(self.rows.len() as u32);
        into.subarray(0, count).copy_from(&self.rows[..count as usize]);
        count
    }

    /// The life of a message so far as JSON: [`sim::MessageLife`].
    pub fn message(&self, number: f64) -> Option<String> {
        self.run.message(number as u64).map(|life| json(&life))
    }

    /// What is worth a mark on a timeline, of steps later than `step`, as a JSON list.
    pub fn marks_since(&self, step: f64) -> String {
        json(&self.run.marks_since(step as u64).map(MarkJson::from).collect::<Vec<_>>())
    }
}

fn refuse(error: ActionError) -> JsValue {
    failure(Code::Action, &error.to_string())
}

fn json(value: &impl Serialize) -> String {
    // Keys are text and nothing in it can fail.
    serde_json::to_string(value).unwrap_or_default()
}

#[derive(Serialize)]
struct ScenarioJson {
    name: &'static str,
    title: &'static str,
    about: String,
    script: &'static str,
}

impl From<&sim::Scenario> for ScenarioJson {
    fn from(scenario: &sim::Scenario) -> Self {
        Self { name: scenario.name, title: scenario.title(), about: scenario.about(), script: scenario.script }
    }
}

#[derive(Serialize)]
struct MarkJson<'a> {
    step: u64,
    time: f64,
    kind: sim::MarkKind,
    who: &'a str,
    text: &'a str,
    count: u32,
}

impl<'a> From<&'a Mark> for MarkJson<'a> {
    fn from(mark: &'a Mark) -> Self {
        Self {
            step: mark.step,
            time: time::to_ms(mark.at),
            kind: mark.kind,
            who: &mark.who,
            text: &mark.text,
            count: mark.count,
        }
    }
}
