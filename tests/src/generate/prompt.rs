//! Synthetic prompts: lines of the corpus, with the features that are active on their tokens.

use shared::{
    decimals::{DECIMALS, Decimals},
    prompt::{Metric, MetricScores, Prompt, PromptFeature, Score},
    quantiles::Quantiles,
    sequence::TokenView,
    vocab::Vocab,
};

use super::{
    Rng,
    feature::{Acts, row_acts},
};

const N_BEST: usize = 10;

/// What a prompt needs of a feature.
pub(super) struct FeatureFacts {
    /// The feature.
    pub feature: u32,
    /// Tokens that it is active on, with its activation on one of them.
    pub triggers: Vec<(u32, f32)>,
    /// Its quantile table.
    pub quantiles: Vec<f64>,
    /// Its logits.
    pub logits: Vec<f32>,
}

/// A prompt of `token_ids`.
pub(super) fn prompt(token_ids: &[u32], vocab: &Vocab, known: &[FeatureFacts], rng: &mut Rng) -> Prompt {
    let bytes: Vec<u8> = token_ids.iter().flat_map(|t| vocab.bytes_of(*t)).copied().collect();
    let mut features = Vec::new();
    for k in known {
        let acts: Acts = token_ids
            .iter()
            .enumerate()
            .filter_map(|(p, t)| k.triggers.iter().find(|(trigger, _)| trigger == t).map(|(_, a)| (p, *a)))
            .collect();
        if !acts.is_empty() {
            let acts =
                row_acts(&[0], token_ids.len(), &acts, |p| p + 1 < token_ids.len(), k.logits.len(), rng);
            let token_logits =
                Decimals::rounded(token_ids.iter().map(|t| f64::from(k.logits[*t as usize])), DECIMALS);
            features.push(PromptFeature { feature: k.feature, acts, token_logits });
        }
    }
    let mut prompt = Prompt {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        token_ids: token_ids.to_vec(),
        features,
        ..Prompt::default()
    };
    prompt.scores = Metric::ALL.into_iter().map(|m| scores(m, &prompt, known)).collect();
    prompt
}

fn scores(metric: Metric, prompt: &Prompt, known: &[FeatureFacts]) -> MetricScores {
    let mut positions = vec![Vec::new(); prompt.token_ids.len()];
    for f in &prompt.features {
        let Some(k) = known.iter().find(|k| k.feature == f.feature) else { continue };
        for token in prompt.tokens(f.feature).unwrap_or_default() {
            if let Some((value, precision)) = score(metric, &token, &k.quantiles) {
                positions[token.position as usize].push(Score { feature: f.feature, value, precision });
            }
        }
    }
    for scores in &mut positions {
        let sign = if metric == Metric::LossEffect { 1.0 } else { -1.0 };
        scores.sort_by(|a: &Score, b| (sign * a.value).total_cmp(&(sign * b.value)));
        scores.truncate(N_BEST);
    }
    MetricScores { metric, positions }
}

fn score(metric: Metric, token: &TokenView, quantiles: &[f64]) -> Option<(f64, u8)> {
    match metric {
        Metric::ActSize => (token.act > 0.0).then_some((token.act, 3)),
        Metric::ActQuantile => (token.act > 0.0).then(|| Quantiles::locate(quantiles, token.act)),
        Metric::LossEffect => token.effect.as_ref().map(|e| (e.loss_effect, 3)),
    }
}
