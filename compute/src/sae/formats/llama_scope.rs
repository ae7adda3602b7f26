//! Llama Scope: `hyperparams.json` and `checkpoints/final.safetensors`. Activations are scaled to a mean
//! norm of sqrt(d_in) before the encoder and back after the decoder; one threshold serves all features, and
//! it too is in the scaled units.

use std::path::Path;

use serde_json::Value;

use crate::sae::config::{Architecture, Normalize, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::source::{Matrix, Names, Source, Threshold, json};
use crate::weights::Weights;

/// Opens the folder, or a file in its `checkpoints`.
pub fn open(path: &Path) -> Result<Source, SaeError> {
    let folder = if path.is_dir() { path } else { path.parent().and_then(Path::parent).unwrap_or(path) };
    let hyperparams = folder.join("hyperparams.json");
    let cfg = json(&hyperparams)?;
    let bad = |what: &str| SaeError::Config {
        reason: format!("config has no \"{what}\", a positive number"),
        path: hyperparams.clone(),
    };
    let norm = cfg.get("dataset_average_activation_norm").and_then(|norm| norm.get("in"));
    let norm = norm.and_then(Value::as_f64).filter(|norm| *norm > 0.0);
    let norm = norm.ok_or_else(|| bad("dataset_average_activation_norm.in"))?;
    let threshold = cfg.get("jump_relu_threshold").and_then(Value::as_f64);
    let threshold = threshold.ok_or_else(|| bad("jump_relu_threshold"))?;
    let int = |name: &str| cfg.get(name).and_then(Value::as_i64);
    let d_in = int("d_model").ok_or_else(|| bad("d_model"))?;
    let scale = (d_in as f64).sqrt() / norm;
    let weights = Weights::open(&folder.join("checkpoints/final.safetensors"))?;
    let names = Names {
        w_enc: Matrix::Transposed("encoder.weight".to_owned()),
        b_enc: Some("encoder.bias".to_owned()),
        w_dec: Matrix::Transposed("decoder.weight".to_owned()),
        b_dec: Some("decoder.bias".to_owned()),
        b_in: None,
        threshold: Threshold::Constant(threshold * scale),
        gate: None,
        w_skip: None,
    };
    let mut source = Source::new(SaeFormat::LlamaScope, weights, names, (Some(d_in), int("d_sae")))?;
    let config = &mut source.config;
    config.architecture = Architecture::JumpRelu;
    config.normalize = Normalize::Scale(scale);
    let text = |name: &str| cfg.get(name).and_then(Value::as_str).map(str::to_owned);
    config.hook = text("hook_point_in");
    config.hook_out = text("hook_point_out").filter(|out| config.hook.as_ref() != Some(out));
    config.transcoder |= config.hook_out.is_some();
    Ok(source)
}
