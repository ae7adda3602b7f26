//! The quantile table of a feature: where an activation falls among all positions.
//!
//! The grid is the one of sae_vis: fine where the values that matter are. Values are quantiles over *all*
//! positions, zeros included, with linear interpolation; a feature is zero at most positions, so the leading
//! zeros are counted, not stored.

use serde::{Deserialize, Serialize};

use crate::{
    decimals::Decimals,
    error::{Invalid, ensure},
    wire::wire,
};

/// Ranges of the grid: (start, end, decimals of its step).
const RANGES: [(f64, f64, i32); 3] = [(0.0, 0.95, 3), (0.95, 0.99, 4), (0.99, 1.0, 5)];

/// Number of points of [`grid`].
pub const GRID_LEN: usize = 2351;

/// The quantiles at which a table is taken: steps of 1e-3 below 0.95, 1e-4 to 0.99, 1e-5 to 1.
pub fn grid() -> Vec<f64> {
    let mut grid = Vec::with_capacity(GRID_LEN);
    for (start, end, decimals) in RANGES {
        let unit = 10f64.powi(decimals);
        let n = ((end - start) * unit).round() as usize;
        grid.extend((0..n).map(|i| (start * unit).round() / unit + i as f64 / unit));
    }
    grid.push(1.0);
    grid
}

/// Decimals with which a quantile is known where it stands on the grid: 3, 4 or 5.
pub fn precision(quantile: f64) -> u8 {
    RANGES.iter().find(|(_, end, _)| quantile < *end).map_or(5, |&(_, _, decimals)| decimals as u8)
}

/// Values of one feature's activations at the quantiles of [`grid`]; of their sizes where the SAE is signed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Quantiles {
    /// Number of grid points at the start whose value is zero. A dead feature has all of them.
    pub n_zeros: u32,
    /// Values at the remaining points, ascending, [`Decimals::stepwise`].
    pub steps: Decimals,
}

wire!(Quantiles { n_zeros, steps });

impl Quantiles {
    /// Keeps the values at all grid points: `values` ascending, [`GRID_LEN`] long.
    pub fn of(values: &[f64]) -> Self {
        let n_zeros = values.iter().take_while(|v| **v <= 0.0).count();
        let steps = Decimals::to_scale(values[n_zeros..].iter().copied()).stepwise(values.len());
        Self { n_zeros: n_zeros as u32, steps }
    }

    /// Values at all grid points.
    pub fn values(&self) -> Vec<f64> {
        std::iter::repeat_n(0.0, self.n_zeros as usize).chain(self.steps.list(0, self.steps.len())).collect()
    }

    /// The quantile at which `act` stands, and the decimals with which it is known.
    ///
    /// It is the first grid point whose value is not below `act`.
    pub fn locate(values: &[f64], act: f64) -> (f64, u8) {
        let i = values.partition_point(|v| *v < act).min(GRID_LEN - 1);
        let quantile = grid()[i];
        (quantile, precision(quantile))
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let n = self.n_zeros as usize;
        ensure(n <= GRID_LEN, || format!("quantiles have {n} zeros of {GRID_LEN} points"))?;
        ensure(self.steps.cells.iter().all(|s| *s >= 0), || "quantiles descend".into())?;
        self.steps.validate("quantiles", GRID_LEN - n)
    }
}
