//! A reader in another language, written by the documentation alone, reads what this crate writes.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use shared::{
    bundle::encode,
    decimals::Decimals,
    feature::{
        AlignedNeuron, Correlated, Feature, FeatureBlock, FeatureTables, LogitsTable, Moments, Stats,
        TokenLogit,
    },
    histogram::Histogram,
    paths,
    quantiles::Quantiles,
    sequence::{Group, GroupKind, RowActs, Sequences},
};

/// Two features: one with something of everything, and a dead one.
fn block() -> FeatureBlock {
    let group = |kind, n_positions| Group { kind, n_examples: 1, n_positions };
    let correlated = Correlated { index: 300, pearson: 0.5, cosine: -0.25 };
    let token = |token_id, logit| TokenLogit { token_id, logit };
    let full = Feature {
        feature: 1234,
        stats: Stats {
            n_active: Some(3),
            density: Some(0.375),
            max: 0.5,
            min: -0.25,
            moments: Some(Moments { mean: 0.25, std: 0.125, skewness: -1.0, kurtosis: 2.0 }),
        },
        quantiles: Some(Quantiles::of(&[vec![0.0; 2350], vec![0.5]].concat())),
        tables: FeatureTables {
            neuron_alignment: Some(vec![AlignedNeuron { neuron: 7, value: -0.5, l1_share: 0.125 }]),
            correlated_features: Some(vec![correlated]),
            ..FeatureTables::default()
        },
        acts_histogram: Histogram::of(&[0.5, 0.25], 3),
        logits_histogram: None,
        logits_table: Some(LogitsTable { top: vec![token(9, 1.5)], bottom: vec![token(2, -0.5)] }),
        sequences: Some(Sequences {
            groups: vec![
                group(GroupKind::Top, Some(3)),
                group(GroupKind::Interval { low: 0.0, high: 0.5 }, None),
                group(GroupKind::Newer { name: "später".to_owned() }, Some(1 << 40)),
            ],
            rows: vec![0, 0, 1],
            positions: vec![0, 1, 200],
            acts: Decimals::rounded([0.5, -0.25, 3e9], 3),
            row_acts: RowActs { rows: vec![5, 9].into(), row_len: 300, ..RowActs::default() },
            ..Sequences::default()
        }),
    };
    let dead = Feature { feature: 1235, ..Feature::default() };
    FeatureBlock { features: vec![full, dead] }
}

#[test]
fn python_reads_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (info, bytes) = encode(&block(), paths::block(0)).unwrap();
    fs::create_dir(folder.path().join("features")).unwrap();
    fs::write(folder.path().join(&info.path), bytes).unwrap();
    fs::write(folder.path().join(paths::MANIFEST), json!({ "blocks": [info] }).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_bundle.py");
    let output = Command::new("python3").arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!([
        {
            "feature": 1234, "n_active": 3, "density": 0.375, "max": 0.5, "min": -0.25,
            "tables": [[[7, -0.5, 0.125]], null, [[300, 0.5, -0.25]], null],
            "histograms": [[0.25, 0.5, [1, 0, 1]], null],
            "logits": [[[9, 1.5]], [[2, -0.5]]],
            "groups": [
                { "kind": "top", "n_examples": 1, "n_positions": 3 },
                { "kind": "interval", "n_examples": 1, "n_positions": null },
                { "kind": "später", "n_examples": 1, "n_positions": 1_099_511_627_776u64 },
            ],
            "examples": [[0, 0, 0.0], [0, 1, 0.0], [1, 200, 3_000_000_000.0]],
        },
        {
            "feature": 1235, "n_active": null, "density": null, "max": 0.0, "min": 0.0,
            "tables": [null, null, null, null], "histograms": [null, null], "logits": null,
            "groups": null, "examples": null,
        },
    ]);
    assert_eq!(read, expected);
}
