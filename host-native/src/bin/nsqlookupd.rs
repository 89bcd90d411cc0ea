//! nsqlookupd: tells consumers which nsqd have a topic.

use std::process::ExitCode;

fn main() -> ExitCode {
    sansq::lookupd::main(std::env::args_os().skip(1))
}
