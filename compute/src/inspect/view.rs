//! A feature and a prompt with every index resolved, as `compute inspect --json` prints them.

use serde::Serialize;
use shared::{
    decimals,
    feature::{Feature, FeatureTables, Stats, TokenLogit},
    histogram::Histogram,
    prompt::{Metric, Prompt},
    sequence::{GroupKind, TokenView},
    vocab::Vocab,
};

/// A feature.
#[derive(Debug, Serialize)]
pub struct FeatureView {
    pub feature: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub stats: Stats,
    pub tables: FeatureTables,
    pub acts_histogram: Option<HistogramView>,
    pub logits_histogram: Option<HistogramView>,
    pub positive_logits: Vec<LogitView>,
    pub negative_logits: Vec<LogitView>,
    /// Values at all points of the quantile grid.
    pub quantiles: Vec<f64>,
    pub groups: Vec<GroupView>,
}

#[derive(Debug, Serialize)]
pub struct HistogramView {
    pub min: f32,
    pub max: f32,
    pub counts: Vec<u32>,
    pub centres: Vec<f64>,
    pub ticks: Vec<f64>,
}

#[derive(Debug, Serialize)]
pub struct LogitView {
    pub token_id: u32,
    pub token: String,
    pub logit: f32,
}

#[derive(Debug, Serialize)]
pub struct GroupView {
    pub title: String,
    pub kind: GroupKind,
    pub examples: Vec<ExampleView>,
}

#[derive(Debug, Serialize)]
pub struct ExampleView {
    pub row: u32,
    pub position: u32,
    pub tokens: Vec<TokenJson>,
}

#[derive(Debug, Serialize)]
pub struct TokenJson {
    pub position: u32,
    pub token_id: u32,
    pub token: String,
    pub act: f64,
    pub logit: Option<f64>,
    pub loss_effect: Option<f64>,
    pub prob_change: Option<f64>,
    pub boosted: Vec<ChangeView>,
    pub suppressed: Vec<ChangeView>,
}

#[derive(Debug, Serialize)]
pub struct ChangeView {
    pub token_id: u32,
    pub token: String,
    pub change: f64,
}

/// A prompt.
#[derive(Debug, Serialize)]
pub struct PromptView {
    pub text: String,
    pub tokens: Vec<String>,
    pub token_ids: Vec<u32>,
    pub scores: Vec<ScoresView>,
    pub features: Vec<PromptFeatureView>,
}

#[derive(Debug, Serialize)]
pub struct ScoresView {
    pub metric: &'static str,
    pub position: usize,
    pub token: String,
    pub features: Vec<u32>,
    pub scores: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct PromptFeatureView {
    pub feature: u32,
    pub tokens: Vec<TokenJson>,
}

pub fn feature(feature: &Feature, vocab: &Vocab, label: Option<String>) -> FeatureView {
    let logits = |side: fn(&shared::feature::LogitsTable) -> &Vec<TokenLogit>| {
        let entries = feature.logits_table.iter().flat_map(side);
        entries
            .map(|e| LogitView { token_id: e.token_id, token: vocab.text(e.token_id), logit: e.logit })
            .collect()
    };
    FeatureView {
        feature: feature.feature,
        label,
        stats: feature.stats,
        tables: feature.tables.clone(),
        acts_histogram: feature.acts_histogram.as_ref().map(histogram),
        logits_histogram: feature.logits_histogram.as_ref().map(histogram),
        positive_logits: logits(|t| &t.top),
        negative_logits: logits(|t| &t.bottom),
        quantiles: feature.quantiles.values(),
        groups: groups(feature, vocab),
    }
}

fn histogram(histogram: &Histogram) -> HistogramView {
    HistogramView {
        min: histogram.min,
        max: histogram.max,
        counts: histogram.counts.clone(),
        centres: (0..histogram.counts.len()).map(|i| histogram.centre(i)).collect(),
        ticks: histogram.ticks(),
    }
}

fn groups(feature: &Feature, vocab: &Vocab) -> Vec<GroupView> {
    let Some(sequences) = &feature.sequences else { return Vec::new() };
    let max = feature.stats.max.into();
    let act = |value| decimals::text(value, max);
    let group = |(g, group): (usize, &shared::sequence::Group)| GroupView {
        title: match group.kind {
            GroupKind::Top => format!("TOP ACTIVATIONS, MAX = {}", act(max)),
            GroupKind::Interval { low, high, share } => {
                format!("INTERVAL {} - {}, CONTAINS {:.3}%", act(low.into()), act(high.into()), share * 100.0)
            }
        },
        kind: group.kind,
        examples: sequences
            .group_examples(g)
            .into_iter()
            .map(|e| ExampleView { row: e.row, position: e.position, tokens: tokens(&e.tokens, vocab) })
            .collect(),
    };
    sequences.groups.iter().enumerate().map(group).collect()
}

fn tokens(tokens: &[TokenView], vocab: &Vocab) -> Vec<TokenJson> {
    let changes = |list: &[(u32, f64)]| {
        let change = |&(token_id, change)| ChangeView { token_id, token: vocab.text(token_id), change };
        list.iter().map(change).collect::<Vec<_>>()
    };
    let token = |t: &TokenView| TokenJson {
        position: t.position,
        token_id: t.token_id,
        token: vocab.text(t.token_id),
        act: t.act,
        logit: t.logit,
        loss_effect: t.effect.as_ref().map(|e| e.loss_effect),
        prob_change: t.effect.as_ref().map(|e| e.prob_change),
        boosted: t.effect.as_ref().map(|e| changes(&e.boosted)).unwrap_or_default(),
        suppressed: t.effect.as_ref().map(|e| changes(&e.suppressed)).unwrap_or_default(),
    };
    tokens.iter().map(token).collect()
}

pub fn prompt(prompt: &Prompt, vocab: &Vocab) -> PromptView {
    let mut scores = Vec::new();
    for metric in Metric::ALL {
        for (position, token_id) in prompt.token_ids.iter().enumerate() {
            let found = prompt.scores_at(metric, position);
            scores.push(ScoresView {
                metric: metric.name(),
                position,
                token: vocab.text(*token_id),
                features: found.iter().map(|s| s.feature).collect(),
                scores: found.iter().map(|s| s.text(metric)).collect(),
            });
        }
    }
    let feature = |f: &shared::prompt::PromptFeature| PromptFeatureView {
        feature: f.feature,
        tokens: tokens(&prompt.tokens(f.feature).unwrap_or_default(), vocab),
    };
    PromptView {
        text: prompt.text.clone(),
        tokens: prompt.token_ids.iter().map(|t| vocab.text(*t)).collect(),
        token_ids: prompt.token_ids.clone(),
        scores,
        features: prompt.features.iter().map(feature).collect(),
    }
}
