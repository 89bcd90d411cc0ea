//! Tells the program which commit it was built from, for whoever wants to run a failed simulation again.

use std::path::Path;
use std::process::Command;

fn main() {
    // A source archive has no commit; then the version has to do.
    let commit = git(&["describe", "--always", "--dirty=+changes", "--exclude=*", "--abbrev=12"]);
    println!("cargo::rustc-env=SANSQ_COMMIT={}", commit.unwrap_or_default());
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=../core/src");
    // HEAD names a branch, and that a commit; a commit rewrites the log of HEAD whichever it is.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// What git says, if there is a git and this is a clone.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
