//! `compute inspect`: what a bundle holds, tokens as text, for people (lines) and programs (JSON).
//!
//! Both forms come from one value, built in `view.rs` with every index resolved: the JSON prints it, the lines
//! summarise it.

mod lines;
mod view;

use std::io::Write;

use anyhow::{Context, Result, ensure};
use shared::{feature::FeatureBlock, prompt::Prompt};

use crate::{args::InspectArgs, bundle::Bundle};

/// Prints a bundle, one of its features, or one of its prompts.
pub fn inspect(args: &InspectArgs) -> Result<()> {
    let bundle = Bundle::open(&args.bundle)?;
    let encoding = bundle.manifest.encoding;
    let mut out = std::io::stdout().lock();
    let printed = if let Some(feature) = args.feature {
        let block: FeatureBlock = bundle.file(&encoding.block_path(bundle.manifest.block_of(feature)?))?;
        let found = block.features.iter().find(|f| f.feature == feature);
        let found = found.with_context(|| format!("bundle has no feature {feature}"))?;
        let labels = bundle.labels()?;
        let view = view::feature(found, &bundle.vocab, labels.of(feature));
        if args.json { json(&view)? } else { lines::feature(&view, &labels) }
    } else if let Some(number) = args.prompt {
        let n = bundle.manifest.n_prompts;
        ensure!(number < n, "bundle has no prompt {number}: it has {n}, numbered from 0");
        let prompt: Prompt = bundle.file(&encoding.prompt_path(number as usize))?;
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
