//! Every bundle that a run finishes can be read to the end, whatever numbers its SAE has.

use std::path::Path;

use compute::bundle::Bundle;
use proptest::prelude::*;
use serde_json::Value;
use shared::{
    decimals,
    feature::{Feature, FeatureBlock},
    paths,
};

use crate::tiny::{N_FEATURES, SaeNumbers, compute, run_sae, stderr, succeed, write_sae};

/// What is odd about a feature.
#[derive(Debug, Clone, Copy)]
enum Odd {
    /// It has this value everywhere.
    Constant(f32),
    /// Its encoder's direction is this much longer.
    Encoder(f32),
    /// Its decoder's direction is this much longer.
    Decoder(f32),
}

/// Sizes at which numbers lose digits, vanish or overflow.
fn size() -> impl Strategy<Value = f32> {
    prop::sample::select(vec![
        0.0,
        1e-45,
        1e-38,
        1e-12,
        1e-3,
        0.5,
        1e3,
        2_147_483.7,
        5e6,
        1.7e7,
        1e8,
        1e20,
        3e38,
        f32::MAX,
    ])
}

fn odd() -> impl Strategy<Value = Odd> {
    prop_oneof![size().prop_map(Odd::Constant), size().prop_map(Odd::Encoder), size().prop_map(Odd::Decoder)]
}

fn change(numbers: &mut SaeNumbers, feature: usize, odd: Odd) {
    let encoder = numbers.w_enc.iter_mut().skip(feature).step_by(N_FEATURES as usize);
    match odd {
        Odd::Constant(value) => {
            encoder.for_each(|v| *v = 0.0);
            numbers.b_enc[feature] = value;
        }
        Odd::Encoder(factor) => encoder.for_each(|v| *v *= factor),
        Odd::Decoder(factor) => {
            let row = numbers.w_dec.chunks_mut(32).nth(feature).unwrap();
            for v in row {
                *v *= factor;
            }
        }
    }
}

fn features(bundle: &Bundle) -> Vec<Feature> {
    let block = |i| bundle.file::<FeatureBlock>(&paths::block(i)).unwrap().features;
    (0..bundle.manifest.blocks.len()).flat_map(block).collect()
}

/// A constant feature has its value wherever it is shown, and one bar.
fn assert_constant(feature: &Feature, value: f32) {
    assert_eq!(feature.stats.max.to_bits(), value.to_bits());
    let bars = feature.acts_histogram.as_ref().unwrap().counts.iter().filter(|n| **n > 0).count();
    assert_eq!(bars, 1);
    let sequences = feature.sequences.as_ref().unwrap();
    let (mut n, max) = (0, f64::from(value));
    for group in 0..sequences.groups.len() {
        for example in sequences.group_examples(group) {
            for token in example.tokens.iter().filter(|token| token.act != 0.0) {
                assert_eq!(decimals::text(token.act, max), decimals::text(max, max));
                n += 1;
            }
        }
    }
    assert!(n > 0);
}

fn assert_readable(odd: &[(usize, Odd)]) {
    let temp = tempfile::tempdir().unwrap();
    let (sae, out) = (temp.path().join("sae"), temp.path().join("bundle"));
    write_sae(&sae, |numbers| odd.iter().for_each(|(feature, odd)| change(numbers, *feature, *odd)));
    let ended = run_sae(&sae, &out, 0).output().unwrap();
    if !ended.status.success() {
        let said = stderr(&ended);
        assert!(ended.status.code() == Some(1) && said.lines().count() == 1, "{:?}: {said}", ended.status);
        return;
    }
    let bundle = Bundle::open(&out).unwrap();
    let features = features(&bundle);
    assert_eq!(features.len() as i64, N_FEATURES);
    for (feature, odd) in odd {
        // Sizes below the smallest decimal are shown as none.
        if let Odd::Constant(value) = odd
            && *value >= 1e-3
        {
            assert_constant(&features[*feature], *value);
        }
    }
    inspect(&out, odd[0].0);
}

/// Prints a feature as JSON and as lines.
fn inspect(bundle: &Path, feature: usize) {
    let inspect = || {
        let mut inspect = compute();
        inspect.arg("inspect").arg(bundle).args(["--feature", &feature.to_string()]);
        inspect
    };
    let json = succeed(inspect().arg("--json")).stdout;
    assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["feature"], feature);
    succeed(&mut inspect());
}

#[test]
fn constant_features_of_any_size_are_shown_as_they_are() {
    let sizes = [1e-3, 0.5, 2_147_483.7, 5e6, 1.7e7, 1e8, 3e38];
    let odd: Vec<_> = sizes.into_iter().enumerate().map(|(i, size)| (3 * i, Odd::Constant(size))).collect();
    // One at a time as well: the largest may be all that the model reads.
    assert_readable(&odd[..6]);
    assert_readable(&odd[6..]);
}

#[test]
fn an_activation_that_overflows_is_told_and_not_a_dead_feature() {
    let temp = tempfile::tempdir().unwrap();
    let (sae, out) = (temp.path().join("sae"), temp.path().join("bundle"));
    write_sae(&sae, |numbers| {
        numbers.w_enc.iter_mut().skip(3).step_by(N_FEATURES as usize).for_each(|v| *v = 3e38);
    });
    let said = stderr(&run_sae(&sae, &out, 0).output().unwrap());
    assert!(said.starts_with("compute: the activation of feature 3 at blocks."), "{said}");
    assert!(said.contains("is not a finite number (row "), "{said}");
    assert!(!out.exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_numbers_a_bundle_that_is_finished_is_readable(
        odd in prop::collection::btree_map(0usize..N_FEATURES as usize, odd(), 1..8),
    ) {
        assert_readable(&odd.into_iter().collect::<Vec<_>>());
    }
}
