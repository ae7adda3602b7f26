//! Packages from PyPI, fetched into the project's own folder.

use crate::{apt, steps};
use anyhow::Result;
use harness::{browser::find::on_path, project::Project};
use std::{path::Path, process::Command};

/// A pip: Python's own, that of a virtual environment, or Debian's.
pub fn pip(tools: &Path) -> Result<Command> {
    if on_path("python3").is_none() {
        println!("installing Debian's python3 and python3-pip (about 20 MB)");
        apt::install(&["python3", "python3-pip"])?;
    }
    let own = || {
        let mut command = Command::new("python3");
        command.args(["-m", "pip"]);
        command
    };
    if steps::read(own().arg("--version")).is_ok() {
        return Ok(own());
    }
    let venv = tools.join("pip");
    if steps::read(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv)).is_ok() {
        return Ok(Command::new(venv.join("bin/pip")));
    }
    println!("installing Debian's python3-pip (about 20 MB)");
    apt::install(&["python3-pip"])?;
    Ok(own())
}

/// Fetches one package, without those that it depends on, into a folder of `.tools`.
pub fn install(project: &Project, package: &str, folder: &str) -> Result<()> {
    fetch(project, &["--no-deps", package], folder)
}

/// The same with those that it depends on.
pub fn install_all(project: &Project, package: &str, folder: &str) -> Result<()> {
    fetch(project, &[package], folder)
}

fn fetch(project: &Project, package: &[&str], folder: &str) -> Result<()> {
    println!("fetching {} from PyPI into .tools", package.last().unwrap_or(&""));
    let mut pip = pip(&project.tools())?;
    pip.args(["install", "--quiet", "--no-compile", "--root-user-action=ignore"]).args(package);
    // In a container one is root, and the folder is ours alone.
    pip.env("PIP_ROOT_USER_ACTION", "ignore");
    steps::run(pip.arg("--target").arg(project.tools().join(folder)))
}
