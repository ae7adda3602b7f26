//! A checkpoint folder's weights, read into layers with every shape checked.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::config::NormKind;
use super::error::ModelError;
use super::layers::{Linear, Norm};
use crate::weights::{Select, Weights};

/// Open weights, and how they are to be kept.
#[derive(Debug)]
pub struct Checkpoint {
    weights: Weights,
    /// Put before every name.
    prefix: String,
    kind: Kind,
    device: Device,
}

impl Checkpoint {
    /// Opens a folder's weights; `prefix` is used if the checkpoint has it (`transformer.` or nothing).
    pub fn open(folder: &Path, prefix: &str, device: Device, kind: Kind) -> Result<Self, ModelError> {
        let weights = open_weights(folder)?;
        let has_prefix = weights.names().any(|name| name.starts_with(prefix));
        let prefix = if has_prefix { prefix.to_owned() } else { String::new() };
        Ok(Self { weights, prefix, kind, device })
    }

    /// Reads a tensor under the prefix.
    pub fn tensor(&self, name: &str, axes: &'static str, shape: &[i64]) -> Result<Tensor, ModelError> {
        self.outside(&format!("{}{name}", self.prefix), axes, shape)
    }

    /// Reads a tensor whose name does not carry the prefix.
    pub fn outside(&self, name: &str, axes: &'static str, shape: &[i64]) -> Result<Tensor, ModelError> {
        self.weights.expect(name, axes, shape)?;
        Ok(self.weights.read(name, Select::All, self.kind, self.device)?)
    }

    /// Whether a tensor is there, under the prefix.
    pub fn has(&self, name: &str) -> bool {
        self.weights.has(&format!("{}{name}", self.prefix))
    }

    /// `NAME.weight` `[d_out, d_in]`, and `NAME.bias` if it is to be there.
    pub fn linear(&self, name: &str, d_out: i64, d_in: i64, bias: bool) -> Result<Linear, ModelError> {
        let weight = self.tensor(&format!("{name}.weight"), "[d_out, d_in]", &[d_out, d_in])?;
        Ok(Linear { weight, bias: self.bias(name, d_out, bias)? })
    }

    /// GPT-2's Conv1D: `NAME.weight` is `[d_in, d_out]`.
    pub fn conv1d(&self, name: &str, d_out: i64, d_in: i64) -> Result<Linear, ModelError> {
        let weight = self.tensor(&format!("{name}.weight"), "[d_in, d_out]", &[d_in, d_out])?;
        Ok(Linear { weight: weight.f_transpose(0, 1)?, bias: self.bias(name, d_out, true)? })
    }

    /// Several linear maps of one input as one.
    pub fn stacked(&self, maps: &[(&str, i64)], d_in: i64, bias: bool) -> Result<Linear, ModelError> {
        let maps: Vec<Linear> = maps
            .iter()
            .map(|(name, d_out)| self.linear(name, *d_out, d_in, bias))
            .collect::<Result<_, _>>()?;
        let weights: Vec<&Tensor> = maps.iter().map(|map| &map.weight).collect();
        let biases: Vec<&Tensor> = maps.iter().filter_map(|map| map.bias.as_ref()).collect();
        let weight = Tensor::f_cat(&weights, 0)?; // [sum of d_out, d_in]
        Ok(Linear { weight, bias: if bias { Some(Tensor::f_cat(&biases, 0)?) } else { None } })
    }

    /// LayerNorm: `NAME.weight` and `NAME.bias`.
    pub fn layer_norm(&self, name: &str, d_model: i64, eps: f64) -> Result<Norm, ModelError> {
        let weight = self.tensor(&format!("{name}.weight"), "[d_model]", &[d_model])?;
        Ok(Norm { kind: NormKind::Layer, eps, weight: Some(weight), bias: self.bias(name, d_model, true)? })
    }

    /// RMSNorm: `NAME.weight`; `plus` is added to it, in f32 (Gemma's 1).
    pub fn rms_norm(&self, name: &str, d_model: i64, eps: f64, plus: f64) -> Result<Norm, ModelError> {
        let weight = self.tensor(&format!("{name}.weight"), "[d_model]", &[d_model])?;
        let weight = weight.f_to_kind(Kind::Float)?.f_add_scalar(plus)?;
        Ok(Norm { kind: NormKind::Rms, eps, weight: Some(weight), bias: None })
    }

    fn bias(&self, name: &str, d_out: i64, expected: bool) -> Result<Option<Tensor>, ModelError> {
        if !expected {
            return Ok(None);
        }
        Ok(Some(self.tensor(&format!("{name}.bias"), "[d_out]", &[d_out])?))
    }
}

fn open_weights(folder: &Path) -> Result<Weights, ModelError> {
    for index in ["model.safetensors.index.json", "pytorch_model.bin.index.json"] {
        if folder.join(index).is_file() && !folder.join("model.safetensors").is_file() {
            return Ok(Weights::open_index(&folder.join(index))?);
        }
    }
    for single in ["model.safetensors", "pytorch_model.bin", "model_final.pth"] {
        if folder.join(single).is_file() {
            return Ok(Weights::open(&folder.join(single))?);
        }
    }
    Err(ModelError::NoWeights { path: folder.to_owned() })
}
