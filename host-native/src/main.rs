//! The executable: every program of NSQ, and `sansq` itself. See [`sansq::programs`].

use std::process::ExitCode;

fn main() -> ExitCode {
    sansq::programs::main(std::env::args_os().collect())
}
