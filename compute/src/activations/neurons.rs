//! Sums over all positions that correlate features with the neurons of their hook point.
//!
//! For neuron `j` and feature `f`: `sx = Σ x[j]`, `sxx = Σ x[j]²`, `sxy = Σ x[j] a[f]`. The last is the large one;
//! it is summed over active entries only, which at a density of 1 % is a hundredth of the dense product.
//! Batches are summed in f32 and added up in f64, so that a million positions lose no digit that is shown.

use rayon::prelude::*;

use super::sparse::ByFeature;

/// Sums of neurons, and of neurons times features.
#[derive(Debug)]
pub struct NeuronSums {
    d_in: usize,
    sx: Vec<f64>,
    sxx: Vec<f64>,
    /// `[n_features, d_in]`.
    sxy: Vec<f64>,
}

impl NeuronSums {
    /// Zero sums for `n_features` features and `d_in` neurons.
    pub fn new(n_features: usize, d_in: usize) -> Self {
        Self { d_in, sx: vec![0.0; d_in], sxx: vec![0.0; d_in], sxy: vec![0.0; n_features * d_in] }
    }

    /// Adds a batch.
    ///
    /// - `hook_acts`: `[n_pos, d_in]` row-major
    /// - `feature_acts`: of the same positions, which are those from `first` on
    pub fn push(&mut self, hook_acts: &[f32], feature_acts: &ByFeature, first: usize) {
        let d_in = self.d_in;
        let mut sums = vec![(0f32, 0f32); d_in];
        for x in hook_acts.chunks_exact(d_in) {
            for (sum, x) in sums.iter_mut().zip(x) {
                sum.0 += x;
                sum.1 += x * x;
            }
        }
        for ((sx, sxx), (x, xx)) in self.sx.iter_mut().zip(&mut self.sxx).zip(sums) {
            *sx += f64::from(x);
            *sxx += f64::from(xx);
        }
        self.sxy.par_chunks_mut(d_in).enumerate().for_each_init(
            || vec![0f32; d_in],
            |batch, (f, sxy)| {
                let (positions, acts) = feature_acts.of(f);
                if positions.is_empty() {
                    return;
                }
                batch.fill(0.0);
                for (&position, &act) in positions.iter().zip(acts) {
                    let start = (position as usize - first) * d_in;
                    for (sum, x) in batch.iter_mut().zip(&hook_acts[start..start + d_in]) {
                        *sum += act * x;
                    }
                }
                for (sum, batch) in sxy.iter_mut().zip(batch) {
                    *sum += f64::from(*batch);
                }
            },
        );
    }

    /// `Σ x[j] a[f]` for feature `f` and every neuron `j`.
    pub fn products(&self, f: usize) -> &[f64] {
        &self.sxy[f * self.d_in..(f + 1) * self.d_in]
    }

    /// `(Σ x[j], Σ x[j]²)` of neuron `j`.
    pub fn of_neuron(&self, j: usize) -> (f64, f64) {
        (self.sx[j], self.sxx[j])
    }
}
