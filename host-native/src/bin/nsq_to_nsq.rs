//! nsq_to_nsq: copies messages to other nsqds.

use std::process::ExitCode;

use sansq::tools::{self, nsq_to_nsq};

fn main() -> ExitCode {
    tools::main(std::env::args_os().skip(1), nsq_to_nsq::run)
}
