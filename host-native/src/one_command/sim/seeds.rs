//! Many seeds, on all cores; and seeds that are kept, with the hashes their runs have.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sansq_core::sim::{Trial, try_seed};

use super::super::print;
use super::report::Totals;
use super::threads;

/// A seed that nobody has chosen.
pub(super) fn fresh() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_micros() as u64 & 0xffff_ffff_ffff)
}

/// A bar, drawn on terminals only. `None`: nobody knows how many.
pub(super) fn bar(count: Option<u64>) -> ProgressBar {
    let Some(count) = count else {
        return ProgressBar::new_spinner().with_style(style("{spinner} {pos} seeds, {elapsed}"));
    };
    ProgressBar::new(count).with_style(style("{bar:40} {pos}/{len} seeds, {eta} to go"))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Tries seeds from `from` to before `to`, on all cores, until one fails or the time is up: the sums, and the first failure.
pub(super) fn run_all(
    from: u64,
    to: u64,
    until: Option<Instant>,
    progress: impl Fn(&Totals) + Sync,
) -> (Totals, Option<(u64, Trial)>) {
    let next = AtomicU64::new(from);
    let shared = Mutex::new((Totals::default(), None::<(u64, Trial)>));
    let lock = || shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= to || until.is_some_and(|until| Instant::now() >= until) || lock().1.is_some() {
                return;
            }
            let trial = try_seed(seed);
            let mut guard = lock();
            guard.0.add(seed, &trial);
            progress(&guard.0);
            if trial.violation.is_some() && guard.1.as_ref().is_none_or(|(first, _)| seed < *first) {
                guard.1 = Some((seed, trial));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(work);
        }
    });
    let (totals, failed) = std::mem::take(&mut *lock());
    (totals, failed)
}

/// Runs the seeds of a file of lines `SEED HASH`; `#` begins a comment. Their hashes must be as they stand there, or are
/// written there. Whether all is well.
pub(super) fn run_kept(file: &Path, record: bool) -> Result<bool> {
    let about = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(about)?;
    let (mut written, mut failed, mut count) = (String::new(), 0, 0);
    for (index, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        let Some(seed) = words.next().filter(|word| !word.starts_with('#')) else {
            written += &format!("{line}\n");
            continue;
        };
        let Ok(seed) = seed.parse() else { bail!("{}, line {}: {seed:?} is not a seed", about(), index + 1) };
        let trial = try_seed(seed);
        let hash = format!("{:016x}", trial.hash);
        count += 1;
        let known = words.next();
        if let Some(violation) = &trial.violation {
            print(&format!("seed {seed}: {}\n", violation.text));
            failed += 1;
        } else if !record && known != Some(&hash) {
            print(&format!("seed {seed}: its hash is {hash}, and {} in the file\n", known.unwrap_or("none")));
            failed += 1;
        }
        written += &format!("{seed} {hash}\n");
    }
    if record && failed == 0 {
        std::fs::write(file, written).with_context(about)?;
    }
    print(&format!("{} passed, {failed} failed\n", count - failed));
    Ok(failed == 0)
}
