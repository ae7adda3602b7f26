//! The features of attribution graphs: a JSON file a feature, which a graph's page fetches from any static server.
//!
//! Names are those of the `feature-details` schema of attribution graphs: a graph names the folder's address in
//! `metadata.feature_details.feature_json_base_url`, and a node its file by `feature`.

use anyhow::Result;
use serde::Serialize;
use shared::{
    feature::{Feature, TokenLogit},
    sequence::{Example, GroupKind},
    vocab::Vocab,
};

use super::{NewFolder, blocks, bold_index, token};
use crate::bundle::Bundle;

#[derive(Debug, Serialize)]
struct Details {
    index: u64,
    examples_quantiles: Vec<Quantile>,
    top_logits: Vec<String>,
    bottom_logits: Vec<String>,
    act_min: f32,
    act_max: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation_frequency: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    histogram: Vec<u64>,
}

#[derive(Debug, Serialize)]
struct Quantile {
    quantile_name: String,
    examples: Vec<ExampleEntry>,
}

#[derive(Debug, Serialize)]
struct ExampleEntry {
    tokens: Vec<String>,
    tokens_acts_list: Vec<f64>,
    /// Index of the bold token in `tokens`.
    train_token_ind: usize,
    is_repeated_datapoint: bool,
}

/// The number of a feature in a graph: layer and index, paired by Cantor's function as circuit-tracer does,
/// `(l + f)(l + f + 1) / 2 + f`.
fn number(layer: u32, feature: u32) -> u64 {
    let sum = u128::from(layer) + u128::from(feature);
    // Layers are few: what does not fit is no layer of a model.
    u64::try_from(sum * (sum + 1) / 2 + u128::from(feature)).unwrap_or(u64::MAX)
}

/// Writes a file for each feature into the folder `out`, named by the feature's number in a graph, with its `layer`.
///
/// # Errors
///
/// Where a file of the bundle cannot be read, or one cannot be written.
pub fn write_graph_features(bundle: &Bundle, layer: u32, out: &NewFolder) -> Result<()> {
    let labels = bundle.labels()?;
    for features in blocks(bundle) {
        for feature in features? {
            let number = number(layer, feature.feature);
            let details = details(&feature, number, labels.of(feature.feature), &bundle.vocab);
            out.write(&format!("{number}.json"), &serde_json::to_vec(&details)?)?;
        }
    }
    Ok(())
}

fn details(feature: &Feature, index: u64, label: Option<String>, vocab: &Vocab) -> Details {
    let logits = feature.logits_table.clone().unwrap_or_default();
    let texts = |rows: &[TokenLogit]| rows.iter().map(|row| token(vocab, row.token_id)).collect();
    let groups = feature.sequences.iter().flat_map(|sequences| {
        sequences.groups.iter().enumerate().map(|(g, group)| Quantile {
            quantile_name: name(&group.kind, vocab),
            examples: sequences.group_examples(g).iter().map(|example| entry(example, vocab)).collect(),
        })
    });
    let mut examples_quantiles: Vec<Quantile> = groups.filter(|group| !group.examples.is_empty()).collect();
    // Readers take the first for the strongest examples, and that there is one for granted.
    if examples_quantiles.is_empty() {
        examples_quantiles
            .push(Quantile { quantile_name: name(&GroupKind::Top, vocab), examples: Vec::new() });
    }
    Details {
        index,
        examples_quantiles,
        top_logits: texts(&logits.top),
        bottom_logits: texts(&logits.bottom),
        act_min: feature.stats.min,
        act_max: feature.stats.max,
        activation_frequency: feature.stats.density,
        label,
        histogram: feature.acts_histogram.as_ref().map(|h| h.counts.clone()).unwrap_or_default(),
    }
}

fn name(kind: &GroupKind, vocab: &Vocab) -> String {
    match kind {
        GroupKind::Top => "Top Activations".to_owned(),
        GroupKind::Bottom => "Bottom Activations".to_owned(),
        GroupKind::Interval { low, high } => format!("Interval {low:.3} to {high:.3}"),
        GroupKind::Quantile { from, to, .. } => format!("Quantile {from} to {to}"),
        GroupKind::Inactive { token_id } => format!("Inactive at {:?}", token(vocab, *token_id)),
        GroupKind::Newer { name } => name.clone(),
    }
}

fn entry(example: &Example, vocab: &Vocab) -> ExampleEntry {
    ExampleEntry {
        tokens: example.tokens.iter().map(|t| token(vocab, t.token_id)).collect(),
        tokens_acts_list: example.tokens.iter().map(|t| t.act).collect(),
        train_token_ind: bold_index(example),
        is_repeated_datapoint: false,
    }
}
