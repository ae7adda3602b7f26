//! Numbers with as many decimals as a page prints: small to store, and no printed digit is lost.
//!
//! A value is stored as the whole number nearest to `value * 10^digits`, ties to even, which is how it is printed with
//! `digits` decimals. To print what is stored with fewer would round twice.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::error::{Invalid, ensure};

/// Decimals of activations and logits, and of changes of log-probability in hover lists.
pub const DECIMALS: i8 = 3;
/// Decimals of loss effects (nats) and of probability changes (a percentage has two fewer).
pub const EFFECT_DECIMALS: i8 = 4;
/// Significant digits that the largest value of a column keeps, where a fixed number of decimals would leave it fewer.
const SIGNIFICANT: i32 = 3;
/// Decimals are kept within this bound, so that `10^digits` stays an exact double.
const MAX_DIGITS: i8 = 15;

/// A column of numbers on a decimal grid.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Schema)]
pub struct Decimals {
    /// Decimals after the point.
    pub digits: i8,
    /// `round(value * 10^digits)` for each value.
    pub cells: Vec<i32>,
}

impl Decimals {
    /// Rounds `values` to `digits` decimals; values beyond the grid's range are held at its ends.
    pub fn rounded(values: impl IntoIterator<Item = f64>, digits: i8) -> Self {
        let scale = 10f64.powi(i32::from(digits));
        let cells = values.into_iter().map(|v| (v * scale).round_ties_even() as i32).collect();
        Self { digits, cells }
    }

    /// Rounds `values` to the decimals that [`decimals_for`] their largest size.
    pub fn to_scale(values: impl IntoIterator<Item = f64> + Clone) -> Self {
        let max = values.clone().into_iter().fold(0f64, |m, v| m.max(v.abs()));
        Self::rounded(values, decimals_for(max))
    }

    /// The same column with every value after the first of each `n` stored as its distance from the one before.
    ///
    /// Lists that ascend or descend are shorter so; [`Decimals::list`] reads them.
    #[must_use]
    pub fn stepwise(mut self, n: usize) -> Self {
        for list in self.cells.chunks_mut(n.max(1)) {
            for i in (1..list.len()).rev() {
                list[i] = list[i].saturating_sub(list[i - 1]);
            }
        }
        self
    }

    /// The values of list `i` of `n` values each, in a column stored [stepwise](Decimals::stepwise).
    pub fn list(&self, i: usize, n: usize) -> impl Iterator<Item = f64> + '_ {
        let cells = self.cells.get(i * n..(i + 1) * n).unwrap_or_default();
        let mut sum = 0i32;
        cells.iter().map(move |step| {
            sum = sum.saturating_add(*step);
            self.value(sum)
        })
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Value `i`.
    pub fn get(&self, i: usize) -> Option<f64> {
        self.cells.get(i).map(|&c| self.value(c))
    }

    /// All values in order.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.cells.iter().map(|&c| self.value(c))
    }

    fn value(&self, cell: i32) -> f64 {
        f64::from(cell) / 10f64.powi(i32::from(self.digits))
    }

    /// Checks the grid and the number of values.
    pub(crate) fn validate(&self, what: &str, len: usize) -> Result<(), Invalid> {
        ensure((0..=MAX_DIGITS).contains(&self.digits), || {
            format!("{what} has {} decimals, expected 0 to {MAX_DIGITS}", self.digits)
        })?;
        ensure(self.len() == len, || format!("{what} has {} values, expected {len}", self.len()))
    }
}

/// `value` with the decimals of a column whose largest value is `max`.
pub fn text(value: f64, max: f64) -> String {
    format!("{value:.*}", decimals_for(max).unsigned_abs().into())
}

/// Decimals with which values of size up to `max` are stored and printed: three, as sae_vis prints them, and more where
/// that would leave `max` fewer than three significant digits.
pub fn decimals_for(max: f64) -> i8 {
    if max <= 0.0 || !max.is_finite() {
        return DECIMALS;
    }
    let magnitude = max.log10().floor() as i32;
    (SIGNIFICANT - 1 - magnitude).clamp(i32::from(DECIMALS), i32::from(MAX_DIGITS)) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_activations_keep_three_digits_and_large_ones_three_decimals() {
        assert_eq!(text(3.214_56, 12.0), "3.215");
        assert_eq!(text(0.001_234, 0.001_234), "0.00123");
        assert_eq!(text(0.000_2, 0.001_234), "0.00020");
        assert_eq!(text(0.0, 0.0), "0.000");
    }

    proptest! {
        #[test]
        fn what_is_stored_prints_like_what_was_given(
            values in prop::collection::vec(-1f64..1.0, 1..50),
            magnitude in -8i32..5,
        ) {
            let values: Vec<f64> = values.iter().map(|v| v * 10f64.powi(magnitude)).collect();
            let max = values.iter().fold(0f64, |m, v| m.max(v.abs()));
            let stored = Decimals::to_scale(values.iter().copied());
            for (i, value) in values.iter().enumerate() {
                // A number that rounds to nothing has no sign once stored.
                let given = text(*value, max);
                let zero = given.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.'));
                let printed = text(stored.get(i).unwrap(), max);
                prop_assert_eq!(printed, if zero { given.trim_start_matches('-') } else { &given });
            }
        }
    }
}
