//! What the parts of `cargo xtask test` run.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::clients::{self, Place};
use super::count::Runner;
use super::{Steps, build_daemons, with_daemon};
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
    Part {
        name: "network",
        about: "go-nsq, pynsq and nsqjs on another host than nsqd, over a wire (as root)",
        on_its_own: false,
        run: network,
    },
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
    // Some of them make a network, or say that they do without.
    setup::network::ensure_tools()?;
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
    clients::go(steps, Place::Loopback, None)
}

fn python(steps: &mut Steps) -> Result<()> {
    clients::python(steps, Place::Loopback, &[])
}

fn node(steps: &mut Steps) -> Result<()> {
    clients::node(steps, Place::Loopback, &[])
}

/// A suite of each; `cargo xtask campaign network` runs all there are.
fn network(steps: &mut Steps) -> Result<()> {
    let network = setup::network::make()?;
    let place = Place::Network(&network);
    clients::go(steps, place, Some("TestBodiesOfAnySize|TestTLS"))?;
    clients::python(steps, place, &["test_bulk.py"])?;
    clients::node(steps, place, &["bulk.test.js"])
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
    clients::node(steps, Place::Other(&nsqd), &["publish.test.js", "redelivery.test.js"])?;
    clients::python(steps, Place::Other(&nsqd), &["test_publish.py", "test_redelivery.py"])
}
