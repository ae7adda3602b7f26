//! SAELens folders: `cfg.json` and `sae_weights.safetensors`, flat before 6.0, with `metadata` since.

use std::path::Path;

use serde_json::Value;

use crate::sae::config::{Architecture, Normalize, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::source::{Names, Source, Threshold, json};
use crate::weights::{Select, Weights};

/// Opens a folder.
pub fn open(folder: &Path) -> Result<Source, SaeError> {
    let path = folder.join("cfg.json");
    let cfg = Config { json: json(&path)?, path: &path };
    let weights = Weights::open(&folder.join("sae_weights.safetensors"))?;
    let name = cfg.architecture();
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
        "topk" => Architecture::TopK { k: cfg.k()? },
        _ => {
            let expected =
                "standard, gated, jumprelu, topk, transcoder, skip_transcoder, jumprelu_transcoder";
            return Err(cfg.unsupported("architecture", name, expected));
        }
    };
    cfg.refuse_what_would_be_ignored()?;
    let transcoder = name.contains("transcoder");
    let subtracts = cfg.get("apply_b_dec_to_input").and_then(Value::as_bool).unwrap_or(!transcoder);
    if !subtracts || transcoder {
        names.b_in = None;
    }
    if weights.has("W_skip") {
        names.w_skip = Some("W_skip".to_owned());
    }
    check_scaling_factor(&weights, &cfg)?;
    let widths = (cfg.int("d_in"), cfg.int("d_sae"));
    let mut source = Source::new(SaeFormat::SaeLens, weights, names, widths)?;
    let config = &mut source.config;
    config.architecture = architecture;
    config.transcoder = transcoder;
    config.normalize = cfg.normalize()?;
    config.rescale_by_decoder_norm = cfg.flag("rescale_acts_by_decoder_norm").unwrap_or(false);
    config.hook = cfg.text("hook_name").or_else(|| cfg.text("hook_point"));
    config.hook_out = cfg.text("hook_name_out").or_else(|| cfg.text("hook_point_out"));
    config.model_name = cfg.text("model_name");
    config.prepend_bos = Some(cfg.flag("prepend_bos").unwrap_or(true));
    config.context_size = cfg.int("context_size");
    let model = cfg.get("model_from_pretrained_kwargs");
    let model_flag = |name: &str| model.and_then(|model| model.get(name)).and_then(Value::as_bool);
    config.center_writing_weights = model_flag("center_writing_weights");
    config.fold_value_biases = model_flag("fold_value_biases");
    Ok(source)
}

/// A leftover of finetuning: all ones is harmless, anything else would change every activation.
fn check_scaling_factor(weights: &Weights, cfg: &Config<'_>) -> Result<(), SaeError> {
    let Some(shape) = weights.shape("scaling_factor") else { return Ok(()) };
    let shape = shape.to_vec();
    let factor = weights.read("scaling_factor", Select::All, tch::Kind::Float, tch::Device::Cpu)?;
    if factor.allclose(&factor.ones_like(), 1e-6, 1e-6, false) {
        return Ok(());
    }
    let reason = format!(
        "\"scaling_factor\" of shape {shape:?} is not all ones: fold it into W_dec and save the SAE again"
    );
    Err(SaeError::Config { reason, path: cfg.path.to_owned() })
}

/// `cfg.json`, flat or with `metadata`.
struct Config<'a> {
    json: Value,
    path: &'a Path,
}

impl Config<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        let nested = || self.json.get("metadata").and_then(|metadata| metadata.get(name));
        self.json.get(name).or_else(nested).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }

    fn int(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }

    /// Old configs say topk by the activation function alone.
    fn architecture(&self) -> String {
        let activation = self.text("activation_fn_str").or_else(|| self.text("activation_fn"));
        let named = self.text("architecture").unwrap_or_else(|| "standard".to_owned());
        match activation.as_deref() {
            Some("topk") if named == "standard" => "topk".to_owned(),
            _ => named,
        }
    }

    /// Settings that change activations and are not read here.
    fn refuse_what_would_be_ignored(&self) -> Result<(), SaeError> {
        let activation = self.text("activation_fn_str").or_else(|| self.text("activation_fn"));
        if let Some(other) = activation.filter(|name| !matches!(name.as_str(), "relu" | "topk")) {
            return Err(self.unsupported("activation_fn", other, "relu, topk"));
        }
        match self.int("hook_head_index") {
            Some(head) => Err(self.unsupported("hook_head_index", head.to_string(), "null")),
            None => Ok(()),
        }
    }

    fn k(&self) -> Result<i64, SaeError> {
        let old =
            || self.get("activation_fn_kwargs").and_then(|kwargs| kwargs.get("k")).and_then(Value::as_i64);
        self.int("k").or_else(old).filter(|k| *k > 0).ok_or_else(|| SaeError::Config {
            reason: "a topk SAE without k".to_owned(),
            path: self.path.to_owned(),
        })
    }

    fn normalize(&self) -> Result<Normalize, SaeError> {
        Ok(match self.get("normalize_activations") {
            None | Some(Value::Bool(false)) => Normalize::None,
            Some(Value::Bool(true)) => Normalize::ExpectedAverage,
            Some(Value::String(name)) => match name.as_str() {
                "none" => Normalize::None,
                "expected_average_only_in" => Normalize::ExpectedAverage,
                "constant_norm_rescale" => Normalize::ConstantNorm,
                "layer_norm" => Normalize::LayerNorm,
                other => return Err(self.unknown_norm(other)),
            },
            Some(other) => return Err(self.unknown_norm(&other.to_string())),
        })
    }

    fn unknown_norm(&self, got: &str) -> SaeError {
        let expected = "none, expected_average_only_in, constant_norm_rescale, layer_norm";
        self.unsupported("normalize_activations", got.to_owned(), expected)
    }

    fn unsupported(&self, what: &'static str, got: String, expected: &'static str) -> SaeError {
        SaeError::Unsupported { what, got, expected, path: self.path.to_owned() }
    }
}
