//! Correlations of a feature with neurons and with other features, over all positions.
//!
//! Pearson = (n Sxy − Sx Sy) / (√((n Sxx − Sx²)(n Syy − Sy²)) + 1e-6), cosine = Sxy / (√(Sxx Syy) + 1e-6), as
//! sae_vis defines them, with the sums in f64. `Sxy` of two features is summed over the positions at which both
//! are active, one feature at a time, so memory is one row of the matrix that is never built.

use shared::feature::Correlated;

use crate::activations::{ByPosition, NeuronSums};

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
    /// Sums of the active values of a feature; zeros add nothing.
    pub fn of(acts: &[f32]) -> Self {
        acts.iter().fold(Self::default(), |sums, &a| {
            let a = f64::from(a);
            Self { s: sums.s + a, ss: sums.ss + a * a }
        })
    }

    /// Sums of every feature.
    pub fn of_all(acts: &ByPosition) -> Vec<Self> {
        let mut sums = vec![Self::default(); acts.n_features()];
        for active in acts.entries() {
            let (sum, a) = (&mut sums[active.feature as usize], f64::from(active.act));
            sum.s += a;
            sum.ss += a * a;
        }
        sums
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

/// The features that are active together with a given one, most correlated first.
#[derive(Debug)]
pub struct Partners<'a> {
    acts: &'a ByPosition,
    sums: &'a [Sums],
    /// `Σ x y` with each feature, zero between calls.
    products: Vec<f64>,
}

impl<'a> Partners<'a> {
    /// Room to look among the features of `acts`, whose sums are `sums`. One a thread.
    pub fn new(acts: &'a ByPosition, sums: &'a [Sums]) -> Self {
        Self { acts, sums, products: vec![0.0; acts.n_features()] }
    }

    /// The `n_rows` features with the highest Pearson correlation, of those ever active together with the feature
    /// whose active positions and activations are given. A feature never active together with it is no partner.
    ///
    /// - `not`: the feature itself, where it is one of them
    /// - `name`: turns an index of the store into the feature's own
    pub fn of(
        &mut self,
        (positions, acts): (&[u32], &[f32]),
        not: Option<usize>,
        n_rows: usize,
        name: impl Fn(usize) -> u32,
    ) -> Vec<Correlated> {
        for (&position, &act) in positions.iter().zip(acts) {
            let act = f64::from(act);
            for other in self.acts.at(position as usize) {
                self.products[other.feature as usize] += act * f64::from(other.act);
            }
        }
        let (n, x) = (self.acts.n_positions() as f64, Sums::of(acts));
        let mut rows = Vec::new();
        for (g, product) in self.products.iter_mut().enumerate() {
            let sxy = std::mem::take(product);
            if sxy > 0.0 && Some(g) != not {
                rows.push((g, pearson(n, x, self.sums[g], sxy) as f32, cosine(x, self.sums[g], sxy) as f32));
            }
        }
        let by: Vec<f32> = rows.iter().map(|r| r.1).collect();
        let row = |i: usize| Correlated { index: name(rows[i].0), pearson: rows[i].1, cosine: rows[i].2 };
        largest(&by, n_rows).into_iter().map(row).collect()
    }
}
