//! The sparse store: which features are active where in the whole corpus.
//!
//! Activations come position by position and are used feature by feature. So the store is a row of segments: ranges of
//! positions, within which entries are in the order of features. One feature's entries lie together in a segment, all
//! entries of a range of positions in one segment. Whatever the number of tokens, a few segments are in memory at a time,
//! and whatever is read is read once, in order. An active entry takes 8 bytes.

use std::{io, ops::Range};

use anyhow::{Result, ensure};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{column::Column, sparse::ByFeature};
use crate::{
    backend::MemoryBudget,
    sections::{SectionReader, SectionWriter},
};

/// Entries, of all stores of a tap together, at which a segment is closed.
pub const SEGMENT_ENTRIES: usize = 1 << 20;
/// What a segment takes.
pub const SEGMENT_BYTES: usize = 8 * SEGMENT_ENTRIES;

/// Activations of a whole corpus.
#[derive(Debug)]
pub struct Store {
    n_features: usize,
    /// Position of the corpus that is the first here.
    first_position: usize,
    n_positions: usize,
    segments: Vec<Segment>,
    /// End of each feature's entries in each segment, counted from the segment's first: `[n_segments, n_features]`.
    ends: Column<u64>,
    positions: Column<u32>,
    acts: Column<f32>,
    /// Entries of each feature.
    n_active: Vec<usize>,
    /// What the segment that is being filled consists of.
    pending: Vec<ByFeature>,
}

/// What the arrays of a store mean.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoreMeta {
    n_features: usize,
    first_position: usize,
    n_positions: usize,
    segments: Vec<Segment>,
}

/// A range of positions.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Segment {
    first_position: usize,
    n_positions: usize,
    first_entry: usize,
}

impl Store {
    /// Nothing yet, of `n_features` features from position `first` on.
    pub fn new(n_features: usize, first: usize, budget: &MemoryBudget) -> Self {
        Self {
            n_features,
            first_position: first,
            n_positions: 0,
            segments: Vec::new(),
            ends: Column::new(budget),
            positions: Column::new(budget),
            acts: Column::new(budget),
            n_active: vec![0; n_features],
            pending: Vec::new(),
        }
    }

    /// Appends what is active at the next `n_positions`.
    pub fn push(&mut self, part: ByFeature, n_positions: usize) {
        self.pending.push(part);
        self.n_positions += n_positions;
    }

    /// Entries that are in no segment yet.
    pub fn n_pending(&self) -> usize {
        self.pending.iter().map(ByFeature::n_active).sum()
    }

    /// Makes a segment of what was appended since the last.
    pub fn close_segment(&mut self) -> io::Result<()> {
        let closed = |last: &Segment| last.first_position + last.n_positions;
        let first_position = self.segments.last().map_or(self.first_position, closed);
        let n_positions = self.first_position + self.n_positions - first_position;
        if n_positions == 0 {
            return Ok(());
        }
        let all = ByFeature::joined(&std::mem::take(&mut self.pending));
        for (i, n_active) in self.n_active.iter_mut().enumerate() {
            *n_active += all.of(i).0.len();
        }
        self.segments.push(Segment { first_position, n_positions, first_entry: self.positions.len() });
        let (ends, positions, acts) = all.into_columns();
        self.ends.push(ends)?;
        self.positions.push(positions)?;
        self.acts.push(acts)
    }

    /// Appends what is active at the positions after these; all segments are closed.
    pub fn append(&mut self, other: Self) {
        let first_entry = self.positions.len();
        let moved = |segment: Segment| Segment { first_entry: segment.first_entry + first_entry, ..segment };
        self.segments.extend(other.segments.into_iter().map(moved));
        self.n_positions += other.n_positions;
        self.ends.append(other.ends);
        self.positions.append(other.positions);
        self.acts.append(other.acts);
        self.n_active.iter_mut().zip(other.n_active).for_each(|(all, other)| *all += other);
    }

    /// Writes all of it as arrays whose names begin with `name`; all segments are closed.
    pub fn write(&self, name: &str, to: &mut SectionWriter) -> Result<StoreMeta> {
        self.ends.write(&format!("{name}.ends"), to)?;
        self.positions.write(&format!("{name}.positions"), to)?;
        self.acts.write(&format!("{name}.acts"), to)?;
        let n_active: Vec<u64> = self.n_active.iter().map(|n| *n as u64).collect();
        to.write_all(&format!("{name}.n_active"), &n_active)?;
        Ok(StoreMeta {
            n_features: self.n_features,
            first_position: self.first_position,
            n_positions: self.n_positions,
            segments: self.segments.clone(),
        })
    }

    /// What was written; its arrays stay in the file.
    pub fn open(name: &str, meta: StoreMeta, from: &SectionReader, budget: &MemoryBudget) -> Result<Self> {
        let StoreMeta { n_features, first_position, n_positions, segments } = meta;
        let n_active: Vec<u64> = from.read(&format!("{name}.n_active"))?;
        let this = Self {
            n_features,
            first_position,
            n_positions,
            segments,
            ends: Column::in_file(from.array(&format!("{name}.ends"))?, budget),
            positions: Column::in_file(from.array(&format!("{name}.positions"))?, budget),
            acts: Column::in_file(from.array(&format!("{name}.acts"))?, budget),
            n_active: n_active.into_iter().map(|n| n as usize).collect(),
            pending: Vec::new(),
        };
        let fits = this.ends.len() == n_features * this.segments.len()
            && this.positions.len() == this.acts.len()
            && this.n_active.len() == n_features;
        ensure!(fits, "the arrays of active features contradict one another");
        Ok(this)
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Number of positions.
    pub fn n_positions(&self) -> usize {
        self.n_positions
    }

    /// Number of segments.
    pub fn n_segments(&self) -> usize {
        self.segments.len()
    }

    /// Number of active entries of each feature.
    pub fn n_active(&self) -> &[usize] {
        &self.n_active
    }

    /// Reads some features' activations in segment `s` into `part`, in the memory of what it held.
    pub fn read(&self, s: usize, features: Range<usize>, part: &mut ByFeature) -> io::Result<()> {
        let (of_segment, first) = (s * self.n_features, self.segments[s].first_entry);
        let (ends, positions, acts) = part.columns();
        ends.clear();
        positions.clear();
        acts.clear();
        let before = features.start.min(1);
        self.ends.read(of_segment + features.start - before..of_segment + features.end, ends)?;
        let start = if before == 1 { ends.remove(0) } else { 0 };
        let entries = first + start as usize..first + ends.last().map_or(start, |end| *end) as usize;
        positions.reserve_exact(entries.len());
        self.positions.read(entries.clone(), positions)?;
        acts.reserve_exact(entries.len());
        self.acts.read(entries, acts)?;
        for end in ends {
            *end -= start;
        }
        Ok(())
    }

    /// Positions of segment `s`.
    pub fn positions(&self, s: usize) -> Range<usize> {
        let Segment { first_position, n_positions, .. } = self.segments[s];
        first_position..first_position + n_positions
    }

    /// Some features' activations in the whole corpus.
    pub fn features(&self, features: Range<usize>) -> io::Result<ByFeature> {
        let part = |s| {
            let mut part = ByFeature::default();
            self.read(s, features.clone(), &mut part).map(|()| part)
        };
        let parts: Vec<ByFeature> =
            (0..self.n_segments()).into_par_iter().map(part).collect::<Result<_, _>>()?;
        Ok(ByFeature::joined(&parts))
    }

    /// Cuts a range of features into ranges that have at most `n_active` entries each, or one feature.
    pub fn ranges(&self, features: Range<usize>, n_active: usize) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut filled = 0;
        for i in features {
            filled += self.n_active[i];
            match ranges.last_mut() {
                Some(last) if filled <= n_active => last.end = i + 1,
                _ => {
                    ranges.push(i..i + 1);
                    filled = self.n_active[i];
                }
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Active, ByPosition};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_orders_hold_exactly_the_active_entries(
            rows in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0f32), Just(-0f32), -1f32..1.0], 37), 1..200),
            batch in 1usize..70,
            batches_in_a_segment in 1usize..4,
            allowed in 0usize..50_000,
            at_once in 1usize..2000,
            first_of_shard in 0usize..200,
        ) {
            let budget = MemoryBudget::new(allowed);
            let mut store = Store::new(37, 0, &budget);
            let mut shard: Option<Store> = None;
            for (b, part) in rows.chunks(batch).enumerate() {
                if b == first_of_shard {
                    store.close_segment().unwrap();
                    shard = Some(Store::new(37, b * batch, &budget));
                }
                let store = shard.as_mut().unwrap_or(&mut store);
                let mut acts = ByPosition::new(37, b * batch);
                acts.extend_dense(&part.concat());
                store.push(acts.by_feature(), part.len());
                if b % batches_in_a_segment == 0 {
                    store.close_segment().unwrap();
                }
            }
            if let Some(mut shard) = shard {
                shard.close_segment().unwrap();
                store.append(shard);
            } else {
                store.close_segment().unwrap();
            }
            prop_assert_eq!((store.n_positions(), store.n_pending()), (rows.len(), 0));
            let mut position = 0;
            let (mut part, mut segment) = (ByFeature::default(), ByPosition::default());
            for s in 0..store.n_segments() {
                store.read(s, 0..37, &mut part).unwrap();
                segment.take(&part, store.positions(s).start, store.positions(s).len());
                for _ in 0..segment.n_positions() {
                    let expected: Vec<_> = rows[position].iter().enumerate().filter(|(_, a)| **a != 0.0)
                        .map(|(f, a)| Active { feature: f as u32, act: *a }).collect();
                    prop_assert_eq!(segment.at(position as u32), &expected[..]);
                    position += 1;
                }
            }
            prop_assert_eq!(position, rows.len());
            let ranges = store.ranges(0..37, at_once);
            prop_assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..37).collect::<Vec<_>>());
            for range in ranges {
                let some = store.features(range.clone()).unwrap();
                prop_assert!(range.len() == 1 || some.n_active() <= at_once);
                for (i, f) in range.enumerate() {
                    let expected: Vec<_> = rows.iter().enumerate().map(|(p, r)| (p as u32, r[f]))
                        .filter(|(_, a)| *a != 0.0).collect();
                    let (positions, acts) = some.of(i);
                    let got: Vec<_> = positions.iter().copied().zip(acts.iter().copied()).collect();
                    prop_assert_eq!(&got, &expected);
                    prop_assert_eq!(store.n_active()[f], expected.len());
                }
            }
        }
    }
}
