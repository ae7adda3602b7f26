//! What a model is, read from `config.json` without its weights, and where it can be read.
//!
//! | file | what it knows |
//! |---|---|
//! | `fields.rs` | missing fields and fields of another type |
//! | `rope.rs` | rotary positions in every form |
//! | `families/`, `names.rs` | one table of families: what each one's config means, and where its checkpoint keeps each weight |
//! | `hook_point.rs`, `module_path.rs` | hook points by TransformerLens's names and by the paths of transformers' modules |
//! | `aliases.rs` | models by the names that TransformerLens gives them |

pub mod aliases;
mod error;
mod families;
mod fields;
mod hook_point;
mod module_path;
mod names;
mod rope;

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

use serde_json::Value;

pub use error::ConfigError;
pub use families::Family;
use fields::Fields;
pub use hook_point::{HookPoint, Site};
pub use names::{Experts, MlpNames, Names, Qkv};
pub use rope::{Rope, RopePairs, RopeScaling};

/// How a norm centres and scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormKind {
    /// LayerNorm: less the mean, over the standard deviation.
    Layer,
    /// RMSNorm: over the root mean square.
    Rms,
    /// RMSNorm whose gain is stored less 1, as Gemma's.
    RmsPlusOne,
}

impl NormKind {
    /// Whether the mean is subtracted.
    pub fn is_centred(self) -> bool {
        self == Self::Layer
    }
}

/// An activation function of the MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Where a block normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormOrder {
    /// What attention and MLP read.
    Before,
    /// What they read and what they write (Gemma 2 and 3).
    Both,
    /// What they write (OLMo 2).
    After,
}

impl NormOrder {
    /// Whether what attention and MLP read is normalised.
    pub fn before(self) -> bool {
        self != Self::After
    }

    /// Whether what attention and MLP write is normalised before it is added.
    pub fn after(self) -> bool {
        self != Self::Before
    }
}

/// Whether attention and MLP read the same residual stream and are added together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parallel {
    /// The MLP reads what attention has added to.
    No,
    /// Both read the block's input, each through its own norm (Pythia).
    TwoNorms,
    /// Both read the block's input through one norm (GPT-J, Phi).
    OneNorm,
}

/// Which linear maps have biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Biases {
    /// Queries, keys and values.
    pub qkv: bool,
    /// Attention's output.
    pub o: bool,
    /// The MLP's maps.
    pub mlp: bool,
    /// The unembedding.
    pub unembed: bool,
}

impl Biases {
    const NONE: Self = Self { qkv: false, o: false, mlp: false, unembed: false };
    const BLOCKS: Self = Self { qkv: true, o: true, mlp: true, unembed: false };
}

/// Norms of queries and keys, before they rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QkNorm {
    /// None.
    None,
    /// Over each head.
    Head,
    /// Over all heads together (OLMo 2).
    Whole,
}

/// A layer's attention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionConfig {
    /// Scores are multiplied by this.
    pub scale: f64,
    /// Scores become cap * tanh(scores / cap).
    pub soft_cap: Option<f64>,
    /// How many positions back attention reaches, itself included; `None` is all.
    pub window: Option<i64>,
    /// Rotations of queries and keys.
    pub rope: Option<Rope>,
    /// Norms of queries and keys.
    pub qk_norm: QkNorm,
    /// Whether each head has a score for attending to nothing (gpt-oss).
    pub sinks: bool,
}

/// What follows attention in a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ffn {
    /// Nothing: an attention-only model.
    None,
    /// One MLP.
    Mlp(MlpConfig),
    /// A mixture of experts.
    Moe(MoeConfig),
}

/// A dense MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MlpConfig {
    /// Neurons.
    pub d_mlp: i64,
    /// Of the neurons, or of the gate.
    pub activation: Activation,
    /// Whether two branches are multiplied.
    pub gated: bool,
}

/// A mixture of experts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MoeConfig {
    /// Experts in the layer.
    pub n_experts: i64,
    /// Experts that each token goes through.
    pub n_active: i64,
    /// Neurons of an expert.
    pub d_mlp: i64,
    /// How an expert multiplies its two branches.
    pub gate: Gate,
    /// How experts are chosen and weighed.
    pub router: Router,
}

/// How two branches become neurons.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Gate {
    /// act(gate) * up.
    Plain(Activation),
    /// gate * sigmoid(alpha * gate) * (up + 1), both clamped at `limit` first (gpt-oss).
    Clamped {
        /// Steepness of the sigmoid.
        alpha: f64,
        /// The gate is clamped from above, the other branch from both sides.
        limit: f64,
    },
}

/// How experts are chosen and weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Router {
    /// Softmax over all experts, then the largest; `renormalise` makes them sum to 1.
    SoftmaxFirst {
        /// Whether the chosen experts' weights are divided by their sum.
        renormalise: bool,
    },
    /// The largest, then softmax over them.
    TopFirst,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerConfig {
    /// Its attention.
    pub attention: AttentionConfig,
    /// What follows.
    pub ffn: Ffn,
}

/// How learned positions are added to the token's embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedPositions {
    /// Rows of the table before the first position's (OPT: 2).
    pub offset: i64,
}

/// Everything about a model but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Which row of the table of families reads its checkpoint.
    pub family: Family,
    /// `_name_or_path`, else the folder's name.
    pub name: String,
    /// Width of the residual stream.
    pub d_model: i64,
    /// Query heads per layer.
    pub n_heads: i64,
    /// Key and value heads per layer; a divisor of `n_heads`.
    pub n_kv_heads: i64,
    /// Width of a head.
    pub d_head: i64,
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
    /// Where blocks normalise.
    pub norm_order: NormOrder,
    /// Whether attention and MLP read the same input and are added together.
    pub parallel: Parallel,
    /// Which linear maps have biases.
    pub biases: Biases,
    /// Positions that are added to the token's embedding; rotary ones are the layers'.
    pub learned_positions: Option<LearnedPositions>,
    /// The layers, in order.
    pub layers: Vec<LayerConfig>,
    /// Logits become cap * tanh(logits / cap).
    pub logit_soft_cap: Option<f64>,
    /// Embeddings are multiplied by this.
    pub embed_scale: Option<f64>,
    /// Whether the unembedding is the embedding.
    pub tied: bool,
    /// Begins a text, if the tokenizer has one.
    pub bos_token_id: Option<i64>,
    /// Ends a text.
    pub eos_token_id: Option<i64>,
    /// The hub's name of the tokenizer, where the config has one beside the model's (TransformerLens's own).
    pub tokenizer_name: Option<String>,
}

/// The largest width or count that a config may claim; it only keeps products from overflowing.
const MAX_WIDTH: i64 = 1 << 24;
/// The most bytes of a `config.json`.
const MAX_CONFIG_BYTES: u64 = 4 << 20;
/// The most layers that a config may claim.
const MAX_LAYERS: i64 = 4096;

impl ModelConfig {
    /// Reads `config.json` in a checkpoint folder; no weights are touched.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join("config.json");
        let wrong = |reason: String| ConfigError::Config { reason, path: path.clone() };
        let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if len > MAX_CONFIG_BYTES {
            return Err(wrong(format!("config has {len} bytes, no config is that long")));
        }
        let text = fs::read_to_string(&path).map_err(|error| wrong(no_config(folder, &error)))?;
        let json: Value =
            serde_json::from_str(&text).map_err(|error| wrong(format!("config is not JSON: {error}")))?;
        let fields = Fields::new(&json, &path)?;
        let mut config = families::read(&fields)?;
        let folder_name =
            || folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
        let name = fields.text("_name_or_path")?.filter(|name| !name.is_empty());
        config.name = name.map_or_else(folder_name, str::to_owned);
        config.check().map_err(wrong)?;
        Ok(config)
    }

    /// How many layers, called blocks in hook points' names.
    pub fn n_layers(&self) -> i64 {
        self.layers.len() as i64
    }

    fn check(&self) -> Result<(), String> {
        let mut counts = vec![
            ("d_model", self.d_model),
            ("n_heads", self.n_heads),
            ("n_kv_heads", self.n_kv_heads),
            ("d_head", self.d_head),
            ("d_vocab", self.d_vocab),
            ("n_ctx", self.n_ctx),
        ];
        for layer in &self.layers {
            counts.extend(layer.attention.window.map(|window| ("sliding_window", window)));
            match layer.ffn {
                Ffn::None => {}
                Ffn::Mlp(mlp) => counts.push(("d_mlp", mlp.d_mlp)),
                Ffn::Moe(moe) => counts.extend([("d_mlp", moe.d_mlp), ("n_experts", moe.n_experts)]),
            }
        }
        for (name, count) in counts {
            if !(1..=MAX_WIDTH).contains(&count) {
                return Err(format!("config has {name} {count}, expected 1 to {MAX_WIDTH}"));
            }
        }
        if self.n_heads % self.n_kv_heads != 0 {
            return Err(format!("config has {} heads and {} key heads", self.n_heads, self.n_kv_heads));
        }
        if !(self.eps >= 0.0 && self.eps.is_finite()) {
            return Err(format!("config has a norm epsilon of {}, expected 0 or more", self.eps));
        }
        for layer in &self.layers {
            if let Ffn::Moe(moe) = layer.ffn
                && !(1..=moe.n_experts).contains(&moe.n_active)
            {
                return Err(format!("config sends a token to {} of {} experts", moe.n_active, moe.n_experts));
            }
        }
        Ok(())
    }
}

/// Why there is no config, with what is there instead.
fn no_config(folder: &Path, error: &std::io::Error) -> String {
    if folder.is_file() {
        return "this is a file, expected a folder with config.json and weights".to_owned();
    }
    let sae_files = ["cfg.json", "sae_weights.safetensors", "ae.pt", "params.npz", "hyperparams.json"];
    match sae_files.into_iter().find(|name| folder.join(name).is_file()) {
        Some(name) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("no config.json, but {name}: this looks like an SAE; are --model and --sae swapped?")
        }
        None if error.kind() == std::io::ErrorKind::NotFound => {
            "no config.json in the folder, expected a model as transformers saves it (config.json, weights, \
             tokenizer.json): give that folder, or fetch the missing file from where the weights came from"
                .to_owned()
        }
        _ => format!("cannot read the config: {error}"),
    }
}
