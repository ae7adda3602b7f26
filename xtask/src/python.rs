//! The Python package: a wheel with the program and the page, and its tests.

use crate::{args::WheelArgs, demo, setup, steps, steps::Steps};
use anyhow::{Context as _, Result, bail};
use harness::project::Project;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds what a wheel holds, and the wheel.
pub fn run(project: &Project, args: &WheelArgs) -> Result<()> {
    let mut steps = Steps::new();
    demo::build(project, &mut steps)?;
    steps.run("wheel", "packing", || wheel(project, &args.out))?;
    steps.summary();
    println!("\nthe wheel is in {}", args.out.display());
    Ok(())
}

/// Packs the program and the page that are built.
fn wheel(project: &Project, out: &Path) -> Result<PathBuf> {
    let mut build = Command::new("python3");
    build.arg(project.root().join("compute/python/build_wheel.py"));
    build.args([project.compute(), project.dist()]).arg(env!("CARGO_PKG_VERSION")).arg(out);
    let said = steps::read(&mut build).context("could not pack the wheel")?;
    Ok(PathBuf::from(said.trim()))
}

/// Installs the wheel into a folder of its own and runs the package's tests with it: nothing of the checkout is imported.
pub fn test(project: &Project) -> Result<()> {
    setup::for_python(project)?;
    let (wheels, installed) = (project.target().join("wheel"), project.target().join("python-package"));
    for folder in [&wheels, &installed] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("could not clear {}", folder.display()))?;
        }
    }
    let wheel = wheel(project, &wheels)?;
    let mut pip = setup::pip(project)?;
    pip.args(["install", "--quiet", "--no-deps", "--no-index", "--target"]).arg(&installed).arg(&wheel);
    pip.env("PIP_ROOT_USER_ACTION", "ignore");
    steps::run(&mut pip)?;
    // The package finds torch as Python does; a libtorch of the reader's own need not be one.
    let torch = [project.tools().join("torch-2.11"), installed.clone(), setup::python_packages(project)];
    let mut command = Command::new("python3");
    command.arg(project.root().join("compute/python/tests/test_package.py")).arg("--quiet");
    command.env("PYTHONPATH", env::join_paths(torch)?).env("HF_HUB_OFFLINE", "1");
    command.env("SAE_VIS_DEMO", project.root().join("demo")).env("SAE_VIS_BUNDLE", project.bundle());
    if !installed.join("sae_vis_rs/__init__.py").is_file() {
        bail!("the wheel holds no package ({})", wheel.display());
    }
    steps::run(&mut command)
}
