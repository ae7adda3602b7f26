//! Builds `compute` and runs it on the demo model, once per change of either.

use crate::{cargo::cargo, steps};
use anyhow::{Context as _, Result, bail};
use harness::project::Project;
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::UNIX_EPOCH,
};

/// Prompts whose features the demo shows: a Python method, a Rust item's documentation, a Python import.
const PROMPTS: [&str; 3] = [
    "def __init__(self, name):\n        self.name = name",
    "/// Returns the number of elements in the slice.\n    pub fn len(&self) -> usize {",
    "import os\nimport sys\nfrom pathlib import Path",
];

/// Compiles `compute` in release.
pub fn build_compute(project: &Project) -> Result<()> {
    steps::run(&mut cargo(project, ["build", "--quiet", "--release", "--package", "compute"]))
}

/// Writes the demo's bundle to `dist/bundle`, unless it is there and nothing it is made of has changed.
pub fn make(project: &Project) -> Result<()> {
    let bundle = project.bundle();
    let arguments = arguments(&bundle);
    let stamp = project.target().join("demo-bundle.stamp");
    let made_of = fingerprint(project, &arguments)?;
    if bundle.join("manifest.json").is_file() && fs::read_to_string(&stamp).is_ok_and(|old| old == made_of) {
        println!("unchanged ({})", relative(project, &bundle).display());
        return Ok(());
    }
    if bundle.exists() {
        fs::remove_dir_all(&bundle).with_context(|| format!("could not clear {}", bundle.display()))?;
    }
    fs::create_dir_all(project.dist()).context("could not create dist")?;
    steps::run(Command::new(project.compute()).current_dir(project.root()).args(arguments))?;
    if !bundle.join("manifest.json").is_file() {
        bail!("compute ended well but wrote no bundle ({})", bundle.display());
    }
    fs::write(&stamp, made_of).with_context(|| format!("could not write {}", stamp.display()))
}

/// The command line of the demo's run.
fn arguments(bundle: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = ["run", "--model", "demo/model", "--sae", "demo/sae-mlp-a"]
        .into_iter()
        .chain(["--sae-b", "demo/sae-mlp-b", "--data", "demo/corpus.jsonl.gz"])
        .chain(["--labels", "demo/labels.json"])
        .map(str::to_owned)
        .collect();
    for prompt in PROMPTS {
        arguments.extend(["--prompt".to_owned(), prompt.to_owned()]);
    }
    arguments.extend(["--out".to_owned(), bundle.to_string_lossy().into_owned()]);
    arguments
}

/// What the bundle is made of: the command line, and path, size and time of the program and of the demo's files.
fn fingerprint(project: &Project, arguments: &[String]) -> Result<String> {
    let mut files = vec![project.compute()];
    list(&project.root().join("demo"), &mut files)?;
    files[1..].sort();
    let mut text = arguments.join("\n");
    for file in files {
        let meta = file.metadata().with_context(|| format!("could not read {}", file.display()))?;
        let changed = meta.modified()?.duration_since(UNIX_EPOCH)?;
        write!(text, "\n{} {} {}", relative(project, &file).display(), meta.len(), changed.as_nanos())?;
    }
    Ok(text)
}

/// The files in a folder and below.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// A path as the reader knows it, from the project's root.
fn relative<'path>(project: &Project, path: &'path Path) -> &'path Path {
    path.strip_prefix(project.root()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_runs_on_files_that_exist() {
        let project = Project::here();
        let arguments = arguments(&project.bundle());
        let inputs: Vec<_> = arguments.iter().filter(|argument| argument.starts_with("demo/")).collect();
        assert_eq!(inputs.len(), 5);
        for input in inputs {
            assert!(project.root().join(input).exists(), "{input}");
        }
    }
}
