//! Geometry of histograms: from values to coordinates, as pure functions.

use shared::histogram::Histogram;

/// Size of every histogram, in its own units (CSS pixels when not scaled).
pub const WIDTH: f64 = 340.0;
/// Height with axis.
pub const HEIGHT: f64 = 148.0;
/// Left edge of the bars: room for the counts.
pub const LEFT: f64 = 34.0;
/// Right edge of the bars.
pub const RIGHT: f64 = 332.0;
/// Top of the bars: room for the marked value.
pub const TOP: f64 = 18.0;
/// Bottom of the bars: room for the value axis below.
pub const BOTTOM: f64 = 128.0;

/// A linear map of a domain onto a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    /// Ends of the domain.
    pub domain: (f64, f64),
    /// Ends of the range.
    pub range: (f64, f64),
}

impl Linear {
    /// Where `value` lies in the range; not held at its ends.
    pub fn at(&self, value: f64) -> f64 {
        let span = self.domain.1 - self.domain.0;
        let share = if span == 0.0 { 0.0 } else { (value - self.domain.0) / span };
        self.range.0 + share * (self.range.1 - self.range.0)
    }
}

/// A map of counts onto heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    highest: f64,
    log: bool,
}

/// Where a logarithmic axis of counts begins: a bar of one position is seen.
const LOG_FOOT: f64 = 0.5;

impl Counts {
    /// Where `count` lies, from [`BOTTOM`] to [`TOP`].
    pub fn at(&self, count: u64) -> f64 {
        let count = count as f64;
        let share = if !self.log {
            count / self.highest
        } else if count < LOG_FOOT {
            0.0
        } else {
            (count / LOG_FOOT).log10() / (self.highest / LOG_FOOT).log10()
        };
        BOTTOM + share * (TOP - BOTTOM)
    }

    /// Round counts along the axis.
    fn ticks(&self) -> Vec<u64> {
        let highest = self.highest as u64;
        if !self.log {
            return count_ticks(highest);
        }
        let decades = highest.max(1).ilog10();
        let step = decades / 5 + 1;
        (0..=decades).step_by(step as usize).map(|d| 10u64.pow(d)).collect()
    }
}

/// A histogram laid out: scales and ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// From values to the horizontal.
    pub x: Linear,
    /// From counts to the vertical.
    pub y: Counts,
    /// Ticks of the value axis, inside the domain.
    pub x_ticks: Vec<f64>,
    /// Ticks of the count axis.
    pub y_ticks: Vec<u64>,
}

impl Plot {
    /// Lays out `histogram` over linear or logarithmic counts; zero is always on the value axis.
    pub fn of(histogram: &Histogram, log: bool) -> Self {
        let domain = (f64::from(histogram.min).min(0.0), f64::from(histogram.max).max(0.0));
        let highest = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
        let y = Counts { highest: highest as f64, log };
        Self {
            x: Linear { domain, range: (LEFT, RIGHT) },
            y,
            x_ticks: round_ticks(domain.0, domain.1, N_VALUE_TICKS),
            y_ticks: y.ticks(),
        }
    }

    /// One path for the bars of all bins whose centre `keep` accepts. A count above zero is at least a line.
    pub fn bars(&self, histogram: &Histogram, keep: impl Fn(f64) -> bool) -> String {
        use std::fmt::Write as _;
        let mut path = String::with_capacity(histogram.counts.len() * 24);
        let width = self.x.at(histogram.bin_width()) - self.x.at(0.0);
        let gap = if width > 3.0 { 0.6 } else { 0.0 };
        for (i, &n) in histogram.counts.iter().enumerate() {
            let centre = histogram.centre(i);
            if n == 0 || !keep(centre) {
                continue;
            }
            let left = self.x.at(centre) - width / 2.0 + gap / 2.0;
            let top = self.y.at(n).min(BOTTOM - 1.0);
            // Writing to a string cannot fail.
            let written = write!(path, "M{left:.2} {BOTTOM}V{top:.2}h{:.2}V{BOTTOM}z", width - gap);
            debug_assert!(written.is_ok());
        }
        path
    }
}

/// Ticks of a value axis, at most.
const N_VALUE_TICKS: usize = 9;

/// Multiples of a step of 1, 2 or 5 times a power of ten from `low` to `high`, at most `n` of them, over the whole length.
pub fn round_ticks(low: f64, high: f64, n: usize) -> Vec<f64> {
    let least = (high - low) / (n.max(2) - 1) as f64;
    if least <= 0.0 || !least.is_finite() {
        return vec![low];
    }
    let exponent = least.log10().floor() as i32;
    let decade = power(exponent);
    let factor =
        [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * decade >= least * (1.0 - 1e-9)).unwrap_or(10.0);
    let step = factor * decade;
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    // A multiple of the step, not a sum of steps: 0.3, not 0.30000000000000004.
    (first..=last)
        .map(|i| if exponent < 0 { (i as f64 * factor) / power(-exponent) } else { i as f64 * step })
        .collect()
}

/// 10 to the power of a whole number.
fn power(exponent: i32) -> f64 {
    10f64.powi(exponent)
}

/// Ticks for counts from 0 to `highest`: at most five steps of 1, 2 or 5 times a power of ten.
pub fn count_ticks(highest: u64) -> Vec<u64> {
    let ticks = round_ticks(0.0, highest as f64, 6).into_iter().filter(|t| t.fract() == 0.0);
    ticks.map(|t| t as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_ticks_are_round_and_few() {
        assert_eq!(count_ticks(1), [0, 1]);
        assert_eq!(count_ticks(4), [0, 1, 2, 3, 4]);
        assert_eq!(count_ticks(480), [0, 100, 200, 300, 400]);
        assert_eq!(count_ticks(1850), [0, 500, 1000, 1500]);
        assert_eq!(count_ticks(4000), [0, 1000, 2000, 3000, 4000]);
        for highest in 1..3000 {
            let ticks = count_ticks(highest);
            assert!((2..=6).contains(&ticks.len()), "{highest}: {ticks:?}");
        }
    }

    #[test]
    fn bars_stand_on_the_axis_and_empty_bins_are_left_out() {
        let histogram = Histogram { min: 0.0, max: 2.0, counts: vec![4, 0] };
        let plot = Plot::of(&histogram, false);
        let path = plot.bars(&histogram, |_| true);
        assert_eq!(path.matches('M').count(), 1);
        assert!(path.starts_with(&format!("M{:.2} {BOTTOM}V{TOP:.2}", LEFT + 0.3)), "{path}");
    }

    #[test]
    fn zero_is_on_the_axis_of_values_that_are_all_positive() {
        let plot = Plot::of(&Histogram { min: 3.0, max: 6.0, counts: vec![1; 50] }, false);
        assert!((plot.x.at(0.0) - LEFT).abs() < 1e-9);
        assert_eq!(plot.x_ticks, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn value_ticks_are_round_and_reach_over_the_whole_axis() {
        assert_eq!(round_ticks(0.0, 0.596, 7), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]);
        assert_eq!(round_ticks(0.0, 4.218, 7), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(round_ticks(-0.9, 0.75, 7), [-0.5, 0.0, 0.5]);
        assert_eq!(round_ticks(0.0, 0.0, 7), [0.0]);
        for i in 1..4000 {
            let high = f64::from(i) * 1e-3;
            let ticks = round_ticks(-high / 3.0, high, N_VALUE_TICKS);
            assert!((3..=N_VALUE_TICKS).contains(&ticks.len()), "{high}: {ticks:?}");
            let last = ticks.last().unwrap();
            assert!(high - last <= ticks[1] - ticks[0], "{high}: {ticks:?}");
        }
    }

    #[test]
    fn on_a_logarithmic_axis_one_position_is_seen_and_ticks_are_powers_of_ten() {
        let plot = Plot::of(&Histogram { min: 0.0, max: 1.0, counts: vec![1, 20_000] }, true);
        assert!((plot.y.at(20_000) - TOP).abs() < 1e-9 && (plot.y.at(0) - BOTTOM).abs() < 1e-9);
        assert!(BOTTOM - plot.y.at(1) > 5.0);
        assert_eq!(plot.y_ticks, [1, 10, 100, 1000, 10_000]);
        let one = Plot::of(&Histogram { min: 0.0, max: 1.0, counts: vec![1] }, true);
        assert!((one.y.at(1) - TOP).abs() < 1e-9);
    }
}
