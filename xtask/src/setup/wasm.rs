//! Building for wasm32-unknown-unknown, and the tools that go with wasm-bindgen.
//!
//! The standard library is built from source with the rest: only so it is optimised for size, and a panic is a trap without the
//! code that words it. The sources come from rustup. Where rustup cannot fetch them, Debian's compiler builds its own, in a target
//! directory of its own: two compilers in one directory rebuild each other's crates.
//! The tools must have the version of the crate; they are installed under `target` where the PATH does not have them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Missing, apt_install, cargo, is_ci, root, run, words, works};

const TARGET: &str = "wasm32-unknown-unknown";
const BUILD_STD: [&str; 2] = ["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"];
/// Of what is built for the package. Its errors quote texts, so those are formatted even for debugging; values are not.
const FLAGS: &str = "-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none -Zfmt-debug=shallow";
/// The compiler, the sources of its standard library, and its linker.
const DEBIAN: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-22";
const TOOLS: [&str; 2] = ["wasm-bindgen", "wasm-bindgen-test-runner"];

/// What builds for wasm here.
#[derive(Debug)]
pub(crate) struct Wasm {
    debian: bool,
    target: PathBuf,
    /// Their directory; empty where the PATH has them.
    tools: PathBuf,
}

impl Wasm {
    /// Finds or installs what is needed. `target` is the target directory of this run.
    pub(crate) fn ensure(target: &Path) -> Result<Self> {
        let debian = !has_sources() && !works(words(&["rustup", "component", "add", "rust-src"]).current_dir(root()));
        if debian && !works(words(&["dpkg-query", "--show"]).args(DEBIAN)) {
            if !is_ci() {
                return Err(Missing("the source of the standard library (rust-src)".to_owned()).into());
            }
            apt_install(&DEBIAN)?;
        }
        let tools = tools(target)?;
        let target = target.join(if debian { "wasm-debian" } else { "wasm" });
        Ok(Self { debian, target, tools })
    }

    /// `cargo VERB` for wasm; tests run on Node.
    pub(crate) fn cargo(&self, verb: &str) -> Command {
        let mut command;
        if self.debian {
            command = Command::new("/usr/bin/cargo");
            command.current_dir(root());
            command.envs([("RUSTC", "/usr/bin/rustc"), ("RUSTDOC", "/usr/bin/rustdoc")]);
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER);
            // Of the other compiler.
            command.env_remove("LD_LIBRARY_PATH").env_remove("CARGO");
        } else {
            command = cargo();
        }
        // For `-Z`.
        command.env("RUSTC_BOOTSTRAP", "1");
        command.arg(verb).args(BUILD_STD).args(["--target", TARGET, "--target-dir"]).arg(&self.target);
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", self.tools.join(TOOLS[1]));
        command
    }

    /// Builds the library of `package` in a profile, with these features of it and no others. A panic in it is a trap, and no more.
    pub(crate) fn build(&self, package: &str, profile: &str, features: &[&str]) -> Command {
        let mut command = self.cargo("build");
        command.args(["--quiet", "--profile", profile, "--package", package, "--no-default-features"]);
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", FLAGS);
        command.args(features.iter().flat_map(|feature| ["--features", feature]));
        command
    }

    /// Makes ES modules for the web, `name.js` and `name_bg.wasm`, in `directory` from what [`build`](Self::build) made last.
    /// The module can be loaded anew when it has trapped.
    pub(crate) fn bindgen(&self, library: &str, profile: &str, name: &str, directory: &Path) -> Command {
        let mut command = Command::new(self.tools.join(TOOLS[0]));
        command.args(["--target", "web", "--omit-default-module-path", "--experimental-reset-state-function"]);
        command.args(["--remove-name-section", "--remove-producers-section", "--out-name", name]);
        command.arg("--out-dir").arg(directory);
        let profile = if profile == "dev" { "debug" } else { profile };
        command.arg(self.target.join(TARGET).join(profile).join(library).with_extension("wasm"));
        command
    }
}

/// Whether the compiler in use has the sources of its standard library.
fn has_sources() -> bool {
    let Ok(output) = words(&["rustc", "--print", "sysroot"]).current_dir(root()).output() else {
        return false;
    };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std").is_dir()
}

/// Where the tools of the right version are.
fn tools(target: &Path) -> Result<PathBuf> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).context("read Cargo.lock")?;
    let version = locked(&lock, "wasm-bindgen").context("wasm-bindgen is not in Cargo.lock")?;
    let own = target.join("tools");
    for directory in [PathBuf::new(), own.join("bin")] {
        if TOOLS.iter().all(|tool| is_version(directory.join(tool), version)) {
            return Ok(directory);
        }
    }
    let mut install = cargo();
    // Not optimised: they run for seconds, and optimising them takes minutes.
    install.args(["install", "wasm-bindgen-cli", "--debug", "--quiet", "--version", version, "--root"]).arg(&own);
    // First with the dependencies that it was released with. A registry need not have all of them: then with others that fit.
    if run(cargo().args(install.get_args()).arg("--locked")).is_err() {
        run(&mut install)?;
    }
    let tools = own.join("bin");
    ensure!(TOOLS.iter().all(|tool| is_version(tools.join(tool), version)), "{} are not {version}", TOOLS.join(", "));
    Ok(tools)
}

fn is_version(tool: PathBuf, version: &str) -> bool {
    let output = Command::new(tool).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(version))
}

/// The version of a package in a lock file.
fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let name = format!("name = \"{name}\"");
    let line = lock.lines().skip_while(|line| *line != name).nth(1)?;
    line.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"0.2.1\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"x\"\n";
        assert_eq!(locked(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked(lock, "wasm"), None);
    }
}
