//! What TransformerLens does to weights by default, done to activations instead.
//!
//! Most SAEs were trained on one or the other; their configs say which. Both are exact:
//! centring the writing weights takes from everything that is written to the residual stream its mean over
//! `d_model`, and folding value biases takes from values and mixed values the value bias (a pattern's row
//! sums to one).

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::Model;
use super::error::ModelError;
use checkpoints::model::ModelConfig;
use checkpoints::model::{HookPoint, Site};

/// Which of TransformerLens's foldings the activations are to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Subtract from residual-stream activations their mean over `d_model`; LayerNorm models only.
    pub center_writing_weights: bool,
    /// Subtract the value bias from `attn.hook_v` and `attn.hook_z`.
    pub fold_value_biases: bool,
}

impl Preprocessing {
    /// Whether anything changes at this hook point.
    pub fn changes(self, config: &ModelConfig, hook: &HookPoint) -> bool {
        let centred = self.center_writing_weights && config.norm.is_centred() && hook.site.is_residual();
        centred || (self.fold_value_biases && matches!(hook.site, Site::V | Site::Z))
    }

    /// Applies them to an activation `[.., d_in]` that was read at a hook point.
    pub fn apply(self, model: &Model, hook: &HookPoint, acts: &Tensor) -> Result<Tensor, ModelError> {
        if !self.changes(model.config(), hook) {
            return Ok(acts.shallow_clone());
        }
        if hook.site.is_residual() {
            let mean = acts.f_mean_dim(-1, true, Kind::Float)?.f_to_kind(acts.kind())?; // [.., 1]
            return Ok(acts.f_sub(&mean)?);
        }
        match model.value_bias(hook)? {
            Some(bias) => Ok(acts.f_sub(&bias)?),
            None => Ok(acts.shallow_clone()),
        }
    }
}
