//! `compute import`: a bundle of another program's files, or of a bundle that was exported as JSON.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use shared::document::Document;

use crate::exchange;

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
        };
        if !self.quiet {
            // A closed standard error is no reason to fail.
            writeln!(io::stderr(), "{} features ({})", manifest.n_features(), out.display())
                .unwrap_or_default();
        }
        Ok(())
    }
}
