//! A mixture of experts: each token goes through a few of many MLPs.
//!
//! Tokens are grouped by expert, so that each expert multiplies its own tokens once and the others none.

use tch::{Kind, TchError, Tensor};

use crate::model::layers::{Linear, activate};
use checkpoints::model::{Gate, MoeConfig, Router};

/// A router and its experts.
#[derive(Debug)]
pub struct Moe {
    /// `[n_experts, d_model]`.
    pub router: Linear,
    pub experts: Vec<Expert>,
    pub config: MoeConfig,
}

/// One expert: a gated MLP.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "the checkpoint's names")]
pub struct Expert {
    /// `[d_mlp, d_model]`.
    pub gate_proj: Linear,
    /// `[d_mlp, d_model]`.
    pub up_proj: Linear,
    /// `[d_model, d_mlp]`.
    pub down_proj: Linear,
}

impl Moe {
    /// `[batch, pos, d_model]` both ways.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let shape = x.size();
        let tokens = x.f_flatten(0, 1)?; // [token, d_model]
        let (weights, chosen) = self.route(&tokens)?; // [token, n_active]
        let (chosen, order) = chosen.f_flatten(0, 1)?.f_sort(0, false)?; // [token * n_active]
        let counts = chosen.f_bincount(None::<&Tensor>, self.experts.len() as i64)?;
        let counts = Vec::<i64>::try_from(counts.f_to_kind(Kind::Int64)?.f_to_device(tch::Device::Cpu)?)?;
        let rows = order.f_floor_divide_scalar(self.config.n_active)?; // [token * n_active]
        let weights = weights.f_flatten(0, 1)?.f_index_select(0, &order)?; // [token * n_active]
        let out = Tensor::f_zeros(tokens.size(), (Kind::Float, x.device()))?;
        let mut first = 0;
        for (expert, count) in self.experts.iter().zip(counts) {
            if count > 0 {
                let rows = rows.f_narrow(0, first, count)?;
                let mine = expert.forward(self.config.gate, &tokens.f_index_select(0, &rows)?)?;
                let weights = weights.f_narrow(0, first, count)?.f_unsqueeze(1)?; // [count, 1]
                let mine = mine.f_to_kind(Kind::Float)?.f_mul(&weights)?; // [count, d_model]
                drop(out.shallow_clone().f_index_add_(0, &rows, &mine)?);
            }
            first += count;
        }
        out.f_to_kind(x.kind())?.f_reshape(shape)
    }

    /// Weights and indices of the experts that each token goes through, `[token, n_active]`; weights in f32.
    fn route(&self, tokens: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let scores = self.router.forward(tokens)?.f_to_kind(Kind::Float)?; // [token, n_experts]
        let n_active = self.config.n_active;
        match self.config.router {
            Router::TopFirst => {
                let (scores, chosen) = scores.f_topk(n_active, -1, true, true)?;
                Ok((scores.f_softmax(-1, Kind::Float)?, chosen))
            }
            Router::SoftmaxFirst { renormalise } => {
                let (shares, chosen) = scores.f_softmax(-1, Kind::Float)?.f_topk(n_active, -1, true, true)?;
                let sum = shares.f_sum_dim_intlist(-1, true, Kind::Float)?; // [token, 1]
                Ok((if renormalise { shares.f_div(&sum)? } else { shares }, chosen))
            }
        }
    }
}

impl Expert {
    /// `[token, d_model]` both ways.
    fn forward(&self, gate: Gate, x: &Tensor) -> Result<Tensor, TchError> {
        let (gated, up) = (self.gate_proj.forward(x)?, self.up_proj.forward(x)?); // [token, d_mlp]
        let post = match gate {
            Gate::Plain(activation) => activate(activation, &gated)?.f_mul(&up)?,
            Gate::Clamped { alpha, limit } => {
                let gated = gated.f_clamp_max(limit)?;
                let swish = gated.f_mul_scalar(alpha)?.f_sigmoid()?.f_mul(&gated)?;
                up.f_clamp(-limit, limit)?.f_add_scalar(1.0)?.f_mul(&swish)?
            }
        };
        self.down_proj.forward(&post)
    }
}
