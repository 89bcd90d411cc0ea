//! Runs every scenario under `conformance/`, each as a test of its own.
//!
//! The program under test is `SANSQ_NSQD`, or the newest nsqd of this workspace. With
//! `SANSQ_NSQD_ADDRESS=tcp,http` the scenarios that need no flags run against a daemon that runs already.

use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use libtest_mimic::{Arguments, Trial};
use sansq_tests::nsqd::Nsqd;
use sansq_tests::scenario::{self, Pool};

/// Most scenarios wait for something most of the time, so more run at once than there are cores.
const THREADS: usize = 16;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let nsqd = Nsqd::under_test()?;
    let mut scenarios = scenario::load(&directory, nsqd.face)?;
    let mut pool = Pool::new(nsqd, directory.join("fixtures"));
    if let Ok(addresses) = env::var("SANSQ_NSQD_ADDRESS") {
        pool = pool.with_running(&addresses)?;
        scenarios.retain(|scenario| scenario.runs_anywhere());
    }
    let pool = Arc::new(pool);
    let trials = scenarios.into_iter().map(|scenario| {
        let pool = Arc::clone(&pool);
        let name = scenario.name.clone();
        Trial::test(name, move || scenario::run(&scenario, &pool).map_err(|error| format!("{error:#}").into()))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    pool.close();
    Ok(conclusion.exit_code())
}
