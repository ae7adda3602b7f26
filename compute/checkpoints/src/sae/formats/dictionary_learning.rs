//! dictionary_learning: `ae.pt` and `config.json`. The config names the class; without one it is told from the tensors,
//! and where two classes have the same tensors, the reader is asked.
//!
//! Activations are those that the library gives by default. Its `AutoEncoder` is loaded with decoder rows scaled to
//! norm 1, so activations are multiplied by the norms; the other classes leave decoder norms alone.

use std::path::Path;

use crate::containers::Weights;
use crate::sae::config::{Architecture, DictionaryClass, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Matrix, Names, SaeFiles, Threshold};
use crate::sae::settings::Settings;

/// Opens `ae.pt`, and `config.json` beside it if there is one.
pub fn open(file: &Path, class: Option<DictionaryClass>) -> Result<SaeFiles, SaeError> {
    let mut weights = Weights::open(file)?;
    if weights.names().any(|name| name.starts_with("_orig_mod.")) {
        weights = weights.below("_orig_mod.");
    }
    let config = Settings::read_if_any(&file.with_file_name("config.json"))?;
    let class = match class {
        Some(class) => class,
        None => named(&config)?.map_or_else(|| class_of(&weights, file), Ok)?,
    };
    let mut names = names(&weights);
    let mut architecture = Architecture::Standard;
    match class {
        DictionaryClass::AutoEncoder => {
            (names.b_dec, names.b_in) = (Some("bias".to_owned()), Some("bias".to_owned()));
        }
        DictionaryClass::AutoEncoderNew => {
            (names.b_dec, names.b_in) = (Some("decoder.bias".to_owned()), None);
        }
        DictionaryClass::Gated => {
            let bias = Some("decoder_bias".to_owned());
            (names.b_enc, names.b_dec, names.b_in) = (None, bias.clone(), bias);
            names.gate = Some(["gate_bias", "mag_bias", "r_mag"].map(str::to_owned));
            architecture = Architecture::Gated;
        }
        DictionaryClass::TopK => architecture = Architecture::TopK { k: k(&weights, &config)? },
        DictionaryClass::BatchTopK | DictionaryClass::Matryoshka => {
            refuse_untrained(&weights, file)?;
            names.threshold = Threshold::Tensor("threshold".to_owned());
            architecture = Architecture::JumpRelu;
        }
        DictionaryClass::CrossCoder => {
            (names.w_enc, names.w_dec) =
                (Matrix::Plain("encoder.weight".to_owned()), Matrix::Stacked("decoder.weight".to_owned()));
            (names.b_dec, names.b_in) = (Some("decoder.bias".to_owned()), None);
            weights.merge_leading_axes("encoder.weight");
            weights.merge_leading_axes("decoder.bias");
        }
        DictionaryClass::JumpRelu => {
            names.b_in = None;
            names.threshold = Threshold::Tensor("threshold".to_owned());
            architecture = Architecture::JumpRelu;
        }
    }
    let n_layers = match class {
        DictionaryClass::CrossCoder => weights.cube("decoder.weight")?[0],
        _ => 1,
    };
    // A crosscoder's activation_dim is the width of one layer.
    let d_in = config.int("trainer.activation_dim")?.map(|width| width.saturating_mul(n_layers));
    let widths = (d_in, config.int("trainer.dict_size")?);
    let format = SaeFormat::DictionaryLearning(Some(class));
    let mut source = SaeFiles::new(format, weights, names, widths)?;
    source.config.architecture = architecture;
    source.config.rescale_by_decoder_norm = class == DictionaryClass::AutoEncoder;
    source.config.n_layers = n_layers;
    source.config.model_name = config.text("trainer.lm_name")?;
    source.config.context_size = config.positive_int("buffer.ctx_len")?;
    source.config.hook =
        hook(config.text("trainer.submodule_name")?.as_deref(), config.int("trainer.layer")?);
    Ok(source)
}

/// Matryoshka and JumpReLU classes keep their weights as SAELens does, the others as `nn.Linear`.
fn names(weights: &Weights) -> Names {
    if weights.has("W_enc") {
        return Names::canonical();
    }
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

/// The class that the config names.
fn named(config: &Settings) -> Result<Option<DictionaryClass>, SaeError> {
    const CLASSES: &str = "AutoEncoder, AutoEncoderNew, GatedAutoEncoder, AutoEncoderTopK, BatchTopKSAE, \
                           MatryoshkaBatchTopKSAE, JumpReluAutoEncoder, CrossCoder";
    let Some(name) = config.text("trainer.dict_class")? else { return Ok(None) };
    let found = DictionaryClass::ALL.into_iter().find(|class| class.name() == name);
    found.map(Some).ok_or_else(|| config.unsupported("dict_class", name, CLASSES))
}

/// The class that alone has these tensors.
fn class_of(weights: &Weights, file: &Path) -> Result<DictionaryClass, SaeError> {
    let has = |name: &str| weights.has(name);
    let scalar_threshold = weights.shape("threshold").is_some_and(|shape| shape.iter().all(|n| *n == 1));
    if has("W_enc") {
        let matryoshka = has("group_sizes") || (has("k") && scalar_threshold);
        return Ok(if matryoshka { DictionaryClass::Matryoshka } else { DictionaryClass::JumpRelu });
    }
    if has("gate_bias") {
        return Ok(DictionaryClass::Gated);
    }
    if has("decoder.bias") && weights.shape("encoder.weight").is_some_and(|shape| shape.len() == 3) {
        return Ok(DictionaryClass::CrossCoder);
    }
    if has("bias") {
        return Ok(DictionaryClass::AutoEncoder);
    }
    if has("decoder.bias") {
        return Ok(DictionaryClass::AutoEncoderNew);
    }
    // TopK and BatchTopK have the same tensors. A threshold below zero was never set, so the SAE cannot be BatchTopK.
    if !has("threshold") || (has("k") && weights.values("threshold")?.iter().all(|value| *value < 0.0)) {
        return Ok(DictionaryClass::TopK);
    }
    Err(SaeError::Ambiguous {
        reason:
            "its tensors are those of both AutoEncoderTopK and BatchTopKSAE of dictionary_learning, and no \
                 config.json beside it names the class: put that file there, or add --sae-format \
                 dictionary-learning:AutoEncoderTopK or dictionary-learning:BatchTopKSAE"
                .to_owned(),
        path: file.to_owned(),
    })
}

fn k(weights: &Weights, config: &Settings) -> Result<i64, SaeError> {
    let written = config.positive_int("trainer.k")?;
    if weights.has("k") {
        let values = weights.values("k")?;
        return match values.as_slice() {
            [k] if *k >= 1.0 && k.fract() == 0.0 => Ok(*k as i64),
            _ => {
                let shown = &values[..values.len().min(4)];
                let reason = format!("its \"k\" is {shown:?}, expected one whole number above 0");
                Err(SaeError::Config { reason, path: weights.path().to_owned() })
            }
        };
    }
    let reason = "a TopK SAE without k, in the file or as trainer.k in config.json".to_owned();
    written.ok_or_else(|| SaeError::Config { reason, path: weights.path().to_owned() })
}

/// A threshold below zero was never set: every positive activation would pass it.
fn refuse_untrained(weights: &Weights, file: &Path) -> Result<(), SaeError> {
    if weights.values("threshold")?.iter().any(|value| *value < 0.0) {
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
