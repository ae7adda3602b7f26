//! `compute import`: a bundle of another program's files, or of a bundle that was exported as JSON.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use shared::document::Document;

use crate::{corpus::Tokenizer, exchange};

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
        };
        if !self.quiet {
            // A closed standard error is no reason to fail.
            writeln!(io::stderr(), "{} features ({})", manifest.n_features(), out.display())
                .unwrap_or_default();
        }
        Ok(())
    }
}
