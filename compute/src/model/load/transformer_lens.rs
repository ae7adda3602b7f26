//! TransformerLens's own models (GELU-1L to 4L, SoLU, attention-only): a state dict with its names, heads
//! apart.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::Parts;
use super::checkpoint::Checkpoint;
use crate::model::attention::{Attention, Heads};
use crate::model::decoder::{Block, Decoder};
use crate::model::error::ModelError;
use crate::model::ffn::mlp::Mlp;
use crate::model::ffn::{FeedForward, Net};
use crate::model::layers::{Linear, Norm};
use checkpoints::model::{Activation, Ffn, LayerConfig, MlpConfig, ModelConfig, NormKind};

pub fn load(folder: &Path, config: &ModelConfig, device: Device, kind: Kind) -> Result<Parts, ModelError> {
    let checkpoint = Checkpoint::open(folder, &[""], "embed", device, kind)?;
    let (d_model, d_vocab) = (config.d_model, config.d_vocab);
    let embed = checkpoint.tensor("embed.W_E", "[d_vocab, d_model]", &[d_vocab, d_model])?;
    let pos_embed = checkpoint.tensor("pos_embed.W_pos", "[n_ctx, d_model]", &[config.n_ctx, d_model])?;
    let blocks = (0..).zip(&config.layers).map(|(n, layer)| block(&checkpoint, config, n, layer));
    let blocks = blocks.collect::<Result<_, _>>()?;
    let norm = norm(&checkpoint, "ln_final", d_model, config.final_norm, config.eps)?;
    let weight = checkpoint.tensor("unembed.W_U", "[d_model, d_vocab]", &[d_model, d_vocab])?;
    let weight = weight.f_transpose(0, 1)?; // [d_vocab, d_model]
    let bias = if checkpoint.has("unembed.b_U") {
        Some(checkpoint.tensor("unembed.b_U", "[d_vocab]", &[d_vocab])?)
    } else {
        None
    };
    Ok((Decoder { embed, pos_embed: Some(pos_embed), blocks }, norm, Linear { weight, bias }))
}

fn block(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    n: i64,
    layer: &LayerConfig,
) -> Result<Block, ModelError> {
    let d_model = config.d_model;
    let at = |name: &str| format!("blocks.{n}.{name}");
    let ffn = match layer.ffn {
        Ffn::Mlp(mlp) => Some(FeedForward {
            norm: Some(norm(checkpoint, &at("ln2"), d_model, config.norm, config.eps)?),
            net: Net::Mlp(self::mlp(checkpoint, config, &at, mlp)?),
            post_norm: None,
        }),
        _ => None,
    };
    let attention = Attention {
        norm: Some(norm(checkpoint, &at("ln1"), d_model, config.norm, config.eps)?),
        qkv_proj: qkv(checkpoint, config, n)?,
        qk_norms: None,
        sinks: None,
        o_proj: out(checkpoint, config, n)?,
        post_norm: None,
        heads: Heads { n_heads: config.n_heads, n_kv_heads: config.n_kv_heads, d_head: config.d_head },
        config: layer.attention.clone(),
    };
    Ok(Block { attention, ffn })
}

fn mlp(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    at: &dyn Fn(&str) -> String,
    mlp: MlpConfig,
) -> Result<Mlp, ModelError> {
    let (d_model, d_mlp) = (config.d_model, mlp.d_mlp);
    let up = checkpoint.tensor(&at("mlp.W_in"), "[d_model, d_mlp]", &[d_model, d_mlp])?;
    let down = checkpoint.tensor(&at("mlp.W_out"), "[d_mlp, d_model]", &[d_mlp, d_model])?;
    let up_bias = checkpoint.tensor(&at("mlp.b_in"), "[d_mlp]", &[d_mlp])?;
    let down_bias = checkpoint.tensor(&at("mlp.b_out"), "[d_model]", &[d_model])?;
    let solu_norm = mlp.activation == Activation::SoluLayerNorm;
    Ok(Mlp {
        gate_proj: None,
        up_proj: Linear { weight: up.f_transpose(0, 1)?, bias: Some(up_bias) },
        activation: mlp.activation,
        norm: solu_norm
            .then(|| norm(checkpoint, &at("mlp.ln"), d_mlp, NormKind::Layer, config.eps))
            .transpose()?,
        down_proj: Linear { weight: down.f_transpose(0, 1)?, bias: Some(down_bias) },
    })
}

/// `w` and `b`, or neither where the norm was folded into what follows.
fn norm(
    checkpoint: &Checkpoint,
    name: &str,
    width: i64,
    kind: NormKind,
    eps: f64,
) -> Result<Norm, ModelError> {
    let part = |part: &str| -> Result<Option<Tensor>, ModelError> {
        let name = format!("{name}.{part}");
        if !checkpoint.has(&name) {
            return Ok(None);
        }
        Ok(Some(checkpoint.tensor(&name, "[width]", &[width])?))
    };
    Ok(Norm { kind, eps, weight: part("w")?, bias: part("b")? })
}

fn qkv(checkpoint: &Checkpoint, config: &ModelConfig, layer: i64) -> Result<Linear, ModelError> {
    let (n_heads, d_model, d_head) = (config.n_heads, config.d_model, config.d_head);
    let (mut weights, mut biases) = (Vec::new(), Vec::new());
    for part in ["Q", "K", "V"] {
        let name = format!("blocks.{layer}.attn.W_{part}");
        let weight = checkpoint.tensor(&name, "[head, d_model, d_head]", &[n_heads, d_model, d_head])?;
        weights.push(weight.f_transpose(1, 2)?.f_reshape([n_heads * d_head, d_model])?);
        let name = format!("blocks.{layer}.attn.b_{part}");
        let bias = checkpoint.tensor(&name, "[head, d_head]", &[n_heads, d_head])?;
        biases.push(bias.f_reshape([n_heads * d_head])?);
    }
    Ok(Linear { weight: Tensor::f_cat(&weights, 0)?, bias: Some(Tensor::f_cat(&biases, 0)?) })
}

fn out(checkpoint: &Checkpoint, config: &ModelConfig, layer: i64) -> Result<Linear, ModelError> {
    let (n_heads, d_model, d_head) = (config.n_heads, config.d_model, config.d_head);
    let name = format!("blocks.{layer}.attn.W_O");
    let weight = checkpoint.tensor(&name, "[head, d_head, d_model]", &[n_heads, d_head, d_model])?;
    let weight = weight.f_reshape([n_heads * d_head, d_model])?.f_transpose(0, 1)?; // [d_model, head * d_head]
    let bias = checkpoint.tensor(&format!("blocks.{layer}.attn.b_O"), "[d_model]", &[d_model])?;
    Ok(Linear { weight, bias: Some(bias) })
}
