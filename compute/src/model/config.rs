//! What a model is, read from `config.json` without its weights.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::error::ModelError;
use super::families;
use super::hook_point::{HookPoint, Site, nearest};

/// A family of checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// GPT-2.
    Gpt2,
    /// GPT-NeoX and Pythia.
    GptNeox,
    /// Llama 1 to 3.
    Llama,
    /// Mistral.
    Mistral,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    /// Gemma.
    Gemma,
    /// Gemma 2.
    Gemma2,
    /// TransformerLens's own GELU-nL, SoLU-nL and attention-only models.
    TransformerLens,
}

impl Family {
    /// Name in bundles and messages: Hugging Face's `model_type`, where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::GptNeox => "gpt_neox",
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Gemma => "gemma",
            Self::Gemma2 => "gemma2",
            Self::TransformerLens => "transformer_lens",
        }
    }
}

/// How a norm centres and scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// LayerNorm: less the mean, over the standard deviation.
    Layer,
    /// RMSNorm: over the root mean square.
    Rms,
}

/// An activation function of the MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// GELU by the error function.
    Gelu,
    /// GELU by the tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// x * sigmoid(x).
    Silu,
    /// x * softmax(x), without the LayerNorm that usually follows.
    Solu,
    /// SoLU, then a LayerNorm over the neurons.
    SoluLayerNorm,
}

/// How positions enter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Positions {
    /// A learned embedding, added to the token's.
    Learned,
    /// Rotations of queries and keys.
    Rotary {
        /// How many of a head's dimensions rotate.
        n_dims: i64,
        /// The base of the wavelengths.
        theta: f64,
        /// How longer contexts were reached.
        scaling: RopeScaling,
    },
}

/// How rotary frequencies were stretched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All by one factor.
    Linear(f64),
    /// Llama 3: low frequencies by a factor, high ones not, a ramp between.
    Llama3 {
        /// By how much low frequencies shrink.
        factor: f64,
        /// Wavelengths above context / this are low frequencies.
        low: f64,
        /// Wavelengths below context / this are high frequencies.
        high: f64,
        /// The context before stretching, in tokens.
        n_ctx: f64,
    },
}

/// Everything about a model but its weights.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own, as in config.json")]
pub struct ModelConfig {
    /// Which mapping reads its checkpoint.
    pub family: Family,
    /// `_name_or_path`, else the folder's name.
    pub name: String,
    /// Blocks.
    pub n_layers: i64,
    /// Width of the residual stream.
    pub d_model: i64,
    /// Query heads per block.
    pub n_heads: i64,
    /// Key and value heads per block; a divisor of `n_heads`.
    pub n_kv_heads: i64,
    /// Width of a head.
    pub d_head: i64,
    /// Neurons per block.
    pub d_mlp: i64,
    /// Tokens in the vocabulary, as wide as the unembedding.
    pub d_vocab: i64,
    /// Longest row, in tokens.
    pub n_ctx: i64,
    /// The norm of the blocks.
    pub norm: NormKind,
    /// The norm before the unembedding.
    pub final_norm: NormKind,
    /// Added under the norms' square root.
    pub eps: f64,
    /// The MLP's activation function.
    pub activation: Activation,
    /// Whether the MLP multiplies two branches.
    pub gated_mlp: bool,
    /// Whether blocks have no MLP.
    pub attn_only: bool,
    /// Whether attention and MLP read the same input and are added together.
    pub parallel: bool,
    /// Whether norms follow attention and MLP (Gemma 2).
    pub post_norms: bool,
    /// How positions enter.
    pub positions: Positions,
    /// Scores are multiplied by this, per block.
    pub attn_scales: Vec<f64>,
    /// Scores become cap * tanh(scores / cap).
    pub attn_soft_cap: Option<f64>,
    /// Logits become cap * tanh(logits / cap).
    pub logit_soft_cap: Option<f64>,
    /// Per block, how many positions back attention reaches, itself included; `None` is all.
    pub windows: Vec<Option<i64>>,
    /// Embeddings are multiplied by this.
    pub embed_scale: Option<f64>,
    /// Whether the unembedding is the embedding.
    pub tied: bool,
    /// Begins a text, if the tokenizer has one.
    pub bos_token_id: Option<i64>,
    /// Ends a text.
    pub eos_token_id: Option<i64>,
}

/// The largest width or count that a config may claim; it only keeps products from overflowing.
const MAX_WIDTH: i64 = 1 << 24;

impl ModelConfig {
    /// Reads `config.json` in a checkpoint folder; no weights are touched.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        let config = |reason: String| ModelError::Config { reason, path: path.clone() };
        let text = fs::read_to_string(&path).map_err(|error| config(format!("no config: {error}")))?;
        let json: Value =
            serde_json::from_str(&text).map_err(|error| config(format!("config is not JSON: {error}")))?;
        let folder_name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
        let fields = Fields { json: &json, path: &path };
        let mut read = families::config(&fields)?;
        read.name = fields.text("_name_or_path").filter(|name| !name.is_empty()).unwrap_or(folder_name);
        read.check().map_err(config)?;
        Ok(read)
    }

    fn check(&self) -> Result<(), String> {
        let counts = [
            ("n_layers", self.n_layers),
            ("d_model", self.d_model),
            ("n_heads", self.n_heads),
            ("n_kv_heads", self.n_kv_heads),
            ("d_head", self.d_head),
            ("d_vocab", self.d_vocab),
            ("n_ctx", self.n_ctx),
            ("d_mlp", if self.attn_only { 1 } else { self.d_mlp }),
        ];
        for (name, count) in counts {
            if !(1..=MAX_WIDTH).contains(&count) {
                return Err(format!("config has {name} {count}, expected 1 to {MAX_WIDTH}"));
            }
        }
        if self.n_heads % self.n_kv_heads != 0 {
            return Err(format!("config has {} heads and {} key heads", self.n_heads, self.n_kv_heads));
        }
        if let Positions::Rotary { n_dims, .. } = self.positions
            && (n_dims % 2 != 0 || !(0..=self.d_head).contains(&n_dims))
        {
            return Err(format!("config rotates {n_dims} of {} dimensions of a head", self.d_head));
        }
        Ok(())
    }

    /// The hook point of this name, or an error with those that exist and the nearest.
    pub fn hook_point(&self, name: &str) -> Result<HookPoint, ModelError> {
        if let Some(hook) = HookPoint::parse(name)
            && self.has(hook)
        {
            return Ok(hook);
        }
        let all = self.hook_points();
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        let has = match HookPoint::parse(name) {
            Some(hook) if hook.layer >= self.n_layers => {
                format!("{} has blocks 0 to {}", self.name, self.n_layers - 1)
            }
            _ => format!("{} has {}", self.name, self.site_names()),
        };
        let nearest = nearest(name, names.iter().map(String::as_str)).unwrap_or_default().to_owned();
        Err(ModelError::NoHookPoint { name: name.to_owned(), has, nearest })
    }

    /// Every hook point, in the order in which a forward pass reaches them.
    pub fn hook_points(&self) -> Vec<HookPoint> {
        let ends = Site::ALL.into_iter().filter(|site| !site.in_block());
        let mut all: Vec<HookPoint> = ends.map(|site| HookPoint { layer: 0, site }).collect();
        for layer in 0..self.n_layers {
            let sites = Site::ALL.into_iter().filter(|site| site.in_block());
            all.extend(sites.map(|site| HookPoint { layer, site }));
        }
        all.retain(|hook| self.has(*hook));
        all
    }

    /// The width of the activation at a hook point.
    pub fn hook_width(&self, hook: &HookPoint) -> i64 {
        match hook.site {
            Site::Q | Site::Z => self.n_heads * self.d_head,
            Site::K | Site::V => self.n_kv_heads * self.d_head,
            Site::Pre | Site::PreLinear | Site::Post => self.d_mlp,
            _ => self.d_model,
        }
    }

    fn has(&self, hook: HookPoint) -> bool {
        let exists = match hook.site {
            Site::PosEmbed => self.positions == Positions::Learned,
            Site::ResidMid => !self.parallel && !self.attn_only,
            Site::PreLinear => self.gated_mlp && !self.attn_only,
            Site::Ln2Normalized
            | Site::MlpIn
            | Site::Pre
            | Site::Post
            | Site::MlpModuleOut
            | Site::MlpOut => !self.attn_only,
            _ => true,
        };
        exists && (0..self.n_layers).contains(&hook.layer)
    }

    fn site_names(&self) -> String {
        let names = Site::ALL.into_iter().filter(|site| self.has(HookPoint { layer: 0, site: *site }));
        let (blocks, ends): (Vec<Site>, Vec<Site>) = names.partition(|site| site.in_block());
        let list = |sites: &[Site]| sites.iter().map(|site| site.name()).collect::<Vec<_>>().join(", ");
        let last = self.n_layers - 1;
        format!("{}, and in blocks.0 to blocks.{last}: {}", list(&ends), list(&blocks))
    }
}

/// A config's fields, with errors that name them.
pub struct Fields<'a> {
    pub json: &'a Value,
    pub path: &'a Path,
}

impl Fields<'_> {
    pub fn int(&self, name: &str) -> Result<i64, ModelError> {
        self.maybe_int(name).ok_or_else(|| self.wrong(name, "an integer"))
    }

    pub fn maybe_int(&self, name: &str) -> Option<i64> {
        self.json.get(name).and_then(Value::as_i64)
    }

    pub fn float(&self, name: &str) -> Result<f64, ModelError> {
        self.maybe_float(name).ok_or_else(|| self.wrong(name, "a number"))
    }

    pub fn maybe_float(&self, name: &str) -> Option<f64> {
        self.json.get(name).and_then(Value::as_f64)
    }

    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.json.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.json.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    /// A token id, or the first of a list of them.
    pub fn token_id(&self, name: &str) -> Option<i64> {
        let value = self.json.get(name)?;
        value.as_i64().or_else(|| value.get(0)?.as_i64())
    }

    pub fn activation(&self, name: &str) -> Result<Activation, ModelError> {
        let got = self.text(name).unwrap_or_default();
        Ok(match got.as_str() {
            "relu" => Activation::Relu,
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
            "silu" | "swish" => Activation::Silu,
            "solu" => Activation::Solu,
            "solu_ln" => Activation::SoluLayerNorm,
            _ => {
                let expected = "relu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, silu, solu, solu_ln";
                return Err(self.unsupported("activation", got, expected));
            }
        })
    }

    pub fn wrong(&self, name: &str, expected: &str) -> ModelError {
        let got = self.json.get(name).map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let reason = format!("config has {got} as \"{name}\", expected {expected}");
        ModelError::Config { reason, path: self.path.to_owned() }
    }

    pub fn unsupported(&self, what: &'static str, got: String, expected: &'static str) -> ModelError {
        ModelError::Unsupported { what, got, expected, path: self.path.to_owned() }
    }
}
