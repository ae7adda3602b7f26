//! Chooses the windows: the strongest activations, random ones between bounds, and where the feature is not active.

use std::collections::BinaryHeap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::{
    layout::{Edges, Fold, SequencesOptions},
    sequence::{Group, GroupKind},
};

use super::{TokenPositions, fold::FoldedWindows};

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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExampleWindows {
    /// Groups in the order shown; an interval without candidates is there, empty. A dead feature has none.
    pub groups: Vec<Group>,
    /// Windows of all groups in order.
    pub windows: Vec<Window>,
    /// How many windows of its group's candidates each stands for, itself among them.
    pub counts: Vec<u32>,
    /// Tokens of a window before and after the bold one, fewer at a row's ends; `None` where windows are whole rows.
    pub buffer: Option<(u32, u32)>,
}

/// What examples are chosen from and how.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// How.
    pub options: &'a SequencesOptions,
    /// Tokens of the corpus, `[row, pos]`.
    pub token_ids: &'a [u32],
    /// Tokens in a row.
    pub seq_len: usize,
    /// Where each token stands, if a group of inactive positions is wanted.
    pub token_positions: Option<&'a TokenPositions>,
    /// Of the run; with the feature it seeds the choice, so that neither batches nor shards change it.
    pub seed: u64,
}

/// An active position in order of activation, the strongest greatest; of equals the first.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    act: f32,
    corpus_pos: u32,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.act.total_cmp(&other.act).then(other.corpus_pos.cmp(&self.corpus_pos))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

/// Chooses the windows of `feature` from its active positions.
///
/// - `positions`, `acts`: where it is active in the corpus (row · `seq_len` + position), ascending, and how much
///
/// All positions are candidates, and windows are cut at the ends of their row; with [`Edges::Skip`] candidates keep one
/// token more than the buffer before them, as in sae_vis. Windows that are the same by [`Fold`] are one example, and the
/// next different ones fill the group. Random examples are shown in order of activation.
pub fn choose((positions, acts): (&[u32], &[f32]), feature: u32, choice: &Choice<'_>) -> ExampleWindows {
    let options = choice.options;
    let mut chosen = ExampleWindows { buffer: options.buffer, ..ExampleWindows::default() };
    if positions.is_empty() {
        return chosen;
    }
    let ranked = |(&corpus_pos, &act): (&u32, &f32)| Candidate { act, corpus_pos };
    let all: Vec<Candidate> = positions.iter().zip(acts).map(ranked).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(choice.seed ^ (u64::from(feature) << 32 | 0x5eed));

    let n_top = options.top_acts_group_size;
    let positive = all.iter().copied().filter(|r| r.act > 0.0);
    chosen.push(choice.extremes(GroupKind::Top, positive.collect(), n_top));
    let negated = |r: &Candidate| Candidate { act: -r.act, ..*r };
    let negative: Vec<Candidate> = all.iter().filter(|r| r.act < 0.0).map(negated).collect();
    if !negative.is_empty() {
        chosen.push(choice.extremes(GroupKind::Bottom, negative, n_top));
    }
    let (n_intervals, n_each) = (options.n_quantiles, options.quantile_group_size);
    let max = acts.iter().copied().fold(0f32, f32::max);
    for i in (0..n_intervals).rev() {
        let edge = |k: u32| if k == n_intervals { max } else { max * k as f32 / n_intervals as f32 };
        let (low, high) = (edge(i), edge(i + 1));
        let inside = all.iter().copied().filter(|r| r.act > low && r.act <= high);
        chosen.push(choice.sample(GroupKind::Interval { low, high }, inside.collect(), n_each, &mut rng));
    }
    for group in choice.quantiles(all, &mut rng) {
        chosen.push(group);
    }
    if let Some(token_positions) = choice.token_positions.filter(|_| options.inactive_group_size > 0) {
        chosen.push(choice.inactive(positions, token_positions, &mut rng));
    }
    chosen
}

impl ExampleWindows {
    fn push(&mut self, (kind, n_positions, folded): (GroupKind, usize, FoldedWindows<'_>)) {
        let (n_examples, n_positions) = (folded.windows.len() as u32, Some(n_positions as u64));
        self.groups.push(Group { kind, n_examples, n_positions });
        self.windows.extend(folded.windows);
        // What stands for nothing else was not counted.
        self.counts.extend(folded.counts.into_iter().map(|count| count.max(1)));
    }
}

/// A group: its kind, its positions, and its examples.
type WindowGroup<'a> = (GroupKind, usize, FoldedWindows<'a>);

impl<'a> Choice<'a> {
    /// Whether a window around `corpus_pos` may be shown.
    fn is_candidate(&self, corpus_pos: u32) -> bool {
        let pos = corpus_pos as usize % self.seq_len;
        let buffer = self.options.buffer.filter(|_| self.options.edges == Edges::Skip);
        buffer.is_none_or(|(before, after)| pos > before as usize && pos + (after as usize) < self.seq_len)
    }

    fn window(&self, corpus_pos: u32) -> Window {
        let len = self.seq_len as u32;
        let (row, position) = (corpus_pos / len, corpus_pos % len);
        let (start, end) = self.options.buffer.map_or((0, len), |(before, after)| {
            (position.saturating_sub(before), (position + after + 1).min(len))
        });
        Window { row, position, start, end }
    }

    fn nothing_folded(&self) -> FoldedWindows<'a> {
        FoldedWindows::new(self.options.fold, self.token_ids, self.seq_len)
    }

    /// The `n` examples with the largest activations of `all`, largest first.
    fn extremes(&self, kind: GroupKind, all: Vec<Candidate>, n: u32) -> WindowGroup<'a> {
        let n_positions = all.len();
        let candidates: Vec<Candidate> =
            all.into_iter().filter(|r| self.is_candidate(r.corpus_pos)).collect();
        let mut folded = self.nothing_folded();
        // A heap gives the largest one by one; few are asked for.
        let mut left = BinaryHeap::from(candidates.clone());
        while folded.windows.len() < n as usize
            && let Some(next) = left.pop()
        {
            folded.keep(self.window(next.corpus_pos));
        }
        self.count(&mut folded, &candidates);
        (kind, n_positions, folded)
    }

    /// `n` random examples of `all`, in order of activation.
    fn sample(&self, kind: GroupKind, all: Vec<Candidate>, n: u32, rng: &mut ChaCha8Rng) -> WindowGroup<'a> {
        let n_positions = all.len();
        let mut candidates: Vec<Candidate> =
            all.into_iter().filter(|r| self.is_candidate(r.corpus_pos)).collect();
        let mut drawn = self.nothing_folded();
        let mut acts = Vec::new();
        for i in 0..candidates.len() {
            if drawn.windows.len() == n as usize {
                break;
            }
            let at = rng.random_range(i..candidates.len());
            candidates.swap(i, at);
            drawn.keep(self.window(candidates[i].corpus_pos));
            if drawn.windows.len() > acts.len() {
                acts.push(candidates[i]);
            }
        }
        acts.sort_unstable_by_key(|ranked| std::cmp::Reverse(*ranked));
        let mut folded = self.nothing_folded();
        for ranked in acts {
            folded.keep(self.window(ranked.corpus_pos));
        }
        self.count(&mut folded, &candidates);
        (kind, n_positions, folded)
    }

    /// Groups of equally many active positions, the strongest first.
    fn quantiles(&self, mut all: Vec<Candidate>, rng: &mut ChaCha8Rng) -> Vec<WindowGroup<'a>> {
        let (n_groups, n_each) = (self.options.n_true_quantiles as usize, self.options.quantile_group_size);
        if n_groups > 0 {
            all.sort_unstable();
        }
        let edge = |k: usize| k * all.len() / n_groups.max(1);
        let group = |k: usize| {
            let inside = all[edge(k)..edge(k + 1)].to_vec();
            let (low, high) = (inside.first()?.act, inside.last()?.act);
            let share = |k: usize| k as f32 / n_groups as f32;
            Some((GroupKind::Quantile { from: share(k), to: share(k + 1), low, high }, inside))
        };
        let groups = (0..n_groups).rev().filter_map(group);
        groups.map(|(kind, inside)| self.sample(kind, inside, n_each, rng)).collect()
    }

    /// Random positions of the token at which the feature is most often active where it is not.
    ///
    /// - `active`: ascending
    fn inactive(
        &self,
        active: &[u32],
        token_positions: &TokenPositions,
        rng: &mut ChaCha8Rng,
    ) -> WindowGroup<'a> {
        let mut tokens: Vec<u32> = active.iter().map(|&p| self.token_ids[p as usize]).collect();
        tokens.sort_unstable();
        let runs = tokens.chunk_by(|a, b| a == b);
        let commonest = runs.max_by_key(|run| (run.len(), std::cmp::Reverse(run[0])));
        let token_id = commonest.map_or(0, |run| run[0]);
        let others = token_positions.of(token_id).iter().filter(|p| active.binary_search(p).is_err());
        let others: Vec<Candidate> = others.map(|&corpus_pos| Candidate { act: 0.0, corpus_pos }).collect();
        self.sample(GroupKind::Inactive { token_id }, others, self.options.inactive_group_size, rng)
    }

    /// Counts to each example the candidates that are the same.
    fn count(&self, folded: &mut FoldedWindows<'a>, candidates: &[Candidate]) {
        if self.options.fold != Fold::None && !folded.windows.is_empty() {
            for candidate in candidates {
                folded.count(&self.window(candidate.corpus_pos));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEQ_LEN: usize = 16;
    const N_ROWS: usize = 8;

    /// Text of few tokens, so that windows repeat, and where a feature is active on it.
    fn corpus() -> impl Strategy<Value = (Vec<u32>, Vec<(u32, f32)>)> {
        let n = SEQ_LEN * N_ROWS;
        let acts = prop_oneof![3 => Just(0.0f32), 1 => 0.001f32..9.0, 1 => Just(2.5f32)];
        (prop::collection::vec(0u32..3, n), prop::collection::vec(acts, n)).prop_map(|(token_ids, acts)| {
            let active = (0u32..).zip(acts).filter(|(_, act)| *act > 0.0).collect();
            (token_ids, active)
        })
    }

    fn options() -> impl Strategy<Value = SequencesOptions> {
        let fold = prop_oneof![Just(Fold::Exact), Just(Fold::Near), Just(Fold::None)];
        let buffer = prop_oneof![3 => Just(Some((2, 1))), 1 => Just(None)];
        (fold, any::<bool>(), buffer, 0u32..4, 0u32..4).prop_map(
            |(fold, cut, buffer, intervals, quantiles)| SequencesOptions {
                buffer,
                fold,
                edges: if cut { Edges::Cut } else { Edges::Skip },
                n_quantiles: intervals,
                n_true_quantiles: quantiles,
                top_acts_group_size: 4,
                quantile_group_size: 3,
                inactive_group_size: 2,
                ..SequencesOptions::default()
            },
        )
    }

    fn chosen(
        token_ids: &[u32],
        active: &[(u32, f32)],
        options: &SequencesOptions,
        seed: u64,
    ) -> ExampleWindows {
        let (positions, acts): (Vec<u32>, Vec<f32>) = active.iter().copied().unzip();
        let token_positions = TokenPositions::new(token_ids, 3);
        let choice =
            Choice { options, token_ids, seq_len: SEQ_LEN, token_positions: Some(&token_positions), seed };
        choose((&positions, &acts), 3, &choice)
    }

    fn corpus_pos(w: &Window) -> u32 {
        w.row * SEQ_LEN as u32 + w.position
    }

    /// Windows of each group, with their counts.
    fn by_group(chosen: &ExampleWindows) -> Vec<(&Group, &[Window], &[u32])> {
        let mut at = 0;
        let group = |group| {
            let examples = at..at + usize::try_from(Group::clone(group).n_examples).unwrap();
            at = examples.end;
            (group, &chosen.windows[examples.clone()], &chosen.counts[examples])
        };
        chosen.groups.iter().map(group).collect()
    }

    proptest! {
        #[test]
        fn every_example_belongs_to_its_group(
            (token_ids, active) in corpus(), options in options(), seed: u64,
        ) {
            let act = |p: u32| active.iter().find(|(q, _)| *q == p).map_or(0.0, |(_, act)| *act);
            let chosen = chosen(&token_ids, &active, &options, seed);
            prop_assert_eq!(chosen.windows.len(), chosen.counts.len());
            let mut n_in_intervals = 0;
            let mut n_in_quantiles = 0;
            for (group, windows, _) in by_group(&chosen) {
                let acts: Vec<f32> = windows.iter().map(|w| act(corpus_pos(w))).collect();
                prop_assert!(acts.is_sorted_by(|a, b| a >= b), "in order of activation");
                let n_positions = group.n_positions.unwrap();
                prop_assert!(windows.len() as u64 <= n_positions);
                let inside = |low: f32, high: f32| acts.iter().all(|a| (low..=high).contains(a));
                match &group.kind {
                    GroupKind::Top => prop_assert_eq!(n_positions, active.len() as u64),
                    GroupKind::Interval { low, high } => {
                        n_in_intervals += n_positions;
                        prop_assert!(inside(low.next_up(), *high));
                    }
                    GroupKind::Quantile { low, high, .. } => {
                        n_in_quantiles += n_positions;
                        prop_assert!(inside(*low, *high));
                    }
                    GroupKind::Inactive { token_id } => {
                        prop_assert!(acts.iter().all(|a| *a == 0.0));
                        prop_assert!(windows.iter().all(|w| token_ids[corpus_pos(w) as usize] == *token_id));
                    }
                    kind => prop_assert!(false, "{kind:?}"),
                }
            }
            let all = |groups: u32| if groups > 0 { active.len() as u64 } else { 0 };
            prop_assert_eq!(n_in_intervals, all(options.n_quantiles));
            prop_assert_eq!(n_in_quantiles, all(options.n_true_quantiles));
        }

        #[test]
        fn windows_lie_in_their_rows_and_are_cut_at_their_ends_only(
            (token_ids, active) in corpus(), options in options(), seed: u64,
        ) {
            for w in chosen(&token_ids, &active, &options, seed).windows {
                let len = SEQ_LEN as u32;
                let Some((before, after)) = options.buffer else {
                    prop_assert_eq!((w.start, w.end), (0, len));
                    continue;
                };
                prop_assert_eq!(w.start, w.position.saturating_sub(before));
                prop_assert_eq!(w.end, (w.position + after + 1).min(len));
                if options.edges == Edges::Skip {
                    prop_assert!(w.position > before && w.position + after < len);
                }
            }
        }

        #[test]
        fn no_group_shows_the_same_window_twice_and_counts_add_up(
            (token_ids, active) in corpus(), options in options(), seed: u64,
        ) {
            let tokens = |w: &Window| {
                let row = w.row as usize * SEQ_LEN;
                (w.position - w.start, token_ids[row + w.start as usize..row + w.end as usize].to_vec())
            };
            let chosen = chosen(&token_ids, &active, &options, seed);
            for (group, windows, counts) in by_group(&chosen) {
                let total: u64 = counts.iter().map(|n| u64::from(*n)).sum();
                prop_assert!(total <= group.n_positions.unwrap());
                if options.fold == Fold::None {
                    prop_assert!(counts.iter().all(|n| *n == 1));
                    continue;
                }
                let mut distinct: Vec<_> = windows.iter().map(tokens).collect();
                distinct.sort();
                prop_assert!(distinct.is_sorted_by(|a, b| a < b), "the same window twice");
                // A group that is not full has all its candidates folded into its examples.
                let is_full = windows.len() as u32 == match group.kind {
                    GroupKind::Top => options.top_acts_group_size,
                    GroupKind::Inactive { .. } => options.inactive_group_size,
                    _ => options.quantile_group_size,
                };
                if !is_full && options.edges == Edges::Cut {
                    prop_assert_eq!(total, group.n_positions.unwrap());
                }
            }
        }

        #[test]
        fn the_strongest_position_is_always_shown_where_windows_are_cut(
            (token_ids, active) in corpus(), mut options in options(), seed: u64,
        ) {
            options.edges = Edges::Cut;
            let chosen = chosen(&token_ids, &active, &options, seed);
            let max = active.iter().map(|(_, act)| *act).fold(0.0, f32::max);
            prop_assert_eq!(chosen.groups.is_empty(), active.is_empty(), "a dead feature has no groups");
            if let Some(first) = chosen.windows.first() {
                let act = active.iter().find(|(p, _)| *p == corpus_pos(first));
                prop_assert_eq!(act.map(|(_, act)| *act), Some(max));
            }
        }
    }

    #[test]
    fn the_same_seed_chooses_the_same_windows_and_another_others() {
        let token_ids: Vec<u32> = (0..SEQ_LEN as u32 * N_ROWS as u32).map(|p| p % 3).collect();
        let active: Vec<(u32, f32)> = (0..100).map(|p| (p, 1.0 + (p % 7) as f32)).collect();
        let options = SequencesOptions { fold: Fold::None, ..SequencesOptions::default() };
        let of_seed = |seed| chosen(&token_ids, &active, &options, seed);
        assert_eq!(of_seed(1), of_seed(1));
        assert_ne!(of_seed(1).windows, of_seed(2).windows);
    }

    #[test]
    fn a_signed_feature_has_its_smallest_activations_too() {
        let token_ids: Vec<u32> = (0..SEQ_LEN as u32 * N_ROWS as u32).collect();
        let options = SequencesOptions { n_quantiles: 0, ..SequencesOptions::default() };
        let active = [(3, 2.0), (20, -5.0), (40, -1.0), (60, 4.0)];
        let (positions, acts): (Vec<u32>, Vec<f32>) = active.into_iter().unzip();
        let choice = Choice {
            options: &options,
            token_ids: &token_ids,
            seq_len: SEQ_LEN,
            token_positions: None,
            seed: 0,
        };
        let chosen = choose((&positions, &acts), 0, &choice);
        let groups: Vec<(&GroupKind, u32)> = chosen.groups.iter().map(|g| (&g.kind, g.n_examples)).collect();
        assert_eq!(groups, [(&GroupKind::Top, 2), (&GroupKind::Bottom, 2)]);
        assert_eq!(chosen.windows.iter().map(corpus_pos).collect::<Vec<_>>(), [60, 3, 20, 40]);
    }
}
