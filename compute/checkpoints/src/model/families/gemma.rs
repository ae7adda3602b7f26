//! Gemma, Gemma 2 and Gemma 3: scaled embeddings and norms of gain `1 + w`. Gemma 2 adds soft-caps, norms
//! after attention and MLP, and windows in every other layer; Gemma 3 norms of queries and keys, windows in
//! five layers of six, and another rotary base in them.

use super::{Family, Reach, Widths, attention, n_layers, reaches, reaching};
use crate::model::rope::RopeDefaults;
use crate::model::{
    Activation, AttentionConfig, Biases, ConfigError, Ffn, Fields, LayerConfig, MlpConfig, ModelConfig,
    NormKind, NormOrder, QkNorm,
};

pub fn gemma(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    let widths = widths(fields)?;
    let (attention, ffn) = (attention(widths.d_head, None), mlp(fields)?);
    let full = reaches(fields, widths.n_layers, |_| Reach::Full)?;
    let plain = |_| RopeDefaults::PLAIN;
    let layers = reaching(fields, &widths, &full, None, plain, (&attention, &ffn))?;
    scaled(widths, fields, family, layers)
}

pub fn gemma2(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    let widths = widths(fields)?;
    let (attention, ffn) = (capped(fields)?, mlp(fields)?);
    let sliding = |layer: i64| if layer % 2 == 0 { Reach::Sliding } else { Reach::Full };
    let reaches = reaches(fields, widths.n_layers, sliding)?;
    let window = Some(fields.maybe_int("sliding_window")?.unwrap_or(4096));
    let plain = |_| RopeDefaults::PLAIN;
    let layers = reaching(fields, &widths, &reaches, window, plain, (&attention, &ffn))?;
    Ok(ModelConfig {
        norm_order: NormOrder::Both,
        logit_soft_cap: fields.maybe_float("final_logit_softcapping")?,
        ..scaled(widths, fields, family, layers)?
    })
}

pub fn gemma3(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    fields.only("use_bidirectional_attention", false)?;
    let widths = widths(fields)?;
    let attention = AttentionConfig { qk_norm: QkNorm::Head, ..capped(fields)? };
    let ffn = mlp(fields)?;
    let every = match fields.maybe_int("sliding_window_pattern")? {
        Some(every) => every,
        None => fields.maybe_int("_sliding_window_pattern")?.unwrap_or(6),
    };
    if every < 1 {
        return Err(fields.wrong("sliding_window_pattern", "1 or more"));
    }
    let sliding = |layer: i64| if (layer + 1) % every == 0 { Reach::Full } else { Reach::Sliding };
    let reaches = reaches(fields, widths.n_layers, sliding)?;
    let window = Some(fields.maybe_int("sliding_window")?.unwrap_or(4096));
    let rope = |reach| match reach {
        Reach::Full => RopeDefaults { theta: 1e6, ..RopeDefaults::PLAIN },
        Reach::Sliding => {
            RopeDefaults { theta_names: &["rope_local_base_freq"], flat: false, ..RopeDefaults::PLAIN }
        }
    };
    let layers = reaching(fields, &widths, &reaches, window, rope, (&attention, &ffn))?;
    let config = scaled(widths, fields, family, layers)?;
    Ok(ModelConfig {
        norm_order: NormOrder::Both,
        logit_soft_cap: fields.maybe_float("final_logit_softcapping")?,
        bos_token_id: config.bos_token_id.or(Some(2)),
        eos_token_id: config.eos_token_id.or(Some(1)),
        ..config
    })
}

/// Gemma 3 that also reads images: the language model's own settings are in `text_config`.
pub fn multimodal(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    let Some(text) = fields.section("text_config.")? else {
        return Err(fields.wrong("text_config", "an object with the language model's settings"));
    };
    text.only("model_type", "gemma3_text")?;
    let config = gemma3(&text, family)?;
    let token = |name, own: Option<i64>| match text.get(name) {
        Some(_) => Ok(own),
        None => Ok::<_, ConfigError>(fields.token_id(name)?.or(own)),
    };
    Ok(ModelConfig {
        bos_token_id: token("bos_token_id", config.bos_token_id)?,
        eos_token_id: token("eos_token_id", config.eos_token_id)?,
        tied: config.tied && fields.flag("tie_word_embeddings", true)?,
        ..config
    })
}

/// What a `text_config` leaves out is what transformers has by default for Gemma 3.
fn widths(fields: &Fields<'_>) -> Result<Widths, ConfigError> {
    let or = |name: &str, default: i64| Ok::<_, ConfigError>(fields.maybe_int(name)?.unwrap_or(default));
    let n_heads = or("num_attention_heads", 8)?;
    let n_kv_heads = if fields.get("num_attention_heads").is_some() { n_heads } else { 4 };
    Ok(Widths {
        n_layers: n_layers(fields, "num_hidden_layers")?,
        d_model: fields.int("hidden_size")?,
        n_heads,
        n_kv_heads: or("num_key_value_heads", n_kv_heads)?,
        d_head: or("head_dim", 256)?,
        d_vocab: or("vocab_size", 262_208)?,
        n_ctx: or("max_position_embeddings", 131_072)?,
    })
}

/// Attention with a scale of its own and, in Gemma 2, a soft-cap.
fn capped(fields: &Fields<'_>) -> Result<AttentionConfig, ConfigError> {
    let scale = fields.maybe_float("query_pre_attn_scalar")?.unwrap_or(256.0).powf(-0.5);
    let soft_cap = fields.maybe_float("attn_logit_softcapping")?;
    Ok(AttentionConfig { scale, soft_cap, ..attention(1, None) })
}

/// Gemma's first configs said "gelu" in `hidden_act` and meant the tanh form, as transformers reads them.
fn mlp(fields: &Fields<'_>) -> Result<Ffn, ConfigError> {
    let activation = match fields.get("hidden_activation") {
        Some(_) => fields.activation("hidden_activation")?,
        None => Activation::GeluTanh,
    };
    Ok(Ffn::Mlp(MlpConfig { d_mlp: fields.int("intermediate_size")?, activation, gated: true }))
}

fn scaled(
    widths: Widths,
    fields: &Fields<'_>,
    family: Family,
    layers: Vec<LayerConfig>,
) -> Result<ModelConfig, ConfigError> {
    let biased = fields.flag("attention_bias", false)?;
    let embed_scale = Some((widths.d_model as f64).sqrt());
    Ok(ModelConfig {
        norm: NormKind::RmsPlusOne,
        final_norm: NormKind::RmsPlusOne,
        embed_scale,
        biases: Biases { qkv: biased, o: biased, ..Biases::NONE },
        tied: fields.flag("tie_word_embeddings", true)?,
        ..widths.decoder(fields, family, layers)?
    })
}
