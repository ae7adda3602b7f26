//! Prompt-centric data: which features matter at each position of a given text.

use anyhow::{Context, Result, bail, ensure};
use shared::{
    decimals::Decimals,
    layout::SequencesOptions,
    prompt::{Metric, MetricScores, Prompt, PromptFeature, Score},
    quantiles::Quantiles,
};
use tch::Tensor;

use crate::{
    backend::MemoryBudget,
    corpus::{Rows, Tokenizer},
    effects::{self, Backend, Directions},
    examples::{ExampleRows, ExampleWindows, Window},
    model::ModelConfig,
    pass::{Pass, Subject},
};

/// Features kept for each metric and position: what sae_vis shows.
const N_BEST: usize = 10;
/// Decimals of activations and loss effects, as sae_vis prints them.
const DECIMALS: u8 = 3;

/// What a prompt is computed of and for.
#[derive(Debug, Clone, Copy)]
pub struct PromptSettings<'a> {
    /// The chosen features, ascending.
    pub features: &'a [u32],
    /// Whether effects are computed.
    pub effects: bool,
    /// What is shown of tokens; `None` for the least.
    pub sequences: Option<SequencesOptions>,
    /// Which SAE of the subject has the features, tap after tap.
    pub sae_number: usize,
}

/// Tokenizes prompts, before any long work: refuses one that is empty, longer than the model's context, or that holds a
/// token which the model lacks.
///
/// - `bos`: token that begins every row, if any
pub fn tokenize(
    texts: &[String],
    config: &ModelConfig,
    bos: Option<u32>,
    tokenizer: Option<&Tokenizer>,
) -> Result<Vec<Vec<u32>>> {
    let (n_ctx, d_vocab) = (config.n_ctx as usize, config.d_vocab as usize);
    let encode = |text: &String| -> Result<Vec<u32>> {
        let tokenizer = tokenizer.context("prompts need a tokenizer: put tokenizer.json beside the model")?;
        let ids = tokenizer.encode(text)?;
        ensure!(!ids.is_empty(), "the prompt is empty: it needs a token");
        // A prompt may be written with its beginning-of-sequence token.
        let bos = bos.filter(|bos| ids.first() != Some(bos));
        let ids: Vec<u32> = bos.into_iter().chain(ids).collect();
        let shown = || beginning(text);
        ensure!(
            ids.len() <= n_ctx,
            "the prompt {} has {} tokens, the model's context is {n_ctx}",
            shown(),
            ids.len()
        );
        if let Some(id) = ids.iter().find(|id| **id as usize >= d_vocab) {
            let token = tokenizer.token(*id).unwrap_or_default();
            bail!(
                "the prompt {} holds the token {token:?} with id {id}, the model has ids 0 to {}: is this another model's tokenizer?",
                shown(),
                d_vocab - 1
            );
        }
        Ok(ids)
    };
    texts.iter().map(encode).collect()
}

/// The beginning of a prompt, quoted, to name it by.
fn beginning(text: &str) -> String {
    const SHOWN: usize = 40;
    let begun: String = text.chars().take(SHOWN).collect();
    if begun.len() < text.len() { format!("{begun:?}…") } else { format!("{begun:?}") }
}

/// Computes one prompt.
///
/// - `directions`: of the chosen features in the residual stream, `[n, d_model]`
/// - `quantiles`: of a chosen feature's activations in the corpus, by its index, at all points of the grid
pub fn compute(
    (text, token_ids): (&str, &[u32]),
    settings: PromptSettings<'_>,
    subject: &Subject,
    directions: &Tensor,
    mut quantiles: impl FnMut(usize) -> Result<Vec<f64>>,
) -> Result<Prompt> {
    let rows = Rows::from_array(token_ids.to_vec(), token_ids.len(), None);
    let unlimited = MemoryBudget::unlimited(); // a prompt is short
    let pass = Pass { resid: settings.effects, neuron_sums: false, ..Pass::whole(&rows, 1) };
    let output = pass.run(subject, &unlimited, |_| ())?;
    let shown = output.taps.iter().flatten().nth(settings.sae_number).context("no SAE is loaded")?;
    let n_features = settings.features.len();
    let by_feature = shown.acts.features(0..n_features)?;
    let active: Vec<usize> = (0..n_features).filter(|&i| !by_feature.of(i).0.is_empty()).collect();

    let options = SequencesOptions { compute_buffer: true, ..settings.sequences.unwrap_or_default() };
    let window = Window { row: 0, position: 0, start: 0, end: token_ids.len() as u32 };
    let whole = ExampleWindows { windows: vec![window], ..ExampleWindows::default() };
    let mut ablations = Vec::new();
    let mut example_rows = Vec::with_capacity(active.len());
    for (k, &i) in active.iter().enumerate() {
        example_rows.push(ExampleRows::new(
            k as u32,
            by_feature.of(i),
            &whole,
            &options,
            &rows,
            settings.effects,
            &mut ablations,
        ));
    }
    let index =
        Tensor::f_from_slice(&active.iter().map(|i| *i as i64).collect::<Vec<_>>())?.f_to(subject.device)?;
    let head = subject.model.head();
    let directions = Directions::new(
        Backend::of(head.device()),
        head,
        &directions.f_index_select(0, &index)?,
        0..active.len(),
    )?;
    let n_hover = options.top_logits_hoverdata;
    let effects = effects::ablate(head, &output.resid, &directions, &ablations, n_hover as usize, |_| ())?;

    let mut ranked = Ranking::new(token_ids.len());
    let mut features = Vec::with_capacity(active.len());
    for (k, &i) in active.iter().enumerate() {
        let feature = settings.features[i];
        let (positions, acts) = by_feature.of(i);
        let quantiles = quantiles(i)?;
        for (&position, &act) in positions.iter().zip(acts) {
            ranked.push(Metric::ActSize, position, feature, f64::from(act), DECIMALS);
            let (quantile, precision) = Quantiles::locate(&quantiles, f64::from(act.abs()));
            ranked.push(Metric::ActQuantile, position, feature, quantile, precision);
        }
        for (position, loss) in example_rows[k].losses(&effects) {
            ranked.push(Metric::LossEffect, position + 1, feature, f64::from(loss), DECIMALS);
        }
        let logits = directions.feature_logits(k);
        features.push(PromptFeature {
            feature,
            acts: example_rows[k].columns(&effects, n_hover),
            token_logits: Decimals::to_scale(token_ids.iter().map(|t| f64::from(logits[*t as usize]))),
        });
    }
    let (text, token_ids) = (text.to_owned(), token_ids.to_vec());
    Ok(Prompt { text, token_ids, scores: ranked.best(), newer_metrics: Vec::new(), features })
}

/// All scores by metric and position.
struct Ranking {
    scores: Vec<MetricScores>,
}

impl Ranking {
    fn new(n_positions: usize) -> Self {
        let empty = |metric| MetricScores { metric, positions: vec![Vec::new(); n_positions] };
        Self { scores: Metric::ALL.map(empty).to_vec() }
    }

    fn push(&mut self, metric: Metric, position: u32, feature: u32, value: f64, precision: u8) {
        let scores = self.scores.iter_mut().find(|s| s.metric == metric);
        if let Some(scores) = scores.and_then(|s| s.positions.get_mut(position as usize)) {
            scores.push(Score { feature, value, precision });
        }
    }

    /// The best of each, best first; features with equal scores in their order.
    fn best(mut self) -> Vec<MetricScores> {
        for MetricScores { metric, positions } in &mut self.scores {
            let worse = |a: &Score, b: &Score| match metric {
                Metric::ActSize | Metric::ActQuantile => b.value.abs().total_cmp(&a.value.abs()),
                Metric::LossEffect => a.value.total_cmp(&b.value),
            };
            for scores in positions {
                scores.sort_by(worse);
                scores.truncate(N_BEST);
            }
        }
        self.scores
    }
}
