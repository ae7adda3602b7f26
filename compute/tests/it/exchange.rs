//! What other programs read of a bundle says what they would have said themselves.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use flate2::read::GzDecoder;
use serde_json::Value;
use shared::{feature::FeatureBlock, paths};

fn compute(args: &[&str]) -> Output {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo");
    Command::new(env!("CARGO_BIN_EXE_compute")).args(args).current_dir(demo).output().unwrap()
}

/// A bundle of the demo's first 512 rows, which SAEDashboard read too.
fn bundle(folder: &Path) -> PathBuf {
    let out = folder.join("bundle");
    let run = "run -q --sequences 512 --features 0..16 --model model --sae sae-mlp-a --data tokens.npy \
               --labels labels.json --out";
    let args: Vec<&str> = run.split_whitespace().chain([out.to_str().unwrap()]).collect();
    assert!(compute(&args).status.success());
    out
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Compares numbers that both programs rounded to three decimals.
fn assert_near(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() < 1.5e-3, "{what}: {ours:?}, expected {theirs:?}");
    }
}

/// Intervals of a feature's activations and the share of positions in each.
fn bins(feature: &Value) -> Vec<[f64; 3]> {
    let bin = |a: &Value| ["bin_min", "bin_max", "bin_contains"].map(|name| a[name].as_f64().unwrap());
    let mut bins: Vec<_> = feature["activations"].as_array().unwrap().iter().map(bin).collect();
    bins.sort_by(|a, b| a.partial_cmp(b).unwrap());
    bins.dedup();
    bins
}

#[test]
fn neuronpedia_gets_what_sae_dashboard_would_send() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, out) = (bundle(folder.path()), folder.path().join("batches"));
    let done = compute(&[
        "export",
        bundle.to_str().unwrap(),
        "--neuronpedia",
        out.to_str().unwrap(),
        "--model-id",
        "demo",
        "--sae-set",
        "demo",
    ]);
    assert!(done.status.success(), "{done:?}");
    let ours: Value = serde_json::from_reader(File::open(out.join("batch-0.json")).unwrap()).unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/neuronpedia-batch-0.json.gz");
    let theirs: Value = serde_json::from_reader(GzDecoder::new(File::open(fixture).unwrap())).unwrap();
    for name in ["model_id", "layer", "sae_set", "sae_id_suffix"] {
        assert_eq!(ours[name], theirs[name], "{name}");
    }
    let (ours, theirs) = (ours["features"].as_array().unwrap(), theirs["features"].as_array().unwrap());
    assert_eq!((ours.len(), theirs.len()), (16, 16));
    let mut n_bins = 0;
    for (ours, theirs) in ours.iter().zip(theirs) {
        let names = |feature: &Value| feature.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let (mut names, mut expected) = (names(ours), names(theirs));
        names.sort();
        expected.sort();
        assert_eq!(names, expected);
        assert_eq!((&ours["n_prompts_total"], &ours["n_tokens_in_prompt"]), (&512.into(), &128.into()));
        let feature = &ours["feature_index"];
        for name in ["feature_index", "pos_str", "neg_str", "logits_hist_data_bar_heights"] {
            assert_eq!(ours[name], theirs[name], "{name} of feature {feature}");
        }
        for name in ["neuron_alignment_indices", "correlated_neurons_indices"] {
            // The third may be as near as the fourth.
            let first = |feature: &Value| feature[name].as_array().unwrap()[..2].to_vec();
            assert_eq!(first(ours), first(theirs), "{name} of feature {feature}");
        }
        // Of a feature that is active once theirs has no width; here its bins begin at 0.
        if theirs["freq_hist_data_bar_values"][0] != theirs["freq_hist_data_bar_values"][1] {
            let name = "freq_hist_data_bar_values";
            assert_near(&numbers(&ours[name]), &numbers(&theirs[name]), name);
            let name = "freq_hist_data_bar_heights";
            assert_eq!(ours[name], theirs[name], "{name} of feature {feature}");
        }
        for name in [
            "neuron_alignment_values",
            "neuron_alignment_l1",
            "correlated_neurons_l1",
            "correlated_neurons_pearson",
            "pos_values",
            "neg_values",
            "logits_hist_data_bar_values",
        ] {
            assert_near(&numbers(&ours[name]), &numbers(&theirs[name]), name);
        }
        let density = |feature: &Value| feature["frac_nonzero"].as_f64().unwrap();
        assert!((density(ours) - density(theirs)).abs() < 1e-5);
        // Theirs fill the lowest interval with positions at which the feature is not active.
        let their_bins = bins(theirs);
        for [low, high, share] in bins(ours) {
            let same = |bin: &&[f64; 3]| (bin[0] - low).abs() < 1.5e-3 && (bin[1] - high).abs() < 1.5e-3;
            // Intervals that are met at rows' edges alone are not in theirs.
            if let Some(bin) = their_bins.iter().find(same) {
                assert!((bin[2] - share).abs() < 2e-5, "{low} to {high}: {share}, expected {bin:?}");
                n_bins += 1;
            }
        }
        let (first, expected) = (&ours["activations"][0], &theirs["activations"][0]);
        let text = |tokens: &Value| -> String {
            tokens.as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect()
        };
        let at = first["qualifying_token_index"].as_u64().unwrap() as usize;
        assert!((numbers(&first["values"])[at] - first["bin_max"].as_f64().unwrap()).abs() < 1e-9);
        // Ours are cut at a row's edges, where theirs are left out: only of the others can the text be the same.
        if numbers(&first["values"]).len() == 11 && first["bin_max"] == expected["values"][5] {
            assert_eq!(text(&first["tokens"]), text(&expected["tokens"]));
            assert_near(&numbers(&first["values"]), &numbers(&expected["values"]), "values");
        }
    }
    assert!(n_bins > 100, "{n_bins} intervals were compared");
}

#[test]
fn attribution_graphs_find_features_by_their_number_in_the_graph() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (bundle(folder.path()), folder.path().join("features"));
    let (bundle, out_text) = (path.to_str().unwrap(), out.to_str().unwrap());
    let export =
        |more: &[&str]| compute(&[&["export", bundle, "--graph-features", out_text][..], more].concat());
    let done = export(&["--layer", "2"]);
    assert!(done.status.success(), "{done:?}");
    let opened = compute::bundle::Bundle::open(&path).unwrap();
    let features = opened.file::<FeatureBlock>(&paths::block(0)).unwrap().features;
    let labels = opened.labels().unwrap();
    let mut numbers_of_files: Vec<u64> = fs::read_dir(&out)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    numbers_of_files.sort_unstable();
    // (2, 0) to (2, 15), paired: 2·3/2 + 0, 3·4/2 + 1, …
    let expected: Vec<u64> = (0..16u64).map(|f| (f + 2) * (f + 3) / 2 + f).collect();
    assert_eq!(numbers_of_files, expected);
    for (feature, number) in features.iter().zip(expected) {
        let json: Value =
            serde_json::from_reader(File::open(out.join(format!("{number}.json"))).unwrap()).unwrap();
        assert_eq!(json["index"], number);
        assert_eq!(json["label"].as_str(), labels.of(feature.feature).as_deref());
        let sequences = feature.sequences.as_ref().unwrap();
        let groups = json["examples_quantiles"].as_array().unwrap();
        assert_eq!(groups[0]["quantile_name"], "Top Activations");
        let shown = groups[0]["examples"].as_array().unwrap();
        let examples = sequences.group_examples(0);
        assert_eq!(shown.len(), examples.len());
        for (shown, example) in shown.iter().zip(examples) {
            let acts = numbers(&shown["tokens_acts_list"]);
            assert_eq!(acts, example.tokens.iter().map(|t| t.act).collect::<Vec<_>>());
            assert_eq!(acts.len(), shown["tokens"].as_array().unwrap().len());
            let at = shown["train_token_ind"].as_u64().unwrap() as usize;
            assert_eq!(acts[at].to_bits(), example.act.to_bits());
        }
        assert!(json["top_logits"].as_array().unwrap().iter().all(Value::is_string));
    }
    // What is there is not replaced, and nothing is left of the attempt.
    let refused = export(&[]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("new or an empty folder"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_failed_export_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("batches");
    let bundle = bundle(folder.path());
    let block = bundle.join(paths::block(0));
    let bytes = fs::read(&block).unwrap();
    fs::write(&block, &bytes[..bytes.len() / 2]).unwrap();
    let done = compute(&["export", bundle.to_str().unwrap(), "--neuronpedia", out.to_str().unwrap()]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success() && said.lines().count() == 1, "{said}");
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["bundle"]);
}
