//! Chooses the windows: top activations, and random ones from equal intervals of activation.

use rand::{SeedableRng, seq::index::sample};
use rand_chacha::ChaCha8Rng;
use shared::{
    layout::{Edges, SequencesOptions},
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
    /// One past the last.
    pub end: u32,
}

/// Groups and their windows, one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleWindows {
    /// Groups in the order shown; an interval without candidates is there, empty.
    pub groups: Vec<Group>,
    /// Windows of all groups in order.
    pub windows: Vec<Window>,
    /// Tokens of a window before and after the bold one, fewer at a row's ends; `None` where windows are whole rows.
    pub buffer: Option<(u32, u32)>,
}

/// Chooses the windows of one feature from its active positions.
///
/// - `positions`, `acts`: where it is active in the corpus (row · `seq_len` + position), ascending, and how much
/// - `seed`: of the run; with `feature` it seeds the choice, so that neither batches nor shards change it
///
/// All positions are candidates, and windows are cut at the ends of their row; with [`Edges::Skip`] candidates keep one
/// token more than the buffer before them, as in sae_vis. Random examples are shown in order of activation.
pub fn choose(
    (positions, acts): (&[u32], &[f32]),
    options: &SequencesOptions,
    seq_len: usize,
    (seed, feature): (u64, u32),
) -> ExampleWindows {
    let candidate = |p: u32| {
        let position = p as usize % seq_len;
        let buffer = options.buffer.filter(|_| options.edges == Edges::Skip);
        buffer
            .is_none_or(|(before, after)| position > before as usize && position + (after as usize) < seq_len)
    };
    let at: Vec<usize> = (0..positions.len()).filter(|&i| candidate(positions[i])).collect();
    let values: Vec<f32> = at.iter().map(|&i| acts[i]).collect();
    let top = largest(&values, options.top_acts_group_size as usize);
    let n_positions = Some(acts.len() as u64);
    let mut groups = vec![Group { kind: GroupKind::Top, n_examples: top.len() as u32, n_positions }];
    let mut picked = top;

    let max = acts.iter().copied().fold(0f32, f32::max);
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (u64::from(feature) << 32 | 0x5eed));
    for i in (0..options.n_quantiles).rev() {
        let edge =
            |k: u32| if k == options.n_quantiles { max } else { max * k as f32 / options.n_quantiles as f32 };
        let (low, high) = (edge(i), edge(i + 1));
        let inside = |a: f32| a > low && a <= high;
        let n_positions = Some(acts.iter().filter(|a| inside(**a)).count() as u64);
        let candidates: Vec<usize> = (0..values.len()).filter(|&k| inside(values[k])).collect();
        let n = candidates.len().min(options.quantile_group_size as usize);
        let mut drawn: Vec<usize> =
            sample(&mut rng, candidates.len(), n).into_iter().map(|k| candidates[k]).collect();
        drawn.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
        picked.extend(drawn);
        let kind = GroupKind::Interval { low, high };
        groups.push(Group { kind, n_examples: n as u32, n_positions });
    }
    let window = |k: usize| {
        let p = positions[at[k]] as usize;
        let position = (p % seq_len) as u32;
        let len = seq_len as u32;
        let (start, end) = options.buffer.map_or((0, len), |(before, after)| {
            (position.saturating_sub(before), (position + after + 1).min(len))
        });
        Window { row: (p / seq_len) as u32, position, start, end }
    };
    ExampleWindows { groups, windows: picked.into_iter().map(window).collect(), buffer: options.buffer }
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
            let chosen = choose((&positions, &acts), &options, 32, (seed, 3));
            prop_assert_eq!(chosen.groups.len(), 11);
            let act = |w: &Window| active[&(w.row * 32 + w.position)];
            let mut windows = chosen.windows.iter();
            let mut n_inside = 0;
            for group in &chosen.groups {
                let mut last = f32::INFINITY;
                let mut seen = std::collections::HashSet::new();
                for w in windows.by_ref().take(group.n_examples as usize) {
                    prop_assert_eq!(w.start, w.position.saturating_sub(5));
                    prop_assert_eq!(w.end, (w.position + 6).min(32));
                    prop_assert!(act(w) <= last && seen.insert((w.row, w.position)));
                    last = act(w);
                    if let GroupKind::Interval { low, high, .. } = group.kind {
                        prop_assert!(act(w) > low && act(w) <= high);
                    }
                }
                if let GroupKind::Interval { .. } = group.kind {
                    n_inside += group.n_positions.unwrap();
                }
            }
            prop_assert!(windows.next().is_none());
            prop_assert_eq!(n_inside, active.len() as u64);
        }
    }

    #[test]
    fn whole_rows_have_no_buffer_to_keep_clear_of() {
        let options = SequencesOptions { buffer: None, ..SequencesOptions::default() };
        let chosen = choose((&[0, 31, 32], &[1.0, 2.0, 3.0]), &options, 32, (0, 0));
        assert_eq!(chosen.buffer, None);
        assert_eq!(chosen.windows[0], Window { row: 1, position: 0, start: 0, end: 32 });
        assert_eq!(chosen.groups[0].n_examples, 3);
    }
}
