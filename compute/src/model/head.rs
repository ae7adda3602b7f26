//! Final norm and unembedding: from the residual stream to logits, whole and in the pieces that the maths
//! of effects is made of.
//!
//! With `G(x) = (centred(x) * w) W_U`, linear in `x`, the logits before the soft-cap are
//! `G(x) / scale(x) + c`. Everything here is f32, whatever the weights are kept as.

use tch::{Device, Kind, TchError, Tensor};

use super::layers::{Linear, Norm};
use checkpoints::model::NormKind;

/// Half-precision unembeddings are converted this many tokens at a time.
const SLAB: i64 = 16_384;

/// Final norm and unembedding.
#[derive(Debug)]
pub struct Head {
    kind: NormKind,
    eps: f64,
    /// `[d_model]`, f32; Gemma's `1 + w` added up, ones where the norm has no gain.
    gain: Tensor,
    /// `[d_vocab, d_model]`, as the weights are kept.
    unembed: Tensor,
    /// `[d_vocab]`, f32.
    constant: Tensor,
    soft_cap: Option<f64>,
}

impl Head {
    pub(super) fn new(norm: &Norm, unembed: &Linear, soft_cap: Option<f64>) -> Result<Self, TchError> {
        let weight = unembed.weight.shallow_clone();
        let [d_vocab, d_model] = weight.size()[..] else {
            return Err(TchError::Shape(format!("unembedding of shape {:?}", weight.size())));
        };
        let float = (Kind::Float, weight.device());
        let gain = match &norm.weight {
            Some(weight) => weight.f_to_kind(Kind::Float)?,
            None => Tensor::f_ones([d_model], float)?,
        };
        let mut constant = Tensor::f_zeros([d_vocab], float)?;
        if let Some(bias) = &norm.bias {
            constant = constant.f_add(&project(&weight, &bias.f_to_kind(Kind::Float)?)?)?;
        }
        if let Some(bias) = &unembed.bias {
            constant = constant.f_add(&bias.f_to_kind(Kind::Float)?)?;
        }
        Ok(Self { kind: norm.kind, eps: norm.eps, gain, unembed: weight, constant, soft_cap })
    }

    /// The model's logits: norm, unembedding, biases and soft-cap. `[.., d_model]` -> `[.., d_vocab]`, f32.
    pub fn logits(&self, resid: &Tensor) -> Result<Tensor, TchError> {
        let mut logits = self.unnormalised(resid)?; // [.., d_vocab]
        // In place: for a large vocabulary each copy is as large as all the rest of a pass.
        drop(logits.f_div_(&self.scale(resid)?.f_unsqueeze(-1)?)?);
        drop(logits.f_add_(&self.constant)?);
        if let Some(cap) = self.soft_cap {
            drop(logits.f_div_scalar_(cap)?.f_tanh_()?.f_mul_scalar_(cap)?);
        }
        Ok(logits)
    }

    /// Applies the soft-cap, if the model has one.
    pub fn capped(&self, logits: Tensor) -> Result<Tensor, TchError> {
        match self.soft_cap {
            Some(cap) => logits.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap),
            None => Ok(logits),
        }
    }

    /// `G(x)`, linear in `x`. `[.., d_model]` -> `[.., d_vocab]`, f32.
    pub fn unnormalised(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.centred(x)?.f_mul(&self.gain)?; // [.., d_model]
        if self.unembed.kind() == Kind::Float {
            return x.f_matmul(&self.unembed.f_transpose(0, 1)?);
        }
        let d_vocab = self.unembed.size()[0];
        let mut shape = x.size();
        if let Some(last) = shape.last_mut() {
            *last = d_vocab;
        }
        let logits = Tensor::f_empty(&shape, (Kind::Float, x.device()))?;
        for first in (0..d_vocab).step_by(SLAB as usize) {
            let n = SLAB.min(d_vocab - first);
            let slab = self.unembed.f_narrow(0, first, n)?.f_to_kind(Kind::Float)?;
            logits.f_narrow(-1, first, n)?.f_copy_(&x.f_matmul(&slab.f_transpose(0, 1)?)?)?;
        }
        Ok(logits)
    }

    /// Less its mean for LayerNorm, as it is for RMSNorm. `[.., d_model]` both ways, f32.
    pub fn centred(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_to_kind(Kind::Float)?;
        if self.is_centred() { x.f_sub(&x.f_mean_dim(-1, true, Kind::Float)?) } else { Ok(x) }
    }

    /// What the norm divides by: the root of the (centred) mean square and eps. `[.., d_model]` -> `[..]`.
    pub fn scale(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mean_square = self.centred(x)?.f_square()?.f_mean_dim(-1, false, Kind::Float)?;
        mean_square.f_add_scalar(self.eps)?.f_sqrt()
    }

    /// What the logits have whatever the residual stream: the norm's bias unembedded, and the unembedding's
    /// bias. `[d_vocab]`, f32, zeros where the model has neither.
    pub fn constant(&self) -> Tensor {
        self.constant.shallow_clone()
    }

    /// Added under the norm's square root.
    pub fn eps(&self) -> f64 {
        self.eps
    }

    /// Whether the norm subtracts the mean: LayerNorm.
    pub fn is_centred(&self) -> bool {
        self.kind.is_centred()
    }

    /// Logits become cap * tanh(logits / cap).
    pub fn soft_cap(&self) -> Option<f64> {
        self.soft_cap
    }

    /// The norm's gain `w`, `[d_model]`, f32; Gemma's `1 + w`.
    pub fn gain(&self) -> Tensor {
        self.gain.shallow_clone()
    }

    /// `W_U`, `[d_model, d_vocab]`, a view in the weights' own kind.
    pub fn unembedding(&self) -> Tensor {
        self.unembed.tr()
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.unembed.device()
    }
}

/// One vector through the unembedding, in f32. `[d_model]` -> `[d_vocab]`.
fn project(unembed: &Tensor, x: &Tensor) -> Result<Tensor, TchError> {
    let d_vocab = unembed.size()[0];
    let mut slabs = Vec::new();
    for first in (0..d_vocab).step_by(SLAB as usize) {
        let slab = unembed.f_narrow(0, first, SLAB.min(d_vocab - first))?;
        slabs.push(slab.f_to_kind(Kind::Float)?.f_mv(x)?);
    }
    Tensor::f_cat(&slabs, 0)
}
