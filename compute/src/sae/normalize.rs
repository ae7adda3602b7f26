//! Norms around an SAE: what is done to its input, and how its output gets it back.

use tch::{Kind, TchError, Tensor};

use super::Normalize;

/// Added to the standard deviation, as SAELens and OpenAI do.
const EPS: f64 = 1e-5;

/// A vector of zeros stays one.
const SMALLEST_NORM: f64 = 1e-30;

/// How to undo a norm.
#[derive(Debug)]
pub struct Denormalization {
    /// Multiply by this, `[.., 1]`.
    times: Option<Tensor>,
    /// Then add this, `[.., 1]`.
    plus: Option<Tensor>,
}

/// - `x`: `[.., d_in]`, f32
/// - returns the normalised input, and how to undo it
pub fn apply(normalize: Normalize, x: &Tensor) -> Result<(Tensor, Denormalization), TchError> {
    Ok(match normalize {
        // A constant is folded into the weights when they are read.
        Normalize::None | Normalize::ExpectedAverage | Normalize::Scale(_) => {
            (x.shallow_clone(), Denormalization { times: None, plus: None })
        }
        Normalize::ConstantNorm => {
            let d_in = x.size().last().copied().unwrap_or(1) as f64;
            let norm = x.f_square()?.f_sum_dim_intlist(-1, true, Kind::Float)?.f_sqrt()?;
            let norm = norm.f_div_scalar(d_in.sqrt())?.f_clamp_min(SMALLEST_NORM)?; // [.., 1]
            (x.f_div(&norm)?, Denormalization { times: Some(norm), plus: None })
        }
        Normalize::LayerNorm => {
            let mean = x.f_mean_dim(-1, true, Kind::Float)?; // [.., 1]
            let centred = x.f_sub(&mean)?;
            let std = centred.f_std_dim(-1, true, true)?; // [.., 1]
            (centred.f_div(&std.f_add_scalar(EPS)?)?, Denormalization { times: Some(std), plus: Some(mean) })
        }
    })
}

impl Denormalization {
    /// `[.., d_out]` both ways.
    pub fn apply(self, mut out: Tensor) -> Result<Tensor, TchError> {
        if let Some(times) = self.times {
            drop(out.f_mul_(&times)?);
        }
        if let Some(plus) = self.plus {
            drop(out.f_add_(&plus)?);
        }
        Ok(out)
    }
}
