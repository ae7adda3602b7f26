//! Whether two runs that add in different orders say the same.

#![expect(clippy::panic, reason = "a difference is a failed test")]

use shared::{
    decimals::{DECIMALS, EFFECT_DECIMALS},
    feature::{Correlated, Feature, LogitsTable, TokenLogit},
    histogram::Histogram,
    quantiles::Quantiles,
    sequence::{EffectView, Example, GroupKind, Sequences},
};

/// Checks that features of two runs agree: counts and lengths of lists to the last, numbers within `tolerance`, relative
/// above 1, and what is stored in decimals within a unit of the last besides. Examples that only one of the runs
/// chose must be few: of two activations within the tolerance either may come first.
///
/// # Panics
/// Where they do not agree.
pub fn agree(a: &[Feature], b: &[Feature], tolerance: f64) {
    let (mut n_examples, mut n_shared) = (0, 0);
    let pairs = same_length("features", a, b);
    assert!(!a.is_empty(), "there is nothing to compare");
    for (a, b) in pairs {
        assert_eq!(a.feature, b.feature);
        agree_in_numbers(a, b, tolerance);
        let tables = |f: &Feature| {
            let t = f.tables.clone();
            [t.correlated_neurons, t.correlated_features, t.correlated_b_features]
        };
        for (a, b) in tables(a).iter().zip(&tables(b)) {
            both("table of correlations", a.as_ref(), b.as_ref(), |a, b| correlations(a, b, tolerance));
        }
        both("logits table", a.logits_table.as_ref(), b.logits_table.as_ref(), |a, b| {
            logits(a, b, tolerance);
        });
        both("sequences", a.sequences.as_ref(), b.sequences.as_ref(), |a, b| {
            for (a, b) in examples(a, b, tolerance) {
                n_examples += 1;
                if (a.row, a.position) == (b.row, b.position) {
                    n_shared += 1;
                    agree_in_tokens(&a, &b, tolerance);
                }
            }
        });
    }
    assert!(10 * n_shared >= 9 * n_examples, "{n_shared} of {n_examples} examples are the same");
}

/// Statistics, quantiles, histograms and the alignment table.
fn agree_in_numbers(a: &Feature, b: &Feature, tolerance: f64) {
    let close = |what: &str, a: f64, b: f64| close(what, (a, b), tolerance);
    assert_eq!(a.stats.n_active, b.stats.n_active, "feature {}", a.feature);
    both("density", a.stats.density, b.stats.density, |a, b| close("density", a, b));
    close("maximum", a.stats.max.into(), b.stats.max.into());
    close("minimum", a.stats.min.into(), b.stats.min.into());
    both("moments", a.stats.moments, b.stats.moments, |a, b| {
        close("mean", a.mean, b.mean);
        close("standard deviation", a.std, b.std);
        close("skewness", a.skewness, b.skewness);
        close("kurtosis", a.kurtosis, b.kurtosis);
    });
    both("quantiles", a.quantiles.as_ref(), b.quantiles.as_ref(), |a, b| quantiles(a, b, tolerance));
    for (a, b) in [(&a.acts_histogram, &b.acts_histogram), (&a.logits_histogram, &b.logits_histogram)] {
        both("histogram", a.as_ref(), b.as_ref(), |a, b| histogram(a, b, tolerance));
    }
    both(
        "alignment table",
        a.tables.neuron_alignment.as_ref(),
        b.tables.neuron_alignment.as_ref(),
        |a, b| {
            for (a, b) in same_length("aligned neurons", a, b) {
                close("entry of the direction", a.value.into(), b.value.into());
                close("share of the L1 norm", a.l1_share.into(), b.l1_share.into());
            }
        },
    );
}

fn quantiles(a: &Quantiles, b: &Quantiles, tolerance: f64) {
    assert_eq!(a.n_zeros, b.n_zeros, "zeros among the quantiles");
    let decimals = a.steps.digits.min(b.steps.digits);
    for (a, b) in same_length("quantiles", &a.values(), &b.values()) {
        close_in_decimals("quantile", (*a, *b), tolerance, decimals);
    }
}

/// Values near the edge of a bin may lie in either: one in twenty.
fn histogram(a: &Histogram, b: &Histogram, tolerance: f64) {
    close("histogram's start", (a.min.into(), b.min.into()), tolerance);
    close("histogram's end", (a.max.into(), b.max.into()), tolerance);
    let total = |h: &Histogram| h.counts.iter().sum::<u64>();
    assert_eq!(total(a), total(b), "values in a histogram");
    let moved: u64 = same_length("bins", &a.counts, &b.counts).map(|(a, b)| a.abs_diff(*b)).sum();
    assert!(moved <= 4 + total(a) / 10, "{moved} of {} values are in other bins", total(a));
}

/// Rows whose correlations are within the tolerance may have changed ranks.
fn correlations(a: &[Correlated], b: &[Correlated], tolerance: f64) {
    for (a, b) in same_length("correlations", a, b) {
        close("correlation", (a.pearson.into(), b.pearson.into()), tolerance);
        if a.index == b.index {
            close("cosine", (a.cosine.into(), b.cosine.into()), tolerance);
        }
    }
}

fn logits(a: &LogitsTable, b: &LogitsTable, tolerance: f64) {
    let same = |a: &[TokenLogit], b: &[TokenLogit]| {
        for (a, b) in same_length("logits", a, b) {
            close("logit", (a.logit.into(), b.logit.into()), tolerance);
        }
    };
    same(&a.top, &b.top);
    same(&a.bottom, &b.bottom);
}

/// The examples of both, group by group.
fn examples(a: &Sequences, b: &Sequences, tolerance: f64) -> Vec<(Example, Example)> {
    for (a, b) in same_length("groups", &a.groups, &b.groups) {
        // An activation within the tolerance of a bound may lie on either side of it.
        let moved = both_or_neither("positions of a group", a.n_positions, b.n_positions);
        let moved = moved.map_or(0, |(a, b)| a.abs_diff(b));
        assert!(moved <= 2, "{moved} positions are in other groups");
        let differ = u64::from(a.n_examples.abs_diff(b.n_examples));
        assert!(differ <= moved, "{differ} examples of a group more, of {moved} positions more");
        match (&a.kind, &b.kind) {
            (GroupKind::Top, GroupKind::Top) => {}
            (GroupKind::Interval { low, high }, GroupKind::Interval { low: low_b, high: high_b }) => {
                close("lower bound", ((*low).into(), (*low_b).into()), tolerance);
                close("upper bound", ((*high).into(), (*high_b).into()), tolerance);
            }
            kinds => panic!("groups of other kinds: {kinds:?}"),
        }
    }
    let of_group = |g| a.group_examples(g).into_iter().zip(b.group_examples(g));
    (0..a.groups.len()).flat_map(of_group).collect()
}

fn agree_in_tokens(a: &Example, b: &Example, tolerance: f64) {
    close_in_decimals("activation of an example", (a.act, b.act), tolerance, DECIMALS);
    for (a, b) in same_length("tokens", &a.tokens, &b.tokens) {
        assert_eq!((a.position, a.token_id), (b.position, b.token_id));
        close_in_decimals("activation", (a.act, b.act), tolerance, DECIMALS);
        both("logit", a.logit, b.logit, |a, b| close_in_decimals("logit", (a, b), tolerance, DECIMALS));
        both("effect", a.effect.as_ref(), b.effect.as_ref(), |a, b| agree_in_effects(a, b, tolerance));
    }
}

fn agree_in_effects(a: &EffectView, b: &EffectView, tolerance: f64) {
    let effect = |what: &str, a, b| close_in_decimals(what, (a, b), tolerance, EFFECT_DECIMALS);
    effect("loss effect", a.loss_effect, b.loss_effect);
    both("change of probability", a.prob_change, b.prob_change, |a, b| effect("change of probability", a, b));
    for (a, b) in [(&a.boosted, &b.boosted), (&a.suppressed, &b.suppressed)] {
        for (a, b) in same_length("hover tokens", a, b) {
            close_in_decimals("change of log-probability", (a.1, b.1), tolerance, DECIMALS);
        }
    }
}

/// Compares what both have; one alone is a difference.
fn both<T>(what: &str, a: Option<T>, b: Option<T>, compare: impl FnOnce(T, T)) {
    if let Some((a, b)) = both_or_neither(what, a, b) {
        compare(a, b);
    }
}

/// What both have; one alone is a difference.
fn both_or_neither<T>(what: &str, a: Option<T>, b: Option<T>) -> Option<(T, T)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a, b)),
        (None, None) => None,
        (a, _) => panic!("only the {} run has {what}", if a.is_some() { "first" } else { "second" }),
    }
}

/// The pairs of two lists, which must be of one length.
fn same_length<'a, T>(what: &str, a: &'a [T], b: &'a [T]) -> impl Iterator<Item = (&'a T, &'a T)> {
    assert_eq!(a.len(), b.len(), "number of {what}");
    a.iter().zip(b)
}

fn close(what: &str, (a, b): (f64, f64), slack: f64) {
    assert!((a - b).abs() <= slack * (1.0 + a.abs().max(b.abs())), "{what}: {a} and {b}");
}

fn close_in_decimals(what: &str, values: (f64, f64), slack: f64, decimals: i8) {
    close(what, values, slack + 10f64.powi(-i32::from(decimals)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{generate::generate, run::features};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// What changes a feature, and its name.
    type Change = (&'static str, fn(&mut Feature));

    const CHANGES: [Change; 17] = [
        ("one active position more", |f| f.stats.n_active = f.stats.n_active.map(|n| n + 1)),
        ("another maximum", |f| f.stats.max *= 1.01),
        ("another mean", |f| f.stats.moments.as_mut().unwrap().mean += 0.1),
        ("zeros among the quantiles", |f| f.quantiles.as_mut().unwrap().n_zeros += 1),
        ("a quantile fewer", |f| {
            f.quantiles.as_mut().unwrap().steps.cells.pop();
        }),
        ("other quantiles", |f| f.quantiles.as_mut().unwrap().steps.cells[0] += 100),
        ("no correlated neurons", |f| f.tables.correlated_neurons = Some(Vec::new())),
        ("no table of features", |f| f.tables.correlated_features = None),
        ("an aligned neuron fewer", |f| {
            f.tables.neuron_alignment.as_mut().unwrap().pop();
        }),
        ("another correlation", |f| f.tables.correlated_b_features.as_mut().unwrap()[0].pearson -= 0.1),
        ("values in other bins", |f| f.logits_histogram.as_mut().unwrap().counts.rotate_left(5)),
        ("no activations histogram", |f| f.acts_histogram = None),
        ("a logit fewer", |f| {
            f.logits_table.as_mut().unwrap().bottom.pop();
        }),
        ("another logit", |f| f.logits_table.as_mut().unwrap().top[0].logit += 0.1),
        ("no examples", |f| f.sequences = Some(Sequences::default())),
        ("another activation of an example", |f| f.sequences.as_mut().unwrap().acts.cells[0] += 100),
        ("other activations", |f| {
            let acts = &mut f.sequences.as_mut().unwrap().row_acts.acts.cells;
            for act in acts {
                *act += 100;
            }
        }),
    ];

    #[test]
    fn a_run_agrees_with_itself_and_with_no_other() {
        let temp = tempfile::tempdir().unwrap();
        generate(temp.path(), 8, 7).unwrap();
        let all = features(temp.path()).unwrap();
        agree(&all, &all, 1e-4);
        let differs = |other: &[Feature]| {
            catch_unwind(AssertUnwindSafe(|| agree(&all, other, 1e-4))).is_err()
                && catch_unwind(AssertUnwindSafe(|| agree(other, &all, 1e-4))).is_err()
        };
        assert!(differs(&all[1..]), "a feature fewer");
        let alive = all.iter().position(|f| !f.stats.is_dead()).unwrap();
        for (name, change) in CHANGES {
            let mut other = all.clone();
            change(&mut other[alive]);
            assert!(differs(&other), "{name}");
        }
    }
}
