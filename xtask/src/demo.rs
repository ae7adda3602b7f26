//! `cargo xtask demo`: from a fresh clone to the page in a browser.

use crate::{args::DemoArgs, bundle, page, setup, steps::Steps};
use anyhow::Result;
use harness::{project::Project, serve::Server};

/// What the page's step says.
pub const PAGE: &str = "compiling the viewer (the first time a minute or two)";

/// Sets up, builds, runs the demo model, serves.
pub fn run(project: &Project, args: &DemoArgs) -> Result<()> {
    let mut steps = Steps::new();
    prepare(project, &mut steps)?;
    steps.summary();
    if args.no_serve {
        println!("\nthe page is in dist; any static host can serve it");
        return Ok(());
    }
    let served = Server::start(&project.dist(), args.port)?;
    println!("\nopen {}   (Ctrl-C stops)", served.url());
    served.wait();
    Ok(())
}

/// The steps that end with the demo's page and bundle in `dist`; what is already there is not done again.
pub fn prepare(project: &Project, steps: &mut Steps) -> Result<()> {
    steps.run("set-up", "libtorch and Rust's WebAssembly target", || setup::for_builds(project))?;
    build(project, steps)
}

/// The same, after the set-up.
pub fn build(project: &Project, steps: &mut Steps) -> Result<()> {
    steps.run("page", PAGE, || page::build(project))?;
    steps.run("compute", "compiling compute (the first time some five minutes)", || {
        bundle::build_compute(project)
    })?;
    steps.run("bundle", "running compute on the demo model (about a minute)", || bundle::make(project))
}
