//! nsq_to_file: archives topics in files.

use std::process::ExitCode;

use sansq::tools::{self, nsq_to_file};

fn main() -> ExitCode {
    tools::main(std::env::args_os().skip(1), nsq_to_file::run)
}
