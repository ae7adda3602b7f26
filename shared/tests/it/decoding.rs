//! Files of a bundle that are whole, cut, changed or hostile.

use proptest::prelude::*;
use serde::Serialize;
use shared::{
    BundleError,
    ascending::Ascending,
    bundle::{Encoding, decode, encode},
    corpus::CorpusChunk,
    decimals::Decimals,
    feature::{Feature, FeatureBlock, Stats},
    histogram::Histogram,
    labels::Labels,
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
            sae_dtype: text(),
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
        rows: vec![0, 1].into(),
        row_len: 4,
        places: vec![3, 5, 6].into(),
        acts: Decimals::rounded([0.125, 0.5, 0.25], 3),
        effects: Effects {
            at: vec![0, 1].into(),
            loss: Decimals::rounded([0.3, -0.1], 4),
            prob_change: Decimals::rounded([-0.04, 0.02], 4),
            n_hover: 2,
            hover_tokens: vec![3, 5, 8],
            boosted: vec![0, 1, 2, 0],
            boosted_by: Decimals::rounded([0.7, 0.6, 0.3, 0.2], 3).stepwise(2),
            suppressed: vec![1, 2, 1, 0],
            suppressed_by: Decimals::rounded([-0.9, -0.8, -0.3, -0.2], 3).stepwise(2),
        },
    };
    let sequences = Sequences {
        groups: vec![Group { kind: GroupKind::Top, n_examples: 1 }],
        rows: vec![1],
        positions: vec![1],
        before: Some(1),
        window_len: 3,
        token_ids: vec![5, 3, 5],
        token_logits: Decimals::rounded([0.5, -0.5], 3),
        acts,
    };
    let feature = Feature {
        feature: 2,
        stats: Stats { n_active: 3, density: 0.375, max: 0.5, ..Stats::default() },
        quantiles: Quantiles::of(&[vec![0.0; 2350], vec![0.5]].concat()),
        acts_histogram: Histogram::of(&[0.5, 0.25], 50),
        sequences: Some(sequences),
        ..Feature::default()
    };
    FeatureBlock { features: vec![feature] }
}

/// Labels of two of the bundle's features.
fn labels() -> Labels {
    Labels { features: vec![2, 7], texts: vec!["words after “".to_owned(), "<img src=x>".to_owned()] }
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
    assert_eq!(tokens.iter().map(|t| t.act).collect::<Vec<_>>(), [0.0, 0.5, 0.25]);
    // The last token of the row before is active and has an effect: none of it reaches this row.
    assert!(tokens[0].effect.is_none() && tokens[1].effect.is_none());
    let effect = tokens[2].effect.clone().unwrap();
    assert_eq!((effect.loss_effect, effect.prob_change), (-0.1, 0.02));
    assert_eq!(effect.boosted, [(8, 0.3), (3, 0.2)]);
    assert_eq!(effect.suppressed, [(5, -0.3), (3, -0.2)]);
    assert_eq!(tokens[0].logit, Some(-0.5), "logits are by distinct token id, ascending");
}

#[test]
fn a_row_shows_its_activations_from_any_position_on() {
    let acts = block().features.remove(0).sequences.unwrap().acts;
    let shown =
        |row, start, ids: &[u32]| acts.tokens(row, start, ids).iter().map(|t| t.act).collect::<Vec<_>>();
    assert_eq!(shown(1, 0, &[5, 3, 5, 3]), [0.0, 0.5, 0.25, 0.0]);
    assert_eq!(shown(1, 2, &[5, 3]), [0.25, 0.0]);
    assert_eq!(shown(0, 0, &[5, 3, 5, 3]), [0.0, 0.0, 0.0, 0.125]);
    assert_eq!(shown(7, 0, &[5, 3]), [0.0, 0.0], "a row that is not stored");
    assert!(acts.tokens(1, 2, &[5])[0].effect.is_some(), "of the position before the first token");
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
    let changes: [(Change, &str); 12] = [
        (|s| s.rows.push(0), "1 examples have 2 rows"),
        (|s| s.rows[0] = 2, "row has no activations"),
        (|s| s.window_len = u32::MAX, "windows have 3 token ids"),
        (|s| s.positions[0] = 0, "outside its window"),
        (|s| s.positions[0] = 3, "its window outside its row"),
        (|s| s.token_logits.cells.clear(), "token logits has 0 values, expected 2"),
        (|s| s.acts.row_len = u32::MAX, "rows of 4294967295 tokens are too many"),
        (|s| s.acts.places = vec![3, 5, 8].into(), "outside 2 rows of 4 tokens"),
        (|s| s.acts.effects.at = vec![0, 3].into(), "belongs to no active position"),
        (|s| s.acts.effects.n_hover = u32::MAX, "boosted tokens are 4"),
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
fn every_prefix_of_the_labels_is_an_error_that_names_them() {
    for encoding in [Encoding::Postcard, Encoding::Json] {
        let (manifest, bytes) = file(&labels(), encoding);
        assert_eq!(decode::<Labels>(&manifest, "features/0000.bin", &bytes).unwrap(), labels());
        for n in 0..bytes.len() {
            let error = decode::<Labels>(&manifest, "features/0000.bin", &bytes[..n]).unwrap_err();
            assert!(error.to_string().ends_with("(features/0000.bin)"), "{error}");
        }
    }
}

#[test]
fn labels_that_contradict_one_another_are_refused() {
    type Change = fn(&mut Labels);
    let changes: [(Change, &str); 5] = [
        (|l| l.features.push(9), "3 features have 2 labels"),
        (|l| l.features[0] = 7, "features are not in ascending order"),
        (|l| l.features.reverse(), "features are not in ascending order"),
        (|l| l.texts[1].clear(), "the label of feature 7 has 0 bytes, expected 1 to 4096"),
        (|l| l.texts[0] = "é".repeat(2049), "the label of feature 2 has 4098 bytes, expected 1 to 4096"),
    ];
    for (change, expected) in changes {
        let mut labels = labels();
        change(&mut labels);
        let (manifest, bytes) = file(&labels, Encoding::Postcard);
        let error = decode::<Labels>(&manifest, "features/0000.bin", &bytes).unwrap_err().to_string();
        assert!(error.starts_with("bundle contradicts itself: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_label_shows_what_could_not_be_seen_or_would_turn_its_surroundings() {
    let of = |text: &str| Labels { features: vec![3], texts: vec![text.to_owned()] }.of(3).unwrap();
    assert_eq!(of("a\u{202e}b\u{7}\u{200b}"), r"a\u{202e}b\u{7}\u{200b}");
    assert_eq!(of("<b>été שלום</b>"), "<b>été שלום</b>");
    assert_eq!((labels().of(7), labels().of(3)), (Some("<img src=x>".to_owned()), None));
}

#[test]
fn a_bundle_without_labels_says_so() {
    let mut manifest = manifest(Encoding::Postcard, Vec::new());
    assert!(!manifest.has_labels());
    manifest.files.push(encode(&labels(), manifest.encoding.labels_path(), manifest.encoding).unwrap().0);
    assert!(manifest.has_labels());
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
    fn a_page_prints_what_it_would_print_of_the_value_itself(v in prop_oneof![-50f32..50.0, -0.02f32..0.02, Just(0.0625)]) {
        let stored = Decimals::to_scale([f64::from(v)]);
        let decimals = stored.digits as usize;
        prop_assert!(decimals >= 3);
        // As numbers, for what is stored has no negative zero.
        let printed = |v: f64| format!("{v:.decimals$}").parse::<f64>().unwrap();
        prop_assert!((printed(stored.get(0).unwrap()) - printed(f64::from(v))).abs() < 1e-12);
    }

    #[test]
    fn lists_are_read_as_they_were_stored(lists in prop::collection::vec(prop::collection::vec(-9.0f64..9.0, 4), 0..5)) {
        let plain = Decimals::rounded(lists.concat(), 3);
        let stored = plain.clone().stepwise(4);
        let read: Vec<f64> = (0..lists.len()).flat_map(|i| stored.list(i, 4).collect::<Vec<_>>()).collect();
        prop_assert_eq!(read, plain.values().collect::<Vec<_>>());
    }

    #[test]
    fn ascending_numbers_survive_storage(numbers in prop::collection::vec(prop_oneof![0u32..500, any::<u32>(), Just(u32::MAX)], 0..60)) {
        let ascending = Ascending::from(numbers.clone());
        prop_assert!(ascending.is_sorted_by(|a, b| a < b) && numbers.iter().all(|n| ascending.contains(n)));
        let bytes = postcard::to_stdvec(&ascending).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Ascending>(&bytes).unwrap(), ascending);
    }

    #[test]
    fn whatever_gaps_are_read_the_numbers_ascend(gaps in prop::collection::vec(any::<u32>(), 0..9)) {
        let read = postcard::from_bytes::<Ascending>(&postcard::to_stdvec(&gaps).unwrap());
        prop_assert!(read.is_ok_and(|numbers| numbers.is_sorted_by(|a, b| a < b)) || gaps.iter().map(|g| u64::from(*g) + 1).sum::<u64>() > 1 << 32);
    }

    #[test]
    fn labels_survive_storage(texts in prop::collection::btree_map(any::<u32>(), "\\PC{1,60}", 0..40)) {
        let (features, texts) = texts.into_iter().unzip();
        let labels = Labels { features, texts };
        for encoding in [Encoding::Postcard, Encoding::Json] {
            let (manifest, bytes) = file(&labels, encoding);
            prop_assert_eq!(&decode::<Labels>(&manifest, "features/0000.bin", &bytes).unwrap(), &labels);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (mut manifest, _) = file(&block(), Encoding::Postcard);
        manifest.files[0].decoded_bytes = bytes.len() as u64;
        if let Ok(labels) = decode::<Labels>(&manifest, "features/0000.bin", &bytes) {
            prop_assert!(labels.features.iter().all(|feature| labels.of(*feature).is_some()));
        }
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
            prop_assert!((got - value).abs() <= 5e-4, "{} for {}", got, value);
        }
    }
}
