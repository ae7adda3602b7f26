//! One synthetic feature: active on a few tokens, everywhere, or nowhere.

use std::collections::BTreeMap;

use shared::{
    decimals::{DECIMALS, Decimals, EFFECT_DECIMALS},
    feature::{AlignedNeuron, Correlated, Feature, FeatureTables, LogitsTable, Moments, Stats, TokenLogit},
    histogram::Histogram,
    quantiles::{Quantiles, grid},
    sequence::{Effects, Group, GroupKind, RowActs, Sequences},
};

use super::{Corpus, D_IN, Rng};

const BUFFER: usize = 5;
const N_TOP: usize = 20;
const N_INTERVALS: usize = 10;
const N_PER_INTERVAL: usize = 5;
const N_HOVER: u32 = 5;

/// Activations by position in the corpus (row · `seq_len` + position).
pub(super) type Acts = BTreeMap<usize, f32>;

/// Where and how strongly feature `f` is active.
pub(super) fn acts(f: u32, corpus: &Corpus, rng: &mut Rng) -> Acts {
    let mut acts = Acts::new();
    let scale = 0.5 + 6.0 * rng.unit() as f32;
    if f % 13 == 5 {
        return acts;
    }
    if f % 17 == 3 {
        for p in 0..corpus.token_ids.len() {
            if rng.unit() < 0.3 {
                acts.insert(p, scale * (0.01 + 0.3 * (rng.unit() * rng.unit()) as f32));
            }
        }
        return acts;
    }
    for strength in [1.0f32, 0.4, 0.25].iter().take(1 + rng.below(3)) {
        let anywhere = rng.below(corpus.token_ids.len());
        for &p in &corpus.positions_of[corpus.token_ids[anywhere] as usize] {
            let share = 0.15 + 0.85 * rng.unit() as f32;
            acts.insert(p, scale * strength * share);
            if rng.unit() < 0.3 && !(p + 1).is_multiple_of(corpus.seq_len) {
                acts.entry(p + 1).or_insert(scale * strength * share * 0.2);
            }
        }
    }
    acts
}

/// The feature's logit for every token.
pub(super) fn logits(d_vocab: usize, rng: &mut Rng) -> Vec<f32> {
    let mut logits: Vec<f32> = (0..d_vocab).map(|_| 0.3 * rng.normal() as f32).collect();
    for _ in 0..6 {
        let token = rng.below(d_vocab);
        logits[token] += 1.0 + 1.5 * rng.unit() as f32;
    }
    logits
}

/// All that the page of feature `f` shows.
pub(super) fn feature(f: u32, acts: &Acts, logits: &[f32], corpus: &Corpus, rng: &mut Rng) -> Feature {
    let values: Vec<f32> = acts.values().copied().collect();
    let stats = stats(&values, corpus.token_ids.len());
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    let entry = |&t: &usize| TokenLogit { token_id: t as u32, logit: logits[t] };
    Feature {
        feature: f,
        stats,
        quantiles: Some(quantiles(&values, corpus.token_ids.len())),
        tables: tables(corpus, rng),
        acts_histogram: Histogram::of(&values, 50),
        logits_histogram: Histogram::of(logits, 50),
        logits_table: Some(LogitsTable {
            top: order.iter().take(10).map(entry).collect(),
            bottom: order.iter().rev().take(10).map(entry).collect(),
        }),
        sequences: Some(sequences(acts, &stats, logits, corpus, rng)),
    }
}

fn stats(values: &[f32], n_positions: usize) -> Stats {
    if values.is_empty() {
        let moments = Some(Moments::default());
        return Stats { n_active: Some(0), density: Some(0.0), moments, ..Stats::default() };
    }
    let n = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let moment = |k: i32| values.iter().map(|v| (f64::from(*v) - mean).powi(k)).sum::<f64>() / n;
    let std = moment(2).sqrt();
    let over = |m: f64, k: i32| if std > 0.0 { m / std.powi(k) } else { 0.0 };
    Stats {
        n_active: Some(values.len() as u64),
        density: Some(n / n_positions as f64),
        max: values.iter().copied().fold(0.0, f32::max),
        min: 0.0,
        moments: Some(Moments {
            mean,
            std,
            skewness: over(moment(3), 3),
            kurtosis: if std > 0.0 { over(moment(4), 4) - 3.0 } else { 0.0 },
        }),
    }
}

fn quantiles(values: &[f32], n_positions: usize) -> Quantiles {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let n_zeros = n_positions - sorted.len();
    let at = |i: usize| i.checked_sub(n_zeros).map_or(0.0, |k| f64::from(sorted[k]));
    let value = |q: f64| {
        let x = q * (n_positions - 1) as f64;
        let (i, part) = (x.floor() as usize, x.fract());
        at(i) + part * (at((i + 1).min(n_positions - 1)) - at(i))
    };
    Quantiles::of(&grid().into_iter().map(value).collect::<Vec<_>>())
}

fn tables(corpus: &Corpus, rng: &mut Rng) -> FeatureTables {
    let mut correlated = |n: usize| {
        let mut strength = 1.0;
        let row = |_| {
            strength *= 0.4 + 0.6 * rng.unit() as f32;
            let index = rng.below(n) as u32;
            Correlated { index, pearson: strength, cosine: strength * 0.97 }
        };
        Some((0..3).map(row).collect())
    };
    let (correlated_neurons, correlated_features) = (correlated(D_IN), correlated(corpus.n_features));
    let correlated_b_features = correlated(4 * corpus.n_features);
    let mut value = 0.5;
    let neuron_alignment = Some(
        (0..3)
            .map(|_| {
                value *= 0.6 + 0.35 * rng.unit() as f32;
                AlignedNeuron { neuron: rng.below(D_IN) as u32, value, l1_share: value / 30.0 }
            })
            .collect(),
    );
    FeatureTables { neuron_alignment, correlated_neurons, correlated_features, correlated_b_features }
}

fn sequences(acts: &Acts, stats: &Stats, logits: &[f32], corpus: &Corpus, rng: &mut Rng) -> Sequences {
    let seq_len = corpus.seq_len;
    let mut candidates: Vec<(usize, f32)> = acts.iter().map(|(p, a)| (*p, *a)).collect();
    candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut chosen: Vec<usize> = candidates.iter().take(N_TOP).map(|c| c.0).collect();
    let n_positions = Some(acts.len() as u64);
    let mut groups = Vec::new();
    if !chosen.is_empty() {
        groups.push(Group { kind: GroupKind::Top, n_examples: chosen.len() as u32, n_positions });
    }
    if stats.max > 0.0 {
        for i in (0..N_INTERVALS).rev() {
            let low = stats.max * i as f32 / N_INTERVALS as f32;
            let high = stats.max * (i + 1) as f32 / N_INTERVALS as f32;
            let inside = |a: f32| a > low && a <= high;
            let pool: Vec<usize> = candidates.iter().filter(|c| inside(c.1)).map(|c| c.0).collect();
            let n_positions = Some(pool.len() as u64);
            let step = pool.len().div_ceil(N_PER_INTERVAL).max(1);
            let picked = pool.iter().step_by(step).copied();
            let before = chosen.len();
            chosen.extend(picked);
            let n_examples = (chosen.len() - before) as u32;
            groups.push(Group { kind: GroupKind::Interval { low, high }, n_examples, n_positions });
        }
    }
    let window = |p: &usize| {
        let (row, position) = (p - p % seq_len, p % seq_len);
        let ids = &corpus.token_ids[row..row + seq_len];
        &ids[position.saturating_sub(BUFFER)..(position + BUFFER + 1).min(seq_len)]
    };
    let token_ids: Vec<u32> = chosen.iter().flat_map(window).copied().collect();
    let mut sequences = Sequences {
        groups,
        positions: chosen.iter().map(|p| (p % seq_len) as u32).collect(),
        acts: Decimals::to_scale(chosen.iter().map(|p| f64::from(acts[p]))),
        buffer: Some((BUFFER as u32, BUFFER as u32)),
        token_ids,
        ..Sequences::default()
    };
    let distinct = sequences.distinct_token_ids();
    sequences.token_logits =
        Decimals::to_scale(distinct.iter().map(|t| f64::from(logits[*t as usize])).collect::<Vec<_>>());
    let in_window = |p: usize| {
        !(p + 1).is_multiple_of(seq_len) && chosen.iter().any(|c| p + BUFFER >= *c && p < c + BUFFER)
    };
    let mut rows: Vec<usize> = chosen.iter().map(|p| p / seq_len).collect();
    rows.sort_unstable();
    rows.dedup();
    sequences.rows = chosen.iter().map(|p| rows.partition_point(|row| *row < p / seq_len) as u32).collect();
    sequences.row_acts = row_acts(&rows, seq_len, acts, in_window, logits.len(), rng);
    sequences
}

/// The activations on `rows` of `row_len` tokens, with an effect wherever `has_effect`.
pub(super) fn row_acts(
    rows: &[usize],
    row_len: usize,
    acts: &Acts,
    has_effect: impl Fn(usize) -> bool,
    d_vocab: usize,
    rng: &mut Rng,
) -> RowActs {
    let (mut active, mut values, mut at) = (vec![], vec![], vec![]);
    let (mut loss, mut change, mut lists) = (vec![], vec![], vec![]);
    for (i, &row) in rows.iter().enumerate() {
        for (&p, &act) in acts.range(row * row_len..(row + 1) * row_len) {
            if has_effect(p) {
                at.push(values.len() as u32);
                let effect = 0.05 * f64::from(act) * (rng.normal() - 0.7);
                loss.push(effect);
                change.push((-effect * 0.4).clamp(-0.9, 0.9));
                lists.push((0..2 * N_HOVER).map(|_| rng.below(d_vocab) as u32).collect::<Vec<_>>());
            }
            values.push(f64::from(act));
            active.push((i * row_len + p % row_len) as u32);
        }
    }
    let mut hover_tokens: Vec<u32> = lists.iter().flatten().copied().collect();
    hover_tokens.sort_unstable();
    hover_tokens.dedup();
    let n = N_HOVER as usize;
    let key = |t: &u32| hover_tokens.partition_point(|h| h < t) as u32;
    let by = |sign: f64| {
        let values = (0..lists.len() * n).map(|i| sign * 0.4 / (1 + i % n) as f64);
        Decimals::rounded(values, DECIMALS).stepwise(n)
    };
    RowActs {
        rows: rows.iter().map(|row| *row as u32).collect::<Vec<_>>().into(),
        row_len: row_len as u32,
        row_lens: Vec::new(),
        active: active.into(),
        acts: Decimals::to_scale(values),
        effects: Effects {
            at: at.into(),
            loss: Decimals::rounded(loss, EFFECT_DECIMALS),
            prob_change: Decimals::rounded(change, EFFECT_DECIMALS),
            n_hover: N_HOVER,
            boosted: lists.iter().flat_map(|l| l[..n].iter().map(key)).collect(),
            boosted_by: by(1.0),
            suppressed: lists.iter().flat_map(|l| l[n..].iter().map(key)).collect(),
            suppressed_by: by(-1.0),
            hover_tokens,
        },
    }
}
