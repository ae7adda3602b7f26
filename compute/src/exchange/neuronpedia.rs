//! Neuronpedia's batches of features, as SAEDashboard writes them: `batch-0.json` and on.
//!
//! Shape and names are those of `NeuronpediaDashboardBatch` in SAEDashboard 0.8. What its format must have and a bundle
//! lacks is an empty list there.

use anyhow::Result;
use serde::Serialize;
use shared::{
    feature::{Correlated, Feature, TokenLogit},
    histogram::Histogram,
    manifest::Manifest,
    sequence::{Example, Group, GroupKind},
    vocab::Vocab,
};

use super::{NewFolder, blocks, bold_index, token};
use crate::bundle::Bundle;

/// Features in a batch.
const BATCH: usize = 128;
/// Stands for what does not apply, such as the interval of the strongest examples.
const NONE: f64 = -1.0;

/// What the files of Neuronpedia say of a feature's origin.
#[derive(Debug, Serialize)]
struct Batch<'a> {
    model_id: &'a str,
    layer: u32,
    sae_set: &'a str,
    sae_id_suffix: Option<&'a str>,
    features: &'a [FeatureEntry],
}

#[derive(Debug, Default, Serialize)]
struct FeatureEntry {
    feature_index: u32,
    neuron_alignment_indices: Vec<u32>,
    neuron_alignment_values: Vec<f64>,
    neuron_alignment_l1: Vec<f64>,
    correlated_neurons_indices: Vec<u32>,
    /// The cosine similarity, whatever the name: so does SAEDashboard.
    correlated_neurons_l1: Vec<f64>,
    correlated_neurons_pearson: Vec<f64>,
    correlated_features_indices: Vec<u32>,
    correlated_features_l1: Vec<f64>,
    correlated_features_pearson: Vec<f64>,
    neg_str: Vec<String>,
    neg_values: Vec<f64>,
    pos_str: Vec<String>,
    pos_values: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frac_nonzero: Option<f64>,
    freq_hist_data_bar_values: Vec<f64>,
    freq_hist_data_bar_heights: Vec<u64>,
    logits_hist_data_bar_heights: Vec<u64>,
    logits_hist_data_bar_values: Vec<f64>,
    n_prompts_total: Option<u32>,
    n_tokens_in_prompt: Option<u32>,
    dataset: String,
    decoder_weights_dist: [f64; 0],
    activations: Vec<Activation>,
    vector: [f64; 0],
}

/// An example.
#[derive(Debug, Serialize)]
struct Activation {
    bin_min: f64,
    bin_max: f64,
    /// Share of all positions in the bin; the one that begins at 0 holds the inactive ones too, as in SAEDashboard.
    bin_contains: f64,
    tokens: Vec<String>,
    values: Vec<f64>,
    /// Index of the bold token in `tokens`.
    qualifying_token_index: usize,
    dfa_values: [f64; 0],
    #[serde(rename = "dfa_maxValue")]
    dfa_max_value: f64,
    #[serde(rename = "dfa_targetIndex")]
    dfa_target_index: i32,
}

/// Writes the batches into the folder `out`: of the `layer` that the SAE reads, under the names that Neuronpedia knows the
/// model and the set of SAEs by.
///
/// # Errors
///
/// Where a file of the bundle cannot be read, or one cannot be written.
pub fn write_neuronpedia(bundle: &Bundle, model: &str, set: &str, layer: u32, out: &NewFolder) -> Result<()> {
    let mut waiting: Vec<FeatureEntry> = Vec::new();
    let mut n_written = 0;
    let mut write = |features: &[FeatureEntry]| {
        let batch = Batch { model_id: model, layer, sae_set: set, sae_id_suffix: None, features };
        let json = serde_json::to_vec(&batch)?;
        out.write(&format!("batch-{n_written}.json"), &json)?;
        n_written += 1;
        anyhow::Ok(())
    };
    for features in blocks(bundle) {
        waiting.extend(features?.iter().map(|feature| FeatureEntry::of(feature, bundle)));
        while waiting.len() >= BATCH {
            let full: Vec<FeatureEntry> = waiting.drain(..BATCH).collect();
            write(&full)?;
        }
    }
    if waiting.is_empty() { Ok(()) } else { write(&waiting) }
}

impl FeatureEntry {
    fn of(feature: &Feature, bundle: &Bundle) -> Self {
        let Bundle { vocab, manifest: Manifest { dataset, .. }, .. } = bundle;
        let tables = &feature.tables;
        let aligned = tables.neuron_alignment.as_deref().unwrap_or_default();
        let neurons = Columns::of(tables.correlated_neurons.as_deref());
        let features = Columns::of(tables.correlated_features.as_deref());
        let logits = feature.logits_table.clone().unwrap_or_default();
        let (neg_str, neg_values) = token_logits(&logits.bottom, vocab);
        let (pos_str, pos_values) = token_logits(&logits.top, vocab);
        let (freq_values, freq_heights) = bars(feature.acts_histogram.as_ref());
        let (logit_values, logit_heights) = bars(feature.logits_histogram.as_ref());
        Self {
            feature_index: feature.feature,
            neuron_alignment_indices: aligned.iter().map(|row| row.neuron).collect(),
            neuron_alignment_values: aligned.iter().map(|row| rounded(row.value.into())).collect(),
            neuron_alignment_l1: aligned.iter().map(|row| rounded(row.l1_share.into())).collect(),
            correlated_neurons_indices: neurons.indices,
            correlated_neurons_l1: neurons.cosines,
            correlated_neurons_pearson: neurons.pearsons,
            correlated_features_indices: features.indices,
            correlated_features_l1: features.cosines,
            correlated_features_pearson: features.pearsons,
            neg_str,
            neg_values,
            pos_str,
            pos_values,
            frac_nonzero: feature.stats.density,
            freq_hist_data_bar_values: freq_values,
            freq_hist_data_bar_heights: freq_heights,
            logits_hist_data_bar_heights: logit_heights,
            logits_hist_data_bar_values: logit_values,
            n_prompts_total: dataset.n_rows,
            n_tokens_in_prompt: dataset.seq_len,
            dataset: dataset.name.clone(),
            activations: activations(feature, vocab),
            ..Self::default()
        }
    }
}

/// A table of correlations, as columns.
struct Columns {
    indices: Vec<u32>,
    cosines: Vec<f64>,
    pearsons: Vec<f64>,
}

impl Columns {
    fn of(rows: Option<&[Correlated]>) -> Self {
        let rows = rows.unwrap_or_default();
        Self {
            indices: rows.iter().map(|row| row.index).collect(),
            cosines: rows.iter().map(|row| rounded(row.cosine.into())).collect(),
            pearsons: rows.iter().map(|row| rounded(row.pearson.into())).collect(),
        }
    }
}

fn token_logits(rows: &[TokenLogit], vocab: &Vocab) -> (Vec<String>, Vec<f64>) {
    rows.iter().map(|row| (token(vocab, row.token_id), rounded(row.logit.into()))).unzip()
}

/// Centres and counts of a histogram's bins.
fn bars(histogram: Option<&Histogram>) -> (Vec<f64>, Vec<u64>) {
    let Some(histogram) = histogram else { return (Vec::new(), Vec::new()) };
    let n = histogram.counts.len();
    ((0..n).map(|i| rounded(histogram.centre(i))).collect(), histogram.counts.clone())
}

fn activations(feature: &Feature, vocab: &Vocab) -> Vec<Activation> {
    let Some(sequences) = &feature.sequences else { return Vec::new() };
    let mut all = Vec::new();
    for (g, group) in sequences.groups.iter().enumerate() {
        let (bin_min, bin_max) = match group.kind {
            GroupKind::Interval { low, high } | GroupKind::Quantile { low, high, .. } => {
                (f64::from(low), f64::from(high))
            }
            // Neither strongest nor weakest examples of the active positions: the format has no word for them.
            GroupKind::Inactive { .. } | GroupKind::Newer { .. } => continue,
            GroupKind::Top => (NONE, feature.stats.max.into()),
            GroupKind::Bottom => (feature.stats.min.into(), NONE),
        };
        let examples = sequences.group_examples(g);
        all.extend(
            examples.iter().map(|example| activation(feature, group, (bin_min, bin_max), example, vocab)),
        );
    }
    all
}

fn activation(
    feature: &Feature,
    group: &Group,
    bin: (f64, f64),
    example: &Example,
    vocab: &Vocab,
) -> Activation {
    let share = match group.kind {
        GroupKind::Top | GroupKind::Bottom => None,
        GroupKind::Interval { low: 0.0, .. } => {
            feature.share(group).zip(feature.stats.density).map(|(share, density)| share + 1.0 - density)
        }
        _ => feature.share(group),
    };
    Activation {
        bin_min: rounded(bin.0),
        bin_max: rounded(bin.1),
        bin_contains: share.unwrap_or(NONE),
        tokens: example.tokens.iter().map(|t| token(vocab, t.token_id)).collect(),
        values: example.tokens.iter().map(|t| rounded(t.act)).collect(),
        qualifying_token_index: bold_index(example),
        dfa_values: [],
        dfa_max_value: 0.0,
        dfa_target_index: -1,
    }
}

/// With three decimals, as the format has its numbers.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round_ties_even() / 1e3
}
