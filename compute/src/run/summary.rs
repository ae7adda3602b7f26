//! What a run prints when it is done.

use std::fmt::Write as _;

use anyhow::Result;
use shared::manifest::Manifest;

use super::budget;
use crate::{
    backend::memory,
    plan::{Plan, Planned, SitePlan},
    progress::Progress,
    terminal,
};

/// Prints the figures of what was planned and how long each stage took, unless the command is quiet.
pub fn print_planned(manifests: &[Manifest], progress: &Progress, planned: &Planned) -> Result<()> {
    match (planned, manifests) {
        _ if progress.is_quiet() => Ok(()),
        (Planned::Bundle(plan), [manifest]) => print(manifest, progress, plan),
        (Planned::Site(site), all) => print_site(all, progress, site),
        (Planned::Bundle(_), _) => Ok(()),
    }
}

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
    write_costs(&mut out, progress)?;
    let mb = manifest.total_bytes() as f64 / 1e6;
    writeln!(out, "bundle    {mb:.2} MB in {} files ({})", manifest.files.len() + 1, plan.out.display())?;
    terminal::print(&out)
}

/// Prints a line of each bundle's figures, and how long each stage took.
pub fn print_site(manifests: &[Manifest], progress: &Progress, site: &SitePlan) -> Result<()> {
    let mut out = String::new();
    let width = site.names.iter().map(String::len).max().unwrap_or_default();
    for (name, Manifest { sae, health, .. }) in site.names.iter().zip(manifests) {
        let variance = health.explained_variance.map_or("-".to_owned(), |v| format!("{v:.3}"));
        let (l0, n_dead) = (health.l0.unwrap_or_default(), health.n_dead.unwrap_or_default());
        let hook = sae.hook.as_deref().unwrap_or("-");
        writeln!(
            out,
            "{name:<width$}  {hook}, L0 {l0:.1}, explained variance {variance}, {n_dead} never active"
        )?;
    }
    if let Some(dataset) = manifests.first().map(|manifest| &manifest.dataset) {
        let [n_rows, seq_len] = [dataset.n_rows, dataset.seq_len].map(Option::unwrap_or_default);
        let n_tokens = dataset.n_tokens().unwrap_or_default();
        writeln!(
            out,
            "tokens    {n_tokens} in {n_rows} rows of {seq_len}, read once for {} SAEs",
            manifests.len()
        )?;
    }
    write_costs(&mut out, progress)?;
    let own = |manifest: &Manifest| -> u64 {
        manifest.files.iter().filter(|file| !file.shared).map(|file| file.bytes).sum()
    };
    let shared = |manifest: &Manifest| manifest.total_bytes() - own(manifest);
    let bytes = manifests.iter().map(own).sum::<u64>() + manifests.first().map_or(0, shared);
    writeln!(out, "site      {:.2} MB ({})", bytes as f64 / 1e6, site.out.display())?;
    terminal::print(&out)
}

/// How long each stage took, and the memory.
fn write_costs(out: &mut String, progress: &Progress) -> Result<()> {
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
    Ok(())
}
