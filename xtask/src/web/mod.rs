//! `cargo xtask web`: the npm package `sansq` and the demo page on it, from nothing but the checkout. What comes out:
//! `host-wasm/pkg`, the package as a directory, with its tarball inside, and `web-demo/dist`, the page.

pub(crate) mod demo;
pub(crate) mod package;

use anyhow::Result;

use crate::setup::{self, root, run, words};

/// Builds both.
pub(crate) fn run_all() -> Result<()> {
    let tarball = package::build(&setup::target_dir()?)?;
    println!("package  {}", tarball.display());
    let page = root().join("web-demo");
    if page.join("package.json").exists() {
        build_page()?;
        println!("page     {} (cargo xtask demo serves it)", page.join("dist").display());
    }
    Ok(())
}

/// Builds the page on the package that is there.
pub(crate) fn build_page() -> Result<()> {
    let directory = root().join("web-demo");
    setup::node_modules(&directory)?;
    run(words(&["npm", "run", "--silent", "build"]).current_dir(directory))
}
