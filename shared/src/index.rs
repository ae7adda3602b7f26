//! The table over all features that the feature browser sorts and searches.

use serde::Serialize;

use crate::{
    error::{Invalid, ensure},
    wire::{Reader, Wire, WireError},
};

/// One column per statistic, one entry per feature; see [`crate::feature::Stats`] for units. NaN where a statistic is not
/// known.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
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
    /// Smallest activation, of a signed SAE; empty of others.
    pub min: Vec<f32>,
}

impl Wire for FeatureIndex {
    const MIN_BYTES: usize = 9;

    fn write(&self, out: &mut Vec<u8>) {
        self.features.write(out);
        for column in [&self.density, &self.max, &self.mean, &self.std, &self.skewness, &self.kurtosis] {
            column.write(out);
        }
        self.active_tokens.write(out);
        self.logit_tokens.write(out);
        self.min.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let index = Self::read_v2(from)?;
        Ok(Self { min: Vec::read(from)?, ..index })
    }
}

impl FeatureIndex {
    /// Reads what schema 2 has: all but `min`.
    pub(crate) fn read_v2(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let features = Vec::read(from)?;
        let n = features.len();
        Ok(Self {
            features,
            density: from.column(n)?,
            max: from.column(n)?,
            mean: from.column(n)?,
            std: from.column(n)?,
            skewness: from.column(n)?,
            kurtosis: from.column(n)?,
            active_tokens: from.column(n)?,
            logit_tokens: from.column(n)?,
            min: Vec::new(),
        })
    }

    /// Number of features.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether there is no feature.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        ensure(self.features.is_sorted_by(|a, b| a < b), || "features are not in ascending order".into())?;
        let (n, n_min) = (self.len(), self.min.len());
        ensure(n_min == 0 || n_min == n, || format!("{n} features have {n_min} minima"))
    }
}
