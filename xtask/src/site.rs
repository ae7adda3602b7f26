//! `cargo xtask site`: the page and bundles in one folder, for GitHub Pages or any static host.
//!
//! It builds the page and needs no libtorch where bundles are named; `compute export --site` does the same with a page that
//! is built.

use crate::{args::SiteArgs, demo, page, setup, steps::Steps};
use anyhow::{Context as _, Result, ensure};
use harness::project::Project;

/// Builds the page and copies it with the bundles.
pub fn run(project: &Project, args: &SiteArgs) -> Result<()> {
    let out = std::path::absolute(&args.out).context("--out is not a path")?;
    ensure!(
        !out.starts_with(project.dist()),
        "dist is the build's own folder: name another ({})",
        args.out.display()
    );
    let mut bundles = args.bundle.clone();
    let mut steps = Steps::new();
    if bundles.is_empty() {
        demo::prepare(project, &mut steps)?;
        bundles.push(project.bundle());
    } else {
        steps.run("set-up", "Rust's WebAssembly target", || setup::wasm_target(project))?;
        steps.run("page", demo::PAGE, || page::build(project))?;
    }
    let tool = concat!("sae-vis xtask ", env!("CARGO_PKG_VERSION"));
    let warnings =
        steps.run("site", "copying", || site::write(&project.dist(), &bundles, tool, &args.out))?;
    steps.summary();
    println!("\nthe site is in {}", args.out.display());
    for warning in warnings {
        println!("warning: {warning}");
    }
    Ok(())
}
