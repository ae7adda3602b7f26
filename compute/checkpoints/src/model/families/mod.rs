//! One table of families: what `model_type` says, how the rest of the config is read, and where the
//! checkpoint keeps each weight.

mod gemma;
mod gpt;
mod llama;
mod mixtures;
mod transformer_lens;

use super::names::{self, Names};
use super::{
    AttentionConfig, Biases, ConfigError, Ffn, Fields, LayerConfig, MAX_LAYERS, ModelConfig, NormKind,
    NormOrder, Parallel, QkNorm, Rope, rope::RopeDefaults,
};
use serde::{Deserialize, Serialize};

/// A family of checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// GPT-2.
    Gpt2,
    /// GPT-Neo.
    GptNeo,
    /// GPT-J.
    GptJ,
    /// GPT-NeoX and Pythia.
    GptNeox,
    /// OPT with norms before attention and MLP.
    Opt,
    /// Phi 1, 1.5 and 2.
    Phi,
    /// Phi 3, 3.5 and 4.
    Phi3,
    /// Llama 1 to 3.
    Llama,
    /// Mistral.
    Mistral,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    /// Qwen3.
    Qwen3,
    /// Qwen3's mixtures of experts.
    Qwen3Moe,
    /// OLMo 2.
    Olmo2,
    /// Gemma.
    Gemma,
    /// Gemma 2.
    Gemma2,
    /// Gemma 3, also inside a multimodal checkpoint.
    Gemma3,
    /// gpt-oss.
    GptOss,
    /// TransformerLens's own GELU-nL, SoLU-nL and attention-only models.
    TransformerLens,
}

type Read = fn(&Fields<'_>, Family) -> Result<ModelConfig, ConfigError>;

/// The table: `model_type`, family, reader, names of weights. TransformerLens's own have no `model_type`
/// and lay heads apart, so they are read by code of their own.
const FAMILIES: [(&str, Family, Read, Names); 18] = [
    ("gpt2", Family::Gpt2, gpt::gpt2, names::GPT2),
    ("gpt_neo", Family::GptNeo, gpt::gpt_neo, names::GPT_NEO),
    ("gptj", Family::GptJ, gpt::gptj, names::GPTJ),
    ("gpt_neox", Family::GptNeox, gpt::gpt_neox, names::GPT_NEOX),
    ("opt", Family::Opt, gpt::opt, names::OPT),
    ("phi", Family::Phi, gpt::phi, names::PHI),
    ("phi3", Family::Phi3, llama::phi3, names::PHI3),
    ("llama", Family::Llama, llama::llama, names::LLAMA),
    ("mistral", Family::Mistral, llama::llama, names::LLAMA),
    ("qwen2", Family::Qwen2, llama::llama, names::LLAMA),
    ("qwen3", Family::Qwen3, llama::qwen3, names::LLAMA),
    ("qwen3_moe", Family::Qwen3Moe, mixtures::qwen3_moe, names::LLAMA),
    ("olmo2", Family::Olmo2, llama::olmo2, names::POST_NORMS),
    ("gemma", Family::Gemma, gemma::gemma, names::LLAMA),
    ("gemma2", Family::Gemma2, gemma::gemma2, names::POST_NORMS),
    ("gemma3_text", Family::Gemma3, gemma::gemma3, names::POST_NORMS),
    ("gemma3", Family::Gemma3, gemma::multimodal, names::POST_NORMS),
    ("gpt_oss", Family::GptOss, mixtures::gpt_oss, names::GPT_OSS),
];

impl Family {
    /// Name in bundles and messages: Hugging Face's `model_type`, where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::TransformerLens => "transformer_lens",
            Self::Gemma3 => "gemma3",
            _ => FAMILIES.iter().find(|row| row.1 == self).map_or("", |row| row.0),
        }
    }

    /// Whether models of a `model_type` are read.
    pub fn reads(model_type: &str) -> bool {
        FAMILIES.iter().any(|row| row.0 == model_type)
    }

    /// Where the checkpoint keeps each weight; `None` for TransformerLens's own.
    pub fn names(self) -> Option<&'static Names> {
        FAMILIES.iter().find(|row| row.1 == self).map(|row| &row.3)
    }
}

/// Reads a config by its `model_type`.
pub fn read(fields: &Fields<'_>) -> Result<ModelConfig, ConfigError> {
    let model_type = fields.text("model_type")?;
    if model_type.is_none() && fields.get("act_fn").is_some() {
        return transformer_lens::read(fields);
    }
    let Some((_, family, read, _)) = FAMILIES.iter().find(|row| Some(row.0) == model_type) else {
        let known: Vec<&str> = FAMILIES.iter().map(|row| row.0).collect();
        let expected = format!("one of {}, or a TransformerLens config", known.join(", "));
        return Err(fields.unsupported("model_type", &expected));
    };
    refuse_quantized(fields, *family)?;
    read(fields, *family)
}

/// Weights that were packed to fewer bits are read as what they are only where the family's format says how.
fn refuse_quantized(fields: &Fields<'_>, family: Family) -> Result<(), ConfigError> {
    let Some(section) = fields.section("quantization_config.")? else { return Ok(()) };
    if family == Family::GptOss && section.text("quant_method")? == Some("mxfp4") {
        return Ok(());
    }
    let expected = "no such packing of weights; take the checkpoint in bfloat16, float16 or float32";
    Err(section.unsupported("quant_method", expected))
}

/// What most configs of Hugging Face call alike.
struct Widths {
    n_layers: i64,
    d_model: i64,
    n_heads: i64,
    n_kv_heads: i64,
    d_head: i64,
    d_vocab: i64,
    n_ctx: i64,
}

impl Widths {
    fn read(fields: &Fields<'_>) -> Result<Self, ConfigError> {
        let (d_model, n_heads) = (fields.int("hidden_size")?, fields.int("num_attention_heads")?);
        Ok(Self {
            n_layers: n_layers(fields, "num_hidden_layers")?,
            d_model,
            n_heads,
            n_kv_heads: fields.maybe_int("num_key_value_heads")?.unwrap_or(n_heads),
            d_head: match fields.maybe_int("head_dim")? {
                Some(d_head) => d_head,
                None => d_head(fields, d_model, n_heads)?,
            },
            d_vocab: fields.int("vocab_size")?,
            n_ctx: fields.int("max_position_embeddings")?,
        })
    }

    /// A decoder of layers that are alike: RMSNorm before attention and MLP, nothing biased.
    fn decoder(
        self,
        fields: &Fields<'_>,
        family: Family,
        layers: Vec<LayerConfig>,
    ) -> Result<ModelConfig, ConfigError> {
        Ok(ModelConfig {
            family,
            name: String::new(),
            d_model: self.d_model,
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            d_head: self.d_head,
            d_vocab: self.d_vocab,
            n_ctx: self.n_ctx,
            norm: NormKind::Rms,
            final_norm: NormKind::Rms,
            eps: fields.maybe_float("rms_norm_eps")?.unwrap_or(1e-6),
            norm_order: NormOrder::Before,
            parallel: Parallel::No,
            biases: Biases::NONE,
            learned_positions: None,
            layers,
            logit_soft_cap: None,
            embed_scale: None,
            tied: fields.flag("tie_word_embeddings", false)?,
            bos_token_id: fields.token_id("bos_token_id")?,
            eos_token_id: fields.token_id("eos_token_id")?,
            tokenizer_name: None,
        })
    }
}

/// Attention as most families have it.
fn attention(d_head: i64, rope: Option<Rope>) -> AttentionConfig {
    let scale = (d_head as f64).powf(-0.5);
    AttentionConfig { scale, soft_cap: None, window: None, rope, qk_norm: QkNorm::None, sinks: false }
}

/// Layers that are alike.
fn alike(n_layers: i64, attention: &AttentionConfig, ffn: &Ffn) -> Vec<LayerConfig> {
    (0..n_layers).map(|_| LayerConfig { attention: attention.clone(), ffn: ffn.clone() }).collect()
}

fn n_layers(fields: &Fields<'_>, name: &str) -> Result<i64, ConfigError> {
    let n_layers = fields.int(name)?;
    if (1..=MAX_LAYERS).contains(&n_layers) {
        return Ok(n_layers);
    }
    Err(fields.invalid(format!("config has n_layers {n_layers}, expected 1 to {MAX_LAYERS}")))
}

/// The share of the residual stream that each head has.
fn d_head(fields: &Fields<'_>, d_model: i64, n_heads: i64) -> Result<i64, ConfigError> {
    if n_heads > 0 && d_model % n_heads == 0 {
        return Ok(d_model / n_heads);
    }
    Err(fields.invalid(format!("config has {n_heads} heads for a width of {d_model}, expected a divisor")))
}

/// How far a layer's attention reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Full,
    Sliding,
}

impl Reach {
    /// transformers' word, under which rotary settings may stand.
    fn layer_type(self) -> &'static str {
        match self {
            Self::Full => "full_attention",
            Self::Sliding => "sliding_attention",
        }
    }
}

/// Each layer's reach: `layer_types`, else as the family has it.
fn reaches(
    fields: &Fields<'_>,
    n_layers: i64,
    default: impl Fn(i64) -> Reach,
) -> Result<Vec<Reach>, ConfigError> {
    let Some(types) = fields.texts("layer_types")? else { return Ok((0..n_layers).map(default).collect()) };
    if types.len() as i64 != n_layers {
        let reason = format!("config has {} \"layer_types\" for {n_layers} layers", types.len());
        return Err(fields.invalid(reason));
    }
    let reach = |name: &&str| match *name {
        "full_attention" => Ok(Reach::Full),
        "sliding_attention" => Ok(Reach::Sliding),
        _ => Err(fields.unsupported("layer_types", "full_attention and sliding_attention")),
    };
    types.iter().map(reach).collect()
}

/// Layers that differ in reach, and in rotations if those are set per layer type.
fn reaching(
    fields: &Fields<'_>,
    widths: &Widths,
    reaches: &[Reach],
    window: Option<i64>,
    rope: impl Fn(Reach) -> RopeDefaults,
    (attention, ffn): (&AttentionConfig, &Ffn),
) -> Result<Vec<LayerConfig>, ConfigError> {
    let layer = |reach: &Reach| {
        let rope = Rope::read(fields, reach.layer_type(), widths.d_head, rope(*reach))?;
        let window = match (reach, window) {
            (Reach::Full, _) => None,
            (Reach::Sliding, Some(window)) => Some(window),
            (Reach::Sliding, None) => {
                return Err(fields.wrong("sliding_window", "the reach of its sliding layers, in tokens"));
            }
        };
        let attention = AttentionConfig { window, rope: Some(rope), ..attention.clone() };
        Ok(LayerConfig { attention, ffn: ffn.clone() })
    };
    reaches.iter().map(layer).collect()
}
