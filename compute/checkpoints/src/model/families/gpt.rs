//! GPT-2 and the families that followed it: LayerNorm, MLPs of one branch, biases.

use super::{Family, Widths, alike, attention, d_head, n_layers};
use crate::model::rope::{RopeDefaults, RopePairs};
use crate::model::{
    Biases, ConfigError, Ffn, Fields, LearnedPositions, MlpConfig, ModelConfig, NormKind, Parallel, Rope,
};

/// Learned positions, fused and transposed projections, tied embeddings.
pub fn gpt2(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    fields.only("add_cross_attention", false)?;
    let widths = Widths {
        n_ctx: fields.maybe_int("n_positions")?.map_or_else(|| fields.int("n_ctx"), Ok)?,
        ..older(fields, ["n_embd", "n_head", "n_layer"])?
    };
    let by_layer = fields.flag("scale_attn_by_inverse_layer_idx", false)?;
    let mut attention = attention(widths.d_head, None);
    if !fields.flag("scale_attn_weights", true)? {
        attention.scale = 1.0;
    }
    let mlp = plain_mlp(fields, "n_inner", "activation_function", widths.d_model)?;
    let mut layers = alike(widths.n_layers, &attention, &mlp);
    if by_layer {
        for (n, layer) in (1..).zip(&mut layers) {
            layer.attention.scale /= f64::from(n);
        }
    }
    let config = widths.decoder(fields, family, layers)?;
    Ok(ModelConfig {
        learned_positions: Some(LearnedPositions { offset: 0 }),
        tied: fields.flag("tie_word_embeddings", true)?,
        ..layer_norms(config, fields, "layer_norm_epsilon")?
    })
}

/// GPT-2 with attention that is not scaled, and windows in some layers.
pub fn gpt_neo(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    let widths = Widths {
        n_ctx: fields.int("max_position_embeddings")?,
        ..older(fields, ["hidden_size", "num_heads", "num_layers"])?
    };
    let mut attention = attention(widths.d_head, None);
    attention.scale = 1.0;
    let mlp = plain_mlp(fields, "intermediate_size", "activation_function", widths.d_model)?;
    let mut layers = alike(widths.n_layers, &attention, &mlp);
    let local = local_layers(fields)?;
    if local.len() != layers.len() {
        let reason = format!("config has {} kinds of attention for {} layers", local.len(), layers.len());
        return Err(fields.invalid(reason));
    }
    let window = fields.maybe_int("window_size")?.unwrap_or(256);
    for (layer, local) in layers.iter_mut().zip(local) {
        layer.attention.window = local.then_some(window);
    }
    let config = widths.decoder(fields, family, layers)?;
    let config = layer_norms(config, fields, "layer_norm_epsilon")?;
    Ok(ModelConfig {
        learned_positions: Some(LearnedPositions { offset: 0 }),
        tied: fields.flag("tie_word_embeddings", true)?,
        biases: Biases { qkv: false, ..config.biases },
        ..config
    })
}

/// Whether each layer is local: `attention_layers`, else `attention_types` written out.
fn local_layers(fields: &Fields<'_>) -> Result<Vec<bool>, ConfigError> {
    let expected = "a list of [kinds, times], as [[[\"global\", \"local\"], 12]]";
    let kinds = match fields.texts("attention_layers")? {
        Some(kinds) => kinds,
        None => fields
            .typed("attention_types", expected, |value| {
                let mut kinds = Vec::new();
                for pair in value.as_array()? {
                    let (group, times) = (pair.get(0)?.as_array()?, pair.get(1)?.as_u64()?);
                    let group = group.iter().map(serde_json::Value::as_str).collect::<Option<Vec<_>>>()?;
                    for _ in 0..times.min(super::MAX_LAYERS as u64) {
                        kinds.extend(&group);
                    }
                }
                Some(kinds)
            })?
            .ok_or_else(|| fields.wrong("attention_types", expected))?,
    };
    let is_local = |kind: &str| match kind {
        "local" => Ok(true),
        "global" => Ok(false),
        _ => {
            Err(fields.invalid(format!("config has attention of kind \"{kind}\", expected global or local")))
        }
    };
    kinds.into_iter().map(is_local).collect()
}

/// One norm for attention and MLP, which run side by side; neighbouring dimensions rotate together.
pub fn gptj(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    let widths =
        Widths { n_ctx: fields.int("n_positions")?, ..older(fields, ["n_embd", "n_head", "n_layer"])? };
    let n_dims = fields.int("rotary_dim")?;
    if n_dims % 2 != 0 || !(0..=widths.d_head).contains(&n_dims) {
        return Err(fields.wrong("rotary_dim", &format!("an even number up to {}", widths.d_head)));
    }
    let rope = Rope::read(fields, "full_attention", widths.d_head, RopeDefaults::PLAIN)?;
    let rope = Rope { n_dims, pairs: RopePairs::Neighbours, ..rope };
    let mlp = plain_mlp(fields, "n_inner", "activation_function", widths.d_model)?;
    let layers = alike(widths.n_layers, &attention(widths.d_head, Some(rope)), &mlp);
    let config = widths.decoder(fields, family, layers)?;
    Ok(ModelConfig {
        parallel: Parallel::OneNorm,
        biases: Biases { qkv: false, o: false, mlp: true, unembed: true },
        ..layer_norms(config, fields, "layer_norm_epsilon")?
    })
}

/// Partly rotated heads, parallel or sequential blocks.
pub fn gpt_neox(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    let widths = Widths::read(fields)?;
    let theta_names = &["rope_theta", "rotary_emb_base"]; // newer configs' and older ones'
    let defaults = RopeDefaults { share: 0.25, theta_names, ..RopeDefaults::PLAIN };
    let rope = Rope::read(fields, "full_attention", widths.d_head, defaults)?;
    let mlp = plain_mlp(fields, "intermediate_size", "hidden_act", widths.d_model)?;
    let layers = alike(widths.n_layers, &attention(widths.d_head, Some(rope)), &mlp);
    let config = widths.decoder(fields, family, layers)?;
    let config = layer_norms(config, fields, "layer_norm_eps")?;
    let biased = fields.flag("attention_bias", true)?;
    let parallel = fields.flag("use_parallel_residual", true)?;
    Ok(ModelConfig {
        parallel: if parallel { Parallel::TwoNorms } else { Parallel::No },
        biases: Biases { qkv: biased, o: biased, ..config.biases },
        ..config
    })
}

/// Learned positions whose table begins with two rows that no position has.
pub fn opt(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    fields.only("do_layer_norm_before", true)?;
    fields.only("layer_norm_elementwise_affine", true)?;
    fields.only("_remove_final_layer_norm", false)?;
    let widths = Widths::read(fields)?;
    fields.only("word_embed_proj_dim", widths.d_model)?;
    let mlp = plain_mlp(fields, "ffn_dim", "activation_function", widths.d_model)?;
    let layers = alike(widths.n_layers, &attention(widths.d_head, None), &mlp);
    let config = widths.decoder(fields, family, layers)?;
    let biases = if fields.flag("enable_bias", true)? { Biases::BLOCKS } else { Biases::NONE };
    Ok(ModelConfig {
        learned_positions: Some(LearnedPositions { offset: 2 }),
        tied: fields.flag("tie_word_embeddings", true)?,
        eps: 1e-5, // torch's, which OPT's config does not name
        biases,
        ..layer_norms(config, fields, "layer_norm_eps")?
    })
}

/// One norm for attention and MLP, which run side by side; partly rotated heads; a biased unembedding.
pub fn phi(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ConfigError> {
    fields.only("qk_layernorm", false)?;
    let widths = Widths::read(fields)?;
    let defaults = RopeDefaults { share: 0.5, ..RopeDefaults::PLAIN };
    let rope = Rope::read(fields, "full_attention", widths.d_head, defaults)?;
    let mlp = plain_mlp(fields, "intermediate_size", "hidden_act", widths.d_model)?;
    let layers = alike(widths.n_layers, &attention(widths.d_head, Some(rope)), &mlp);
    let config = widths.decoder(fields, family, layers)?;
    Ok(ModelConfig {
        parallel: Parallel::OneNorm,
        biases: Biases { unembed: true, ..Biases::BLOCKS },
        ..layer_norms(config, fields, "layer_norm_eps")?
    })
}

/// Widths under the older names: width, heads, layers. `n_ctx` is each family's own.
fn older(fields: &Fields<'_>, [width, heads, layers]: [&str; 3]) -> Result<Widths, ConfigError> {
    let (d_model, n_heads) = (fields.int(width)?, fields.int(heads)?);
    Ok(Widths {
        n_layers: n_layers(fields, layers)?,
        d_model,
        n_heads,
        n_kv_heads: n_heads,
        d_head: d_head(fields, d_model, n_heads)?,
        d_vocab: fields.int("vocab_size")?,
        n_ctx: 0,
    })
}

/// An MLP of one branch, four times as wide as the model where the config does not say.
fn plain_mlp(fields: &Fields<'_>, width: &str, act: &str, d_model: i64) -> Result<Ffn, ConfigError> {
    let d_mlp = fields.maybe_int(width)?.unwrap_or(d_model.saturating_mul(4));
    Ok(Ffn::Mlp(MlpConfig { d_mlp, activation: fields.activation(act)?, gated: false }))
}

/// LayerNorm everywhere, biases in every block.
fn layer_norms(config: ModelConfig, fields: &Fields<'_>, eps: &str) -> Result<ModelConfig, ConfigError> {
    Ok(ModelConfig {
        norm: NormKind::Layer,
        final_norm: NormKind::Layer,
        eps: fields.maybe_float(eps)?.unwrap_or(1e-5),
        biases: Biases::BLOCKS,
        ..config
    })
}
