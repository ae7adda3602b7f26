//! Turns chosen windows and computed effects into the bundle's columns.

use std::collections::BTreeMap;

use shared::{
    decimals::{DECIMALS, Decimals, EFFECT_DECIMALS},
    layout::SequencesOptions,
    sequence::{Effects, RowActs, Sequences},
};

use super::choose::{ExampleWindows, Window};
use crate::{
    corpus::Rows,
    effects::{Ablation, Effects as Ablated},
};

/// One feature's activations on the rows of its examples, and the ablations that compute its effects there.
#[derive(Debug)]
pub struct ExampleRows {
    rows: Vec<u32>,
    row_len: u32,
    /// As in [`RowActs::active`].
    slots: Vec<u32>,
    acts: Vec<f32>,
    /// Entries of `slots` with an effect.
    at: Vec<u32>,
    /// Ablation of the first of them; the others follow.
    first_ablation: usize,
}

impl ExampleRows {
    /// Finds a feature's activations on all rows of `windows`, and appends an ablation for each effect that is shown.
    ///
    /// - `feature`: its index in the ablations' directions
    /// - `positions`, `acts`: where it is active in `rows`, ascending, and how much
    /// - `effects`: whether effects are wanted at all
    pub fn new(
        feature: u32,
        (positions, acts): (&[u32], &[f32]),
        examples: &ExampleWindows,
        options: &SequencesOptions,
        rows: &Rows,
        effects: bool,
        ablations: &mut Vec<Ablation>,
    ) -> Self {
        let seq_len = rows.seq_len() as u32;
        let mut windows = examples.windows.clone();
        windows.sort_by_key(|w| w.row);
        let mut found = Self {
            rows: Vec::new(),
            row_len: seq_len,
            slots: Vec::new(),
            acts: Vec::new(),
            at: Vec::new(),
            first_ablation: ablations.len(),
        };
        for windows in windows.chunk_by(|a, b| a.row == b.row) {
            let row = windows[0].row;
            let shown = |pos: u32| {
                windows.iter().any(|w| {
                    let inside = (w.start..w.end).contains(&pos);
                    inside && (options.compute_buffer || pos == w.position + 1)
                })
            };
            let start = positions.partition_point(|&p| p < row * seq_len);
            let end = positions.partition_point(|&p| p < (row + 1) * seq_len);
            let first_slot = found.rows.len() as u32 * seq_len;
            found.rows.push(row);
            for i in start..end {
                let pos = positions[i] - row * seq_len;
                if effects && pos + 1 < seq_len && shown(pos + 1) {
                    found.at.push(found.slots.len() as u32);
                    let token_id = rows.row(row as usize)[pos as usize + 1];
                    ablations.push(Ablation { position: positions[i], feature, act: acts[i], token_id });
                }
                found.slots.push(first_slot + pos);
                found.acts.push(acts[i]);
            }
        }
        found
    }

    /// The feature's activation at the bold token of every window.
    pub fn acts_of(&self, examples: &ExampleWindows) -> Vec<f64> {
        let act = |w: &Window| {
            let row = self.rows.partition_point(|row| *row < w.row) as u32;
            let slot = self.slots.binary_search(&(row * self.row_len + w.position)).ok();
            slot.map_or(0.0, |slot| f64::from(self.acts[slot]))
        };
        examples.windows.iter().map(act).collect()
    }

    /// Positions whose ablation was computed, and its effect on the loss of the token after each.
    pub fn losses<'a>(&'a self, effects: &'a Ablated) -> impl Iterator<Item = (u32, f32)> + 'a {
        let pos = |e: u32| self.slots[e as usize] % self.row_len;
        let loss = move |(i, e): (usize, &u32)| (pos(*e), effects.of(self.first_ablation + i).loss);
        self.at.iter().enumerate().map(loss)
    }

    /// Columns of activations and effects.
    pub fn columns(&self, effects: &Ablated, n_hover: u32) -> RowActs {
        let all = || (0..self.at.len()).map(|i| effects.of(self.first_ablation + i));
        let (boosted, suppressed) = (|| all().flat_map(|o| o.boosted), || all().flat_map(|o| o.suppressed));
        let hover_tokens = by_frequency(boosted().chain(suppressed()).map(|entry| entry.0));
        let keys: BTreeMap<u32, u32> =
            hover_tokens.iter().zip(0..).map(|(token, key)| (*token, key)).collect();
        let key = |entry: &(u32, f32)| keys[&entry.0];
        let by = |entry: &(u32, f32)| f64::from(entry.1);
        let lists = |by: Vec<f64>| Decimals::rounded(by, DECIMALS).stepwise(n_hover as usize);
        let effects = Effects {
            at: self.at.clone().into(),
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
            rows: self.rows.clone().into(),
            row_len: self.row_len,
            row_lens: Vec::new(),
            active: self.slots.clone().into(),
            acts: Decimals::to_scale(self.acts.iter().map(|a| f64::from(*a))),
            effects,
        }
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
/// - `own`: the activation at the bold token of every window
/// - `logits`: the feature's logits over the vocabulary; empty where they are not known
pub fn sequences(
    examples: ExampleWindows,
    own: Vec<f64>,
    row_acts: RowActs,
    logits: &[f32],
    rows: &Rows,
) -> Sequences {
    let window = |w: &Window| rows.row(w.row as usize)[w.start as usize..w.end as usize].to_vec();
    let row = |w: &Window| row_acts.rows.partition_point(|row| *row < w.row) as u32;
    let mut sequences = Sequences {
        rows: examples.windows.iter().map(row).collect(),
        positions: examples.windows.iter().map(|w| w.position).collect(),
        acts: Decimals::to_scale(own),
        counts: if examples.counts.iter().all(|count| *count == 1) { Vec::new() } else { examples.counts },
        buffer: examples.buffer,
        token_ids: examples.windows.iter().flat_map(window).collect(),
        token_logits: Decimals::default(),
        groups: examples.groups,
        row_acts,
    };
    if !logits.is_empty() {
        let distinct = sequences.distinct_token_ids();
        let values = distinct.iter().map(|t| f64::from(logits[*t as usize]));
        sequences.token_logits = Decimals::to_scale(values);
    }
    sequences
}
