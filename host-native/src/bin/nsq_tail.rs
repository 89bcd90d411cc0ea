//! nsq_tail: prints messages as they come.

use std::process::ExitCode;

use sansq::tools::{self, nsq_tail};

fn main() -> ExitCode {
    tools::main(std::env::args_os().skip(1), nsq_tail::run)
}
