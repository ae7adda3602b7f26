//! What has to be there before anything is built; each part is skipped where it is.

mod libtorch;
pub mod peers;
mod pip;

use crate::{apt, steps};
use anyhow::{Context as _, Result, bail};
use harness::{
    browser::find::{self, on_path},
    project::Project,
};
use std::{path::PathBuf, process::Command};

/// Everything the builds need: a C++ compiler, libtorch, the WebAssembly target.
pub fn for_builds(project: &Project) -> Result<()> {
    cpp_compiler()?;
    libtorch::set_up(project)?;
    wasm_target(project)
}

/// The browser that the tests drive.
pub fn for_browser() -> Result<()> {
    if find::chromium().is_err() {
        println!("installing Debian's chromium (about 100 MB, under a minute)");
        apt::install(&["chromium"])?;
    }
    println!("browser: {}", find::chromium()?.display());
    Ok(())
}

/// The accessibility audit that the tests run in the page: axe-core (MPL 2.0), as a wheel of PyPI carries it.
pub fn for_audit(project: &Project) -> Result<()> {
    if project.axe().exists() {
        return Ok(());
    }
    pip::install(project, "axe-core-python==0.1.0", "axe").context("could not fetch axe-core")
}

/// What the Python package's tests import.
pub fn for_python(project: &Project) -> Result<()> {
    if python_packages(project).join("pandas").is_dir() {
        return Ok(());
    }
    // With what it depends on, numpy among it.
    pip::install_all(project, "pandas>=2.2,<3", "python").context("could not fetch pandas")
}

/// Where they are.
pub fn python_packages(project: &Project) -> PathBuf {
    project.tools().join("python")
}

/// A pip.
pub fn pip(project: &Project) -> Result<Command> {
    pip::pip(&project.tools())
}

/// The spelling checker: the one on `PATH`, or that of PyPI's wheel.
pub fn typos(project: &Project) -> Result<Command> {
    if let Some(program) = on_path("typos") {
        return Ok(Command::new(program));
    }
    let program = project.tools().join("typos/bin/typos");
    if !program.exists() {
        pip::install(project, "typos==1.52.0", "typos").context("could not fetch typos")?;
    }
    Ok(Command::new(program))
}

/// Slurm's daemons, where they can be had.
pub fn for_slurm() -> Result<()> {
    if ["slurmctld", "slurmd", "sbatch", "munged"].iter().any(|name| on_path(name).is_none()) {
        println!("installing Debian's Slurm (about 15 MB, some ten seconds)");
        apt::install(&["slurmctld", "slurmd", "slurm-client", "munge"])?;
    }
    Ok(())
}

/// libtorch's Rust binding compiles one C++ file.
fn cpp_compiler() -> Result<()> {
    if std::env::var_os("CXX").is_none()
        && ["c++", "g++", "clang++"].iter().all(|name| on_path(name).is_none())
    {
        println!("installing Debian's g++, which libtorch's binding is compiled with (about 60 MB)");
        apt::install(&["g++"])?;
    }
    Ok(())
}

/// The standard library for the browser, all that the page needs; `rust-toolchain.toml` asks rustup for it.
pub fn wasm_target(project: &Project) -> Result<()> {
    const TARGET: &str = "wasm32-unknown-unknown";
    let sysroot =
        steps::read(Command::new("rustc").args(["--print", "sysroot"]).current_dir(project.root()))?;
    let installed = PathBuf::from(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir();
    if installed {
        return Ok(());
    }
    if on_path("rustup").is_none() {
        bail!("this Rust has no {TARGET} target: install Rust through rustup (https://rustup.rs)");
    }
    println!("adding Rust's {TARGET} target (about 20 MB, seconds)");
    steps::run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(project.root()))
        .context("could not add the WebAssembly target")
}
