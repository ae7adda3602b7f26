//! A model and the SAEs that read it.

use anyhow::{Result, anyhow};
use tch::{Device, Kind, Tensor};

use crate::{
    backend::{ReadOnly, Tf32},
    model::{HookPoint, Hooks, Model, Preprocessing},
    sae::Sae,
};

/// A model and the SAEs on one of its hook points.
#[derive(Debug)]
pub struct Subject {
    /// The language model.
    pub model: Model,
    /// Whether its f32 matrix products use TF32.
    pub tf32: bool,
    /// Hook point that both SAEs read.
    pub hook: HookPoint,
    /// What is done to its activations before the SAEs read them.
    pub preprocessing: Preprocessing,
    /// The SAE, with the chosen features only.
    pub sae: Sae,
    /// The second SAE, whole.
    pub sae_b: Option<Sae>,
    /// Token ids at which features count as inactive.
    pub skipped: Vec<i64>,
    /// Where all of it computes.
    pub device: Device,
}

#[expect(unsafe_code, reason = "inference computes new tensors from the weights and changes none in place")]
// SAFETY: as the reason says.
unsafe impl ReadOnly for Subject {}

impl Subject {
    /// Which positions count: 1, or 0 at a skipped token, `[batch * pos, 1]`; `None` = all.
    pub(super) fn counted(&self, tokens: &Tensor) -> Option<Tensor> {
        let at = |id: &i64| tokens.eq(*id);
        let skipped = self.skipped.iter().map(at).reduce(|a, b| a.logical_or(&b))?; // [batch, pos]
        Some(skipped.logical_not().to_kind(Kind::Float).view([-1, 1]))
    }

    /// Hook activations `[n_pos, d_in]` as the SAEs read them, and last residuals `[n_pos, d_model]`.
    ///
    /// - `tokens`: `[batch, pos]`
    /// - `to_the_end`: whether the last residual is needed; if not, the forward stops at the hook
    pub fn forward(&self, tokens: &Tensor, to_the_end: bool) -> Result<(Tensor, Tensor)> {
        let mut capture = Capture { hook: &self.hook, acts: None, to_the_end };
        let resid = {
            let _tf32 = Tf32::begin(self.tf32)?;
            self.model.forward(tokens, &mut capture)?
        };
        let acts = capture.acts.ok_or_else(|| anyhow!("the model has no {}", self.hook))?;
        let acts = self.preprocessing.apply(&self.model, &self.hook, &acts)?;
        let flat = |t: &Tensor| t.to_kind(Kind::Float).flatten(0, 1); // [batch * pos, width]
        Ok((flat(&acts), flat(&resid)))
    }
}

/// Keeps the activation at one hook point.
struct Capture<'a> {
    hook: &'a HookPoint,
    acts: Option<Tensor>,
    to_the_end: bool,
}

impl Hooks for Capture<'_> {
    fn wants(&self, hook: &HookPoint) -> bool {
        hook == self.hook
    }

    fn visit(&mut self, _hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        self.acts = Some(acts.shallow_clone());
        None
    }

    fn done(&self) -> bool {
        self.acts.is_some() && !self.to_the_end
    }
}
