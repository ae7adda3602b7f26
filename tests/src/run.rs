//! Runs `compute` on the demo, in this process or as the program, and opens what it wrote.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result};
use xtask::project::Project;

/// A file or folder of the demo.
pub fn demo(name: &str) -> PathBuf {
    Project::here().root().join("demo").join(name)
}

/// The arguments of `compute run` on the demo's first SAE, its tokens in order, into `out`.
pub fn demo_args(out: &Path) -> Vec<String> {
    let text = |path: PathBuf| path.display().to_string();
    [
        ("--model", text(demo("model"))),
        ("--sae", text(demo("sae-mlp-a"))),
        ("--data", text(demo("tokens.npy"))),
        ("--device", "cpu".to_owned()),
        ("--out", text(out.to_owned())),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .chain(["--quiet".to_owned()])
    .collect()
}

/// Runs the built program with `command` and `args`.
pub fn compute(command: &str, args: &[String]) -> Result<Output> {
    let program = crate::built::compute()?;
    Command::new(&program)
        .arg(command)
        .args(args)
        // A mistyped path must not be looked for on the hub.
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .with_context(|| format!("could not run {}", program.display()))
}
