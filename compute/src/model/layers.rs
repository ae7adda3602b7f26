//! The two layers that everything is made of: a linear map and a norm.

use tch::{Kind, TchError, Tensor};

use checkpoints::model::{Activation, NormKind};

/// `x W^T + b`.
#[derive(Debug)]
pub struct Linear {
    /// `[d_out, d_in]`; may be a transposed view of what the checkpoint stores.
    pub weight: Tensor,
    /// `[d_out]`.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// - `x`: `[.., d_in]`
    /// - returns `[.., d_out]`
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(&self.weight, self.bias.as_ref())
    }

    /// `n` of its outputs from `first` on, as a map of its own.
    pub fn rows(&self, first: i64, n: i64) -> Result<Self, TchError> {
        let bias = self.bias.as_ref().map(|bias| bias.f_narrow(0, first, n)).transpose()?;
        Ok(Self { weight: self.weight.f_narrow(0, first, n)?, bias })
    }

    /// Every second of its outputs from `first` on, as a map of its own.
    pub fn every_second(&self, first: i64) -> Result<Self, TchError> {
        let half = |tensor: &Tensor| tensor.f_slice(0, first, None, 2)?.f_contiguous();
        Ok(Self { weight: half(&self.weight)?, bias: self.bias.as_ref().map(half).transpose()? })
    }
}

/// LayerNorm or RMSNorm; statistics are taken in f32.
#[derive(Debug)]
pub struct Norm {
    /// Never [`NormKind::RmsPlusOne`], whose 1 is added to the gain when it is read.
    pub kind: NormKind,
    pub eps: f64,
    /// The gain, `[d_model]`.
    pub weight: Option<Tensor>,
    /// `[d_model]`.
    pub bias: Option<Tensor>,
}

impl Norm {
    /// Normalises without gain and bias: what `hook_normalized` sees. `[.., d_model]` both ways.
    pub fn normalise(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let d_model = x.size().last().copied().unwrap_or(0);
        match self.kind {
            NormKind::Layer => x.f_layer_norm([d_model], None::<&Tensor>, None, self.eps, false),
            NormKind::Rms | NormKind::RmsPlusOne => self.rms(x)?.f_to_kind(x.kind()),
        }
    }

    /// Applies gain and bias to what [`normalise`](Self::normalise) gave.
    pub fn affine(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut y = x.shallow_clone();
        if let Some(weight) = &self.weight {
            y = y.f_mul(weight)?;
        }
        if let Some(bias) = &self.bias {
            y = y.f_add(bias)?;
        }
        y.f_to_kind(x.kind())
    }

    /// Both at once, faster.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let d_model = x.size().last().copied().unwrap_or(0);
        match (self.kind, &self.weight) {
            (NormKind::Layer, weight) => {
                x.f_layer_norm([d_model], weight.as_ref(), self.bias.as_ref(), self.eps, false)
            }
            (_, Some(weight)) => self.rms(x)?.f_mul(weight)?.f_to_kind(x.kind()),
            (_, None) => self.normalise(x),
        }
    }

    /// In f32.
    fn rms(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = x.f_to_kind(Kind::Float)?;
        let mean_square = x.f_square()?.f_mean_dim(-1, true, Kind::Float)?; // [.., 1]
        x.f_mul(&mean_square.f_add_scalar(self.eps)?.f_rsqrt()?) // [.., d_model]
    }
}

/// An activation function, element by element but for SoLU's softmax over the last axis.
pub fn activate(activation: Activation, x: &Tensor) -> Result<Tensor, TchError> {
    match activation {
        Activation::Relu => x.f_relu(),
        Activation::Gelu => x.f_gelu("none"),
        Activation::GeluTanh => x.f_gelu("tanh"),
        Activation::Silu => x.f_silu(),
        Activation::Solu | Activation::SoluLayerNorm => {
            x.f_mul(&x.f_softmax(-1, Kind::Float)?.f_to_kind(x.kind())?)
        }
    }
}
