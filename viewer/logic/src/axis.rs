//! The axis of a statistic over all features: from values to shares of a length, and back.

use shared::index::FeatureIndex;

use crate::{browse::Stat, scale::round_ticks};

/// An axis over the values of a statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    log: bool,
    low: f64,
    high: f64,
}

impl Axis {
    /// The axis that holds all values of `stat`.
    pub fn of(index: &FeatureIndex, stat: Stat) -> Self {
        let log = stat.is_log();
        let values =
            (0..index.len()).map(|i| stat.of(index, i)).filter(|v| v.is_finite() && (!log || *v > 0.0));
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let scale = |v: f64| if log { v.log10() } else { v };
        if low > high {
            return Self { log, low: 0.0, high: 1.0 };
        }
        let (low, high) = (scale(low), scale(high));
        let margin = if high > low { 0.0 } else { 0.5 };
        Self { log, low: low - margin, high: high + margin }
    }

    /// Where `value` lies, from 0 to 1; `None` off the axis.
    pub fn at(&self, value: f64) -> Option<f64> {
        let scaled = if self.log { value.log10() } else { value };
        let at = (scaled - self.low) / (self.high - self.low);
        (-1e-9..=1.0 + 1e-9).contains(&at).then(|| at.clamp(0.0, 1.0))
    }

    /// Which part of the axis lies between two values; `None` where none does.
    pub fn part(&self, low: f64, high: f64) -> Option<(f64, f64)> {
        let at = |value: f64| {
            let scaled = if self.log && value > 0.0 {
                value.log10()
            } else if self.log {
                f64::NEG_INFINITY
            } else {
                value
            };
            (scaled - self.low) / (self.high - self.low)
        };
        let (low, high) = (at(low), at(high));
        (low <= 1.0 && high >= 0.0).then(|| (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0)))
    }

    /// The value at `share` of the axis, rounded outwards so that what is drawn there is inside a range.
    pub fn value(&self, share: f64) -> f64 {
        let scaled = self.low + share.clamp(0.0, 1.0) * (self.high - self.low);
        if self.log { power_of_ten(scaled) } else { scaled }
    }

    /// Ticks with their coordinates: powers of ten, or ends and middle.
    pub fn ticks(&self) -> Vec<(f64, f64)> {
        let at = |v: f64| (v, (v - self.low) / (self.high - self.low));
        let scaled: Vec<(f64, f64)> = if self.log {
            let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
            (first..=last).map(|p| at(p.into())).collect()
        } else {
            round_ticks(self.low, self.high, 6).into_iter().map(at).collect()
        };
        let value = |v: f64| if self.log { power_of_ten(v) } else { v };
        scaled.into_iter().map(|(v, at)| (value(v), at)).collect()
    }
}

/// 10 to the power of `exponent`, to 14 digits. `f64::powf` would bring 2 KB; square roots are instructions.
fn power_of_ten(exponent: f64) -> f64 {
    let (mut power, mut root, mut rest) =
        (10f64.powi(exponent.floor() as i32), 10f64, exponent - exponent.floor());
    // The binary digits of what is left: a half is a square root, a quarter the root of it, and so on.
    while rest > 0.0 {
        root = root.sqrt();
        rest *= 2.0;
        if rest >= 1.0 {
            power *= root;
            rest -= 1.0;
        }
    }
    power
}

/// Number of features in each of `n` equal parts of `axis`.
pub fn counts(index: &FeatureIndex, stat: Stat, axis: &Axis, n: usize) -> Vec<u32> {
    let mut counts = vec![0; n];
    for at in (0..index.len()).filter_map(|i| axis.at(stat.of(index, i))) {
        counts[((at * n as f64) as usize).min(n - 1)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index_of(density: Vec<f32>, max: Vec<f32>) -> FeatureIndex {
        let n = density.len();
        FeatureIndex { features: (0..n as u32).collect(), density, max, ..FeatureIndex::default() }
    }

    #[test]
    fn powers_of_ten_are_those_of_the_library() {
        for i in -90..=90 {
            let exponent = f64::from(i) / 7.0;
            assert!((power_of_ten(exponent) / 10f64.powf(exponent) - 1.0).abs() < 1e-13, "{exponent}");
        }
    }

    #[test]
    fn an_axis_places_its_ends_and_counts_every_live_feature() {
        let index = index_of(vec![0.1, 0.0, 0.001], vec![2.0, 0.0, 5.0]);
        let axis = Axis::of(&index, Stat::Density);
        assert_eq!(counts(&index, Stat::Density, &axis, 2), [1, 1]);
        assert!((axis.value(axis.at(0.01).unwrap()) - 0.01).abs() < 1e-9);
        assert_eq!(axis.ticks().len(), 2);
        assert_eq!(axis.part(f64::NEG_INFINITY, 0.01), Some((0.0, axis.at(0.01).unwrap())));
        assert_eq!(axis.part(0.0005, f64::INFINITY), Some((0.0, 1.0)));
        assert_eq!(axis.part(5.0, 9.0), None, "a range beside the axis");
        let one = index_of(vec![0.0], vec![0.0]);
        assert_eq!(counts(&one, Stat::Max, &Axis::of(&one, Stat::Max), 4), [0; 4]);
    }
}
