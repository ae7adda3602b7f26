//! `compute inspect`: what a bundle holds, for people (lines) and programs (JSON).

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use shared::{feature::FeatureBlock, paths, prompt::Prompt};

use crate::{bundle::Bundle, inspect, terminal};

/// Options of `compute inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The bundle: its folder, or a .saevis
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

impl InspectArgs {
    /// Prints a bundle, one of its features, or one of its prompts.
    pub fn run(&self) -> Result<()> {
        let bundle = Bundle::open(&self.bundle)?;
        if let Some(feature) = self.feature {
            let block: FeatureBlock = bundle.file(&paths::block(bundle.manifest.block_of(feature)?))?;
            let found = block.features.iter().find(|f| f.feature == feature);
            let found = found.with_context(|| format!("bundle has no feature {feature}"))?;
            let labels = bundle.labels()?;
            let entry = bundle.manifest.feature_ids().position(|id| id == feature);
            let roles = bundle.role_stats()?.zip(entry).map(|(stats, entry)| stats.of_entry(entry).collect());
            let layers = inspect::FeatureLayers {
                label: labels.of(feature),
                explanations: bundle.explanations()?.of(feature).to_vec(),
                roles: roles.unwrap_or_default(),
            };
            let view = inspect::feature_view(found, &bundle.vocab, layers);
            if self.json { json(&view) } else { terminal::print(&inspect::feature_lines(&view, &labels)) }
        } else if let Some(number) = self.prompt {
            let n = bundle.manifest.n_prompts;
            ensure!(number < n, "bundle has no prompt {number}: it has {n}, numbered from 0");
            let prompt: Prompt = bundle.file(&paths::prompt(number as usize))?;
            let view = inspect::prompt_view(&prompt, &bundle.vocab);
            if self.json { json(&view) } else { terminal::print(&inspect::prompt_lines(&view)) }
        } else if self.json {
            json(&bundle.manifest)
        } else {
            terminal::print(&inspect::manifest_lines(&bundle.manifest, bundle.labels()?.features.len()))
        }
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<()> {
    terminal::print_json(&(serde_json::to_string_pretty(value)? + "\n"))
}
