//! Labels of features: read from a file, put into a bundle.
//!
//! `compute run --labels FILE` writes them with the bundle; `compute label BUNDLE FILE` puts them into one that is there,
//! computing nothing. Both give the same bytes.
//!
//! | file | what it holds | as written by |
//! |---|---|---|
//! | `.json` | one object, `{"8": "words after opening quotes"}` | people |
//! | `.json` | an array of objects with a feature and a text | Neuronpedia's `api/explanation/export` |
//! | `.jsonl` | such an object a line | Neuronpedia's data sets, `…/explanations/batch-0.jsonl.gz` |
//! | `.csv`, `.tsv` | a head with those names, then a line a feature | spreadsheets, pandas |
//!
//! Each also with `.gz`. The feature is under `feature` or `index`, a number or one in quotes (Neuronpedia's `index`);
//! the text under `label`, `description` (Neuronpedia's), `explanation` or `text`: the first of them that there is.
//!
//! A file may also say who or what wrote each (`author`, `explanationModelName`), how (`method`, `typeName`), when (`date`,
//! `createdAt`), and in JSON how well it did (`scores`): `compute label --merge` keeps all of them as explanations.
//!
//! White space of any kind becomes single spaces, for a label is one line; an empty text is no label. Where a feature
//! has several, the last one counts: a file that grows by corrections at its end says what was meant last, and
//! automatic interpretations that were run again come after those that they replace.

mod formats;
mod json;
mod table;

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::{Path, PathBuf},
};

use formats::{Entry, EntryOrigin};
use shared::{explanations::Explanation, labels::Labels};
use thiserror::Error;

/// Why a file of labels cannot be used.
#[derive(Debug, Error)]
pub enum LabelError {
    /// The file cannot be read.
    #[error("could not read the labels: {cause} ({})", path.display())]
    Read {
        /// What the system said.
        cause: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// The file's name says nothing about its format.
    #[error(
        "could not tell the labels' format: expected .json, .jsonl, .csv or .tsv, each also with .gz ({})",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The file as a whole is wrong.
    #[error("could not read the labels: {reason} ({})", path.display())]
    File {
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// One of the labels is wrong.
    #[error("{at} of the labels {reason} ({})", path.display())]
    Entry {
        /// Which: its line, its number or its key.
        at: String,
        /// What is wrong with it.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// The bundle has none of the features that they name.
    #[error("the labels name {n_labels} features, and the bundle has none of them: are they of another SAE? ({})", path.display())]
    Nothing {
        /// Features that have a label in the file.
        n_labels: usize,
        /// The file.
        path: PathBuf,
    },
}

/// Labels for a bundle, and what became of the others in the file. Prints as a sentence about them.
#[derive(Debug, Serialize, Deserialize)]
pub struct FeatureLabels {
    /// Those of the bundle's features.
    pub labels: Labels,
    /// All of the file that name a feature of the bundle, with who wrote each.
    #[serde(skip)]
    pub explanations: Vec<Explanation>,
    /// Labels that a later one of the same feature replaced.
    n_replaced: usize,
    /// Labels of features that the bundle lacks.
    n_elsewhere: usize,
}

impl FeatureLabels {
    /// Reads the file at `path` for a bundle whose features are those that `has` holds for.
    pub fn read(path: &Path, has: impl Fn(u32) -> bool) -> Result<Self, LabelError> {
        let (mut texts, mut elsewhere, mut n_entries) = (BTreeMap::new(), HashSet::new(), 0);
        let mut explanations = Vec::new();
        formats::read(path, |Entry { feature, text, origin }| {
            n_entries += 1;
            if has(feature) {
                let EntryOrigin { texts: [author, method, date], scores } = origin;
                explanations.push(Explanation { feature, text: text.clone(), author, method, date, scores });
                texts.insert(feature, text);
            } else {
                elsewhere.insert(feature);
            }
        })?;
        let n_labels = texts.len() + elsewhere.len();
        if n_labels == 0 {
            return Err(LabelError::File { reason: "it has none".to_owned(), path: path.to_owned() });
        }
        if texts.is_empty() {
            return Err(LabelError::Nothing { n_labels, path: path.to_owned() });
        }
        let (n_replaced, n_elsewhere) = (n_entries - n_labels, elsewhere.len());
        let (features, texts) = texts.into_iter().unzip();
        Ok(Self { labels: Labels { features, texts }, explanations, n_replaced, n_elsewhere })
    }
}

impl fmt::Display for FeatureLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.labels.features.len())?;
        if self.n_elsewhere > 0 {
            write!(f, ", {} more name features that the bundle lacks", self.n_elsewhere)?;
        }
        if self.n_replaced > 0 {
            write!(f, ", {} replaced by later ones of the same feature", self.n_replaced)?;
        }
        Ok(())
    }
}
