//! Whether two runs that add in different orders say the same.

#![allow(clippy::panic, reason = "a difference is a failed test")]

use shared::{
    decimals::{DECIMALS, EFFECT_DECIMALS},
    feature::Feature,
    sequence::{EffectView, Example},
};

/// Checks that features of two runs agree: counts and places to the last, numbers within `tolerance`, relative above 1,
/// and what is stored in decimals within a unit of the last besides. Examples that only one of the runs
/// chose must be few: of two activations within the tolerance either may come first.
///
/// # Panics
/// Where they do not agree.
pub fn agree(a: &[Feature], b: &[Feature], tolerance: f64) {
    let close = |what: &str, a: f64, b: f64| close(what, (a, b), tolerance);
    let (mut n_examples, mut n_shared) = (0, 0);
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert_eq!((a.feature, a.stats.n_active), (b.feature, b.stats.n_active));
        close("maximum", f64::from(a.stats.max), f64::from(b.stats.max));
        close("kurtosis", a.stats.kurtosis, b.stats.kurtosis);
        let neurons = |f: &Feature| f.tables.correlated_neurons.clone().unwrap_or_default();
        for (a, b) in neurons(a).iter().zip(&neurons(b)) {
            close("correlation", f64::from(a.pearson), f64::from(b.pearson));
        }
        let groups = |f: &Feature| f.sequences.as_ref().map_or(0, |s| s.groups.len());
        assert_eq!(groups(a), groups(b));
        for (a, b) in examples(a).iter().zip(&examples(b)) {
            n_examples += 1;
            if (a.row, a.position) != (b.row, b.position) {
                continue;
            }
            n_shared += 1;
            assert_eq!(a.tokens.len(), b.tokens.len());
            for (a, b) in a.tokens.iter().zip(&b.tokens) {
                close_in_decimals("activation", (a.act, b.act), tolerance, DECIMALS);
                assert_eq!(a.effect.is_some(), b.effect.is_some(), "an effect is stored in one only");
                if let (Some(a), Some(b)) = (&a.effect, &b.effect) {
                    agree_in_effects(a, b, tolerance);
                }
            }
        }
    }
    assert!(10 * n_shared > 9 * n_examples, "{n_shared} of {n_examples} examples are the same");
}

fn examples(feature: &Feature) -> Vec<Example> {
    let sequences = feature.sequences.as_ref();
    sequences.map_or_else(Vec::new, |s| (0..s.groups.len()).flat_map(|g| s.group_examples(g)).collect())
}

fn agree_in_effects(a: &EffectView, b: &EffectView, tolerance: f64) {
    let effect = |what: &str, a, b| close_in_decimals(what, (a, b), tolerance, EFFECT_DECIMALS);
    effect("loss effect", a.loss_effect, b.loss_effect);
    effect("change of probability", a.prob_change, b.prob_change);
    let lists = [(&a.boosted, &b.boosted), (&a.suppressed, &b.suppressed)];
    for (a, b) in lists.into_iter().flat_map(|(a, b)| a.iter().zip(b)) {
        close_in_decimals("change of log-probability", (a.1, b.1), tolerance, DECIMALS);
    }
}

fn close(what: &str, (a, b): (f64, f64), slack: f64) {
    assert!((a - b).abs() <= slack * (1.0 + a.abs().max(b.abs())), "{what}: {a} and {b}");
}

fn close_in_decimals(what: &str, values: (f64, f64), slack: f64, decimals: i8) {
    close(what, values, slack + 10f64.powi(-i32::from(decimals)));
}
