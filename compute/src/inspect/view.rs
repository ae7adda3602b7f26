//! A feature and a prompt with every index resolved, as `compute inspect --json` prints them.

use serde::Serialize;
use shared::{
    decimals,
    explanations::Explanation,
    feature::{Feature, FeatureTables, Stats, TokenLogit},
    histogram::Histogram,
    prompt::{Metric, Prompt},
    quantiles::Quantiles,
    roles,
    sequence::{Group, GroupKind, TokenView},
    vocab::Vocab,
};

/// A feature.
#[derive(Debug, Serialize)]
pub struct FeatureView {
    pub feature: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explanations: Vec<Explanation>,
    pub stats: Stats,
    /// How it fares at the tokens of each role, where the corpus holds conversations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleView>,
    pub tables: FeatureTables,
    pub acts_histogram: Option<HistogramView>,
    pub logits_histogram: Option<HistogramView>,
    pub positive_logits: Vec<LogitView>,
    pub negative_logits: Vec<LogitView>,
    /// Values at all points of the quantile grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Vec<f64>>,
    pub groups: Vec<GroupView>,
}

#[derive(Debug, Serialize)]
pub struct RoleView {
    pub role: String,
    pub density: f32,
    pub max: f32,
}

#[derive(Debug, Serialize)]
pub struct HistogramView {
    pub min: f32,
    pub max: f32,
    pub counts: Vec<u64>,
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
    pub kind: KindView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_positions: Option<u64>,
    pub examples: Vec<ExampleView>,
}

/// A group's kind; `share`: its positions over all positions.
#[derive(Debug, Serialize)]
pub enum KindView {
    Top,
    Bottom,
    Interval { low: f32, high: f32, share: Option<f64> },
    Quantile { from: f32, to: f32, low: f32, high: f32, share: Option<f64> },
    Inactive { token_id: u32, token: String, share: Option<f64> },
    Newer { name: String },
}

#[derive(Debug, Serialize)]
pub struct ExampleView {
    pub row: u32,
    pub position: u32,
    pub act: f64,
    pub count: u32,
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
    /// Metrics of a newer version, which are not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub newer_metrics: Vec<String>,
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

/// What layers of a bundle say of a feature.
#[derive(Debug, Default)]
pub struct FeatureLayers {
    pub label: Option<String>,
    pub explanations: Vec<Explanation>,
    /// Role, density and maximum.
    pub roles: Vec<(u8, f32, f32)>,
}

fn role_name(role: u8) -> String {
    roles::NAMES.get(usize::from(role)).map_or_else(|| format!("role {role}"), |name| (*name).to_owned())
}

pub fn feature(feature: &Feature, vocab: &Vocab, layers: FeatureLayers) -> FeatureView {
    let role = |(role, density, max)| RoleView { role: role_name(role), density, max };
    let logits = |side: fn(&shared::feature::LogitsTable) -> &Vec<TokenLogit>| {
        let entries = feature.logits_table.iter().flat_map(side);
        entries
            .map(|e| LogitView { token_id: e.token_id, token: vocab.text(e.token_id), logit: e.logit })
            .collect()
    };
    FeatureView {
        feature: feature.feature,
        label: layers.label,
        explanations: layers.explanations,
        stats: feature.stats,
        roles: layers.roles.into_iter().map(role).collect(),
        tables: feature.tables.clone(),
        acts_histogram: feature.acts_histogram.as_ref().map(histogram),
        logits_histogram: feature.logits_histogram.as_ref().map(histogram),
        positive_logits: logits(|t| &t.top),
        negative_logits: logits(|t| &t.bottom),
        quantiles: feature.quantiles.as_ref().map(Quantiles::values),
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
    let group = |(g, group): (usize, &Group)| GroupView {
        title: title(feature, group, vocab),
        kind: kind(feature, group, vocab),
        n_positions: group.n_positions,
        examples: sequences
            .group_examples(g)
            .into_iter()
            .map(|e| ExampleView {
                row: e.row,
                position: e.position,
                act: e.act,
                count: e.count,
                tokens: tokens(&e.tokens, vocab),
            })
            .collect(),
    };
    sequences.groups.iter().enumerate().map(group).collect()
}

fn kind(feature: &Feature, group: &Group, vocab: &Vocab) -> KindView {
    let share = feature.share(group);
    match group.kind {
        GroupKind::Top => KindView::Top,
        GroupKind::Bottom => KindView::Bottom,
        GroupKind::Interval { low, high } => KindView::Interval { low, high, share },
        GroupKind::Quantile { from, to, low, high } => KindView::Quantile { from, to, low, high, share },
        GroupKind::Inactive { token_id } => {
            KindView::Inactive { token_id, token: vocab.text(token_id), share }
        }
        GroupKind::Newer { ref name } => KindView::Newer { name: name.clone() },
    }
}

/// What a group is called: its kind, its bounds, and how much of the corpus it was chosen from.
fn title(feature: &Feature, group: &Group, vocab: &Vocab) -> String {
    let size = feature.stats.max_size().into();
    let act = |value: f32| decimals::text(value.into(), size);
    let share = feature.share(group).map(|share| format!(", CONTAINS {:.3}%", share * 100.0));
    let contains = share.unwrap_or_default();
    match &group.kind {
        GroupKind::Top => format!("TOP ACTIVATIONS, MAX = {}", act(feature.stats.max)),
        GroupKind::Bottom => format!("BOTTOM ACTIVATIONS, MIN = {}", act(feature.stats.min)),
        GroupKind::Interval { low, high } => format!("INTERVAL {} - {}{contains}", act(*low), act(*high)),
        GroupKind::Quantile { from, to, low, high } => {
            let (from, to) = (from * 100.0, to * 100.0);
            format!("QUANTILES {from:.0}% - {to:.0}%: {} - {}{contains}", act(*low), act(*high))
        }
        GroupKind::Inactive { token_id } => format!("INACTIVE AT {:?}{contains}", vocab.text(*token_id)),
        GroupKind::Newer { name } => format!("MADE BY A NEWER VERSION: {name}{contains}"),
    }
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
        prob_change: t.effect.as_ref().and_then(|e| e.prob_change),
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
        newer_metrics: prompt.newer_metrics.clone(),
        features: prompt.features.iter().map(feature).collect(),
    }
}
