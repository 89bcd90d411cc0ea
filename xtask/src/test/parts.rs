//! What the parts of `cargo xtask test` run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use super::Steps;
use super::count::Runner;
use crate::build::{self, Profile};
use crate::setup::wasm::Wasm;
use crate::setup::{self, cargo, root, words};
use crate::web;

/// One part. Its function returns an error where it cannot go on; what fails on the way is in [`Steps`].
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Runs only when it is named, for another part has it, too.
    pub(super) on_its_own: bool,
    pub(super) run: fn(&mut Steps) -> Result<()>,
}

pub(super) const PARTS: &[Part] = &[
    Part { name: "lint", about: "format, clippy, documentation", on_its_own: false, run: lint },
    Part { name: "tidy", about: "sizes, links, bans, the core's dependencies", on_its_own: true, run: tidy },
    Part {
        name: "rust",
        about: "cargo test: units, conformance, robustness, fuzz corpus",
        on_its_own: false,
        run: rust,
    },
    Part { name: "sim", about: "kept seeds of the simulator, and fresh ones", on_its_own: false, run: sim },
    Part { name: "go", about: "go-nsq against our nsqd", on_its_own: false, run: go },
    Part { name: "python", about: "pynsq against our nsqd", on_its_own: false, run: python },
    Part { name: "node", about: "nsqjs against our nsqd", on_its_own: false, run: node },
    Part { name: "wasm", about: "the core's tests in wasm", on_its_own: false, run: wasm },
    Part { name: "package", about: "the npm package, packed and installed", on_its_own: false, run: package },
    Part { name: "demo", about: "the simulator's page, in a browser", on_its_own: false, run: demo },
    Part { name: "admin", about: "nsqadmin's pages, in a browser", on_its_own: false, run: admin },
];

fn lint(steps: &mut Steps) -> Result<()> {
    setup::RUSTFMT.ensure()?;
    setup::CLIPPY.ensure()?;
    steps.step(Runner::None, cargo().args(["fmt", "--all", "--check"]))?;
    steps.step(
        Runner::None,
        cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    )?;
    steps.step(
        Runner::None,
        cargo()
            .args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    Ok(())
}

fn tidy(steps: &mut Steps) -> Result<()> {
    steps.step(Runner::Cargo, cargo().args(["test", "--package", "sansq-tests", "--test", "tidy"]))?;
    Ok(())
}

fn rust(steps: &mut Steps) -> Result<()> {
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--no-fail-fast"]);
    with_daemon(steps, &mut tests)?;
    steps.step(Runner::Cargo, &mut tests)?;
    Ok(())
}

fn sim(steps: &mut Steps) -> Result<()> {
    build_daemons(steps)?;
    let sansq = || {
        let mut command = Command::new(steps.target.join("release/sansq"));
        command.arg("sim").current_dir(root());
        command
    };
    let (mut kept, mut fresh) = (sansq(), sansq());
    steps.step(Runner::Plain, kept.args(["--kept", "tests/seeds.txt"]))?;
    // Others each time; which ones is printed with the step.
    let from = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() * 1000;
    steps.step(Runner::None, fresh.args(["--seeds", &format!("{from}..{}", from + 64)]))?;
    Ok(())
}

fn go(steps: &mut Steps) -> Result<()> {
    setup::GO.ensure()?;
    let mut tests = words(&["go", "test", "-v", "-count=1", "./..."]);
    with_daemon(steps, tests.current_dir(clients("go")))?;
    steps.step(Runner::Go, &mut tests)?;
    Ok(())
}

fn python(steps: &mut Steps) -> Result<()> {
    let directory = clients("python");
    let python = setup::python_environment(&steps.target, &directory.join("requirements.txt"))?;
    let mut tests = Command::new(python);
    with_daemon(steps, tests.args(["-m", "pytest"]).current_dir(directory))?;
    steps.step(Runner::Pytest, &mut tests)?;
    Ok(())
}

fn node(steps: &mut Steps) -> Result<()> {
    let directory = clients("node");
    setup::node_modules(&directory)?;
    let mut tests = words(&["npm", "test", "--silent"]);
    with_daemon(steps, tests.current_dir(directory))?;
    steps.step(Runner::Node, &mut tests)?;
    Ok(())
}

fn wasm(steps: &mut Steps) -> Result<()> {
    setup::NODE.ensure()?;
    let wasm = Wasm::ensure(&steps.target)?;
    steps.step(Runner::Cargo, wasm.cargo("test").args(["--package", "sansq-core", "--tests", "--no-fail-fast"]))?;
    Ok(())
}

fn package(steps: &mut Steps) -> Result<()> {
    setup::CHROMIUM.ensure()?;
    let directory = root().join("tests/package");
    let tarball = web::package::build(&steps.target)?;
    let panics = steps.target.join("test/package-that-panics");
    web::package::variant(&steps.target, "panic-on-demand", &panics)?;
    setup::node_modules(&directory)?;
    setup::node_package(&directory, &tarball)?;
    let hashes = steps.target.join("test/hashes.txt");
    let native = cargo().args(["run", "--quiet", "--package", "sansq-core", "--example", "hashes"]).output()?;
    ensure!(native.status.success(), "{}", String::from_utf8_lossy(&native.stderr));
    std::fs::write(&hashes, native.stdout)?;
    let mut tests = words(&["npm", "test", "--silent"]);
    tests.env("SANSQ_PANICS", panics).env("SANSQ_HASHES", hashes);
    steps.step(Runner::Node, tests.current_dir(&directory))?;
    clients_on_package(steps, &directory)
}

fn demo(steps: &mut Steps) -> Result<()> {
    setup::CHROMIUM.ensure()?;
    web::package::build(&steps.target)?;
    web::build_page()?;
    let mut tests = words(&["npm", "test", "--silent"]);
    steps.step(Runner::Node, tests.current_dir(root().join("web-demo")))?;
    Ok(())
}

fn admin(steps: &mut Steps) -> Result<()> {
    setup::CHROMIUM.ensure()?;
    let directory = root().join("tests/admin");
    setup::node_modules(&directory)?;
    build_daemons(steps)?;
    let mut tests = words(&["npm", "test", "--silent"]);
    tests.env("SANSQ_PROGRAMS", steps.target.join("release"));
    steps.step(Runner::Node, tests.current_dir(directory))?;
    Ok(())
}

/// The suites of client libraries, with the package's broker in nsqd's place. It has no disk to come back from.
fn clients_on_package(steps: &mut Steps, package: &Path) -> Result<()> {
    let nsqd = format!("node {}", package.join("nsqd.js").display());
    let nsqjs = clients("node");
    setup::node_modules(&nsqjs)?;
    let mut tests = words(&["npm", "test", "--silent", "--", "publish.test.js", "redelivery.test.js"]);
    steps.step(Runner::Node, tests.current_dir(nsqjs).env("SANSQ_NSQD", &nsqd))?;
    let pynsq = clients("python");
    let python = setup::python_environment(&steps.target, &pynsq.join("requirements.txt"))?;
    let mut tests = Command::new(python);
    tests.args(["-m", "pytest", "test_publish.py", "test_redelivery.py"]).current_dir(pynsq);
    steps.step(Runner::Pytest, tests.env("SANSQ_NSQD", nsqd))?;
    Ok(())
}

/// Where the tests with a real client are.
fn clients(language: &str) -> PathBuf {
    root().join("tests/clients").join(language)
}

/// Builds the nsqd that whole-system tests run, and names it to them. Unless another one is to be tested.
fn with_daemon(steps: &mut Steps, tests: &mut Command) -> Result<()> {
    if std::env::var_os("SANSQ_NSQD").is_some() {
        return Ok(());
    }
    build_daemons(steps)?;
    let nsqd = steps.target.join("release/nsqd");
    // The variable is split at spaces. Tests find the usual place themselves.
    if !nsqd.to_string_lossy().contains(char::is_whitespace) {
        tests.env("SANSQ_NSQD", nsqd);
    }
    Ok(())
}

/// Builds all programs. Optimised, but for what takes minutes.
fn build_daemons(steps: &mut Steps) -> Result<()> {
    let target = steps.target.clone();
    let built = steps.step(Runner::None, build::compile(Profile::Release, &target).arg("--quiet"))?
        && steps.step(Runner::None, &mut build::link(Profile::Release, &target))?;
    if !built {
        bail!("there is no daemon to test");
    }
    Ok(())
}
