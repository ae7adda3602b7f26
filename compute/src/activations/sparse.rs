//! The sparse store: which features are active where, and how strongly.
//!
//! Filled position by position during the pass, because that is how activations come; transposed once, feature
//! by feature, because that is how they are used. Both orders are kept: correlations need them together. A
//! position costs 8 bytes for each active feature in either order; nothing is stored for inactive ones.

/// Activations in the order of positions.
#[derive(Debug, Default)]
pub struct ByPosition {
    n_features: usize,
    /// End of each position's entries.
    ends: Vec<usize>,
    /// Active feature and its activation, side by side: they are read together, at random positions.
    entries: Vec<(u32, f32)>,
}

/// Activations in the order of features.
#[derive(Debug, Default)]
pub struct ByFeature {
    /// End of each feature's entries.
    ends: Vec<usize>,
    positions: Vec<u32>,
    acts: Vec<f32>,
}

/// Activations tested at once for any that is not zero: most groups of this size have none.
const LANES: usize = 16;

impl ByPosition {
    /// An empty store for `n_features` features.
    pub fn new(n_features: usize) -> Self {
        Self { n_features, ..Self::default() }
    }

    /// Appends positions.
    ///
    /// - `dense`: `[n_pos, n_features]`, row-major; entries above 0 are kept
    pub fn push(&mut self, dense: &[f32]) {
        dense.chunks_exact(self.n_features.max(1)).for_each(|acts| self.push_position(acts));
    }

    /// Appends the positions of another store of the same features.
    pub fn append(&mut self, other: &Self) {
        let base = self.entries.len();
        self.ends.extend(other.ends.iter().map(|end| base + end));
        self.entries.extend_from_slice(&other.entries);
    }

    fn push_position(&mut self, acts: &[f32]) {
        for (group, lanes) in acts.chunks(LANES).enumerate() {
            // Comparing bits rather than floats lets the compiler test all lanes at once.
            let any = lanes.iter().fold(0, |bits, a| bits | (a.to_bits() & 0x7fff_ffff));
            if any == 0 {
                continue;
            }
            for (lane, &act) in lanes.iter().enumerate() {
                if act > 0.0 {
                    self.entries.push(((group * LANES + lane) as u32, act));
                }
            }
        }
        self.ends.push(self.entries.len());
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Number of positions.
    pub fn n_positions(&self) -> usize {
        self.ends.len()
    }

    /// Number of stored activations.
    pub fn n_active(&self) -> usize {
        self.entries.len()
    }

    /// The active features at `position`, ascending, with their activations.
    pub fn at(&self, position: usize) -> &[(u32, f32)] {
        let start = if position == 0 { 0 } else { self.ends[position - 1] };
        &self.entries[start..self.ends[position]]
    }

    /// The same activations in the order of features: a counting sort, so positions ascend.
    pub fn by_feature(&self) -> ByFeature {
        self.by_feature_since(0)
    }

    /// The same for positions from `first` on, which keep their numbers.
    pub fn by_feature_since(&self, first: usize) -> ByFeature {
        let base = if first == 0 { 0 } else { self.ends[first - 1] };
        let mut next = vec![0usize; self.n_features + 1];
        for (f, _) in &self.entries[base..] {
            next[*f as usize + 1] += 1;
        }
        for f in 0..self.n_features {
            next[f + 1] += next[f];
        }
        let ends = next[1..].to_vec();
        let n = self.entries.len() - base;
        let (mut positions, mut acts) = (vec![0u32; n], vec![0f32; n]);
        for position in first..self.n_positions() {
            for &(f, act) in self.at(position) {
                let slot = next[f as usize];
                (positions[slot], acts[slot]) = (position as u32, act);
                next[f as usize] += 1;
            }
        }
        ByFeature { ends, positions, acts }
    }
}

impl ByFeature {
    /// Positions at which feature `i` is active, ascending, and its activations there.
    pub fn of(&self, i: usize) -> (&[u32], &[f32]) {
        let range = if i == 0 { 0 } else { self.ends[i - 1] }..self.ends[i];
        (&self.positions[range.clone()], &self.acts[range])
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_orders_hold_exactly_the_positive_entries(
            rows in prop::collection::vec(prop::collection::vec(-1f32..1.0, 37), 0..200),
            batch in 1usize..70,
        ) {
            let mut store = ByPosition::new(37);
            for part in rows.chunks(batch) {
                let mut found = ByPosition::new(37);
                found.push(&part.concat());
                store.append(&found);
            }
            prop_assert_eq!(store.n_positions(), rows.len());
            let by_feature = store.by_feature();
            for (p, row) in rows.iter().enumerate() {
                let expected: Vec<_> =
                    row.iter().enumerate().filter(|(_, a)| **a > 0.0).map(|(f, a)| (f as u32, *a)).collect();
                prop_assert_eq!(store.at(p).to_vec(), expected);
            }
            for f in 0..37 {
                let expected: Vec<_> = rows.iter().enumerate().map(|(p, r)| (p as u32, r[f]))
                    .filter(|(_, a)| *a > 0.0).collect();
                let (positions, acts) = by_feature.of(f);
                let got: Vec<_> = positions.iter().copied().zip(acts.iter().copied()).collect();
                prop_assert_eq!(got, expected);
            }
        }
    }
}
