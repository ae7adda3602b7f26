//! SAELens folders: `cfg.json` and `sae_weights.safetensors`, flat before 6.0, with `metadata` since.

use std::path::Path;

use serde_json::Value;

use crate::containers::Weights;
use crate::sae::config::{Architecture, Normalize, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Names, SaeFiles, Threshold};
use crate::sae::settings::Settings;

/// Opens a folder, or a weight file in it.
pub fn open(path: &Path) -> Result<SaeFiles, SaeError> {
    let file = if path.is_dir() { path.join("sae_weights.safetensors") } else { path.to_owned() };
    let cfg = Settings::read(&file.with_file_name("cfg.json"))?.with_section("metadata");
    let weights = Weights::open(&file)?;
    let name = architecture(&cfg)?;
    let mut names = Names::canonical();
    let architecture = match name.as_str() {
        "standard" | "transcoder" | "skip_transcoder" => Architecture::Standard,
        "gated" => {
            names.b_enc = None;
            names.gate = Some(["b_gate", "b_mag", "r_mag"].map(str::to_owned));
            Architecture::Gated
        }
        // BatchTopK and Matryoshka SAEs are saved as jumprelu; should one not be, it still has its threshold.
        "jumprelu" | "jumprelu_transcoder" | "jumprelu_skip_transcoder" => {
            names.threshold = Threshold::Tensor("threshold".to_owned());
            Architecture::JumpRelu
        }
        "topk" => Architecture::TopK { k: k(&cfg)? },
        _ => {
            let expected =
                "standard, gated, jumprelu, topk, transcoder, skip_transcoder, jumprelu_transcoder";
            return Err(cfg.unsupported("architecture", name, expected));
        }
    };
    refuse_what_would_be_ignored(&cfg)?;
    let transcoder = name.contains("transcoder");
    let subtracts = cfg.flag("apply_b_dec_to_input")?.unwrap_or(!transcoder);
    if !subtracts || transcoder {
        names.b_in = None;
    }
    if weights.has("W_skip") {
        names.w_skip = Some("W_skip".to_owned());
    }
    check_scaling_factor(&weights, &cfg)?;
    let widths = (cfg.int("d_in")?, cfg.int("d_sae")?);
    let mut source = SaeFiles::new(SaeFormat::SaeLens, weights, names, widths)?;
    let config = &mut source.config;
    config.architecture = architecture;
    config.transcoder = transcoder;
    config.normalize = normalize(&cfg)?;
    config.rescale_by_decoder_norm = cfg.flag("rescale_acts_by_decoder_norm")?.unwrap_or(false);
    config.hook = cfg.text("hook_name")?.or(cfg.text("hook_point")?);
    config.hook_out = cfg.text("hook_name_out")?.or(cfg.text("hook_point_out")?);
    config.model_name = cfg.text("model_name")?;
    config.prepend_bos = Some(cfg.flag("prepend_bos")?.unwrap_or(true));
    config.context_size = cfg.positive_int("context_size")?;
    config.center_writing_weights = cfg.flag("model_from_pretrained_kwargs.center_writing_weights")?;
    config.fold_value_biases = cfg.flag("model_from_pretrained_kwargs.fold_value_biases")?;
    Ok(source)
}

/// Old configs say topk by the activation function alone.
fn architecture(cfg: &Settings) -> Result<String, SaeError> {
    let named = cfg.text("architecture")?.unwrap_or_else(|| "standard".to_owned());
    match activation(cfg)?.as_deref() {
        Some("topk") if named == "standard" => Ok("topk".to_owned()),
        _ => Ok(named),
    }
}

fn activation(cfg: &Settings) -> Result<Option<String>, SaeError> {
    Ok(cfg.text("activation_fn_str")?.or(cfg.text("activation_fn")?))
}

fn k(cfg: &Settings) -> Result<i64, SaeError> {
    let k = cfg.positive_int("k")?.or(cfg.positive_int("activation_fn_kwargs.k")?);
    k.ok_or_else(|| cfg.error("a topk SAE without k".to_owned()))
}

/// Settings that change activations and are not read here.
fn refuse_what_would_be_ignored(cfg: &Settings) -> Result<(), SaeError> {
    if let Some(other) = activation(cfg)?.filter(|name| !matches!(name.as_str(), "relu" | "topk")) {
        return Err(cfg.unsupported("activation_fn", other, "relu, topk"));
    }
    match cfg.int("hook_head_index")? {
        Some(head) => Err(cfg.unsupported("hook_head_index", head.to_string(), "null")),
        None => Ok(()),
    }
}

fn normalize(cfg: &Settings) -> Result<Normalize, SaeError> {
    let expected = "none, expected_average_only_in, constant_norm_rescale, layer_norm";
    let unknown = |got: String| Err(cfg.unsupported("normalize_activations", got, expected));
    match cfg.value("normalize_activations")? {
        None | Some(Value::Bool(false)) => Ok(Normalize::None),
        Some(Value::Bool(true)) => expected_average(cfg),
        Some(Value::String(name)) => match name.as_str() {
            "none" => Ok(Normalize::None),
            "expected_average_only_in" => expected_average(cfg),
            "constant_norm_rescale" => Ok(Normalize::ConstantNorm),
            "layer_norm" => Ok(Normalize::LayerNorm),
            other => unknown(other.to_owned()),
        },
        Some(other) => unknown(other.to_string()),
    }
}

/// The factor, which training keeps beside its checkpoints; null there says that it is folded into the weights.
fn expected_average(cfg: &Settings) -> Result<Normalize, SaeError> {
    let path = cfg.path().with_file_name("activation_scaler.json");
    if !path.is_file() {
        return Ok(Normalize::ExpectedAverage);
    }
    let scaler = Settings::read(&path)?;
    if scaler.has("scaling_factor") {
        return Ok(Normalize::Scale(scaler.need_positive("scaling_factor")?));
    }
    Ok(Normalize::None)
}

/// A leftover of finetuning: all ones is harmless, anything else would change every activation.
fn check_scaling_factor(weights: &Weights, cfg: &Settings) -> Result<(), SaeError> {
    let Some(shape) = weights.shape("scaling_factor") else { return Ok(()) };
    let shape = shape.to_vec();
    if weights.values("scaling_factor")?.iter().all(|factor| (factor - 1.0).abs() <= 1e-6) {
        return Ok(());
    }
    Err(cfg.error(format!(
        "\"scaling_factor\" of shape {shape:?} is not all ones: fold it into W_dec and save the SAE again"
    )))
}
