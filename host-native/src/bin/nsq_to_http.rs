//! nsq_to_http: sends messages to web servers.

use std::process::ExitCode;

use sansq::tools::{self, nsq_to_http};

fn main() -> ExitCode {
    tools::main(std::env::args_os().skip(1), nsq_to_http::run)
}
