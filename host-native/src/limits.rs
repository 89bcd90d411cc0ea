//! Limits that the operating system sets on the process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets the process have as many files and connections open as it may. The limit in force is often a low one that exists for
/// the sake of `select`, which nothing here uses; programs in Go, the reference among them, raise it likewise.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Refused at worst, and then the limit is as it was.
    _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
