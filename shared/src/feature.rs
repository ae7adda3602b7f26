//! Everything that one feature's page shows.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::{
    bundle::Checked,
    error::{Invalid, ensure},
    histogram::Histogram,
    quantiles::Quantiles,
    sequence::Sequences,
};

/// A block of consecutive features: the unit in which features are stored and fetched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct FeatureBlock {
    /// Features, ascending by index.
    pub features: Vec<Feature>,
}

/// One feature: its numbers, tables, histograms and examples.
///
/// A component that no layout of the bundle asked for is `None`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct Feature {
    /// Index into the SAE's dictionary.
    pub feature: u32,
    /// Numbers over all positions of the corpus.
    pub stats: Stats,
    /// Activation values at fixed quantiles.
    pub quantiles: Quantiles,
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

/// Numbers of one feature over all positions; moments are of active values only.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct Stats {
    /// Number of active positions (activation > 0).
    pub n_active: u64,
    /// `n_active` over all positions, in [0, 1].
    pub density: f64,
    /// Largest activation; 0 where dead.
    pub max: f32,
    /// Mean of active values; 0 where dead.
    pub mean: f64,
    /// Standard deviation of active values (population); 0 where dead.
    pub std: f64,
    /// Skewness of active values; 0 where `std` is 0.
    pub skewness: f64,
    /// Excess kurtosis of active values; 0 where `std` is 0.
    pub kurtosis: f64,
}

/// The four tables of related neurons and features; `None` where no layout asked for one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Schema)]
pub struct AlignedNeuron {
    /// Coordinate of the decoder direction.
    pub neuron: u32,
    /// Entry of the direction there.
    pub value: f32,
    /// |value| over the L1 norm of the direction, in [0, 1].
    pub l1_share: f32,
}

/// One row of a correlation table, over all positions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Schema)]
pub struct Correlated {
    /// Neuron or feature.
    pub index: u32,
    /// Pearson correlation, in [-1, 1].
    pub pearson: f32,
    /// Cosine similarity of the two activation vectors over positions, in [-1, 1].
    pub cosine: f32,
}

/// Largest and smallest logits of a feature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct LogitsTable {
    /// Largest first.
    pub top: Vec<TokenLogit>,
    /// Smallest first.
    pub bottom: Vec<TokenLogit>,
}

/// A token and the feature's logit for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Schema)]
pub struct TokenLogit {
    /// Token.
    pub token_id: u32,
    /// Direct effect of a unit of activation on the token's logit, less the mean over the vocabulary.
    pub logit: f32,
}

impl Checked for FeatureBlock {
    fn validate(&self) -> Result<(), Invalid> {
        let ascending = self.features.is_sorted_by(|a, b| a.feature < b.feature);
        ensure(ascending, || "features are not in ascending order".into())?;
        self.features.iter().try_for_each(|f| {
            f.validate().map_err(|Invalid(reason)| Invalid(format!("feature {}: {reason}", f.feature)))
        })
    }
}

impl Feature {
    fn validate(&self) -> Result<(), Invalid> {
        ensure((0.0..=1.0).contains(&self.stats.density), || {
            format!("density is {}, expected 0 to 1", self.stats.density)
        })?;
        self.quantiles.validate()?;
        self.acts_histogram.iter().try_for_each(|h| h.validate("activations histogram"))?;
        self.logits_histogram.iter().try_for_each(|h| h.validate("logits histogram"))?;
        self.sequences.iter().try_for_each(Sequences::validate)
    }
}
