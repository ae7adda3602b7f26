//! What follows attention in a layer: one MLP, or a mixture of experts.

pub mod mlp;
pub mod moe;

use tch::Tensor;

use super::hooks::{Stop, Tap};
use super::layers::Norm;
use checkpoints::model::Site;
use mlp::Mlp;
use moe::Moe;

/// An MLP or a mixture, and the norms around it.
#[derive(Debug)]
pub struct FeedForward {
    /// Before; `None` where the family normalises only after.
    pub norm: Option<Norm>,
    pub net: Net,
    /// After, before the result is added.
    pub post_norm: Option<Norm>,
}

#[derive(Debug)]
pub enum Net {
    Mlp(Mlp),
    Moe(Moe),
}

impl FeedForward {
    /// - `resid`: `[batch, pos, d_model]`
    /// - returns what is added to it, `[batch, pos, d_model]`
    pub fn forward(&self, tap: &mut Tap<'_>, resid: &Tensor) -> Result<Tensor, Stop> {
        let x = tap.norm(self.norm.as_ref(), Site::Ln2Normalized, resid)?;
        let x = tap.at(Site::MlpIn, x)?;
        let out = match &self.net {
            Net::Mlp(mlp) => mlp.forward(tap, &x)?,
            Net::Moe(moe) => moe.forward(&x)?,
        };
        let mut out = tap.at(Site::MlpModuleOut, out)?;
        if let Some(norm) = &self.post_norm {
            out = norm.forward(&out)?;
        }
        tap.at(Site::MlpOut, out)
    }
}
