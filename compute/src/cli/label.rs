//! `compute label`: labels of features, put into a bundle that is there.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::{bundle::Relabelling, labels, terminal};

/// Options of `compute label`.
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// Folder of the bundle
    pub bundle: PathBuf,
    /// The labels: .json, .jsonl, .csv or .tsv (also .gz) of features and texts, such as Neuronpedia's explanations
    pub labels: PathBuf,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl LabelArgs {
    /// Puts labels into a bundle, in place of those that it has.
    pub fn run(&self) -> Result<()> {
        let bundle = Relabelling::begin(&self.bundle)?;
        let chosen = labels::FeatureLabels::read(&self.labels, |feature| bundle.has_feature(feature))?;
        bundle.put(&chosen.labels)?;
        if !self.quiet {
            terminal::print(&format!("labels    {chosen} ({})\n", self.bundle.display()))?;
        }
        Ok(())
    }
}
