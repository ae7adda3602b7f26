//! The programs that the bench compares with, each in a virtual environment of its own.

use crate::steps;
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use xtask::project::Project;

/// A peer that can be run.
#[derive(Debug)]
pub struct Peer {
    /// The Python of its environment.
    pub python: PathBuf,
}

/// Makes the environment `.tools/peers/NAME` with the versions of `bench/peers/NAME.txt`, and with the torch that
/// `compute` uses: both are measured on the same libtorch.
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

/// The folder that Python finds torch in.
fn torch_packages(project: &Project) -> Result<PathBuf> {
    let torch = fs::canonicalize(project.tools().join("libtorch")).context("libtorch is not set up")?;
    ensure!(
        torch.join("__init__.py").exists(),
        "the peers need torch as a Python package: unset LIBTORCH and run again ({})",
        torch.display()
    );
    torch.parent().map(Path::to_owned).context("torch lies nowhere")
}
