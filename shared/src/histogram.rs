//! Histograms of equal bins, and where their axis has ticks.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Invalid, ensure},
    wire::wire,
};

/// Counts of values in equal bins from `min` to `max`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Histogram {
    /// Left edge of the first bin: the smallest value counted, or 0 where all values are equal and positive.
    pub min: f32,
    /// Right edge of the last bin, which includes it: the largest value counted, or 0 where all are equal and negative.
    pub max: f32,
    /// Number of values in each bin.
    pub counts: Vec<u64>,
}

wire!(Histogram { min, max, counts });

impl Histogram {
    /// Counts `values` in `n_bins` equal bins from their minimum to their maximum; `None` without values.
    ///
    /// Where all values are equal the bins go from 0 to the value, so that activations are never shown below 0; all zero,
    /// from 0 to 1.
    pub fn of(values: &[f32], n_bins: usize) -> Option<Self> {
        let (&first, _) = values.split_first()?;
        let (min, max) = values.iter().fold((first, first), |(lo, hi), &v| (lo.min(v), hi.max(v)));
        let (min, max) = match max {
            _ if min < max => (min, max),
            _ if max > 0.0 => (0.0, max),
            _ if min < 0.0 => (min, 0.0),
            _ => (0.0, 1.0),
        };
        let mut counts = vec![0u64; n_bins.max(1)];
        let last = counts.len() - 1;
        let per_unit = counts.len() as f64 / (f64::from(max) - f64::from(min));
        for &v in values {
            let bin = ((f64::from(v) - f64::from(min)) * per_unit) as usize;
            counts[bin.min(last)] += 1;
        }
        Some(Self { min, max, counts })
    }

    /// Centre of bin `i`.
    pub fn centre(&self, i: usize) -> f64 {
        f64::from(self.min) + (i as f64 + 0.5) * self.bin_width()
    }

    /// Width of a bin, in the unit of the values.
    pub fn bin_width(&self) -> f64 {
        (f64::from(self.max) - f64::from(self.min)) / self.counts.len().max(1) as f64
    }

    /// Ticks of the value axis; see [`ticks`].
    pub fn ticks(&self) -> Vec<f64> {
        ticks(f64::from(self.min), f64::from(self.max))
    }

    pub(crate) fn validate(&self, what: &str) -> Result<(), Invalid> {
        ensure(!self.counts.is_empty() && self.counts.len() <= 10_000, || {
            format!("{what} has {} bins, expected 1 to 10000", self.counts.len())
        })?;
        ensure(self.min.is_finite() && self.max.is_finite() && self.min < self.max, || {
            format!("{what} spans {} to {}", self.min, self.max)
        })
    }
}

/// Ticks for an axis from `min` to `max`: multiples of a step, zero among them, three on the longer side.
///
/// The step is the third of the longer side, cut to a multiple of 0.1 (the "5 ticks" rule of sae_vis 0.2). Where
/// a third is below 0.1, sae_vis has no step left; here the unit becomes 0.01, 0.001 and so on.
pub fn ticks(min: f64, max: f64) -> Vec<f64> {
    let side = max.max(-min);
    if side <= 0.0 || !side.is_finite() {
        return vec![0.0];
    }
    let mut decimals = 1;
    while side * 10f64.powi(decimals) / 3.0 + 1e-4 < 1.0 && decimals < 15 {
        decimals += 1;
    }
    let unit = 10f64.powi(decimals);
    let step = (1e-4 + side * unit / 3.0).floor().max(1.0) / unit;
    let round = |v: f64| (v * unit).round() / unit;
    let n_negative = if -min >= max { 3 } else { (-min / step).max(0.0) as i32 };
    let n_positive = if max > -min { 3 } else { (max / step).max(0.0) as i32 };
    (-n_negative..=n_positive).map(|i| round(f64::from(i) * step)).collect()
}
