//! Files of a bundle that are whole, cut, changed or hostile.

use proptest::prelude::*;
use shared::{
    BundleError,
    ascending::Ascending,
    bundle::{Checked, decode, encode},
    corpus::CorpusChunk,
    decimals::Decimals,
    feature::{Feature, FeatureBlock, Moments, Stats},
    health::Health,
    histogram::Histogram,
    labels::Labels,
    layers::LABELS,
    layout::Layout,
    manifest::{
        BlockInfo, DatasetInfo, FeatureRange, FileInfo, Layouts, MAJOR, MINOR, Manifest, ModelInfo, RunInfo,
        SaeInfo, SchemaVersion,
    },
    prompt::Prompt,
    quantiles::Quantiles,
    sequence::{Effects, Group, GroupKind, RowActs, Sequences},
    shared_folder::SharedFolder,
    wire::{Reader, Wire},
};

/// The path under which every test's file lies.
const PATH: &str = "features/0000.bin";

fn manifest(files: Vec<FileInfo>) -> Manifest {
    let text = || "x".to_owned();
    Manifest {
        schema: SchemaVersion { major: MAJOR, minor: MINOR },
        tool: text(),
        model: ModelInfo { name: text(), ..ModelInfo::default() },
        sae: SaeInfo { name: text(), hook: Some(text()), d_sae: Some(10), ..SaeInfo::default() },
        sae_b: None,
        dataset: DatasetInfo { name: text(), n_rows: Some(2), seq_len: Some(4), ..DatasetInfo::default() },
        origin: None,
        run: Some(RunInfo { device: text(), dtype: text(), ..RunInfo::default() }),
        features: vec![FeatureRange { start: 2, end: 4 }, FeatureRange { start: 7, end: 8 }],
        layouts: Layouts { feature: Layout::default_feature(), prompt: Layout::default_prompt() },
        health: Health::default(),
        n_prompts: 0,
        rows_per_chunk: Some(2),
        blocks: vec![BlockInfo { first: 2, last: 3 }, BlockInfo { first: 7, last: 7 }],
        layers: Vec::new(),
        shared: None,
        files,
    }
}

/// A block with one feature that has something of everything.
fn block() -> FeatureBlock {
    let row_acts = RowActs {
        rows: vec![0, 1].into(),
        row_len: 4,
        row_lens: Vec::new(),
        active: vec![3, 5, 6].into(),
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
        groups: vec![Group { kind: GroupKind::Top, n_examples: 1, n_positions: Some(3) }],
        rows: vec![1],
        positions: vec![1],
        acts: Decimals::rounded([0.5], 3),
        counts: vec![2],
        buffer: Some((1, 1)),
        token_ids: vec![5, 3, 5],
        token_logits: Decimals::rounded([0.5, -0.5], 3),
        row_acts,
    };
    let feature = Feature {
        feature: 2,
        stats: Stats {
            n_active: Some(3),
            density: Some(0.375),
            max: 0.5,
            moments: Some(Moments { mean: 0.25, ..Moments::default() }),
            ..Stats::default()
        },
        quantiles: Some(Quantiles::of(&[vec![0.0; 2350], vec![0.5]].concat())),
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
fn file<T: Wire>(value: &T) -> (Manifest, Vec<u8>) {
    let (info, bytes) = encode(value, PATH.to_owned()).unwrap();
    (manifest(vec![info]), bytes)
}

/// What `bytes` hold, unpacked, as a value.
fn read<T: Checked>(plain: &[u8]) -> Result<T, BundleError> {
    let info = FileInfo {
        path: PATH.to_owned(),
        bytes: plain.len() as u64,
        decoded_bytes: plain.len() as u64,
        crc32: 0,
        shared: false,
    };
    decode(&manifest(vec![info]), PATH, plain)
}

#[test]
fn what_is_encoded_is_decoded() {
    let (manifest, bytes) = file(&block());
    assert!(decode::<FeatureBlock>(&manifest, PATH, &bytes).unwrap() == block());
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
    assert_eq!((effect.loss_effect, effect.prob_change), (-0.1, Some(0.02)));
    assert_eq!(effect.boosted, [(8, 0.3), (3, 0.2)]);
    assert_eq!(effect.suppressed, [(5, -0.3), (3, -0.2)]);
    assert_eq!(tokens[0].logit, Some(-0.5), "logits are by distinct token id, ascending");
}

#[test]
fn a_row_shows_its_activations_from_any_position_on() {
    let acts = block().features.remove(0).sequences.unwrap().row_acts;
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
    let (manifest, bytes) = file(&block());
    for n in 0..bytes.len() {
        let error = decode::<FeatureBlock>(&manifest, PATH, &bytes[..n]).unwrap_err();
        assert!(error.to_string().ends_with("(features/0000.bin)"), "{error}");
    }
    let mut plain = Vec::new();
    block().write(&mut plain);
    for n in 0..plain.len() {
        let error = read::<FeatureBlock>(&plain[..n]).unwrap_err();
        assert!(error.to_string().ends_with("(features/0000.bin)"), "{error}");
    }
}

#[test]
fn a_changed_byte_is_found_by_the_checksum() {
    let (manifest, mut bytes) = file(&block());
    for i in 2..bytes.len() {
        bytes[i] ^= 0x40;
        let error = decode::<FeatureBlock>(&manifest, PATH, &bytes).unwrap_err();
        assert!(matches!(error, BundleError::Checksum { .. }), "byte {i}: {error}");
        bytes[i] ^= 0x40;
    }
}

#[test]
fn a_host_that_unpacks_gzip_itself_is_understood() {
    let mut plain = Vec::new();
    block().write(&mut plain);
    assert!(read::<FeatureBlock>(&plain).unwrap() == block());
}

#[test]
fn a_file_that_unpacks_to_more_than_it_says_is_refused() {
    let (mut manifest, bytes) = file(&vec![0u8; 1 << 20]);
    manifest.files[0].decoded_bytes = 100;
    let error = decode::<FeatureBlock>(&manifest, PATH, &bytes).unwrap_err();
    assert!(matches!(error, BundleError::Truncated { expected: 100, got: 101, .. }), "{error}");
}

#[test]
fn values_that_contradict_one_another_are_refused() {
    type Change = fn(&mut Sequences);
    let changes: [(Change, &str); 16] = [
        (|s| s.rows.push(0), "1 examples have 2 rows"),
        (|s| s.rows[0] = 2, "row has no activations"),
        (|s| s.counts.push(1), "1 examples have 2 counts"),
        (|s| s.counts[0] = 0, "stands for no window"),
        (|s| s.acts.cells.clear(), "activations of examples has 0 values, expected 1"),
        (|s| s.buffer = None, "windows have 3 token ids, expected 4"),
        (|s| s.positions[0] = 0, "windows have 3 token ids, expected 2"),
        (|s| s.positions[0] = 4, "an example lies outside its row"),
        (|s| s.token_logits.cells.truncate(1), "token logits has 1 values, expected 2"),
        (|s| s.row_acts.row_len = u32::MAX, "rows of 4294967295 tokens are too many"),
        (|s| s.row_acts.row_lens = vec![4, 5], "a row has 5 tokens, the longest 4"),
        (|s| s.row_acts.active = vec![3, 5, 8].into(), "outside 2 rows of 4 tokens"),
        (|s| s.row_acts.effects.at = vec![0, 3].into(), "belongs to no active position"),
        (|s| s.row_acts.effects.n_hover = u32::MAX, "boosted tokens are 4"),
        (|s| s.row_acts.effects.boosted[0] = 3, "point outside their dictionary"),
        (|s| s.row_acts.acts.digits = 100, "activations has 100 decimals"),
    ];
    for (change, expected) in changes {
        let mut block = block();
        change(block.features[0].sequences.as_mut().unwrap());
        let (manifest, bytes) = file(&block);
        let error = decode::<FeatureBlock>(&manifest, PATH, &bytes).unwrap_err().to_string();
        assert!(error.starts_with("bundle contradicts itself: feature 2: "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn every_prefix_of_the_labels_is_an_error_that_names_them() {
    let (manifest, bytes) = file(&labels());
    assert_eq!(decode::<Labels>(&manifest, "features/0000.bin", &bytes).unwrap(), labels());
    for n in 0..bytes.len() {
        let error = decode::<Labels>(&manifest, "features/0000.bin", &bytes[..n]).unwrap_err();
        assert!(error.to_string().ends_with("(features/0000.bin)"), "{error}");
    }
}

#[test]
fn labels_that_contradict_one_another_are_refused() {
    type Change = fn(&mut Labels);
    let changes: [(Change, &str); 4] = [
        (|l| l.features[0] = 7, "features are not in ascending order"),
        (|l| l.features.reverse(), "features are not in ascending order"),
        (|l| l.texts[1].clear(), "the label of feature 7 has 0 bytes, expected 1 to 4096"),
        (|l| l.texts[0] = "é".repeat(2049), "the label of feature 2 has 4098 bytes, expected 1 to 4096"),
    ];
    for (change, expected) in changes {
        let mut labels = labels();
        change(&mut labels);
        let (manifest, bytes) = file(&labels);
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
fn labels_for_another_number_of_features_are_refused_before_they_are_read() {
    let mut plain = Vec::new();
    vec![2u32, 3, 7].write(&mut plain);
    vec![String::new(); 1 << 16].write(&mut plain);
    let error = read::<Labels>(&plain).unwrap_err().to_string();
    assert_eq!(error, "could not read the bundle: a list of 65536 belongs to 3 (features/0000.bin)");
}

#[test]
fn a_bundle_without_labels_says_so() {
    let mut manifest = manifest(Vec::new());
    assert!(!manifest.has_layer(&LABELS));
    manifest.layers.push(LABELS.info());
    assert!(manifest.has_layer(&LABELS));
}

#[test]
fn a_manifest_of_another_major_version_says_what_to_do() {
    let mut manifest = manifest(Vec::new());
    manifest.schema.major = MAJOR + 1;
    let said = Manifest::from_json(&manifest.to_json().unwrap()).unwrap_err().to_string();
    assert!(said.contains("open it with a newer viewer (manifest.json)"), "{said}");
    manifest.schema.major = 1;
    let said = Manifest::from_json(&manifest.to_json().unwrap()).unwrap_err().to_string();
    assert!(said.contains("run `compute` again to write it anew (manifest.json)"), "{said}");
}

#[test]
fn a_manifest_that_names_files_outside_its_folder_is_refused() {
    for path in ["../secret", "/etc/passwd", "a//b", "a/./b", "c:/x", "..\\x", "", "a/\u{0}"] {
        let mut manifest = manifest(Vec::new());
        let (info, _) = encode(&labels(), path.to_owned()).unwrap();
        manifest.files.push(info);
        let said = Manifest::from_json(&manifest.to_json().unwrap()).unwrap_err().to_string();
        assert!(said.starts_with("bundle contradicts itself: it lists a file outside it: "), "{said}");
    }
}

#[test]
fn a_shared_folder_lies_inside_the_site() {
    let shared = |path: &str| SharedFolder::try_from(path.to_owned());
    let folder = shared("../../corpus/pile").unwrap();
    assert_eq!(folder.in_site("layers/5").unwrap(), "corpus/pile");
    assert_eq!(String::from(folder.clone()), "../../corpus/pile");
    for bundle in ["layers", "", "layers/5/res", "layers/..", "../5"] {
        folder.in_site(bundle).unwrap_err();
    }
    for path in ["corpus", "../../", "/corpus", "../a/../../b", "..", "https://host/corpus", "../a\\b"] {
        shared(path).unwrap_err();
    }
}

#[test]
fn the_manifest_finds_the_block_of_a_feature() {
    let manifest = manifest(Vec::new());
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
        let mut bytes = Vec::new();
        ascending.write(&mut bytes);
        prop_assert_eq!(Ascending::read(&mut Reader::new(&bytes)).unwrap(), ascending);
    }

    #[test]
    fn whatever_gaps_are_read_the_numbers_ascend(gaps in prop::collection::vec(any::<u32>(), 0..9)) {
        let mut bytes = Vec::new();
        gaps.write(&mut bytes);
        let read = Ascending::read(&mut Reader::new(&bytes));
        prop_assert!(read.is_ok_and(|numbers| numbers.is_sorted_by(|a, b| a < b)) || gaps.iter().map(|g| u64::from(*g) + 1).sum::<u64>() > 1 << 32);
    }

    #[test]
    fn labels_survive_storage(texts in prop::collection::btree_map(any::<u32>(), "\\PC{1,60}", 0..4)) {
        let (features, texts) = texts.into_iter().unzip();
        let labels = Labels { features, texts };
        let (manifest, bytes) = file(&labels);
        prop_assert_eq!(decode::<Labels>(&manifest, PATH, &bytes).unwrap(), labels);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(labels) = read::<Labels>(&bytes) {
            prop_assert!(labels.features.iter().all(|feature| labels.of(*feature).is_some()));
        }
        drop(read::<Prompt>(&bytes));
        if let Ok(block) = read::<FeatureBlock>(&bytes) {
            for feature in &block.features {
                let groups = feature.sequences.as_ref().map_or(0, |s| s.groups.len());
                (0..groups).for_each(|g| { let _examples = feature.sequences.as_ref().map(|s| s.group_examples(g)); });
            }
        }
    }

    #[test]
    fn changed_bytes_never_panic(at in any::<prop::sample::Index>(), change in 1u8..) {
        let mut plain = Vec::new();
        block().write(&mut plain);
        let at = at.index(plain.len());
        plain[at] ^= change;
        if let Ok(block) = read::<FeatureBlock>(&plain) {
            for sequences in block.features.iter().filter_map(|f| f.sequences.as_ref()) {
                prop_assert_eq!(sequences.examples(0, usize::MAX).len(), sequences.rows.len());
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
