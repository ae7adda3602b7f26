//! `compute inspect`: what a bundle holds, tokens as text, for people (lines) and programs (JSON).
//!
//! Both forms come from one value, built in `view.rs` with every index resolved: the JSON prints it, the lines
//! summarise it.

mod lines;
mod view;

use std::{io::Write, path::PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use shared::{feature::FeatureBlock, paths, prompt::Prompt};

use crate::bundle::Bundle;

/// Options of `compute inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Folder of the bundle
    pub bundle: PathBuf,
    /// Print this feature
    #[arg(long, value_name = "INDEX")]
    pub feature: Option<u32>,
    /// Print this prompt
    #[arg(long, value_name = "NUMBER", conflicts_with = "feature")]
    pub prompt: Option<u32>,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// Prints a bundle, one of its features, or one of its prompts.
pub fn inspect(args: &InspectArgs) -> Result<()> {
    let bundle = Bundle::open(&args.bundle)?;
    let mut out = std::io::stdout().lock();
    let printed = if let Some(feature) = args.feature {
        let block: FeatureBlock = bundle.file(&paths::block(bundle.manifest.block_of(feature)?))?;
        let found = block.features.iter().find(|f| f.feature == feature);
        let found = found.with_context(|| format!("bundle has no feature {feature}"))?;
        let labels = bundle.labels()?;
        let view = view::feature(found, &bundle.vocab, labels.of(feature));
        if args.json { json(&view)? } else { lines::feature(&view, &labels) }
    } else if let Some(number) = args.prompt {
        let n = bundle.manifest.n_prompts;
        ensure!(number < n, "bundle has no prompt {number}: it has {n}, numbered from 0");
        let prompt: Prompt = bundle.file(&paths::prompt(number as usize))?;
        let view = view::prompt(&prompt, &bundle.vocab);
        if args.json { json(&view)? } else { lines::prompt(&view) }
    } else if args.json {
        json(&bundle.manifest)?
    } else {
        lines::manifest(&bundle.manifest, bundle.labels()?.features.len())
    };
    match out.write_all(printed.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough, such as `head`, is no failure.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
