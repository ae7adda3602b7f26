//! What has to be there before anything is built; each part is skipped where it is.

mod libtorch;

use crate::{apt, steps};
use anyhow::{Context as _, Result, bail};
use std::{path::PathBuf, process::Command};
use xtask::{
    browser::{Chromium, on_path},
    project::Project,
};

/// Everything the builds need: a C++ compiler, libtorch, the WebAssembly target.
pub fn for_builds(project: &Project) -> Result<()> {
    cpp_compiler()?;
    libtorch::set_up(project)?;
    wasm_target(project)
}

/// The browser that the tests drive.
pub fn for_browser() -> Result<()> {
    if Chromium::find().is_err() {
        println!("installing Debian's chromium and chromium-driver (about 100 MB, under a minute)");
        apt::install(&["chromium", "chromium-driver"])?;
    }
    let chromium = Chromium::find()?;
    println!("browser: {}", chromium.browser.display());
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
