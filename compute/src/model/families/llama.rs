//! Llama, Mistral and Qwen2: rotated grouped heads, RMSNorm, gated MLPs. They differ in biases and windows.

use std::path::Path;

use serde_json::Value;
use tch::{Device, Kind};

use super::{Parts, rope, tied};
use crate::model::attention::Attention;
use crate::model::checkpoint::Checkpoint;
use crate::model::config::{Family, Fields, ModelConfig, NormKind, Positions};
use crate::model::decoder::{Block, Decoder, Mlp};
use crate::model::error::ModelError;
use crate::model::layers::Linear;

pub fn config(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ModelError> {
    let d_model = fields.int("hidden_size")?;
    let n_heads = fields.int("num_attention_heads")?;
    let n_layers = fields.int("num_hidden_layers")?;
    let d_head = fields.maybe_int("head_dim").unwrap_or(d_model / n_heads.max(1));
    let (theta, scaling) = rope(fields, 10_000.0)?;
    for (name, default) in [("attention_bias", family == Family::Qwen2), ("mlp_bias", false)] {
        if fields.flag(name, default) != default {
            return Err(fields.unsupported("attention_bias or mlp_bias", "true".to_owned(), "false"));
        }
    }
    Ok(ModelConfig {
        family,
        name: String::new(),
        n_layers,
        d_model,
        n_heads,
        n_kv_heads: fields.maybe_int("num_key_value_heads").unwrap_or(n_heads),
        d_head,
        d_mlp: fields.int("intermediate_size")?,
        d_vocab: fields.int("vocab_size")?,
        n_ctx: fields.int("max_position_embeddings")?,
        norm: NormKind::Rms,
        final_norm: NormKind::Rms,
        eps: fields.maybe_float("rms_norm_eps").unwrap_or(1e-6),
        activation: fields.activation("hidden_act")?,
        gated_mlp: true,
        attn_only: false,
        parallel: false,
        post_norms: false,
        positions: Positions::Rotary { n_dims: d_head, theta, scaling },
        attn_scales: vec![(d_head as f64).powf(-0.5); n_layers.clamp(0, 4096) as usize],
        attn_soft_cap: None,
        logit_soft_cap: None,
        windows: windows(fields, family, n_layers),
        embed_scale: None,
        tied: fields.flag("tie_word_embeddings", false),
        bos_token_id: fields.token_id("bos_token_id"),
        eos_token_id: fields.token_id("eos_token_id"),
    })
}

/// Mistral slides in every block, Qwen2 (if told to) from `max_window_layers` on; `layer_types` overrides.
fn windows(fields: &Fields<'_>, family: Family, n_layers: i64) -> Vec<Option<i64>> {
    let window = fields.maybe_int("sliding_window");
    let types = fields.json.get("layer_types").and_then(Value::as_array);
    let slides = |layer: i64| match (types, family) {
        (Some(types), _) => types.get(layer as usize).and_then(Value::as_str) == Some("sliding_attention"),
        (None, Family::Mistral) => true,
        (None, Family::Qwen2) => {
            fields.flag("use_sliding_window", false)
                && layer >= fields.maybe_int("max_window_layers").unwrap_or(28)
        }
        _ => false,
    };
    (0..n_layers.clamp(0, 4096)).map(|layer| window.filter(|_| slides(layer))).collect()
}

pub fn load(folder: &Path, config: &ModelConfig, device: Device, kind: Kind) -> Result<Parts, ModelError> {
    let checkpoint = Checkpoint::open(folder, "model.", device, kind)?;
    let (d_model, d_vocab) = (config.d_model, config.d_vocab);
    let embed = checkpoint.tensor("embed_tokens.weight", "[d_vocab, d_model]", &[d_vocab, d_model])?;
    let blocks =
        (0..config.n_layers).map(|layer| block(&checkpoint, config, layer)).collect::<Result<_, _>>()?;
    let norm = checkpoint.rms_norm("norm", d_model, config.eps, 0.0)?;
    let unembed = if config.tied {
        tied(&embed)
    } else {
        let weight = checkpoint.outside("lm_head.weight", "[d_vocab, d_model]", &[d_vocab, d_model])?;
        Linear { weight, bias: None }
    };
    Ok((Decoder { embed, pos_embed: None, blocks }, norm, unembed))
}

fn block(checkpoint: &Checkpoint, config: &ModelConfig, layer: i64) -> Result<Block, ModelError> {
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let (d_q, d_kv) = (config.n_heads * config.d_head, config.n_kv_heads * config.d_head);
    let at = |name: &str| format!("layers.{layer}.{name}");
    let mlp = Mlp {
        ln2: checkpoint.rms_norm(&at("post_attention_layernorm"), d_model, config.eps, 0.0)?,
        up: checkpoint.linear(&at("mlp.gate_proj"), d_mlp, d_model, false)?,
        linear: Some(checkpoint.linear(&at("mlp.up_proj"), d_mlp, d_model, false)?),
        activation: config.activation,
        norm: None,
        down: checkpoint.linear(&at("mlp.down_proj"), d_model, d_mlp, false)?,
        post: None,
    };
    let (q, k, v) = (at("self_attn.q_proj"), at("self_attn.k_proj"), at("self_attn.v_proj"));
    let biased = config.family == Family::Qwen2;
    Ok(Block {
        ln1: checkpoint.rms_norm(&at("input_layernorm"), d_model, config.eps, 0.0)?,
        qkv: checkpoint.stacked(&[(&q, d_q), (&k, d_kv), (&v, d_kv)], d_model, biased)?,
        out: checkpoint.linear(&at("self_attn.o_proj"), d_model, d_q, false)?,
        attention: Attention::of(config, layer as usize),
        post_attn: None,
        mlp: Some(mlp),
    })
}
