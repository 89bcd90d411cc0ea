//! to_nsq: publishes lines of standard input.

use std::process::ExitCode;

use sansq::tools::{self, to_nsq};

fn main() -> ExitCode {
    tools::main(std::env::args_os().skip(1), to_nsq::run)
}
