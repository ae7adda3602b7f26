//! A dense MLP, of one branch or gated.

use tch::Tensor;

use crate::model::hooks::{Stop, Tap};
use crate::model::layers::{Linear, Norm, activate};
use checkpoints::model::Activation;
use checkpoints::model::Site;

/// `down_proj(act(gate_proj(x)) * up_proj(x))`, or `down_proj(act(up_proj(x)))`.
#[derive(Debug)]
pub struct Mlp {
    /// `[d_mlp, d_model]`; gated MLPs alone have it.
    pub gate_proj: Option<Linear>,
    /// `[d_mlp, d_model]`.
    pub up_proj: Linear,
    pub activation: Activation,
    /// Over the neurons, in SoLU models.
    pub norm: Option<Norm>,
    /// `[d_model, d_mlp]`.
    pub down_proj: Linear,
}

impl Mlp {
    /// `[batch, pos, d_model]` both ways.
    pub fn forward(&self, tap: &mut Tap<'_>, x: &Tensor) -> Result<Tensor, Stop> {
        let gate = self.gate_proj.as_ref().unwrap_or(&self.up_proj);
        let pre = tap.at(Site::Pre, gate.forward(x)?)?; // [batch, pos, d_mlp]
        let mut post = activate(self.activation, &pre)?;
        if self.gate_proj.is_some() {
            post = post.f_mul(&tap.at(Site::PreLinear, self.up_proj.forward(x)?)?)?;
        }
        if let Some(norm) = &self.norm {
            post = norm.forward(&post)?;
        }
        let post = tap.at(Site::Post, post)?;
        Ok(self.down_proj.forward(&post)?) // [batch, pos, d_model]
    }
}
