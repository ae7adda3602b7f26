//! GPT-NeoX and Pythia: partly rotated heads, LayerNorm, parallel or sequential blocks.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::{Parts, rope, tied};
use crate::model::attention::Attention;
use crate::model::checkpoint::Checkpoint;
use crate::model::config::{Family, Fields, ModelConfig, NormKind, Positions};
use crate::model::decoder::{Block, Decoder, Mlp};
use crate::model::error::ModelError;
use crate::model::layers::Linear;

pub fn config(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let d_model = fields.int("hidden_size")?;
    let n_heads = fields.int("num_attention_heads")?;
    let n_layers = fields.int("num_hidden_layers")?;
    let d_head = d_model / n_heads.max(1);
    let (theta, scaling) = rope(fields, 10_000.0)?;
    let nested = fields.json.get("rope_parameters").and_then(|rope| rope.get("partial_rotary_factor"));
    let share = nested
        .and_then(serde_json::Value::as_f64)
        .or_else(|| fields.maybe_float("partial_rotary_factor"))
        .or_else(|| fields.maybe_float("rotary_pct"))
        .unwrap_or(0.25);
    if !fields.flag("attention_bias", true) {
        return Err(fields.unsupported("attention_bias", "false".to_owned(), "true"));
    }
    Ok(ModelConfig {
        family: Family::GptNeox,
        name: String::new(),
        n_layers,
        d_model,
        n_heads,
        n_kv_heads: n_heads,
        d_head,
        d_mlp: fields.int("intermediate_size")?,
        d_vocab: fields.int("vocab_size")?,
        n_ctx: fields.int("max_position_embeddings")?,
        norm: NormKind::Layer,
        final_norm: NormKind::Layer,
        eps: fields.maybe_float("layer_norm_eps").unwrap_or(1e-5),
        activation: fields.activation("hidden_act")?,
        gated_mlp: false,
        attn_only: false,
        parallel: fields.flag("use_parallel_residual", true),
        post_norms: false,
        positions: Positions::Rotary { n_dims: (d_head as f64 * share) as i64, theta, scaling },
        attn_scales: vec![(d_head as f64).powf(-0.5); n_layers.clamp(0, 4096) as usize],
        attn_soft_cap: None,
        logit_soft_cap: None,
        windows: Vec::new(),
        embed_scale: None,
        tied: fields.flag("tie_word_embeddings", false),
        bos_token_id: fields.token_id("bos_token_id"),
        eos_token_id: fields.token_id("eos_token_id"),
    })
}

pub fn load(folder: &Path, config: &ModelConfig, device: Device, kind: Kind) -> Result<Parts, ModelError> {
    let checkpoint = Checkpoint::open(folder, "gpt_neox.", device, kind)?;
    let (d_model, d_vocab) = (config.d_model, config.d_vocab);
    let embed = checkpoint.tensor("embed_in.weight", "[d_vocab, d_model]", &[d_vocab, d_model])?;
    let blocks =
        (0..config.n_layers).map(|layer| block(&checkpoint, config, layer)).collect::<Result<_, _>>()?;
    let norm = checkpoint.layer_norm("final_layer_norm", d_model, config.eps)?;
    let unembed = if config.tied {
        tied(&embed)
    } else {
        let weight = checkpoint.outside("embed_out.weight", "[d_vocab, d_model]", &[d_vocab, d_model])?;
        Linear { weight, bias: None }
    };
    Ok((Decoder { embed, pos_embed: None, blocks }, norm, unembed))
}

fn block(checkpoint: &Checkpoint, config: &ModelConfig, layer: i64) -> Result<Block, ModelError> {
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let at = |name: &str| format!("layers.{layer}.{name}");
    let mlp = Mlp {
        ln2: checkpoint.layer_norm(&at("post_attention_layernorm"), d_model, config.eps)?,
        up: checkpoint.linear(&at("mlp.dense_h_to_4h"), d_mlp, d_model, true)?,
        linear: None,
        activation: config.activation,
        norm: None,
        down: checkpoint.linear(&at("mlp.dense_4h_to_h"), d_model, d_mlp, true)?,
        post: None,
    };
    let qkv = checkpoint.linear(&at("attention.query_key_value"), 3 * d_model, d_model, true)?;
    Ok(Block {
        ln1: checkpoint.layer_norm(&at("input_layernorm"), d_model, config.eps)?,
        qkv: by_projection(&qkv, config)?,
        out: checkpoint.linear(&at("attention.dense"), d_model, d_model, true)?,
        attention: Attention::of(config, layer as usize),
        post_attn: None,
        mlp: Some(mlp),
    })
}

/// Rows lie as (head, q k v, dim) in the checkpoint, as (q k v, head, dim) in the decoder.
fn by_projection(qkv: &Linear, config: &ModelConfig) -> Result<Linear, ModelError> {
    let (n_heads, d_head, d_model) = (config.n_heads, config.d_head, config.d_model);
    let weight = qkv.weight.f_reshape([n_heads, 3, d_head, d_model])?; // [head, 3, d_head, d_model]
    let weight = weight.f_permute([1, 0, 2, 3])?.f_reshape([3 * d_model, d_model])?;
    let order = |bias: &Tensor| -> Result<Tensor, ModelError> {
        let bias = bias.f_reshape([n_heads, 3, d_head])?; // [head, 3, d_head]
        Ok(bias.f_permute([1, 0, 2])?.f_reshape([3 * d_model])?)
    };
    Ok(Linear { weight, bias: qkv.bias.as_ref().map(order).transpose()? })
}
