//! One small file per family: what its `config.json` means, and where its checkpoint keeps each weight.

mod gemma;
mod gpt2;
mod gpt_neox;
mod llama;
mod transformer_lens;

use std::path::Path;

use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::config::{Family, Fields, ModelConfig, RopeScaling};
use super::decoder::Decoder;
use super::error::ModelError;
use super::head::Head;
use super::layers::{Linear, Norm};

/// Reads a config by its `model_type`; TransformerLens's own has none.
pub fn config(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    const READ: &str = "gpt2, gpt_neox, llama, mistral, qwen2, gemma, gemma2, or a TransformerLens config";
    match fields.text("model_type").as_deref() {
        Some("gpt2") => gpt2::config(fields),
        Some("gpt_neox") => gpt_neox::config(fields),
        Some("llama") => llama::config(fields, Family::Llama),
        Some("mistral") => llama::config(fields, Family::Mistral),
        Some("qwen2") => llama::config(fields, Family::Qwen2),
        Some("gemma") => gemma::config(fields, Family::Gemma),
        Some("gemma2") => gemma::config(fields, Family::Gemma2),
        None if fields.json.get("act_fn").is_some() => transformer_lens::config(fields),
        other => Err(fields.unsupported("model_type", other.unwrap_or("nothing").to_owned(), READ)),
    }
}

/// Reads a family's weights.
pub fn load(
    folder: &Path,
    config: &ModelConfig,
    device: Device,
    kind: Kind,
) -> Result<(Decoder, Head), ModelError> {
    let (decoder, norm, unembed) = match config.family {
        Family::Gpt2 => gpt2::load(folder, config, device, kind),
        Family::GptNeox => gpt_neox::load(folder, config, device, kind),
        Family::Llama | Family::Mistral | Family::Qwen2 => llama::load(folder, config, device, kind),
        Family::Gemma | Family::Gemma2 => gemma::load(folder, config, device, kind),
        Family::TransformerLens => transformer_lens::load(folder, config, device, kind),
    }?;
    let head = Head::new(&norm, &unembed, config.logit_soft_cap)?;
    Ok((decoder, head))
}

/// What a family's file gives: the blocks, the final norm, the unembedding.
type Parts = (Decoder, Norm, Linear);

/// The embedding as unembedding.
fn tied(embed: &Tensor) -> Linear {
    Linear { weight: embed.shallow_clone(), bias: None }
}

/// Rotary base and scaling, from the old settings and from transformers 5's `rope_parameters`.
fn rope(fields: &Fields<'_>, default_theta: f64) -> Result<(f64, RopeScaling), ModelError> {
    let nested = fields.json.get("rope_parameters").or_else(|| fields.json.get("rope_scaling"));
    let nested = Fields { json: nested.unwrap_or(&Value::Null), path: fields.path };
    let theta = nested
        .maybe_float("rope_theta")
        .or_else(|| fields.maybe_float("rope_theta"))
        .or_else(|| fields.maybe_float("rotary_emb_base"))
        .unwrap_or(default_theta);
    let rope_type = nested.text("rope_type").or_else(|| nested.text("type"));
    let scaling = match rope_type.as_deref() {
        None | Some("default") => RopeScaling::None,
        Some("linear") => RopeScaling::Linear(nested.float("factor")?),
        Some("llama3") => RopeScaling::Llama3 {
            factor: nested.float("factor")?,
            low: nested.float("low_freq_factor")?,
            high: nested.float("high_freq_factor")?,
            n_ctx: nested.float("original_max_position_embeddings")?,
        },
        Some(other) => {
            return Err(fields.unsupported("rope_type", other.to_owned(), "default, linear, llama3"));
        }
    };
    Ok((theta, scaling))
}
