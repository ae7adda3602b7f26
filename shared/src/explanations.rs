//! The layer `explanations`: any number of texts on each feature, by people and programs, with their scores.
//!
//! Where a label is what a page shows first, an explanation is a claim with its author: who or what wrote it, when, and how
//! well it did in which test.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Invalid, ensure},
    labels::MAX_LABEL_BYTES,
    wire::wire,
};

/// Scores of an explanation, at most.
const MAX_SCORES: usize = 64;

/// The explanations of a bundle's features.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Explanations {
    /// Ascending by feature; of one feature, the one to show first comes first.
    pub explanations: Vec<Explanation>,
}

/// What someone or something says that a feature means.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Explanation {
    /// The feature.
    pub feature: u32,
    /// The text, as it was written: 1 to [`MAX_LABEL_BYTES`] bytes.
    pub text: String,
    /// Who or what wrote it: a person's name, a model's.
    pub author: Option<String>,
    /// How: `human`, `oai_token-act-pair`, `np_max-act`.
    pub method: Option<String>,
    /// When, as RFC 3339 writes it.
    pub date: Option<String>,
    /// How well it did.
    pub scores: Vec<ExplanationScore>,
}

/// How well an explanation did in one test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ExplanationScore {
    /// The test: `detection`, `fuzzing`, `simulation`, `blind`.
    pub test: String,
    /// The score, in the test's own unit.
    pub value: f64,
    /// Who or what was tested: a person's name, a model's.
    pub judge: Option<String>,
}

wire!(Explanations { explanations });
wire!(sized Explanation { feature, text, author, method, date, scores });
wire!(sized ExplanationScore { test, value, judge });

impl Explanations {
    /// The explanations of `feature`.
    pub fn of(&self, feature: u32) -> &[Explanation] {
        let first = self.explanations.partition_point(|e| e.feature < feature);
        let end = self.explanations.partition_point(|e| e.feature <= feature);
        self.explanations.get(first..end).unwrap_or_default()
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let ascending = self.explanations.is_sorted_by(|a, b| a.feature <= b.feature);
        ensure(ascending, || "features are not in ascending order".into())?;
        self.explanations.iter().try_for_each(|e| {
            ensure((1..=MAX_LABEL_BYTES).contains(&e.text.len()), || {
                let (feature, n) = (e.feature, e.text.len());
                format!("an explanation of feature {feature} has {n} bytes, expected 1 to {MAX_LABEL_BYTES}")
            })?;
            ensure(e.scores.len() <= MAX_SCORES, || {
                let (feature, n) = (e.feature, e.scores.len());
                format!("an explanation of feature {feature} has {n} scores, expected at most {MAX_SCORES}")
            })
        })
    }
}
