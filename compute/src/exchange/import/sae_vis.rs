//! What sae_vis 0.2 saves by `save_json`.

use std::{
    fmt,
    fs::File,
    io::{BufReader, Read as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use serde::{
    Deserialize, Deserializer as _,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use shared::{
    feature::{Feature, FeatureTables, LogitsTable, Stats, TokenLogit},
    manifest::{Manifest, Origin},
    prompt::{Prompt, PromptFeature},
    quantiles::{GRID_LEN, Quantiles},
    sequence::{EffectView, GroupKind},
};

use super::{
    Import, InOrder, Subject,
    examples::{ImportedExample, ImportedGroup, ImportedToken, decimals, row_acts, sequences},
    members::Members,
    text::{aligned, correlated, histogram, n_positions, numbers},
    tokens::TokenTable,
};
use crate::{
    corpus::{self, Tokenizer},
    exchange::json::unzipped,
    interrupt,
};

/// Bytes of a file, at most.
const MAX_BYTES: u64 = 4 << 30;

/// Reads a file, handing on its features one by one, or none of them.
struct Saved<T, F> {
    features: Members<T, F>,
    stats: FeatureStats,
}

impl<'de, T: DeserializeOwned, F: FnMut(String, T) -> Result<()>> Visitor<'de> for Saved<T, F> {
    type Value = FeatureStats;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what sae_vis saves")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<FeatureStats, A::Error> {
        let Self { features, mut stats } = self;
        let mut features = Some(features);
        while let Some(name) = members.next_key::<String>()? {
            match (name.as_str(), features.take()) {
                ("feature_data_dict", Some(seed)) => members.next_value_seed(seed)?,
                ("feature_stats", waiting) => {
                    stats = members.next_value()?;
                    features = waiting;
                }
                (_, waiting) => {
                    members.next_value::<IgnoredAny>()?;
                    features = waiting;
                }
            }
        }
        if features.is_some() {
            return Err(serde::de::Error::missing_field("feature_data_dict"));
        }
        Ok(stats)
    }
}

/// Reads the file at `path`.
fn read<T: DeserializeOwned>(path: &Path, take: impl FnMut(String, T) -> Result<()>) -> Result<FeatureStats> {
    let reading = || format!("could not read the file of sae_vis ({})", path.display());
    let file = unzipped(File::open(path).with_context(reading)?).with_context(reading)?;
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(file.take(MAX_BYTES)));
    let saved = Saved { features: Members::new(take), stats: FeatureStats::default() };
    let stats = json.deserialize_map(saved).with_context(reading)?;
    json.end().with_context(reading)?;
    Ok(stats)
}

#[derive(Deserialize, Default)]
struct FeatureStats {
    max: Vec<f64>,
    frac_nonzero: Vec<f64>,
    #[serde(default)]
    quantile_data: Vec<Vec<f64>>,
    #[serde(default)]
    quantiles: Vec<f64>,
}

#[derive(Deserialize)]
struct FeatureData {
    #[serde(rename = "feature_tables_data")]
    tables: Tables,
    #[serde(rename = "acts_histogram_data")]
    acts_histogram: Bars,
    #[serde(rename = "logits_table_data")]
    logits: Logits,
    #[serde(rename = "logits_histogram_data")]
    logits_histogram: Bars,
    #[serde(rename = "sequence_data")]
    sequences: Groups,
    #[serde(default, rename = "prompt_data")]
    prompt: Option<SeqData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tables {
    neuron_alignment_indices: Vec<u32>,
    neuron_alignment_values: Vec<f64>,
    neuron_alignment_l1: Vec<f64>,
    correlated_neurons_indices: Vec<u32>,
    correlated_neurons_pearson: Vec<f64>,
    correlated_neurons_cossim: Vec<f64>,
    correlated_features_indices: Vec<u32>,
    correlated_features_pearson: Vec<f64>,
    correlated_features_cossim: Vec<f64>,
    correlated_b_features_indices: Vec<u32>,
    correlated_b_features_pearson: Vec<f64>,
    correlated_b_features_cossim: Vec<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Bars {
    bar_heights: Vec<u64>,
    bar_values: Vec<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Logits {
    bottom_token_ids: Vec<u32>,
    #[serde(rename = "bottom_logits")]
    bottom: Vec<f64>,
    top_token_ids: Vec<u32>,
    #[serde(rename = "top_logits")]
    top: Vec<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Groups {
    seq_group_data: Vec<SeqGroup>,
}

#[derive(Deserialize)]
struct SeqGroup {
    #[serde(default)]
    title: Option<String>,
    seq_data: Vec<SeqData>,
}

/// A sequence, or the prompt, whose last four lists begin at its second token.
#[derive(Deserialize, Default)]
#[serde(default)]
struct SeqData {
    token_ids: Vec<u32>,
    feat_acts: Vec<f64>,
    loss_contribution: Vec<f64>,
    token_logits: Vec<f64>,
    top_token_ids: Vec<Vec<u32>>,
    top_logits: Vec<Vec<f64>>,
    bottom_token_ids: Vec<Vec<u32>>,
    bottom_logits: Vec<Vec<f64>>,
}

/// Makes the bundle `out` of the file `path`.
///
/// - `tokenizer`: the model's, for token texts; without it tokens are shown by their ids
///
/// # Errors
///
/// Where the file cannot be read or holds something else, or `out` cannot be written.
pub fn import_sae_vis(path: &Path, tokenizer: Option<&Tokenizer>, out: &Path) -> Result<Manifest> {
    ensure!(path.is_file(), "the file of sae_vis is not a regular file ({})", path.display());
    let mut import = Import::new(out)?;
    // What is said of all features stands after them: the file is read twice, and never in memory as a whole.
    let mut names = Vec::new();
    let stats = read(path, |name, _: IgnoredAny| {
        names
            .push(name.parse::<u32>().with_context(|| format!("expected a feature's number, got {name:?}"))?);
        Ok(())
    })?;
    let mut tokens = TokenTable::default();
    let grid_is_ours = stats.quantiles.len() == GRID_LEN;
    let mut prompt = Prompt::default();
    let (mut features, mut i) = (InOrder::new(&mut import, names.is_sorted()), 0);
    read(path, |_, data: FeatureData| {
        interrupt::check()?;
        let (index, at) = (names[i], |numbers: &[f64]| numbers.get(i).copied());
        let quantiles = stats.quantile_data.get(i).filter(|_| grid_is_ours);
        if let Some(of_prompt) = data.prompt.as_ref().filter(|prompt| !prompt.token_ids.is_empty()) {
            prompt.token_ids.clone_from(&of_prompt.token_ids);
            let example = of_prompt.example(None);
            prompt.features.push(PromptFeature {
                feature: index,
                acts: row_acts(&[&example], example.tokens.len() as u32),
                token_logits: decimals(&of_prompt.token_logits),
            });
        }
        let feature = data.feature(index, at(&stats.max), at(&stats.frac_nonzero), quantiles);
        i += 1;
        feature_tokens(&feature).try_for_each(|id| tokens.reserve(id))?;
        features.take(feature)
    })?;
    features.finish()?;
    let vocab = corpus::vocab(tokenizer, tokens.len());
    if !prompt.token_ids.is_empty() {
        // As it was given it is in no file: its tokens are.
        prompt.text =
            prompt.token_ids.iter().map(|id| String::from_utf8_lossy(vocab.bytes_of(*id))).collect();
        prompt.features.sort_by_key(|feature| feature.feature);
        prompt.features.retain(|feature| !feature.acts.active.is_empty());
        import.prompt(prompt);
    }
    let origin = Origin { format: "sae_vis (JSON)".to_owned(), own_token_ids: true };
    import.finish(Subject::named_by(path), origin, &vocab)
}

/// Ids of all tokens that a feature names.
fn feature_tokens(feature: &Feature) -> impl Iterator<Item = u32> + '_ {
    let logits = feature.logits_table.iter().flat_map(|table| table.top.iter().chain(&table.bottom));
    let sequences = feature.sequences.iter().flat_map(|sequences| {
        sequences.token_ids.iter().chain(&sequences.row_acts.effects.hover_tokens).copied()
    });
    logits.map(|row| row.token_id).chain(sequences)
}

impl FeatureData {
    fn feature(
        self,
        feature: u32,
        max: Option<f64>,
        density: Option<f64>,
        quantiles: Option<&Vec<f64>>,
    ) -> Feature {
        let n_active: Option<u64> = (!self.acts_histogram.bar_heights.is_empty())
            .then(|| self.acts_histogram.bar_heights.iter().sum());
        let n_corpus = n_active.zip(density).and_then(|(n_active, density)| n_positions(n_active, density));
        let rows = |ids: &[u32], logits: &[f64]| {
            let row = |(id, logit): (&u32, &f64)| TokenLogit { token_id: *id, logit: *logit as f32 };
            ids.iter().zip(logits).map(row).collect::<Vec<_>>()
        };
        let (t, l) = (&self.tables, &self.logits);
        let bold = bold(self.sequences.seq_group_data.first());
        let groups: Vec<ImportedGroup> = self
            .sequences
            .seq_group_data
            .iter()
            .map(|group| {
                let examples = group.seq_data.iter().map(|sequence| sequence.example(bold)).collect();
                let (kind, n_positions) = kind(group.title.as_deref().unwrap_or_default(), n_corpus);
                ImportedGroup { kind, n_positions, examples }
            })
            .collect();
        let whole = |values: &Vec<f64>| {
            let mut whole = vec![0.0; GRID_LEN.saturating_sub(values.len())];
            whole.extend(values);
            whole.truncate(GRID_LEN);
            Quantiles::of(&whole)
        };
        Feature {
            feature,
            stats: Stats {
                n_active: n_active.or_else(|| density.filter(|density| *density <= 0.0).map(|_| 0)),
                density,
                max: max.unwrap_or(f64::NAN) as f32,
                min: 0.0,
                moments: None,
            },
            quantiles: quantiles.map(whole),
            tables: FeatureTables {
                neuron_alignment: aligned(
                    &t.neuron_alignment_indices,
                    &t.neuron_alignment_values,
                    &t.neuron_alignment_l1,
                ),
                correlated_neurons: correlated(
                    &t.correlated_neurons_indices,
                    &t.correlated_neurons_pearson,
                    &t.correlated_neurons_cossim,
                ),
                correlated_features: correlated(
                    &t.correlated_features_indices,
                    &t.correlated_features_pearson,
                    &t.correlated_features_cossim,
                ),
                correlated_b_features: correlated(
                    &t.correlated_b_features_indices,
                    &t.correlated_b_features_pearson,
                    &t.correlated_b_features_cossim,
                ),
            },
            acts_histogram: histogram(&self.acts_histogram.bar_values, &self.acts_histogram.bar_heights),
            logits_histogram: histogram(
                &self.logits_histogram.bar_values,
                &self.logits_histogram.bar_heights,
            ),
            logits_table: (!l.top_token_ids.is_empty() || !l.bottom_token_ids.is_empty()).then(|| {
                LogitsTable {
                    top: rows(&l.top_token_ids, &l.top),
                    bottom: rows(&l.bottom_token_ids, &l.bottom),
                }
            }),
            sequences: (!groups.is_empty()).then(|| sequences(groups)),
        }
    }
}

/// Index of the bold token in all windows, which the file does not say: there the activations of the group of the largest
/// descend. It is the middle where windows are as long before as after it; `None` where windows are whole rows.
fn bold(top: Option<&SeqGroup>) -> Option<usize> {
    let sequences = &top?.seq_data;
    let len = sequences.first()?.token_ids.len();
    let descend = |at: &usize| {
        let acts: Option<Vec<f64>> = sequences.iter().map(|s| s.feat_acts.get(*at).copied()).collect();
        acts.is_some_and(|acts| acts.iter().all(|act| *act > 0.0) && acts.is_sorted_by(|a, b| a >= b))
    };
    std::iter::once(len / 2).chain(0..len).find(descend)
}

/// How a group was chosen, by its title, and from how many positions.
pub fn kind(title: &str, n_corpus: Option<u64>) -> (GroupKind, Option<u64>) {
    match numbers(title).as_slice() {
        [low, high, percent, ..] if title.starts_with("INTERVAL") => {
            let n = n_corpus.map(|n| (percent / 100.0 * n as f64).round() as u64);
            (GroupKind::Interval { low: *low as f32, high: *high as f32 }, n)
        }
        _ => (GroupKind::Top, None),
    }
}

impl SeqData {
    /// - `bold`: index of the bold token; without it that of the largest activation
    fn example(&self, bold: Option<usize>) -> ImportedExample {
        let n = self.token_ids.len();
        let of_largest = || {
            let larger = |a: usize, b: usize| if self.feat_acts[b] > self.feat_acts[a] { b } else { a };
            (0..self.feat_acts.len().min(n)).reduce(larger).unwrap_or(0)
        };
        let bold = bold.filter(|bold| *bold < n).unwrap_or_else(of_largest);
        // Where it was computed at the bold token alone there is one number.
        let act = |i: usize| match self.feat_acts.as_slice() {
            [act] if n > 1 => {
                if i == bold {
                    *act
                } else {
                    0.0
                }
            }
            acts => acts.get(i).copied().unwrap_or_default(),
        };
        // What belongs to the pairs of tokens of a prompt begins at its second token.
        let skipped = n.saturating_sub(self.top_token_ids.len());
        let list = |ids: &[Vec<u32>], by: &[Vec<f64>], i: usize| {
            let (ids, by) = (ids.get(i).map(Vec::as_slice), by.get(i).map(Vec::as_slice));
            let pairs = ids.unwrap_or_default().iter().copied().zip(by.unwrap_or_default().iter().copied());
            pairs.collect::<Vec<_>>()
        };
        let token = |(i, token_id): (usize, &u32)| {
            let boosted = i.checked_sub(skipped).map(|i| list(&self.top_token_ids, &self.top_logits, i));
            let suppressed =
                i.checked_sub(skipped).map(|i| list(&self.bottom_token_ids, &self.bottom_logits, i));
            let (boosted, suppressed) = (boosted.unwrap_or_default(), suppressed.unwrap_or_default());
            let has_effect = !boosted.is_empty() || !suppressed.is_empty();
            let loss_effect = self.loss_contribution.get(i).copied().filter(|_| has_effect);
            ImportedToken {
                token_id: *token_id,
                act: act(i),
                logit: self.token_logits.get(i).copied(),
                effect: loss_effect.map(|loss_effect| EffectView {
                    loss_effect,
                    prob_change: None,
                    boosted,
                    suppressed,
                }),
            }
        };
        ImportedExample { tokens: self.token_ids.iter().enumerate().map(token).collect(), bold }
    }
}
