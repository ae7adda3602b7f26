//! The prompt of a prompt page, and the features ranked on it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use shared::{
    prompt::{Metric, MetricScores, Prompt, PromptFeature, Score},
    vocab::Vocab,
};

use super::{
    super::{
        examples::{decimals, row_acts},
        tokens::TokenTable,
    },
    data::{PageData, example},
};

/// A feature's score at a position of the prompt.
#[derive(Debug, Clone, Deserialize)]
pub struct ScoreEntry {
    pub feature: u32,
    pub title: String,
}

/// The prompt of a prompt page.
#[derive(Debug, Default)]
pub struct PromptPage {
    pub token_ids: Vec<u32>,
    pub features: Vec<PromptFeature>,
    pub scores: BTreeMap<&'static str, Vec<Vec<Score>>>,
}

impl PromptPage {
    pub fn take(&mut self, feature: u32, data: &PageData, tokens: &mut TokenTable) {
        let Some(sequence) = data.prompt.first().and_then(|group| group.seq_group_data.first()) else {
            return;
        };
        let example = example(&sequence.seq_data, tokens);
        self.token_ids = example.tokens.iter().map(|token| token.token_id).collect();
        let acts = row_acts(&[&example], example.tokens.len() as u32);
        if !acts.active.is_empty() {
            let logits: Option<Vec<f64>> = example.tokens.iter().map(|token| token.logit).collect();
            let token_logits = decimals(&logits.unwrap_or_default());
            self.features.push(PromptFeature { feature, acts, token_logits });
        }
    }

    /// Takes the scores of a key such as `act_size|' the' (3)`, best first.
    pub fn rank(&mut self, key: &str, scores: &[ScoreEntry]) -> Result<()> {
        let (name, token) =
            key.split_once('|').with_context(|| format!("expected a metric before |: {key}"))?;
        let position =
            token.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')')?.parse::<usize>().ok());
        let Some(metric) = Metric::from_name(name) else { return Ok(()) };
        let n = self.token_ids.len();
        let place = self.scores.entry(metric.name()).or_insert_with(|| vec![Vec::new(); n]);
        let place = position.and_then(|position| place.get_mut(position));
        let place = place.with_context(|| format!("the prompt has no such position: {key}"))?;
        *place = scores.iter().filter_map(ScoreEntry::score).collect();
        Ok(())
    }

    pub fn prompt(mut self, vocab: &Vocab) -> Prompt {
        self.features.sort_by_key(|feature| feature.feature);
        let text = self.token_ids.iter().map(|id| String::from_utf8_lossy(vocab.bytes_of(*id))).collect();
        let scores = Metric::ALL.into_iter().filter_map(|metric| {
            Some(MetricScores { metric, positions: self.scores.remove(metric.name())? })
        });
        Prompt {
            text,
            scores: scores.collect(),
            token_ids: self.token_ids,
            newer_metrics: Vec::new(),
            features: self.features,
        }
    }
}

impl ScoreEntry {
    /// By a title such as `<h3>#57<br>Activation Size = 0.208</h3><hr>`.
    fn score(&self) -> Option<Score> {
        let text = self.title.rsplit_once('=')?.1.split('<').next()?.trim();
        let (number, percent) = text.strip_suffix('%').map_or((text, false), |number| (number, true));
        let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len()) as u8;
        let value: f64 = number.parse().ok()?;
        Some(Score {
            feature: self.feature,
            value: if percent { value / 100.0 } else { value },
            precision: if percent { decimals + 2 } else { decimals },
        })
    }
}
