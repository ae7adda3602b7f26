//! What may depend on what, and how tests are grouped.

use crate::{cargo::cargo, steps};
use anyhow::{Context as _, Result, bail};
use harness::project::Project;
use std::fs;

/// Packages, each with those that it must not depend on, directly or through others.
const FORBIDDEN: [(&str, &[&str]); 8] = [
    ("viewer", &["tch", "torch-sys", "compute", "tests", "harness"]),
    ("page-logic", &["tch", "leptos", "compute", "tests", "harness"]),
    ("compute", &["viewer", "leptos", "tests", "harness"]),
    ("shared", &["tch", "leptos", "compute", "viewer", "tests"]),
    ("harness", &["tch", "compute", "viewer", "tests"]),
    ("site", &["tch", "compute", "viewer", "tests", "harness"]),
    ("site-view", &["tch", "leptos", "compute", "tests", "harness"]),
    // What the page's build needs is compiled for xtask alone.
    ("tests", &["xtask", "viewer", "walrus"]),
];

/// Folders of tests, each with the files in it that are binaries of their own.
const TEST_FOLDERS: [(&str, &[&str]); 3] =
    [("compute/tests", &["memory.rs"]), ("shared/tests", &[]), ("tests/tests", &[])];

/// Checks both.
pub fn check(project: &Project) -> Result<()> {
    for (package, forbidden) in FORBIDDEN {
        let args =
            ["tree", "--package", package, "--prefix", "none", "--format", "{p}", "--edges", "normal,build"];
        let tree = steps::read(&mut cargo(project, args))?;
        let mut names = tree.lines().filter_map(|line| line.split(' ').next());
        if let Some(found) = names.find(|name| forbidden.contains(name)) {
            bail!("{package} depends on {found}: see `cargo tree -p {package} -i {found}`");
        }
    }
    for (folder, alone) in TEST_FOLDERS {
        let path = project.root().join(folder);
        for entry in fs::read_dir(&path).with_context(|| format!("could not read {}", path.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.extension().is_some_and(|kind| kind == "rs") && !alone.contains(&&*name) {
                bail!("{folder}/{name} is linked with libtorch once more: make it a module of {folder}/it");
            }
        }
    }
    Ok(())
}
