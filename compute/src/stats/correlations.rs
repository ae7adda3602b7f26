//! Correlations of a feature with neurons and with other features, over all positions.
//!
//! Pearson = (n Sxy − Sx Sy) / (√((n Sxx − Sx²)(n Syy − Sy²)) + 1e-6), cosine = Sxy / (√(Sxx Syy) + 1e-6), as
//! sae_vis defines them, with the sums in f64. `Sxy` of two features is summed over the positions at which both
//! are active, for some rows of the matrix at a time: it is never whole.

use std::{io, ops::Range};

use rayon::prelude::*;
use shared::feature::Correlated;

use crate::activations::{NeuronSums, SEGMENT_BYTES, Store};

use super::top::largest;

/// Keeps denominators from zero; sae_vis's value.
const EPS: f64 = 1e-6;

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
        let mut sums = vec![Self::default(); acts.n_features()];
        for s in 0..acts.n_segments() {
            let segment = acts.part(s, 0..acts.n_features())?;
            for (i, sums) in sums.iter_mut().enumerate() {
                for a in segment.of(i).1 {
                    let a = f64::from(*a);
                    *sums = Self { s: sums.s + a, ss: sums.ss + a * a };
                }
            }
        }
        Ok(sums)
    }
}

fn pearson(n: f64, x: Sums, y: Sums, sxy: f64) -> f64 {
    let variances = (n * x.ss - x.s * x.s).max(0.0) * (n * y.ss - y.s * y.s).max(0.0);
    (n * sxy - x.s * y.s) / (variances.sqrt() + EPS)
}

fn cosine(x: Sums, y: Sums, sxy: f64) -> f64 {
    sxy / ((x.ss * y.ss).sqrt() + EPS)
}

/// The `n_rows` neurons with the highest Pearson correlation with feature `f`; none where it is dead.
pub fn neurons(
    neurons: &NeuronSums,
    f: usize,
    x: Sums,
    n_positions: usize,
    n_rows: usize,
) -> Vec<Correlated> {
    if x.ss <= 0.0 {
        return Vec::new();
    }
    let products = neurons.products(f);
    let sums = |j: usize| {
        let (s, ss) = neurons.of_neuron(j);
        Sums { s, ss }
    };
    let n = n_positions as f64;
    let all: Vec<f32> = products.iter().enumerate().map(|(j, &p)| pearson(n, x, sums(j), p) as f32).collect();
    let row = |j: usize| Correlated {
        index: j as u32,
        pearson: all[j],
        cosine: cosine(x, sums(j), products[j]) as f32,
    };
    largest(&all, n_rows).into_iter().map(row).collect()
}

/// Segments in memory at a time: they are read side by side.
const SEGMENTS: usize = 4;
/// What they take, in both orders and on the way from one to the other.
pub const SEGMENTS_BYTES: usize = 3 * SEGMENTS * SEGMENT_BYTES;

/// `Σ x y` of each of `features` with each feature of `with`: `[features, with.n_features()]`.
///
/// - `of`, `with`: stores of the same positions in the same segments
pub fn products(of: &Store, features: Range<usize>, with: &Store) -> io::Result<Vec<f64>> {
    let width = with.n_features();
    let mut products = vec![0.0; features.len() * width];
    for first in (0..of.n_segments()).step_by(SEGMENTS) {
        let segments = (first..(first + SEGMENTS).min(of.n_segments()))
            .into_par_iter()
            .map(|s| Ok((of.part(s, features.clone())?, with.by_position(s)?)))
            .collect::<io::Result<Vec<_>>>()?;
        products.par_chunks_mut(width.max(1)).enumerate().for_each(|(i, products)| {
            for (of, with) in &segments {
                let (positions, acts) = of.of(i);
                for (&position, &act) in positions.iter().zip(acts) {
                    let act = f64::from(act);
                    for other in with.at(position) {
                        products[other.feature as usize] += act * f64::from(other.act);
                    }
                }
            }
        });
    }
    Ok(products)
}

/// The `n_rows` features with the highest Pearson correlation, of those ever active together with a feature. One never
/// active together with it is no partner.
///
/// - `x`: sums of the feature; `not`: the feature itself, where it is one of the others
/// - `products`: a row of [`products`]; `sums`: of the features that it is with, over `n_positions`
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
    let together: Vec<usize> = (0..products.len()).filter(|&g| products[g] > 0.0 && Some(g) != not).collect();
    let by: Vec<f32> = together.iter().map(|&g| pearson(n, x, sums[g], products[g]) as f32).collect();
    let row = |i: usize| {
        let g = together[i];
        Correlated { index: name(g), pearson: by[i], cosine: cosine(x, sums[g], products[g]) as f32 }
    };
    largest(&by, n_rows).into_iter().map(row).collect()
}
