//! What a run prints when it is done.

use std::fmt::Write as _;

use anyhow::Result;
use shared::manifest::Manifest;

use super::budget;
use crate::{backend::memory, plan::Plan, progress::Progress, terminal};

/// Prints the bundle's figures, and how long each stage took.
pub fn print(manifest: &Manifest, progress: &Progress, plan: &Plan) -> Result<()> {
    let mut out = String::new();
    let (dataset, health) = (&manifest.dataset, &manifest.health);
    let d_sae = plan.input.sae_config.d_sae;
    let (n_dead, n_tokens) = (health.n_dead.unwrap_or_default(), health.n_dead_measured.unwrap_or_default());
    writeln!(
        out,
        "features  {} of {d_sae}; {n_dead} of these never active on {n_tokens} tokens",
        manifest.n_features()
    )?;
    if let Some(chosen) = &plan.labels {
        writeln!(out, "labels    {chosen}")?;
    }
    let [n_rows, seq_len] = [dataset.n_rows, dataset.seq_len].map(Option::unwrap_or_default);
    let n_tokens = dataset.n_tokens().unwrap_or_default();
    writeln!(out, "tokens    {n_tokens} in {n_rows} rows of {seq_len}")?;
    let optional = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.3}"));
    let (variance, recovered) = (optional(health.explained_variance), optional(health.loss_recovered()));
    writeln!(
        out,
        "health    L0 {:.1}, explained variance {variance}, loss recovered {recovered}",
        health.l0.unwrap_or_default()
    )?;
    let mut stages: Vec<(&str, f64)> = Vec::new();
    for (name, time) in &progress.stages {
        match stages.iter_mut().find(|s| s.0 == *name) {
            Some(stage) => stage.1 += time.as_secs_f64(),
            None => stages.push((name, time.as_secs_f64())),
        }
    }
    let total: f64 = stages.iter().map(|s| s.1).sum();
    let stages: Vec<String> = stages.iter().map(|(name, secs)| format!("{name} {secs:.2}")).collect();
    writeln!(out, "seconds   {total:.2}: {}", stages.join(", "))?;
    if let Some(peak) = memory::peak() {
        writeln!(out, "memory    {} at the most", budget::text(peak))?;
    }
    let mb = manifest.total_bytes() as f64 / 1e6;
    writeln!(out, "bundle    {mb:.2} MB in {} files ({})", manifest.files.len() + 1, plan.out.display())?;
    terminal::print(&out)
}
