//! `cargo xtask screenshots`: the pictures in `www/screenshots`, taken from the demo.

use crate::{
    cargo::cargo,
    demo, setup,
    steps::{self, Steps},
};
use anyhow::Result;
use harness::project::Project;

/// Builds the demo and photographs it, by way of the test that has the browser's harness.
pub fn run(project: &Project) -> Result<()> {
    let mut steps = Steps::new();
    demo::prepare(project, &mut steps)?;
    steps.run("browser", "Chromium and its driver", setup::for_browser)?;
    steps.run("screenshots", "photographing the demo into www/screenshots", || {
        let args = [
            "test",
            "--quiet",
            "--release",
            "-p",
            "tests",
            "--test",
            "browser",
            "--",
            "--ignored",
            "screenshots",
        ];
        steps::run(&mut cargo(project, args))
    })?;
    steps.summary();
    Ok(())
}
