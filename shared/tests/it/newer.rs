//! What a newer version wrote: a bundle of schema 3.99 with a layer, a component, an option, a metric and a kind of group
//! that this build does not know.

use serde_json::json;
use shared::{
    bundle::{decode, encode},
    decimals::Decimals,
    feature::{Feature, FeatureBlock},
    layers::{LABELS, LayerInfo, Unit},
    layout::{Component, Layout},
    manifest::Manifest,
    prompt::{Metric, MetricScores, Prompt, Score},
    sequence::{Group, GroupKind, RowActs, Sequences},
    wire::{Reader, Wire, WireError},
};

/// Bytes that a newer version wrote as the file at some path.
struct Newer(Vec<u8>);

impl Wire for Newer {
    const MIN_BYTES: usize = 0;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(&self.0);
    }

    fn read(_from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self(Vec::new()))
    }
}

fn bytes<T: Wire>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
}

/// A sized struct with more at its end.
fn longer(sized: &[u8], more: &[u8]) -> Vec<u8> {
    let body = Reader::new(sized).sized().map(|_| &sized[sized.len() - body_len(sized)..]).unwrap();
    [&bytes(&((body.len() + more.len()) as u32)), body, more].concat()
}

fn body_len(sized: &[u8]) -> usize {
    u32::read(&mut Reader::new(sized)).unwrap() as usize
}

fn manifest(files: &[shared::manifest::FileInfo]) -> serde_json::Value {
    json!({
        "schema": { "major": 3, "minor": 99 },
        "tool": "a program of the future",
        "model": { "name": "m", "n_experts": 8 },
        "sae": { "name": "s", "hook": "h", "d_sae": 4, "kind": "crosscoder" },
        "dataset": { "name": "d", "language": "en" },
        "features": [{ "start": 0, "end": 1 }],
        "layouts": {
            "feature": {
                "columns": [{
                    "components": [
                        { "type": "umap", "n_neighbours": 15 },
                        { "type": "logits_table", "n_rows": 5, "colours": "viridis" },
                        { "type": "sequences", "stack_mode": "stack-grid", "n_quantiles": 3, "edges": ["new"] },
                    ],
                    "sticky": true,
                }],
                "theme": "sepia",
            },
            "prompt": { "columns": [{ "components": [{ "type": "acts_histogram", "n_bins": 7 }] }] },
        },
        "n_prompts": 1,
        "blocks": [{ "first": 0, "last": 0 }],
        "layers": [LABELS.info(), { "name": "graph", "version": 4, "per": "feature_pair" },
                   { "name": "labels", "version": 9, "per": "bundle" }],
        "files": files,
        "weather": "fine",
    })
}

fn open(files: &[shared::manifest::FileInfo]) -> Manifest {
    Manifest::from_json(&serde_json::to_vec(&manifest(files)).unwrap()).unwrap()
}

#[test]
fn the_manifest_is_read_and_what_is_new_in_it_is_named() {
    let manifest = open(&[]);
    let newer: Vec<(&str, Unit)> = manifest.newer_layers().map(|l| (l.name.as_str(), l.per)).collect();
    assert_eq!(newer, [("graph", Unit::Newer), ("labels", Unit::Bundle)]);
    assert!(manifest.has_layer(&LABELS), "in the version that this build reads");
    assert_eq!(manifest.rows_per_chunk, None, "no corpus");
    assert_eq!(manifest.has_effects(), None, "not known");
    let Layout { columns, newer_options, .. } = &manifest.layouts.feature;
    assert_eq!(newer_options, &["logits_table.colours", "sequences.edges", "sequences.stack_mode"]);
    let components = &columns[0].components;
    assert_eq!(components[0], Component::Newer(json!({ "type": "umap", "n_neighbours": 15 })));
    assert_eq!(components[0].name(), "umap");
    assert!(matches!(&components[1], Component::LogitsTable(options) if options.n_rows == 5));
    assert!(matches!(&components[2], Component::Sequences(options) if options.n_quantiles == 3));
    assert!(manifest.layouts.feature.validate().is_ok());
    let kept = serde_json::to_value(&manifest.layouts.feature).unwrap();
    assert_eq!(kept["columns"][0]["components"][0], json!({ "type": "umap", "n_neighbours": 15 }));
}

#[test]
fn a_group_of_a_newer_kind_shows_its_examples_under_its_name() {
    let kind = GroupKind::Newer { name: "surprising".to_owned() };
    let sequences = Sequences {
        groups: vec![Group { kind: kind.clone(), n_examples: 1, n_positions: Some(5) }],
        rows: vec![0],
        positions: vec![1],
        acts: Decimals::rounded([0.5], 3),
        buffer: Some((1, 0)),
        token_ids: vec![4, 6],
        token_logits: Decimals::rounded([0.1, 0.2], 3),
        row_acts: RowActs {
            rows: vec![9].into(),
            row_len: 3,
            active: vec![1].into(),
            acts: Decimals::rounded([0.5], 3),
            ..RowActs::default()
        },
        ..Sequences::default()
    };
    let feature = Feature { sequences: Some(sequences), ..Feature::default() };
    // The newer version's kind has a field, and its feature one more at the end.
    let mut plain = bytes(&feature);
    let name = b"\x0asurprising";
    let at = plain.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    assert_eq!(plain[at], 0, "no field of its own");
    plain = longer(&plain, b"\x07a later field");
    plain.insert(0, 1);
    let (info, bytes) = encode(&Newer(plain), "features/0000.bin".to_owned()).unwrap();
    let block: FeatureBlock = decode(&open(&[info]), "features/0000.bin", &bytes).unwrap();
    let sequences = block.features[0].sequences.as_ref().unwrap();
    assert_eq!(sequences.groups[0].kind, kind);
    let example = sequences.group_examples(0).remove(0);
    assert_eq!((example.row, example.position, example.act, example.count), (9, 1, 0.5, 1));
    assert_eq!(example.tokens.iter().map(|t| t.token_id).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn a_kind_with_fields_of_its_own_is_skipped_whole() {
    let plain = [bytes(&"surprising".to_owned()), vec![3, 1, 2, 3], vec![42]].concat();
    let mut reader = Reader::new(&plain);
    assert_eq!(GroupKind::read(&mut reader), Ok(GroupKind::Newer { name: "surprising".to_owned() }));
    assert_eq!(u8::read(&mut reader), Ok(42), "what follows is read from its beginning");
}

#[test]
fn a_metric_of_a_newer_version_is_named_and_the_others_are_read() {
    let score = Score { feature: 0, value: 0.5, precision: 3 };
    let prompt = Prompt {
        text: "t".to_owned(),
        token_ids: vec![1],
        scores: vec![MetricScores { metric: Metric::ActSize, positions: vec![vec![score]] }],
        ..Prompt::default()
    };
    let mut plain = bytes(&prompt);
    let name = b"\x08act_size";
    let at = plain.windows(name.len()).position(|w| w == name).unwrap();
    plain[at - 1] = 2; // metrics
    plain.splice(at..at, *b"\x09attention\x04\x01\x02\x03\x04");
    let (info, bytes) = encode(&Newer(plain), "prompts/0000.bin".to_owned()).unwrap();
    let read: Prompt = decode(&open(&[info]), "prompts/0000.bin", &bytes).unwrap();
    assert_eq!(read.newer_metrics, ["attention"]);
    assert_eq!(read.scores_at(Metric::ActSize, 0), [score]);
}

#[test]
fn a_layer_says_where_its_files_lie() {
    assert_eq!(LABELS.path(), "layers/labels.bin");
    assert_eq!(shared::layers::ROLES.path_of(3), "layers/roles/0003.bin");
    let newer = LayerInfo { version: 2, ..LABELS.info() };
    assert!(!newer.is_known() && LABELS.info().is_known());
}
