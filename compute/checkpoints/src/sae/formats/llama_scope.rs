//! Llama Scope: `hyperparams.json` and `checkpoints/final.safetensors`. Activations are scaled to a mean
//! norm of sqrt(d_in) before the encoder and back after the decoder; one threshold serves all features, and
//! it too is in the scaled units.

use std::path::Path;

use crate::containers::Weights;
use crate::sae::config::{Architecture, Normalize, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Matrix, Names, SaeFiles, Threshold};
use crate::sae::settings::Settings;

/// Opens the folder, or a file in its `checkpoints`.
pub fn open(path: &Path) -> Result<SaeFiles, SaeError> {
    let folder = if path.is_dir() { path } else { path.parent().and_then(Path::parent).unwrap_or(path) };
    let cfg = Settings::read(&folder.join("hyperparams.json"))?;
    let norm = cfg.need_positive("dataset_average_activation_norm.in")?;
    let threshold = cfg.number("jump_relu_threshold")?.ok_or_else(|| cfg.missing("jump_relu_threshold"))?;
    let d_in = cfg.positive_int("d_model")?.ok_or_else(|| cfg.missing("d_model"))?;
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
    let mut source = SaeFiles::new(SaeFormat::LlamaScope, weights, names, (Some(d_in), cfg.int("d_sae")?))?;
    let config = &mut source.config;
    config.architecture = Architecture::JumpRelu;
    config.normalize = Normalize::Scale(scale);
    config.hook = cfg.text("hook_point_in")?;
    config.hook_out = cfg.text("hook_point_out")?.filter(|out| config.hook.as_ref() != Some(out));
    config.transcoder |= config.hook_out.is_some();
    Ok(source)
}
