//! How results are shown: one aligned table, or JSON; progress goes to standard error.

use std::fmt::Write as _;
use std::io::{IsTerminal, stderr, stdout};

use serde_json::{Value, json};

use super::metric::{Metric, Sample, Target};
use super::scenarios::{Needs, Scenario};
use super::{Figures, Measured};

const HEADER: [&str; 7] = ["scenario", "figure", "ours", "other", "ours/other", "target", "met"];
const MET_COLUMN: usize = 6;

/// A line of the table with everything compared.
struct Row {
    metric: Metric,
    ours: Option<f64>,
    other: Option<f64>,
    target: Option<Target>,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        match (self.ours, self.other) {
            (Some(ours), Some(other)) if other > 0.0 => Some(ours / other),
            _ => None,
        }
    }

    fn is_met(&self) -> Option<bool> {
        self.target?.is_met(self.ours?, self.other)
    }

    fn cells(&self) -> [String; 6] {
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| self::number(self.metric, value));
        [
            self.metric.label().to_owned(),
            number(self.ours),
            number(self.other),
            self.ratio().map_or("-".to_owned(), times),
            self.target.map_or(String::new(), |target| describe(self.metric, target)),
            match (self.target, self.is_met()) {
                (None, _) => String::new(),
                (Some(_), Some(true)) => "yes".to_owned(),
                (Some(_), Some(false)) => "NO".to_owned(),
                (Some(_), None) => "?".to_owned(),
            },
        ]
    }
}

/// The rows of a scenario: what was measured on either side, and targets nothing was measured for. Targets are for loopback: a
/// network has limits of its own.
fn rows(measured: &Measured, run: Run) -> Vec<Row> {
    let targets = if run.network { &[] } else { measured.scenario.targets };
    let mut metrics: Vec<Metric> = measured.ours.keys().chain(measured.other.keys()).copied().collect();
    metrics.extend(targets.iter().map(|(metric, _)| *metric));
    metrics.sort_unstable();
    metrics.dedup();
    let row = |metric| Row {
        metric,
        ours: median(&measured.ours, metric),
        other: median(&measured.other, metric),
        target: targets.iter().find(|(of, _)| *of == metric).map(|(_, target)| *target),
    };
    metrics.into_iter().map(row).collect()
}

fn median(figures: &Figures, metric: Metric) -> Option<f64> {
    let mut values = figures.get(&metric)?.clone();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    Some(if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) })
}

/// What all results have in common.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) rounds: u32,
    pub(super) quick: bool,
    pub(super) network: bool,
}

/// The table, with a line about the run above it.
pub(super) fn table(results: &[Measured], run: Run) -> String {
    let mut lines: Vec<[String; 7]> = vec![HEADER.map(str::to_owned)];
    for measured in results {
        for (index, row) in rows(measured, run).iter().enumerate() {
            let name = if index == 0 { measured.scenario.name } else { "" };
            let [figure, ours, other, ratio, target, met] = row.cells();
            lines.push([name.to_owned(), figure, ours, other, ratio, target, met]);
        }
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let colours = stdout().is_terminal() && !no_colour();
    let mut text = format!("{}\n\n", summary(run));
    for (index, line) in lines.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.chars().count());
            let is_number = (2..=4).contains(&column);
            let cell = if colours { coloured(cell, index == 0, column) } else { cell.clone() };
            let gap = if column == 0 { "" } else { "  " };
            let (left, right) = if is_number { (padding.as_str(), "") } else { ("", padding.as_str()) };
            let _ = write!(text, "{gap}{left}{cell}{right}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn coloured(cell: &str, is_header: bool, column: usize) -> String {
    let code = match cell {
        _ if is_header => "1",
        "yes" if column == MET_COLUMN => "32",
        "NO" if column == MET_COLUMN => "1;31",
        _ => return cell.to_owned(),
    };
    format!("\x1b[{code}m{cell}\x1b[0m")
}

fn summary(Run { rounds, quick, network }: Run) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let sizes = if quick { ", a tenth of the size" } else { "" };
    let place = if network { ", over a network" } else { "" };
    let plural = if rounds == 1 { "1 round".to_owned() } else { format!("median of {rounds} rounds") };
    format!("{plural}, messages of 200 bytes, {cores} cores shared with the load generator{sizes}{place}")
}

/// Everything for machines: medians, single rounds, targets.
pub(super) fn json(results: &[Measured], run: Run) -> Value {
    let side = |figures: &Figures, metric| {
        median(figures, metric).map(|median| json!({"median": median, "rounds": figures.get(&metric)}))
    };
    let scenario = |measured: &Measured| {
        let figures = rows(measured, run).into_iter().map(|row| {
            let figure = json!({
                "ours": side(&measured.ours, row.metric),
                "other": side(&measured.other, row.metric),
                "ratio": row.ratio(),
                "target": row.target.map(target_json),
                "met": row.is_met(),
            });
            (row.metric.key().to_owned(), figure)
        });
        json!({
            "name": measured.scenario.name,
            "about": measured.scenario.about,
            "figures": figures.collect::<serde_json::Map<_, _>>(),
            "errors": measured.errors,
        })
    };
    let Run { rounds, quick, network } = run;
    json!({"rounds": rounds, "quick": quick, "network": network, "scenarios": results.iter().map(scenario).collect::<Vec<_>>()})
}

fn target_json(target: Target) -> Value {
    match target {
        Target::TimesOther(factor) => json!({"times_other": factor}),
        Target::AtMostTimesOther(factor) => json!({"at_most_times_other": factor}),
        Target::AtLeast(least) => json!({"at_least": least}),
        Target::AtMost(most) => json!({"at_most": most}),
    }
}

/// Names, descriptions and targets of scenarios.
pub(super) fn list(scenarios: &[&Scenario]) -> String {
    let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for scenario in scenarios {
        let needs = match scenario.needs {
            Needs::Nothing => "",
            Needs::Process => " (not on a running daemon)",
            Needs::PublishAck => " (only where --publish-ack exists)",
        };
        let targets: Vec<_> = scenario
            .targets
            .iter()
            .map(|(metric, target)| format!("{} {}", metric.label(), describe(*metric, *target)))
            .collect();
        let _ = writeln!(text, "{:width$}  {}{needs}", scenario.name, scenario.about);
        if !targets.is_empty() {
            let _ = writeln!(text, "{:width$}  target: {}", "", targets.join(", "));
        }
    }
    text
}

/// Says so on standard error if others use the machine: figures are worthless then, and ratios doubtful.
pub(super) fn warn_if_busy() {
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load: Option<f64> = load.and_then(|text| text.split_whitespace().next()?.parse().ok());
    if let Some(load) = load.filter(|load| *load > 1.0) {
        eprintln!("the machine is busy (load {load}): don't trust absolute figures, and ratios only with many rounds");
    }
}

/// One line on standard error for each run, with the figures that have no place in the table's comparison.
pub(super) fn progress(scenario: &Scenario, round: u32, side: &str, sample: &Sample) {
    let figures: Vec<_> = sample
        .figures()
        .iter()
        .map(|(metric, value)| format!("{} {}", metric.label(), number(*metric, *value)))
        .collect();
    let line = format!("{} #{round} {side}: {}", scenario.name, figures.join(", "));
    if stderr().is_terminal() && !no_colour() {
        eprintln!("\x1b[2m{line}\x1b[0m");
    } else {
        eprintln!("{line}");
    }
}

/// <https://no-color.org>: set and not empty.
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn describe(metric: Metric, target: Target) -> String {
    match target {
        Target::TimesOther(factor) => format!("≥ {factor}× other"),
        Target::AtMostTimesOther(factor) => format!("≤ {factor}× other"),
        Target::AtLeast(least) => format!("≥ {}", number(metric, least)),
        Target::AtMost(most) => format!("≤ {}", number(metric, most)),
    }
}

/// A ratio; a small one as a fraction, which says more than `0.00×`.
fn times(ratio: f64) -> String {
    match ratio {
        0.0 => "0".to_owned(),
        _ if ratio < 0.1 => format!("1/{:.0}", 1.0 / ratio),
        _ => format!("{ratio:.2}×"),
    }
}

/// Three digits that matter, thousands as `k` and `M` for rates.
fn number(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Throughput if value >= 1e6 => format!("{:.2} M", value / 1e6),
        Metric::Throughput if value >= 1e3 => format!("{:.1} k", value / 1e3),
        _ if value == 0.0 => "0".to_owned(),
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let shown = [1.234, 12.34, 123.4, 0.0].map(|value| number(Metric::P99, value));
        assert_eq!(shown, ["1.23", "12.3", "123", "0"]);
        assert_eq!(number(Metric::Throughput, 1_234_567.0), "1.23 M");
        assert_eq!(number(Metric::Throughput, 12_345.0), "12.3 k");
    }

    #[test]
    fn small_ratios_are_fractions() {
        assert_eq!([4.0, 0.5, 0.002, 0.0].map(times), ["4.00×", "0.50×", "1/500", "0"]);
    }

    #[test]
    fn median_of_an_even_number_is_the_mean_of_the_middle() {
        let figures = Figures::from([(Metric::P50, vec![9.0, 1.0, 3.0, 5.0])]);
        assert_eq!(median(&figures, Metric::P50), Some(4.0));
        assert_eq!(median(&figures, Metric::P99), None);
    }
}
