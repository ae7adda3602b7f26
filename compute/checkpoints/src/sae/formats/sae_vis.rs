//! Two `.pt` layouts with SAELens's names: the bare state dict of sae_vis's run1 and run2, and
//! GPT2-Small-SAEs' pickle of a config and a state dict (its transcoders write by `b_dec_out`).

use std::path::Path;

use crate::containers::{PickleValue, Weights};
use crate::sae::config::SaeFormat;
use crate::sae::error::SaeError;
use crate::sae::files::{Names, SaeFiles};
use crate::sae::settings::Settings;

/// `25.pt`, and beside it `25_cfg.json` if there is one.
pub fn open(file: &Path) -> Result<SaeFiles, SaeError> {
    let weights = Weights::open(file)?;
    let mut source = SaeFiles::new(SaeFormat::SaeVis, weights, Names::canonical(), (None, None))?;
    let name = file.file_stem().map(|stem| format!("{}_cfg.json", stem.to_string_lossy()));
    let Some(cfg) = name.map(|name| file.with_file_name(name)).filter(|cfg| cfg.is_file()) else {
        return Ok(source);
    };
    let cfg = Settings::read(&cfg)?;
    source.config.hook = cfg.text("act_name")?.or(cfg.text("hook_name")?);
    source.config.model_name = cfg.text("model_name")?;
    source.config.context_size = cfg.positive_int("seq_len")?;
    Ok(source)
}

/// `final_sparse_autoencoder_*.pt`.
pub fn open_pickled(file: &Path) -> Result<SaeFiles, SaeError> {
    let all = Weights::open(file)?;
    let text = |name: &str| match all.value(&format!("cfg.{name}")) {
        Some(PickleValue::Text(text)) => Some(text.clone()),
        _ => None,
    };
    let int = |name: &str| match all.value(&format!("cfg.{name}")) {
        Some(PickleValue::Int(value)) => Some(*value),
        _ => None,
    };
    let hook = text("hook_point").or_else(|| text("hook_name"));
    let hook_out = text("out_hook_point").filter(|out| hook.as_ref() != Some(out));
    let (model_name, context_size) = (text("model_name"), int("context_size"));
    let widths = (int("d_in"), int("d_sae"));
    let weights = all.below("state_dict.");
    let mut names = Names::canonical();
    let transcoder = weights.has("b_dec_out");
    if transcoder {
        names.b_dec = Some("b_dec_out".to_owned());
    }
    let mut source = SaeFiles::new(SaeFormat::Gpt2SmallSaes, weights, names, widths)?;
    let config = &mut source.config;
    config.transcoder |= transcoder;
    (config.hook, config.hook_out) = (hook, hook_out.filter(|_| transcoder));
    (config.model_name, config.context_size) = (model_name, context_size);
    // Trained on TransformerLens's default, processed weights; pickled before configs said so.
    config.prepend_bos = Some(true);
    config.center_writing_weights = Some(true);
    Ok(source)
}
