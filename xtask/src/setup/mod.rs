//! What tasks need beyond Rust, and how a machine gets it.
//!
//! With `CI=true` the machine is ours: a missing tool is installed, or the task fails. On anybody else's nothing is installed
//! outside `target` and `node_modules`, except a component of their rustup; what needs a tool that is missing says so
//! ([`Missing`]) and is left out.

pub(crate) mod network;
pub(crate) mod wasm;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// A program that tasks run.
#[derive(Debug)]
pub(crate) struct Tool {
    name: &'static str,
    /// Succeeds where the tool works.
    probe: &'static [&'static str],
    install: Install,
}

#[derive(Debug)]
enum Install {
    /// Debian packages.
    Apt(&'static [&'static str]),
    /// A component of the Rust toolchain.
    Component(&'static str),
}

pub(crate) const GO: Tool = Tool { name: "go", probe: &["go", "version"], install: Install::Apt(&["golang-go"]) };

/// With npm and the built-in test runner.
pub(crate) const NODE: Tool = Tool {
    name: "node (20.10 or newer) with npm",
    probe: &["sh", "-c", "npm --version && node --test-concurrency=1 --version"],
    install: Install::Apt(&["nodejs", "npm"]),
};

/// The browser that pages are tested in.
pub(crate) const CHROMIUM: Tool =
    Tool { name: "chromium", probe: &["/usr/bin/chromium", "--version"], install: Install::Apt(&["chromium"]) };

/// With what makes a virtual environment.
pub(crate) const PYTHON: Tool = Tool {
    name: "python3 with venv",
    probe: &["python3", "-c", "import ensurepip, venv"],
    install: Install::Apt(&["python3", "python3-venv"]),
};

pub(crate) const RUSTFMT: Tool =
    Tool { name: "rustfmt", probe: &["cargo", "fmt", "--version"], install: Install::Component("rustfmt") };

pub(crate) const CLIPPY: Tool =
    Tool { name: "clippy", probe: &["cargo", "clippy", "--version"], install: Install::Component("clippy") };

/// Something is not there, and it is not for us to change that: a sentence that says what.
#[derive(Debug)]
pub(crate) struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Whether the machine is there for this run only.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

impl Tool {
    /// Makes sure that the tool works here.
    pub(crate) fn ensure(&self) -> Result<()> {
        if works(&mut words(self.probe)) {
            return Ok(());
        }
        if !is_ci() {
            return Err(Missing(format!("{} is not installed", self.name)).into());
        }
        match self.install {
            Install::Apt(packages) => apt_install(packages)?,
            Install::Component(name) => run(words(&["rustup", "component", "add"]).arg(name))?,
        }
        ensure!(works(&mut words(self.probe)), "{} was installed and does not work", self.name);
        Ok(())
    }
}

/// Installs Debian packages, with the lists brought up to date first: an image may have none.
fn apt_install(packages: &[&str]) -> Result<()> {
    run(&mut words(&["apt-get", "update", "-q"]))?;
    run(words(&["apt-get", "install", "-q", "-y", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

/// The packages of `requirements`, in a virtual environment under `target`; returns its python.
pub(crate) fn python_environment(target: &Path, requirements: &Path) -> Result<PathBuf> {
    PYTHON.ensure()?;
    let environment = target.join("test/venv");
    let python = environment.join("bin/python");
    if !works(Command::new(&python).args(["-m", "pip", "--version"])) {
        run(words(&["python3", "-m", "venv", "--clear"]).arg(&environment))?;
    }
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(requirements))?;
    Ok(python)
}

/// What `package.json` in `directory` asks for, from its lock file.
pub(crate) fn node_modules(directory: &Path) -> Result<()> {
    NODE.ensure()?;
    let modified = |name: &str| directory.join(name).metadata().and_then(|metadata| metadata.modified()).ok();
    if modified("node_modules/.package-lock.json") < modified("package-lock.json") {
        run(words(&["npm", "ci", "--no-audit", "--no-fund"]).current_dir(directory))?;
    }
    Ok(())
}

/// Installs a packed package among the modules of `directory`, over the one that was there.
pub(crate) fn node_package(directory: &Path, tarball: &Path) -> Result<()> {
    let install = ["npm", "install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--prefer-offline"];
    run(words(&install).arg(tarball).current_dir(directory))
}

/// The top of the checkout.
pub(crate) fn root() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("this package has a directory of its own")
}

/// `target`, wherever it has been put: this program is in `target/PROFILE`.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.ancestors().nth(2).context("a target directory around this program")?.to_owned())
}

/// The cargo that runs this task, at the top of the checkout.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The command of these words.
pub(crate) fn words(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// A command as one would type it.
pub(crate) fn text(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Runs a step of a set-up. Its output is shown if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = text(command);
    println!("   $ {text}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {text}"))?;
    if !output.status.success() {
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{text}: {}\n{stdout}{stderr}", output.status);
    }
    Ok(())
}

/// Whether a command can be run and succeeds.
fn works(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
