//! `compute import`: a bundle of another program's files, or of a bundle that was exported as JSON.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use shared::{document::Document, layout::Layout, manifest::Manifest};

use crate::{
    bundle::check_output, corpus::Tokenizer, exchange, given, plan::read_layout, progress::Progress,
};

/// Options of `compute import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// File or folder to make a bundle of
    #[arg(required_unless_present = "schema")]
    pub path: Option<PathBuf>,
    /// What it is
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub from: Format,
    /// Folder of the bundle
    #[arg(long, value_name = "FOLDER", required_unless_present = "schema")]
    pub out: Option<PathBuf>,
    /// The model's tokenizer.json, or a folder with it: token texts of files that have ids alone
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Of several modules of a run of delphi, the one to take
    #[arg(long, value_name = "NAME")]
    pub module: Option<String>,
    /// What is computed of activations: a layout's file or a preset
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
    /// Seed of every random choice that is made of activations
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print the JSON Schema of `json` instead
    #[arg(long, exclusive = true)]
    pub schema: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A bundle as JSON, which `compute export --json` writes.
    Json,
    /// What sae_vis saved: JSON of 0.2, a page of 0.2 or 0.3.
    #[value(name = "sae_vis", alias = "sae-vis")]
    SaeVis,
    /// A page of SAEDashboard.
    SaeDashboard,
    /// A batch of SAEDashboard's for Neuronpedia, a folder of them, or the folder of an export of Neuronpedia.
    Neuronpedia,
    /// A folder of activations of one's own, which `sae_vis_rs.write_activations` writes; or the folder's format by any program.
    Activations,
    /// The folder of a run of delphi: latents, explanations, scores.
    Delphi,
}

/// Whether a file is JSON by its name.
fn is_json(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".json") || name.ends_with(".json.gz")
}

fn tokenizer(path: &Path) -> Result<Tokenizer> {
    if path.is_dir() {
        let found = Tokenizer::of_model(path)?;
        return found.with_context(|| format!("the folder has no tokenizer.json ({})", path.display()));
    }
    Ok(Tokenizer::read(path)?)
}

impl ImportArgs {
    /// Writes the bundle.
    pub fn run(&self) -> Result<()> {
        if self.schema {
            let schema = serde_json::to_string_pretty(&Document::json_schema())?;
            return writeln!(io::stdout(), "{schema}").context("could not print the schema");
        }
        let (Some(path), Some(out)) = (&self.path, &self.out) else { return Ok(()) };
        let manifest = match self.from {
            Format::Json => exchange::read_json(path, out)?,
            Format::SaeVis if is_json(path) => {
                let tokenizer = self.tokenizer.as_deref().map(tokenizer).transpose()?;
                exchange::import_sae_vis(path, tokenizer.as_ref(), out)?
            }
            Format::SaeVis | Format::SaeDashboard => exchange::import_page(path, out)?,
            Format::Neuronpedia => exchange::import_neuronpedia(path, out)?,
            Format::Activations | Format::Delphi => self.of_activations(path, out)?,
        };
        if !self.quiet {
            // A closed standard error is no reason to fail.
            writeln!(io::stderr(), "{} features ({})", manifest.n_features(), out.display())
                .unwrap_or_default();
        }
        Ok(())
    }

    /// Computes a bundle of activations.
    fn of_activations(&self, path: &Path, out: &Path) -> Result<Manifest> {
        let _no_grad = tch::no_grad_guard();
        let tokenizer = self.tokenizer.as_deref().map(tokenizer).transpose()?;
        let layout = self.layout.as_deref().map_or_else(|| Ok(Layout::default_feature()), read_layout)?;
        check_output(out)?;
        let given = match self.from {
            Format::Delphi => given::read_delphi(path, self.module.as_deref(), tokenizer.as_ref())?,
            _ => given::read_folder(path, tokenizer.as_ref())?,
        };
        given::bundle(given, &layout, self.seed, out, &mut Progress::new(self.quiet))
    }
}
