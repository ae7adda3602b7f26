//! The files of an SAE: its config, and the names and orientations of its weights.
//!
//! A format says names and orientations; shapes are checked here, once.

use super::config::{SaeConfig, SaeFormat};
use super::error::SaeError;
use crate::containers::{Weights, WeightsError};

/// A matrix and how it lies.
#[derive(Clone, Debug)]
pub enum Matrix {
    /// As the canonical form has it: `W_enc [d_in, d_sae]`, `W_dec [d_sae, d_out]`.
    Plain(String),
    /// The other way round, as `nn.Linear` keeps it.
    Transposed(String),
    /// A decoder that writes to `n` layers, `[d_sae, n, d_out]`, summed over them.
    Summed(String),
    /// The decoder of a crosscoder, `[n_layers, d_sae, d_out / n_layers]`.
    Stacked(String),
}

impl Matrix {
    /// Rows and columns in the canonical orientation, from the header.
    pub(super) fn widths(&self, weights: &Weights) -> Result<(i64, i64), WeightsError> {
        match self {
            Self::Plain(name) => weights.matrix(name),
            Self::Transposed(name) => weights.matrix(name).map(|(rows, columns)| (columns, rows)),
            Self::Summed(name) => weights.cube(name).map(|[d_sae, _, d_out]| (d_sae, d_out)),
            Self::Stacked(name) => weights.cube(name).map(|[n, d_sae, d]| (d_sae, n.saturating_mul(d))),
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
            Self::Summed(name) => {
                let [_, n, _] = weights.cube(name)?;
                weights.expect(name, "[d_sae, n_layers, d_out]", &[shape[0], n, shape[1]])
            }
            Self::Stacked(name) => {
                let [n, _, d] = weights.cube(name)?;
                weights.expect(name, "[n_layers, d_sae, d_out]", &[n, shape[0], d])
            }
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
    /// The same as logarithms.
    Log(String),
    /// The same, compared with activations that are multiplied by their decoder rows' norms.
    OfScaled(String),
    /// One for all, from the config.
    Constant(f64),
}

impl Threshold {
    /// The tensor, where there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Tensor(name) | Self::Log(name) | Self::OfScaled(name) => Some(name),
            Self::None | Self::Constant(_) => None,
        }
    }
}

/// The names of the weights.
#[derive(Clone, Debug)]
pub struct Names {
    /// The encoder's matrix, `[d_in, d_sae]`.
    pub w_enc: Matrix,
    /// The encoder's bias, `[d_sae]`.
    pub b_enc: Option<String>,
    /// The decoder's matrix, `[d_sae, d_out]`.
    pub w_dec: Matrix,
    /// The decoder's bias, `[d_out]`.
    pub b_dec: Option<String>,
    /// Subtracted from the input, `[d_in]`.
    pub b_in: Option<String>,
    /// Where thresholds come from.
    pub threshold: Threshold,
    /// `b_gate`, `b_mag`, `r_mag`, `[d_sae]` each.
    pub gate: Option<[String; 3]>,
    /// What is added of the input to the output, `[d_out, d_in]`.
    pub w_skip: Option<Matrix>,
}

impl Names {
    /// SAELens's own names, which several formats share.
    pub(super) fn canonical() -> Self {
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

    /// The names of two linear layers, `nn.Linear` as torch keeps them; nothing is subtracted from the input.
    pub(super) fn linear(encoder: &str, decoder: &str) -> Self {
        Self {
            w_enc: Matrix::Transposed(format!("{encoder}.weight")),
            b_enc: Some(format!("{encoder}.bias")),
            w_dec: Matrix::Transposed(format!("{decoder}.weight")),
            b_dec: Some(format!("{decoder}.bias")),
            b_in: None,
            threshold: Threshold::None,
            gate: None,
            w_skip: None,
        }
    }

    /// The names of all weights that have one axis.
    fn vectors(&self) -> impl Iterator<Item = &str> {
        let biases = [&self.b_enc, &self.b_dec, &self.b_in].into_iter().flatten();
        biases.chain(self.gate.iter().flatten()).map(String::as_str).chain(self.threshold.name())
    }
}

/// The files of one SAE, their headers read and checked.
#[derive(Debug)]
pub struct SaeFiles {
    /// What they say.
    pub config: SaeConfig,
    /// The names of its weights.
    pub names: Names,
    /// All tensors of the files.
    pub weights: Weights,
}

impl SaeFiles {
    /// Takes widths from the header, and checks every shape against them and against the config's claims.
    pub(super) fn new(
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
        if let Some(name) = names.threshold.name()
            && weights.shape(name).is_none_or(|shape| shape.iter().any(|width| *width != 1))
        {
            weights.expect(name, "[d_sae]", &[d_sae])?;
        }
        if let Some(name) = &names.b_dec {
            weights.expect(name, "[d_out]", &[d_out])?;
        }
        if let Some(name) = &names.b_in {
            weights.expect(name, "[d_in]", &[d_in])?;
        }
        if let Some(w_skip) = &names.w_skip {
            w_skip.expect(&weights, ["[d_out, d_in]", "[d_in, d_out]"], [d_out, d_in])?;
        }
        Ok(Self { config, names, weights })
    }
}
