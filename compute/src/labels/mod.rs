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
//! White space of any kind becomes single spaces, for a label is one line; an empty text is no label. Where a feature
//! has several, the last one counts: a file that grows by corrections at its end says what was meant last, and
//! automatic interpretations that were run again come after those that they replace.

mod formats;

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;
use shared::{
    bundle::encode,
    labels::Labels,
    layers::LABELS,
    manifest::{FileInfo, MAJOR, MINOR, Manifest, SchemaVersion},
    paths,
};
use thiserror::Error;

use crate::bundle::{read_manifest, replace};

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

/// The minor version of schema 2 that has labels.
const V2_MINOR: u32 = 1;

/// Why a file of labels cannot be used.
#[derive(Debug, Error)]
pub enum LabelError {
    /// The file cannot be read.
    #[error("could not read the labels: {source} ({})", path.display())]
    Read {
        /// What the system said.
        source: std::io::Error,
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
    #[error("{place} of the labels {reason} ({})", path.display())]
    Entry {
        /// Which: its line, its number or its key.
        place: String,
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
#[derive(Debug)]
pub struct Chosen {
    /// Those of the bundle's features.
    pub labels: Labels,
    /// Labels that a later one of the same feature replaced.
    n_replaced: usize,
    /// Labels of features that the bundle lacks.
    n_elsewhere: usize,
}

impl Chosen {
    /// Reads the file at `path` for a bundle whose features are those that `has` holds for.
    pub fn read(path: &Path, has: impl Fn(u32) -> bool) -> Result<Self, LabelError> {
        let entries = formats::read(path)?;
        let n_entries = entries.len();
        let mut texts: BTreeMap<u32, String> = entries.into_iter().collect();
        let n_labels = texts.len();
        if n_labels == 0 {
            return Err(LabelError::File { reason: "it has none".to_owned(), path: path.to_owned() });
        }
        texts.retain(|feature, _| has(*feature));
        if texts.is_empty() {
            return Err(LabelError::Nothing { n_labels, path: path.to_owned() });
        }
        let (n_replaced, n_elsewhere) = (n_entries - n_labels, n_labels - texts.len());
        let (features, texts) = texts.into_iter().unzip();
        Ok(Self { labels: Labels { features, texts }, n_replaced, n_elsewhere })
    }
}

impl fmt::Display for Chosen {
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

/// Puts labels into a bundle, in place of those that it has.
pub fn label(args: &LabelArgs) -> Result<()> {
    let manifest = read_manifest(&args.bundle)?;
    let chosen = Chosen::read(&args.labels, |feature| manifest.has_feature(feature))?;
    put(&args.bundle, &manifest, &chosen.labels)?;
    if !args.quiet {
        writeln!(std::io::stdout(), "labels    {chosen} ({})", args.bundle.display())?;
    }
    Ok(())
}

/// Writes the labels and the manifest that lists them.
///
/// Whatever interrupts it, the folder holds a whole bundle: the manifest lists no labels while they are replaced.
fn put(bundle: &Path, manifest: &Manifest, labels: &Labels) -> Result<()> {
    let path = bundle.join(paths::MANIFEST);
    let (info, bytes) = encode(labels, manifest.labels_path())?;
    let json = fs::read(&path).with_context(|| format!("could not open the bundle ({})", path.display()))?;
    if manifest.has_layer(&LABELS) {
        replace(&path, &listing(&json, manifest, &info, false)?)?;
    }
    let file = bundle.join(&info.path);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("could not write ({})", folder.display()))?;
    }
    replace(&file, &bytes)?;
    replace(&path, &listing(&json, manifest, &info, true)?)
}

/// The manifest `json` that lists the labels `file`, or does not.
///
/// It is changed as JSON: what a newer program wrote into it stays, and so does an older version's form.
fn listing(json: &[u8], manifest: &Manifest, file: &FileInfo, listed: bool) -> Result<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(json)?;
    let mut list = |member: &str, key: &str, entry: Value| {
        let entries = value[member].as_array().cloned().unwrap_or_default();
        let others = entries.into_iter().filter(|other| other[key] != entry[key]);
        let own = listed.then(|| entry.clone());
        value[member] = others.chain(own).collect();
    };
    list("files", "path", serde_json::to_value(file)?);
    if manifest.is_v2() {
        value["schema"]["minor"] = V2_MINOR.into();
    } else {
        list("layers", "name", serde_json::to_value(LABELS.info())?);
    }
    let bytes = serde_json::to_vec_pretty(&value)?;
    let SchemaVersion { major, minor } = manifest.schema;
    let current = !manifest.is_v2() && (major, minor) <= (MAJOR, MINOR);
    Ok(if current { Manifest::from_json(&bytes)?.to_json()? } else { bytes })
}
