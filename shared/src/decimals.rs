//! Numbers cut to a decimal grid: small to store, and exact wherever a page prints fewer digits.
//!
//! A value `v` is stored as the cell `floor(v * 10^digits)` and read back as the middle of that cell. The
//! middle lies strictly between the two edges, so rounding it to *fewer* decimals gives what rounding `v`
//! itself gives: no printed digit depends on the cut (a value exactly on a tie excepted). Rounding instead
//! of cutting would round twice.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::error::{Invalid, ensure};

/// Significant digits kept of the largest value of a column whose scale is the feature's own.
const SIGNIFICANT: i32 = 6;
/// Decimals are kept within this bound, so that `10^digits` stays an exact double.
const MAX_DIGITS: i32 = 15;

/// A column of numbers on a decimal grid.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Schema)]
pub struct Decimals {
    /// Decimals after the point; negative where the grid is coarser than one.
    pub digits: i8,
    /// `floor(value * 10^digits)` for each value.
    pub cells: Vec<i32>,
}

impl Decimals {
    /// Cuts `values` to `digits` decimals; values beyond the grid's range are held at its ends.
    pub fn cut(values: impl IntoIterator<Item = f64>, digits: i8) -> Self {
        let scale = 10f64.powi(i32::from(digits));
        let cells = values.into_iter().map(|v| (v * scale).floor() as i32).collect();
        Self { digits, cells }
    }

    /// Cuts `values` so that the one of largest size keeps six significant digits.
    pub fn cut_to_scale(values: impl IntoIterator<Item = f64> + Clone) -> Self {
        let max = values.clone().into_iter().fold(0f64, |m, v| m.max(v.abs()));
        Self::cut(values, Self::digits_for(max))
    }

    /// The decimals that leave six significant digits to a value of size `max`.
    pub fn digits_for(max: f64) -> i8 {
        if max <= 0.0 || !max.is_finite() {
            return 0;
        }
        (SIGNIFICANT - 1 - max.log10().floor() as i32).clamp(-MAX_DIGITS, MAX_DIGITS) as i8
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Value `i`, the middle of its cell.
    pub fn get(&self, i: usize) -> Option<f64> {
        self.cells.get(i).map(|&c| self.value(c))
    }

    /// All values in order.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.cells.iter().map(|&c| self.value(c))
    }

    fn value(&self, cell: i32) -> f64 {
        (f64::from(cell) + 0.5) / 10f64.powi(i32::from(self.digits))
    }

    /// Checks the grid and the number of values.
    pub(crate) fn validate(&self, what: &str, len: usize) -> Result<(), Invalid> {
        ensure(i32::from(self.digits).abs() <= MAX_DIGITS, || {
            format!("{what} has {} decimals, at most {MAX_DIGITS} are possible", self.digits)
        })?;
        ensure(self.len() == len, || format!("{what} has {} values, expected {len}", self.len()))
    }
}
