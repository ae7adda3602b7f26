//! Rotary positions: the first `n_dims` of each head turn with the position (Su et al. 2021).

use std::f64::consts::PI;

use tch::{Device, Kind, TchError, Tensor};

use super::config::RopeScaling;

/// Cosines and sines for one row length, `[pos, n_dims]` each.
#[derive(Debug)]
pub struct Rotary {
    n_dims: i64,
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    pub fn new(
        n_dims: i64,
        theta: f64,
        scaling: RopeScaling,
        n_pos: i64,
        kind: Kind,
        device: Device,
    ) -> Result<Self, TchError> {
        let frequencies: Vec<f32> =
            (0..n_dims / 2).map(|i| frequency(i, n_dims, theta, scaling) as f32).collect();
        let frequencies = Tensor::f_from_slice(&frequencies)?; // [n_dims / 2]
        let positions = Tensor::f_arange(n_pos, (Kind::Float, Device::Cpu))?; // [pos]
        let angles = positions.f_unsqueeze(1)?.f_mul(&frequencies)?; // [pos, n_dims / 2]
        let angles = Tensor::f_cat(&[&angles, &angles], 1)?; // [pos, n_dims]
        let place = |table: Tensor| table.f_to_kind(kind)?.f_to(device);
        Ok(Self { n_dims, cos: place(angles.f_cos()?)?, sin: place(angles.f_sin()?)? })
    }

    /// - `x`: `[batch, head, pos, d_head]`, and so the result
    pub fn rotate(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let d_head = x.size().last().copied().unwrap_or(0);
        let turning = x.f_narrow(-1, 0, self.n_dims)?; // [batch, head, pos, n_dims]
        let half = self.n_dims / 2;
        let (first, second) = (turning.f_narrow(-1, 0, half)?, turning.f_narrow(-1, half, half)?);
        let swapped = Tensor::f_cat(&[&second.f_neg()?, &first], -1)?; // [batch, head, pos, n_dims]
        let turned = turning.f_mul(&self.cos)?.f_add(&swapped.f_mul(&self.sin)?)?;
        if self.n_dims == d_head {
            return Ok(turned);
        }
        let still = x.f_narrow(-1, self.n_dims, d_head - self.n_dims)?;
        Tensor::f_cat(&[&turned, &still], -1) // [batch, head, pos, d_head]
    }
}

/// The angle per position of pair `i`, in radians.
fn frequency(i: i64, n_dims: i64, theta: f64, scaling: RopeScaling) -> f64 {
    let plain = theta.powf(-2.0 * i as f64 / n_dims as f64);
    match scaling {
        RopeScaling::None => plain,
        RopeScaling::Linear(factor) => plain / factor,
        RopeScaling::Llama3 { factor, low, high, n_ctx } => {
            let turns = n_ctx * plain / (2.0 * PI); // full turns within the first context
            let ramp = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            plain * (ramp + (1.0 - ramp) / factor)
        }
    }
}
