//! `cargo xtask test`: everything that must hold. `.ci/run` calls it and nothing else.

use crate::{
    cargo::cargo,
    demo, setup,
    steps::{self, Steps},
};
use anyhow::{Result, bail};
use harness::project::Project;

/// The steps in order; the first that fails ends it. What fails quickly comes first.
pub fn run(project: &Project) -> Result<()> {
    let mut steps = Steps::new();
    let cargo_step = |args: &[&str]| steps::run(&mut cargo(project, args));
    steps.run("format", "cargo fmt --check", || cargo_step(&["fmt", "--all", "--check"]))?;
    steps.run("set-up", "libtorch and Rust's WebAssembly target", || setup::for_builds(project))?;
    steps.run("browser", "Chromium and its driver", setup::for_browser)?;
    steps.run("audit", "axe-core", || setup::for_audit(project))?;
    steps.run("layers", "what may depend on what", || layers(project))?;
    steps.run("lints", "clippy (the first time some five minutes)", || {
        cargo_step(&[
            "clippy",
            "--quiet",
            "--release",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    })?;
    steps.run("lints, viewer", "clippy for WebAssembly (the first time a minute)", || {
        let wasm = ["--target", "wasm32-unknown-unknown", "--profile", "wasm"];
        cargo_step(&[&["clippy", "--quiet", "-p", "viewer"], &wasm[..], &["--", "-D", "warnings"]].concat())
    })?;
    steps.run("docs", "rustdoc without warnings", || {
        let mut docs = cargo(project, ["doc", "--quiet", "--release", "--workspace", "--no-deps"]);
        steps::run(docs.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    demo::build(project, &mut steps)?;
    steps.run("tests", "unit, end-to-end, browser and documentation tests", || {
        cargo_step(&["test", "--release", "--workspace"])
    })?;
    steps.summary();
    println!("\neverything holds");
    Ok(())
}

/// The viewer knows nothing of libtorch, and viewer and compute nothing of each other.
fn layers(project: &Project) -> Result<()> {
    for (package, forbidden) in [
        ("viewer", &["tch", "torch-sys", "compute", "tests"][..]),
        ("compute", &["viewer", "tests"]),
        ("shared", &["tch", "leptos", "compute", "viewer", "tests"]),
    ] {
        let args =
            ["tree", "--package", package, "--prefix", "none", "--format", "{p}", "--edges", "normal,build"];
        let tree = steps::read(&mut cargo(project, args))?;
        let found =
            tree.lines().filter_map(|line| line.split(' ').next()).find(|name| forbidden.contains(name));
        if let Some(found) = found {
            bail!("{package} depends on {found}: see `cargo tree -p {package} -i {found}`");
        }
    }
    Ok(())
}
