//! Llama Scope: `hyperparams.json` and `checkpoints/final.safetensors`. Activations are scaled to a mean
//! norm of sqrt(d_in) before the encoder and back after the decoder; one threshold serves all features, and
//! it too is in the scaled units.

use std::path::Path;

use crate::containers::Weights;
use crate::sae::config::{Architecture, Fold, Normalize, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Names, SaeFiles, Threshold};
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
    let mut names = Names::linear("encoder", "decoder");
    names.threshold = Threshold::Constant(threshold * scale);
    let mut source = SaeFiles::new(SaeFormat::LlamaScope, weights, names, (Some(d_in), cfg.int("d_sae")?))?;
    let config = &mut source.config;
    config.architecture = Architecture::JumpRelu;
    config.set_scale(scale);
    config.hook = cfg.text("hook_point_in")?;
    config.hook_out = cfg.text("hook_point_out")?.filter(|out| config.hook.as_ref() != Some(out));
    if config.hook_out.is_some() {
        config.transcoder = true;
        let written = cfg.need_positive("dataset_average_activation_norm.out")?;
        config.fold = Fold::scale(scale, (config.d_out as f64).sqrt() / written);
    }
    Ok(source)
}

/// Llama Scope R1-Distill: `config.json` and `sae_weights.safetensors`, with a threshold for each feature. The factor that
/// scales its input is in neither.
pub fn open_r1_distill(path: &Path) -> Result<SaeFiles, SaeError> {
    let file = if path.is_dir() { path.join("sae_weights.safetensors") } else { path.to_owned() };
    let cfg = Settings::read(&file.with_file_name("config.json"))?;
    if let Some(other) = cfg.text("act_fn")?.filter(|name| name != "jumprelu") {
        return Err(cfg.unsupported("act_fn", other, "jumprelu"));
    }
    let mut names = Names::linear("encoder", "decoder");
    names.threshold = Threshold::Log("log_jumprelu_threshold".to_owned());
    if cfg.flag("apply_decoder_bias_to_pre_encoder")?.unwrap_or(false) {
        names.b_in.clone_from(&names.b_dec);
    }
    let weights = Weights::open(&file)?;
    let mut source = SaeFiles::new(SaeFormat::LlamaScope, weights, names, (cfg.int("d_model")?, None))?;
    let config = &mut source.config;
    config.architecture = Architecture::JumpRelu;
    config.normalize = Normalize::ExpectedAverage;
    config.prepend_bos = Some(true);
    config.hook = cfg.text("hook_point_in")?;
    config.hook_out = cfg.text("hook_point_out")?.filter(|out| config.hook.as_ref() != Some(out));
    config.transcoder |= config.hook_out.is_some();
    Ok(source)
}
