//! Rotary positions on a device: the first `n_dims` of each head turn with the position (Su et al. 2021).

use tch::{Device, Kind, TchError, Tensor};

use checkpoints::model::{Rope, RopePairs};

/// Cosines and sines for one row length, `[pos, n_dims]` each.
#[derive(Debug)]
pub struct Rotary {
    n_dims: i64,
    pairs: RopePairs,
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    pub fn new(rope: &Rope, n_pos: i64, kind: Kind, device: Device) -> Result<Self, TchError> {
        let frequencies: Vec<f32> = rope.frequencies(n_pos).into_iter().map(|f| f as f32).collect();
        let frequencies = Tensor::f_from_slice(&frequencies)?; // [n_dims / 2]
        let positions = Tensor::f_arange(n_pos, (Kind::Float, Device::Cpu))?; // [pos]
        let angles = positions.f_unsqueeze(1)?.f_mul(&frequencies)?; // [pos, n_dims / 2]
        let angles = match rope.pairs {
            RopePairs::Halves => Tensor::f_cat(&[&angles, &angles], 1)?, // [pos, n_dims]
            RopePairs::Neighbours => angles.f_repeat_interleave_self_int(2, 1, None)?, // [pos, n_dims]
        };
        let table = |of: Tensor| of.f_mul_scalar(rope.amplitude())?.f_to_kind(kind)?.f_to(device);
        Ok(Self {
            n_dims: rope.n_dims,
            pairs: rope.pairs,
            cos: table(angles.f_cos()?)?,
            sin: table(angles.f_sin()?)?,
        })
    }

    /// - `x`: `[batch, head, pos, d_head]`, and so the result
    pub fn rotate(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let d_head = x.size().last().copied().unwrap_or(0);
        let turning = x.f_narrow(-1, 0, self.n_dims)?; // [batch, head, pos, n_dims]
        let half = self.n_dims / 2;
        let swapped = match self.pairs {
            RopePairs::Halves => {
                let (first, second) = (turning.f_narrow(-1, 0, half)?, turning.f_narrow(-1, half, half)?);
                Tensor::f_cat(&[&second.f_neg()?, &first], -1)? // [batch, head, pos, n_dims]
            }
            RopePairs::Neighbours => {
                let (even, odd) = (turning.f_slice(-1, 0, None, 2)?, turning.f_slice(-1, 1, None, 2)?);
                Tensor::f_stack(&[&odd.f_neg()?, &even], -1)?.f_flatten(-2, -1)? // [batch, head, pos, n_dims]
            }
        };
        let turned = turning.f_mul(&self.cos)?.f_add(&swapped.f_mul(&self.sin)?)?;
        if self.n_dims == d_head {
            return Ok(turned);
        }
        let still = x.f_narrow(-1, self.n_dims, d_head - self.n_dims)?;
        Tensor::f_cat(&[&turned, &still], -1) // [batch, head, pos, d_head]
    }
}
