//! Project tasks: `cargo xtask TASK`. Each task is a module of its own; this file only names them.

mod bench;
mod build;
mod campaign;
mod plant;
mod setup;
mod test;
mod web;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Project tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build all programs, under their names
    Build(build::Args),
    /// Measure our nsqd, alone or side by side with another one
    Bench(bench::Args),
    /// Run all tests, with the set-up they need
    Test(test::Args),
    /// Put known faults back, one at a time, and see that each is found
    Plant(plant::Args),
    /// Look for faults for as long as one lets it: fresh seeds, loads over a network
    Campaign(campaign::Args),
    /// Build the npm package, and the demo page on it
    Web,
    /// Serve the demo page on this machine
    Demo(web::demo::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Build(args) => build::run(&args),
        Task::Bench(args) => bench::run(args),
        Task::Test(args) => test::run(&args),
        Task::Plant(args) => plant::run(&args),
        Task::Campaign(args) => campaign::run(&args),
        Task::Web => web::run_all(),
        Task::Demo(args) => web::demo::run(&args),
    }
}
