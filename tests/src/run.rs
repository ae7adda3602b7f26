//! Runs `compute` on the demo, in this process or as the program, and opens what it wrote.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result};
use compute::bundle::Bundle;
use harness::project::Project;
use shared::{
    feature::{Feature, FeatureBlock},
    paths,
};

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

/// The same on 64 rows and 40 features, with `more` pairs of options and values: of two equal options the last counts.
pub fn few_rows(out: &Path, more: &[&str]) -> Vec<String> {
    let mut args = demo_args(out);
    args.extend(["--sequences", "64", "--features", "0..40"].map(str::to_owned));
    for pair in more.chunks(2) {
        match args.iter().position(|a| a == pair[0]) {
            Some(at) if pair.len() == 2 && pair[0] != "--prompt" => pair[1].clone_into(&mut args[at + 1]),
            _ => args.extend(pair.iter().map(ToString::to_string)),
        }
    }
    args
}

/// All features of a bundle, in order.
pub fn features(bundle: &Path) -> Result<Vec<Feature>> {
    let bundle = Bundle::open(bundle)?;
    let block = |i| bundle.file::<FeatureBlock>(&paths::block(i));
    let blocks: Vec<FeatureBlock> = (0..bundle.manifest.blocks.len()).map(block).collect::<Result<_>>()?;
    Ok(blocks.into_iter().flat_map(|block| block.features).collect())
}

/// Runs the built program with `command` and `args`.
pub fn compute(command: &str, args: &[String]) -> Result<Output> {
    compute_with(command, args, &[])
}

/// The same with variables of the environment.
pub fn compute_with(command: &str, args: &[String], variables: &[(&str, &str)]) -> Result<Output> {
    let program = crate::built::compute()?;
    Command::new(&program)
        .arg(command)
        .args(args)
        // A mistyped path must not be looked for on the hub.
        .env("HF_HUB_OFFLINE", "1")
        .envs(variables.iter().copied())
        .output()
        .with_context(|| format!("could not run {}", program.display()))
}
