//! The table over all features that the feature browser sorts and searches.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::{
    bundle::Checked,
    error::{Invalid, ensure},
};

/// One column per statistic, one entry per feature; see [`crate::feature::Stats`] for units.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct FeatureIndex {
    /// Feature of each entry, ascending.
    pub features: Vec<u32>,
    /// Active positions over all positions.
    pub density: Vec<f32>,
    /// Largest activation.
    pub max: Vec<f32>,
    /// Mean of active values.
    pub mean: Vec<f32>,
    /// Standard deviation of active values.
    pub std: Vec<f32>,
    /// Skewness of active values.
    pub skewness: Vec<f32>,
    /// Excess kurtosis of active values.
    pub kurtosis: Vec<f32>,
    /// Tokens at which the feature is most active: distinct, strongest first.
    pub active_tokens: Vec<Vec<u32>>,
    /// Tokens with the largest logits, largest first.
    pub logit_tokens: Vec<Vec<u32>>,
}

impl FeatureIndex {
    /// Number of features.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether there is no feature.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }
}

impl Checked for FeatureIndex {
    fn validate(&self) -> Result<(), Invalid> {
        let n = self.len();
        ensure(self.features.is_sorted_by(|a, b| a < b), || "features are not in ascending order".into())?;
        for (what, len) in [
            ("densities", self.density.len()),
            ("maxima", self.max.len()),
            ("means", self.mean.len()),
            ("deviations", self.std.len()),
            ("skewnesses", self.skewness.len()),
            ("kurtoses", self.kurtosis.len()),
            ("active tokens", self.active_tokens.len()),
            ("logit tokens", self.logit_tokens.len()),
        ] {
            ensure(len == n, || format!("{n} features have {len} {what}"))?;
        }
        Ok(())
    }
}
