//! The tables of all features: each needs every other feature, so they are made before anything else of a feature.

use std::ops::Range;

use anyhow::Result;
use rayon::prelude::*;
use shared::feature::{AlignedNeuron, Correlated, FeatureTables};
use tch::Tensor;

use super::Sources;
use crate::{
    activations::{Store, to_host},
    stats::{
        correlations::{self, SEGMENTS_BYTES, Sums, partners, products},
        top::largest,
    },
};

/// Rows of the matrix of features by features that are computed together take about this much memory.
const PRODUCTS_BYTES: usize = 64 << 20;

/// The most memory that tables of `n` features take while they are made, with SAE B's `n_b`.
pub fn bytes(n: usize, n_b: usize) -> usize {
    PRODUCTS_BYTES.min(8 * n * (n + n_b)) + SEGMENTS_BYTES
}

/// What tables are made of.
struct Tables<'a> {
    sources: Sources<'a>,
    /// `[n, d_out]`, row-major.
    decoder: Vec<f32>,
    d_out: usize,
    sums: Vec<Sums>,
    sums_b: Vec<Sums>,
}

/// Rows of the matrices of features by features; empty where no layout shows them.
struct Rows<'a> {
    own: Vec<&'a [f64]>,
    b: Vec<&'a [f64]>,
}

/// The tables of all chosen features, ascending.
///
/// - `decoder`: `[n, d_out]`
pub fn tables(sources: Sources<'_>, decoder: &Tensor) -> Result<Vec<FeatureTables>> {
    let (n, gathered) = (sources.plan.features.len(), sources.gathered);
    let mut rows = Vec::new();
    to_host(decoder, &mut rows)?;
    let tables = Tables {
        sources,
        d_out: rows.len() / n.max(1),
        decoder: rows,
        sums: Sums::of_all(&gathered.acts)?,
        sums_b: gathered.acts_b.as_ref().map(Sums::of_all).transpose()?.unwrap_or_default(),
    };
    let width = gathered.acts.n_features() + gathered.acts_b.as_ref().map_or(0, Store::n_features);
    let at_once = (PRODUCTS_BYTES / (8 * width.max(1))).max(1);
    let mut all = Vec::with_capacity(n);
    for first in (0..n).step_by(at_once) {
        all.extend(tables.of(first..(first + at_once).min(n))?);
    }
    Ok(all)
}

/// The `n` rows of a matrix.
fn rows(matrix: &[f64], n: usize) -> Vec<&[f64]> {
    matrix.chunks((matrix.len() / n.max(1)).max(1)).collect()
}

impl Tables<'_> {
    fn of(&self, features: Range<usize>) -> Result<Vec<FeatureTables>> {
        let Sources { plan, gathered, .. } = self.sources;
        let needs = &plan.needs;
        let own = match needs.correlated_features {
            0 => Vec::new(),
            _ => products(&gathered.acts, features.clone(), &gathered.acts)?,
        };
        let b = match &gathered.acts_b {
            Some(b) if needs.correlated_b_features > 0 => products(&gathered.acts, features.clone(), b)?,
            _ => Vec::new(),
        };
        let rows = Rows { own: rows(&own, features.len()), b: rows(&b, features.len()) };
        Ok(features.clone().into_par_iter().map(|i| self.of_one(i, i - features.start, &rows)).collect())
    }

    /// - `row`: of the matrices
    fn of_one(&self, i: usize, row: usize, rows: &Rows<'_>) -> FeatureTables {
        let Sources { plan, rows: corpus, gathered } = self.sources;
        let (n_positions, x) = (corpus.n_positions(), self.sums[i]);
        let wanted = |n: u32| (n > 0).then_some(n as usize);
        let own = |n: usize| -> Vec<Correlated> {
            partners((x, Some(i)), rows.own[row], &self.sums, n_positions, n, |g| plan.features[g])
        };
        let b = |n: usize| partners((x, None), rows.b[row], &self.sums_b, n_positions, n, |g| g as u32);
        FeatureTables {
            neuron_alignment: wanted(plan.needs.neuron_alignment).map(|n| self.alignment(i, n)),
            correlated_neurons: wanted(plan.needs.correlated_neurons)
                .map(|n| correlations::neurons(&gathered.neurons, i, x, n_positions, n)),
            correlated_features: wanted(plan.needs.correlated_features).map(own),
            correlated_b_features: wanted(plan.needs.correlated_b_features).map(b),
        }
    }

    fn alignment(&self, i: usize, n_rows: usize) -> Vec<AlignedNeuron> {
        let direction = &self.decoder[i * self.d_out..(i + 1) * self.d_out];
        let l1: f64 = direction.iter().map(|v| f64::from(v.abs())).sum();
        let row = |j: usize| AlignedNeuron {
            neuron: j as u32,
            value: direction[j],
            l1_share: if l1 > 0.0 { (f64::from(direction[j].abs()) / l1) as f32 } else { 0.0 },
        };
        largest(direction, n_rows).into_iter().map(row).collect()
    }
}
