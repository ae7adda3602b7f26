//! TransformerLens's own models (GELU-1L to 4L, SoLU, attention-only): `config.json` and a state dict with
//! its names, heads apart.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::Parts;
use crate::model::attention::Attention;
use crate::model::checkpoint::Checkpoint;
use crate::model::config::{Activation, Family, Fields, ModelConfig, NormKind, Positions};
use crate::model::decoder::{Block, Decoder, Mlp};
use crate::model::error::ModelError;
use crate::model::layers::{Linear, Norm};

pub fn config(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let (n_layers, d_head) = (fields.int("n_layers")?, fields.int("d_head")?);
    let n_heads = fields.int("n_heads")?;
    let attn_only = fields.flag("attn_only", false);
    let norm = norm_kind(fields)?;
    let positions = fields.text("positional_embedding_type").unwrap_or_else(|| "standard".to_owned());
    if fields.flag("shortformer_pos", false) || positions != "standard" {
        let got = if positions == "standard" { "shortformer".to_owned() } else { positions };
        return Err(fields.unsupported("positional_embedding_type", got, "standard"));
    }
    let activation = if attn_only && fields.text("act_fn").is_none() {
        Activation::Relu
    } else {
        fields.activation("act_fn")?
    };
    Ok(ModelConfig {
        family: Family::TransformerLens,
        name: String::new(),
        n_layers,
        d_model: fields.int("d_model")?,
        n_heads,
        n_kv_heads: n_heads,
        d_head,
        d_mlp: if attn_only { 0 } else { fields.int("d_mlp")? },
        d_vocab: fields.int("d_vocab")?,
        n_ctx: fields.int("n_ctx")?,
        norm,
        final_norm: if fields.flag("final_rms", false) { NormKind::Rms } else { norm },
        eps: fields.maybe_float("eps").unwrap_or(1e-5),
        activation,
        gated_mlp: false,
        attn_only,
        parallel: fields.flag("parallel_attn_mlp", false),
        post_norms: false,
        positions: Positions::Learned,
        attn_scales: vec![(d_head as f64).powf(-0.5); n_layers.clamp(0, 4096) as usize],
        attn_soft_cap: None,
        logit_soft_cap: None,
        windows: Vec::new(),
        embed_scale: None,
        tied: false,
        bos_token_id: fields.token_id("bos_token_id"),
        eos_token_id: fields.token_id("eos_token_id"),
    })
}

fn norm_kind(fields: &Fields<'_>) -> Result<NormKind, ModelError> {
    let name = fields.text("normalization_type").or_else(|| fields.text("normalization"));
    match name.as_deref() {
        None | Some("LN" | "LNPre") => Ok(NormKind::Layer),
        Some("RMS" | "RMSPre") => Ok(NormKind::Rms),
        Some(other) => {
            Err(fields.unsupported("normalization_type", other.to_owned(), "LN, LNPre, RMS, RMSPre"))
        }
    }
}

pub fn load(folder: &Path, config: &ModelConfig, device: Device, kind: Kind) -> Result<Parts, ModelError> {
    let checkpoint = Checkpoint::open(folder, "", device, kind)?;
    let (d_model, d_vocab) = (config.d_model, config.d_vocab);
    let embed = checkpoint.tensor("embed.W_E", "[d_vocab, d_model]", &[d_vocab, d_model])?;
    let pos_embed = checkpoint.tensor("pos_embed.W_pos", "[n_ctx, d_model]", &[config.n_ctx, d_model])?;
    let blocks =
        (0..config.n_layers).map(|layer| block(&checkpoint, config, layer)).collect::<Result<_, _>>()?;
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

fn block(checkpoint: &Checkpoint, config: &ModelConfig, layer: i64) -> Result<Block, ModelError> {
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let at = |name: &str| format!("blocks.{layer}.{name}");
    let mlp = if config.attn_only {
        None
    } else {
        let solu_norm = config.activation == Activation::SoluLayerNorm;
        let up = checkpoint.tensor(&at("mlp.W_in"), "[d_model, d_mlp]", &[d_model, d_mlp])?;
        let down = checkpoint.tensor(&at("mlp.W_out"), "[d_mlp, d_model]", &[d_mlp, d_model])?;
        let up_bias = checkpoint.tensor(&at("mlp.b_in"), "[d_mlp]", &[d_mlp])?;
        let down_bias = checkpoint.tensor(&at("mlp.b_out"), "[d_model]", &[d_model])?;
        Some(Mlp {
            ln2: norm(checkpoint, &at("ln2"), d_model, config.norm, config.eps)?,
            up: Linear { weight: up.f_transpose(0, 1)?, bias: Some(up_bias) },
            linear: None,
            activation: config.activation,
            norm: if solu_norm {
                Some(norm(checkpoint, &at("mlp.ln"), d_mlp, NormKind::Layer, config.eps)?)
            } else {
                None
            },
            down: Linear { weight: down.f_transpose(0, 1)?, bias: Some(down_bias) },
            post: None,
        })
    };
    Ok(Block {
        ln1: norm(checkpoint, &at("ln1"), d_model, config.norm, config.eps)?,
        qkv: qkv(checkpoint, config, layer)?,
        out: out(checkpoint, config, layer)?,
        attention: Attention::of(config, layer as usize),
        post_attn: None,
        mlp,
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
