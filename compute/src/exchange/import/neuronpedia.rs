//! SAEDashboard's batches for Neuronpedia, `batch-N.json`, and Neuronpedia's public exports, in JSON lines.
//!
//! Of the exports, `features/`, `activations/` and `explanations*/` lie beside one another, each in `batch-N.jsonl.gz`.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, de::DeserializeOwned};
use shared::{
    explanations::{Explanation, ExplanationScore},
    feature::{Feature, FeatureTables, LogitsTable, Stats, TokenLogit},
    manifest::{Manifest, Origin},
    sequence::GroupKind,
};

use super::{
    Import, Subject,
    examples::{ImportedExample, ImportedGroup, ImportedToken, sequences},
    numbered_files,
    text::{aligned, correlated, histogram, largest, n_positions},
    tokens::TokenTable,
};
use crate::{exchange::json::unzipped, interrupt};

/// Bytes of a line or a batch, at most.
const MAX_BYTES: u64 = 512 << 20;

#[derive(Deserialize)]
struct Batch {
    model_id: Option<String>,
    layer: Option<serde_json::Value>,
    sae_set: Option<String>,
    sae_id_suffix: Option<String>,
    features: Vec<FeatureEntry>,
}

/// A feature, as both formats have it; names of the batches, with those of the exports.
#[derive(Deserialize, Default)]
#[serde(default)]
struct FeatureEntry {
    #[serde(alias = "index", deserialize_with = "number_or_text")]
    feature_index: Option<u32>,
    #[serde(alias = "modelId")]
    model_id: Option<String>,
    layer: Option<String>,
    #[serde(rename = "hookName")]
    hook_name: Option<String>,
    neuron_alignment_indices: Vec<u32>,
    neuron_alignment_values: Vec<f64>,
    neuron_alignment_l1: Vec<f64>,
    correlated_neurons_indices: Vec<u32>,
    correlated_neurons_l1: Vec<f64>,
    correlated_neurons_pearson: Vec<f64>,
    correlated_features_indices: Vec<u32>,
    correlated_features_l1: Vec<f64>,
    correlated_features_pearson: Vec<f64>,
    neg_str: Vec<String>,
    neg_values: Vec<f64>,
    pos_str: Vec<String>,
    pos_values: Vec<f64>,
    frac_nonzero: Option<f64>,
    freq_hist_data_bar_values: Vec<f64>,
    freq_hist_data_bar_heights: Vec<u64>,
    logits_hist_data_bar_values: Vec<f64>,
    logits_hist_data_bar_heights: Vec<u64>,
    n_prompts_total: Option<u32>,
    n_tokens_in_prompt: Option<u32>,
    dataset: Option<String>,
    #[serde(alias = "maxActApprox")]
    max_act_approx: Option<f64>,
    activations: Vec<Activation>,
}

/// An example.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Activation {
    #[serde(deserialize_with = "number_or_text")]
    index: Option<u32>,
    #[serde(alias = "binMin")]
    bin_min: Option<f64>,
    #[serde(alias = "binMax")]
    bin_max: Option<f64>,
    #[serde(alias = "binContains")]
    bin_contains: Option<f64>,
    tokens: Vec<String>,
    values: Vec<f64>,
    #[serde(alias = "qualifyingTokenIndex")]
    qualifying_token_index: Option<usize>,
    #[serde(rename = "maxValueTokenIndex")]
    max_value_token_index: Option<usize>,
}

/// A line of `explanations`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExplanationLine {
    #[serde(deserialize_with = "number_or_text")]
    index: Option<u32>,
    description: Option<String>,
    explanation_model_name: Option<String>,
    type_name: Option<String>,
    author_id: Option<String>,
    created_at: Option<String>,
    #[serde(default)]
    scores: Vec<ScoreEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScoreEntry {
    value: f64,
    explanation_score_type_name: Option<String>,
    explanation_score_model_name: Option<String>,
}

/// An index, which exports write as text.
fn number_or_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Index {
        Number(u32),
        Text(String),
    }
    match Option::deserialize(from)? {
        None => Ok(None),
        Some(Index::Number(n)) => Ok(Some(n)),
        Some(Index::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// Makes the bundle `out` of a batch, a folder of batches, or the folder of an export.
///
/// # Errors
///
/// Where a file cannot be read or holds something else, or `out` cannot be written.
pub fn import_neuronpedia(path: &Path, out: &Path) -> Result<Manifest> {
    let batches = numbered_files(path, "batch-", &[".json", ".json.gz"])?;
    if !batches.is_empty() {
        return import_batches(&batches, out);
    }
    ensure!(
        path.join("features").is_dir(),
        "it holds neither batch-N.json nor a folder features of Neuronpedia's export ({})",
        path.display()
    );
    import_export(path, out)
}

fn import_batches(paths: &[std::path::PathBuf], out: &Path) -> Result<Manifest> {
    let mut import = Import::new(out)?;
    let (mut tokens, mut subject) = (TokenTable::default(), Subject::default());
    for path in paths {
        interrupt::check()?;
        let reading = || format!("could not read the batch ({})", path.display());
        let file = unzipped(File::open(path).with_context(reading)?).with_context(reading)?;
        let from = BufReader::new(file.take(MAX_BYTES));
        let batch: Batch = serde_json::from_reader(from).with_context(reading)?;
        if subject.model.is_none() {
            let set = [
                batch.sae_set,
                batch.layer.map(|layer| layer.to_string().replace('"', "")),
                batch.sae_id_suffix,
            ];
            let set: Vec<String> = set.into_iter().flatten().collect();
            subject.model = batch.model_id;
            subject.sae = (!set.is_empty()).then(|| set.join(" "));
        }
        for entry in batch.features {
            subject.learn(&entry);
            let feature = entry.feature(&mut tokens).with_context(reading)?;
            import.feature(feature).with_context(reading)?;
        }
    }
    let origin = Origin { format: "Neuronpedia's batches".to_owned(), own_token_ids: false };
    import.finish(subject, origin, &tokens.vocab())
}

/// Reads the lines of the export's files in `folder`, in order.
fn lines<T: DeserializeOwned>(folder: &Path, mut take: impl FnMut(T) -> Result<()>) -> Result<()> {
    for path in numbered_files(folder, "batch-", &[".jsonl", ".jsonl.gz"])? {
        let reading = || format!("could not read the export ({})", path.display());
        let file = unzipped(File::open(&path).with_context(reading)?).with_context(reading)?;
        let mut file = BufReader::new(file);
        let (mut line, mut n_lines) = (Vec::new(), 0);
        loop {
            interrupt::check()?;
            line.clear();
            n_lines += 1;
            let reading = || format!("could not read the export ({}, line {n_lines})", path.display());
            let n = file.by_ref().take(MAX_BYTES).read_until(b'\n', &mut line).with_context(reading)?;
            if n == 0 {
                break;
            }
            ensure!((n as u64) < MAX_BYTES, "a line has more than {MAX_BYTES} bytes ({})", path.display());
            if !line.trim_ascii().is_empty() {
                take(serde_json::from_slice(&line).with_context(reading)?).with_context(reading)?;
            }
        }
    }
    Ok(())
}

fn import_export(path: &Path, out: &Path) -> Result<Manifest> {
    let mut import = Import::new(out)?;
    let (mut tokens, mut subject) = (TokenTable::default(), Subject::default());
    // Examples lie in files of their own, in whatever order.
    let mut examples: HashMap<u32, Vec<CompactExample>> = HashMap::new();
    if path.join("activations").is_dir() {
        lines(&path.join("activations"), |activation: Activation| {
            let feature = activation.index.context("an activation has no index")?;
            examples.entry(feature).or_default().push(CompactExample::of(activation, &mut tokens));
            Ok(())
        })?;
    }
    let mut features: Vec<FeatureEntry> = Vec::new();
    lines(&path.join("features"), |entry: FeatureEntry| {
        subject.learn(&entry);
        features.push(entry);
        Ok(())
    })?;
    features.sort_by_key(|entry| entry.feature_index);
    for mut entry in features {
        let of_feature = entry.feature_index.and_then(|index| examples.remove(&index)).unwrap_or_default();
        entry.activations = of_feature.into_iter().map(|example| example.activation(&tokens)).collect();
        import.feature(entry.feature(&mut tokens)?)?;
    }
    let reading = || format!("could not read the folder ({})", path.display());
    let folders =
        path.read_dir().and_then(Iterator::collect::<std::io::Result<Vec<_>>>).with_context(reading)?;
    let mut folders: Vec<_> = folders.into_iter().map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders {
        let is_explanations = folder
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("explanations"));
        if is_explanations && folder.is_dir() {
            lines(&folder, |line: ExplanationLine| {
                if let (Some(feature), Some(text)) = (line.index, line.description.clone()) {
                    import.explanation(line.explanation(feature, text));
                }
                Ok(())
            })?;
        }
    }
    let origin = Origin { format: "Neuronpedia's export".to_owned(), own_token_ids: false };
    import.finish(subject, origin, &tokens.vocab())
}

/// An example whose tokens are numbers: texts repeat.
struct CompactExample {
    token_ids: Vec<u32>,
    rest: Activation,
}

impl CompactExample {
    fn of(mut rest: Activation, tokens: &mut TokenTable) -> Self {
        let token_ids = std::mem::take(&mut rest.tokens).iter().map(|text| tokens.id(text)).collect();
        Self { token_ids, rest }
    }

    fn activation(self, tokens: &TokenTable) -> Activation {
        let tokens = self.token_ids.iter().map(|id| tokens.text(*id).to_owned()).collect();
        Activation { tokens, ..self.rest }
    }
}

impl ExplanationLine {
    fn explanation(self, feature: u32, text: String) -> Explanation {
        let scores = self.scores.into_iter().filter(|score| score.value.is_finite());
        Explanation {
            feature,
            text,
            author: self.explanation_model_name.or(self.author_id),
            method: self.type_name,
            date: self.created_at,
            scores: scores
                .map(|score| ExplanationScore {
                    test: score.explanation_score_type_name.unwrap_or_else(|| "score".to_owned()),
                    value: score.value,
                    judge: score.explanation_score_model_name,
                })
                .collect(),
        }
    }
}

impl Subject {
    fn learn(&mut self, entry: &FeatureEntry) {
        let known = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        self.model = self.model.take().or_else(|| known(&entry.model_id));
        self.sae = self.sae.take().or_else(|| known(&entry.layer));
        self.hook = self.hook.take().or_else(|| known(&entry.hook_name));
        self.dataset = self.dataset.take().or_else(|| known(&entry.dataset));
        self.n_rows = self.n_rows.or(entry.n_prompts_total);
        self.seq_len = self.seq_len.or(entry.n_tokens_in_prompt);
    }
}

impl FeatureEntry {
    fn feature(self, tokens: &mut TokenTable) -> Result<Feature> {
        let feature = self.feature_index.context("a feature has no index")?;
        let n_active: Option<u64> = (!self.freq_hist_data_bar_heights.is_empty())
            .then(|| self.freq_hist_data_bar_heights.iter().sum());
        let density = self.frac_nonzero.filter(|share| (0.0..=1.0).contains(share));
        let n_corpus = self.n_prompts_total.zip(self.n_tokens_in_prompt);
        let n_corpus = n_corpus
            .map(|(rows, len)| u64::from(rows) * u64::from(len))
            .or_else(|| n_positions(n_active?, density?));
        let n_active = n_active.or_else(|| Some((density? * n_corpus? as f64).round() as u64));
        let acts_histogram = histogram(&self.freq_hist_data_bar_values, &self.freq_hist_data_bar_heights);
        let shown = self.activations.iter().flat_map(|a| &a.values).copied().chain(self.max_act_approx);
        let max = largest(shown, acts_histogram.as_ref());
        let mut table = |texts: &[String], values: &[f64]| -> Vec<TokenLogit> {
            let rows = texts.iter().zip(values);
            rows.map(|(text, logit)| TokenLogit { token_id: tokens.id(text), logit: *logit as f32 }).collect()
        };
        let has_logits = !self.pos_str.is_empty() || !self.neg_str.is_empty();
        let logits_table = has_logits.then(|| LogitsTable {
            top: table(&self.pos_str, &self.pos_values),
            bottom: table(&self.neg_str, &self.neg_values),
        });
        let groups = groups(self.activations, n_corpus, tokens);
        Ok(Feature {
            feature,
            stats: Stats { n_active, density, max: max as f32, min: 0.0, moments: None },
            quantiles: None,
            tables: FeatureTables {
                neuron_alignment: aligned(
                    &self.neuron_alignment_indices,
                    &self.neuron_alignment_values,
                    &self.neuron_alignment_l1,
                ),
                // Cosine similarities are called l1 there.
                correlated_neurons: correlated(
                    &self.correlated_neurons_indices,
                    &self.correlated_neurons_pearson,
                    &self.correlated_neurons_l1,
                ),
                correlated_features: correlated(
                    &self.correlated_features_indices,
                    &self.correlated_features_pearson,
                    &self.correlated_features_l1,
                ),
                correlated_b_features: None,
            },
            acts_histogram,
            logits_histogram: histogram(
                &self.logits_hist_data_bar_values,
                &self.logits_hist_data_bar_heights,
            ),
            logits_table,
            sequences: (!groups.is_empty()).then(|| sequences(groups)),
        })
    }
}

/// Examples by interval, the top ones first, then from the highest interval down.
fn groups(
    activations: Vec<Activation>,
    n_corpus: Option<u64>,
    tokens: &mut TokenTable,
) -> Vec<ImportedGroup> {
    // SAEDashboard counts positions in the row, which its windows begin inside of; others count in the window.
    let in_window = activations.iter().all(|a| a.qualifying_token_index.is_none_or(|i| i < a.tokens.len()));
    let mut groups: Vec<(f64, ImportedGroup)> = Vec::new();
    for activation in activations {
        let interval =
            activation.bin_min.zip(activation.bin_max).filter(|(min, max)| *min >= 0.0 && min < max);
        let kind = interval
            .map_or(GroupKind::Top, |(low, high)| GroupKind::Interval { low: low as f32, high: high as f32 });
        let order = interval.map_or(f64::INFINITY, |(_, high)| high);
        let share = activation.bin_contains.filter(|share| interval.is_some() && (0.0..=1.0).contains(share));
        let n_positions = share.zip(n_corpus).map(|(share, n)| (share * n as f64).round() as u64);
        let bold = match activation.qualifying_token_index {
            Some(i) if in_window => i,
            Some(_) => activation.tokens.len() / 2,
            None => activation.max_value_token_index.unwrap_or(0),
        };
        let texts = activation.tokens.iter().zip(activation.values.iter().chain(std::iter::repeat(&0.0)));
        let token = |(text, act): (&String, &f64)| ImportedToken {
            token_id: tokens.id(text),
            act: *act,
            ..ImportedToken::default()
        };
        let example = ImportedExample { tokens: texts.map(token).collect(), bold };
        match groups.iter_mut().find(|(_, group)| group.kind == kind) {
            Some((_, group)) => group.examples.push(example),
            None => groups.push((order, ImportedGroup { kind, n_positions, examples: vec![example] })),
        }
    }
    groups.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    groups.into_iter().map(|(_, group)| group).collect()
}
