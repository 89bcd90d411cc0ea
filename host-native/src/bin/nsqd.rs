//! nsqd: receives, queues and delivers messages.

use std::process::ExitCode;

fn main() -> ExitCode {
    sansq::daemon::main(std::env::args_os().skip(1))
}
