//! Moments and quantiles of one feature's activations.

use shared::{
    feature::{Moments, Stats},
    quantiles::{GRID_LEN, grid},
};

/// Density over `n_positions`, and maximum and moments of the active values `acts`.
pub fn stats(acts: &[f32], n_positions: usize) -> Stats {
    let n = acts.len() as f64;
    if acts.is_empty() {
        let moments = Some(Moments::default());
        return Stats { n_active: Some(0), density: Some(0.0), moments, ..Stats::default() };
    }
    let mean = acts.iter().map(|a| f64::from(*a)).sum::<f64>() / n;
    let central = |power| acts.iter().map(|a| (f64::from(*a) - mean).powi(power)).sum::<f64>() / n;
    let variance = central(2);
    let standard =
        |power| if variance > 0.0 { central(power) / variance.powf(f64::from(power) / 2.0) } else { 0.0 };
    Stats {
        n_active: Some(acts.len() as u64),
        density: Some(n / n_positions as f64),
        max: acts.iter().copied().fold(0.0, f32::max),
        min: acts.iter().copied().fold(0.0, f32::min),
        moments: Some(Moments {
            mean,
            std: variance.sqrt(),
            skewness: standard(3),
            kurtosis: if variance > 0.0 { standard(4) - 3.0 } else { 0.0 },
        }),
    }
}

/// Quantiles of the activations' sizes over all positions at the points of [`grid`], with linear interpolation.
///
/// - `acts`: the active values in any order; the other positions are zero
pub fn quantiles(acts: &[f32], n_positions: usize) -> Vec<f64> {
    let mut sorted: Vec<f32> = acts.iter().map(|act| act.abs()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let n_zeros = n_positions - sorted.len();
    let value = |rank: usize| rank.checked_sub(n_zeros).map_or(0.0, |i| f64::from(sorted[i]));
    let last = n_positions.saturating_sub(1);
    let mut values = Vec::with_capacity(GRID_LEN);
    for q in grid() {
        let rank = q * last as f64;
        let below = (rank.floor() as usize).min(last);
        let (low, high) = (value(below), value((below + 1).min(last)));
        values.push(low + (high - low) * (rank - below as f64));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_active_values() {
        // By hand: central moments 2.25, 3 and 11.0625, so skewness 3 / 1.5³ and kurtosis 11.0625 / 1.5⁴ - 3.
        let s = stats(&[1.0, 2.0, 2.0, 5.0], 8);
        assert_eq!(s.n_active, Some(4));
        let m = s.moments.unwrap();
        for (got, expected) in [(s.density.unwrap(), 0.5), (f64::from(s.max), 5.0), (m.mean, 2.5)] {
            assert!((got - expected).abs() < 1e-12, "{got}");
        }
        assert!((m.std - 1.5).abs() < 1e-12);
        assert!((m.skewness - 8.0 / 9.0).abs() < 1e-12, "{}", m.skewness);
        assert!((m.kurtosis - (11.0625 / 5.0625 - 3.0)).abs() < 1e-9, "{}", m.kurtosis);
    }

    #[test]
    fn quantiles_count_the_zeros() {
        let values = quantiles(&[3.0, 1.0], 5);
        assert!(values[..=500].iter().all(|v| *v <= 0.0));
        assert!((values[750] - 1.0).abs() < 1e-12);
        assert!((values[GRID_LEN - 1] - 3.0).abs() < 1e-12);
    }
}
