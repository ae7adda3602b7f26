//! What a bundle says of itself: `manifest.json`, the one file that is plain JSON.
//!
//! What a bundle may lack, one that was made from other programs' files above all, is `None` and left out of the JSON.
//! Members that a reader does not know are ignored.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::{BundleError, Invalid, ensure},
    health::Health,
    layers::{LABELS, Layer, LayerInfo, NEIGHBOURS},
    layout::Layout,
    paths,
    shared_folder::SharedFolder,
};

/// Major schema version: a reader reads its own and [`OLDEST`].
pub const MAJOR: u32 = 3;
/// Minor schema version: a reader reads any; what is new is ignored, or shown as made by a newer version.
pub const MINOR: u32 = 0;
/// The oldest major schema version that is read.
pub const OLDEST: u32 = 2;
/// Where schema 2 has the labels, which were no layer yet.
const V2_LABELS: &str = "features/labels.bin";

/// Provenance, layouts, health, and the table of files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Manifest {
    /// Schema of the bundle.
    pub schema: SchemaVersion,
    /// Program that wrote it, with its version.
    pub tool: String,
    /// The language model.
    pub model: ModelInfo,
    /// The SAE whose features are shown.
    pub sae: SaeInfo,
    /// The second SAE, in whose dictionary correlated features are looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sae_b: Option<SaeInfo>,
    /// The text.
    pub dataset: DatasetInfo,
    /// The files that the bundle was made of, where another program computed the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// How the numbers were computed; `None` where another program computed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunInfo>,
    /// The features in the bundle.
    pub features: Vec<FeatureRange>,
    /// Layouts that the data was gathered for.
    pub layouts: Layouts,
    /// How well the SAE fits the model on this text.
    #[serde(default)]
    pub health: Health,
    /// Number of prompts.
    #[serde(default)]
    pub n_prompts: u32,
    /// Rows in every corpus chunk but the last; `None` where the bundle has no corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_chunk: Option<u32>,
    /// Blocks of features, in order.
    pub blocks: Vec<BlockInfo>,
    /// Files that the schema does not require, see [`crate::layers`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerInfo>,
    /// The folder in which files that are [`FileInfo::shared`] lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedFolder>,
    /// All files but this one.
    pub files: Vec<FileInfo>,
}

/// Version of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct SchemaVersion {
    /// Changes that older readers cannot read.
    pub major: u32,
    /// Additions.
    pub minor: u32,
}

/// The language model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ModelInfo {
    /// Name as given: a folder's name or a hub id; empty where it is not known.
    pub name: String,
    /// Family whose checkpoint names it has, such as `gpt2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Number of blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_layers: Option<u32>,
    /// Width of the residual stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_model: Option<u32>,
    /// Tokens in the vocabulary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_vocab: Option<u32>,
    /// SHA-256 of its weight files, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A sparse autoencoder.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct SaeInfo {
    /// Name as given; empty where it is not known.
    pub name: String,
    /// Architecture, such as `standard` or `jumprelu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Format of the weight files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Hook point that it reads; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// Hook point that it writes, where that is another one: a transcoder's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook_out: Option<String>,
    /// Width of the hook point that it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_in: Option<u32>,
    /// Features in its dictionary; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_sae: Option<u32>,
    /// Whether activations may be negative; active is then what is not 0.
    #[serde(default)]
    pub signed: bool,
    /// SHA-256 of its weight files, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The text, as rows of tokens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct DatasetInfo {
    /// Name of the file, as given; empty where it is not known.
    pub name: String,
    /// Rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_rows: Option<u32>,
    /// Tokens in a row, or in the longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq_len: Option<u32>,
    /// Whether each row begins with the beginning-of-sequence token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepend_bos: Option<bool>,
    /// Whether rows were shuffled by the run's seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shuffled: Option<bool>,
    /// Whether features count as inactive at special tokens.
    #[serde(default)]
    pub skip_special: bool,
    /// Those tokens, where they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub special_tokens: Vec<u32>,
    /// What should be known of how the text was read, a sentence each: rows that were skipped, how a sample was drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Files that the text came from, in order; empty for token arrays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<DataFile>,
    /// SHA-256 of the token ids as little-endian u32, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A file of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct DataFile {
    /// Path as given.
    pub name: String,
    /// Number of its first document, counted over the whole corpus.
    pub first_document: u32,
}

/// What a bundle was made of that no run computed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Origin {
    /// Program and format, such as `Neuronpedia's batches`.
    pub format: String,
    /// Whether token ids are the model's own; else they are numbers that the import gave.
    pub own_token_ids: bool,
}

/// How the numbers were computed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct RunInfo {
    /// Kind of device: `cpu` or `cuda`.
    pub device: String,
    /// Number type of the forward pass: `f32`, `tf32` (f32 with TF32 matrix products) or `bf16`.
    pub dtype: String,
    /// Number type of the product with the SAEs' encoders: `f32` or `bf16`; `None` in bundles from before it was recorded,
    /// which computed in `f32`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sae_dtype: Option<String>,
    /// What effects are: `none` where they were not computed, `direct` where later layers are held fixed; `None` in bundles
    /// from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effects: Option<String>,
    /// Rows in a batch.
    pub batch_rows: u32,
    /// Seed of every random choice.
    pub seed: u64,
    /// Whether the mean over `d_model` was subtracted from residual-stream activations.
    pub center_writing_weights: bool,
    /// Whether the attention's value bias was subtracted from `hook_z`.
    #[serde(default)]
    pub fold_value_biases: bool,
}

/// Features `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct FeatureRange {
    /// First feature.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

/// The layouts that the data was gathered for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Layouts {
    /// Of a feature's page.
    #[serde(deserialize_with = "Layout::deserialize_newer")]
    pub feature: Layout,
    /// Of each column of the prompt page.
    #[serde(deserialize_with = "Layout::deserialize_newer")]
    pub prompt: Layout,
}

/// A block of consecutive computed features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct BlockInfo {
    /// First feature.
    pub first: u32,
    /// Last feature.
    pub last: u32,
}

/// A file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct FileInfo {
    /// Path inside the bundle, or inside the shared folder, with `/`.
    pub path: String,
    /// Length as stored.
    pub bytes: u64,
    /// Length decompressed.
    pub decoded_bytes: u64,
    /// CRC-32 of the bytes as stored.
    pub crc32: u32,
    /// Whether it lies in [`Manifest::shared`], for several bundles of a site.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

impl DatasetInfo {
    /// Tokens of the corpus.
    pub fn n_tokens(&self) -> Option<u64> {
        Some(u64::from(self.n_rows?) * u64::from(self.seq_len?))
    }

    /// Where document `document` of the corpus comes from, as the end of a sentence: its number in its file, from 1.
    pub fn origin(&self, document: u32) -> String {
        match self.files.iter().rfind(|file| file.first_document <= document) {
            Some(file) => {
                let number = u64::from(document - file.first_document) + 1;
                format!(", begins in document {number} of {}", file.name)
            }
            None => format!(", begins in document {}", u64::from(document) + 1),
        }
    }
}

impl Manifest {
    /// Reads a manifest: the version first, so that one that cannot be read is named as such, then the rest.
    pub fn from_json(json: &[u8]) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Head {
            schema: SchemaVersion,
            encoding: Option<String>,
        }
        let path = || paths::MANIFEST.to_owned();
        let decode = |e: serde_json::Error| BundleError::Decode { reason: e.to_string(), path: path() };
        // By way of one generic value: the page's code then holds one reader of JSON, and one of what it says.
        let value: Value = serde_json::from_slice(json).map_err(decode)?;
        let head = Head::deserialize(&value).map_err(decode)?;
        let found = head.schema.major;
        if !(OLDEST..=MAJOR).contains(&found) {
            return Err(BundleError::Version { found, reads: MAJOR });
        }
        if found == 2 && head.encoding.as_deref() == Some("json") {
            return Err(BundleError::JsonFiles);
        }
        let mut manifest = Self::deserialize(&value).map_err(decode)?;
        manifest.validate().map_err(|Invalid(reason)| BundleError::Invalid { reason, path: path() })?;
        if manifest.is_v2() {
            manifest.complete_v2();
        }
        Ok(manifest)
    }

    /// The manifest as readable JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        serde_json::to_vec_pretty(self)
            .map_err(|e| BundleError::Decode { reason: e.to_string(), path: paths::MANIFEST.to_owned() })
    }

    /// Whether the files are those of schema 2.
    pub fn is_v2(&self) -> bool {
        self.schema.major == 2
    }

    /// Says what schema 2 left unsaid: how examples were chosen, and that labels are a layer.
    fn complete_v2(&mut self) {
        for layout in [&mut self.layouts.feature, &mut self.layouts.prompt] {
            layout.choose_as_v2();
        }
        if self.files.iter().any(|file| file.path == V2_LABELS) {
            self.layers.push(LABELS.info());
        }
        self.health.n_l0 = self.dataset.n_tokens();
        self.health.n_dead_measured = self.dataset.n_tokens();
        self.health.n_features = Some(self.n_features() as u32);
    }

    /// All features of the bundle, ascending.
    pub fn feature_ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.features.iter().flat_map(|r| r.start..r.end)
    }

    /// Number of features in the bundle.
    pub fn n_features(&self) -> usize {
        self.features.iter().map(|r| (r.end - r.start) as usize).sum()
    }

    /// Whether the bundle has `feature`.
    pub fn has_feature(&self, feature: u32) -> bool {
        self.features.iter().any(|r| (r.start..r.end).contains(&feature))
    }

    /// Number of the block that holds `feature`.
    pub fn block_of(&self, feature: u32) -> Result<usize, BundleError> {
        let block = self.blocks.partition_point(|b| b.last < feature);
        if self.has_feature(feature) && self.blocks.get(block).is_some_and(|b| b.first <= feature) {
            return Ok(block);
        }
        let have = match (self.features.first(), self.features.last()) {
            (Some(a), Some(b)) => {
                format!("it holds {} between {} and {}", self.n_features(), a.start, b.end - 1)
            }
            _ => "it holds none".to_owned(),
        };
        Err(BundleError::Missing { what: format!("feature {feature}"), have })
    }

    /// Number of the corpus chunk that holds `row`; `None` where the bundle has no corpus.
    pub fn chunk_of(&self, row: u32) -> Option<usize> {
        Some((row / self.rows_per_chunk?) as usize)
    }

    /// Number of corpus chunks; `None` where the bundle has no corpus.
    pub fn n_chunks(&self) -> Option<usize> {
        Some(self.dataset.n_rows?.div_ceil(self.rows_per_chunk?) as usize)
    }

    /// The table's entry for the file at `path`.
    pub fn file(&self, path: &str) -> Result<&FileInfo, BundleError> {
        self.files.iter().find(|f| f.path == path).ok_or_else(|| BundleError::Missing {
            what: format!("file {path}"),
            have: format!("its manifest lists {} others", self.files.len()),
        })
    }

    /// Whether the bundle has `layer`, in a version that this build reads.
    pub fn has_layer(&self, layer: &Layer) -> bool {
        self.layers.iter().any(|info| info.is(layer))
    }

    /// Layers that this build does not read.
    pub fn newer_layers(&self) -> impl Iterator<Item = &LayerInfo> {
        self.layers.iter().filter(|info| !info.is_known())
    }

    /// The manifest of the same bundle outside its site: what it shared is its own, and it has no neighbours.
    #[must_use]
    pub fn alone(&self) -> Self {
        let mut alone = Self { shared: None, ..self.clone() };
        alone.layers.retain(|info| info.name != NEIGHBOURS.name);
        alone.files.retain(|file| !file.path.starts_with(&NEIGHBOURS.folder()));
        for file in &mut alone.files {
            file.shared = false;
        }
        alone
    }

    /// Whether it is a bundle by itself: nothing of it means anything only in its site.
    pub fn is_alone(&self) -> bool {
        self.shared.is_none() && self.layers.iter().all(|info| info.name != NEIGHBOURS.name)
    }

    /// Path of the layer `labels`.
    pub fn labels_path(&self) -> String {
        if self.is_v2() { V2_LABELS.to_owned() } else { LABELS.path() }
    }

    /// Whether token ids are the model's own.
    pub fn has_own_token_ids(&self) -> bool {
        self.origin.as_ref().is_none_or(|origin| origin.own_token_ids)
    }

    /// Whether rows are those of a corpus; else they number the examples of an import.
    pub fn has_rows(&self) -> bool {
        self.origin.is_none() || self.rows_per_chunk.is_some()
    }

    /// Whether effects are stored; `None` where the bundle does not say.
    pub fn has_effects(&self) -> Option<bool> {
        Some(self.run.as_ref()?.effects.as_deref()? != "none")
    }

    /// Bytes of all files but the manifest.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    fn validate(&self) -> Result<(), Invalid> {
        let mut end = 0;
        for r in &self.features {
            ensure(r.start >= end && r.start < r.end, || "feature ranges do not ascend".into())?;
            end = r.end;
        }
        let d_sae = self.sae.d_sae.unwrap_or(u32::MAX);
        ensure(end <= d_sae, || format!("features go to {end}, the SAE has {d_sae}"))?;
        let ordered = self.blocks.is_sorted_by(|a, b| a.last < b.first)
            && self.blocks.iter().all(|b| b.first <= b.last);
        ensure(ordered, || "blocks do not ascend".into())?;
        let empty = self.rows_per_chunk == Some(0) || self.dataset.seq_len == Some(0);
        ensure(!empty, || "corpus rows are empty".into())?;
        for file in &self.files {
            ensure(paths::is_inside(&file.path), || format!("it lists a file outside it: {:?}", file.path))?;
            let lies = !file.shared || self.shared.is_some();
            ensure(lies, || format!("{} is shared, and no shared folder is named", file.path))?;
        }
        for layer in &self.layers {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let named = !layer.name.is_empty() && layer.name.chars().all(plain);
            ensure(named, || format!("a layer is called {:?}", layer.name))?;
        }
        Ok(())
    }
}
