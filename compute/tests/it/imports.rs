//! Bundles of other programs' files say what the files say, which is what our own run says of the same text.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use compute::bundle::Bundle;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};
use shared::{
    feature::{Correlated, Feature, FeatureBlock, TokenLogit},
    paths,
    prompt::{Metric, Prompt},
    sequence::{Example, GroupKind},
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
/// Files of the same run: 512 rows, features 0 to 15, and the format to name.
const FILES: [(&str, &str); 5] = [
    ("neuronpedia-batch-0.json.gz", "neuronpedia"),
    ("sae_dashboard-0.8.html.gz", "sae-dashboard"),
    ("sae_vis-0.2.json.gz", "sae_vis"),
    ("sae_vis-0.2-features.html.gz", "sae_vis"),
    ("sae_vis-0.3-features.html.gz", "sae_vis"),
];

fn compute(args: &[&str]) -> Output {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    Command::new(env!("CARGO_BIN_EXE_compute")).args(args).current_dir(demo).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn import(format: &str, from: &Path, out: &Path) -> Output {
    let mut args = vec!["import", "-q", "--from", format, text(from), "--out", text(out)];
    // A page holds token texts itself.
    if text(from).ends_with(".json.gz") && format == "sae_vis" {
        args.extend(["--tokenizer", "model"]);
    }
    compute(&args)
}

fn imported(format: &str, from: &Path, out: &Path) -> Bundle {
    let done = import(format, from, out);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Bundle::open(out).unwrap()
}

/// Our own run on the text and features of the fixtures, choosing examples as sae_vis does.
fn own(folder: &Path) -> Bundle {
    let layout = folder.join("layout.json");
    let sequences = json!({ "type": "sequences", "fold": "none", "edges": "skip" });
    let column =
        |types: &[&str]| -> Vec<Value> { types.iter().map(|name| json!({ "type": name })).collect() };
    let mut components = column(&["feature_tables", "acts_histogram", "logits_table", "logits_histogram"]);
    components.push(sequences);
    fs::write(&layout, json!({ "columns": [{ "components": components }] }).to_string()).unwrap();
    let out = folder.join("own");
    let run = "run -q --sequences 512 --features 0..16 --model model --sae sae-mlp-a --sae-b sae-mlp-b --data tokens.npy";
    let mut args: Vec<&str> = run.split_whitespace().collect();
    args.extend(["--layout", text(&layout), "--prompt", "def __init__(self):", "--out", text(&out)]);
    let done = compute(&args);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Bundle::open(&out).unwrap()
}

fn features(bundle: &Bundle) -> Vec<Feature> {
    let block = |i| bundle.file::<FeatureBlock>(&paths::block(i)).unwrap().features;
    (0..bundle.manifest.blocks.len()).flat_map(block).collect()
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(1.0)
}

fn assert_correlated(ours: Option<&Vec<Correlated>>, theirs: Option<&Vec<Correlated>>, what: &str) {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { panic!("{what}: {ours:?}, {theirs:?}") };
    assert!(!theirs.is_empty(), "{what}");
    // Of two that are as near as the last digit either may come first.
    assert_eq!(ours[0].index, theirs[0].index, "{what}");
    for (a, b) in ours.iter().zip(theirs) {
        let numbers = [(a.pearson, b.pearson), (a.cosine, b.cosine)];
        let all_near = numbers.iter().all(|(a, b)| near(f64::from(*a), f64::from(*b), 2e-3));
        assert!(all_near, "{what}: {a:?}, {b:?}");
    }
}

/// The ASCII part of a token: pages have the tokenizer's own characters for other bytes.
fn ascii(bundle: &Bundle, id: u32) -> String {
    let text = String::from_utf8_lossy(bundle.vocab.bytes_of(id)).replace('\n', "\\n");
    text.chars().filter(char::is_ascii).collect()
}

/// What an example shows: token texts and activations.
fn shown(example: &Example, bundle: &Bundle) -> (Vec<String>, Vec<f64>) {
    let texts = example.tokens.iter().map(|token| ascii(bundle, token.token_id)).collect();
    (texts, example.tokens.iter().map(|token| token.act).collect())
}

#[test]
fn each_format_holds_the_numbers_of_our_own_run() {
    let temp = tempfile::tempdir().unwrap();
    let own = own(temp.path());
    let ours = features(&own);
    for (file, format) in FILES {
        let bundle = imported(format, &Path::new(FIXTURES).join(file), &temp.path().join("imported"));
        let theirs = features(&bundle);
        assert_eq!((ours.len(), theirs.len()), (16, 16), "{file}");
        let is_sae_vis = format == "sae_vis";
        let mut n_same = 0;
        for (a, b) in ours.iter().zip(&theirs) {
            let what = format!("feature {} of {file}", a.feature);
            assert_eq!((a.feature, a.stats.n_active), (b.feature, b.stats.n_active), "{what}");
            assert!(near(a.stats.max.into(), b.stats.max.into(), 2e-3), "{what}: maximum");
            assert!(near(a.stats.density.unwrap(), b.stats.density.unwrap(), 1e-5), "{what}: density");
            let (t, u) = (&a.tables, &b.tables);
            let neurons = t.neuron_alignment.iter().flatten().zip(u.neuron_alignment.as_ref().unwrap());
            for (a, b) in neurons {
                n_same += usize::from(a.neuron == b.neuron);
                assert!(near(a.value.into(), b.value.into(), 1e-3), "{what}: {a:?}, {b:?}");
                assert!(near(a.l1_share.into(), b.l1_share.into(), 1e-3), "{what}: {a:?}, {b:?}");
            }
            assert_correlated(t.correlated_neurons.as_ref(), u.correlated_neurons.as_ref(), &what);
            if is_sae_vis {
                assert_correlated(t.correlated_b_features.as_ref(), u.correlated_b_features.as_ref(), &what);
            } else {
                assert_eq!(u.correlated_b_features, None, "{what}");
            }
            assert_logits(a, b, (&own, &bundle), &what);
            assert_examples(a, b, (&own, &bundle), &what);
        }
        // Of two entries that are equal either may come first.
        assert!(n_same >= 40, "{file}: {n_same} of 48 aligned neurons are the same");
        if is_sae_vis {
            assert!(theirs.iter().any(has_effects), "{file} has no effect");
        }
    }
}

fn assert_logits(a: &Feature, b: &Feature, (own, bundle): (&Bundle, &Bundle), what: &str) {
    let (ours, theirs) = (a.logits_histogram.as_ref().unwrap(), b.logits_histogram.as_ref().unwrap());
    assert_eq!(ours.counts, theirs.counts, "{what}");
    // The page of bars prints their centres with three or more decimals.
    assert!((ours.min - theirs.min).abs() < 2e-3 && (ours.max - theirs.max).abs() < 2e-3, "{what}");
    let (ours, theirs) = (a.logits_table.as_ref().unwrap(), b.logits_table.as_ref().unwrap());
    for (ours, theirs) in [(&ours.top, &theirs.top), (&ours.bottom, &theirs.bottom)] {
        assert_eq!(ours.len(), theirs.len(), "{what}");
        let text = |bundle: &Bundle, row: &TokenLogit| ascii(bundle, row.token_id);
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a.logit - b.logit).abs() < 6e-3, "{what}: {a:?}, {b:?}");
        }
        assert_eq!(text(own, &ours[0]), text(bundle, &theirs[0]), "{what}");
    }
}

fn assert_examples(a: &Feature, b: &Feature, (own, bundle): (&Bundle, &Bundle), what: &str) {
    let (ours, theirs) = (a.sequences.as_ref().unwrap(), b.sequences.as_ref().unwrap());
    assert_eq!(theirs.groups[0].kind, GroupKind::Top, "{what}");
    let n_intervals = |s: &shared::sequence::Sequences| {
        s.groups.iter().filter(|g| matches!(g.kind, GroupKind::Interval { .. })).count()
    };
    assert!(n_intervals(theirs) > 0 && n_intervals(theirs) <= n_intervals(ours), "{what}");
    let (ours, theirs) = (ours.group_examples(0), theirs.group_examples(0));
    // sae_vis 0.3 leaves out some positions at the ends of rows that others show: what it shows, we show.
    let weakest = ours.last().map_or(0.0, |example| example.act);
    for y in theirs.iter().filter(|y| y.act > weakest + 2e-3) {
        assert!(ours.iter().any(|x| near(x.act, y.act, 2e-3)), "{what}: {} is none of ours", y.act);
    }
    for (x, y) in ours.iter().zip(&theirs).filter(|_| !what.contains("0.3")) {
        assert!(near(x.act, y.act, 2e-3), "{what}: {} and {}", x.act, y.act);
    }
    let ((texts, acts), (their_texts, their_acts)) = (shown(&ours[0], own), shown(&theirs[0], bundle));
    assert_eq!(texts, their_texts, "{what}");
    assert_eq!(acts.len(), their_acts.len(), "{what}");
    assert!(acts.iter().zip(&their_acts).all(|(a, b)| near(*a, *b, 2e-3)), "{what}: {acts:?} {their_acts:?}");
    for (a, b) in ours[0].tokens.iter().zip(&theirs[0].tokens) {
        if let Some(logit) = b.logit {
            assert!(near(a.logit.unwrap(), logit, 2e-3), "{what}: {a:?}, {b:?}");
        }
    }
}

#[test]
fn effects_are_those_of_the_file() {
    let temp = tempfile::tempdir().unwrap();
    let file = Path::new(FIXTURES).join("sae_vis-0.2.json.gz");
    let page = Path::new(FIXTURES).join("sae_vis-0.2-features.html.gz");
    let json: Value = serde_json::from_reader(GzDecoder::new(File::open(&file).unwrap())).unwrap();
    let saved = features(&imported("sae_vis", &file, &temp.path().join("saved")));
    let shown = features(&imported("sae_vis", &page, &temp.path().join("shown")));
    let mut n_effects = 0;
    for (saved, shown) in saved.iter().zip(&shown) {
        let data = &json["feature_data_dict"][saved.feature.to_string()]["sequence_data"]["seq_group_data"];
        let sequences =
            data.as_array().unwrap().iter().flat_map(|group| group["seq_data"].as_array().unwrap());
        let n = sequences.clone().count();
        let (saved, shown) = (saved.sequences.as_ref().unwrap(), shown.sequences.as_ref().unwrap());
        assert_eq!((saved.rows.len(), shown.rows.len()), (n, n));
        for ((sequence, a), b) in sequences.zip(saved.examples(0, n)).zip(shown.examples(0, n)) {
            for (i, (a, b)) in a.tokens.iter().zip(&b.tokens).enumerate() {
                let of = |name: &str| sequence[name][i].as_f64().unwrap();
                assert!(near(a.act, of("feat_acts"), 1e-9) && near(b.act, of("feat_acts"), 1e-3));
                assert_eq!((a.token_id, b.token_id), (of("token_ids") as u32, of("token_ids") as u32));
                // One at a token before which the rounded activation is 0 belongs to no active position.
                let Some(effect) = &a.effect else { continue };
                n_effects += 1;
                assert!(near(effect.loss_effect, of("loss_contribution"), 1e-6));
                assert!(near(b.effect.as_ref().unwrap().loss_effect, of("loss_contribution"), 1e-4));
                assert_eq!(effect.prob_change, None);
                let list = |tokens: &str, by: &str| {
                    let tokens =
                        sequence[tokens][i].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32);
                    let by = sequence[by][i].as_array().unwrap().iter().map(|by| by.as_f64().unwrap());
                    tokens.zip(by).collect::<Vec<_>>()
                };
                assert_eq!(effect.boosted, list("top_token_ids", "top_logits"));
                assert_eq!(effect.suppressed, list("bottom_token_ids", "bottom_logits"));
            }
        }
    }
    assert!(n_effects > 1000, "{n_effects} effects are there");
}

fn has_effects(feature: &Feature) -> bool {
    feature.sequences.as_ref().is_some_and(|sequences| !sequences.row_acts.effects.at.is_empty())
}

#[test]
fn what_a_file_lacks_is_absent() {
    let temp = tempfile::tempdir().unwrap();
    for (file, format) in FILES {
        let bundle = imported(format, &Path::new(FIXTURES).join(file), &temp.path().join("imported"));
        let m = &bundle.manifest;
        assert_eq!(
            (&m.sae.hook, m.sae.d_sae, &m.run, m.rows_per_chunk),
            (&None, None, &None, None),
            "{file}"
        );
        assert_eq!(m.dataset.name, "", "{file}");
        assert_eq!(m.origin.as_ref().unwrap().own_token_ids, format != "neuronpedia", "{file}");
        assert_eq!(m.health, shared::health::Health::default(), "{file}");
        for feature in features(&bundle) {
            assert_eq!(feature.stats.moments, None, "{file}");
            assert_eq!(feature.quantiles.is_some(), file.ends_with("2.json.gz"), "{file}");
            assert_eq!(has_effects(&feature), format == "sae_vis" && has_effects(&feature), "{file}");
            let tokens = feature.sequences.unwrap().group_examples(0);
            let logit = tokens[0].tokens[0].logit;
            assert_eq!(logit.is_some(), format != "neuronpedia", "{file}");
        }
    }
}

#[test]
fn a_prompt_page_has_the_scores_of_our_own_run() {
    let temp = tempfile::tempdir().unwrap();
    let own = own(temp.path());
    let page = Path::new(FIXTURES).join("sae_vis-0.2-prompt.html.gz");
    let bundle = imported("sae_vis", &page, &temp.path().join("imported"));
    let prompt = |bundle: &Bundle| bundle.file::<Prompt>(&paths::prompt(0)).unwrap();
    let (ours, theirs) = (prompt(&own), prompt(&bundle));
    assert_eq!((ours.text.as_str(), &ours.token_ids), (theirs.text.as_str(), &theirs.token_ids));
    let mut n_compared = 0;
    for metric in Metric::ALL {
        for position in 0..ours.token_ids.len() {
            let (a, b) = (ours.scores_at(metric, position), theirs.scores_at(metric, position));
            for (a, b) in a.iter().zip(b) {
                n_compared += 1;
                assert_eq!(a.feature, b.feature, "{metric:?} at {position}");
                // sae_vis ablates in another order of its norm: a loss effect may differ by some percent.
                let tolerance = if metric == Metric::LossEffect { 3e-2 } else { 2e-3 };
                assert!(near(a.value, b.value, tolerance), "{metric:?} at {position}: {a:?}, {b:?}");
            }
        }
    }
    assert!(n_compared >= 5, "{n_compared} scores are there");
}

/// Writes lines of JSON, gzipped.
fn lines(path: &Path, values: &[Value]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut gzip = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    for value in values {
        writeln!(gzip, "{value}").unwrap();
    }
    gzip.finish().unwrap();
}

#[test]
fn an_export_of_neuronpedia_brings_its_explanations() {
    let temp = tempfile::tempdir().unwrap();
    let export = temp.path().join("export");
    let feature = |index: u32| {
        json!({ "modelId": "gpt2-small", "layer": "6-res-jb", "index": index.to_string(), "maxActApprox": 7.5,
            "hookName": "blocks.6.hook_resid_pre", "frac_nonzero": 0.25, "neg_str": ["a"], "neg_values": [-1.5],
            "pos_str": ["b", "<tag>"], "pos_values": [2.5, 1.0], "vector": [], "creatorId": null })
    };
    lines(&export.join("features/batch-0.jsonl.gz"), &[feature(3), feature(2)]);
    lines(&export.join("features/batch-10.jsonl.gz"), &[feature(11)]);
    let activation = |index: u32, values: [f64; 3], bins: Option<(f64, f64)>| {
        json!({ "id": "x", "index": index.to_string(), "tokens": ["▁", " b", "c\n"], "values": values,
            "maxValue": 5.0, "maxValueTokenIndex": 1, "binMin": bins.map(|b| b.0), "binMax": bins.map(|b| b.1),
            "qualifyingTokenIndex": bins.map(|_| 2), "lossValues": [] })
    };
    let activations = [
        activation(2, [0.0, 5.0, 0.5], None),
        activation(3, [0.0, 1.0, 0.0], None),
        activation(2, [0.0, 0.0, 0.5], Some((0.0, 1.0))),
    ];
    lines(&export.join("activations/batch-0.jsonl.gz"), &activations);
    let explanation = |text: &str, by: &str| {
        json!({ "index": "2", "description": text, "explanationModelName": by, "typeName": "oai_token-act-pair",
            "createdAt": "2024-05-01T00:00:00Z", "scores": [{ "value": 0.75, "explanationScoreTypeName": "eleuther_fuzz" }] })
    };
    lines(
        &export.join("explanations/batch-0.jsonl.gz"),
        &[explanation("commas", "gpt-4o"), explanation("", "none")],
    );
    lines(&export.join("explanations-2/batch-0.jsonl.gz"), &[explanation("full stops", "a person")]);

    let bundle = imported("neuronpedia", &export, &temp.path().join("imported"));
    let m = &bundle.manifest;
    assert_eq!((m.model.name.as_str(), m.sae.name.as_str()), ("gpt2-small", "6-res-jb"));
    assert_eq!(m.sae.hook.as_deref(), Some("blocks.6.hook_resid_pre"));
    let features = features(&bundle);
    assert_eq!(features.iter().map(|f| f.feature).collect::<Vec<_>>(), [2, 3, 11]);
    assert_eq!(features.iter().map(|f| f.stats.max).collect::<Vec<_>>(), [7.5; 3]);
    assert_eq!((features[0].stats.density, features[0].stats.n_active), (Some(0.25), None));
    let sequences = features[0].sequences.as_ref().unwrap();
    assert_eq!(sequences.groups.len(), 2);
    let bold: Vec<(u32, f64)> = sequences.examples(0, 2).iter().map(|e| (e.position, e.act)).collect();
    assert_eq!(bold, [(1, 5.0), (2, 0.5)]);
    assert_eq!(features[2].sequences, None);
    let table = features[0].logits_table.as_ref().unwrap();
    assert_eq!(bundle.vocab.bytes_of(table.top[1].token_id), b"<tag>");
    let explanations = bundle.explanations().unwrap();
    let texts: Vec<&str> = explanations.of(2).iter().map(|e| e.text.as_str()).collect();
    assert_eq!(texts, ["commas", "full stops"]);
    assert!(near(explanations.of(2)[0].scores[0].value, 0.75, 1e-12));
    assert_eq!(bundle.labels().unwrap().of(2).as_deref(), Some("commas"));
}

#[test]
fn our_own_batches_come_back() {
    let temp = tempfile::tempdir().unwrap();
    let own = own(temp.path());
    let batches = temp.path().join("batches");
    let done = compute(&["export", "-q", text(&temp.path().join("own")), "--neuronpedia", text(&batches)]);
    assert!(done.status.success(), "{done:?}");
    let back = imported("neuronpedia", &batches, &temp.path().join("back"));
    assert_eq!((back.manifest.dataset.n_rows, back.manifest.dataset.seq_len), (Some(512), Some(128)));
    for (a, b) in features(&own).iter().zip(&features(&back)) {
        let what = format!("feature {}", a.feature);
        let (a, b) = (a.sequences.as_ref().unwrap(), b.sequences.as_ref().unwrap());
        let n_examples: u32 = a.groups.iter().map(|group| group.n_examples).sum();
        assert_eq!(n_examples, b.groups.iter().map(|group| group.n_examples).sum::<u32>(), "{what}");
        let (a, b) = (a.group_examples(0), b.group_examples(0));
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(shown(a, &own).0, shown(b, &back).0, "{what}");
            assert!(near(a.act, b.act, 1e-3), "{what}: {} and {}", a.act, b.act);
        }
    }
}

#[test]
fn features_may_come_in_any_order_but_not_twice() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    let feature = |act: f64| {
        json!({ "seqMultiGroup": [{ "seqGroupMetadata": { "title": "TOP" }, "seqGroupData":
            [{ "seqData": [{ "tok": "a", "tokID": 3, "isBold": true, "featAct": act }] }] }] })
    };
    let page = |features: &str| format!("function defineData() {{\n    return {features};\n}}");
    let saved = |features: &str| {
        format!(
            "{{\"feature_data_dict\": {features}, \"feature_stats\": {{\"max\": [9, 2], \"frac_nonzero\": []}}}}"
        )
    };
    let empty = json!({ "feature_tables_data": {}, "acts_histogram_data": {}, "logits_table_data": { "top_token_ids": [1], "top_logits": [0.5] },
        "logits_histogram_data": {}, "sequence_data": {} });
    for (name, content, twice) in [
        (
            "page.html",
            page(&format!("{{\"9\": {}, \"2\": {}}}", feature(9.0), feature(2.0))),
            page(&format!("{{\"9\": {}, \"9\": {}}}", feature(9.0), feature(2.0))),
        ),
        (
            "saved.json",
            saved(&format!("{{\"9\": {empty}, \"2\": {empty}}}")),
            saved(&format!("{{\"9\": {empty}, \"9\": {empty}}}")),
        ),
    ] {
        let file = temp.path().join(name);
        fs::write(&file, content).unwrap();
        let done = compute(&["import", "-q", "--from", "sae_vis", text(&file), "--out", text(&out)]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let found: Vec<(u32, f32)> =
            features(&Bundle::open(&out).unwrap()).iter().map(|f| (f.feature, f.stats.max)).collect();
        assert_eq!(found, [(2, 2.0), (9, 9.0)], "{name}");
        fs::write(&file, twice).unwrap();
        let done = compute(&["import", "-q", "--from", "sae_vis", text(&file), "--out", text(&out)]);
        assert_eq!(done.status.code(), Some(1), "{name} has a feature twice");
    }
}

#[test]
fn cut_and_wrong_files_are_one_line_and_leave_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (folder, out) = (temp.path().join("in"), temp.path().join("out"));
    fs::create_dir(&folder).unwrap();
    let refused = |format: &str, file: &Path, what: &str| {
        let done = import(format, file, &out);
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{what}: {said}");
        assert!(said.starts_with("compute: ") && said.lines().count() == 1, "{what}: {said}");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "{what} left something");
    };
    for (file, format) in FILES.into_iter().chain([("sae_vis-0.2-prompt.html.gz", "sae_vis")]) {
        let bytes = fs::read(Path::new(FIXTURES).join(file)).unwrap();
        let cut = folder.join(file);
        for i in 0..20 {
            fs::write(&cut, &bytes[..bytes.len() * i / 20]).unwrap();
            refused(format, &cut, &format!("{file} cut at {i} of 20"));
        }
    }
    for (name, content) in [
        ("empty.json", ""),
        ("list.json", "[]"),
        ("nothing.json", r#"{"feature_data_dict":{},"feature_stats":{"max":[],"frac_nonzero":[]}}"#),
        ("page.html", "<html></html>"),
        ("none.html", "function defineData() { return {}; }"),
        ("deep.html", &format!("function defineData() {{ return {{\"0\": {}", "[".repeat(100_000))),
        (
            "id.html",
            r#"function defineData() { return {"0": {"tokenData": {"a": {"data": [[{"tok":"a","tokID":4294967295}]]}}}}; }"#,
        ),
        ("twice.json", r#"{"features":[{"feature_index":1},{"feature_index":1}]}"#),
        ("unnamed.json", r#"{"features":[{}]}"#),
    ] {
        let file: PathBuf = folder.join(name);
        fs::write(&file, content).unwrap();
        for format in ["sae_vis", "sae-dashboard", "neuronpedia", "json"] {
            refused(format, &file, name);
        }
    }
    refused("neuronpedia", &folder, "a folder of other files");
    refused("sae_vis", &folder, "a folder");
    refused("neuronpedia", &folder.join("nowhere"), "nothing");
}
