//! The npm package: wasm by cargo and wasm-bindgen, JavaScript and types by tsc, once as ES modules and once for require(), around
//! one copy of each wasm module.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::setup::wasm::Wasm;
use crate::setup::{self, root, run, words};

/// What cargo calls what it makes.
const LIBRARY: &str = "sansq_wasm";

/// A wasm module of the package.
struct Module {
    /// The feature of the crate that makes it, and the name of its bindings.
    name: &'static str,
    file: &'static str,
}

const BROKER: Module = Module { name: "broker", file: "sansq.wasm" };
const SIMULATION: Module = Module { name: "simulation", file: "simulation.wasm" };

/// Builds `host-wasm/pkg` anew, and returns the tarball in it. `target` is the target directory of this run.
pub(crate) fn build(target: &Path) -> Result<PathBuf> {
    let sources = root().join("host-wasm/npm");
    let wasm = Wasm::ensure(target)?;
    setup::node_modules(&sources)?;
    let bindings = sources.join("src/generated");
    clear(&bindings)?;
    for module in [BROKER, SIMULATION] {
        run(&mut wasm.build("sansq-wasm", "wasm", &[module.name]))?;
        run(&mut wasm.bindgen(LIBRARY, "wasm", module.name, &bindings))?;
    }
    let package = root().join("host-wasm/pkg");
    clear(&package)?;
    compile(&sources)?;
    assemble(&sources, &package)?;
    pack(&package)
}

/// Removes what an earlier run made.
fn clear(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("remove {}", directory.display()))?;
    }
    Ok(())
}

/// A copy of the package that is there, in `directory`: with a broker that is built in no time and has this feature, too.
pub(crate) fn variant(target: &Path, feature: &str, directory: &Path) -> Result<()> {
    let wasm = Wasm::ensure(target)?;
    let bindings = target.join("test/bindings");
    run(&mut wasm.build("sansq-wasm", "dev", &[BROKER.name, feature]))?;
    run(&mut wasm.bindgen(LIBRARY, "dev", BROKER.name, &bindings))?;
    fs::create_dir_all(directory)?;
    run(words(&["cp", "-R"]).arg(root().join("host-wasm/pkg/.")).arg(directory))?;
    place(&BROKER, &bindings, directory)
}

/// TypeScript to JavaScript and types, in `host-wasm/pkg/dist`.
fn compile(sources: &Path) -> Result<()> {
    let tsc = |arguments: &[&str]| {
        let mut command = Command::new(sources.join("node_modules/.bin/tsc"));
        command.args(arguments).current_dir(sources);
        run(&mut command)
    };
    tsc(&["--project", "tsconfig.json"])?;
    tsc(&["--project", "tsconfig.cjs.json"])?;
    // The bindings come as ES modules.
    let glue = [BROKER, SIMULATION].map(|module| format!("src/generated/{}.js", module.name));
    let to_commonjs = ["--allowJs", "--target", "ES2022", "--module", "CommonJS", "--moduleResolution", "node10"];
    tsc(&[&to_commonjs[..], &["--outDir", "../pkg/dist/cjs/generated", &glue[0], &glue[1]]].concat())
}

/// What tsc does not make.
fn assemble(sources: &Path, package: &Path) -> Result<()> {
    for (from, to) in [
        (sources.join("package.json"), "package.json"),
        (sources.join("README.md"), "README.md"),
        (root().join("LICENSE"), "LICENSE"),
    ] {
        copy(&from, &package.join(to))?;
    }
    fs::write(package.join("dist/cjs/package.json"), "{ \"type\": \"commonjs\" }\n")?;
    let bindings = sources.join("src/generated");
    for module in [BROKER, SIMULATION] {
        for kind in ["esm", "cjs"] {
            let types = format!("{}.d.ts", module.name);
            copy(&bindings.join(&types), &package.join("dist").join(kind).join("generated").join(types))?;
        }
        place(&module, &bindings, package)?;
    }
    Ok(())
}

/// Puts a wasm module and its bindings where the package has them.
fn place(module: &Module, bindings: &Path, package: &Path) -> Result<()> {
    copy(&bindings.join(format!("{}_bg.wasm", module.name)), &package.join(module.file))?;
    let glue = format!("{}.js", module.name);
    copy(&bindings.join(&glue), &package.join("dist/esm/generated").join(glue))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let directory = to.parent().context("a file is in a directory")?;
    fs::create_dir_all(directory)?;
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Packs as for publishing.
fn pack(package: &Path) -> Result<PathBuf> {
    run(words(&["npm", "pack", "--silent"]).current_dir(package))?;
    let tarballs: Vec<_> = fs::read_dir(package)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .collect();
    ensure!(tarballs.len() == 1, "npm made {} tarballs", tarballs.len());
    let tarball = package.join("sansq.tgz");
    fs::rename(&tarballs[0], &tarball)?;
    Ok(tarball)
}
