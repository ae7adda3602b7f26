//! Chooses the windows: top activations, and random ones from equal intervals of activation.

use rand::{SeedableRng, seq::index::sample};
use rand_chacha::ChaCha8Rng;
use shared::{
    layout::SequencesOptions,
    sequence::{Group, GroupKind},
};

use crate::stats::top::largest;

/// A window of a corpus row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Corpus row.
    pub row: u32,
    /// Position of the bold token in the row.
    pub position: u32,
    /// First position shown.
    pub start: u32,
}

/// Groups and their windows, one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleWindows {
    /// Groups in the order shown; an interval without candidates is there, empty.
    pub groups: Vec<Group>,
    /// Windows of all groups in order.
    pub windows: Vec<Window>,
    /// Tokens of every window before the bold one; `None` where windows are whole rows.
    pub before: Option<u32>,
    /// Tokens of every window.
    pub window_len: u32,
}

/// Tokens of every window under `options`, in rows of `seq_len`.
pub fn window_len(options: &SequencesOptions, seq_len: usize) -> usize {
    options.buffer.map_or(seq_len, |(before, after)| (before + after + 1) as usize)
}

/// Chooses the windows of one feature from its active positions.
///
/// - `positions`, `acts`: where it is active in the corpus (row · `seq_len` + position), ascending, and how much
/// - `seed`: of the run; with `feature` it seeds the choice, so that neither batches nor shards change it
///
/// Candidates keep one token more than the buffer before them, as in sae_vis, so that the first token of a window
/// has its effect too. Random examples are shown in order of activation.
pub fn choose(
    (positions, acts): (&[u32], &[f32]),
    options: &SequencesOptions,
    seq_len: usize,
    n_positions: usize,
    (seed, feature): (u64, u32),
) -> ExampleWindows {
    let candidate = |p: u32| {
        let position = p as usize % seq_len;
        options
            .buffer
            .is_none_or(|(before, after)| position > before as usize && position + (after as usize) < seq_len)
    };
    let at: Vec<usize> = (0..positions.len()).filter(|&i| candidate(positions[i])).collect();
    let values: Vec<f32> = at.iter().map(|&i| acts[i]).collect();
    let top = largest(&values, options.top_acts_group_size as usize);
    let mut groups = vec![Group { kind: GroupKind::Top, n_examples: top.len() as u32 }];
    let mut picked = top;

    let max = acts.iter().copied().fold(0f32, f32::max);
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (u64::from(feature) << 32 | 0x5eed));
    for i in (0..options.n_quantiles).rev() {
        let edge =
            |k: u32| if k == options.n_quantiles { max } else { max * k as f32 / options.n_quantiles as f32 };
        let (low, high) = (edge(i), edge(i + 1));
        let inside = |a: f32| a > low && a <= high;
        let share = acts.iter().filter(|a| inside(**a)).count() as f64 / n_positions.max(1) as f64;
        let candidates: Vec<usize> = (0..values.len()).filter(|&k| inside(values[k])).collect();
        let n = candidates.len().min(options.quantile_group_size as usize);
        let mut drawn: Vec<usize> =
            sample(&mut rng, candidates.len(), n).into_iter().map(|k| candidates[k]).collect();
        drawn.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
        picked.extend(drawn);
        let kind = GroupKind::Interval { low, high, share };
        groups.push(Group { kind, n_examples: n as u32 });
    }
    let window = |k: usize| {
        let p = positions[at[k]] as usize;
        let position = (p % seq_len) as u32;
        let start = options.buffer.map_or(0, |(before, _)| position - before);
        Window { row: (p / seq_len) as u32, position, start }
    };
    ExampleWindows {
        groups,
        windows: picked.into_iter().map(window).collect(),
        before: options.buffer.map(|(before, _)| before),
        window_len: window_len(options, seq_len) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_example_lies_in_its_interval_and_in_its_row(
            active in prop::collection::btree_map(0u32..640, 0.001f32..9.0, 0..300), seed: u64,
        ) {
            let positions: Vec<u32> = active.keys().copied().collect();
            let acts: Vec<f32> = active.values().copied().collect();
            let options = SequencesOptions::default();
            let chosen = choose((&positions, &acts), &options, 32, 640, (seed, 3));
            prop_assert_eq!(chosen.groups.len(), 11);
            let act = |w: &Window| active[&(w.row * 32 + w.position)];
            let mut windows = chosen.windows.iter();
            let mut share_sum = 0.0;
            for group in &chosen.groups {
                let mut last = f32::INFINITY;
                let mut seen = std::collections::HashSet::new();
                for w in windows.by_ref().take(group.n_examples as usize) {
                    prop_assert!(w.start + 5 == w.position && w.start >= 1 && w.start + 11 <= 32);
                    prop_assert!(act(w) <= last && seen.insert((w.row, w.position)));
                    last = act(w);
                    if let GroupKind::Interval { low, high, .. } = group.kind {
                        prop_assert!(act(w) > low && act(w) <= high);
                    }
                }
                if let GroupKind::Interval { share, .. } = group.kind {
                    share_sum += share;
                }
            }
            prop_assert!(windows.next().is_none());
            prop_assert!((share_sum - active.len() as f64 / 640.0).abs() < 1e-9, "{share_sum}");
        }
    }

    #[test]
    fn whole_rows_have_no_buffer_to_keep_clear_of() {
        let options = SequencesOptions { buffer: None, ..SequencesOptions::default() };
        let chosen = choose((&[0, 31, 32], &[1.0, 2.0, 3.0]), &options, 32, 64, (0, 0));
        assert_eq!(chosen.window_len, 32);
        assert_eq!(chosen.windows[0], Window { row: 1, position: 0, start: 0 });
        assert_eq!(chosen.groups[0].n_examples, 3);
    }
}
