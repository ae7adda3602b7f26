//! What an SAE is, as its files say it, without its weights.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use super::error::SaeError;

/// A layout of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaeFormat {
    /// SAELens folders, old and new.
    SaeLens,
    /// The `.pt` state dict of sae_vis's run1 and run2.
    SaeVis,
    /// The `.pt` of GPT2-Small-SAEs: a pickled config and a state dict.
    Gpt2SmallSaes,
    /// Gemma Scope's `params.npz`, and Gemma Scope 2's `params.safetensors`.
    GemmaScope,
    /// OpenAI's sparse_autoencoder `.pt`.
    OpenAi,
    /// EleutherAI's sparsify.
    Sparsify,
    /// dictionary_learning's `ae.pt`; the class is told from the files where it is `None`.
    DictionaryLearning(Option<DictionaryClass>),
    /// Llama Scope, and Llama Scope R1-Distill.
    LlamaScope,
    /// Qwen-Scope's `layerN.sae.pt`.
    QwenScope,
    /// circuit-tracer's `layer_N.safetensors`, one transcoder a layer.
    PerLayerTranscoder,
    /// circuit-tracer's `W_enc_N.safetensors`: transcoders that write to all later layers.
    CrossLayerTranscoder,
    /// A `.pt` or `.pth` of two linear layers, as Goodfire and others publish one SAE.
    Linear,
}

impl SaeFormat {
    /// Every format.
    pub const ALL: [Self; 12] = [
        Self::SaeLens,
        Self::SaeVis,
        Self::Gpt2SmallSaes,
        Self::GemmaScope,
        Self::OpenAi,
        Self::Sparsify,
        Self::DictionaryLearning(None),
        Self::LlamaScope,
        Self::QwenScope,
        Self::PerLayerTranscoder,
        Self::CrossLayerTranscoder,
        Self::Linear,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SaeLens => "sae-lens",
            Self::SaeVis => "sae-vis",
            Self::Gpt2SmallSaes => "gpt2-small-saes",
            Self::GemmaScope => "gemma-scope",
            Self::OpenAi => "openai",
            Self::Sparsify => "sparsify",
            Self::DictionaryLearning(_) => "dictionary-learning",
            Self::LlamaScope => "llama-scope",
            Self::QwenScope => "qwen-scope",
            Self::PerLayerTranscoder => "per-layer-transcoder",
            Self::CrossLayerTranscoder => "cross-layer-transcoder",
            Self::Linear => "linear",
        }
    }
}

impl fmt::Display for SaeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SaeFormat {
    type Err = SaeError;

    fn from_str(name: &str) -> Result<Self, SaeError> {
        if let Some(class) = name.strip_prefix("dictionary-learning:") {
            let found = DictionaryClass::ALL.into_iter().find(|known| known.name() == class);
            return found.map(|class| Self::DictionaryLearning(Some(class))).ok_or_else(|| {
                SaeError::NoSuchFormat { got: name.to_owned(), expected: DictionaryClass::names() }
            });
        }
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| SaeError::NoSuchFormat {
            got: name.to_owned(),
            expected: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// A class of the dictionary_learning library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DictionaryClass {
    /// ReLU; the library scales its decoder rows to norm 1 when it loads one.
    AutoEncoder,
    /// ReLU, nothing subtracted from the input.
    AutoEncoderNew,
    /// Gated.
    Gated,
    /// The `k` largest at each position.
    TopK,
    /// TopK over a batch, at a fixed threshold in use.
    BatchTopK,
    /// BatchTopK whose features come in nested groups.
    Matryoshka,
    /// JumpReLU.
    JumpRelu,
    /// ReLU over several layers, or models, at once.
    CrossCoder,
}

impl DictionaryClass {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::AutoEncoder,
        Self::AutoEncoderNew,
        Self::Gated,
        Self::TopK,
        Self::BatchTopK,
        Self::Matryoshka,
        Self::JumpRelu,
        Self::CrossCoder,
    ];

    /// Its name in Python, which `dict_class` in a config gives.
    pub fn name(self) -> &'static str {
        match self {
            Self::AutoEncoder => "AutoEncoder",
            Self::AutoEncoderNew => "AutoEncoderNew",
            Self::Gated => "GatedAutoEncoder",
            Self::TopK => "AutoEncoderTopK",
            Self::BatchTopK => "BatchTopKSAE",
            Self::Matryoshka => "MatryoshkaBatchTopKSAE",
            Self::JumpRelu => "JumpReluAutoEncoder",
            Self::CrossCoder => "CrossCoder",
        }
    }

    /// All names.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// How features are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Architecture {
    /// ReLU.
    Standard,
    /// A gate decides, a magnitude measures.
    Gated,
    /// Zero up to a threshold per feature.
    JumpRelu,
    /// The `k` largest at each position.
    TopK {
        /// How many.
        k: i64,
    },
    /// The `k` largest in size at each position, with their signs.
    AbsTopK {
        /// How many.
        k: i64,
    },
    /// One feature after another, each the one that explains most of what is left; the encoder is the decoder transposed.
    MatchingPursuit {
        /// Stops where the norm of what is left falls below this; 0 for never.
        residual_threshold: f64,
        /// The most steps.
        max_iterations: i64,
        /// Whether to stop where a step adds no new feature.
        stop_on_duplicate_support: bool,
    },
}

impl Architecture {
    /// Its name, as SAELens has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Gated => "gated",
            Self::JumpRelu => "jumprelu",
            Self::TopK { .. } => "topk",
            Self::AbsTopK { .. } => "abstopk",
            Self::MatchingPursuit { .. } => "matching_pursuit",
        }
    }

    /// Whether every feature takes part in the choice of each, so that some cannot be computed without the others.
    pub fn needs_all_features(self) -> bool {
        matches!(self, Self::TopK { .. } | Self::AbsTopK { .. } | Self::MatchingPursuit { .. })
    }
}

/// What is done to activations before the encoder, and undone after the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Normalize {
    /// Nothing.
    None,
    /// Nothing, because the factor that SAELens calls `expected_average_only_in` is not in the files.
    ExpectedAverage,
    /// Times a constant, which [`Fold`] has folded into the weights.
    Scale(f64),
    /// To norm sqrt(d_in) (`constant_norm_rescale`).
    ConstantNorm,
    /// Less the mean, over the unbiased standard deviation + 1e-5.
    LayerNorm,
}

impl Normalize {
    /// Its name, as SAELens has it where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ExpectedAverage => "expected_average_only_in",
            Self::Scale(_) => "constant_scalar_rescale",
            Self::ConstantNorm => "constant_norm_rescale",
            Self::LayerNorm => "layer_norm",
        }
    }
}

/// Factors that the weights are multiplied by when they are read, so that a decoder row is in the units of the hook point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    /// Of the encoder's matrix.
    pub w_enc: f64,
    /// Of what is subtracted from the input.
    pub b_in: f64,
    /// Of the decoder's matrix.
    pub w_dec: f64,
    /// Of the decoder's bias.
    pub b_dec: f64,
}

impl Fold {
    /// Nothing is changed.
    pub const NONE: Self = Self { w_enc: 1.0, b_in: 1.0, w_dec: 1.0, b_dec: 1.0 };

    /// The input times `read` before the encoder, the output over `written` after the decoder.
    pub fn scale(read: f64, written: f64) -> Self {
        Self { w_enc: read, b_in: 1.0 / read, w_dec: 1.0 / written, b_dec: 1.0 / written }
    }
}

/// Tokens at which an SAE was not trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExcludedTokens {
    /// All special tokens of the tokenizer.
    Special,
    /// These token ids.
    Ids(Vec<i64>),
}

/// Everything about an SAE but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, as files state them")]
pub struct SaeConfig {
    /// The layout of its files.
    pub format: SaeFormat,
    /// How features are chosen.
    pub architecture: Architecture,
    /// Width of what it reads.
    pub d_in: i64,
    /// Features.
    pub d_sae: i64,
    /// Width of what it writes; `d_in` but for transcoders.
    pub d_out: i64,
    /// Where it reads, in TransformerLens's names, if its files say so.
    pub hook: Option<String>,
    /// Where it writes, if elsewhere.
    pub hook_out: Option<String>,
    /// The model that it was trained on.
    pub model_name: Option<String>,
    /// Whether rows began with BOS in training.
    pub prepend_bos: Option<bool>,
    /// Row length in training, in tokens.
    pub context_size: Option<i64>,
    /// Whether its activations came from a model with centred writing weights; `None` if unsaid.
    pub center_writing_weights: Option<bool>,
    /// Whether its activations came from a model with folded value biases; `None` if unsaid.
    pub fold_value_biases: Option<bool>,
    /// What is done to activations first.
    pub normalize: Normalize,
    /// What is folded into the weights when they are read.
    pub fold: Fold,
    /// Whether the decoder's bias is subtracted from the input.
    pub subtract_b_dec: bool,
    /// Whether feature activations are multiplied by their decoder rows' norms.
    pub rescale_by_decoder_norm: bool,
    /// Whether it reads one thing and writes another.
    pub transcoder: bool,
    /// Layers, or models, that it reads at once; `d_in` is the sum of their widths. 1 but for crosscoders.
    pub n_layers: i64,
    /// Whether its decoder is the sum over the layers that it writes to: its output is no reconstruction of anything.
    pub summed_decoder: bool,
    /// Tokens that were left out in training.
    pub excluded_tokens: Option<ExcludedTokens>,
    /// Positions of each row that were used in training, as a Python slice: start, stop, step.
    pub seqpos_slice: Option<[Option<i64>; 3]>,
    /// Mean number of active features at a position, as its publisher states.
    pub stated_l0: Option<f64>,
    /// Number of dead features, as its publisher states.
    pub stated_n_dead: Option<i64>,
}

impl SaeConfig {
    /// A config with nothing said but its widths.
    pub(crate) fn new(format: SaeFormat, d_in: i64, d_sae: i64, d_out: i64) -> Self {
        Self {
            format,
            architecture: Architecture::Standard,
            d_in,
            d_sae,
            d_out,
            hook: None,
            hook_out: None,
            model_name: None,
            prepend_bos: None,
            context_size: None,
            center_writing_weights: None,
            fold_value_biases: None,
            normalize: Normalize::None,
            fold: Fold::NONE,
            subtract_b_dec: false,
            rescale_by_decoder_norm: false,
            transcoder: false,
            n_layers: 1,
            summed_decoder: false,
            excluded_tokens: None,
            seqpos_slice: None,
            stated_l0: None,
            stated_n_dead: None,
        }
    }

    /// Its architecture and what its activations are multiplied by, for readers.
    pub fn description(&self) -> String {
        let name = self.architecture.name();
        if self.rescale_by_decoder_norm {
            return format!("{name}, activations times norms of decoder rows");
        }
        name.to_owned()
    }

    /// Whether features can be negative, and are active where they are not zero.
    pub fn is_signed(&self) -> bool {
        matches!(self.architecture, Architecture::AbsTopK { .. })
    }

    /// Has the input multiplied by a constant and the output divided by it.
    pub fn set_scale(&mut self, scale: f64) {
        self.normalize = Normalize::Scale(scale);
        self.fold = Fold::scale(scale, scale);
    }
}
