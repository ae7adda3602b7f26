//! The programs that the bench compares with, each in a virtual environment of its own.

use super::pip;
use crate::steps;
use anyhow::{Context as _, Result};
use harness::project::Project;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A peer that can be run.
#[derive(Debug)]
pub struct Peer {
    /// The Python of its environment.
    pub python: PathBuf,
}

/// Makes the environment `.tools/peers/NAME` with the versions of `bench/peers/NAME.txt` and with torch 2.11, so that
/// all are measured on the same libtorch.
pub fn set_up(project: &Project, name: &str) -> Result<Peer> {
    let folder = project.tools().join("peers").join(name);
    let (python, done) = (folder.join("bin/python"), folder.join("done"));
    let wanted = project.root().join("bench/peers").join(name).with_extension("txt");
    let versions =
        fs::read_to_string(&wanted).with_context(|| format!("could not read {}", wanted.display()))?;
    if fs::read_to_string(&done).is_ok_and(|installed| installed == versions) {
        return Ok(Peer { python });
    }
    println!("{name}: fetching its pinned packages from PyPI into .tools/peers");
    steps::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    steps::run(
        pip.args(["install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r"]).arg(&wanted),
    )?;
    let packages = torch_packages(project)?;
    let site = steps::read(
        Command::new(&python).args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]),
    )?;
    fs::write(Path::new(site.trim()).join("torch.pth"), format!("{}\n", packages.display()))?;
    fs::write(&done, versions).with_context(|| format!("could not write {}", done.display()))?;
    Ok(Peer { python })
}

/// torch as Python imports it, which takes all of NVIDIA's libraries, for both peers.
fn torch_packages(project: &Project) -> Result<PathBuf> {
    const TORCH: &str = "torch==2.11.0";
    let folder = project.tools().join("peers/torch");
    if folder.join("torch/version.py").exists() {
        return Ok(folder);
    }
    println!("peers: fetching {TORCH} with its CUDA libraries from PyPI into .tools/peers (unpacked 4.5 GB)");
    let mut pip = pip::pip(&project.tools())?;
    pip.args(["install", "--quiet", "--no-compile", "--root-user-action=ignore", TORCH, "--target"]);
    steps::run(pip.arg(&folder))?;
    Ok(folder)
}
