//! dictionary_learning: `ae.pt` and `config.json`. The class is named in the config; without one it is told
//! from the names of the tensors.

use std::path::Path;

use serde_json::Value;
use tch::{Device, Kind};

use crate::sae::config::{Architecture, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::source::{Matrix, Names, Source, Threshold, json};
use crate::weights::{Select, Weights};

const CLASSES: &str =
    "AutoEncoder, AutoEncoderNew, GatedAutoEncoder, AutoEncoderTopK, BatchTopKSAE, JumpReluAutoEncoder";

/// Opens `ae.pt`, and `config.json` beside it if there is one.
pub fn open(file: &Path) -> Result<Source, SaeError> {
    let mut weights = Weights::open(file)?;
    if weights.names().any(|name| name.starts_with("_orig_mod.")) {
        weights = weights.below("_orig_mod.");
    }
    let path = file.with_file_name("config.json");
    let config = if path.is_file() { json(&path)? } else { Value::Null };
    let trainer = config.get("trainer").unwrap_or(&Value::Null);
    let class =
        trainer.get("dict_class").and_then(Value::as_str).unwrap_or_else(|| class(&weights)).to_owned();
    let mut names = names();
    let mut architecture = Architecture::Standard;
    let mut scaled = false;
    match class.as_str() {
        "AutoEncoder" => {
            (names.b_dec, names.b_in) = (Some("bias".to_owned()), Some("bias".to_owned()));
        }
        "AutoEncoderNew" => (names.b_dec, names.b_in) = (Some("decoder.bias".to_owned()), None),
        "GatedAutoEncoder" => {
            let bias = Some("decoder_bias".to_owned());
            (names.b_enc, names.b_dec, names.b_in) = (None, bias.clone(), bias);
            names.gate = Some(["gate_bias", "mag_bias", "r_mag"].map(str::to_owned));
            (architecture, scaled) = (Architecture::Gated, true);
        }
        "AutoEncoderTopK" => architecture = Architecture::TopK { k: k(&weights, trainer, file)? },
        "BatchTopKSAE" | "MatryoshkaBatchTopKSAE" => {
            refuse_untrained(&weights, file)?;
            names.threshold = Threshold::Tensor("threshold".to_owned());
            architecture = Architecture::JumpRelu;
        }
        "JumpReluAutoEncoder" => {
            names = Names::canonical();
            names.b_in = None;
            names.threshold = Threshold::Tensor("threshold".to_owned());
            (architecture, scaled) = (Architecture::JumpRelu, true);
        }
        _ => {
            let (what, expected) = ("dict_class", CLASSES);
            return Err(SaeError::Unsupported { what, got: class, expected, path });
        }
    }
    let int = |name: &str| trainer.get(name).and_then(Value::as_i64);
    let text = |name: &str| trainer.get(name).and_then(Value::as_str).map(str::to_owned);
    let widths = (int("activation_dim"), int("dict_size"));
    let mut source = Source::new(SaeFormat::DictionaryLearning, weights, names, widths)?;
    source.config.architecture = architecture;
    source.config.rescale_by_decoder_norm = scaled;
    source.config.model_name = text("lm_name");
    source.config.context_size =
        config.get("buffer").and_then(|buffer| buffer.get("ctx_len")).and_then(Value::as_i64);
    source.config.hook = hook(text("submodule_name").as_deref(), int("layer"));
    Ok(source)
}

fn names() -> Names {
    Names {
        w_enc: Matrix::Transposed("encoder.weight".to_owned()),
        b_enc: Some("encoder.bias".to_owned()),
        w_dec: Matrix::Transposed("decoder.weight".to_owned()),
        b_dec: Some("b_dec".to_owned()),
        b_in: Some("b_dec".to_owned()),
        threshold: Threshold::None,
        gate: None,
        w_skip: None,
    }
}

fn class(weights: &Weights) -> &'static str {
    let has = |name: &str| weights.has(name);
    match () {
        () if has("W_enc") => "JumpReluAutoEncoder",
        () if has("gate_bias") => "GatedAutoEncoder",
        () if has("bias") => "AutoEncoder",
        () if has("decoder.bias") => "AutoEncoderNew",
        () if has("threshold") && has("b_dec") => "BatchTopKSAE",
        () => "AutoEncoderTopK",
    }
}

fn k(weights: &Weights, trainer: &Value, file: &Path) -> Result<i64, SaeError> {
    if weights.has("k") {
        weights.expect("k", "[]", &[])?;
        return Ok(weights.read("k", Select::All, Kind::Int64, Device::Cpu)?.int64_value(&[]).max(1));
    }
    trainer
        .get("k")
        .and_then(Value::as_i64)
        .filter(|k| *k > 0)
        .ok_or_else(|| SaeError::Config { reason: "a TopK SAE without k".to_owned(), path: file.to_owned() })
}

/// A threshold below zero was never set: every positive activation would pass it.
fn refuse_untrained(weights: &Weights, file: &Path) -> Result<(), SaeError> {
    let threshold = weights.read("threshold", Select::All, Kind::Double, Device::Cpu)?;
    if threshold.numel() > 0 && threshold.min().double_value(&[]) < 0.0 {
        let reason = "a BatchTopK SAE whose inference threshold was never set (it is below zero)".to_owned();
        return Err(SaeError::Config { reason, path: file.to_owned() });
    }
    Ok(())
}

/// `resid_post_layer_3`, `mlp_layer_3`, `attention_layer_3`, as far as they are known.
fn hook(submodule: Option<&str>, layer: Option<i64>) -> Option<String> {
    let submodule = submodule?;
    let layer = layer.or_else(|| submodule.rsplit('_').next()?.parse().ok())?;
    let site = match submodule.split("_layer").next()? {
        "resid_post" => "hook_resid_post",
        "mlp" | "mlp_out" => "mlp.hook_out",
        "attention" | "attn" | "attn_out" => "hook_attn_out",
        _ => return None,
    };
    Some(format!("blocks.{layer}.{site}"))
}
