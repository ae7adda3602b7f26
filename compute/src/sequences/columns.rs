//! Turns chosen windows and computed effects into the bundle's columns.

use std::collections::BTreeMap;

use shared::{
    decimals::{DECIMALS, Decimals, EFFECT_DECIMALS},
    layout::SequencesOptions,
    sequence::{Effects, RowActs, Sequences},
};

use super::{
    choose::Chosen,
    effects::{Job, Outcomes},
};
use crate::corpus::Rows;

/// One feature's activations on the rows of its examples, and the jobs that compute its effects.
#[derive(Debug)]
pub struct Placed {
    rows: Vec<u32>,
    row_len: u32,
    /// As in [`RowActs`].
    places: Vec<u32>,
    acts: Vec<f32>,
    /// Entries of `places` with an effect.
    at: Vec<u32>,
    /// Job of the first of them; the others follow.
    first_job: usize,
}

/// Finds a feature's activations on all rows of `chosen`, and appends a job for each effect that is shown.
///
/// - `feature`: its index in the jobs' directions
/// - `positions`, `acts`: where it is active in `rows`, ascending, and how much
/// - `effects`: whether effects are wanted at all
pub fn place(
    feature: u32,
    (positions, acts): (&[u32], &[f32]),
    chosen: &Chosen,
    options: &SequencesOptions,
    rows: &Rows,
    effects: bool,
    jobs: &mut Vec<Job>,
) -> Placed {
    let seq_len = rows.seq_len() as u32;
    let mut windows = chosen.windows.clone();
    windows.sort_by_key(|w| w.row);
    let mut placed = Placed {
        rows: Vec::new(),
        row_len: seq_len,
        places: Vec::new(),
        acts: Vec::new(),
        at: Vec::new(),
        first_job: jobs.len(),
    };
    for windows in windows.chunk_by(|a, b| a.row == b.row) {
        let row = windows[0].row;
        let shown = |position: u32| {
            windows.iter().any(|w| {
                let inside = (w.start..w.start + chosen.window_len).contains(&position);
                inside && (options.compute_buffer || position == w.position + 1)
            })
        };
        let start = positions.partition_point(|&p| p < row * seq_len);
        let end = positions.partition_point(|&p| p < (row + 1) * seq_len);
        let first_place = placed.rows.len() as u32 * seq_len;
        placed.rows.push(row);
        for i in start..end {
            let position = positions[i] - row * seq_len;
            if effects && position + 1 < seq_len && shown(position + 1) {
                placed.at.push(placed.places.len() as u32);
                let token_id = rows.row(row as usize)[position as usize + 1];
                jobs.push(Job { position: positions[i], feature, act: acts[i], token_id });
            }
            placed.places.push(first_place + position);
            placed.acts.push(acts[i]);
        }
    }
    placed
}

impl Placed {
    /// Positions whose ablation was computed, and its effect on the loss of the token after each.
    pub fn losses<'a>(&'a self, outcomes: &'a Outcomes) -> impl Iterator<Item = (u32, f32)> + 'a {
        let position = |e: u32| self.places[e as usize] % self.row_len;
        let loss = move |(i, e): (usize, &u32)| (position(*e), outcomes.of(self.first_job + i).loss);
        self.at.iter().enumerate().map(loss)
    }
}

/// Columns of activations and effects.
pub fn row_acts(placed: &Placed, outcomes: &Outcomes, n_hover: u32) -> RowActs {
    let all = || (0..placed.at.len()).map(|i| outcomes.of(placed.first_job + i));
    let (boosted, suppressed) = (|| all().flat_map(|o| o.boosted), || all().flat_map(|o| o.suppressed));
    let hover_tokens = by_frequency(boosted().chain(suppressed()).map(|entry| entry.0));
    let keys: BTreeMap<u32, u32> = hover_tokens.iter().zip(0..).map(|(token, key)| (*token, key)).collect();
    let key = |entry: &(u32, f32)| keys[&entry.0];
    let by = |entry: &(u32, f32)| f64::from(entry.1);
    let lists = |by: Vec<f64>| Decimals::rounded(by, DECIMALS).stepwise(n_hover as usize);
    let effects = Effects {
        at: placed.at.clone().into(),
        loss: Decimals::rounded(all().map(|o| f64::from(o.loss)), EFFECT_DECIMALS),
        prob_change: Decimals::rounded(all().map(|o| f64::from(o.prob_change)), EFFECT_DECIMALS),
        n_hover,
        boosted: boosted().map(key).collect(),
        boosted_by: lists(boosted().map(by).collect()),
        suppressed: suppressed().map(key).collect(),
        suppressed_by: lists(suppressed().map(by).collect()),
        hover_tokens,
    };
    RowActs {
        rows: placed.rows.clone().into(),
        row_len: placed.row_len,
        places: placed.places.clone().into(),
        acts: Decimals::to_scale(placed.acts.iter().map(|a| f64::from(*a))),
        effects,
    }
}

/// The distinct tokens, the most frequent first: the smallest numbers then point to them.
fn by_frequency(tokens: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    tokens.for_each(|token| *counts.entry(token).or_default() += 1);
    let mut tokens: Vec<(u32, usize)> = counts.into_iter().collect();
    tokens.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    tokens.into_iter().map(|(token, _)| token).collect()
}

/// The sequences of one feature.
///
/// - `logits`: the feature's logits over the vocabulary
pub fn sequences(chosen: Chosen, acts: RowActs, logits: &[f32], rows: &Rows) -> Sequences {
    let len = chosen.window_len as usize;
    let window = |w: &super::Window| {
        let start = w.start as usize;
        rows.row(w.row as usize)[start..start + len].to_vec()
    };
    let row = |w: &super::Window| acts.rows.partition_point(|row| *row < w.row) as u32;
    let mut sequences = Sequences {
        rows: chosen.windows.iter().map(row).collect(),
        positions: chosen.windows.iter().map(|w| w.position).collect(),
        before: chosen.before,
        window_len: chosen.window_len,
        token_ids: chosen.windows.iter().flat_map(window).collect(),
        token_logits: Decimals::default(),
        groups: chosen.groups,
        acts,
    };
    let distinct = sequences.distinct_token_ids();
    let values = distinct.iter().map(|t| f64::from(logits[*t as usize]));
    sequences.token_logits = Decimals::to_scale(values);
    sequences
}
