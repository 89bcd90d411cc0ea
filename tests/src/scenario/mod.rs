//! Scenarios: conversations with nsqd written as plain text, one test each.
//!
//! The language is described in `conformance/README.md`. A file is parsed for the program under test
//! ([`Face`]): the lines between `when reference` (or `when ours`) and `end` count only for that one. Such
//! blocks may stand in `differences.scn` alone, so that this file is the whole list of deliberate departures.

mod check;
mod pool;
mod run;
mod step;
mod text;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::nsqd::Face;
pub use pool::Pool;
pub use run::run;
use step::Step;

/// The one file in which answers may depend on the program under test.
const DIFFERENCES: &str = "differences.scn";

/// One conversation.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// `file::name`.
    pub name: String,
    /// The file, as shown in failures.
    file: String,
    /// Flags of the daemon it needs; scenarios with equal flags share a daemon.
    flags: Vec<String>,
    /// Whether it needs a daemon that nobody else talks to.
    private: bool,
    /// Files that are in the data directory beforehand.
    fixture: Option<String>,
    /// Why the answers of the two programs differ.
    why: Option<String>,
    steps: Vec<Step>,
}

impl Scenario {
    /// Whether any running daemon will do.
    pub fn runs_anywhere(&self) -> bool {
        self.flags.is_empty() && !self.private && !self.steps.iter().any(|step| step.action.touches_files())
    }
}

/// All scenarios of the `.scn` files in `directory`, sorted by file.
pub fn load(directory: &Path, face: Face) -> Result<Vec<Scenario>> {
    let entries = directory.read_dir().with_context(|| format!("no directory {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "scn"));
    paths.sort();
    let mut scenarios = Vec::new();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        scenarios.extend(parse(&name, &std::fs::read_to_string(&path)?, face)?);
    }
    Ok(scenarios)
}

/// Reads one file called `file`.
pub fn parse(file: &str, source: &str, face: Face) -> Result<Vec<Scenario>> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut block: Option<Face> = None;
    for (index, line) in source.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let number = index + 1;
        let place = || format!("tests/conformance/{file}:{number}: {line}");
        let line = line.trim_start();
        match line {
            "when reference" | "when ours" => {
                ensure!(file == DIFFERENCES, "{}: `when` belongs in {DIFFERENCES}", place());
                ensure!(block.is_none(), "{}: `when` inside `when`", place());
                block = Some(if line == "when ours" { Face::Ours } else { Face::Reference });
            }
            "end" => ensure!(block.take().is_some(), "{}: nothing to end", place()),
            _ if block.is_some_and(|only| only != face) => {}
            _ => match line.strip_prefix("scenario ") {
                Some(name) => scenarios.push(Scenario::named(file, name)),
                None => {
                    let scenario = scenarios.last_mut().with_context(|| format!("{}: before `scenario`", place()))?;
                    scenario.add(number, line).with_context(place)?;
                }
            },
        }
    }
    ensure!(block.is_none(), "{file}: `when` without `end`");
    match scenarios.iter().find(|scenario| scenario.steps.is_empty()) {
        Some(empty) => bail!("{}: nothing happens", empty.name),
        None if file == DIFFERENCES => match scenarios.iter().find(|scenario| scenario.why.is_none()) {
            Some(unexplained) => bail!("{}: no `why`", unexplained.name),
            None => Ok(scenarios),
        },
        None => Ok(scenarios),
    }
}

impl Scenario {
    fn named(file: &str, name: &str) -> Scenario {
        Scenario {
            name: format!("{}::{name}", file.trim_end_matches(".scn")),
            file: format!("tests/conformance/{file}"),
            flags: Vec::new(),
            private: false,
            fixture: None,
            why: None,
            steps: Vec::new(),
        }
    }

    fn add(&mut self, number: usize, line: &str) -> Result<()> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "private" => self.private = true,
            "flags" => self.flags.extend(rest.split(' ').map(str::to_owned)),
            "fixture" => {
                self.fixture = Some(rest.to_owned());
                self.private = true;
            }
            "why" => self.why.get_or_insert_default().push_str(rest),
            _ => {
                let action = step::parse(line)?;
                self.private |= action.concerns_the_process();
                self.steps.push(Step { line: number, source: line.to_owned(), action });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_the_face() {
        let source = "scenario a\nwhy x\n> NOP\\n\nwhen ours\n< one\nend\nwhen reference\n< two\n< three\nend\n";
        let steps = |face| parse(DIFFERENCES, source, face).unwrap()[0].steps.len();
        assert_eq!((steps(Face::Ours), steps(Face::Reference)), (2, 3));
        assert!(parse("other.scn", source, Face::Ours).is_err());
    }

    #[test]
    fn mistakes_name_the_line() {
        let error = parse("x.scn", "scenario a\n> NOP\\n\nnonsense here\n", Face::Ours).unwrap_err();
        assert!(format!("{error:#}").contains("x.scn:3"), "{error:#}");
    }
}
