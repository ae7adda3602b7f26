//! Gemma and Gemma 2: scaled embeddings and norms of gain `1 + w`; Gemma 2 adds soft-caps, norms after
//! attention and MLP, and windows in every other block.

use std::path::Path;

use serde_json::Value;
use tch::{Device, Kind};

use super::{Parts, rope, tied};
use crate::model::attention::Attention;
use crate::model::checkpoint::Checkpoint;
use crate::model::config::{Activation, Family, Fields, ModelConfig, NormKind, Positions};
use crate::model::decoder::{Block, Decoder, Mlp};
use crate::model::error::ModelError;

pub fn config(fields: &Fields<'_>, family: Family) -> Result<ModelConfig, ModelError> {
    let d_model = fields.int("hidden_size")?;
    let n_heads = fields.int("num_attention_heads")?;
    let n_layers = fields.int("num_hidden_layers")?;
    let d_head = fields.maybe_int("head_dim").unwrap_or(256);
    let (theta, scaling) = rope(fields, 10_000.0)?;
    let second = family == Family::Gemma2;
    let query_scalar = fields.maybe_float("query_pre_attn_scalar").filter(|_| second);
    // Gemma's first configs said "gelu" in hidden_act and meant the tanh form, as transformers reads them.
    let activation = match fields.text("hidden_activation") {
        Some(_) => fields.activation("hidden_activation")?,
        None => Activation::GeluTanh,
    };
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
        activation,
        gated_mlp: true,
        attn_only: false,
        parallel: false,
        post_norms: second,
        positions: Positions::Rotary { n_dims: d_head, theta, scaling },
        attn_scales: vec![query_scalar.unwrap_or(d_head as f64).powf(-0.5); n_layers.clamp(0, 4096) as usize],
        attn_soft_cap: fields.maybe_float("attn_logit_softcapping").filter(|_| second),
        logit_soft_cap: fields.maybe_float("final_logit_softcapping").filter(|_| second),
        windows: if second { windows(fields, n_layers) } else { Vec::new() },
        embed_scale: Some((d_model as f64).sqrt()),
        tied: fields.flag("tie_word_embeddings", true),
        bos_token_id: fields.token_id("bos_token_id"),
        eos_token_id: fields.token_id("eos_token_id"),
    })
}

/// Even blocks slide, unless `layer_types` says otherwise.
fn windows(fields: &Fields<'_>, n_layers: i64) -> Vec<Option<i64>> {
    let window = fields.maybe_int("sliding_window");
    let types = fields.json.get("layer_types").and_then(Value::as_array);
    let slides = |layer: i64| match types {
        Some(types) => types.get(layer as usize).and_then(Value::as_str) == Some("sliding_attention"),
        None => layer % 2 == 0,
    };
    (0..n_layers.clamp(0, 4096)).map(|layer| window.filter(|_| slides(layer))).collect()
}

pub fn load(folder: &Path, config: &ModelConfig, device: Device, kind: Kind) -> Result<Parts, ModelError> {
    let checkpoint = Checkpoint::open(folder, "model.", device, kind)?;
    let (d_model, d_vocab) = (config.d_model, config.d_vocab);
    let embed = checkpoint.tensor("embed_tokens.weight", "[d_vocab, d_model]", &[d_vocab, d_model])?;
    let blocks =
        (0..config.n_layers).map(|layer| block(&checkpoint, config, layer)).collect::<Result<_, _>>()?;
    let norm = checkpoint.rms_norm("norm", d_model, config.eps, 1.0)?;
    let unembed = tied(&embed);
    Ok((Decoder { embed, pos_embed: None, blocks }, norm, unembed))
}

fn block(checkpoint: &Checkpoint, config: &ModelConfig, layer: i64) -> Result<Block, ModelError> {
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let (d_q, d_kv) = (config.n_heads * config.d_head, config.n_kv_heads * config.d_head);
    let at = |name: &str| format!("layers.{layer}.{name}");
    let norm = |name: &str| checkpoint.rms_norm(&at(name), d_model, config.eps, 1.0);
    // Gemma's post_attention_layernorm comes before the MLP; Gemma 2's comes after attention.
    let (ln2, post_attn, post) = if config.post_norms {
        (
            norm("pre_feedforward_layernorm")?,
            Some(norm("post_attention_layernorm")?),
            Some(norm("post_feedforward_layernorm")?),
        )
    } else {
        (norm("post_attention_layernorm")?, None, None)
    };
    let mlp = Mlp {
        ln2,
        up: checkpoint.linear(&at("mlp.gate_proj"), d_mlp, d_model, false)?,
        linear: Some(checkpoint.linear(&at("mlp.up_proj"), d_mlp, d_model, false)?),
        activation: config.activation,
        norm: None,
        down: checkpoint.linear(&at("mlp.down_proj"), d_model, d_mlp, false)?,
        post,
    };
    let (q, k, v) = (at("self_attn.q_proj"), at("self_attn.k_proj"), at("self_attn.v_proj"));
    Ok(Block {
        ln1: norm("input_layernorm")?,
        qkv: checkpoint.stacked(&[(&q, d_q), (&k, d_kv), (&v, d_kv)], d_model, false)?,
        out: checkpoint.linear(&at("self_attn.o_proj"), d_model, d_q, false)?,
        attention: Attention::of(config, layer as usize),
        post_attn,
        mlp: Some(mlp),
    })
}
