//! Correlations of a feature with neurons and with other features, over all positions.
//!
//! Pearson = (n Sxy − Sx Sy) / (√((n Sxx − Sx²)(n Syy − Sy²)) + 1e-6), cosine = Sxy / (√(Sxx Syy) + 1e-6), as
//! sae_vis defines them, with the sums in f64. `Sxy` of two features is summed over the positions at which both
//! are active, for some rows of the matrix at a time: it is never whole.

use std::{io, ops::Range};

use rayon::prelude::*;
use shared::feature::Correlated;

use super::top::largest;
use crate::store::{Active, ByFeature, ByPosition, NeuronSums, SEGMENT_BYTES, Store};

/// Keeps denominators from zero; sae_vis's value.
const EPS: f64 = 1e-6;
/// What f64 leaves of a difference of equal sums, relative to them; some thousand times its epsilon.
const ROUNDING: f64 = 1e-12;

/// Entries whose sums a thread makes at a time: 1 MiB.
const ENTRIES: usize = 1 << 17;

/// First two sums of one variable over all positions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    /// Σ x.
    pub s: f64,
    /// Σ x².
    pub ss: f64,
}

impl Sums {
    /// Sums of every feature.
    pub fn of_all(acts: &Store) -> io::Result<Vec<Self>> {
        let sums = |features: Range<usize>| {
            let all = acts.features(features.clone())?;
            Ok((0..features.len()).map(|i| Self::of(all.of(i).1)).collect())
        };
        let all: Vec<Vec<Self>> = acts
            .ranges(0..acts.n_features(), ENTRIES)
            .into_par_iter()
            .map(sums)
            .collect::<io::Result<_>>()?;
        Ok(all.concat())
    }

    /// Sums of every neuron of a hook point.
    pub fn of_neurons(neurons: &NeuronSums) -> Vec<Self> {
        let [s, ss] = neurons.of_neurons();
        s.into_iter().zip(ss).map(|(s, ss)| Self { s, ss }).collect()
    }

    fn of(acts: &[f32]) -> Self {
        let add = |sums: Self, a: f64| Self { s: sums.s + a, ss: sums.ss + a * a };
        acts.iter().map(|a| f64::from(*a)).fold(Self::default(), add)
    }
}

fn pearson(n: f64, x: Sums, y: Sums, sxy: f64) -> f64 {
    let variances = variance(n, x) * variance(n, y);
    if variances > 0.0 { (n * sxy - x.s * y.s) / (variances.sqrt() + EPS) } else { 0.0 }
}

/// n² times the variance; 0 where it is no more than the rounding of its terms, as of a variable that is constant.
fn variance(n: f64, x: Sums) -> f64 {
    let variance = n * x.ss - x.s * x.s;
    if variance > ROUNDING * n * x.ss { variance } else { 0.0 }
}

fn cosine(x: Sums, y: Sums, sxy: f64) -> f64 {
    sxy / ((x.ss * y.ss).sqrt() + EPS)
}

/// The `n_rows` neurons with the highest Pearson correlation with a feature; none where it is dead.
///
/// - `x`: sums of the feature
/// - `products`: with each neuron; `sums`: of each neuron
pub fn neurons(
    products: &[f64],
    sums: &[Sums],
    x: Sums,
    n_positions: usize,
    n_rows: usize,
) -> Vec<Correlated> {
    if x.ss <= 0.0 {
        return Vec::new();
    }
    let n = n_positions as f64;
    let all: Vec<f32> = products.iter().enumerate().map(|(j, &p)| pearson(n, x, sums[j], p) as f32).collect();
    let row = |j: usize| Correlated {
        index: j as u32,
        pearson: all[j],
        cosine: cosine(x, sums[j], products[j]) as f32,
    };
    largest(&all, n_rows).into_iter().map(row).collect()
}

/// Segments in memory at a time: they are read side by side. The more features, the longer are the rows of the matrix, and
/// the fewer times they should be fetched from memory and stored again.
fn segments_at_once(n_features: usize) -> usize {
    (4 + n_features / 2048).min(32)
}

/// What [`Products`] of a store with itself and with SAE B's hold beside their matrices, where the larger has `n_features`:
/// segments, whose entries of both SAEs together are there up to four times.
pub fn segments_bytes(n_features: usize) -> usize {
    4 * segments_at_once(n_features) * SEGMENT_BYTES
}

/// `Σ x y` of each feature of a store with each of another, of the same positions in the same segments, computed for some
/// rows of the matrix at a time.
///
/// All that is large is allocated once: with memory that is new for every segment, the system's work takes as long as the
/// products.
#[derive(Debug)]
pub struct Products<'a> {
    of: &'a Store,
    with: &'a Store,
    segments: Vec<Segment>,
    /// Features whose rows are there.
    features: Range<usize>,
    /// `[features, with.n_features()]`.
    sums: Vec<f64>,
}

/// A segment of both stores.
#[derive(Debug, Default)]
struct Segment {
    of: ByFeature,
    with: ByFeature,
    by_position: ByPosition,
}

impl<'a> Products<'a> {
    /// Nothing computed yet.
    pub fn new(of: &'a Store, with: &'a Store) -> Self {
        let n = segments_at_once(with.n_features()).min(of.n_segments());
        let segments = (0..n).map(|_| Segment::default()).collect();
        Self { of, with, segments, features: 0..0, sums: Vec::new() }
    }

    /// Computes the rows of `features`, in place of those that were there.
    pub fn compute(&mut self, features: Range<usize>) -> io::Result<()> {
        self.features = features.clone();
        let Self { of, with, segments, sums, .. } = self;
        let width = with.n_features();
        sums.clear();
        sums.resize(features.len() * width, 0.0);
        for first in (0..of.n_segments()).step_by(segments.len().max(1)) {
            let n = segments.len().min(of.n_segments() - first);
            let read = |(i, segment): (usize, &mut Segment)| {
                let (s, Segment { of: rows, with: all, by_position }) = (first + i, segment);
                of.read(s, features.clone(), rows)?;
                with.read(s, 0..width, all)?;
                by_position.take(all, with.positions(s).start, with.positions(s).len());
                Ok::<(), io::Error>(())
            };
            segments[..n].par_iter_mut().enumerate().try_for_each(read)?;
            sums.par_chunks_mut(width.max(1)).enumerate().for_each_init(Vec::new, |gathered, (i, sums)| {
                for segment in &segments[..n] {
                    add(segment.of.of(i), &segment.by_position, gathered, sums);
                }
            });
        }
        Ok(())
    }

    /// Products of feature `i`, of those last computed, with every feature of the other store.
    pub fn row(&self, i: usize) -> &[f64] {
        let (row, width) = (i - self.features.start, self.with.n_features());
        &self.sums[row * width..(row + 1) * width]
    }
}

/// Positions whose entries are gathered before they are added: each lies somewhere else in memory, and so the fetches do
/// not wait for one another.
const GATHERED: usize = 16;

/// Adds the products of one feature with all that are active where it is.
///
/// - `gathered`: memory to work in
fn add(
    (positions, acts): (&[u32], &[f32]),
    others: &ByPosition,
    gathered: &mut Vec<Active>,
    sums: &mut [f64],
) {
    for (positions, acts) in positions.chunks(GATHERED).zip(acts.chunks(GATHERED)) {
        gathered.clear();
        for &position in positions {
            gathered.extend_from_slice(others.at(position));
        }
        let mut start = 0;
        for (&position, &act) in positions.iter().zip(acts) {
            let end = start + others.at(position).len();
            for other in &gathered[start..end] {
                sums[other.feature as usize] += f64::from(act) * f64::from(other.act);
            }
            start = end;
        }
    }
}

/// The `n_rows` features with the highest Pearson correlation, of those ever active together with a feature. One never
/// active together with it is no partner.
///
/// - `x`: sums of the feature; `not`: the feature itself, where it is one of the others
/// - `products`: a row of the matrix, see [`Products`]; `sums`: of the features that it is with, over `n_positions`
/// - `name`: turns an index of the others into the feature's own
pub fn partners(
    (x, not): (Sums, Option<usize>),
    products: &[f64],
    sums: &[Sums],
    n_positions: usize,
    n_rows: usize,
    name: impl Fn(usize) -> u32,
) -> Vec<Correlated> {
    let n = n_positions as f64;
    let together: Vec<usize> =
        (0..products.len()).filter(|&g| products[g].abs() > 0.0 && Some(g) != not).collect();
    let by: Vec<f32> = together.iter().map(|&g| pearson(n, x, sums[g], products[g]) as f32).collect();
    let row = |i: usize| {
        let g = together[i];
        Correlated { index: name(g), pearson: by[i], cosine: cosine(x, sums[g], products[g]) as f32 }
    };
    largest(&by, n_rows).into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(values: &[f64]) -> Sums {
        Sums { s: values.iter().sum(), ss: values.iter().map(|v| v * v).sum() }
    }

    #[test]
    fn a_constant_has_no_correlation_however_large_it_is() {
        let y = [0.3, -1.7, 2.9, 0.1];
        for constant in [1e-3, 1.0, 5e6, 1e8] {
            let x = [constant; 4];
            let sxy = y.iter().map(|y| y * constant).sum();
            let none = pearson(4.0, sums(&x), sums(&y), sxy);
            assert!(none.abs() < f64::MIN_POSITIVE, "{none}");
        }
        let sxy = y.iter().map(|y| y * y * 1e8).sum();
        let whole = pearson(4.0, sums(&y.map(|y| y * 1e8)), sums(&y), sxy);
        assert!((whole - 1.0).abs() < 1e-9, "{whole}");
    }
}
