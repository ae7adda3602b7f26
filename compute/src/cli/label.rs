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
    /// Keep the bundle's labels of other features, and all explanations that the file or the bundle has, with who wrote each
    #[arg(long)]
    pub merge: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl LabelArgs {
    /// Puts labels into a bundle, in place of those that it has.
    pub fn run(&self) -> Result<()> {
        let bundle = Relabelling::begin(&self.bundle)?;
        let chosen = labels::FeatureLabels::read(&self.labels, |feature| bundle.has_feature(feature))?;
        let mut said = format!("labels    {chosen} ({})\n", self.bundle.display());
        if self.merge {
            let (n_labels, n_explanations) = bundle.merge(&chosen.labels, &chosen.explanations)?;
            let together = format!("together  {n_labels} labels, {n_explanations} explanations\n");
            said.push_str(&together);
        } else {
            bundle.put(&chosen.labels)?;
        }
        if self.quiet { Ok(()) } else { terminal::print(&said) }
    }
}
