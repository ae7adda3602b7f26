//! The sparse store: which features are active where, and how strongly.
//!
//! Filled position by position during the pass, because that is how activations come; transposed once, feature
//! by feature, because that is how they are used. Both orders are kept: correlations need them together. A
//! position costs 8 bytes for each active feature in either order; nothing is stored for inactive ones.

use std::io;

use bytemuck::{Pod, Zeroable};

use super::spill::{Allowance, Column, Growing};

/// An active feature and its activation, side by side: they are read together, at random positions.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Active {
    /// The feature.
    pub feature: u32,
    /// Its activation, above 0.
    pub act: f32,
}

/// Activations in the order of positions.
#[derive(Debug)]
pub struct ByPosition {
    n_features: usize,
    /// End of each position's entries.
    ends: Vec<usize>,
    entries: Column<Active>,
}

/// Activations in the order of positions, while they come.
#[derive(Debug)]
pub struct Gathering {
    n_features: usize,
    ends: Vec<usize>,
    n_active: usize,
    entries: Growing<Active>,
}

/// Activations in the order of features.
#[derive(Debug)]
pub struct ByFeature {
    /// End of each feature's entries.
    ends: Vec<usize>,
    positions: Column<u32>,
    acts: Column<f32>,
}

/// Activations tested at once for any that is not zero: most groups of this size have none.
const LANES: usize = 16;

impl Gathering {
    /// Nothing yet, of `n_features` features.
    pub fn new(n_features: usize, allowance: &Allowance) -> Self {
        Self { n_features, ends: Vec::new(), n_active: 0, entries: Growing::new(allowance) }
    }

    /// Appends the positions of a part.
    pub fn append(&mut self, part: &ByPosition) -> io::Result<()> {
        self.ends.extend(part.ends.iter().map(|end| self.n_active + end));
        self.n_active += part.entries.len();
        self.entries.extend(&part.entries)
    }

    /// All positions.
    pub fn finish(self) -> io::Result<ByPosition> {
        Ok(ByPosition { n_features: self.n_features, ends: self.ends, entries: self.entries.finish()? })
    }
}

impl ByPosition {
    /// What is active in a batch.
    ///
    /// - `dense`: `[n_pos, n_features]`, row-major; entries above 0 are kept
    pub fn of(dense: &[f32], n_features: usize) -> Self {
        let (mut ends, mut entries) = (Vec::new(), Vec::new());
        for acts in dense.chunks_exact(n_features.max(1)) {
            keep_active(acts, &mut entries);
            ends.push(entries.len());
        }
        Self { n_features, ends, entries: Column::Memory(entries) }
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
    pub fn at(&self, position: usize) -> &[Active] {
        let start = if position == 0 { 0 } else { self.ends[position - 1] };
        &self.entries[start..self.ends[position]]
    }

    /// All entries, position by position.
    pub fn entries(&self) -> &[Active] {
        &self.entries
    }

    /// The same activations in the order of features: a counting sort, so positions ascend.
    pub fn by_feature(&self, allowance: &Allowance) -> io::Result<ByFeature> {
        let mut next = vec![0usize; self.n_features + 1];
        for active in self.entries.iter() {
            next[active.feature as usize + 1] += 1;
        }
        for f in 0..self.n_features {
            next[f + 1] += next[f];
        }
        let ends = next[1..].to_vec();
        let n = self.entries.len();
        let (mut positions, mut acts) = (Column::zeros(n, allowance)?, Column::zeros(n, allowance)?);
        let (to_positions, to_acts): (&mut [u32], &mut [f32]) = (&mut positions, &mut acts);
        for position in 0..self.n_positions() {
            for active in self.at(position) {
                let slot = &mut next[active.feature as usize];
                (to_positions[*slot], to_acts[*slot]) = (position as u32, active.act);
                *slot += 1;
            }
        }
        Ok(ByFeature { ends, positions, acts })
    }
}

/// Appends the entries of one position that are above 0.
fn keep_active(acts: &[f32], entries: &mut Vec<Active>) {
    for (group, lanes) in acts.chunks(LANES).enumerate() {
        // Comparing bits rather than floats lets the compiler test all lanes at once.
        let any = lanes.iter().fold(0, |bits, a| bits | (a.to_bits() & 0x7fff_ffff));
        if any == 0 {
            continue;
        }
        for (lane, &act) in lanes.iter().enumerate() {
            if act > 0.0 {
                entries.push(Active { feature: (group * LANES + lane) as u32, act });
            }
        }
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
            allowed in 0usize..100_000,
        ) {
            let allowance = Allowance::of(allowed);
            let mut store = Gathering::new(37, &allowance);
            for part in rows.chunks(batch) {
                store.append(&ByPosition::of(&part.concat(), 37)).unwrap();
            }
            let store = store.finish().unwrap();
            prop_assert_eq!(store.n_positions(), rows.len());
            let by_feature = store.by_feature(&allowance).unwrap();
            for (p, row) in rows.iter().enumerate() {
                let expected: Vec<_> =
                    row.iter().enumerate().filter(|(_, a)| **a > 0.0).map(|(f, a)| Active { feature: f as u32, act: *a }).collect();
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
