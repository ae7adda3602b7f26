//! What an SAE is, as its files say it, without its weights.

use std::fmt;
use std::str::FromStr;

use super::error::SaeError;

/// A layout of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaeFormat {
    /// SAELens folders, old and new.
    SaeLens,
    /// The `.pt` state dict of sae_vis's run1 and run2.
    SaeVis,
    /// The `.pt` of GPT2-Small-SAEs: a pickled config and a state dict.
    Gpt2SmallSaes,
    /// Gemma Scope's `params.npz`.
    GemmaScope,
    /// OpenAI's sparse_autoencoder `.pt`.
    OpenAi,
    /// EleutherAI's sparsify.
    Sparsify,
    /// dictionary_learning's `ae.pt`; the class is told from the files where it is `None`.
    DictionaryLearning(Option<DictionaryClass>),
    /// Llama Scope.
    LlamaScope,
}

impl SaeFormat {
    /// Every format.
    pub const ALL: [Self; 8] = [
        Self::SaeLens,
        Self::SaeVis,
        Self::Gpt2SmallSaes,
        Self::GemmaScope,
        Self::OpenAi,
        Self::Sparsify,
        Self::DictionaryLearning(None),
        Self::LlamaScope,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl DictionaryClass {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::AutoEncoder,
        Self::AutoEncoderNew,
        Self::Gated,
        Self::TopK,
        Self::BatchTopK,
        Self::Matryoshka,
        Self::JumpRelu,
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
        }
    }

    /// All names.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// How features are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Architecture {
    /// Its name, as SAELens has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Gated => "gated",
            Self::JumpRelu => "jumprelu",
            Self::TopK { .. } => "topk",
        }
    }
}

/// What is done to activations before the encoder, and undone after the decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Normalize {
    /// Nothing.
    None,
    /// Nothing, because the factor that SAELens calls `expected_average_only_in` is not in the files.
    ExpectedAverage,
    /// Times a constant, which is folded into the weights when they are read.
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

/// Everything about an SAE but its weights.
#[derive(Clone, Debug, PartialEq)]
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
    /// The encoder's matrix is multiplied by this when it is read, and the decoder's divided by it; 1 for most.
    pub weight_scale: f64,
    /// Whether the decoder's bias is subtracted from the input.
    pub subtract_b_dec: bool,
    /// Whether feature activations are multiplied by their decoder rows' norms.
    pub rescale_by_decoder_norm: bool,
    /// Whether it reads one thing and writes another.
    pub transcoder: bool,
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
            weight_scale: 1.0,
            subtract_b_dec: false,
            rescale_by_decoder_norm: false,
            transcoder: false,
        }
    }
}
