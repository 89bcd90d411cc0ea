//! nsqadmin: shows a cluster in the browser, and acts on it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sansq::admin::main(std::env::args_os().skip(1))
}
