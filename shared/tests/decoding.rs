//! Files of a bundle that are whole, cut, changed or hostile.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use serde::Serialize;
use shared::{
    BundleError,
    bundle::{Encoding, decode, encode},
    corpus::CorpusChunk,
    decimals::Decimals,
    feature::{Feature, FeatureBlock, Stats},
    histogram::Histogram,
    layout::Layout,
    manifest::{
        BlockInfo, DatasetInfo, FeatureRange, FileInfo, Health, Layouts, MAJOR, MINOR, Manifest, ModelInfo,
        RunInfo, SaeInfo, SchemaVersion,
    },
    quantiles::Quantiles,
    sequence::{Effects, Group, GroupKind, RowActs, Sequences},
};

fn manifest(encoding: Encoding, files: Vec<FileInfo>) -> Manifest {
    let text = || "x".to_owned();
    Manifest {
        schema: SchemaVersion { major: MAJOR, minor: MINOR },
        tool: text(),
        model: ModelInfo {
            name: text(),
            family: text(),
            n_layers: 1,
            d_model: 4,
            d_vocab: 9,
            sha256: text(),
        },
        sae: SaeInfo {
            name: text(),
            architecture: text(),
            format: text(),
            hook: text(),
            d_in: 4,
            d_sae: 10,
            sha256: text(),
        },
        sae_b: None,
        dataset: DatasetInfo {
            name: text(),
            n_rows: 2,
            seq_len: 4,
            prepend_bos: false,
            shuffled: false,
            skip_special: false,
            files: Vec::new(),
            sha256: text(),
        },
        run: RunInfo {
            device: text(),
            dtype: text(),
            batch_rows: 1,
            seed: 0,
            center_writing_weights: false,
            fold_value_biases: false,
        },
        features: vec![FeatureRange { start: 2, end: 4 }, FeatureRange { start: 7, end: 8 }],
        layouts: Layouts { feature: Layout::default_feature(), prompt: Layout::default_prompt() },
        health: Health::default(),
        n_prompts: 0,
        encoding,
        rows_per_chunk: 2,
        blocks: vec![BlockInfo { first: 2, last: 3 }, BlockInfo { first: 7, last: 7 }],
        files,
    }
}

/// A block with one feature that has something of everything.
fn block() -> FeatureBlock {
    let acts = RowActs {
        rows: vec![1],
        n_active: vec![2],
        positions: vec![1, 2],
        acts: Decimals::cut([0.5, 0.25], 6),
        effects: Effects {
            at: vec![0],
            loss: Decimals::cut([-0.1], 5),
            prob_change: Decimals::cut([0.02], 5),
            n_hover: 2,
            hover_tokens: vec![3, 5, 8],
            boosted: vec![2, 0],
            boosted_by: Decimals::cut([0.3, 0.2], 4),
            suppressed: vec![1, 0],
            suppressed_by: Decimals::cut([-0.3, -0.2], 4),
        },
    };
    let sequences = Sequences {
        groups: vec![Group { kind: GroupKind::Top, n_examples: 1 }],
        rows: vec![1],
        positions: vec![1],
        starts: vec![0],
        window_len: 3,
        token_ids: vec![5, 3, 5],
        token_logits: Decimals::cut([0.5, -0.5], 5),
        acts,
    };
    let feature = Feature {
        feature: 2,
        stats: Stats { n_active: 2, density: 0.25, max: 0.5, ..Stats::default() },
        quantiles: Quantiles::of(&[vec![0.0; 2350], vec![0.5]].concat()),
        acts_histogram: Histogram::of(&[0.5, 0.25], 50),
        sequences: Some(sequences),
        ..Feature::default()
    };
    FeatureBlock { features: vec![feature] }
}

/// The file of a value, and a manifest that lists it.
fn file<T: Serialize>(value: &T, encoding: Encoding) -> (Manifest, Vec<u8>) {
    let (info, bytes) = encode(value, "features/0000.bin".to_owned(), encoding).unwrap();
    (manifest(encoding, vec![info]), bytes)
}

#[test]
fn what_is_encoded_is_decoded_in_both_encodings() {
    for encoding in [Encoding::Postcard, Encoding::Json] {
        let (manifest, bytes) = file(&block(), encoding);
        assert!(decode::<FeatureBlock>(&manifest, "features/0000.bin", &bytes).unwrap() == block());
    }
}

#[test]
fn a_window_shows_activations_and_effects_on_the_token_after() {
    let sequences = block().features.remove(0).sequences.unwrap();
    let tokens = sequences.group_examples(0).remove(0).tokens;
    assert_eq!(tokens.iter().map(|t| t.token_id).collect::<Vec<_>>(), [5, 3, 5]);
    assert!(
        tokens[0].act == 0.0 && (tokens[1].act - 0.5).abs() < 1e-6 && (tokens[2].act - 0.25).abs() < 1e-6
    );
    assert!(tokens[0].effect.is_none() && tokens[1].effect.is_none());
    let effect = tokens[2].effect.as_ref().unwrap();
    assert!((effect.loss_effect + 0.1).abs() < 1e-5);
    assert_eq!(effect.boosted.iter().map(|e| e.0).collect::<Vec<_>>(), [8, 3]);
    assert_eq!(effect.suppressed.iter().map(|e| e.0).collect::<Vec<_>>(), [5, 3]);
    assert!((tokens[0].logit.unwrap() + 0.5).abs() < 1e-5, "logits are by distinct token id, ascending");
}

#[test]
fn every_prefix_of_a_file_is_an_error_that_names_it() {
    for encoding in [Encoding::Postcard, Encoding::Json] {
        let (manifest, bytes) = file(&block(), encoding);
        for n in 0..bytes.len() {
            let error = decode::<FeatureBlock>(&manifest, "features/0000.bin", &bytes[..n]).unwrap_err();
            assert!(error.to_string().ends_with("(features/0000.bin)"), "{error}");
        }
    }
}

#[test]
fn a_changed_byte_is_found_by_the_checksum() {
    let (manifest, mut bytes) = file(&block(), Encoding::Postcard);
    for i in 2..bytes.len() {
        bytes[i] ^= 0x40;
        let error = decode::<FeatureBlock>(&manifest, "features/0000.bin", &bytes).unwrap_err();
        assert!(matches!(error, BundleError::Checksum { .. }), "byte {i}: {error}");
        bytes[i] ^= 0x40;
    }
}

#[test]
fn a_host_that_unpacks_gzip_itself_is_understood() {
    let (manifest, _) = file(&block(), Encoding::Json);
    let plain = serde_json::to_vec(&block()).unwrap();
    assert!(decode::<FeatureBlock>(&manifest, "features/0000.bin", &plain).unwrap() == block());
}

#[test]
fn a_file_that_unpacks_to_more_than_it_says_is_refused() {
    let (mut manifest, bytes) = file(&vec![0u8; 1 << 20], Encoding::Postcard);
    manifest.files[0].decoded_bytes = 100;
    let error = decode::<FeatureBlock>(&manifest, "features/0000.bin", &bytes).unwrap_err();
    assert!(matches!(error, BundleError::Truncated { expected: 100, got: 101, .. }), "{error}");
}

#[test]
fn values_that_contradict_one_another_are_refused() {
    type Change = fn(&mut Sequences);
    let changes: [(Change, &str); 9] = [
        (|s| s.rows.push(3), "1 examples have 2 rows"),
        (|s| s.window_len = u32::MAX, "windows have 3 token ids"),
        (|s| s.positions[0] = 7, "outside its window"),
        (|s| s.token_logits.cells.clear(), "token logits has 0 values, expected 2"),
        (|s| s.acts.n_active[0] = u32::MAX, "active positions are counted"),
        (|s| s.acts.effects.at[0] = 2, "effects are out of order"),
        (|s| s.acts.effects.n_hover = u32::MAX, "boosted tokens are 2"),
        (|s| s.acts.effects.boosted[0] = 3, "point outside their dictionary"),
        (|s| s.acts.acts.digits = 100, "activations has 100 decimals"),
    ];
    for (change, expected) in changes {
        let mut block = block();
        change(block.features[0].sequences.as_mut().unwrap());
        let (manifest, bytes) = file(&block, Encoding::Postcard);
        let error = decode::<FeatureBlock>(&manifest, "features/0000.bin", &bytes).unwrap_err().to_string();
        assert!(error.starts_with("bundle contradicts itself: feature 2: "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_manifest_of_another_major_version_says_what_to_do() {
    let mut manifest = manifest(Encoding::Postcard, Vec::new());
    manifest.schema.major = MAJOR + 1;
    let said = Manifest::from_json(&manifest.to_json().unwrap()).unwrap_err().to_string();
    assert!(said.contains("open it with a newer viewer (manifest.json)"), "{said}");
    let newer_minor = format!("{{\"schema\": {{\"major\": {MAJOR}, \"minor\": 99}}}}");
    let said = Manifest::from_json(newer_minor.as_bytes()).unwrap_err().to_string();
    assert!(
        said.contains("missing field"),
        "a newer minor version is read, and this one is incomplete: {said}"
    );
}

#[test]
fn the_manifest_finds_the_block_of_a_feature() {
    let manifest = manifest(Encoding::Postcard, Vec::new());
    assert!(Manifest::from_json(&manifest.to_json().unwrap()).unwrap() == manifest);
    assert_eq!([2, 3, 7].map(|f| manifest.block_of(f).unwrap()), [0, 0, 1]);
    for missing in [0, 4, 6, 8, u32::MAX] {
        let said = manifest.block_of(missing).unwrap_err().to_string();
        assert_eq!(said, format!("bundle has no feature {missing}: it holds 3 between 2 and 7"));
    }
}

#[test]
fn a_corpus_chunk_gives_its_own_rows_only() {
    let chunk = CorpusChunk { first_row: 4, seq_len: 2, token_ids: vec![1, 2, 3, 4], documents: vec![7, 7] };
    assert_eq!((chunk.row(4), chunk.row(5)), (Some(&[1, 2][..]), Some(&[3, 4][..])));
    assert_eq!((chunk.row(3), chunk.row(6)), (None, None));
}

proptest! {
    #[test]
    fn printing_fewer_digits_than_are_stored_prints_the_value_itself(v in -50.0f64..50.0, decimals in 0usize..4) {
        let stored = Decimals::cut_to_scale([v]).get(0).unwrap();
        prop_assume!(v.abs() > 1e-3);
        prop_assert_eq!(format!("{stored:.decimals$}"), format!("{v:.decimals$}"));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (mut manifest, _) = file(&block(), Encoding::Postcard);
        manifest.files[0].decoded_bytes = bytes.len() as u64;
        let outcome = decode::<FeatureBlock>(&manifest, "features/0000.bin", &bytes);
        if let Ok(block) = outcome {
            for feature in &block.features {
                let groups = feature.sequences.as_ref().map_or(0, |s| s.groups.len());
                (0..groups).for_each(|g| { let _examples = feature.sequences.as_ref().map(|s| s.group_examples(g)); });
            }
        }
    }

    #[test]
    fn quantiles_survive_storage(values in prop::collection::vec(0f64..9.0, 0..300)) {
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        let all: Vec<f64> = std::iter::repeat_n(0.0, 2351 - sorted.len()).chain(sorted).collect();
        let back = Quantiles::of(&all).values();
        prop_assert_eq!(back.len(), all.len());
        for (got, value) in back.iter().zip(&all) {
            prop_assert!((got - value).abs() < 1e-4, "{} for {}", got, value);
        }
    }
}
