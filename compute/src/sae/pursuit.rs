//! Matching pursuit: a feature at a time, each the one whose direction explains most of what is left.

use tch::{Kind, Tensor};

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
pub fn encode(x: &Tensor, w_enc: &Tensor, limits: Limits) -> Tensor {
    let (d_in, d_sae) = (w_enc.size()[0], w_enc.size()[1]);
    let directions = w_enc.tr(); // [d_sae, d_in]
    let mut residual = x.reshape([-1, d_in]).copy(); // [n_pos, d_in]; x may be the caller's own
    let n_pos = residual.size()[0];
    let mut acts = Tensor::zeros([n_pos, d_sae], (Kind::Float, x.device()));
    let mut support = acts.not_equal(0.0);
    let mut done = Tensor::zeros([n_pos], (Kind::Bool, x.device()));
    for _ in 0..limits.max_iterations {
        let best = residual.matmul(w_enc).relu().argmax(-1, false); // [n_pos]
        let direction = directions.index_select(0, &best); // [n_pos, d_in]
        let value = (&residual * &direction).sum_dim_intlist(-1, true, Kind::Float).relu(); // [n_pos, 1]
        let value = value * done.logical_not().unsqueeze(-1);
        acts = acts.scatter_add(-1, &best.unsqueeze(-1), &value);
        residual -= value * direction;
        if limits.stop_on_duplicate_support {
            let now = acts.not_equal(0.0);
            done = done.logical_or(&now.eq_tensor(&support).all_dim(-1, false));
            support = now;
        }
        if limits.residual_threshold > 0.0 {
            let left = residual.square().sum_dim_intlist(-1, false, Kind::Float).sqrt(); // [n_pos]
            done = done.logical_or(&left.lt(limits.residual_threshold));
        }
        if done.all().int64_value(&[]) == 1 {
            break;
        }
    }
    let mut shape = x.size();
    shape.pop();
    shape.push(d_sae);
    acts.reshape(shape)
}
