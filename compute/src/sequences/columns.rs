//! Turns chosen windows and computed effects into the bundle's columns.

use shared::{
    decimals::Decimals,
    layout::SequencesOptions,
    sequence::{Effects, RowActs, Sequences},
};

use super::{
    choose::Chosen,
    effects::{Job, Outcomes},
};
use crate::corpus::Rows;

/// Decimals of loss effects and probability changes: both print at most four.
const EFFECT_DIGITS: i8 = 5;
/// Decimals of changes of log-probability in hover lists: they print three.
const HOVER_DIGITS: i8 = 4;

/// One feature's activations on the rows of its examples, and the jobs that compute its effects.
#[derive(Debug)]
pub struct Placed {
    rows: Vec<u32>,
    n_active: Vec<u32>,
    positions: Vec<u32>,
    acts: Vec<f32>,
    /// Entries of `positions` with an effect.
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
        n_active: Vec::new(),
        positions: Vec::new(),
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
        placed.rows.push(row);
        placed.n_active.push((end - start) as u32);
        for i in start..end {
            let position = positions[i] - row * seq_len;
            if effects && position + 1 < seq_len && shown(position + 1) {
                placed.at.push(placed.positions.len() as u32);
                let token_id = rows.row(row as usize)[position as usize + 1];
                jobs.push(Job { position: positions[i], feature, act: acts[i], token_id });
            }
            placed.positions.push(position);
            placed.acts.push(acts[i]);
        }
    }
    placed
}

impl Placed {
    /// Positions whose ablation was computed, and its effect on the loss of the token after each.
    pub fn losses<'a>(&'a self, outcomes: &'a Outcomes) -> impl Iterator<Item = (u32, f32)> + 'a {
        let loss = |(i, e): (usize, &u32)| (self.positions[*e as usize], outcomes.of(self.first_job + i).loss);
        self.at.iter().enumerate().map(loss)
    }
}

/// Columns of activations and effects.
pub fn row_acts(placed: &Placed, outcomes: &Outcomes, n_hover: u32) -> RowActs {
    let all = || (0..placed.at.len()).map(|i| outcomes.of(placed.first_job + i));
    let mut hover_tokens: Vec<u32> =
        all().flat_map(|o| o.boosted.iter().chain(o.suppressed)).map(|entry| entry.0).collect();
    hover_tokens.sort_unstable();
    hover_tokens.dedup();
    let key = |entry: &(u32, f32)| hover_tokens.partition_point(|t| *t < entry.0) as u32;
    let by = |entry: &(u32, f32)| f64::from(entry.1);
    let effects = Effects {
        at: placed.at.clone(),
        loss: Decimals::cut(all().map(|o| f64::from(o.loss)), EFFECT_DIGITS),
        prob_change: Decimals::cut(all().map(|o| f64::from(o.prob_change)), EFFECT_DIGITS),
        n_hover,
        boosted: all().flat_map(|o| o.boosted).map(key).collect(),
        boosted_by: Decimals::cut(all().flat_map(|o| o.boosted).map(by), HOVER_DIGITS),
        suppressed: all().flat_map(|o| o.suppressed).map(key).collect(),
        suppressed_by: Decimals::cut(all().flat_map(|o| o.suppressed).map(by), HOVER_DIGITS),
        hover_tokens,
    };
    RowActs {
        rows: placed.rows.clone(),
        n_active: placed.n_active.clone(),
        positions: placed.positions.clone(),
        acts: Decimals::cut_to_scale(placed.acts.iter().map(|a| f64::from(*a))),
        effects,
    }
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
    let mut sequences = Sequences {
        rows: chosen.windows.iter().map(|w| w.row).collect(),
        positions: chosen.windows.iter().map(|w| w.position).collect(),
        starts: chosen.windows.iter().map(|w| w.start).collect(),
        window_len: chosen.window_len,
        token_ids: chosen.windows.iter().flat_map(window).collect(),
        token_logits: Decimals::default(),
        groups: chosen.groups,
        acts,
    };
    let distinct = sequences.distinct_token_ids();
    let values = distinct.iter().map(|t| f64::from(logits[*t as usize]));
    sequences.token_logits = Decimals::cut_to_scale(values);
    sequences
}
