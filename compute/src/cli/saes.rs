//! `compute saes`: the published SAEs that are known by name.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, ensure};
use checkpoints::sae::{Registry, RegistryEntry, Release};
use clap::Args;
use serde::Serialize;

use crate::{model::Family, terminal};

/// Options of `compute saes`.
#[derive(Debug, Args)]
pub struct SaesArgs {
    /// Words that release, id, repository, model or hook point contain; without any, the releases are listed
    pub words: Vec<String>,
    /// SAEs to list at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// Print how many of all SAEs can be read, by the kind of their files and the family of their model
    #[arg(long, conflicts_with = "words")]
    pub coverage: bool,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// One SAE, for programs.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    repository: String,
    path: String,
    model: String,
    hook: Option<String>,
    l0: Option<f64>,
    norm_scaling_factor: Option<f64>,
    unread: Option<String>,
}

impl SaesArgs {
    /// Prints the list.
    pub fn run(&self) -> Result<()> {
        let text = self.text(Registry::shipped())?;
        if self.json { terminal::print_json(&text) } else { terminal::print(&text) }
    }

    fn text(&self, registry: &Registry) -> Result<String> {
        let mut out = String::new();
        if self.coverage {
            self.write_coverage(registry, &mut out)?;
            return Ok(out);
        }
        if self.words.is_empty() && !self.json {
            write_releases(registry, &mut out)?;
            return Ok(out);
        }
        let found = registry.search(&self.words);
        ensure!(
            !found.is_empty(),
            "no published SAE has {} in its name, model or hook point: `compute saes` lists the releases",
            self.words.join(" and ")
        );
        if self.json {
            let rows: Vec<Row> = found.iter().map(Row::new).collect();
            writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
            return Ok(out);
        }
        for sae in found.iter().take(self.limit) {
            let row = Row::new(sae);
            let hook = row.hook.as_deref().unwrap_or("hook point in its files");
            let l0 = row.l0.map_or(String::new(), |l0| format!(", L0 {l0}"));
            let unread = row.unread.map_or(String::new(), |why| format!(" (not read: {why})"));
            writeln!(out, "{}  {} at {hook}{l0}{unread}", row.name, row.model)?;
        }
        if found.len() > self.limit {
            writeln!(out, "and {} more: add a word, or --limit {}", found.len() - self.limit, found.len())?;
        }
        Ok(out)
    }

    fn write_coverage(&self, registry: &Registry, out: &mut String) -> Result<()> {
        let coverage = Coverage::of(registry);
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&coverage)?)?;
            return Ok(());
        }
        writeln!(out, "{:<28} {:<16} {:>6} {:>6}", "files", "model_type", "SAEs", "read")?;
        for row in &coverage.rows {
            let Share { loader, model_type, n_saes, n_read } = row;
            writeln!(out, "{loader:<28} {model_type:<16} {n_saes:>6} {n_read:>6}")?;
        }
        let Coverage { n_saes, n_read, .. } = coverage;
        let percent = 100.0 * n_read as f64 / n_saes as f64;
        writeln!(out, "{:<28} {:<16} {n_saes:>6} {n_read:>6}  {percent:.1} %", "all", "")?;
        writeln!(out, "{}", registry.source)?;
        Ok(())
    }
}

impl Row {
    fn new(found: &RegistryEntry<'_>) -> Self {
        let RegistryEntry { release, sae } = found;
        Self {
            name: found.name(),
            repository: release.repository.clone(),
            path: sae.path.clone(),
            model: release.model.clone(),
            hook: found.hook(),
            l0: sae.l0,
            norm_scaling_factor: sae.norm_scaling_factor,
            unread: unread(release),
        }
    }
}

fn write_releases(registry: &Registry, out: &mut String) -> Result<()> {
    for release in &registry.releases {
        let unread = unread(release).map_or(String::new(), |why| format!(" (not read: {why})"));
        let n = release.saes.len();
        writeln!(out, "{}  {n} SAEs of {} in {}{unread}", release.name, release.model, release.repository)?;
    }
    writeln!(out, "{}", registry.source)?;
    Ok(())
}

/// Why the SAEs of a release cannot be used, if they cannot.
fn unread(release: &Release) -> Option<String> {
    if release.format().is_none() {
        return Some(format!("{} SAEs", release.loader));
    }
    let model_type = release.model_type().unwrap_or("unknown");
    (!Family::reads(model_type)).then(|| format!("models of type {model_type}"))
}

/// How much of the list can be read.
#[derive(Debug, Serialize)]
pub struct Coverage {
    /// SAEs in the list.
    pub n_saes: usize,
    /// SAEs whose files and model are both read.
    pub n_read: usize,
    /// The same for each kind of files and type of model.
    pub rows: Vec<Share>,
}

/// A kind of files with a type of model.
#[derive(Debug, Serialize)]
pub struct Share {
    /// How SAELens calls the kind of files.
    pub loader: String,
    /// Hugging Face's type of the model.
    pub model_type: String,
    /// SAEs in the list.
    pub n_saes: usize,
    /// SAEs that are read: all or none.
    pub n_read: usize,
}

impl Coverage {
    /// Counts.
    pub fn of(registry: &Registry) -> Self {
        let mut counts: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
        for release in &registry.releases {
            let loader = if release.loader.is_empty() { "sae_lens" } else { &release.loader };
            let model_type = release.model_type().unwrap_or("unknown");
            let (n_saes, n_read) = counts.entry((loader.to_owned(), model_type.to_owned())).or_default();
            *n_saes += release.saes.len();
            *n_read += if unread(release).is_none() { release.saes.len() } else { 0 };
        }
        let rows: Vec<Share> = counts
            .into_iter()
            .map(|((loader, model_type), (n_saes, n_read))| Share { loader, model_type, n_saes, n_read })
            .collect();
        Self {
            n_saes: rows.iter().map(|row| row.n_saes).sum(),
            n_read: rows.iter().map(|row| row.n_read).sum(),
            rows,
        }
    }
}
