//! sansq: a broker in one command, and the means to try it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sansq::one_command::main(std::env::args_os().collect())
}
