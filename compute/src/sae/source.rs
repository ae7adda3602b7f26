//! Where a format keeps each weight, and reading them from there.
//!
//! A format's file says only names and orientations; shapes are checked and parts are chosen here, once.

use tch::{Device, Kind, Tensor};

use super::Tensors;
use super::config::{Architecture, Normalize, SaeConfig, SaeFormat};
use super::error::SaeError;
use crate::weights::{Select, Weights, WeightsError};

/// A matrix and how it lies.
#[derive(Clone, Debug)]
pub enum Matrix {
    /// As the canonical form has it: `W_enc [d_in, d_sae]`, `W_dec [d_sae, d_out]`.
    Plain(String),
    /// The other way round, as `nn.Linear` keeps it.
    Transposed(String),
}

impl Matrix {
    /// Rows and columns in the canonical orientation, from the header.
    pub fn widths(&self, weights: &Weights) -> Result<(i64, i64), WeightsError> {
        match self {
            Self::Plain(name) => weights.matrix(name),
            Self::Transposed(name) => weights.matrix(name).map(|(rows, columns)| (columns, rows)),
        }
    }

    fn expect(
        &self,
        weights: &Weights,
        axes: [&'static str; 2],
        shape: [i64; 2],
    ) -> Result<(), WeightsError> {
        match self {
            Self::Plain(name) => weights.expect(name, axes[0], &shape),
            Self::Transposed(name) => weights.expect(name, axes[1], &[shape[1], shape[0]]),
        }
    }
}

/// Where thresholds come from.
#[derive(Clone, Debug)]
pub enum Threshold {
    /// There are none.
    None,
    /// `[d_sae]`, or one for all.
    Tensor(String),
    /// One for all, from the config.
    Constant(f64),
}

/// The names of the weights.
#[derive(Clone, Debug)]
pub struct Names {
    pub w_enc: Matrix,
    pub b_enc: Option<String>,
    pub w_dec: Matrix,
    pub b_dec: Option<String>,
    /// Subtracted from the input.
    pub b_in: Option<String>,
    pub threshold: Threshold,
    /// `b_gate`, `b_mag`, `r_mag`.
    pub gate: Option<[String; 3]>,
    /// `[d_out, d_in]`.
    pub w_skip: Option<String>,
}

impl Names {
    /// SAELens's own names, which several formats share.
    pub fn canonical() -> Self {
        Self {
            w_enc: Matrix::Plain("W_enc".to_owned()),
            b_enc: Some("b_enc".to_owned()),
            w_dec: Matrix::Plain("W_dec".to_owned()),
            b_dec: Some("b_dec".to_owned()),
            b_in: Some("b_dec".to_owned()),
            threshold: Threshold::None,
            gate: None,
            w_skip: None,
        }
    }

    /// The names of all weights that have one axis.
    fn vectors(&self) -> impl Iterator<Item = &str> {
        let threshold = match &self.threshold {
            Threshold::Tensor(name) => Some(name),
            Threshold::None | Threshold::Constant(_) => None,
        };
        let biases = [&self.b_enc, &self.b_dec, &self.b_in].into_iter().flatten();
        biases.chain(threshold).chain(self.gate.iter().flatten()).map(String::as_str)
    }
}

/// An opened SAE: its config, and where its weights are.
#[derive(Debug)]
pub struct Source {
    pub config: SaeConfig,
    pub names: Names,
    pub weights: Weights,
}

impl Source {
    /// Takes widths from the header, and checks every shape against them and against the config's claims.
    pub fn new(
        format: SaeFormat,
        mut weights: Weights,
        names: Names,
        claims: (Option<i64>, Option<i64>),
    ) -> Result<Self, SaeError> {
        for name in names.vectors() {
            weights.drop_leading_ones(name);
        }
        let (d_in, d_sae) = names.w_enc.widths(&weights)?;
        let (_, d_out) = names.w_dec.widths(&weights)?;
        let (d_in, d_sae) = (claims.0.unwrap_or(d_in), claims.1.unwrap_or(d_sae));
        let mut config = SaeConfig::new(format, d_in, d_sae, d_out);
        config.transcoder = d_out != d_in;
        config.subtract_b_dec = names.b_in.is_some();
        names.w_enc.expect(&weights, ["[d_in, d_sae]", "[d_sae, d_in]"], [d_in, d_sae])?;
        names.w_dec.expect(&weights, ["[d_sae, d_out]", "[d_out, d_sae]"], [d_sae, d_out])?;
        let features = names.b_enc.iter().chain(names.gate.iter().flatten());
        for name in features {
            weights.expect(name, "[d_sae]", &[d_sae])?;
        }
        if let Threshold::Tensor(name) = &names.threshold
            && weights.shape(name).is_none_or(|shape| shape.iter().product::<i64>() != 1)
        {
            weights.expect(name, "[d_sae]", &[d_sae])?;
        }
        if let Some(name) = &names.b_dec {
            weights.expect(name, "[d_out]", &[d_out])?;
        }
        if let Some(name) = &names.b_in {
            weights.expect(name, "[d_in]", &[d_in])?;
        }
        if let Some(name) = &names.w_skip {
            weights.expect(name, "[d_out, d_in]", &[d_out, d_in])?;
        }
        Ok(Self { config, names, weights })
    }

    /// Reads the weights, of some features or of all.
    pub fn load(&self, features: Option<&[i64]>, device: Device) -> Result<Tensors, SaeError> {
        let top_k = matches!(self.config.architecture, Architecture::TopK { .. });
        let encoder = if top_k { None } else { features };
        let read = |name: &str, select: Select<'_>| self.weights.read(name, select, Kind::Float, device);
        let per_feature = |name: &str| read(name, encoder.map_or(Select::All, Select::Rows));
        let w_enc = match (&self.names.w_enc, encoder) {
            (Matrix::Plain(name), None) => read(name, Select::All)?,
            (Matrix::Plain(name), Some(features)) => read(name, Select::Columns(features))?,
            (Matrix::Transposed(name), None) => read(name, Select::All)?.tr(),
            (Matrix::Transposed(name), Some(features)) => read(name, Select::Rows(features))?.tr(),
        };
        let decoder = |features: Option<&[i64]>| match (&self.names.w_dec, features) {
            (Matrix::Plain(name), None) => read(name, Select::All),
            (Matrix::Plain(name), Some(features)) => read(name, Select::Rows(features)),
            (Matrix::Transposed(name), None) => Ok(read(name, Select::All)?.tr().contiguous()),
            (Matrix::Transposed(name), Some(features)) => {
                Ok(read(name, Select::Columns(features))?.tr().contiguous())
            }
        };
        let w_dec = decoder(features)?;
        let scale = match self.config.rescale_by_decoder_norm {
            true if top_k && features.is_some() => Some(norms(&decoder(None)?)),
            true => Some(norms(&w_dec)),
            false => None,
        };
        let maybe = |name: &Option<String>| name.as_deref().map(|name| read(name, Select::All)).transpose();
        let gate = match &self.names.gate {
            Some([b_gate, b_mag, r_mag]) => {
                Some([per_feature(b_gate)?, per_feature(b_mag)?, per_feature(r_mag)?])
            }
            None => None,
        };
        // Constants are folded into the weights, so that a decoder row is in the units of the hook point.
        let input_scale = match self.config.normalize {
            Normalize::Scale(scale) => scale,
            _ => 1.0,
        };
        let weight_scale = input_scale * self.config.weight_scale;
        Ok(Tensors {
            w_enc: times(w_enc, weight_scale),
            b_enc: self.names.b_enc.as_deref().map(per_feature).transpose()?,
            w_dec: times(w_dec, 1.0 / weight_scale),
            b_dec: maybe(&self.names.b_dec)?.map(|b_dec| times(b_dec, 1.0 / input_scale)),
            b_in: maybe(&self.names.b_in)?.map(|b_in| times(b_in, 1.0 / input_scale)),
            threshold: self.threshold(encoder, device)?,
            gate,
            scale,
            w_skip: maybe(&self.names.w_skip)?,
        })
    }

    fn threshold(&self, features: Option<&[i64]>, device: Device) -> Result<Option<Tensor>, SaeError> {
        let name = match &self.names.threshold {
            Threshold::None => return Ok(None),
            Threshold::Constant(value) => {
                return Ok(Some(Tensor::from(*value as f32).to_device(device)));
            }
            Threshold::Tensor(name) => name,
        };
        let one = self.weights.shape(name).is_some_and(|shape| shape.iter().product::<i64>() == 1);
        let select = if one { Select::All } else { features.map_or(Select::All, Select::Rows) };
        Ok(Some(self.weights.read(name, select, Kind::Float, device)?))
    }
}

/// A tensor times a constant; by 1 it stays the same to the bit.
#[expect(clippy::float_cmp, reason = "exactly 1 stands for no scale")]
fn times(tensor: Tensor, factor: f64) -> Tensor {
    if factor == 1.0 { tensor } else { tensor * factor }
}

/// Each row's length. `[n, d_out]` -> `[n]`.
fn norms(w_dec: &Tensor) -> Tensor {
    w_dec.square().sum_dim_intlist(-1, false, Kind::Float).sqrt()
}
