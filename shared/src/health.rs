//! How well an SAE fits its model.

use serde::{Deserialize, Serialize};

/// Health of the SAE on this text. `None` where a figure was not computed, or does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Health {
    /// Mean number of active features at a position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l0: Option<f64>,
    /// Positions on which `l0` was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_l0: Option<u64>,
    /// Features that are active nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_dead: Option<u32>,
    /// Positions at which all features of `n_dead` were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_dead_measured: Option<u64>,
    /// Features of which `n_dead` and `l0` were counted: the SAE's, or those of the bundle; `None` where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_features: Option<u32>,
    /// Positions on which the figures below were measured.
    pub n_measured: u64,
    /// 1 − squared error over variance of the activations; at most 1.
    pub explained_variance: Option<f64>,
    /// Mean loss of the model, nats a token.
    pub loss: Option<f64>,
    /// The same with the activations replaced by their reconstruction.
    pub loss_reconstructed: Option<f64>,
    /// The same with the activations replaced by zero.
    pub loss_zeroed: Option<f64>,
    /// Mean Euclidean norm of the activations.
    pub acts_norm: Option<f64>,
    /// Mean Euclidean norm of their reconstruction.
    pub reconstruction_norm: Option<f64>,
    /// Mean Euclidean norm of the decoder's rows.
    pub decoder_norm: Option<f64>,
}

impl Health {
    /// Share of the loss between zeroed and whole that the reconstruction wins back: 1 = all of it.
    pub fn loss_recovered(&self) -> Option<f64> {
        let (zeroed, whole) = (self.loss_zeroed?, self.loss?);
        Some((zeroed - self.loss_reconstructed?) / (zeroed - whole))
    }
}
