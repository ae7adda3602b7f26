//! Why an SAE cannot be read.

use crate::weights::WeightsError;

/// Why an SAE could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SaeError {
    /// Its files are wrong.
    #[error(transparent)]
    Files(#[from] checkpoints::sae::SaeError),
    /// A tensor could not be read.
    #[error("could not load the SAE: {0}")]
    Weights(WeightsError),
    /// A feature beyond the dictionary.
    #[error("no feature {feature}: the SAE has 0 to {}", d_sae - 1)]
    Feature {
        /// What was asked for.
        feature: i64,
        /// How many there are.
        d_sae: i64,
    },
}

// Not by `#[from]`: the text already says the cause, and a chain of causes would say it again.
impl From<WeightsError> for SaeError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(error)
    }
}
