//! SAELens folders: `cfg.json` and `sae_weights.safetensors`, flat before 6.0, with `metadata` since.

use std::path::Path;

use serde_json::Value;

use crate::containers::Weights;
use crate::sae::config::{Architecture, ExcludedTokens, Normalize, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Matrix, Names, SaeFiles, Threshold};
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
        "jumprelu" | "jumprelu_transcoder" | "jumprelu_skip_transcoder" => {
            names.threshold = Threshold::Tensor("threshold".to_owned());
            Architecture::JumpRelu
        }
        // SAELens saves these as jumprelu for use; checkpoints of their training have one threshold for all.
        "batchtopk" | "matryoshka_batchtopk" => {
            let rescaled = cfg.flag("rescale_acts_by_decoder_norm")?.unwrap_or(false);
            let threshold = "topk_threshold".to_owned();
            names.threshold =
                if rescaled { Threshold::OfScaled(threshold) } else { Threshold::Tensor(threshold) };
            Architecture::JumpRelu
        }
        "topk" => Architecture::TopK { k: k(&cfg)? },
        "abstopk" => Architecture::AbsTopK { k: k(&cfg)? },
        "matching_pursuit" => {
            (names.w_enc, names.b_enc) = (Matrix::Transposed("W_dec".to_owned()), None);
            matching_pursuit(&cfg, &weights)?
        }
        "temporal" => return Err(SaeError::Temporal { path: cfg.path().to_owned() }),
        _ => {
            let expected = "standard, gated, jumprelu, topk, batchtopk, matryoshka_batchtopk, abstopk, \
                            matching_pursuit, transcoder, skip_transcoder, jumprelu_transcoder, \
                            jumprelu_skip_transcoder";
            return Err(cfg.unsupported("architecture", name, expected));
        }
    };
    refuse_what_would_be_ignored(&cfg)?;
    let transcoder = name.contains("transcoder");
    let subtracts = cfg.flag("apply_b_dec_to_input")?.unwrap_or(!transcoder);
    if !subtracts || transcoder {
        names.b_in = None;
    }
    if !subtracts && name == "matching_pursuit" {
        names.b_dec = None; // it is added back only where it was subtracted
    }
    if weights.has("W_skip") {
        names.w_skip = Some(Matrix::Plain("W_skip".to_owned()));
    }
    check_scaling_factor(&weights, &cfg)?;
    let widths = (cfg.int("d_in")?, cfg.int("d_sae")?);
    let mut source = SaeFiles::new(SaeFormat::SaeLens, weights, names, widths)?;
    let config = &mut source.config;
    config.architecture = architecture;
    config.transcoder = transcoder;
    match normalize(&cfg)? {
        Normalize::Scale(scale) => config.set_scale(scale),
        other => config.normalize = other,
    }
    config.rescale_by_decoder_norm = cfg.flag("rescale_acts_by_decoder_norm")?.unwrap_or(false);
    config.hook = cfg.text("hook_name")?.or(cfg.text("hook_point")?);
    config.hook_out = cfg.text("hook_name_out")?.or(cfg.text("hook_point_out")?);
    config.model_name = cfg.text("model_name")?;
    config.prepend_bos = Some(cfg.flag("prepend_bos")?.unwrap_or(true));
    config.context_size = cfg.positive_int("context_size")?;
    config.center_writing_weights = cfg.flag("model_from_pretrained_kwargs.center_writing_weights")?;
    config.fold_value_biases = cfg.flag("model_from_pretrained_kwargs.fold_value_biases")?;
    config.excluded_tokens = excluded_tokens(&cfg)?;
    config.seqpos_slice = seqpos_slice(&cfg)?;
    config.stated_l0 = cfg.number("l0")?;
    config.stated_n_dead = cfg.int("num_dead_features")?;
    Ok(source)
}

fn matching_pursuit(cfg: &Settings, weights: &Weights) -> Result<Architecture, SaeError> {
    let normalize = normalize(cfg)?;
    if matches!(normalize, Normalize::Scale(_) | Normalize::ExpectedAverage) {
        let got = "expected_average_only_in".to_owned();
        let expected = "none, constant_norm_rescale, layer_norm for matching pursuit";
        return Err(cfg.unsupported("normalize_activations", got, expected));
    }
    let (_, d_in) = weights.matrix("W_dec")?;
    Ok(Architecture::MatchingPursuit {
        residual_threshold: cfg.number("residual_threshold")?.unwrap_or(0.01),
        max_iterations: cfg.positive_int("max_iterations")?.unwrap_or(d_in),
        stop_on_duplicate_support: cfg.flag("stop_on_duplicate_support")?.unwrap_or(true),
    })
}

/// true, false, or a list of token ids.
fn excluded_tokens(cfg: &Settings) -> Result<Option<ExcludedTokens>, SaeError> {
    const NAME: &str = "exclude_special_tokens";
    let wrong = |value: &Value| cfg.wrong_type(NAME, value, "true, false or a list of token ids");
    match cfg.value(NAME)? {
        None | Some(Value::Bool(false)) => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(ExcludedTokens::Special)),
        Some(value @ Value::Array(ids)) => {
            let ids: Option<Vec<i64>> = ids.iter().map(Value::as_i64).collect();
            Ok(Some(ExcludedTokens::Ids(ids.ok_or_else(|| wrong(value))?)))
        }
        Some(value) => Err(wrong(value)),
    }
}

/// Start, stop and step, each a number or null; what changes nothing is `None`.
fn seqpos_slice(cfg: &Settings) -> Result<Option<[Option<i64>; 3]>, SaeError> {
    const NAME: &str = "seqpos_slice";
    let Some(value) = cfg.value(NAME)? else { return Ok(None) };
    let wrong = || cfg.wrong_type(NAME, value, "a list of at most three numbers or nulls");
    let parts = value.as_array().filter(|parts| parts.len() <= 3).ok_or_else(wrong)?;
    let mut slice = [None; 3];
    // As Python does: one number alone is the stop.
    let first = usize::from(parts.len() == 1);
    for (to, part) in slice[first..].iter_mut().zip(parts) {
        *to = if part.is_null() { None } else { Some(part.as_i64().ok_or_else(wrong)?) };
    }
    Ok(Some(slice).filter(|slice| !matches!(slice, [None | Some(0), None, None | Some(1)])))
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
