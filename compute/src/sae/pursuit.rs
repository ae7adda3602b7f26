//! Matching pursuit: a feature at a time, each the one whose direction explains most of what is left.

use tch::{Kind, TchError, Tensor};

/// Where it stops.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Where the norm of what is left falls below this; 0 for never.
    pub residual_threshold: f64,
    /// After this many steps.
    pub max_iterations: i64,
    /// Where a step adds no new feature.
    pub stop_on_duplicate_support: bool,
}

/// - `x`: `[.., d_in]`, f32
/// - `w_enc`: `[d_in, d_sae]`, the decoder transposed
/// - returns `[.., d_sae]`
pub fn encode(x: &Tensor, w_enc: &Tensor, limits: Limits) -> Result<Tensor, TchError> {
    let (d_in, d_sae) = (w_enc.size()[0], w_enc.size()[1]);
    let directions = w_enc.f_tr()?; // [d_sae, d_in]
    let mut residual = x.f_reshape([-1, d_in])?; // [n_pos, d_in]
    let n_pos = residual.size()[0];
    let mut acts = Tensor::f_zeros([n_pos, d_sae], (Kind::Float, x.device()))?;
    let mut support = acts.f_not_equal(0.0)?;
    let mut done = Tensor::f_zeros([n_pos], (Kind::Bool, x.device()))?;
    for _ in 0..limits.max_iterations {
        let best = residual.f_matmul(w_enc)?.f_relu()?.f_argmax(-1, false)?; // [n_pos]
        let direction = directions.f_index_select(0, &best)?; // [n_pos, d_in]
        let along = residual.f_mul(&direction)?.f_sum_dim_intlist(-1, true, Kind::Float)?; // [n_pos, 1]
        let value = along.f_relu()?.f_mul(&done.f_logical_not()?.f_unsqueeze(-1)?)?;
        acts = acts.f_scatter_add(-1, &best.f_unsqueeze(-1)?, &value)?;
        // Not in place: the first is the caller's own tensor.
        residual = residual.f_sub(&value.f_mul(&direction)?)?;
        if limits.stop_on_duplicate_support {
            let now = acts.f_not_equal(0.0)?;
            done = done.f_logical_or(&now.f_eq_tensor(&support)?.f_all_dim(-1, false)?)?;
            support = now;
        }
        if limits.residual_threshold > 0.0 {
            let left = residual.f_square()?.f_sum_dim_intlist(-1, false, Kind::Float)?.f_sqrt()?; // [n_pos]
            done = done.f_logical_or(&left.f_lt(limits.residual_threshold)?)?;
        }
        if done.f_all()?.f_int64_value(&[])? == 1 {
            break;
        }
    }
    let mut shape = x.size();
    shape.pop();
    shape.push(d_sae);
    acts.f_reshape(shape)
}
