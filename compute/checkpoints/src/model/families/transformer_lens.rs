//! TransformerLens's own models (GELU-1L to 4L, SoLU, attention-only): its own settings, no `model_type`.

use super::{Family, Widths, alike, attention, n_layers};
use crate::model::{
    Biases, ConfigError, Ffn, Fields, LearnedPositions, MlpConfig, ModelConfig, NormKind, Parallel,
};

pub fn read(fields: &Fields<'_>) -> Result<ModelConfig, ConfigError> {
    fields.only("positional_embedding_type", "standard")?;
    fields.only("attention_dir", "causal")?;
    for setting in ["shortformer_pos", "gated_mlp", "use_local_attn", "post_embedding_ln"] {
        fields.only(setting, false)?;
    }
    let (d_model, d_head) = (fields.int("d_model")?, fields.int("d_head")?);
    // TransformerLens writes -1 for what follows from other settings.
    let set = |name: &str| Ok::<_, ConfigError>(fields.maybe_int(name)?.filter(|n| *n != -1));
    let n_heads = set("n_heads")?.unwrap_or(d_model / d_head.max(1));
    let widths = Widths {
        n_layers: n_layers(fields, "n_layers")?,
        d_model,
        n_heads,
        n_kv_heads: n_heads,
        d_head,
        d_vocab: fields.int("d_vocab")?,
        n_ctx: fields.int("n_ctx")?,
    };
    for (name, only) in [("n_key_value_heads", n_heads), ("d_vocab_out", widths.d_vocab)] {
        if set(name)?.is_some() {
            fields.only(name, only)?;
        }
    }
    let mut attention = attention(widths.d_head, None);
    match fields.maybe_float("attn_scale")? {
        Some(scale) if scale > 0.0 => attention.scale = 1.0 / scale,
        _ if !fields.flag("use_attn_scale", true)? => attention.scale = 1.0,
        _ => {}
    }
    let ffn = if fields.flag("attn_only", false)? {
        Ffn::None
    } else {
        let activation = fields.activation("act_fn")?;
        Ffn::Mlp(MlpConfig {
            d_mlp: set("d_mlp")?.unwrap_or(d_model.saturating_mul(4)),
            activation,
            gated: false,
        })
    };
    let mut layers = alike(widths.n_layers, &attention, &ffn);
    if fields.flag("scale_attn_by_inverse_layer_idx", false)? {
        for (n, layer) in (1..).zip(&mut layers) {
            layer.attention.scale /= f64::from(n);
        }
    }
    let norm = norm_kind(fields)?;
    let config = widths.decoder(fields, Family::TransformerLens, layers)?;
    let parallel = fields.flag("parallel_attn_mlp", false)?;
    Ok(ModelConfig {
        norm,
        final_norm: if fields.flag("final_rms", false)? { NormKind::Rms } else { norm },
        eps: fields.maybe_float("eps")?.unwrap_or(1e-5),
        parallel: if parallel { Parallel::TwoNorms } else { Parallel::No },
        biases: Biases { unembed: true, ..Biases::BLOCKS },
        learned_positions: Some(LearnedPositions { offset: 0 }),
        tied: false,
        tokenizer_name: fields.text("tokenizer_name")?.map(str::to_owned),
        ..config
    })
}

fn norm_kind(fields: &Fields<'_>) -> Result<NormKind, ConfigError> {
    let name = match fields.get("normalization_type") {
        Some(_) => "normalization_type",
        None => "normalization",
    };
    match fields.text(name)? {
        None | Some("LN" | "LNPre") => Ok(NormKind::Layer),
        Some("RMS" | "RMSPre") => Ok(NormKind::Rms),
        Some(_) => Err(fields.unsupported(name, "LN, LNPre, RMS or RMSPre")),
    }
}
