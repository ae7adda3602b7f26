//! Geometry of histograms: from values to places, as pure functions.

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

/// A histogram laid out: scales and ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// Values to horizontal places.
    pub x: Linear,
    /// Counts to vertical places.
    pub y: Linear,
    /// Ticks of the value axis, inside the domain.
    pub x_ticks: Vec<f64>,
    /// Ticks of the count axis.
    pub y_ticks: Vec<u64>,
}

impl Plot {
    /// Lays out `histogram`; zero is always on the value axis.
    pub fn of(histogram: &Histogram) -> Self {
        let domain = (f64::from(histogram.min).min(0.0), f64::from(histogram.max).max(0.0));
        let highest = histogram.counts.iter().copied().max().unwrap_or(0).max(1);
        let mut x_ticks = histogram.ticks();
        x_ticks.retain(|t| (domain.0..=domain.1).contains(t));
        Self {
            x: Linear { domain, range: (LEFT, RIGHT) },
            y: Linear { domain: (0.0, highest as f64), range: (BOTTOM, TOP) },
            x_ticks,
            y_ticks: count_ticks(highest),
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
            let top = self.y.at(n as f64).min(BOTTOM - 1.0);
            // Writing to a string cannot fail.
            let written = write!(path, "M{left:.2} {BOTTOM}V{top:.2}h{:.2}V{BOTTOM}z", width - gap);
            debug_assert!(written.is_ok());
        }
        path
    }
}

/// Ticks for counts from 0 to `highest`: at most five steps of 1, 2 or 5 times a power of ten.
pub fn count_ticks(highest: u64) -> Vec<u64> {
    let mut step = 1u64;
    for factor in [2u64, 5, 10].into_iter().cycle() {
        if highest / step <= 4 {
            break;
        }
        // 1 → 2 → 5 → 10: the step's own decade times the factor.
        let decade = 10u64.pow(step.ilog10());
        step = decade.saturating_mul(factor);
    }
    (0..=highest / step).map(|i| i * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_ticks_are_round_and_few() {
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
        let plot = Plot::of(&histogram);
        let path = plot.bars(&histogram, |_| true);
        assert_eq!(path.matches('M').count(), 1);
        assert!(path.starts_with(&format!("M{:.2} {BOTTOM}V{TOP:.2}", LEFT + 0.3)), "{path}");
    }

    #[test]
    fn zero_is_on_the_axis_of_values_that_are_all_positive() {
        let plot = Plot::of(&Histogram { min: 3.0, max: 6.0, counts: vec![1; 50] });
        assert!((plot.x.at(0.0) - LEFT).abs() < 1e-9);
        assert_eq!(plot.x_ticks, [0.0, 2.0, 4.0, 6.0]);
    }
}
