//! What a bundle says of itself: `manifest.json`, the one file that is always plain JSON.

use serde::{Deserialize, Serialize};

use crate::{
    bundle::Encoding,
    error::{BundleError, Invalid, ensure},
    layout::Layout,
};

/// Major schema version: a reader reads its own only.
pub const MAJOR: u32 = 2;
/// Minor schema version: a reader reads any; new fields have defaults.
pub const MINOR: u32 = 1;

/// Provenance, layouts, health, and the table of files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub sae_b: Option<SaeInfo>,
    /// The text.
    pub dataset: DatasetInfo,
    /// How the numbers were computed.
    pub run: RunInfo,
    /// The features in the bundle.
    pub features: Vec<FeatureRange>,
    /// Layouts that the data was gathered for.
    pub layouts: Layouts,
    /// How well the SAE fits the model on this text.
    pub health: Health,
    /// Number of prompts.
    pub n_prompts: u32,
    /// How every file but this one is encoded.
    pub encoding: Encoding,
    /// Rows in every corpus chunk but the last.
    pub rows_per_chunk: u32,
    /// Blocks of features, in order.
    pub blocks: Vec<BlockInfo>,
    /// All files but this one.
    pub files: Vec<FileInfo>,
}

/// Version of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaVersion {
    /// Changes that older readers cannot read.
    pub major: u32,
    /// Additions.
    pub minor: u32,
}

/// The language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Name as given: a folder's name or a hub id.
    pub name: String,
    /// Family whose checkpoint names it has, such as `gpt2`.
    pub family: String,
    /// Number of blocks.
    pub n_layers: u32,
    /// Width of the residual stream.
    pub d_model: u32,
    /// Tokens in the vocabulary.
    pub d_vocab: u32,
    /// SHA-256 of its weight files, hexadecimal.
    pub sha256: String,
}

/// A sparse autoencoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SaeInfo {
    /// Name as given.
    pub name: String,
    /// Architecture, such as `standard` or `jumprelu`.
    pub architecture: String,
    /// Format of the weight files.
    pub format: String,
    /// Hook point that it reads.
    pub hook: String,
    /// Width of that hook point.
    pub d_in: u32,
    /// Features in its dictionary.
    pub d_sae: u32,
    /// SHA-256 of its weight files, hexadecimal.
    pub sha256: String,
}

/// The text, as rows of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Name of the file, as given.
    pub name: String,
    /// Rows.
    pub n_rows: u32,
    /// Tokens in a row.
    pub seq_len: u32,
    /// Whether each row begins with the beginning-of-sequence token.
    pub prepend_bos: bool,
    /// Whether rows were shuffled by the run's seed.
    pub shuffled: bool,
    /// Whether features count as inactive at the tokenizer's special tokens.
    #[serde(default)]
    pub skip_special: bool,
    /// Files that the text came from, in order; empty for token arrays.
    #[serde(default)]
    pub files: Vec<DataFile>,
    /// SHA-256 of the token ids as little-endian u32, hexadecimal.
    pub sha256: String,
}

impl DatasetInfo {
    /// Where document `document` of the corpus is, as the end of a sentence: its number in its file, from 1.
    pub fn place(&self, document: u32) -> String {
        match self.files.iter().rfind(|file| file.first_document <= document) {
            Some(file) => {
                format!(", begins in document {} of {}", document - file.first_document + 1, file.name)
            }
            None => format!(", begins in document {}", document + 1),
        }
    }
}

/// A file of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Path as given.
    pub name: String,
    /// Number of its first document, counted over the whole corpus.
    pub first_document: u32,
}

/// How the numbers were computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Kind of device: `cpu` or `cuda`.
    pub device: String,
    /// Number type of the forward pass: `f32`, `tf32` (f32 with TF32 matrix products) or `bf16`.
    pub dtype: String,
    /// Number type of the product with the SAEs' encoders: `f32` or `bf16`.
    #[serde(default = "first_sae_dtype")]
    pub sae_dtype: String,
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

/// What SAEs were encoded in before manifests said so.
fn first_sae_dtype() -> String {
    "f32".to_owned()
}

/// Features `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureRange {
    /// First feature.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

/// The layouts that the data was gathered for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layouts {
    /// Of a feature's page.
    pub feature: Layout,
    /// Of each column of the prompt page.
    pub prompt: Layout,
}

/// Health of the SAE on this text. `None` where a figure was not computed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Health {
    /// Mean number of active features at a position, of those computed.
    pub l0: f64,
    /// Features that are active nowhere in the corpus, of those computed.
    pub n_dead: u32,
    /// Positions on which the figures below were measured.
    pub n_measured: u64,
    /// 1 − squared error over variance of the activations; at most 1.
    pub explained_variance: Option<f64>,
    /// Mean loss of the model, nats a token.
    pub loss: Option<f64>,
    /// The same with the activations replaced by their reconstruction.
    pub loss_reconstructed: Option<f64>,
    /// The same with the activations replaced by zero.
    pub loss_zeroed: Option<f64>,
    /// Mean Euclidean norm of the activations.
    #[serde(default)]
    pub acts_norm: Option<f64>,
    /// Mean Euclidean norm of their reconstruction.
    #[serde(default)]
    pub reconstruction_norm: Option<f64>,
    /// Mean Euclidean norm of the decoder's rows.
    #[serde(default)]
    pub decoder_norm: Option<f64>,
}

impl Health {
    /// Share of the loss between zeroed and whole that the reconstruction wins back: 1 = all of it.
    pub fn loss_recovered(&self) -> Option<f64> {
        let (zeroed, whole) = (self.loss_zeroed?, self.loss?);
        Some((zeroed - self.loss_reconstructed?) / (zeroed - whole))
    }
}

/// A block of consecutive computed features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockInfo {
    /// First feature.
    pub first: u32,
    /// Last feature.
    pub last: u32,
}

/// A file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Path inside the bundle, with `/`.
    pub path: String,
    /// Length as stored.
    pub bytes: u64,
    /// Length decompressed.
    pub decoded_bytes: u64,
    /// CRC-32 of the bytes as stored.
    pub crc32: u32,
}

impl Manifest {
    /// Reads a manifest: the version first, so that a newer one is named as such, then the rest.
    pub fn from_json(json: &[u8]) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Version {
            schema: SchemaVersion,
        }
        let path = || "manifest.json".to_owned();
        let decode = |e: serde_json::Error| BundleError::Decode { reason: e.to_string(), path: path() };
        let version: Version = serde_json::from_slice(json).map_err(decode)?;
        if version.schema.major != MAJOR {
            return Err(BundleError::Version { found: version.schema.major, reads: MAJOR });
        }
        let manifest: Self = serde_json::from_slice(json).map_err(decode)?;
        let invalid = |Invalid(reason)| BundleError::Invalid { reason, path: path() };
        manifest.validate().map_err(invalid)?;
        Ok(manifest)
    }

    /// The manifest as readable JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        serde_json::to_vec_pretty(self)
            .map_err(|e| BundleError::Decode { reason: e.to_string(), path: "manifest.json".to_owned() })
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

    /// The table's entry for the file at `path`.
    pub fn file(&self, path: &str) -> Result<&FileInfo, BundleError> {
        self.files.iter().find(|f| f.path == path).ok_or_else(|| BundleError::Missing {
            what: format!("file {path}"),
            have: format!("its manifest lists {} others", self.files.len()),
        })
    }

    /// Whether any feature has a label.
    pub fn has_labels(&self) -> bool {
        let path = self.encoding.labels_path();
        self.files.iter().any(|file| file.path == path)
    }

    /// Bytes of all files but the manifest.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    fn validate(&self) -> Result<(), Invalid> {
        let mut end = 0;
        for r in &self.features {
            ensure(r.start >= end && r.start < r.end, || "feature ranges do not ascend".into())?;
            end = r.end;
        }
        ensure(end <= self.sae.d_sae, || format!("features go to {end}, the SAE has {}", self.sae.d_sae))?;
        let ordered = self.blocks.is_sorted_by(|a, b| a.last < b.first)
            && self.blocks.iter().all(|b| b.first <= b.last);
        ensure(ordered, || "blocks do not ascend".into())?;
        ensure(self.rows_per_chunk > 0 && self.dataset.seq_len > 0, || "corpus rows are empty".into())
    }
}
