//! Mixtures of experts: Qwen3's, and gpt-oss with attention sinks.

use super::llama::{gated, reaches_of, window};
use super::{Family, Reach, Widths, attention, reaches, reaching};
use crate::model::rope::RopeDefaults;
use crate::model::{
    AttentionConfig, Biases, ConfigError, Ffn, Fields, Gate, ModelConfig, MoeConfig, QkNorm, Router,
};

/// Qwen3 with experts in all layers but those that `mlp_only_layers` and `decoder_sparse_step` leave dense.
pub fn qwen3_moe(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    let widths = Widths::read(fields)?;
    let n_experts = match fields.maybe_int("num_experts")? {
        Some(n_experts) => n_experts,
        None => fields.int("num_local_experts")?,
    };
    let moe = Ffn::Moe(MoeConfig {
        n_experts,
        n_active: fields.maybe_int("num_experts_per_tok")?.unwrap_or(8),
        d_mlp: fields.int("moe_intermediate_size")?,
        gate: Gate::Plain(fields.activation("hidden_act")?),
        router: Router::SoftmaxFirst { renormalise: fields.flag("norm_topk_prob", false)? },
    });
    let attention = AttentionConfig { qk_norm: QkNorm::Head, ..attention(widths.d_head, None) };
    let reaches = reaches_of(fields, family, widths.n_layers)?;
    let plain = |_| RopeDefaults::PLAIN;
    let window = window(fields, family)?;
    let mut layers = reaching(fields, &widths, &reaches, window, plain, (&attention, &moe))?;
    let dense = fields.ints("mlp_only_layers")?.unwrap_or_default();
    let step = fields.maybe_int("decoder_sparse_step")?.unwrap_or(1);
    if step < 1 {
        return Err(fields.wrong("decoder_sparse_step", "1 or more"));
    }
    for (n, layer) in (0..).zip(&mut layers) {
        if dense.contains(&n) || (n + 1) % step != 0 {
            layer.ffn = gated(fields)?;
        }
    }
    let biased = fields.flag("attention_bias", false)?;
    let biases = Biases { qkv: biased, o: biased, ..Biases::NONE };
    Ok(ModelConfig { biases, ..widths.decoder(fields, family, layers)? })
}

/// Sinks, windows in every other layer, YaRN, clamped gates.
pub fn gpt_oss(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    fields.only("hidden_act", "silu")?;
    let widths = Widths::read(fields)?;
    let moe = Ffn::Moe(MoeConfig {
        n_experts: fields.int("num_local_experts")?,
        n_active: match fields.maybe_int("num_experts_per_tok")? {
            Some(n_active) => n_active,
            None => fields.maybe_int("experts_per_token")?.unwrap_or(4),
        },
        d_mlp: fields.int("intermediate_size")?,
        gate: Gate::Clamped {
            alpha: fields.maybe_float("swiglu_alpha")?.unwrap_or(1.702),
            limit: fields.maybe_float("swiglu_limit")?.unwrap_or(7.0),
        },
        router: Router::TopFirst,
    });
    let attention = AttentionConfig { sinks: true, ..attention(widths.d_head, None) };
    let sliding = |layer: i64| if layer % 2 == 0 { Reach::Sliding } else { Reach::Full };
    let reaches = reaches(fields, widths.n_layers, sliding)?;
    let window = Some(fields.maybe_int("sliding_window")?.unwrap_or(128));
    let rope = |_| RopeDefaults { theta: 150_000.0, ..RopeDefaults::PLAIN };
    let layers = reaching(fields, &widths, &reaches, window, rope, (&attention, &moe))?;
    let biased = fields.flag("attention_bias", true)?;
    let biases = Biases { qkv: biased, o: biased, mlp: true, unembed: false };
    let eps = fields.maybe_float("rms_norm_eps")?.unwrap_or(1e-5);
    Ok(ModelConfig { eps, biases, ..widths.decoder(fields, family, layers)? })
}
