//! The tables of all features: each needs every other feature, so they are made before anything else of a feature.

use std::ops::Range;

use anyhow::Result;
use rayon::prelude::*;
use shared::feature::{AlignedNeuron, FeatureTables};
use tch::Tensor;

use super::Sources;
use crate::{
    backend::{Floats, to_host},
    interrupt,
    stats::{
        correlations::{self, Products, Sums, partners, segments_bytes},
        top::largest,
    },
    store::Store,
};

/// Rows of the matrices of features by features that are computed together take about this much memory. The store is read
/// once for all of them: twelve times for 24,576 features.
const ROWS_BYTES: usize = 384 << 20;

/// The most memory that tables of `n` features take while they are made, with SAE B's `n_b`.
pub fn bytes(n: usize, n_b: usize) -> usize {
    8 * rows_at_once(n, n_b).min(n) * (n + n_b) + segments_bytes(n.max(n_b))
}

pub(super) fn rows_at_once(n: usize, n_b: usize) -> usize {
    (ROWS_BYTES / (8 * (n + n_b).max(1))).max(1)
}

/// The tables of some of the chosen features, ascending.
pub struct Tables<'a> {
    sources: Sources<'a>,
    /// Features whose tables are not made yet.
    features: Range<usize>,
    /// `[n, d_out]`.
    decoder: Option<Floats>,
    d_out: usize,
    sums: Vec<Sums>,
    sums_of_neurons: Vec<Sums>,
    sums_b: Vec<Sums>,
    /// With features of the same SAE, and of SAE B; none where no layout shows them.
    own: Option<Products<'a>>,
    b: Option<Products<'a>>,
}

impl<'a> Tables<'a> {
    /// - `decoder`: `[n, d_out]`, of all chosen features, where it is known
    pub fn new(sources: Sources<'a>, decoder: Option<&Tensor>, features: Range<usize>) -> Result<Self> {
        let Sources { request, acts, acts_b, neurons, .. } = sources;
        let needs = request.needs;
        let decoder = decoder.map(to_host).transpose()?;
        let products = |with: Option<&'a Store>| with.map(|with| Products::new(acts, with));
        Ok(Self {
            sources,
            features,
            d_out: decoder.as_ref().map_or(0, |rows| rows.len()) / request.features.len().max(1),
            decoder,
            sums: Sums::of_all(acts)?,
            sums_of_neurons: Sums::of_neurons(neurons),
            sums_b: acts_b.map(Sums::of_all).transpose()?.unwrap_or_default(),
            own: products(Some(acts).filter(|_| needs.correlated_features > 0)),
            b: products(acts_b.filter(|_| needs.correlated_b_features > 0)),
        })
    }

    /// Those of the next features; `None` after the last.
    pub fn next(&mut self) -> Result<Option<Vec<FeatureTables>>> {
        interrupt::check()?;
        let Sources { request, acts_b, .. } = self.sources;
        let at_once = rows_at_once(request.features.len(), acts_b.map_or(0, Store::n_features));
        let features = self.features.start..(self.features.start + at_once).min(self.features.end);
        self.features.start = features.end;
        if features.is_empty() {
            return Ok(None);
        }
        for products in self.own.iter_mut().chain(&mut self.b) {
            products.compute(features.clone())?;
        }
        Ok(Some(features.into_par_iter().map(|i| self.of_one(i)).collect()))
    }

    fn of_one(&self, i: usize) -> FeatureTables {
        let Sources { request, rows, neurons, .. } = self.sources;
        let (n_positions, x, needs) = (rows.n_positions(), self.sums[i], request.needs);
        let own = |products: &Products<'_>| {
            let n = needs.correlated_features as usize;
            partners((x, Some(i)), products.row(i), &self.sums, n_positions, n, |g| request.features[g])
        };
        let b = |products: &Products<'_>| {
            let n = needs.correlated_b_features as usize;
            partners((x, None), products.row(i), &self.sums_b, n_positions, n, |g| g as u32)
        };
        let wanted = |n: u32| (n > 0).then_some(n as usize);
        FeatureTables {
            neuron_alignment: wanted(needs.neuron_alignment).and_then(|n| self.alignment(i, n)),
            correlated_neurons: wanted(needs.correlated_neurons).filter(|_| !neurons.is_empty()).map(|n| {
                correlations::neurons(&neurons.products(i), &self.sums_of_neurons, x, n_positions, n)
            }),
            correlated_features: self.own.as_ref().map(own),
            correlated_b_features: self.b.as_ref().map(b),
        }
    }

    fn alignment(&self, i: usize, n_rows: usize) -> Option<Vec<AlignedNeuron>> {
        let direction = &self.decoder.as_ref()?[i * self.d_out..(i + 1) * self.d_out];
        let l1: f64 = direction.iter().map(|v| f64::from(v.abs())).sum();
        let row = |j: usize| AlignedNeuron {
            neuron: j as u32,
            value: direction[j],
            l1_share: if l1 > 0.0 { (f64::from(direction[j].abs()) / l1) as f32 } else { 0.0 },
        };
        Some(largest(direction, n_rows).into_iter().map(row).collect())
    }
}
