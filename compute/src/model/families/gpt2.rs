//! GPT-2: learned positions, LayerNorm, fused and transposed projections (Conv1D), tied embeddings.

use std::path::Path;

use tch::{Device, Kind};

use super::{Parts, tied};
use crate::model::attention::Attention;
use crate::model::checkpoint::Checkpoint;
use crate::model::config::{Family, Fields, ModelConfig, NormKind, Positions};
use crate::model::decoder::{Block, Decoder, Mlp};
use crate::model::error::ModelError;
use crate::model::layers::Linear;

pub fn config(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let (d_model, n_heads, n_layers) = (fields.int("n_embd")?, fields.int("n_head")?, fields.int("n_layer")?);
    let d_head = d_model / n_heads.max(1);
    let scale = if fields.flag("scale_attn_weights", true) { (d_head as f64).powf(-0.5) } else { 1.0 };
    let by_layer = fields.flag("scale_attn_by_inverse_layer_idx", false);
    let depth = |layer: i64| if by_layer { (layer + 1) as f64 } else { 1.0 };
    Ok(ModelConfig {
        family: Family::Gpt2,
        name: String::new(),
        n_layers,
        d_model,
        n_heads,
        n_kv_heads: n_heads,
        d_head,
        d_mlp: fields.maybe_int("n_inner").unwrap_or(d_model.saturating_mul(4)),
        d_vocab: fields.int("vocab_size")?,
        n_ctx: fields.int("n_positions").or_else(|_| fields.int("n_ctx"))?,
        norm: NormKind::Layer,
        final_norm: NormKind::Layer,
        eps: fields.maybe_float("layer_norm_epsilon").unwrap_or(1e-5),
        activation: fields.activation("activation_function")?,
        gated_mlp: false,
        attn_only: false,
        parallel: false,
        post_norms: false,
        positions: Positions::Learned,
        attn_scales: (0..n_layers.clamp(0, 4096)).map(|layer| scale / depth(layer)).collect(),
        attn_soft_cap: None,
        logit_soft_cap: None,
        windows: Vec::new(),
        embed_scale: None,
        tied: fields.flag("tie_word_embeddings", true),
        bos_token_id: fields.token_id("bos_token_id"),
        eos_token_id: fields.token_id("eos_token_id"),
    })
}

pub fn load(folder: &Path, config: &ModelConfig, device: Device, kind: Kind) -> Result<Parts, ModelError> {
    let checkpoint = Checkpoint::open(folder, "transformer.", device, kind)?;
    let (d_model, d_vocab) = (config.d_model, config.d_vocab);
    let embed = checkpoint.tensor("wte.weight", "[d_vocab, d_model]", &[d_vocab, d_model])?;
    let pos_embed = checkpoint.tensor("wpe.weight", "[n_ctx, d_model]", &[config.n_ctx, d_model])?;
    let blocks =
        (0..config.n_layers).map(|layer| block(&checkpoint, config, layer)).collect::<Result<_, _>>()?;
    let norm = checkpoint.layer_norm("ln_f", d_model, config.eps)?;
    let unembed = if config.tied {
        tied(&embed)
    } else {
        let weight = checkpoint.outside("lm_head.weight", "[d_vocab, d_model]", &[d_vocab, d_model])?;
        Linear { weight, bias: None }
    };
    Ok((Decoder { embed, pos_embed: Some(pos_embed), blocks }, norm, unembed))
}

fn block(checkpoint: &Checkpoint, config: &ModelConfig, layer: i64) -> Result<Block, ModelError> {
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let mlp = Mlp {
        ln2: checkpoint.layer_norm(&format!("h.{layer}.ln_2"), d_model, config.eps)?,
        up: checkpoint.conv1d(&format!("h.{layer}.mlp.c_fc"), d_mlp, d_model)?,
        linear: None,
        activation: config.activation,
        norm: None,
        down: checkpoint.conv1d(&format!("h.{layer}.mlp.c_proj"), d_model, d_mlp)?,
        post: None,
    };
    Ok(Block {
        ln1: checkpoint.layer_norm(&format!("h.{layer}.ln_1"), d_model, config.eps)?,
        qkv: checkpoint.conv1d(&format!("h.{layer}.attn.c_attn"), 3 * d_model, d_model)?,
        out: checkpoint.conv1d(&format!("h.{layer}.attn.c_proj"), d_model, d_model)?,
        attention: Attention::of(config, layer as usize),
        post_attn: None,
        mlp: Some(mlp),
    })
}
