//! OpenAI's sparse_autoencoder: a `.pt` state dict with its activation named beside the tensors. TopK SAEs
//! normalise their input over its width; ReLU ones do not.

use std::path::Path;

use crate::containers::{PickleValue, Weights};
use crate::sae::config::{Architecture, Normalize, SaeFormat};
use crate::sae::error::SaeError;
use crate::sae::files::{Matrix, Names, SaeFiles, Threshold};

/// Opens the file.
pub fn open(file: &Path) -> Result<SaeFiles, SaeError> {
    let weights = Weights::open(file)?;
    let names = Names {
        w_enc: Matrix::Transposed("encoder.weight".to_owned()),
        b_enc: Some("latent_bias".to_owned()),
        w_dec: Matrix::Transposed("decoder.weight".to_owned()),
        b_dec: Some("pre_bias".to_owned()),
        b_in: Some("pre_bias".to_owned()),
        threshold: Threshold::None,
        gate: None,
        w_skip: None,
    };
    let activation = match weights.value("activation") {
        Some(PickleValue::Text(name)) => name.clone(),
        _ => "ReLU".to_owned(),
    };
    let architecture = match (activation.as_str(), weights.value("activation_state_dict.k")) {
        ("ReLU", _) => Architecture::Standard,
        ("TopK", Some(PickleValue::Int(k))) if *k > 0 => Architecture::TopK { k: *k },
        ("TopK", _) => {
            let reason = "a TopK SAE without activation_state_dict.k".to_owned();
            return Err(SaeError::Config { reason, path: file.to_owned() });
        }
        _ => {
            let (what, expected, path) = ("activation", "TopK, ReLU", file.to_owned());
            return Err(SaeError::Unsupported { what, got: activation, expected, path });
        }
    };
    let mut source = SaeFiles::new(SaeFormat::OpenAi, weights, names, (None, None))?;
    source.config.architecture = architecture;
    if matches!(architecture, Architecture::TopK { .. }) {
        source.config.normalize = Normalize::LayerNorm;
    }
    Ok(source)
}
