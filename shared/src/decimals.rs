//! Numbers with as many decimals as a page prints: small to store, and no printed digit is lost.
//!
//! A value is stored as the whole number nearest to `value * 10^digits`, ties to even, which is how it is printed with
//! `digits` decimals. To print what is stored with fewer would round twice.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Invalid, ensure},
    wire::wire,
};

/// Decimals of activations and logits, and of changes of log-probability in hover lists.
pub const DECIMALS: i8 = 3;
/// Decimals of loss effects (nats) and of probability changes (a percentage has two fewer).
pub const EFFECT_DECIMALS: i8 = 4;
/// Significant digits that the largest value of a column keeps, where a fixed number of decimals would leave it fewer.
const SIGNIFICANT: i32 = 3;
/// Decimals are kept within these bounds. The upper keeps `10^digits` an exact double; the lower holds the largest f32.
const DIGITS: std::ops::RangeInclusive<i8> = -30..=15;
/// Largest cell: the difference of any two fits an `i32`. Nine digits, two more than an f32 has.
const MAX_CELL: f64 = 1e9;
/// From this size on values are printed with a power of ten.
const POWERS_FROM: f64 = 1e6;

/// A column of numbers on a decimal grid.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Decimals {
    /// Decimals after the point; negative where whole numbers are rounded.
    pub digits: i8,
    /// `round(value * 10^digits)` for each value.
    pub cells: Vec<i32>,
}

wire!(Decimals { digits, cells });

impl Decimals {
    /// Rounds `values` to `digits` decimals, or to fewer where the largest would need more than nine digits.
    pub fn rounded(values: impl IntoIterator<Item = f64> + Clone, digits: i8) -> Self {
        Self::within(largest_size(values.clone()), values, digits)
    }

    /// Rounds `values` to the decimals that [`decimals_for`] their largest size, or to fewer as [`Decimals::rounded`].
    pub fn to_scale(values: impl IntoIterator<Item = f64> + Clone) -> Self {
        let max = largest_size(values.clone());
        Self::within(max, values, decimals_for(max))
    }

    fn within(max: f64, values: impl IntoIterator<Item = f64>, mut digits: i8) -> Self {
        while max * power_of_ten(digits) > MAX_CELL && digits > *DIGITS.start() {
            digits -= 1;
        }
        let scale = power_of_ten(digits);
        let cell = |v: f64| (v * scale).round_ties_even().clamp(-MAX_CELL, MAX_CELL) as i32;
        Self { digits, cells: values.into_iter().map(cell).collect() }
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
        // Divided or multiplied by a whole power of ten: what was 0.3 is 0.3 again.
        let scale = power_of_ten(self.digits.saturating_abs());
        if self.digits < 0 { f64::from(cell) * scale } else { f64::from(cell) / scale }
    }

    /// Checks the grid and the number of values.
    pub(crate) fn validate(&self, what: &str, len: usize) -> Result<(), Invalid> {
        ensure(DIGITS.contains(&self.digits), || {
            let (low, high) = (DIGITS.start(), DIGITS.end());
            format!("{what} has {} decimals, expected {low} to {high}", self.digits)
        })?;
        ensure(self.len() == len, || format!("{what} has {} values, expected {len}", self.len()))
    }
}

fn power_of_ten(digits: i8) -> f64 {
    10f64.powi(i32::from(digits))
}

fn largest_size(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().filter(|v| v.is_finite()).fold(0f64, |max, v| max.max(v.abs()))
}

/// `value` as a column prints it whose largest value is `max`: with [`decimals_for`] it, or, from a million on, with a
/// power of ten and four digits.
pub fn text(value: f64, max: f64) -> String {
    if max.abs() >= POWERS_FROM && value != 0.0 {
        return format!("{value:.3e}");
    }
    format!("{value:.*}", decimals_for(max).unsigned_abs().into())
}

/// Decimals with which values of size up to `max` are stored and printed: three, as sae_vis prints them, and more where
/// that would leave `max` fewer than three significant digits.
pub fn decimals_for(max: f64) -> i8 {
    let max = max.abs();
    if max <= 0.0 || !max.is_finite() {
        return DECIMALS;
    }
    let magnitude = max.log10().floor() as i32;
    (SIGNIFICANT - 1 - magnitude).clamp(i32::from(DECIMALS), i32::from(*DIGITS.end())) as i8
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
        assert_eq!(text(-0.001_234, -0.001_234), "-0.00123");
    }

    #[test]
    fn very_large_values_are_printed_with_a_power_of_ten() {
        assert_eq!(text(1e8, 1e8), "1.000e8");
        assert_eq!(text(123_456_789.0, 1e20), "1.235e8");
        assert_eq!(text(0.0, 1e20), "0.000");
        assert_eq!(text(999_999.5, 999_999.5), "999999.500");
    }

    #[test]
    fn no_value_is_held_at_the_end_of_a_grid() {
        for max in [2_147_483.647f64, 2_147_483.7, 5e6, 1e8, 1e20, f32::MAX.into()] {
            let stored = Decimals::to_scale([max, -max, max / 3.0]);
            for (got, expected) in stored.values().zip([max, -max, max / 3.0]) {
                assert!((got - expected).abs() <= 1e-8 * max, "{got} for {expected}");
            }
            stored.validate("values", 3).unwrap();
        }
        assert!(Decimals::rounded([0.0, f64::INFINITY], 3).get(1).unwrap() > 0.0);
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

        #[test]
        fn lists_of_any_size_come_back_from_their_steps(
            values in prop::collection::vec(prop::num::f32::NORMAL, 1..40), n in 1usize..7,
        ) {
            let plain = Decimals::to_scale(values.iter().map(|v| f64::from(*v)));
            let steps = plain.clone().stepwise(n);
            let read: Vec<f64> = (0..values.len().div_ceil(n)).flat_map(|i| {
                let len = n.min(values.len() - i * n);
                // The last list may be shorter: its steps are read from its own first value.
                let part = Decimals { digits: steps.digits, cells: steps.cells[i * n..i * n + len].to_vec() };
                part.list(0, len).collect::<Vec<_>>()
            }).collect();
            prop_assert_eq!(read, plain.values().collect::<Vec<_>>());
        }
    }
}
