//! Everything that one feature's page shows.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    error::{Invalid, ensure},
    histogram::Histogram,
    quantiles::Quantiles,
    sequence::{Group, Sequences},
    wire::wire,
};

/// A block of consecutive features: the unit in which features are stored and fetched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct FeatureBlock {
    /// Features, ascending by index.
    pub features: Vec<Feature>,
}

/// One feature: its numbers, tables, histograms and examples.
///
/// A component that no layout of the bundle asked for is `None`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Feature {
    /// Index into the SAE's dictionary.
    pub feature: u32,
    /// Numbers over all positions of the corpus.
    pub stats: Stats,
    /// Activation values at fixed quantiles; `None` where they are not known.
    pub quantiles: Option<Quantiles>,
    /// Related neurons and features.
    pub tables: FeatureTables,
    /// Activations over active positions; `None` also where the feature is dead.
    pub acts_histogram: Option<Histogram>,
    /// The feature's logits over the vocabulary.
    pub logits_histogram: Option<Histogram>,
    /// Tokens that the feature's direction makes most and least likely.
    pub logits_table: Option<LogitsTable>,
    /// Examples from the corpus.
    pub sequences: Option<Sequences>,
}

/// Numbers of one feature over all positions. `None` where a number is not known, as in a bundle made from other files.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Stats {
    /// Number of active positions: activation > 0, or ≠ 0 where the SAE is signed.
    pub n_active: Option<u64>,
    /// Active positions over all positions, in [0, 1].
    pub density: Option<f64>,
    /// Largest activation; 0 where dead. NaN, `null` in JSON, where it is not known.
    #[serde(deserialize_with = "nan_where_null")]
    pub max: f32,
    /// Smallest activation; 0 but for signed SAEs. NaN, `null` in JSON, where it is not known.
    #[serde(deserialize_with = "nan_where_null")]
    pub min: f32,
    /// Moments of the active values.
    #[serde(flatten)]
    pub moments: Option<Moments>,
}

/// Moments of one feature's active values; all are 0 where it is dead.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Moments {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (population).
    pub std: f64,
    /// Skewness; 0 where `std` is 0.
    pub skewness: f64,
    /// Excess kurtosis; 0 where `std` is 0.
    pub kurtosis: f64,
}

/// The four tables of related neurons and features; `None` where no layout asked for one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct FeatureTables {
    /// Neurons with the largest entries of the feature's decoder direction.
    pub neuron_alignment: Option<Vec<AlignedNeuron>>,
    /// Neurons whose activation correlates most with the feature's.
    pub correlated_neurons: Option<Vec<Correlated>>,
    /// Features of the same SAE.
    pub correlated_features: Option<Vec<Correlated>>,
    /// Features of SAE B.
    pub correlated_b_features: Option<Vec<Correlated>>,
}

/// One row of the neuron alignment table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct AlignedNeuron {
    /// Coordinate of the decoder direction.
    pub neuron: u32,
    /// Entry of the direction there.
    pub value: f32,
    /// |value| over the L1 norm of the direction, in [0, 1].
    pub l1_share: f32,
}

/// One row of a correlation table, over all positions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Correlated {
    /// Neuron or feature.
    pub index: u32,
    /// Pearson correlation, in [-1, 1].
    pub pearson: f32,
    /// Cosine similarity of the two activation vectors over positions, in [-1, 1].
    pub cosine: f32,
}

/// Largest and smallest logits of a feature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct LogitsTable {
    /// Largest first.
    pub top: Vec<TokenLogit>,
    /// Smallest first.
    pub bottom: Vec<TokenLogit>,
}

/// A token and the feature's logit for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct TokenLogit {
    /// Token.
    pub token_id: u32,
    /// Direct effect of a unit of activation on the token's logit, less the mean over the vocabulary.
    pub logit: f32,
}

/// JSON has no NaN: serde writes `null` for it.
fn nan_where_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f32::NAN))
}

wire!(FeatureBlock { features });
wire!(sized Feature {
    feature, stats, quantiles, tables, acts_histogram, logits_histogram, logits_table, sequences
});
wire!(Stats { n_active, density, max, min, moments });
wire!(Moments { mean, std, skewness, kurtosis });
wire!(FeatureTables { neuron_alignment, correlated_neurons, correlated_features, correlated_b_features });
wire!(AlignedNeuron { neuron, value, l1_share });
wire!(Correlated { index, pearson, cosine });
wire!(LogitsTable { top, bottom });
wire!(TokenLogit { token_id, logit });

impl FeatureBlock {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let ascending = self.features.is_sorted_by(|a, b| a.feature < b.feature);
        ensure(ascending, || "features are not in ascending order".into())?;
        self.features.iter().try_for_each(|f| {
            f.validate().map_err(|Invalid(reason)| Invalid(format!("feature {}: {reason}", f.feature)))
        })
    }
}

impl Feature {
    /// Positions of a group over all positions of the corpus, in [0, 1]; `None` where either is not known.
    pub fn share(&self, group: &Group) -> Option<f64> {
        Some(group.n_positions? as f64 / self.stats.n_positions()? as f64)
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.stats.validate()?;
        self.quantiles.iter().try_for_each(Quantiles::validate)?;
        self.acts_histogram.iter().try_for_each(|h| h.validate("activations histogram"))?;
        self.logits_histogram.iter().try_for_each(|h| h.validate("logits histogram"))?;
        self.sequences.iter().try_for_each(Sequences::validate)
    }
}

impl Stats {
    /// Whether the feature is active nowhere.
    pub fn is_dead(&self) -> bool {
        self.n_active.map_or(self.max <= 0.0 && self.min >= 0.0, |n| n == 0)
    }

    /// The largest size of an activation: what full colour stands for.
    pub fn max_size(&self) -> f32 {
        self.max.max(-self.min)
    }

    /// Positions of the corpus; `None` where it is not known, and for a dead feature.
    pub fn n_positions(&self) -> Option<u64> {
        let (n_active, density) = (self.n_active? as f64, self.density?);
        (density > 0.0).then(|| (n_active / density).round() as u64)
    }

    fn validate(&self) -> Result<(), Invalid> {
        ensure(self.density.is_none_or(|density| (0.0..=1.0).contains(&density)), || {
            format!("density is {}, expected 0 to 1", self.density.unwrap_or(f64::NAN))
        })
    }
}
