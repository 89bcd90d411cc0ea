//! nsq_stat: shows what a channel does.

use std::process::ExitCode;

use sansq::tools::{self, nsq_stat};

fn main() -> ExitCode {
    tools::main(std::env::args_os().skip(1), nsq_stat::run)
}
