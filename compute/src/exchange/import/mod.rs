//! Bundles of other programs' files.
//!
//! Each format is read feature by feature into an [`Import`], which writes the bundle. What a format lacks is absent in the
//! bundle: nothing is made up. Only numbers that are rows of a corpus or token ids elsewhere are given here where a
//! file has none, and the bundle says so.

mod examples;
mod held;
mod members;
mod neuronpedia;
mod pages;
mod sae_vis;
mod text;
mod tokens;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use shared::{
    explanations::{Explanation, Explanations},
    feature::Feature,
    health::Health,
    labels::{Labels, MAX_LABEL_BYTES},
    manifest::{
        DatasetInfo, FeatureRange, MAJOR, MINOR, Manifest, ModelInfo, Origin, SaeInfo, SchemaVersion,
    },
    prompt::Prompt,
    vocab::Vocab,
};

use crate::{
    bundle::{BundleWriter, rows_per_chunk},
    corpus::Rows,
};
use held::Held;

pub use neuronpedia::import_neuronpedia;
pub use pages::import_page;
pub use sae_vis::import_sae_vis;

/// Features that are handed on at once.
const FEATURES: usize = 64;

/// What a file says of what its features are of; what it leaves unsaid is `None`.
#[derive(Debug, Default, Clone)]
pub struct Subject {
    /// The model's name.
    pub model: Option<String>,
    /// The SAE's name.
    pub sae: Option<String>,
    /// The text's name.
    pub dataset: Option<String>,
    /// Hook point that the SAE reads.
    pub hook: Option<String>,
    /// Rows of the text.
    pub n_rows: Option<u32>,
    /// Tokens in a row.
    pub seq_len: Option<u32>,
    /// Features in the SAE's dictionary.
    pub n_features: Option<u32>,
    /// Whether activations may be negative.
    pub signed: bool,
    /// What is known of the SAE's health.
    pub health: Health,
}

impl Subject {
    /// Of a file that says nothing of it: the SAE is called as the file is.
    fn named_by(path: &Path) -> Self {
        Self { sae: stem(path), ..Self::default() }
    }
}

/// A bundle that is made of another program's files.
#[derive(Debug)]
pub struct Import {
    writer: BundleWriter,
    waiting: Vec<Feature>,
    ranges: Vec<FeatureRange>,
    held: Held,
    explanations: Vec<Explanation>,
    prompts: Vec<Prompt>,
    rows_per_chunk: Option<u32>,
}

impl Import {
    /// Begins the bundle that will be at `out`.
    pub fn new(out: &Path) -> Result<Self> {
        Ok(Self {
            writer: BundleWriter::new(out)?,
            waiting: Vec::new(),
            ranges: Vec::new(),
            held: Held::default(),
            explanations: Vec::new(),
            prompts: Vec::new(),
            rows_per_chunk: None,
        })
    }

    /// Takes a feature, whose index is larger than those before.
    pub fn feature(&mut self, feature: Feature) -> Result<()> {
        let index = feature.feature;
        match self.ranges.last_mut() {
            Some(last) if index < last.end => {
                bail!("feature {index} comes after feature {}, expected ascending ones", last.end - 1)
            }
            Some(last) if index == last.end => last.end += 1,
            _ => {
                let end = index.checked_add(1).context("a feature's index is too large")?;
                self.ranges.push(FeatureRange { start: index, end });
            }
        }
        self.held.take(&feature);
        self.waiting.push(feature);
        if self.waiting.len() >= FEATURES {
            self.writer.features(std::mem::take(&mut self.waiting))?;
        }
        Ok(())
    }

    /// Takes the text, whose rows examples then name.
    pub fn corpus(&mut self, rows: &Rows) -> Result<()> {
        self.rows_per_chunk = Some(rows_per_chunk(rows.seq_len()) as u32);
        self.writer.text().corpus(rows.token_ids(), rows.seq_len(), rows.documents())
    }

    /// Takes an explanation; the first of a feature is its label.
    pub fn explanation(&mut self, explanation: Explanation) {
        let fits = (1..=MAX_LABEL_BYTES).contains(&explanation.text.len());
        if fits {
            self.explanations.push(explanation);
        }
    }

    /// Takes a prompt.
    pub fn prompt(&mut self, prompt: Prompt) {
        self.prompts.push(prompt);
    }

    /// Writes the rest and puts the bundle in its place.
    ///
    /// - `vocab`: by the token ids of all features
    pub fn finish(mut self, subject: Subject, origin: Origin, vocab: &Vocab) -> Result<Manifest> {
        ensure!(!self.ranges.is_empty(), "it holds no feature");
        self.writer.features(self.waiting)?;
        self.writer.end_of_features()?;
        self.writer.text().vocab(vocab)?;
        self.writer.prompts(&self.prompts)?;
        let has = |feature: u32| self.ranges.iter().any(|range| (range.start..range.end).contains(&feature));
        self.explanations.retain(|explanation| has(explanation.feature));
        self.explanations.sort_by_key(|explanation| explanation.feature);
        if !self.explanations.is_empty() {
            let mut labels = Labels::default();
            for Explanation { feature, text, .. } in &self.explanations {
                if labels.features.last() != Some(feature) {
                    labels.features.push(*feature);
                    labels.texts.push(text.clone());
                }
            }
            self.writer.labels(&labels)?;
            self.writer.explanations(&Explanations { explanations: self.explanations })?;
        }
        let manifest = Manifest {
            schema: SchemaVersion { major: MAJOR, minor: MINOR },
            tool: concat!("sae-vis compute ", env!("CARGO_PKG_VERSION")).to_owned(),
            model: ModelInfo { name: subject.model.unwrap_or_default(), ..ModelInfo::default() },
            sae: SaeInfo {
                name: subject.sae.unwrap_or_default(),
                hook: subject.hook,
                d_sae: subject.n_features,
                signed: subject.signed,
                ..SaeInfo::default()
            },
            sae_b: self.held.has_sae_b().then(SaeInfo::default),
            dataset: DatasetInfo {
                name: subject.dataset.unwrap_or_default(),
                n_rows: subject.n_rows,
                seq_len: subject.seq_len.filter(|len| *len > 0),
                ..DatasetInfo::default()
            },
            origin: Some(origin),
            run: None,
            features: self.ranges,
            layouts: self.held.layouts(),
            health: subject.health,
            n_prompts: self.prompts.len() as u32,
            rows_per_chunk: self.rows_per_chunk,
            blocks: self.writer.blocks().to_vec(),
            layers: self.writer.layers().to_vec(),
            shared: None,
            files: self.writer.files().to_vec(),
        };
        // What does not fit a layout is no file of these programs.
        manifest.layouts.feature.validate().context("the bundle's layout")?;
        self.writer.finish(&manifest)?;
        Ok(manifest)
    }
}

/// Features as a file has them: handed on at once where they ascend, else once all are there.
struct InOrder<'a> {
    import: &'a mut Import,
    waiting: Option<BTreeMap<u32, Feature>>,
}

impl<'a> InOrder<'a> {
    /// - `ascend`: whether the features that come ascend
    fn new(import: &'a mut Import, ascend: bool) -> Self {
        Self { import, waiting: (!ascend).then(BTreeMap::new) }
    }

    /// Whether a feature waits.
    fn has(&self, feature: u32) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.contains_key(&feature))
    }

    fn take(&mut self, feature: Feature) -> Result<()> {
        let Some(waiting) = &mut self.waiting else { return self.import.feature(feature) };
        let index = feature.feature;
        ensure!(waiting.insert(index, feature).is_none(), "feature {index} is there twice");
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let mut waiting = self.waiting.unwrap_or_default().into_values();
        waiting.try_for_each(|feature| self.import.feature(feature))
    }
}

/// A file's name without its endings: what a bundle is called whose file names no SAE.
fn stem(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    Some(name.split('.').next()?.to_owned())
}

/// Files of `folder` whose names begin and end so, by the number between; or the one file that `path` is.
pub fn numbered_files(path: &Path, prefix: &str, endings: &[&str]) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let reading = || format!("could not read the folder ({})", path.display());
    let mut files = Vec::new();
    for entry in path.read_dir().with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else { continue };
        let number = endings.iter().find_map(|ending| rest.strip_suffix(ending)?.parse::<u64>().ok());
        files.extend(number.map(|number| (number, entry.path())));
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}
