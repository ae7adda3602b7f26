//! `cargo xtask test`: everything that must hold. `.ci/run` calls it and nothing else.

use crate::{
    builds,
    cargo::cargo,
    demo, layers, python, setup,
    steps::{self, Steps},
};
use anyhow::Result;
use harness::{browser::find::on_path, project::Project};

/// The package of end-to-end tests.
pub const TESTS: [&str; 2] = ["--package", "tests"];
/// All others that are tested with what ships.
pub const UNITS: [&str; 9] = [
    "--workspace",
    "--exclude",
    "tests",
    "--exclude",
    "viewer",
    "--exclude",
    "site-view",
    "--exclude",
    "xtask",
];

/// The steps in order; the first that fails ends it. What fails quickly comes first.
///
/// Cargo commands without `--package` take the workspace's default members: what ships and its tests. xtask and the page
/// are built apart, so that their dependencies' features change nothing in what ships.
pub fn run(project: &Project) -> Result<()> {
    let mut steps = Steps::new();
    let cargo_step = |args: &[&str]| steps::run(&mut cargo(project, args));
    steps.run("format", "cargo fmt --check", || cargo_step(&["fmt", "--all", "--check"]))?;
    steps.run("spelling", "typos", || {
        let mut typos = setup::typos(project)?;
        steps::run(typos.arg("--format").arg("brief").current_dir(project.root()))
    })?;
    steps.run("dependencies", "licences, sources, none unused", || dependencies(project))?;
    steps.run("layers", "what may depend on what", || layers::check(project))?;
    steps.run("features", "what is tested has the features that ship", || builds::same_features(project))?;
    steps.run("set-up", "libtorch and Rust's WebAssembly target", || setup::for_builds(project))?;
    steps.run("browser", "Chromium", setup::for_browser)?;
    steps.run("audit", "axe-core", || setup::for_audit(project))?;
    lints(project, &mut steps)?;
    demo::build(project, &mut steps)?;
    steps.run("compile", "the tests", || cargo_step(&["test", "--quiet", "--release", "--no-run"]))?;
    steps.run("one build", "libtorch's binding is compiled once", || builds::one_build(project))?;
    // One after another: each binary uses all cores, and the browser's tests wait for pages.
    let tests_of_tests =
        |args: &[&str]| cargo_step(&[&["test", "--quiet", "--release"], &TESTS[..], args].concat());
    steps.run("unit tests", "of every crate, with the examples in the documentation", || {
        cargo_step(&[&["test", "--quiet", "--release"], &UNITS[..]].concat())
    })?;
    steps.run("cluster", "a plan run by Slurm, started here", || slurm_or_say_so(project))?;
    steps.run("oracle", "numbers of other software", || tests_of_tests(&["--lib", "--test", "oracle"]))?;
    steps.run("programs", "compute as a program", || tests_of_tests(&["--test", "cli"]))?;
    steps.run("pages", "the page in Chromium", || tests_of_tests(&["--test", "browser"]))?;
    steps.run("python", "the package's wheel, installed, and its tour", || python::test(project))?;
    steps.run("developer commands", "their own tests", || {
        cargo_step(&["test", "--quiet", "--release", "--package", "xtask"])
    })?;
    steps.summary();
    println!("\neverything holds");
    Ok(())
}

/// Runs a plan by Slurm, started here.
pub fn slurm(project: &Project) -> Result<()> {
    setup::for_slurm()?;
    let test = ["--package", "compute", "--test", "it", "slurm::", "--", "--ignored"];
    steps::run(&mut cargo(project, [&["test", "--quiet", "--release"], &test[..]].concat()))
}

/// The same, where Slurm can be installed.
fn slurm_or_say_so(project: &Project) -> Result<()> {
    if let Err(error) = setup::for_slurm() {
        println!("LEFT OUT: no plan was run by Slurm, whose daemons cannot be had here: {error:#}");
        return Ok(());
    }
    slurm(project)
}

/// What the programs below check, where they are installed: to compile them takes longer than many a change. CI has them.
fn dependencies(project: &Project) -> Result<()> {
    for (program, args) in [
        ("cargo-deny", &["deny", "--log-level", "error", "check", "bans", "licenses", "sources"][..]),
        ("cargo-machete", &["machete"]),
    ] {
        if on_path(program).is_some() {
            steps::run(&mut cargo(project, args))?;
        } else {
            println!("left out: {program} is not installed (`cargo install {program} --locked`)");
        }
    }
    Ok(())
}

/// clippy and rustdoc, without warnings.
fn lints(project: &Project, steps: &mut Steps) -> Result<()> {
    const PAGE: [&str; 8] = [
        "--package",
        "viewer",
        "--package",
        "site-view",
        "--target",
        "wasm32-unknown-unknown",
        "--profile",
        "wasm",
    ];
    let clippy = |args: &[&str]| {
        let args = [&["clippy", "--quiet"], args, &["--", "-D", "warnings"]].concat();
        steps::run(&mut cargo(project, args))
    };
    let doc = |args: &[&str]| {
        let mut doc = cargo(project, [&["doc", "--quiet", "--no-deps"], args].concat());
        steps::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    };
    steps.run("lints", "clippy (the first time some four minutes)", || {
        clippy(&["--release", "--all-targets"])
    })?;
    steps.run("lints, xtask", "clippy", || clippy(&["--release", "--all-targets", "--package", "xtask"]))?;
    steps.run("lints, page", "clippy for WebAssembly (the first time a minute)", || clippy(&PAGE))?;
    steps.run("docs", "rustdoc without warnings", || doc(&["--release"]))?;
    steps.run("docs, page", "rustdoc for WebAssembly", || doc(&PAGE))
}
