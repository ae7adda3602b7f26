//! Prompts: which features matter at each position of a given text.

use serde::{Deserialize, Serialize};

use crate::{
    decimals::Decimals,
    error::{Invalid, ensure},
    sequence::{RowActs, TokenView},
    wire::{Reader, Wire, WireError, wire, write_sized},
};

/// The prompts of a bundle; file `i` of the folder holds prompt `i`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct PromptIndex {
    /// Texts, in the order given.
    pub texts: Vec<String>,
}

/// One prompt with its best features and their activations and effects on it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Prompt {
    /// The text.
    pub text: String,
    /// Its tokens.
    pub token_ids: Vec<u32>,
    /// Best features by metric and position.
    pub scores: Vec<MetricScores>,
    /// Names of metrics that a newer version ranked by, whose scores are not read.
    pub newer_metrics: Vec<String>,
    /// Every computed feature that is active on the prompt, ascending.
    pub features: Vec<PromptFeature>,
}

/// By what features are ranked at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Activation at the position.
    ActSize,
    /// Quantile of that activation among all positions of the corpus.
    ActQuantile,
    /// Loss effect on the token at the position, of ablating the feature one position before; most negative first.
    LossEffect,
}

impl Metric {
    /// All metrics, in the order shown.
    pub const ALL: [Self; 3] = [Self::ActSize, Self::ActQuantile, Self::LossEffect];

    /// Name in links, files and sae_vis.
    pub fn name(self) -> &'static str {
        match self {
            Self::ActSize => "act_size",
            Self::ActQuantile => "act_quantile",
            Self::LossEffect => "loss_effect",
        }
    }

    /// Title before a score.
    pub fn title(self) -> &'static str {
        match self {
            Self::ActSize => "Activation Size",
            Self::ActQuantile => "Activation Quantile",
            Self::LossEffect => "Loss Effect",
        }
    }

    /// The metric called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// The best features at every position under one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct MetricScores {
    /// The metric.
    pub metric: Metric,
    /// For each position the best features, best first; empty where none is active.
    pub positions: Vec<Vec<Score>>,
}

/// A feature's score at a position.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Score {
    /// The feature.
    pub feature: u32,
    /// Activation, quantile in [0, 1], or loss effect in nats.
    pub value: f64,
    /// Decimals with which `value` is known; shown by [`Score::text`].
    pub precision: u8,
}

impl Score {
    /// The score as sae_vis prints it: `3.004`, `99.979%`, `-0.021`.
    pub fn text(&self, metric: Metric) -> String {
        let decimals = usize::from(self.precision.min(12));
        match metric {
            Metric::ActSize => format!("{:.decimals$}", self.value),
            Metric::ActQuantile => format!("{:.*}%", decimals.saturating_sub(2), self.value * 100.0),
            Metric::LossEffect => format!("{:+.decimals$}", self.value),
        }
    }
}

/// A feature's activations, effects and logits on a prompt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct PromptFeature {
    /// The feature.
    pub feature: u32,
    /// Activations and effects; the prompt is row 0.
    pub acts: RowActs,
    /// The feature's logit for the token at each position; empty where they are not known.
    pub token_logits: Decimals,
}

wire!(PromptIndex { texts });
wire!(Score { feature, value, precision });
wire!(sized PromptFeature { feature, acts, token_logits });

impl Wire for Prompt {
    const MIN_BYTES: usize = 4;

    fn write(&self, out: &mut Vec<u8>) {
        self.text.write(out);
        self.token_ids.write(out);
        (self.scores.len() as u64).write(out);
        for MetricScores { metric, positions } in &self.scores {
            metric.name().to_owned().write(out);
            write_sized(out, |out| positions.write(out));
        }
        self.features.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut prompt = Self { text: Wire::read(from)?, token_ids: Wire::read(from)?, ..Self::default() };
        let ranked = from.list(2, |from| Ok((String::read(from)?, from.sized()?)))?;
        for (name, mut scores) in ranked {
            match Metric::from_name(&name) {
                Some(metric) => {
                    prompt.scores.push(MetricScores { metric, positions: Wire::read(&mut scores)? });
                }
                None => prompt.newer_metrics.push(name),
            }
        }
        Ok(Self { features: Wire::read(from)?, ..prompt })
    }
}

impl Prompt {
    /// The prompt's tokens under `feature`; `None` where the feature is not active on it.
    pub fn tokens(&self, feature: u32) -> Option<Vec<TokenView>> {
        let i = self.features.binary_search_by_key(&feature, |f| f.feature).ok()?;
        let found = self.features.get(i)?;
        let mut tokens = found.acts.tokens(0, 0, &self.token_ids);
        for (i, token) in tokens.iter_mut().enumerate() {
            token.logit = found.token_logits.get(i);
        }
        Some(tokens)
    }

    /// The best features at `position` under `metric`.
    pub fn scores_at(&self, metric: Metric, position: usize) -> &[Score] {
        let scores = self.scores.iter().find(|s| s.metric == metric);
        scores.and_then(|s| s.positions.get(position)).map_or(&[], Vec::as_slice)
    }
}

impl Prompt {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let n = self.token_ids.len();
        for s in &self.scores {
            ensure(s.positions.len() == n, || {
                format!("{} has {} positions, the prompt {n}", s.metric.name(), s.positions.len())
            })?;
        }
        let ascending = self.features.is_sorted_by(|a, b| a.feature < b.feature);
        ensure(ascending, || "features are not in ascending order".into())?;
        self.features.iter().try_for_each(|f| {
            ensure(f.acts.row_len as usize == n, || {
                format!("feature {} has activations on {} tokens, the prompt {n}", f.feature, f.acts.row_len)
            })?;
            f.acts.validate()?;
            if f.token_logits.is_empty() { Ok(()) } else { f.token_logits.validate("token logits", n) }
        })
    }
}
