//! Llama and the families that followed it: rotated grouped heads, RMSNorm, gated MLPs.

use super::{Family, Reach, Widths, attention, reaches, reaching};
use crate::model::rope::RopeDefaults;
use crate::model::{Biases, ConfigError, Ffn, Fields, MlpConfig, ModelConfig, NormOrder, QkNorm};

/// Llama, Mistral and Qwen2, which differ in biases and windows.
pub fn llama(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    let widths = Widths::read(fields)?;
    let reaches = reaches_of(fields, family, widths.n_layers)?;
    let window = window(fields, family)?;
    let (attention, ffn) = (attention(widths.d_head, None), gated(fields)?);
    let plain = |_| RopeDefaults::PLAIN;
    let layers = reaching(fields, &widths, &reaches, window, plain, (&attention, &ffn))?;
    let biased = fields.flag("attention_bias", false)?;
    let biases = Biases {
        qkv: family == Family::Qwen2 || biased,
        o: biased,
        mlp: fields.flag("mlp_bias", false)?,
        unembed: false,
    };
    Ok(ModelConfig { biases, ..widths.decoder(fields, family, layers)? })
}

/// Qwen3: norms over each head of queries and keys.
pub fn qwen3(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    with_qk_norms(fields, family, QkNorm::Head, NormOrder::Before)
}

/// OLMo 2: norms over all queries and all keys, and after attention and MLP instead of before.
pub fn olmo2(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    with_qk_norms(fields, family, QkNorm::Whole, NormOrder::After)
}

fn with_qk_norms(
    fields: &Fields<'_>,
    family: Family,
    qk_norm: QkNorm,
    norm_order: NormOrder,
) -> Result<ModelConfig, ConfigError> {
    let mut config = llama(fields, family)?;
    for layer in &mut config.layers {
        layer.attention.qk_norm = qk_norm;
    }
    Ok(ModelConfig { norm_order, ..config })
}

/// Phi 3: Llama with fused projections, a share of each head rotated, often LongRoPE.
pub fn phi3(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    llama(fields, family)
}

/// A gated MLP.
pub fn gated(fields: &Fields<'_>) -> Result<Ffn, ConfigError> {
    let activation = fields.activation("hidden_act")?;
    Ok(Ffn::Mlp(MlpConfig { d_mlp: fields.int("intermediate_size")?, activation, gated: true }))
}

/// `sliding_window`; Qwen's counts only if `use_sliding_window` says so.
pub fn window(fields: &Fields<'_>, family: Family) -> Result<Option<i64>, ConfigError> {
    let window = fields.maybe_int("sliding_window")?;
    let slides = match family {
        Family::Qwen2 | Family::Qwen3 | Family::Qwen3Moe => fields.flag("use_sliding_window", false)?,
        _ => true,
    };
    Ok(window.filter(|_| slides))
}

/// Mistral, Phi 3 and Qwen3's mixtures slide in every layer, Qwen2 and Qwen3 from `max_window_layers` on,
/// if they have a window; `layer_types` overrides.
pub fn reaches_of(fields: &Fields<'_>, family: Family, n_layers: i64) -> Result<Vec<Reach>, ConfigError> {
    let first = match (family, window(fields, family)?) {
        (Family::Mistral | Family::Phi3 | Family::Qwen3Moe, Some(_)) => 0,
        (Family::Qwen2 | Family::Qwen3, Some(_)) => fields.maybe_int("max_window_layers")?.unwrap_or(28),
        _ => n_layers,
    };
    reaches(fields, n_layers, |layer| if layer >= first { Reach::Sliding } else { Reach::Full })
}
